//! What the server logs while a session runs.

use std::fs::File;

use serde_json::{Value, json};

use crate::alarm::{Inbox, SECRET};
use crate::http::{call, call_json};
use crate::process::{Process, fenix};
use crate::rig::{PROJECT, Rig, sample_body, small_cloud, wait_for};

/// A session that is begun and removed, with a secret in a subscription, on a server with these arguments; then all that it
/// logged, and the session's id.
fn logged(rig: &Rig, more: &[&str]) -> (String, String) {
    let file = rig.path("log");
    let data = rig.path("data-of-the-logged");
    let args = ["serve", "--listen", "127.0.0.1:0", "--data-dir", &data, "--cloud", &rig.cloud.address];
    let mut command = fenix(&[&args[..], more].concat());
    command.env("RUST_LOG", "debug").stderr(File::create(&file).unwrap());
    let server = Process::spawn(&mut command);
    let inbox = Inbox::open();
    let subscription = json!({
        "project_id": PROJECT, "event_type": "*", "url": inbox.url, "format": "cloudevents", "secret": SECRET,
    });
    call_json("PUT", &format!("{}/v1/subscriptions/test", server.address), &subscription).good();
    let session = loop {
        let reply = call_json("POST", &format!("{}/v1/maintenance", server.address), &sample_body(&[]));
        match reply.status {
            200 => break reply.body["session_id"].as_str().unwrap().to_owned(),
            // The cloud was not read yet.
            status => assert_eq!(status, 503, "{}", reply.body),
        }
    };
    let url = format!("{}/v1/maintenance/{session}", server.address);
    wait_for(&url, |news| news["lines"].to_string().contains("reached doctor"));
    call("DELETE", &url, b"").good();
    assert!(server.stop().success());
    (std::fs::read_to_string(file).unwrap(), session)
}

#[test]
fn every_line_for_programs_is_an_object_and_says_which_session_it_is_about() {
    let rig = Rig::start(&small_cloud());
    let (log, session) = logged(&rig, &["--log-format", "json"]);
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {line}")))
        .collect();
    for line in &lines {
        for key in ["timestamp", "level", "target", "message"] {
            assert!(line[key].is_string(), "no {key}: {line}");
        }
        assert_eq!(line.to_string().contains(&session), line["session"] == *session, "{line}");
    }
    let about =
        |text: &str| lines.iter().find(|line| line["message"].as_str().unwrap().contains(text)).unwrap();
    let asked = about("ask doctor MAINTENANCE");
    assert_eq!((&asked["session"], &asked["target"]), (&json!(session), &json!("fenix::session")));
    assert!(asked["why"].is_string() && asked["record"].is_u64(), "{asked}");
    assert!(!log.contains(SECRET));
}

#[test]
fn people_read_the_same_as_text() {
    let rig = Rig::start(&small_cloud());
    let (log, session) = logged(&rig, &[]);
    let asked = log.lines().find(|line| line.contains("ask doctor MAINTENANCE")).unwrap();
    assert!(
        asked.contains("INFO fenix::session: ") && asked.contains(&format!("session=\"{session}\"")),
        "{asked}"
    );
    assert!(!log.contains(SECRET));
}
