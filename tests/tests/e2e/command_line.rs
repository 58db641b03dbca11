//! The command line: results on standard output, the rest on standard error, and exit codes that programs can use.

use serde_json::Value;

use crate::alarm::Inbox;
use crate::process::run;
use crate::rig::{Rig, small_cloud, wait_for};

/// Runs a command, checks its exit code and what it says in all, and returns its standard output.
#[track_caller]
fn check(args: &[&str], code: i32, expected: &str) -> String {
    let output = run(args);
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(code), "{out}{err}");
    assert!(format!("{out}{err}").contains(expected), "{expected:?} is not in {out}{err}");
    out
}

#[test]
fn failures_have_their_exit_codes_and_hints() {
    let dir = tempfile::TempDir::new().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    check(&["--version"], 0, "fenix");
    check(&["nonsense"], 2, "unrecognized subcommand");
    check(&["session", "list", "--url", "http://127.0.0.1:9"], 3, "hint: start it with `fenix serve`");
    check(&["session", "list", "--url", "ftp://x"], 2, "must begin with http://");
    check(&["cloud", "show", "--cloud", "127.0.0.1:9"], 3, "hint: start it with `fenix cloud sim`");
    check(&["serve", "--listen", "0.0.0.0:0"], 2, "without `tokens`");
    check(&["serve", "--config", "/nowhere/fenix.toml"], 2, "cannot read /nowhere/fenix.toml");
    check(&["serve", "--config", &file("a.toml", "listne = 1")], 2, "unknown field `listne`");
    check(
        &["serve", "--config", &file("b.toml", "public_url = \"http://[::1]:1\"\nlisten = \"127.0.0.1:0\"")],
        2,
        "IPv6",
    );
    check(&["cloud", "sim", "--file", "/nowhere", "--state", "x"], 2, "cannot read /nowhere");
    let kept = dir.path().to_str().unwrap();
    check(&["demo", "--keep", kept], 2, "is not empty");
}

#[test]
fn a_data_directory_has_one_server() {
    let rig = Rig::start(&small_cloud());
    check(&["serve", "--listen", "127.0.0.1:0", "--data-dir", &rig.path("data")], 1, "is in use");
}

#[test]
fn an_administrator_does_everything_from_the_command_line() {
    let rig = Rig::start(&small_cloud());
    let inbox = Inbox::open();
    rig.subscribe(&inbox.url);
    let session = |code: i32, args: &[&str], expected: &str| {
        let url = ["--url", &rig.url];
        check(&[&["session"], args, &url[..]].concat(), code, expected)
    };
    session(1, &["show"], "there is no session");
    session(4, &["start", "compute-9"], "no host compute-9");
    session(4, &["start", "--workflow", "other"], "hint: known: default");
    session(2, &["start", "--term", "rounds"], "like name=value");
    let id = session(0, &["start", "compute-1", "--action", "reboot", "--policy", "silence=wait"], "-");
    let id = id.trim();
    inbox.next();
    wait_for(&rig.at(&format!("/v1/maintenance/{id}")), |news| {
        news["lines"].to_string().contains("reached doctor")
    });

    let list: Value = serde_json::from_str(&session(0, &["list", "--output", "json"], id)).unwrap();
    assert_eq!(list["sessions"][0], id);
    session(0, &["list"], "MAINTENANCE");
    session(0, &["show", &id[..8]], "compute-1  compute  waiting");
    session(0, &["decisions"], "ask doctor MAINTENANCE");
    session(0, &["blockers"], "reply on doctor");
    session(1, &["show", "zzz"], "no session begins with zzz");
    session(0, &["pause"], "done");
    session(0, &["show"], "paused");
    session(0, &["continue"], "done");
    session(0, &["delete"], "done");

    check(&["cloud", "show", "--cloud", &rig.cloud.address], 0, "compute-1     enabled");
    let trace = check(&["cloud", "trace", "--cloud", &rig.cloud.address], 0, "host_added");
    assert!(trace.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()));
}

#[test]
fn an_administrator_keeps_plug_ins_templates_and_orders_from_the_command_line() {
    let rig = Rig::start(&small_cloud());
    let fenix = |args: &[&str], code: i32, expected: &str| {
        check(&[args, &["--url", &rig.url]].concat(), code, expected)
    };
    let file = |name: &str, bytes: &[u8]| {
        let path = rig.path(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let component = file("guest.wasm", &crate::guest::action("", ""));
    fenix(&["plugin", "attach", &component], 0, "it asks for cloud; `fenix plugin grant guest` grants it");
    fenix(&["plugin", "grant", "guest", "--right", "packages"], 4, "hint: it asks for cloud");
    fenix(&["plugin", "revoke", "guest"], 0, "guest may use nothing");
    fenix(&["plugin", "grant", "guest"], 0, "guest may use cloud");
    fenix(&["plugin", "attach", &component, "--grant"], 0, "attached guest 1.2.3");
    fenix(
        &["plugin", "list"],
        0,
        "guest          1.2.3    action    attached  cloud                        cloud",
    );
    fenix(&["plugin", "attach", &file("none.wasm", b"none")], 4, "not a whole WebAssembly component");
    fenix(&["plugin", "show", "a/b"], 4, "hint: `fenix plugin list` shows those that there are");
    let session = file(
        "session.json",
        br#"{"hosts": ["controller-1"], "actions": [{"plugin": "guest", "type": "host"}]}"#,
    );
    fenix(
        &["template", "save", "one", "--file", &session, "--description", "the first"],
        0,
        "template start one",
    );
    fenix(&["template", "list"], 0, "one   the first");
    fenix(&["template", "start", "one", "--watch"], 0, "MAINTENANCE_DONE");
    fenix(&["template", "start", "one", "--changes", "[]"], 2, "no JSON object");
    fenix(&["hosts", "list"], 0, "guest");
    fenix(&["hosts", "show", "compute-1"], 0, "doctor-ha-1");
    fenix(&["hosts", "clear", "compute-1"], 0, "compute-1 is waiting");
    fenix(
        &["subscribe", "add", "--project", "p", "--to", "http://127.0.0.1:9/", "--id", "mine"],
        0,
        "order mine",
    );
    fenix(&["subscribe", "add", "--project", "p", "--to", "http://10.0.0.1/"], 4, "deliver_to");
    fenix(&["subscribe", "list"], 0, "mine  p        maintenance.*");
    fenix(&["subscribe", "remove", "mine"], 0, "ended mine");
    fenix(&["template", "remove", "one"], 0, "removed one");
    fenix(&["plugin", "detach", "guest"], 0, "detached guest");
}

#[test]
fn watching_follows_a_session_to_its_end_and_tells_how_it_went() {
    let rig = Rig::start(&small_cloud());
    let _manager = rig.manager(&["--mode", "nack"]);
    let url = ["--url", &rig.url];
    check(&[&["session", "start", "--watch", "--action", "noop"], &url[..]].concat(), 1, "NACK_MAINTENANCE");
}
