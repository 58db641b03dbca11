//! The short run of every target. `make fuzz` is the long one.
#![allow(clippy::print_stdout, reason = "what a run came to is for people")]

use std::path::Path;

use fenix_fuzz::{TARGETS, short, target};
// It has the counters that code for the long run calls.
#[cfg(feature = "coverage")]
use libfuzzer_sys as _;

/// Fails with the first input for which something does not hold; it is kept beside the program.
#[track_caller]
fn check(name: &str) {
    let target = target(name).unwrap_or_else(|| panic!("there is no target {name}"));
    match short::run(target, Path::new(env!("CARGO_TARGET_TMPDIR"))) {
        Ok(ran) => println!("{name}: {} inputs, the slowest took {:?}", ran.inputs, ran.slowest),
        Err(why) => panic!("{why}"),
    }
}

#[test]
fn what_is_no_whole_backup_is_refused_and_what_is_one_is_restored() {
    check("archive");
}

#[test]
fn what_managers_and_administrators_write_means_what_it_says_or_is_refused_by_name() {
    check("bodies");
}

#[test]
fn whatever_is_called_the_answer_is_a_described_one() {
    check("calls");
}

#[test]
fn changed_code_is_never_run() {
    check("compiled");
}

#[test]
fn what_is_no_plugin_is_refused_with_a_reason() {
    check("component");
}

#[test]
fn a_configuration_is_refused_by_its_line_or_shown_as_it_is() {
    check("configuration");
}

#[test]
fn what_is_read_as_a_record_is_written_as_the_same() {
    check("frame");
}

#[test]
fn any_records_fold_or_are_named_and_the_engine_goes_on_from_them() {
    check("journal");
}

#[test]
fn a_simulated_cloud_is_refused_by_name_or_holds_together() {
    check("rack");
}

#[test]
fn a_file_of_tokens_is_refused_without_telling_one() {
    check("tokens");
}

/// A target that no test runs would be forgotten.
#[test]
fn every_target_is_run() {
    let source = include_str!("short.rs");
    for target in &TARGETS {
        assert!(source.contains(&format!("check({:?})", target.name)), "{}", target.name);
    }
}
