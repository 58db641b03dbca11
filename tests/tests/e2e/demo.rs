//! The demonstration, and that it leaves nothing behind.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::process::{fenix, run};

#[test]
fn the_demonstration_ends_well() {
    let output = run(&["demo", "--computes", "3", "--output", "json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["state"], "MAINTENANCE_DONE");
    assert_eq!(summary["problems"], Value::Array(Vec::new()));
    assert_eq!(summary["hosts"].as_object().unwrap().len(), 5);
    let moves = summary["instances"].as_object().unwrap().values().map(|i| i["moves"].as_u64().unwrap());
    assert!(moves.max().unwrap() <= 1, "{summary}");
}

#[test]
fn a_server_that_is_killed_in_the_middle_of_the_demonstration_goes_on_where_it_was() {
    let mut demo = fenix(&["demo", "--computes", "3", "--output", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(demo.stderr.take().unwrap()).lines().map_while(Result::ok);
    // In the middle of a move, of a host's restart, and of giving it back.
    for moment in ["MIGRATE doctor", "working", "release"] {
        assert!(said.any(|line| line.contains(moment)), "{moment}");
        let servers =
            children(demo.id()).into_iter().filter(|child| command_of(*child).contains("\0serve\0"));
        let servers: Vec<u32> = servers.collect();
        assert_eq!(servers.len(), 1);
        let status = Command::new("kill").args(["-KILL", &servers[0].to_string()]).status().unwrap();
        assert!(status.success());
        assert!(said.any(|line| line.contains("it is started again")));
    }
    let rest: Vec<String> = said.collect();
    let output = demo.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", rest.join("\n"));
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["state"], "MAINTENANCE_DONE");
    assert_eq!(summary["problems"], Value::Array(Vec::new()), "what the cloud says");
}

#[test]
fn an_interrupted_demonstration_takes_its_processes_along() {
    let mut demo =
        fenix(&["demo", "--computes", "3"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let said = BufReader::new(demo.stderr.take().unwrap()).lines().map_while(Result::ok);
    let mut said = said.skip_while(|line| !line.contains("ask doctor"));
    assert!(said.next().is_some());
    let children = children(demo.id());
    assert_eq!(children.len(), 3, "cloud, server and manager");
    let status = Command::new("kill").args(["-INT", &demo.id().to_string()]).status().unwrap();
    assert!(status.success());
    assert_eq!(demo.wait().unwrap().code(), Some(130));
    for child in children {
        assert!(!is_there(child), "process {child} is still there");
    }
}

/// The processes that a process has started.
fn children(parent: u32) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").unwrap();
    let ids = entries.filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    ids.filter(|id: &u32| parent_of(*id) == Some(parent)).collect()
}

fn parent_of(id: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// The arguments of a process, each followed by a zero byte.
fn command_of(id: u32) -> String {
    std::fs::read(format!("/proc/{id}/cmdline"))
        .map_or_else(|_| String::new(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
}

fn is_there(id: u32) -> bool {
    std::path::Path::new(&format!("/proc/{id}")).exists()
}
