//! What ten thousand bad days went through, as a page:
//! `cargo run --example coverage -- docs/COVERAGE.md [SEEDS]`, or `make seeds`.
//!
//! Ends with an error, and names the seeds, if anything was broken; and if something was met less than a hundred times
//! in ten thousand seeds.

use std::collections::BTreeMap;
use std::time::Instant;

use fenix_sim::coverage::{Coverage, Table, table};
use fenix_sim::generate;
use fenix_sim::many::{self, Share};
use fenix_sim::plugins::Components;
use fenix_sim::report::Report;
use fenix_sim::scenario::Scenario;
use serde::{Deserialize, Serialize};

type Fault = Box<dyn std::error::Error>;

/// Seeds, unless another number is given.
const SEEDS: u64 = 10_000;

/// How often everything is to be met in [`SEEDS`] seeds; in proportion in fewer.
const LEAST: u64 = 100;

/// As what this program calls itself, once for each processor.
const PART: &str = "part";

/// What one process went through.
#[derive(Default, Serialize, Deserialize)]
struct Met {
    coverage: Coverage,
    totals: Totals,
}

/// What the simulations were, in all.
#[derive(Default, Serialize, Deserialize)]
struct Totals {
    sessions: u64,
    hosts: u64,
    events: u64,
    kills: u64,
    broken: u64,
    /// How many sessions came to which end.
    fates: BTreeMap<String, u64>,
}

impl Totals {
    fn add(&mut self, scenario: &Scenario, report: &Report) {
        self.sessions += scenario.sessions.len() as u64;
        self.hosts += scenario.cloud.host.len() as u64;
        self.events += report.stats.events;
        self.kills += report.stats.kills;
        self.broken += report.violations.len() as u64;
        for session in 0..scenario.sessions.len() {
            *self.fates.entry(report.fate(session).name().to_owned()).or_default() += 1;
        }
    }

    fn merge(&mut self, others: Totals) {
        let Totals { sessions, hosts, events, kills, broken, fates } = others;
        self.sessions += sessions;
        self.hosts += hosts;
        self.events += events;
        self.kills += kills;
        self.broken += broken;
        for (fate, times) in fates {
            *self.fates.entry(fate).or_default() += times;
        }
    }

    /// The totals in a paragraph, and how the sessions ended.
    fn text(&self, seeds: u64, minutes: f64) -> String {
        let Totals { sessions, hosts, events, kills, broken, fates } = self;
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let mut text = format!(
            "{seeds} seeds ({sessions} sessions, {hosts} hosts, {events} events, {kills} deaths of Fenix) in {minutes:.1} \
             minutes on {processors} processors: {broken} rules broken or sessions that stand still without a reason.\n\n\
             | at its end the session is | sessions |\n|---|--:|\n"
        );
        for (fate, times) in fates {
            let fate = match fate.as_str() {
                "absent" => "removed by an administrator, or was never made",
                "running" => "running: it waits for somebody, and says for whom",
                other => other,
            };
            text.push_str(&format!("| {fate} | {times} |\n"));
        }
        text
    }
}

fn main() -> Result<(), Fault> {
    let mut args = std::env::args().skip(1);
    let first = args.next().ok_or("which file is the page to be written to?")?;
    let seeds: u64 = args.next().map_or(Ok(SEEDS), |seeds| seeds.parse())?;
    if first == PART {
        return part(seeds, args.next().ok_or("which part?")?.parse()?);
    }
    whole(&first, seeds)
}

/// Runs a part of the seeds, and prints what was met.
#[expect(clippy::print_stderr, clippy::print_stdout, reason = "faults go where what was met does not")]
fn part(seeds: u64, share: Share) -> Result<(), Fault> {
    let mut met = Met::default();
    many::run_each(share.of(1..=seeds), generate::wide, &Components::shipped()?, |scenario, report| {
        met.coverage.add(&report.tally);
        met.totals.add(scenario, &report);
        for violation in &report.violations {
            eprintln!("seed {}: {violation}", report.seed);
        }
        true
    })?;
    println!("{}", serde_json::to_string(&met)?);
    Ok(())
}

/// Runs all seeds in several processes, and writes the page.
#[expect(clippy::print_stderr, reason = "faults go where the page does not")]
fn whole(page: &str, seeds: u64) -> Result<(), Fault> {
    let begun = Instant::now();
    let Met { mut coverage, mut totals } = Met::default();
    for part in many::share(&[PART, &seeds.to_string()])? {
        let met: Met = serde_json::from_slice(&part)?;
        coverage.merge(met.coverage);
        totals.merge(met.totals);
    }
    let minutes = begun.elapsed().as_secs_f64() / 60.0;
    std::fs::write(page, text(&coverage, &totals.text(seeds, minutes)))?;
    let problems = coverage.problems(LEAST * seeds / SEEDS);
    for problem in &problems {
        eprintln!("{problem}");
    }
    match (totals.broken, problems.len()) {
        (0, 0) => Ok(()),
        (broken, rows) => {
            Err(format!("{broken} violations, and {rows} rows too rarely or wrongly met").into())
        }
    }
}

fn text(coverage: &Coverage, figures: &str) -> String {
    let mut text = format!(
        "# Bad days: what the seeds met\n\nMade by `make seeds`; [PROOF](PROOF.md) says what it is about.\n\n{figures}\n\
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
