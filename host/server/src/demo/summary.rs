//! What the demonstration tells at its end.

use std::collections::BTreeMap;

use fenix_core::time::Time;
use serde_json::{Value, json};

use super::truth::{HostStory, InstanceStory, Truth};
use crate::cli::print;
use crate::cli::text::{columns, plain};

/// Instances whose way is printed; of more, only how often they moved.
const MAX_WAYS: usize = 40;

/// All of it, for programs.
pub(super) fn as_json(detail: &Value, truth: &Truth) -> Value {
    let hosts: BTreeMap<&str, Value> =
        truth.hosts.iter().map(|(id, story)| (id.as_str(), host(story))).collect();
    let instances: BTreeMap<&str, Value> =
        truth.instances.iter().map(|(id, story)| (id.as_str(), instance(story))).collect();
    json!({
        "session_id": detail["session_id"], "state": detail["state"], "phases": detail["phases"],
        "asks": detail["asks"], "hosts": hosts, "instances": instances, "problems": truth.problems,
    })
}

fn host(story: &HostStory) -> Value {
    json!({ "emptied_at_ms": story.emptied_at, "restarted_at_ms": story.restarts, "back_at_ms": story.back_at })
}

fn instance(story: &InstanceStory) -> Value {
    let path: Vec<&str> = story.path.iter().map(fenix_core::id::HostId::as_str).collect();
    json!({ "name": story.name, "moves": story.moves(), "path": path, "removed": story.removed })
}

/// All of it, for people. `start` is when the session was made.
pub(super) fn print(detail: &Value, truth: &Truth, start: Time) {
    hosts(truth, start, detail);
    instances(truth);
    states(detail);
    asked(detail);
}

fn table(title: &str, heads: &[&str], rows: impl Iterator<Item = Vec<String>>) {
    let heads = heads.iter().map(|head| (*head).to_owned()).collect();
    let all: Vec<Vec<String>> = std::iter::once(heads).chain(rows).collect();
    print::line("");
    print::line(title);
    for line in columns(&all) {
        print::line(format!("  {}", plain(&line)));
    }
}

/// A time as minutes and seconds after the start.
fn after(time: Option<Time>, start: Time) -> String {
    time.map_or_else(|| "-".to_owned(), |time| span(time.since(start).0))
}

fn span(millis: u64) -> String {
    let tenths = millis / 100;
    format!("{:02}:{:02}.{}", tenths / 600, tenths / 10 % 60, tenths % 10)
}

fn hosts(truth: &Truth, start: Time, detail: &Value) {
    let actions = |id: &str| {
        let runs = detail["action_plugin_instances"].as_array().into_iter().flatten();
        let of_host = runs.filter(|run| run["hostname"] == id);
        let done: Vec<String> = of_host
            .map(|run| {
                format!("{} {}", run["plugin"].as_str().unwrap_or("?"), run["state"].as_str().unwrap_or("?"))
            })
            .collect();
        done.join(", ")
    };
    table(
        "Hosts, minutes after the start",
        &["HOST", "EMPTIED", "RESTARTED", "BACK", "ACTIONS"],
        truth.hosts.iter().map(|(id, story)| {
            vec![
                id.to_string(),
                after(story.emptied_at, start),
                after(story.restarts.first().copied(), start),
                after(story.back_at, start),
                actions(id.as_str()),
            ]
        }),
    );
}

fn instances(truth: &Truth) {
    let there: Vec<&InstanceStory> = truth.instances.values().filter(|story| !story.removed).collect();
    let moves: usize = there.iter().map(|story| story.moves()).sum();
    let removed = truth.instances.len() - there.len();
    if there.len() <= MAX_WAYS {
        table(
            "Moves per instance",
            &["INSTANCE", "MOVES", "WAY"],
            there.iter().map(|story| {
                let way: Vec<&str> = story.path.iter().map(fenix_core::id::HostId::as_str).collect();
                vec![story.name.clone(), story.moves().to_string(), way.join(" > ")]
            }),
        );
    }
    let most = there.iter().map(|story| story.moves()).max().unwrap_or(0);
    print::line("");
    print::line(format!(
        "{moves} moves of {} instances, {most} at most of one; {removed} removed by their manager to make room, and made anew",
        there.len()
    ));
}

fn states(detail: &Value) {
    let phases = detail["phases"].as_array().cloned().unwrap_or_default();
    let since = |phase: &Value| phase["since_ms"].as_u64().unwrap_or(0);
    let ends = phases.iter().skip(1).map(since);
    let mut spent: Vec<(&str, u64)> = Vec::new();
    for (phase, end) in phases.iter().zip(ends) {
        let (state, time) = (phase["state"].as_str().unwrap_or("?"), end.saturating_sub(since(phase)));
        match spent.iter_mut().find(|(known, _)| *known == state) {
            Some((_, sum)) => *sum += time,
            None => spent.push((state, time)),
        }
    }
    table(
        "Time by state",
        &["STATE", "TIME"],
        spent.into_iter().map(|(state, time)| vec![state.to_owned(), span(time)]),
    );
}

fn asked(detail: &Value) {
    let mut by_kind: Vec<(String, [u64; 3])> = Vec::new();
    for ask in detail["asks"].as_array().into_iter().flatten() {
        let key =
            format!("{} {}", ask["project_id"].as_str().unwrap_or("?"), ask["state"].as_str().unwrap_or("?"));
        let index = by_kind.iter().position(|(known, _)| *known == key).unwrap_or_else(|| {
            by_kind.push((key, [0; 3]));
            by_kind.len() - 1
        });
        let [asked, agreed, longest] = &mut by_kind[index].1;
        *asked += 1;
        *agreed += u64::from(ask["status"] == "acked");
        *longest = (*longest).max(ask["answered_after_ms"].as_u64().unwrap_or(0));
    }
    table(
        "Asked and answered",
        &["WHOM AND WHAT", "ASKED", "AGREED", "LONGEST"],
        by_kind.into_iter().map(|(key, [asked, agreed, longest])| {
            vec![key, asked.to_string(), agreed.to_string(), span(longest)]
        }),
    );
}
