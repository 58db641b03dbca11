//! The verdict notices: with any one thing lost, done twice or done too late, it says which it was.

use fenix_cloud::sim::trace::{Actor, Happening, MoveEnd, MoveKind};
use fenix_core::ask::AskKind;
use fenix_core::id::{AskId, MessageId};
use fenix_core::inventory::{Host, HostKind, Instance, InstanceState, Movable, Resources, Service};
use fenix_core::message::Content;
use fenix_core::session::Phase;
use fenix_core::time::Time;
use fenix_engine::event::CallId;
use fenix_engine::ports::CloudCall;
use fenix_sim::scenario::session_id;
use fenix_sim::truth::{ActionEnd, Asked, Entry, Errand, Truth};
use fenix_sim::verdict::{Account, Measure};

/// When everything happens here, and the end of it: long after.
const AT: (Time, Time) = (Time(1000), Time(200_000));

fn by_fenix(what: Happening) -> Truth {
    Truth::Cloud(what, Actor::Client)
}

fn host(id: &str) -> Truth {
    let host = Host {
        id: id.into(),
        kind: HostKind::Compute,
        zone: "z".into(),
        capacity: Resources::default(),
        service: Service::Enabled,
        up: true,
        boot: "1".into(),
        dead: false,
    };
    Truth::Cloud(Happening::HostAdded { host }, Actor::Setup)
}

fn instance() -> Truth {
    let instance = Instance {
        id: "a".into(),
        name: "a".into(),
        project: "p".into(),
        group: None,
        host: "h1".into(),
        resources: Resources::default(),
        state: InstanceState::Active,
        other_end: None,
        movable: Movable::Any,
        progress: None,
    };
    Truth::Cloud(Happening::InstanceAdded { instance }, Actor::Setup)
}

fn serves() -> Truth {
    by_fenix(Happening::InService { instance: "a".into(), group: None })
}

fn restarts() -> [Truth; 2] {
    let up = Happening::HostUp { host: "h1".into(), boot: "2".into() };
    [by_fenix(Happening::HostRebooting { host: "h1".into() }), by_fenix(up)]
}

fn moves(from: &str, to: &str) -> [Truth; 2] {
    let (instance, from, kind) = ("a".into(), from.into(), MoveKind::Live);
    let started = Happening::MoveStarted { instance, from, to: to.into(), kind };
    let ended = Happening::MoveEnded { instance: "a".into(), host: to.into(), kind, end: MoveEnd::Arrived };
    [by_fenix(started), by_fenix(ended)]
}

fn fenced(host: &str) -> Truth {
    by_fenix(Happening::HostDisabled { host: host.into(), reason: "r".into() })
}

fn enabled(host: &str) -> Truth {
    by_fenix(Happening::HostEnabled { host: host.into() })
}

fn told(message: u32, content: Content, ask: Option<Asked>) -> Truth {
    let (to, session, message) = ("to-p".into(), "s".into(), MessageId(message));
    Truth::Attempted { to, session, message, content, ask, taken: true }
}

fn asked(message: u32, id: u32, kind: AskKind) -> Truth {
    let ask = Asked { id: AskId(id), kind, host: None, instances: Vec::new(), round: 1 };
    told(message, Content::Ask(AskId(id)), Some(ask))
}

fn done(key: &str) -> Truth {
    let (host, key) = (Some("h1".into()), key.to_owned());
    let (session, errand) = (session_id(0), Errand::Work);
    Truth::ActionReturned { life: 1, id: CallId(1), session, errand, host, key, end: ActionEnd::Done }
}

fn is_done() -> Truth {
    told(4, Content::Session { state: Phase::MaintenanceDone, percent: 100 }, None)
}

/// A session as it should be; what is there from the beginning, and what happened, a line for each thing that a test
/// may leave out or do again.
fn well() -> Vec<Vec<Truth>> {
    vec![
        vec![host("h1"), host("h2"), instance(), serves()],
        vec![asked(1, 1, AskKind::Maintenance)],
        vec![fenced("h1")],
        moves("h1", "h2").into(),
        restarts().into(),
        vec![done("s/h1/0")],
        vec![enabled("h1")],
        vec![asked(3, 3, AskKind::MaintenanceComplete)],
        vec![is_done()],
    ]
}

fn account(lines: Vec<Vec<Truth>>, ended: Time) -> Account {
    let entry = |what| Entry { at: AT.0, what };
    Account::of(&lines.into_iter().flatten().map(entry).collect::<Vec<_>>(), ended)
}

/// Changes what happened, and looks for that in the verdict; `None` if it is to be well.
fn check(change: impl FnOnce(&mut Vec<Vec<Truth>>), measure: Measure, expected: Option<&str>) {
    let mut lines = well();
    change(&mut lines);
    let found = account(lines, AT.1).against(&account(well(), AT.1), measure);
    match expected {
        Some(expected) => {
            assert!(found.iter().any(|wrong| wrong.contains(expected)), "{expected}: {found:?}")
        }
        None => assert_eq!(found, Vec::<String>::new()),
    }
}

#[test]
fn the_same_again_is_well() {
    check(|_| {}, Measure::Same, None);
    // A double of a message, and a call that was repeated since its result was lost with the process.
    check(|lines| lines.insert(2, vec![asked(1, 1, AskKind::Maintenance)]), Measure::Same, None);
    check(|lines| lines.insert(6, vec![Truth::Killed, done("s/h1/0")]), Measure::Same, None);
}

#[test]
fn what_is_lost_is_named() {
    let without =
        |line: usize, expected| check(|lines| drop(lines.remove(line)), Measure::Same, Some(expected));
    without(1, "was asked");
    without(4, "up after 0 restarts");
    without(5, "s/h1/0 was not done");
    without(6, "is Disabled");
    without(7, "got 0 MAINTENANCE_COMPLETEs");
    without(8, "last heard None");
    check(|lines| drop(lines[0].pop()), Measure::Same, Some("a does not serve on h2"));
    check(|lines| drop(lines[4].pop()), Measure::Same, Some("down after 1 restarts"));
}

#[test]
fn what_is_done_twice_is_named() {
    let before_end = |more: Vec<Truth>, expected| {
        check(|lines| lines.insert(6, more), Measure::Same, Some(expected));
    };
    before_end(restarts().into(), "up after 2 restarts");
    before_end(vec![done("s/h1/0")], "s/h1/0 was done 2 times, with 0 crashes");
    let back_and_forth = [fenced("h2")].into_iter().chain(moves("h2", "h1")).chain(moves("h1", "h2"));
    before_end(back_and_forth.collect(), "a left h1 2 times");
    before_end(moves("h2", "h1").into(), "a was moved off h2 at 1.000, which nobody empties");
    before_end(vec![asked(2, 1, AskKind::Maintenance)], "was told under 2 ids: question");
    before_end(vec![asked(1, 1, AskKind::ScaleIn)], "got two messages under the id");
    before_end(vec![asked(2, 2, AskKind::MaintenanceComplete)], "got 2 MAINTENANCE_COMPLETEs");
}

#[test]
fn what_comes_after_the_end_is_named() {
    let call = CloudCall::Enable { host: "h1".into() };
    let sent = Truth::Sent { life: 1, id: CallId(1), call };
    check(
        |lines| lines.push(vec![sent]),
        Measure::Same,
        Some("something was changed at 1.000, and all was said"),
    );
    let found = account(well(), AT.0).against(&account(well(), AT.1), Measure::Same);
    assert!(found.iter().any(|wrong| wrong.contains("shortly before the end")), "{found:?}");
}

#[test]
fn a_session_that_was_ended_may_have_done_less_and_never_more_than_once() {
    check(|lines| drop(lines.drain(3..6)), Measure::NoMore, None);
    check(|lines| lines.insert(6, restarts().into()), Measure::NoMore, Some("up after 2 restarts"));
    check(|lines| drop(lines.remove(7)), Measure::NoMore, Some("got 0 MAINTENANCE_COMPLETEs"));
}
