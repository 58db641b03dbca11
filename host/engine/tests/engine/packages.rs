//! What a session brings is here before anything is decided.

use fenix_core::blocker::{What, blockers};
use fenix_core::id::SessionId;
use fenix_core::package::{KeptPackage, Package, PackageSpec};
use fenix_core::session::{Condition, Pin, Plan};
use fenix_core::view::Trigger;
use fenix_engine::command::{Answer, Command, CommandError};
use fenix_engine::event::{Event, Wanted};
use fenix_engine::ports::Brought;

use crate::harness::{World, secs};

fn spec(name: &str) -> PackageSpec {
    let url = format!("https://repo.example/{name}");
    PackageSpec { name: name.into(), url, sha256: Some("d1".into()), signature: None }
}

fn pin(name: &str) -> Pin {
    Pin { name: name.into(), version: "2".into(), digest: "d2".into(), undoes: false }
}

/// Session `s` brings `one` and `two`, and names its plug-ins.
fn opened() -> World {
    let mut world = World::new();
    let mut plan: Plan = crate::harness::plan();
    plan.workflow = Pin::named("theirs", "");
    plan.actions.iter_mut().for_each(|action| action.plugin = Pin::named(&action.plugin.name, ""));
    let packages = vec![spec("one"), spec("two")];
    let hosts = vec!["a".into(), "b".into()];
    let open = Command::Open { id: "s".into(), plan: Box::new(plan), hosts, packages };
    assert_eq!(world.command(open), Ok(Answer::Done));
    world
}

fn brought(wanted: &Wanted) -> Brought {
    let package = |spec: &PackageSpec| Package {
        name: spec.name.clone(),
        digest: "d1".into(),
        bytes: 7,
        plugins: Vec::new(),
    };
    Brought {
        packages: wanted.packages.iter().map(package).collect(),
        workflow: pin(&wanted.workflow.name),
        actions: wanted.actions.iter().map(|(_, named)| pin(&named.name)).collect(),
    }
}

/// The one fetch that was ordered comes to this.
fn comes(world: &mut World, result: impl FnOnce(&Wanted) -> Result<Brought, String>) {
    let (id, wanted) = world.fetches.pop_front().unwrap();
    assert!(world.fetches.is_empty(), "once at a time");
    let result = result(&wanted);
    world.event(Event::Fetched(id, result));
}

#[track_caller]
fn check_nothing_is_touched(world: &World) {
    assert!(world.changes.is_empty() && world.session().asks.iter().next().is_none());
    assert!(world.script.woken.borrow().is_empty(), "the workflow was not even asked");
}

#[test]
fn nothing_is_decided_before_all_of_it_is_here() {
    let mut world = opened();
    world.pass(secs(300));
    check_nothing_is_touched(&world);
    let blocked = blockers(world.state(), &SessionId::from("s"), world.now);
    assert_eq!((blocked[0].what, blocked[0].on.as_str()), (What::Packages, "one, two"));
    comes(&mut world, |wanted| Ok(brought(wanted)));
    let plan = &world.session().plan;
    assert_eq!(plan.workflow, pin("theirs"));
    assert!(plan.actions.iter().all(|action| action.plugin.is_pinned()));
    assert_eq!(world.session().packages.fetched.len(), 2);
    assert_eq!(*world.script.woken.borrow(), [("s".into(), Trigger::Started)], "it decides at once");
}

#[test]
fn what_cannot_be_fetched_parks_the_session_and_is_fetched_again_when_it_is_continued() {
    let mut world = opened();
    comes(&mut world, |_| Err("package one: the server answers 404".into()));
    let why = "its packages: package one: the server answers 404";
    assert_eq!(world.session().condition, Condition::Parked { why: why.into() });
    world.pass(secs(300));
    assert!(world.fetches.is_empty());
    check_nothing_is_touched(&world);
    world.resume().unwrap();
    comes(&mut world, |wanted| Ok(brought(wanted)));
    assert!(world.session().is_running() && !world.session().packages.are_missing());
}

#[test]
fn what_comes_while_the_session_is_paused_is_kept() {
    let mut world = opened();
    world.pause().unwrap();
    comes(&mut world, |wanted| Ok(brought(wanted)));
    check_nothing_is_touched(&world);
    world.resume().unwrap();
    assert!(world.fetches.is_empty());
    assert!(!world.script.woken.borrow().is_empty());
}

#[test]
fn after_a_restart_it_is_fetched_again_or_known() {
    let mut world = opened();
    world.fetches.clear();
    world.restart();
    world.pass(secs(1));
    comes(&mut world, |wanted| Ok(brought(wanted)));
    world.restart();
    world.pass(secs(1));
    assert!(world.fetches.is_empty());
    assert_eq!(world.session().plan.workflow, pin("theirs"));
}

#[test]
fn what_comes_for_a_session_that_is_gone_is_nothing() {
    let mut world = opened();
    world.delete().unwrap();
    assert!(world.is_removed());
    comes(&mut world, |wanted| Ok(brought(wanted)));
    assert!(world.is_removed());
}

#[test]
fn what_is_put_there_stays_until_nobody_brings_it_and_somebody_removes_it() {
    let mut world = opened();
    let package = KeptPackage { digest: "d1".into(), bytes: 7 };
    let drop = || Command::DropPackage { digest: "d1".into() };
    for expected in [Answer::Done, Answer::Idle] {
        assert_eq!(world.command(Command::KeepPackage { package: package.clone() }), Ok(expected));
    }
    world.restart();
    assert_eq!(world.state().kept.get(&package.digest), Some(&7));
    let brought = CommandError::Brought { digest: "d1".into(), by: "s".into() };
    assert_eq!(world.command(drop()), Err(brought), "it is not even here");
    world.delete().unwrap();
    for expected in [Answer::Done, Answer::Idle] {
        assert_eq!(world.command(drop()), Ok(expected));
    }
    world.restart();
    assert!(world.state().kept.is_empty());
}

#[test]
fn less_than_what_was_asked_for_parks_the_session() {
    let mut world = opened();
    comes(&mut world, |wanted| Ok(Brought { packages: Vec::new(), ..brought(wanted) }));
    assert!(
        matches!(&world.session().condition, Condition::Parked { why } if why.contains("not all of them"))
    );
}
