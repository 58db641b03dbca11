//! How well `vnf` plans, against a planner that knows the future and three workflows that users know, as a page:
//! `cargo run --release --example plan -- docs/EFFICIENCY.md [WORDS]`, or `make bench-plan`.
//!
//! Only scenes whose names hold all of the words are run then, and the page is printed instead. Time is virtual but for that
//! of the decisions, which is the processor's.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "what it measures is for whoever waits for it")]

mod planner;
mod reference;
mod scenes;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use fenix_cloud::sim::trace::Happening;
use fenix_core::id::{HostId, InstanceId};
use fenix_core::session::HostStage;
use fenix_core::time::Time;
use fenix_sim::plugins::Components;
use fenix_sim::report::{Fate, Report};
use fenix_sim::truth::Truth;

use planner::Plan;
use reference::{Compared, Spent, Who};
use scenes::{Scene, Set};

type Fault = Box<dyn std::error::Error>;

/// What one run came to.
struct Run {
    /// From the agreed start to the last host.
    makespan: u64,
    moves: u64,
    /// How long instances were out of service, in all, in milliseconds.
    impact: u64,
    broken: usize,
    instances: usize,
    given_back: BTreeSet<InstanceId>,
    spent: Spent,
}

/// One line of the table.
struct Line {
    scene: Scene,
    plan: Plan,
    bound: u64,
    ours: Run,
    others: Vec<(Who, Option<Run>)>,
}

fn main() -> Result<(), Fault> {
    let mut arguments = std::env::args().skip(1);
    let page = arguments.next().ok_or("say where the page goes")?;
    let words: Vec<String> = arguments.collect();
    let components = Components::shipped()?;
    let mut lines = Vec::new();
    let mut all = scenes::all();
    if !words.is_empty() {
        all.extend(scenes::large());
    }
    for scene in all {
        if !words.iter().all(|word| format!("{} cv {}", scene.name(), scene.cv).contains(word.as_str())) {
            continue;
        }
        let line = measure(scene, &components)?;
        eprintln!("{}", row(&line));
        lines.push(line);
    }
    let text = text(&lines);
    if words.is_empty() {
        std::fs::write(page, text)?
    } else {
        println!("{text}")
    }
    Ok(())
}

fn measure(scene: Scene, components: &Components) -> Result<Line, Fault> {
    let set = scene.set();
    let ours = run(&set, Who::Ours, components)?;
    let problem = set.problem(|instance| ours.given_back.contains(instance));
    // What one try costs grows with the problem. How much better there may be shows beside the bound.
    let tries = 60_000 / (problem.instances.len() as u32).max(1);
    let plan = planner::plan(&problem, tries).ok_or("the planner finds no plan")?;
    let others = if scene.hosts > 100 { Vec::new() } else { vec![Who::Serial, Who::Batches, Who::Random] };
    let others = others.into_iter().map(|who| (who, run(&set, who, components).ok())).collect();
    Ok(Line { scene, plan, bound: planner::bound(&problem), ours, others })
}

fn run(set: &Set, who: Who, components: &Components) -> Result<Run, Fault> {
    let mut scenario = set.scenario.clone();
    let session = &mut scenario.sessions[0];
    if who == Who::Serial {
        session.terms.hosts_at_once = 1;
    }
    let start = Time(0) + session.at + session.begins_in;
    let works: BTreeMap<HostId, u64> =
        scenario.cloud.host.iter().zip(&set.works).map(|(host, work)| (host.id.clone(), *work)).collect();
    let compared = Compared::new(who, components, works);
    let report = fenix_sim::run(&scenario, &compared)?;
    let fate = report.fate(0);
    if fate != Fate::Done {
        return Err(format!("a session came to {fate:?}: {report}").into());
    }
    Ok(Run { spent: compared.spent(), ..judged(&report, start)? })
}

fn judged(report: &Report, start: Time) -> Result<Run, Fault> {
    let id = fenix_sim::scenario::session_id(0);
    let session = report.ending.state.session(&id).ok_or("the session is gone")?;
    let done = session.hosts.values().filter(|work| work.stage == HostStage::Maintained);
    let last = done.map(|work| work.since).max().ok_or("no host is maintained")?;
    let (mut impact, mut moves) = (0, 0);
    let mut out: BTreeMap<&InstanceId, Time> = BTreeMap::new();
    let mut given_back = BTreeSet::new();
    let mut instances = 0;
    for entry in &report.truth {
        let Truth::Cloud(happening, _) = &entry.what else { continue };
        match happening {
            Happening::InstanceAdded { .. } => instances += usize::from(entry.at < start),
            Happening::InstanceDeleted { instance } => {
                given_back.insert(instance.clone());
                out.remove(instance);
            }
            Happening::MoveStarted { .. } => moves += 1,
            Happening::OutOfService { instance, .. } => {
                out.insert(instance, entry.at);
            }
            Happening::InService { instance, .. } => {
                impact += out.remove(instance).map_or(0, |since| entry.at.since(since).0);
            }
            _ => {}
        }
    }
    Ok(Run {
        makespan: last.since(start).0,
        moves,
        impact,
        broken: report.violations.len() + report.ending.verified.len(),
        instances: instances - given_back.len(),
        given_back,
        spent: Spent::default(),
    })
}

fn minutes(millis: u64) -> String {
    format!("{:.0}", millis as f64 / 60_000.0)
}

impl Line {
    fn ratio(&self) -> f64 {
        self.plan.makespan as f64 / self.ours.makespan as f64
    }

    fn each(&self, moves: u64) -> f64 {
        moves as f64 / self.ours.instances.max(1) as f64
    }

    fn other(&self, who: Who) -> Option<&Run> {
        self.others.iter().find(|(other, _)| *other == who)?.1.as_ref()
    }
}

fn row(line: &Line) -> String {
    let Line { scene, plan, bound, ours, .. } = line;
    let other = |who| line.other(who).map_or("-".to_owned(), |run| minutes(run.makespan));
    let random = line.other(Who::Random).map_or("-".to_owned(), |run| format!("{:.2}", line.each(run.moves)));
    let Spent { all, longest, decisions } = ours.spent;
    format!(
        "| {} | {} | {} | {} | {} | {:.2} | {:.2} | {:.2} | {:.0} | {} | {} | {} | {} | {random} | {decisions} | {:.1} | {:.0} |",
        scene.name(),
        f64::from(scene.cv) / 100.0,
        minutes(*bound),
        minutes(plan.makespan),
        minutes(ours.makespan),
        line.ratio(),
        line.each(plan.moves),
        line.each(ours.moves),
        ours.impact as f64 / 1000.0 / ours.instances.max(1) as f64,
        ours.broken,
        other(Who::Serial),
        other(Who::Batches),
        other(Who::Random),
        all.as_secs_f64(),
        longest.as_secs_f64() * 1000.0,
    )
}

fn text(lines: &[Line]) -> String {
    let mut text = String::from(
        "# How well `vnf` plans\n\nMade by `make bench-plan`, which tells all that it measures here. Times are virtual minutes from the agreed \
         start to the last host; only those of decisions are the processor's.\n\n\
         The *clairvoyant* planner knows how long everything takes, may be as many hosts out at once, has to give the same lead and \
         recovery times, and pays nothing for finding out (`sdk/sim/examples/plan/planner.rs`). What no plan can be shorter than is the \
         *bound*. *One at a time* is `vnf` with one slot; *batches* takes as many hosts as may be out, and the next ones when all of these are back; *random* goes to any host that the \
         rules allow. Work on a host takes 15 minutes on average, log-normal with the spread *cv*; a move half a minute. Moves are per \
         instance; *out* is how long an instance was out of service, on average; *broken* counts rules.\n\n\
         Scenes of a thousand hosts with 50 instances each take minutes and are run by name (`scenes::large`); \
         [BENCHMARKS](BENCHMARKS.md#planning) has what came of one.\n\n\
         | scene | cv | bound | clairvoyant | `vnf` | ratio | moves, clairvoyant | moves | out, s | broken | one at a time | batches | \
         random | moves, random | decisions | all, s | longest, ms |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for line in lines {
        writeln!(text, "{}", row(line)).unwrap_or_default();
    }
    for cv in [0, 50, 100] {
        let of: Vec<&Line> = lines.iter().filter(|line| line.scene.cv == cv).collect();
        if of.is_empty() {
            continue;
        }
        let count = of.len() as f64;
        let ratio = of.iter().map(|line| line.ratio()).sum::<f64>() / count;
        let more = of.iter().map(|line| line.each(line.ours.moves) - line.each(line.plan.moves)).sum::<f64>()
            / count;
        writeln!(
            text,
            "\nAt cv {}: clairvoyant by `vnf` {ratio:.3} on average of {count} scenes, and {more:+.3} moves of an instance.",
            f64::from(cv) / 100.0
        )
        .unwrap_or_default();
    }
    text
}
