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
fn an_interrupted_demonstration_takes_its_processes_along() {
    let mut demo =
        fenix(&["demo", "--computes", "3"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let said = BufReader::new(demo.stderr.take().unwrap()).lines().map_while(Result::ok);
    let mut said = said.skip_while(|line| !line.contains("ask doctor"));
    assert!(said.next().is_some());
    let children = children(demo.id());
    assert_eq!(children.len(), 3);
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

fn is_there(id: u32) -> bool {
    std::path::Path::new(&format!("/proc/{id}")).exists()
}
