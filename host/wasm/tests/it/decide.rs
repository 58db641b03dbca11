//! Verdicts: what a workflow reads, plans and waits for arrives unchanged, and the same twice.

use fenix_core::decision::{Decision, Waiting};
use fenix_core::id::Digest;
use fenix_core::time::Time;
use fenix_core::view::Verdict;
use fenix_engine::ports::{WorkflowError, Workflows};
use fenix_wasm::Plugins;

use crate::guest::{action, workflow};
use crate::scene::{NOW, WAKEUP, view};

fn shipped(plugins: &Plugins, name: &str) -> Digest {
    plugins.attach(fenix_shipped::component(name).unwrap()).unwrap().digest
}

#[test]
fn the_same_state_gets_the_same_verdict_byte_for_byte() {
    let verdict = || -> Verdict {
        let plugins = Plugins::new(None).unwrap();
        plugins.decide(&shipped(&plugins, "default"), &view(), &WAKEUP).unwrap()
    };
    let first = verdict();
    assert!(!first.planned.is_empty(), "{first:?}");
    assert_eq!(format!("{first:?}"), format!("{:?}", verdict()));
}

#[test]
fn what_was_compiled_before_decides_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let verdict = || {
        let plugins = Plugins::new(Some(folder.path())).unwrap();
        plugins.decide(&shipped(&plugins, "default"), &view(), &WAKEUP).unwrap()
    };
    assert_eq!(verdict(), verdict());
}

#[test]
fn a_wait_is_passed_on_in_milliseconds() {
    // `ok`, on the text at 16, until `now` and two seconds.
    let wait = "
        (i32.store (i32.const 1028) (i32.const 16))
        (i32.store (i32.const 1032) (i32.const 13))
        (i32.store8 (i32.const 1036) (i32.const 1))
        (i32.store (i32.const 1040) (i32.add (local.get $now) (i32.const 2)))";
    let plugins = Plugins::new(None).unwrap();
    let guest = plugins.attach(&workflow(wait, "")).unwrap();
    let verdict = plugins.decide(&guest.digest, &view(), &WAKEUP).unwrap();
    let until = Some(Time((NOW.0 / 1000 + 2) * 1000));
    assert_eq!(verdict.waiting, Waiting { on: "no such thing".to_owned(), until });
}

#[test]
fn decisions_keep_their_order_reasons_and_groups() {
    let fail = "(call $fail (i32.const 16) (i32.const 13))";
    let body =
        format!("{fail} (call $begin) {fail} {fail} (call $begin) {fail} (call $end) (call $end) {fail}");
    let plugins = Plugins::new(None).unwrap();
    let guest = plugins.attach(&workflow(&body, "")).unwrap();
    let verdict = plugins.decide(&guest.digest, &view(), &WAKEUP).unwrap();
    let groups: Vec<u32> = verdict.planned.iter().map(|planned| planned.group).collect();
    assert_eq!(groups, [0, 1, 1, 2, 0]);
    let all_fail = verdict.planned.iter().all(|planned| planned.decision == Decision::Fail);
    assert!(all_fail && verdict.planned.iter().all(|planned| planned.reason == "no such thing"));
}

#[test]
fn what_cannot_be_started_says_why() {
    let plugins = Plugins::new(None).unwrap();
    let action = plugins.attach(&action("", "")).unwrap();
    let workflow = plugins.attach(&workflow("", "")).unwrap();
    let mut gone = view();
    gone.session = "t".into();
    for (digest, view, names) in [
        (Digest::from("00"), view(), "no plug-in 00 is attached"),
        (action.digest, view(), "guest is a plug-in of kind action"),
        (workflow.digest, gone, "session t was removed"),
    ] {
        match plugins.decide(&digest, &view, &WAKEUP) {
            Err(WorkflowError::Unusable(why)) => assert!(why.contains(names), "{names}: {why}"),
            other => panic!("{names}: {other:?}"),
        }
    }
}
