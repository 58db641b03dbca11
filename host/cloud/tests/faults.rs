//! Each thing that can go wrong on the wire does so when the specification says so, and only then.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use fenix_cloud::sim::spec::{Span, Wire};
use fenix_cloud::sim::trace::{Happening, TraceEvent};
use fenix_cloud::sim::{Answer, FaultyCloud, Mishap, Spec, World};
use fenix_core::time::{Millis, Time};
use fenix_engine::ports::{CloudCall, CloudError, CloudReply};

fn behind(wire: Wire) -> FaultyCloud {
    let world = World::new(&Spec::doctor(2), 1, Time(0)).unwrap();
    let mut cloud = FaultyCloud::new(world, wire, 1, 0);
    cloud.target_mut().take_trace();
    cloud
}

fn reboot() -> CloudCall {
    CloudCall::Reboot { host: "compute-1".into(), boot: None }
}

fn happened(cloud: &mut FaultyCloud) -> Vec<TraceEvent> {
    cloud.target_mut().take_trace()
}

fn reboots(trace: &[TraceEvent]) -> usize {
    trace.iter().filter(|event| matches!(event.what, Happening::HostRebooting { .. })).count()
}

fn is_up(cloud: &mut FaultyCloud, at: u64, host: &str) -> bool {
    match cloud.call(Time(at), &CloudCall::ReadHost { host: host.into() }).result {
        Ok(CloudReply::Host { host: Some(host), .. }) => host.up,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn is_silence(answer: Answer) {
    assert_eq!(answer.after, Millis(10_000));
    assert!(matches!(answer.result, Err(CloudError::Unclear(_))), "{answer:?}");
}

#[test]
fn a_good_wire_answers_within_its_time() {
    let mut cloud = behind(Wire { answer_ms: Span::Fixed(7), ..Wire::default() });
    let answer = cloud.call(Time(0), &reboot());
    assert_eq!(answer, Answer { result: Ok(CloudReply::Accepted), after: Millis(7) });
}

#[test]
fn a_lost_call_is_never_applied() {
    let mut cloud = behind(Wire { lost: 1.0, ..Wire::default() });
    is_silence(cloud.call(Time(0), &reboot()));
    is_silence(cloud.call(Time(0), &CloudCall::ReadAll));
    cloud.advance(Time(1_000_000));
    assert_eq!(happened(&mut cloud), []);
}

#[test]
fn a_call_whose_reply_is_lost_is_applied() {
    let mut cloud = behind(Wire { reply_lost: 1.0, ..Wire::default() });
    is_silence(cloud.call(Time(0), &reboot()));
    assert_eq!(reboots(&happened(&mut cloud)), 1);
}

#[test]
fn a_late_call_is_applied_after_its_caller_gave_up_hope() {
    let mut cloud = behind(Wire { late: 1.0, late_ms: 5_000, ..Wire::default() });
    is_silence(cloud.call(Time(0), &reboot()));
    assert_eq!(happened(&mut cloud), []);
    let arrives = cloud.next_event().unwrap();
    assert!(Time(0) < arrives && arrives <= Time(5_000));
    cloud.advance(Time(5_000));
    let trace = happened(&mut cloud);
    assert_eq!(reboots(&trace), 1);
    assert_eq!(trace[0].at, arrives);
}

#[test]
fn a_doubled_call_is_applied_twice_now_or_later() {
    let (mut at_once, mut later) = (0, 0);
    for seed in 0..20 {
        let world = World::new(&Spec::doctor(2), seed, Time(0)).unwrap();
        let wire = Wire { doubled: 1.0, late_ms: 60_000, ..Wire::default() };
        let mut cloud = FaultyCloud::new(world, wire, seed, 0);
        cloud.target_mut().take_trace();
        assert_eq!(cloud.call(Time(0), &reboot()).result, Ok(CloudReply::Accepted));
        let refused = happened(&mut cloud).iter().any(|e| matches!(e.what, Happening::Refused { .. }));
        at_once += usize::from(refused);
        cloud.advance(Time(60_000));
        // A second reboot that comes after the first one's end is a second reboot.
        later += reboots(&happened(&mut cloud));
    }
    assert!(at_once > 0 && later > 0, "{at_once} at once, {later} later");
}

#[test]
fn a_swallowed_call_is_accepted_and_never_applied() {
    let mut cloud = behind(Wire { swallowed: 1.0, ..Wire::default() });
    assert_eq!(cloud.call(Time(0), &reboot()).result, Ok(CloudReply::Accepted));
    cloud.advance(Time(1_000_000));
    assert_eq!(happened(&mut cloud), []);
    let read = CloudCall::ReadHost { host: "compute-1".into() };
    assert!(matches!(cloud.call(Time(1_000_000), &read).result, Ok(CloudReply::Host { host: Some(_), .. })));
    assert_eq!(cloud.mishaps().iter().collect::<Vec<_>>(), [(&Mishap::Swallowed, &1)]);
}

#[test]
fn a_stale_read_tells_what_the_same_read_told_before_and_not_for_ever() {
    let mut cloud = behind(Wire { stale: 1.0, stale_ms: 3_000, ..Wire::default() });
    assert!(is_up(&mut cloud, 0, "compute-1"), "nothing was said before");
    assert!(is_up(&mut cloud, 999, "compute-1"));
    cloud.call(Time(1_000), &reboot()).result.unwrap();
    assert!(is_up(&mut cloud, 3_000, "compute-1"), "as it was at 0");
    assert!(!is_up(&mut cloud, 3_001, "compute-1"), "older than it may be");
    assert!(is_up(&mut cloud, 3_002, "compute-2"));
    assert_eq!(cloud.mishaps().iter().collect::<Vec<_>>(), [(&Mishap::Stale, &2)]);
}

#[test]
fn two_runs_of_one_seed_are_one_run() {
    let run = |seed| {
        let wire = Wire { lost: 0.2, reply_lost: 0.2, late: 0.2, doubled: 0.2, ..Wire::default() };
        let world = World::new(&Spec::doctor(3), seed, Time(0)).unwrap();
        let mut cloud = FaultyCloud::new(world, wire, seed, 0);
        let answers: Vec<_> = (0..50).map(|n| cloud.call(Time(n * 1_000), &reboot())).collect();
        (answers, serde_json::to_string(&happened(&mut cloud)).unwrap())
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}
