//! A journal is read again by somebody who knows none of Fenix' rules, and says the same of it from wherever it comes.

use crate::process::run;
use crate::rig::{Rig, sample_body, small_cloud, wait_for_end};

/// What `fenix session verify` says of the one session that there is.
#[track_caller]
fn check(from: &[&str]) {
    let output = run(&[&["session", "verify"], from].concat());
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{told}");
    assert!(told.contains(": no rule was broken; ") && told.contains(" moves; "), "{told}");
    let caveats = String::from_utf8(output.stderr).unwrap();
    assert!(caveats.contains("a journal alone does not prove"), "{caveats}");
}

#[test]
fn a_session_is_verified_from_a_server_a_backup_and_a_directory() {
    let mut rig = Rig::start(&small_cloud());
    let _manager = rig.manager(&[]);
    let session = rig.begin(&sample_body(&["compute-1"]));
    assert_eq!(wait_for_end(&session)["state"], "MAINTENANCE_DONE");
    let backup = rig.path("backup");
    assert!(run(&["backup", &backup, "--url", &rig.url]).status.success());
    check(&["--url", &rig.url]);
    check(&["--backup", &backup]);
    rig.stop_server();
    check(&["--data-dir", &rig.path("data")]);
    let output = run(&["session", "verify", "nobody", "--backup", &backup]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && told.contains("no session that begins with nobody"), "{told}");
}
