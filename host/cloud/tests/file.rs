//! The state file survives what files go through, and says what it cannot survive.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};

use fenix_cloud::sim::{Durable, Spec, StateError, Target};
use fenix_core::time::Time;
use fenix_engine::ports::CloudCall;

/// A directory, a file in it with `commits` commits, and nobody who has it open.
struct Kept {
    _directory: tempfile::TempDir,
    path: PathBuf,
}

impl Kept {
    fn new(commits: u64) -> Kept {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state");
        let mut durable = open(&path);
        for number in 0..commits {
            reboot(&mut durable, number);
        }
        Kept { _directory: directory, path }
    }

    fn edit(&self, edit: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = fs::read(&self.path).unwrap();
        edit(&mut bytes);
        fs::write(&self.path, bytes).unwrap();
    }

    fn error(&self) -> String {
        Durable::open(&Spec::doctor(2), 1, &self.path, Time(0)).unwrap_err().to_string()
    }
}

fn open(path: &Path) -> Durable {
    Durable::open(&Spec::doctor(2), 1, path, Time(0)).unwrap().0
}

fn reboot(durable: &mut Durable, number: u64) {
    let host = "compute-1".into();
    durable.call(Time(number * 3_600_000), &CloudCall::Reboot { host, boot: None }).unwrap();
    durable.commit().unwrap();
}

/// How often the first host was started, after all that is due.
fn boots(durable: &mut Durable) -> u32 {
    durable.advance(Time(u64::MAX));
    durable.world().summary().hosts[0].boots
}

#[test]
fn what_was_committed_is_there_again() {
    let kept = Kept::new(3);
    let mut durable = open(&kept.path);
    assert_eq!(durable.entries(), 3);
    assert_eq!(boots(&mut durable), 4);
}

#[test]
fn what_was_not_committed_never_happened() {
    let kept = Kept::new(1);
    let mut durable = open(&kept.path);
    durable.call(Time(9_000_000), &CloudCall::Reboot { host: "compute-1".into(), boot: None }).unwrap();
    drop(durable);
    assert_eq!(boots(&mut open(&kept.path)), 2);
}

#[test]
fn a_clock_that_went_back_makes_no_difference_afterwards() {
    let kept = Kept::new(2);
    let mut durable = open(&kept.path);
    durable.advance(Time(50_000_000));
    for host in ["compute-1", "compute-2"] {
        durable.call(Time(7), &CloudCall::Reboot { host: host.into(), boot: None }).unwrap();
    }
    durable.commit().unwrap();
    let (world, trace) = (durable.world().clone(), durable.trace(0, 1_000));
    drop(durable);
    let durable = open(&kept.path);
    assert_eq!((durable.world(), durable.trace(0, 1_000)), (&world, trace));
}

#[test]
fn a_torn_last_line_is_cut_off_wherever_it_was_torn() {
    let whole = fs::read(&Kept::new(2).path).unwrap();
    let last = whole[..whole.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    for torn_at in last..whole.len() {
        let kept = Kept::new(0);
        fs::write(&kept.path, &whole[..torn_at]).unwrap();
        let (mut durable, torn) = Durable::open(&Spec::doctor(2), 1, &kept.path, Time(0)).unwrap();
        assert_eq!(torn, (torn_at - last) as u64);
        reboot(&mut durable, 7);
        drop(durable);
        let (mut again, torn) = Durable::open(&Spec::doctor(2), 1, &kept.path, Time(0)).unwrap();
        assert_eq!((torn, boots(&mut again)), (0, 3));
    }
}

#[test]
fn a_last_line_of_garbage_is_cut_off() {
    let kept = Kept::new(2);
    kept.edit(|bytes| {
        let last = bytes.len() - 5;
        bytes[last] ^= 1;
    });
    assert_eq!(boots(&mut open(&kept.path)), 2);
}

#[test]
fn damage_before_the_last_line_is_named_and_never_passed_over() {
    let kept = Kept::new(3);
    kept.edit(|bytes| {
        let second = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 20;
        bytes[second] ^= 1;
    });
    assert!(kept.error().contains("is damaged in line 2: the checksum does not match"), "{}", kept.error());
}

#[test]
fn a_file_of_another_world_is_refused() {
    let kept = Kept::new(1);
    let open = |spec: &Spec, seed| Durable::open(spec, seed, &kept.path, Time(0)).map(|_| ());
    assert!(matches!(
        open(&Spec::doctor(3), 1),
        Err(StateError::MadeFromOther { what: "specification", .. })
    ));
    assert!(matches!(open(&Spec::doctor(2), 2), Err(StateError::MadeFromOther { what: "seed", .. })));
    assert!(open(&Spec::doctor(2), 1).is_ok());
}

#[test]
fn a_file_in_use_is_refused() {
    let kept = Kept::new(1);
    let open = open(&kept.path);
    assert!(kept.error().contains("is in use by another process"), "{}", kept.error());
    drop(open);
}

#[test]
fn a_large_file_begins_anew_from_the_world_as_it_is_and_loses_nothing() {
    let kept = Kept::new(0);
    let mut durable = open(&kept.path);
    let calls = 300_000;
    for number in 0..calls {
        let reason = format!("reason {number}");
        durable.call(Time(number), &CloudCall::Disable { host: "compute-1".into(), reason }).unwrap();
        if number % 1_000 == 999 {
            durable.commit().unwrap();
        }
    }
    let (world, trace) = (durable.world().clone(), durable.trace(calls - 10, 5));
    drop(durable);
    let text = fs::read_to_string(&kept.path).unwrap();
    let second = text.lines().nth(1).unwrap();
    assert!(second.contains("{\"snapshot\":"), "it still begins with the first change");
    let durable = open(&kept.path);
    assert_eq!(durable.world(), &world);
    assert_eq!(durable.trace(calls - 10, 5), trace);
    assert_eq!(durable.entries(), calls);
}

#[test]
fn a_state_file_that_cannot_be_made_is_named() {
    let nowhere = Path::new("no-such-directory/state");
    let error = Durable::open(&Spec::doctor(2), 1, nowhere, Time(0)).unwrap_err();
    assert_eq!(error.to_string(), "cannot open no-such-directory/state");
}
