//! `rack.toml`: refused by name, or a cloud in which nothing is over-committed, then and an hour later.

use std::error::Error;

use fenix_cloud::sim::{Act, Spec, World};
use fenix_core::time::Time;

use crate::input::Known;

/// More hosts and instances than this take longer, and show nothing else.
const MAX_THINGS: usize = 400;

/// Times at which the cloud is looked at, in milliseconds.
const LOOKS: [u64; 4] = [1, 1_000, 60_000, 3_600_000];

/// Most things per hour that others do in a cloud which is watched for an hour.
const MAX_BUSY: u32 = 500;

/// The example.
pub fn seeds() -> Vec<Known> {
    vec![super::file("host/cloud/rack.toml")]
}

/// Builds the cloud twice: as it is written, and as it is written back.
pub fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let spec = match Spec::parse(text) {
        Ok(spec) => spec,
        Err(error) => return is_named(&error, text.len()),
    };
    let things: usize = spec.host.len()
        + spec.instance.len()
        + spec.rack.iter().map(|rack| rack.count as usize).sum::<usize>()
        + spec.crowd.iter().map(|crowd| crowd.count as usize).sum::<usize>();
    if things > MAX_THINGS {
        // Too many are refused before anything is made of them; what is between is not tried.
        if things > 2 * (fenix_cloud::sim::spec::MAX_HOSTS + fenix_cloud::sim::spec::MAX_INSTANCES) {
            World::new(&spec, 1, Time(0)).expect_err("there are too many");
        }
        return;
    }
    let mut world = match World::new(&spec, 1, Time(0)) {
        Ok(world) => world,
        Err(error) => return is_named(&error, text.len()),
    };
    let written = toml::to_string(&spec).expect("a specification can be written");
    let again = Spec::parse(&written).unwrap_or_else(|error| panic!("{error:?}\n{written}"));
    assert_eq!(again, spec, "{written}");
    assert!(World::new(&again, 1, Time(0)).is_ok_and(|again| again == world), "another cloud");
    let others = &spec.others;
    let busy = others
        .boot_per_hour
        .max(others.delete_per_hour)
        .max(others.resize_per_hour)
        .max(others.move_per_hour);
    let busy = busy.max(others.stop_per_hour).max(others.disable_per_hour).max(others.enable_per_hour);
    let looks = if busy.max(others.crash_per_hour) > MAX_BUSY { &LOOKS[..2] } else { &LOOKS[..] };
    // A group that gets tighter limits keeps its members where they are.
    let changes_groups = spec.script.iter().any(|line| matches!(line.op, Act::SetGroup(_)));
    for at in looks {
        world.advance(Time(*at));
        let problems =
            world.problems().into_iter().filter(|problem| !(changes_groups && problem.starts_with("group ")));
        assert_eq!(problems.collect::<Vec<_>>(), [""; 0], "after {at} ms");
        assert!(world.now() >= Time(*at));
    }
}

fn is_named(error: &dyn Error, about: usize) {
    super::is_told(&error.to_string(), about);
    if let Some(cause) = error.source() {
        super::is_told(&cause.to_string(), about);
    }
}
