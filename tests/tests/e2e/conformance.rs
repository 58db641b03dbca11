//! `fenix conformance` against the manager that comes with Fenix, each a process.

use crate::process::Process;
use crate::rig::{PROJECT, Rig, small_cloud};

/// Has a manager subscribe at a play, both with the same cloud; returns the exit code.
fn exit_code(manager: &[&str]) -> i32 {
    let rig = Rig::start(&small_cloud());
    let play = Process::start(&[
        "conformance",
        "--project",
        PROJECT,
        "--window",
        "10",
        "--cloud",
        &rig.cloud.address,
    ]);
    let base = ["vnfm", "--project", PROJECT, "--url", &play.address, "--cloud", &rig.cloud.address];
    let _manager = Process::start(&[&base[..], manager].concat());
    play.wait().code().unwrap()
}

#[test]
fn the_manager_that_comes_with_fenix_keeps_the_contract() {
    for how in [&["--format", "aodh"][..], &["--format", "cloudevents"], &["--mode", "own-action"]] {
        assert_eq!(exit_code(how), 0, "{how:?}");
    }
}

#[test]
fn its_unhelpful_modes_do_not() {
    for how in ["silent", "lying", "nack"] {
        assert_eq!(exit_code(&["--mode", how]), 1, "{how}");
    }
}
