//! More than a hundred times `kill -9` in the middle of sessions: of the server, of the cloud, and of both at once.
//!
//! When is drawn from a seed and counted in what happened: events of the cloud, messages in the manager's inbox, lines
//! of the session's history, and some calls more. Judged from what the cloud did and from what the manager has in its
//! inbox, never from the journal.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use fenix_cloud::sim::trace::TraceEvent;
use fenix_server::demo::truth::judge;
use serde_json::{Value, json};

use crate::http::get;
use crate::process::PATIENCE;
use crate::rig::{Rig, sample_body, small_cloud, wait_for_end};

/// Kills in one session, unless it ends before: each has stretches in which it goes on.
const MOST: u32 = 12;

/// Pause between two looks at how far it is: some ten times shorter than anything takes.
const LOOK_PAUSE: Duration = Duration::from_millis(2);

/// The questions of every session on a full cloud. Whether there is PREPARE_MAINTENANCE depends on what the manager gives.
const QUESTIONS: [&str; 4] = ["MAINTENANCE", "SCALE_IN", "PLANNED_MAINTENANCE", "MAINTENANCE_COMPLETE"];

/// Kills [`MOST`] times for each seed, each over as many sessions as that takes, and beside each other: most of their
/// time they wait.
#[allow(clippy::print_stdout, reason = "the figures of a run are part of what it is for")]
fn check(crash: fn(&mut Rig), seeds: std::ops::RangeInclusive<u64>) {
    let one = |seed: u64| {
        let (mut dice, mut kills, mut sessions) = (Dice(seed), 0, 0);
        while kills < MOST {
            kills += session(crash, MOST - kills, &mut dice);
            sessions += 1;
        }
        println!("seed {seed}: {kills} kills in {sessions} sessions");
    };
    std::thread::scope(|scope| seeds.for_each(|seed| drop(scope.spawn(move || one(seed)))));
}

/// Runs one session to its end, and kills at most so many times in it; returns how often.
fn session(crash: fn(&mut Rig), most: u32, dice: &mut Dice) -> u32 {
    let mut rig = Rig::start(&small_cloud());
    let inbox = rig.path("inbox.jsonl");
    let _manager = rig.manager(&["--inbox", &inbox]);
    let mut body = sample_body(&[]);
    // What was being sent when somebody died is looked after for this long, since it may still arrive.
    body["terms"] = json!({ "settle_time": 1 });
    let session = rig.begin(&body);
    let mut kills = 0;
    while kills < most && reach(&rig, &session, &inbox, dice) {
        crash(&mut rig);
        kills += 1;
    }
    let end = wait_for_end(&session);
    assert_eq!(end["state"], "MAINTENANCE_DONE", "{end}");
    let trace = rig.trace();
    let letters = letters(&inbox);
    let mut problems = judge(&trace).problems;
    problems.extend(moved_twice(&trace));
    problems.extend(misled(&letters));
    // Whoever starts again after the end finds nothing to do.
    rig.crash_both();
    assert_eq!(get(&format!("{session}/events?wait=0")).good()["condition"], "ended");
    if rig.trace() != trace {
        problems.push("something was changed after the end".to_owned());
    }
    assert_eq!(problems, Vec::<String>::new(), "{kills} kills with {dice:?}");
    kills
}

/// Waits for the next moment to kill at; false if the session ended before it.
fn reach(rig: &Rig, session: &str, inbox: &str, dice: &mut Dice) -> bool {
    let news = || get(&format!("{session}/events?wait=0")).good();
    let what = dice.below(3);
    let count = || match what {
        0 => rig.cloud.happened(),
        1 => letters(inbox).len() as u64,
        _ => news()["next"].as_u64().unwrap(),
    };
    let further = if what == 1 { 1 + dice.below(2) } else { 1 + dice.below(7) };
    let goal = count() + further;
    let begun = Instant::now();
    while count() < goal {
        if matches!(news()["condition"].as_str(), Some("ended" | "parked")) {
            return false;
        }
        assert!(begun.elapsed() < PATIENCE, "{}", get(&format!("{session}/detail")).body);
        std::thread::park_timeout(LOOK_PAUSE);
    }
    // What follows from this moment takes some milliseconds: a few calls later it is half done.
    for _ in 0..dice.below(6) {
        assert_eq!(get(&rig.at("/healthz")).status, 200);
    }
    true
}

/// What the manager received, in order.
fn letters(inbox: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(inbox).unwrap_or_default();
    // Its last line may be half written.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Instances that left a host more than once.
fn moved_twice(trace: &[TraceEvent]) -> Vec<String> {
    let stories = judge(trace).instances;
    let twice = stories.iter().filter(|(_, story)| {
        let left = &story.path[..story.moves()];
        left.iter().collect::<BTreeSet<_>>().len() < left.len()
    });
    twice.map(|(id, story)| format!("instance {id} left a host twice: {:?}", story.path)).collect()
}

/// What is wrong with an inbox: two messages under one id, a question under two numbers or missing, the end unknown.
fn misled(letters: &[Value]) -> Vec<String> {
    let mut problems = Vec::new();
    let (mut by_id, mut by_number) = (BTreeMap::new(), BTreeMap::new());
    let mut asked = Vec::new();
    for letter in letters {
        let mut said = letter["traits"].clone();
        // Who was away has longer to answer.
        for until in ["reply_at", "actions_at"] {
            said.as_object_mut().unwrap().remove(until);
        }
        let id = letter["message_id"].as_str().unwrap();
        if *by_id.entry(id).or_insert_with(|| said.clone()) != said {
            problems.push(format!("two messages under one id: {} and {said}", by_id[id]));
        }
        let state = said["state"].as_str().unwrap().to_owned();
        let Some(number) = said["ask_id"].as_u64() else { continue };
        if *by_number.entry(number).or_insert_with(|| state.clone()) != state {
            problems.push(format!("two questions under number {number}: {} and {state}", by_number[&number]));
        }
        asked.push((number, state));
    }
    let kinds: BTreeSet<&str> = asked.iter().map(|(_, state)| state.as_str()).collect();
    if !QUESTIONS.iter().all(|kind| kinds.contains(kind)) {
        problems.push(format!("the manager was only asked {kinds:?}"));
    }
    let ends: BTreeSet<u64> = asked
        .iter()
        .filter(|(_, state)| state == "MAINTENANCE_COMPLETE")
        .map(|(number, _)| *number)
        .collect();
    let last = asked.iter().max();
    if ends.len() != 1 || last.is_none_or(|(number, _)| !ends.contains(number)) {
        problems.push(format!("the manager was told the end under {ends:?}, and last asked {last:?}"));
    }
    problems
}

/// A seeded stream of numbers: SplitMix64.
#[derive(Debug)]
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % n
    }
}

#[test]
fn sessions_end_well_however_often_the_server_is_killed() {
    check(Rig::crash_server, 101..=103);
}

#[test]
fn sessions_end_well_however_often_the_cloud_is_killed() {
    check(Rig::crash_cloud, 201..=203);
}

#[test]
fn sessions_end_well_however_often_both_are_killed_at_once() {
    check(Rig::crash_both, 301..=303);
}
