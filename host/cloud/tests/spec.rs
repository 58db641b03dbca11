//! A specification that does not hold is refused by the name of what is wrong in it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::error::Error;

use fenix_cloud::sim::trace::Happening;
use fenix_cloud::sim::{Spec, World};
use fenix_core::time::Time;

/// Two hosts, one project, one group, one instance on the first host.
const GOOD: &str = r#"
project = [{ id = "p" }, { id = "q" }]
rack = [{ count = 2, name = "h{}", capacity = { vcpus = 2, memory_mb = 2, disk_gb = 2 } }]
group = [{ id = "g", project = "p", anti_affinity = true }]
crowd = [{ count = 1, name = "c{}", project = "p", resources = { vcpus = 1, memory_mb = 1, disk_gb = 1 } }]

[[instance]]
id = "a"
project = "p"
group = "g"
host = "h1"
resources = { vcpus = 1, memory_mb = 1, disk_gb = 1 }
"#;

/// All that the error says, with its causes.
fn error_of(toml: &str) -> String {
    let error = match Spec::parse(toml) {
        Ok(spec) => World::new(&spec, 1, Time(0)).err(),
        Err(error) => Some(error),
    };
    let error = error.unwrap_or_else(|| panic!("nothing wrong with {toml}"));
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        said = format!("{said}: {error}");
        cause = error.source();
    }
    said
}

#[track_caller]
fn check(from: &str, to: &str, says: &str) {
    assert!(GOOD.contains(from), "{from:?} is not there");
    let said = error_of(&GOOD.replacen(from, to, 1));
    assert!(said.contains(says), "{said:?} does not say {says:?}");
}

#[track_caller]
fn check_more(more: &str, says: &str) {
    let said = error_of(&format!("{GOOD}{more}"));
    assert!(said.contains(says), "{said:?} does not say {says:?}");
}

#[test]
fn a_good_specification_is_a_world() {
    let world = World::new(&Spec::parse(GOOD).unwrap(), 1, Time(0)).unwrap();
    assert_eq!(world.summary().instances, 2);
}

#[test]
fn the_example_is_a_world_in_which_its_script_is_played() {
    let spec = Spec::parse(include_str!("../rack.toml")).unwrap();
    let mut world = World::new(&spec, 1, Time(0)).unwrap();
    let refused = |world: &mut World| {
        let trace = world.take_trace();
        trace.iter().any(|event| matches!(event.what, Happening::Refused { .. }))
    };
    assert!(!refused(&mut world));
    // Before chance has come in between, all that is planned can be done.
    world.advance(Time(70_000));
    assert!(!refused(&mut world));
}

#[test]
fn names_must_be_known_and_used_once() {
    check(r#"host = "h1""#, r#"host = "h9""#, r#"instance a names host "h9""#);
    check(r#"group = "g""#, r#"group = "x""#, r#"instance a names group "x""#);
    check(r#"project = "p", anti"#, r#"project = "x", anti"#, r#"group g names project "x""#);
    check(r#"project = "p", res"#, r#"project = "x", res"#, r#"instance c1 names project "x""#);
    check(
        r#"project = "p", anti"#,
        r#"project = "q", anti"#,
        "instance a of project p is in group g of another",
    );
    check(r#"name = "c{}""#, r#"name = "a""#, r#"instance "a" is there twice"#);
    check(r#"name = "h{}""#, r#"name = "h""#, r#"the name "h" of 2 hosts has no {}"#);
    check(r#"id = "a""#, r#"id = """#, r#"instance name """#);
    check_more("[others]\nprojects = [\"z\"]", r#"others names project "z""#);
    // Before it is made as often as `count` says.
    let long = "{}".repeat(200);
    check(r#"name = "h{}""#, &format!("name = {long:?}"), "host name \"{}{}");
    check(r#"name = "h{}""#, &format!("name = \"h{{}}\", zone = {long:?}"), "zone name \"{}{}");
    check(r#"name = "c{}""#, &format!("name = {long:?}"), "instance name \"{}{}");
}

#[test]
fn instances_must_fit() {
    check(
        "vcpus = 1, memory_mb = 1, disk_gb = 1 }\n",
        "vcpus = 3, memory_mb = 1, disk_gb = 1 }\n",
        "instance a cannot be placed",
    );
    check("count = 1", "count = 4", "instance c4 cannot be placed: no enabled host has room for it");
}

#[test]
fn numbers_must_be_in_their_ranges() {
    check("count = 2", "count = 10001", "the number of hosts = 10001 is not at most 10000");
    check("count = 1", "count = 4294967295", "the number of instances");
    check_more("[failures]\ncold_hangs = 1.5", "failures.cold_hangs = 1.5 is not a probability");
    check_more("[failures]\nlive_stays = nan", "failures.live_stays = NaN is not a probability");
    check_more(
        "[failures]\ncold_stays = 0.6\ncold_hangs = 0.6",
        "failures.cold_breaks + failures.cold_stays",
    );
    check_more("[wire]\nlost = -0.1", "wire.lost = -0.1 is not a probability");
    check_more("[times]\ncold_ms = { min = 2, max = 1 }", "times.cold_ms = 2 to 1");
    check_more("[times]\nboot_ms = 9999999999", "times.boot_ms = 9999999999 is not at most");
    check_more("[others]\nboot_per_hour = 40000", "others.boot_per_hour = 40000 is not at most 36000");
}

#[test]
fn what_cannot_be_read_is_shown_with_its_line() {
    check("count = 2", "counts = 2", "unknown field `counts`");
    check_more(
        "[times]\ncold_ms = \"soon\"",
        "expected milliseconds as a number, or { min = number, max = number }",
    );
    check_more("[[script]]\nat_ms = 1\nop = { explode = 1 }", "unknown variant `explode`");
    check_more("[nonsense]\n", "line 13");
}
