//! A record that does not follow from those before it is refused by name, and changes nothing.

#![expect(clippy::unwrap_used, reason = "a test says so by failing")]

use fenix_core::policy::Terms;
use fenix_core::record::{Body, Record};
use fenix_core::session::{Pin, Plan};
use fenix_core::state::State;
use fenix_core::time::Time;
use serde_json::{Value, json};

fn record(seq: u64, session: Option<&str>, body: Body) -> Record {
    Record { seq, at: Time(seq), session: session.map(Into::into), body }
}

/// A session in which nothing has happened.
fn begun() -> State {
    let plan = Plan {
        maintenance_at: Time(0),
        window_end: None,
        metadata: "{}".into(),
        workflow: Pin { name: "default".into(), version: "0.1.0".into(), digest: "d".into() },
        actions: Vec::new(),
        terms: Terms::default(),
    };
    let mut state = State::default();
    state.apply(&record(1, Some("s"), Body::Opened { plan, rules: 1 })).unwrap();
    state
}

fn check(session: Option<&str>, body: Value, expected: &str) {
    let body: Body = serde_json::from_value(body).unwrap();
    let before = begun();
    let mut state = before.clone();
    let misfit = state.apply(&record(2, session, body)).unwrap_err();
    assert!(misfit.to_string().contains(expected), "{misfit}");
    assert_eq!((misfit.seq, misfit.session.as_ref().map(|id| id.as_str())), (2, session));
    assert_eq!(state, State { seq: 2, at: Time(2), ..before }, "{misfit}");
}

#[test]
fn what_names_something_that_never_was_changes_nothing() {
    let session = |body, expected| check(Some("s"), body, expected);
    session(json!({"host_moved": {"host": "a", "stage": "maintained", "fenced": false}}), "no host a");
    session(json!({"effect_ended": {"effect": 7, "outcome": "done"}}), "no effect 7");
    session(json!({"effect_unclear": {"effect": 7}}), "no effect 7");
    session(json!({"ask_delivered": {"ask": 7, "reply_by": 9}}), "no ask 7");
    session(json!({"ask_extended": {"ask": 7, "reply_by": 9}}), "no ask 7");
    session(json!({"ask_ended": {"ask": 7, "status": "void"}}), "no ask 7");
    session(json!({"partly_replied": {"ask": 7, "instance": "i", "how": "MIGRATE"}}), "no ask 7");
    let reply = json!({"kind": "MAINTENANCE", "agrees": true, "actions": {}});
    session(json!({"replied": {"project": "p", "ask": 7, "reply": reply}}), "no ask 7");
    session(json!({"message_ended": {"message": 7, "delivery": "delivered"}}), "no message 7");
    let run = json!({"action": 0, "calls": 1, "checkpoint": null, "percent": 0, "report": null});
    session(json!({"action_called": {"target": "pre", "run": run}}), "no work on that target");
    check(Some("t"), json!({"failed": {"reason": "r"}}), "no session t");
    check(None, json!({"failed": {"reason": "r"}}), "failed needs a session");
    check(Some("s"), json!({"unsubscribed": {"id": "x"}}), "it is not a session's");
}

#[test]
fn a_number_that_none_can_follow_is_refused() {
    let last = u32::MAX;
    let ask = json!({"id": last, "project": "p", "kind": "MAINTENANCE", "round": 1, "instances": [], "host": null,
        "opened_at": 0, "window": 0, "delivered_at": null, "reply_by": 0, "status": "open", "ended_at": null});
    let effect = json!({"id": last, "kind": {"fence": {"host": "a"}}, "reason": "r", "admitted_at": 0, "deadline": 0,
        "unclear_at": null, "unknown": null});
    let message = json!({"id": last, "to": "x", "content": {"action_done": "i"}, "queued_at": 0, "not_before": 0,
        "valid_until": 0});
    for body in [
        json!({"asked": {"ask": ask, "reason": "r"}}),
        json!({"admitted": {"effect": effect}}),
        json!({"queued": {"message": message}}),
    ] {
        check(Some("s"), body, "no number can follow 4294967295");
    }
}
