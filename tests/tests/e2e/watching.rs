//! `fenix session watch` at a terminal: a picture, and the terminal as it was afterwards.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};

use crate::rig::{PROJECT, Rig, sample_body, small_cloud};

const ENTER: &str = "\x1b[?1049h";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

/// The binary under test at a terminal of 100 columns and 40 lines.
fn at_terminal(args: &str, no_color: &str) -> Child {
    let fenix = env!("CARGO_BIN_EXE_fenix-under-test");
    Command::new("script")
        .args(["-qefc", &format!("stty cols 100 rows 40; exec '{fenix}' {args}"), "/dev/null"])
        .env_remove("LC_ALL")
        .envs([("LC_CTYPE", "C.UTF-8"), ("TERM", "xterm"), ("NO_COLOR", no_color)])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What is written until that stands in it, or the end.
fn until(child: &mut Child, expected: &str) -> String {
    let mut out = child.stdout.take().unwrap();
    let mut seen = Vec::new();
    let mut piece = [0; 4096];
    while !String::from_utf8_lossy(&seen).contains(expected) {
        match out.read(&mut piece) {
            Ok(0) | Err(_) => break,
            Ok(count) => seen.extend_from_slice(&piece[..count]),
        }
    }
    child.stdout = Some(out);
    String::from_utf8_lossy(&seen).into_owned()
}

fn rest(mut child: Child) -> (String, Option<i32>) {
    let seen = until(&mut child, "there is no such text");
    (seen, child.wait().unwrap().code())
}

#[test]
fn a_session_is_watched_to_its_end_in_a_picture_that_then_goes() {
    let rig = Rig::start(&small_cloud());
    let _manager = rig.manager(&[]);
    rig.begin(&sample_body(&[]));
    let (seen, code) = rest(at_terminal(&format!("session watch --url {}", rig.url), ""));
    assert_eq!(code, Some(0), "{seen}");
    assert!(seen.contains(ENTER));
    for part in ["Fenix", "of 5 hosts", "latest", "\x1b[32m", "✓", "compute-1"] {
        assert!(seen.contains(part), "{part:?} is not in {seen}");
    }
    let (picture, after) = seen.rsplit_once(LEAVE).unwrap();
    assert!(picture.contains("under way"), "{picture}");
    assert!(after.contains("MAINTENANCE_DONE  5 of 5 hosts maintained"), "{after}");
}

#[test]
fn whoever_interrupts_a_watch_has_the_terminal_back_and_the_session_goes_on() {
    let rig = Rig::start(&small_cloud());
    rig.subscribe("http://127.0.0.1:9/");
    let session = rig.begin(&sample_body(&[]));
    let mut child = at_terminal(&format!("session watch --url {}", rig.url), "1");
    let seen = until(&mut child, "asked");
    assert!(seen.contains(PROJECT), "{seen}");
    assert!(!seen.contains("\x1b[3"), "no colours were wanted: {seen}");
    child.stdin.as_mut().unwrap().write_all(b"\x03").unwrap();
    let (seen, code) = rest(child);
    assert_eq!(code, Some(130), "{seen}");
    assert!(seen.contains(LEAVE) && seen.contains("the session goes on"), "{seen}");
    assert_eq!(crate::http::get(&session).good()["condition"], "running");
}

#[test]
fn a_terminal_that_cannot_draw_and_whoever_wants_it_plain_get_lines() {
    let rig = Rig::start(&small_cloud());
    let _manager = rig.manager(&[]);
    rig.begin(&sample_body(&["controller-1"]));
    let (seen, code) = rest(at_terminal(&format!("session watch --plain --url {}", rig.url), ""));
    assert_eq!(code, Some(0), "{seen}");
    assert!(!seen.contains('\x1b') && seen.contains("controller-1 maintained"), "{seen}");
}
