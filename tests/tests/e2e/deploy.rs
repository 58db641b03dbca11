//! What stands in `host/deploy` fits the server that it is for.

use std::collections::BTreeSet;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

use serde_json::Value;

use crate::figures::names;
use crate::process::{Process, fenix};
use crate::rig::{Rig, small_cloud};

fn read(name: &str) -> String {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../host/deploy")).join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

/// The names of Fenix' figures in a text.
fn named(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("fenix_")).collect()
}

/// Every text under a key, at any depth.
fn under<'a>(key: &str, value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(entries) => {
            found.extend(entries.get(key).and_then(Value::as_str));
            entries.values().for_each(|value| under(key, value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| under(key, value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn alerts_and_board_ask_only_for_figures_that_there_are() {
    let there = names();
    let check = |what: &str, query: &str| {
        let asked = named(query);
        assert!(!asked.is_empty(), "{what} asks for nothing of Fenix: {query}");
        let missing: Vec<&&str> = asked.iter().filter(|name| !there.contains(**name)).collect();
        assert!(missing.is_empty(), "{what} asks for {missing:?}, which are not there");
    };
    let alerts = read("alerts.yml");
    let queries: Vec<&str> = alerts.lines().filter_map(|line| line.trim().strip_prefix("expr: ")).collect();
    assert_eq!(queries.len(), alerts.matches("- alert: ").count());
    queries.iter().for_each(|query| check("an alert", query));

    let board: Value = serde_json::from_str(&read("board.json")).unwrap();
    let mut queries = Vec::new();
    under("expr", &board, &mut queries);
    assert!(queries.len() >= 20, "{queries:?}");
    queries.iter().for_each(|query| check("the board", query));
}

#[test]
fn every_alert_says_how_bad_it_is_and_what_to_do() {
    let alerts = read("alerts.yml");
    for alert in alerts.split("- alert: ").skip(1) {
        for part in ["expr: ", "severity: ", "summary: ", "description: "] {
            assert!(alert.contains(part), "no {part}in {alert}");
        }
    }
}

#[test]
fn no_two_panels_of_the_board_lie_on_each_other() {
    let board: Value = serde_json::from_str(&read("board.json")).unwrap();
    let mut taken = BTreeSet::new();
    for panel in board["panels"].as_array().unwrap() {
        let place = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        assert!(place("x") + place("w") <= 24, "{}", panel["title"]);
        for x in place("x")..place("x") + place("w") {
            for y in place("y")..place("y") + place("h") {
                assert!(taken.insert((x, y)), "{} at {x}, {y}", panel["title"]);
            }
        }
    }
}

#[test]
fn a_service_manager_is_told_when_the_server_is_ready_and_when_it_stops() {
    let rig = Rig::start(&small_cloud());
    let path = rig.path("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let heard = || {
        let mut word = [0; 64];
        let length = socket.recv(&mut word).unwrap();
        String::from_utf8(word[..length].to_vec()).unwrap()
    };
    let data = rig.path("data-of-the-service");
    let args = ["serve", "--listen", "127.0.0.1:0", "--data-dir", &data, "--cloud", &rig.cloud.address];
    let server = Process::spawn(fenix(&args).env("NOTIFY_SOCKET", &path));
    assert_eq!(heard(), "READY=1");
    assert!(server.stop().success());
    assert_eq!(heard(), "STOPPING=1");
}
