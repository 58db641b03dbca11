//! Whatever a workflow does, the call ends with a named error, and the next one is as if nothing had been.

use fenix_core::id::Digest;
use fenix_core::view::{Trigger, Verdict, Wakeup};
use fenix_engine::ports::{WorkflowError, Workflows};
use fenix_wasm::Plugins;

use crate::guest::workflow;
use crate::scene::{WAKEUP, view};

fn decide(component: &[u8]) -> Result<Verdict, WorkflowError> {
    let plugins = Plugins::new(None).unwrap();
    let bad = plugins.attach(component).unwrap();
    let verdict = plugins.decide(&bad.digest, &view(), &WAKEUP);
    assert_eq!(plugins.decide(&bad.digest, &view(), &WAKEUP), verdict, "the same again");
    let good = plugins.attach(&workflow("", "")).unwrap();
    plugins.decide(&good.digest, &view(), &WAKEUP).expect("the host lives");
    verdict
}

/// Runs a workflow that must be ended, and finds all of `names` in the reason.
fn check(body: &str, more: &str, names: &[&str]) {
    let error = decide(&workflow(body, more)).unwrap_err();
    let WorkflowError::Trapped(why) = &error else { panic!("{error:?}") };
    for name in names {
        assert!(why.contains(name), "{name}: {why}");
    }
    assert!(why.starts_with("guest: ") && why.len() < 1200, "{why}");
    assert!(!why.chars().any(char::is_control), "{why:?}");
}

/// Does something over and over.
fn forever(body: &str) -> String {
    format!("(loop $again {body} (br $again))")
}

#[test]
fn an_endless_loop_is_ended_and_the_function_named() {
    let spin = "(func $spin (loop $again (br $again)))";
    check("(call $spin)", spin, &["computed for too long", "in spin < "]);
}

/// A workflow that computes for long when it is woken by a timer, and then decides like any other.
fn thinker() -> Vec<u8> {
    let counting = "(loop $again
         (global.set $n (i32.add (global.get $n) (i32.const 1)))
         (br_if $again (i32.lt_u (global.get $n) (i32.const 1500000))))";
    let body = format!("(if (i32.eq (local.get $trigger) (i32.const {TIMER})) (then {counting}))");
    workflow(&body, "(global $n (mut i32) (i32.const 0))")
}

/// The place of `timer` among the triggers of the contract.
const TIMER: u32 = 2;

/// A workflow, and where it runs: with no other, since all have the same session here.
struct Alone {
    plugins: Plugins,
    digest: Digest,
}

impl Alone {
    fn of(component: &[u8]) -> Alone {
        let plugins = Plugins::new(None).unwrap();
        let digest = plugins.attach(component).unwrap().digest;
        Alone { plugins, digest }
    }

    fn decide(&self, wakeup: &Wakeup) -> Result<Verdict, WorkflowError> {
        self.plugins.decide(&self.digest, &view(), wakeup)
    }

    fn decide_at_once(&self, wakeup: &Wakeup) -> Option<Result<Verdict, WorkflowError>> {
        self.plugins.decide_at_once(&self.digest, &view(), wakeup)
    }
}

#[test]
fn nobody_waits_for_one_that_takes_long() {
    let (thinker, spinner) = (Alone::of(&thinker()), Alone::of(&workflow(&forever("(nop)"), "")));
    let timer = Wakeup { trigger: Trigger::Timer, ..WAKEUP };
    for _ in 0..2 {
        assert_eq!(thinker.decide_at_once(&timer), None);
        assert_eq!(spinner.decide_at_once(&timer), None);
    }
    assert!(matches!(Alone::of(&workflow("", "")).decide_at_once(&timer), Some(Ok(_))));
    // Elsewhere it has all the fuel that there is.
    assert!(thinker.decide(&timer).is_ok());
    assert!(matches!(spinner.decide(&timer), Err(WorkflowError::Trapped(_))));
    assert_eq!(thinker.decide_at_once(&WAKEUP), None, "it took long the last time");
    // On a machine that does other work a decision may take long though it is none.
    let is_quick_again = |_| {
        thinker.decide(&WAKEUP).unwrap();
        thinker.decide_at_once(&WAKEUP).is_some()
    };
    assert!((0..1000).any(is_quick_again));
    assert_eq!(spinner.decide_at_once(&WAKEUP), None);
}

#[test]
fn a_loop_at_the_start_is_ended_too() {
    check("", "(func $spin (loop $again (br $again))) (start $spin)", &["computed for too long"]);
}

#[test]
fn eaters_of_memory_and_tables_are_ended() {
    let eat = forever("(drop (memory.grow (i32.const 16)))");
    check(&eat, "", &["more than 64 MiB of memory"]);
    check("", r#"(memory (export "memory") 2000)"#, &["more than 64 MiB of memory"]);
    let eat = forever("(drop (table.grow $t (ref.null func) (i32.const 1000)))");
    check(&eat, "(table $t 1 funcref)", &["table of more than 50000 elements"]);
}

#[test]
fn deep_recursion_is_ended() {
    let dive = "(func $dive (param i32) (call $dive (local.get 0)) (call $dive (local.get 0)))";
    check("(call $dive (i32.const 0))", dive, &["too deeply", "dive"]);
}

#[test]
fn a_panic_is_told_in_its_own_words_and_steers_no_terminal() {
    check("(unreachable)", "", &["gave up, without saying why", "; in decide"]);
    let text = r#"(data (i32.const 100) "boom \1b[31m\0anext")"#;
    check(
        "(call $log (i32.const 3) (i32.const 100) (i32.const 15)) (unreachable)",
        text,
        &["gave up: boom \u{fffd}[31m nex"],
    );
}

#[test]
fn wild_addresses_are_ended() {
    check("(drop (i32.load (i32.const -16)))", "", &["out of bounds"]);
    check("(call $log (i32.const 1) (i32.const -16) (i32.const 100))", "", &["out of bounds"]);
    check("(call $log (i32.const 9) (i32.const 16) (i32.const 13))", "", &["guest: "]);
}

#[test]
fn giant_texts_are_ended_before_they_are_copied() {
    let memory = r#"(memory (export "memory") 200)"#;
    check("(call $log (i32.const 1) (i32.const 0) (i32.const 12000000))", memory, &["too much data"]);
    check("(call $fail (i32.const 0) (i32.const 513))", "", &["513 bytes as a reason; at most 512"]);
    let fence = "(call $fence (i32.const 0) (i32.const 256) (i32.const 16) (i32.const 13))";
    check(fence, "", &["256 bytes as a host"]);
    let fence = "(call $fence (i32.const 0) (i32.const 0) (i32.const 16) (i32.const 13))";
    check(fence, "", &["empty text as a host"]);
    let note = |key: u32, value: u32| {
        format!(
            "(call $plan_note (i32.const 0) (i32.const {key}) (i32.const 1) (i32.const 0) (i32.const {value})
                (i32.const 16) (i32.const 13))"
        )
    };
    check(&note(321, 1), "", &["321 bytes as a note's key"]);
    check(&note(0, 1), "", &["empty text as a note's key"]);
    check(&note(1, 1025), "", &["1025 bytes as a note"]);
    check("(call $fail (i32.const 100) (i32.const 2))", r#"(data (i32.const 100) "\ff\fe")"#, &["utf-8"]);
}

#[test]
fn floods_are_ended() {
    check(&forever("(call $fail (i32.const 16) (i32.const 13))"), "", &["more than 1024 decisions"]);
    let ask = forever("(drop (call $work (i32.const 0) (i32.const 0) (i32.const 0)))");
    check(&ask, "", &["called the host more than 200000 times"]);
}

#[test]
fn a_nonsense_answer_is_ended() {
    check("(i32.store8 (i32.const 1024) (i32.const 7))", "", &["guest: "]);
    // A text of 4 GiB that it waits for.
    check("(i32.store (i32.const 1032) (i32.const -1))", "", &["guest: "]);
}

#[test]
fn a_flood_of_lines_is_cut_and_harms_nothing() {
    let lines = "(loop $again
        (call $log (i32.const 1) (i32.const 0) (i32.const 5000))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $again (i32.lt_u (local.get $i) (i32.const 10000))))";
    let verdict = decide(&workflow(lines, "")).unwrap();
    assert_eq!(verdict.log.len(), 65);
    assert!(verdict.log.iter().all(|line| line.len() < 1100));
    assert_eq!(verdict.log.last().map(String::as_str), Some("warn: 9936 further lines were dropped"));
}

#[test]
fn questions_about_what_is_not_there_get_no_answer_and_no_harm() {
    let ask = "
        (call $host (i32.const 16) (i32.const 13) (i32.const 2000))
        (if (i32.load8_u (i32.const 2000)) (then (unreachable)))
        (call $instances (i32.const 16) (i32.const 13) (i32.const 1) (i32.const 16) (i32.const 13) (i32.const -1)
            (i32.const 2000))
        (if (i32.load (i32.const 2004)) (then (unreachable)))
        (call $place (i32.const 16) (i32.const 13) (i32.const 2000))
        (call $note (i32.const 16) (i32.const 13) (i32.const 2000))
        (if (i32.load8_u (i32.const 2000)) (then (unreachable)))
        (if (call $work (i32.const 1) (i32.const 16) (i32.const 13)) (then (unreachable)))
        (call $fence (i32.const 16) (i32.const 13) (i32.const 16) (i32.const 13))";
    let verdict = decide(&workflow(ask, "")).unwrap();
    assert_eq!(verdict.planned.len(), 1, "whether it may be is for the rules to say");
}

#[test]
fn what_the_workflow_says_itself_is_passed_on() {
    // The second case of the error, with the text at 16.
    let error = "
        (i32.store8 (i32.const 1024) (i32.const 1))
        (i32.store8 (i32.const 1028) (i32.const 1))
        (i32.store (i32.const 1032) (i32.const 16))
        (i32.store (i32.const 1036) (i32.const 13))
        (call $fail (i32.const 16) (i32.const 13))";
    let error = decide(&workflow(error, "")).unwrap_err();
    assert_eq!(error, WorkflowError::GaveUp("guest: a fault of the workflow: no such thing".to_owned()));
}

#[test]
fn what_an_instance_wrote_the_next_one_does_not_find() {
    // In the memory that it begins with, on its data, in what it grows by, and beyond what is kept for the next one.
    let places = [(16, i32::from(b'n')), (70_000, 0), (2 * 65_536, 0), (40 * 65_536, 0)];
    let mut body = "(drop (memory.grow (i32.const 62)))".to_owned();
    for (at, expected) in places {
        body.push_str(&format!(
            "(if (i32.ne (i32.load8_u (i32.const {at})) (i32.const {expected})) (then (call $found)))
             (i32.store8 (i32.const {at}) (i32.const 255))"
        ));
    }
    let found = "(func $found (unreachable))";
    let ends = workflow(&body, found);
    let traps = workflow(&format!("{body} (call $traps)"), &format!("{found} (func $traps (unreachable))"));
    let plugins = Plugins::new(None).unwrap();
    let [ends, traps] = [ends, traps].map(|component| plugins.attach(&component).unwrap().digest);
    for _ in 0..20 {
        plugins.decide(&ends, &view(), &WAKEUP).unwrap();
        let WorkflowError::Trapped(why) = plugins.decide(&traps, &view(), &WAKEUP).unwrap_err() else {
            panic!()
        };
        assert!(why.contains("in traps"), "{why}");
    }
}
