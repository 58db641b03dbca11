//! What ten thousand bad days went through, as a page:
//! `cargo run -p fenix-sim --example coverage -- docs/COVERAGE.md [SEEDS]`, or `make seeds`.
//!
//! Ends with an error, and names the seeds, if anything was broken; and if something was met less than a hundred times
//! in ten thousand seeds.

use std::time::Instant;

use fenix_sim::coverage::{Coverage, Table, table};
use fenix_sim::plugins::Components;
use fenix_sim::{generate, many};

type Fault = Box<dyn std::error::Error>;

/// Seeds, unless another number is given.
const SEEDS: u64 = 10_000;

/// How often everything is to be met in [`SEEDS`] seeds; in proportion in fewer.
const LEAST: u64 = 100;

#[expect(clippy::print_stderr, reason = "faults go where the page does not")]
fn main() -> Result<(), Fault> {
    let mut args = std::env::args().skip(1);
    let page = args.next().ok_or("which file is the page to be written to?")?;
    let seeds: u64 = args.next().map_or(Ok(SEEDS), |seeds| seeds.parse())?;
    let components = Components::shipped()?;
    let mut coverage = Coverage::default();
    let (mut sessions, mut events, mut hosts, mut broken) = (0, 0, 0, 0);
    let begun = Instant::now();
    many::run_all(1..=seeds, generate::wide, &components, |scenario, report| {
        coverage.add(&report.tally);
        sessions += scenario.sessions.len() as u64;
        events += report.stats.events;
        hosts += scenario.cloud.host.len() as u64;
        for violation in &report.violations {
            broken += 1;
            eprintln!("seed {}: {violation}", report.seed);
        }
        true
    })?;
    let minutes = begun.elapsed().as_secs_f64() / 60.0;
    let figures = format!(
        "{seeds} seeds ({sessions} sessions, {hosts} hosts, {events} events) in {minutes:.1} minutes on {} processors: \
         {broken} violations.",
        std::thread::available_parallelism().map_or(1, usize::from)
    );
    std::fs::write(page, text(&coverage, &figures))?;
    let problems = coverage.problems(LEAST * seeds / SEEDS);
    for problem in &problems {
        eprintln!("{problem}");
    }
    match (broken, problems.len()) {
        (0, 0) => Ok(()),
        _ => {
            Err(format!("{broken} violations, and {} lines too rarely or wrongly met", problems.len()).into())
        }
    }
}

fn text(coverage: &Coverage, figures: &str) -> String {
    let mut text = format!(
        "# Bad days: what the seeds met\n\nMade by `make seeds`; [PROOF](PROOF.md) says what it is about.\n\n{figures}\n\n\
         *Times* is how often something was met, *seeds* in how many of the runs.\n"
    );
    for one in Table::ALL {
        text.push_str(&format!("\n## {}\n\n| what | times | seeds |\n|---|--:|--:|\n", one.title()));
        let rows: Vec<_> = table::rows().into_iter().filter(|row| row.table == one).collect();
        for row in rows.iter().filter(|row| table::reason(row).is_none()) {
            let (times, seeds) = coverage.of(row);
            text.push_str(&format!("| {} | {times} | {seeds} |\n", row.words));
        }
        let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
        for row in &rows {
            let Some(why) = table::reason(row) else { continue };
            match reasons.iter_mut().find(|(known, _)| *known == why) {
                Some((_, all)) => all.push(&row.words),
                None => reasons.push((why, vec![&row.words])),
            }
        }
        if !reasons.is_empty() {
            text.push_str("\nWhat cannot be met:\n\n");
        }
        for (why, all) in reasons {
            text.push_str(&format!("- {}: {why}.\n", all.join("; ")));
        }
    }
    text
}
