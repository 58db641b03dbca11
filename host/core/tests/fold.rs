//! A record that does not follow from those before it is refused by name, and changes nothing.

#![expect(clippy::unwrap_used, reason = "a test says so by failing")]

use fenix_core::fold::fold;
use fenix_core::policy::Terms;
use fenix_core::record::{Body, Record};
use fenix_core::session::{Pin, Plan};
use fenix_core::state::{FoldError, State};
use fenix_core::time::Time;
use serde_json::{Value, json};

fn record(seq: u64, session: Option<&str>, body: Body) -> Record {
    Record { seq, at: Time(seq), session: session.map(Into::into), body }
}

fn opened() -> Body {
    let plan = Plan {
        maintenance_at: Time(0),
        window_end: None,
        metadata: "{}".into(),
        workflow: Pin { name: "default".into(), version: "0.1.0".into(), digest: "d".into(), undoes: false },
        actions: Vec::new(),
        terms: Terms::default(),
        own_host: None,
    };
    Body::Opened { plan, rules: 1 }
}

/// A session in which nothing has happened.
fn begun() -> State {
    let mut state = State::default();
    state.apply(&record(1, Some("s"), opened())).unwrap();
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

/// At once, they fold to what those fold to one by one that are not in the way; the others are named by their misfits.
fn check_at_once(records: &[(Option<&str>, Body)], without: &[u64], misfits: &[&str]) {
    let numbered = (1..).zip(records.iter().cloned());
    let records: Vec<Record> = numbered.map(|(seq, (session, body))| record(seq, session, body)).collect();
    let mut one_by_one = State::default();
    for record in records.iter().filter(|record| !without.contains(&record.seq)) {
        one_by_one.apply(record).unwrap();
    }
    let last = records.last().unwrap();
    let folded = fold(&records).unwrap();
    assert_eq!(folded.state, State { seq: last.seq, at: last.at, ..one_by_one });
    let told: Vec<String> = folded.misfits.iter().map(FoldError::to_string).collect();
    assert_eq!(told.len(), misfits.len(), "{told:?}");
    assert!(told.iter().zip(misfits).all(|(told, expected)| told.contains(expected)), "{told:?}");
}

#[test]
fn what_does_not_fit_costs_its_session_what_follows_it() {
    let body = |value: Value| serde_json::from_value::<Body>(value).unwrap();
    let noted = |key: &str| body(json!({"noted": {"key": key, "value": "v"}}));
    let joined = body(json!({"host_joined": {"host": "a", "work": {"kind": "compute", "found": "enabled",
        "stage": "waiting", "since": 0, "fenced": false}}}));
    let left_out =
        body(json!({"host_moved": {"host": "a", "stage": {"quarantined": {"why": "w", "begun": true}},
        "fenced": true}}));
    let cleared = body(json!({"quarantine_cleared": {"host": "a"}}));
    let gone = body(json!({"observed": {"change": {"host_gone": "a"}}}));
    let (s, t) = (Some("s"), Some("t"));
    check_at_once(
        &[(s, opened()), (s, opened()), (t, opened()), (s, noted("k")), (t, noted("k"))],
        &[2, 4],
        &["record 2 does not fit what went before: the session is there already"],
    );
    check_at_once(
        &[(t, noted("k")), (s, opened()), (s, Body::Removed), (s, noted("k"))],
        &[1, 4],
        &[
            "record 1 does not fit what went before: no session t",
            "record 4 does not fit what went before: no session s",
        ],
    );
    // What became of a host is told in the order of all records.
    check_at_once(
        &[(s, opened()), (s, joined.clone()), (s, left_out.clone()), (None, cleared.clone())],
        &[],
        &[],
    );
    check_at_once(&[(s, opened()), (s, joined.clone()), (None, cleared), (s, left_out.clone())], &[], &[]);
    check_at_once(
        &[(s, opened()), (s, joined.clone()), (None, gone.clone()), (s, left_out.clone())],
        &[],
        &[],
    );
    check_at_once(&[(s, opened()), (s, joined), (s, left_out), (None, gone)], &[], &[]);
}

#[test]
fn at_once_as_one_by_one_a_record_of_the_installation_that_does_not_fit_is_an_error() {
    let stray: Body = serde_json::from_value(json!({"failed": {"reason": "r"}})).unwrap();
    let misfit = fold(&[record(1, None, stray.clone())]).unwrap_err();
    assert_eq!(misfit, State::default().apply(&record(1, None, stray)).unwrap_err());
}
