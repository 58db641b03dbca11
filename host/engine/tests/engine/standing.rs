//! What managers and administrators leave with the installation.

use fenix_core::ask::{AskKind, AskStatus, MoveHow};
use fenix_core::constraint::{Constrained, Constraint, GroupConstraint, InstanceConstraint};
use fenix_core::decision::Decision;
use fenix_core::grant::{Grant, Right};
use fenix_core::id::AskId;
use fenix_core::inventory::Service;
use fenix_core::message::Content;
use fenix_core::session::{Condition, HostStage, Pin};
use fenix_core::standing::{Attached, PluginKind, Template};
use fenix_engine::command::{Answer, Command, CommandError};
use fenix_engine::ports::{ActionError, Progress};

use crate::cloud::instance;
use crate::harness::{World, ack, ask, plan, secs};

fn stated(instance: &str, project: &str, how: Option<MoveHow>) -> Constraint {
    Constraint::Instance(InstanceConstraint {
        instance: instance.into(),
        project: project.into(),
        group: Some("nobody-stated-this-group".into()),
        name: instance.into(),
        max_interruption_time: None,
        migration_type: how,
        resource_mitigation: None,
        lead_time: None,
    })
}

fn group(id: &str) -> Constraint {
    Constraint::Group(GroupConstraint {
        group: id.into(),
        project: "q".into(),
        name: id.into(),
        anti_affinity: None,
        max_instances_per_host: None,
        max_impacted_members: Some(1),
        recovery_time: None,
        resource_mitigation: None,
        busy: Vec::new(),
    })
}

#[test]
fn statements_come_and_go_in_any_order_and_survive_a_restart() {
    let mut world = World::new();
    let mut check = |command: Command, expected: Answer| assert_eq!(world.command(command), Ok(expected));
    let constrain = |constraint| Command::Constrain { constraint };
    let free = |about| Command::Unconstrain { about };
    check(constrain(stated("i2", "q", None)), Answer::Done);
    check(constrain(stated("i2", "q", None)), Answer::Idle);
    check(constrain(group("g")), Answer::Done);
    check(free(Constrained::Group("g".into())), Answer::Done);
    check(free(Constrained::Group("g".into())), Answer::Idle);
    check(free(Constrained::Instance("never-was".into())), Answer::Idle);
    check(constrain(stated("i2", "q", Some(MoveHow::OwnAction))), Answer::Done);
    world.restart();
    let constraints = &world.state().constraints;
    assert_eq!(constraints.len(), 1);
    assert_eq!(constraints.instance(&"i2".into()).unwrap().migration_type, Some(MoveHow::OwnAction));
    assert!(constraints.has_any_of(&"q".into()) && !constraints.has_any_of(&"p".into()));
}

#[test]
fn whoever_states_something_is_a_manager_from_then_on() {
    let mut world = World::opened();
    let managed = |world: &World| world.session().projects[&"q".into()].managed;
    assert!(!managed(&world));
    world.command(Command::Constrain { constraint: stated("i2", "q", None) }).unwrap();
    assert!(managed(&world));
    world.command(Command::Unconstrain { about: Constrained::Instance("i2".into()) }).unwrap();
    assert!(managed(&world), "never lost in a session");
}

/// PREPARE about `a` with `i1` and `i3` is with the manager, an instance at a time.
fn asked_one_by_one() -> World {
    let mut world = World::new();
    world.truth.instances.insert("i3".into(), instance("i3", "p", "a"));
    world.pass(secs(60));
    let mut plan = plan();
    plan.terms.ask_per_instance = true;
    world.open("s", plan, &["a", "b"]).unwrap();
    world.agree(AskKind::Maintenance, None);
    world.decide([ask(AskKind::PrepareMaintenance, Some("a"))]);
    world
}

fn answer(world: &mut World, instance: &str, how: &[MoveHow]) -> Result<Answer, CommandError> {
    let given: Vec<_> = how.iter().map(|how| (instance, *how)).collect();
    let reply = ack(AskKind::PrepareMaintenance, &given);
    let instance = Some(instance.into());
    world.command(Command::Reply { session: "s".into(), project: "p".into(), instance, reply })
}

fn status(world: &World) -> AskStatus {
    world.session().asks.get(&AskId(1)).unwrap().status.clone()
}

#[test]
fn managers_may_be_asked_and_answer_about_each_instance_by_itself() {
    let mut world = asked_one_by_one();
    let told: Vec<Content> =
        world.deliver_all().into_iter().map(|envelope| envelope.message.content).collect();
    let about = |instance: &str| Content::AskInstance(AskId(1), instance.into());
    assert_eq!(told, [about("i1"), about("i3")]);
    assert_eq!(answer(&mut world, "i1", &[MoveHow::Migrate]), Ok(Answer::Done));
    assert_eq!(answer(&mut world, "i1", &[MoveHow::Migrate]), Ok(Answer::Idle), "doubled");
    assert_eq!(status(&world), AskStatus::Open);
    world.restart();
    assert!(answer(&mut world, "i3", &[]).is_err(), "no action, and none is stated");
    world.command(Command::Constrain { constraint: stated("i3", "p", Some(MoveHow::LiveMigrate)) }).unwrap();
    assert_eq!(answer(&mut world, "i3", &[]), Ok(Answer::Done));
    let actions = ack(AskKind::PrepareMaintenance, &[("i1", MoveHow::Migrate), ("i3", MoveHow::LiveMigrate)]);
    assert_eq!(status(&world), AskStatus::Acked { actions: actions.actions });
    assert_eq!(answer(&mut world, "i3", &[MoveHow::Migrate]), Ok(Answer::Idle), "late");
}

#[test]
fn an_instance_that_is_gone_needs_no_action_and_its_reply_does_no_harm() {
    let mut world = asked_one_by_one();
    world.deliver_all();
    world.truth.instances.remove(&"i3".into());
    world.pause().unwrap();
    world.resume().unwrap();
    assert_eq!(answer(&mut world, "i1", &[MoveHow::Migrate]), Ok(Answer::Done));
    assert!(matches!(status(&world), AskStatus::Acked { .. }));
    assert_eq!(answer(&mut world, "i3", &[MoveHow::OwnAction]), Ok(Answer::Idle));
}

#[test]
fn a_reply_that_names_its_question_answers_no_other() {
    let mut world = World::opened();
    world.agree(AskKind::Maintenance, None);
    world.decide([ask(AskKind::ScaleIn, None)]);
    world.deliver_all();
    let reply = |world: &mut World, ask: u32| {
        let (session, project, reply) = ("s".into(), "p".into(), ack(AskKind::ScaleIn, &[]));
        world.command(Command::ReplyTo { session, project, instance: None, ask: AskId(ask), reply })
    };
    assert_eq!(reply(&mut world, 0), Ok(Answer::Idle), "that was MAINTENANCE");
    assert_eq!(reply(&mut world, 1), Ok(Answer::Done));
    world.decide([ask(AskKind::ScaleIn, None)]);
    world.pass(secs(10));
    world.deliver_all();
    assert_eq!(reply(&mut world, 1), Ok(Answer::Idle), "repeated, however late");
    assert!(world.session().asks.get(&AskId(2)).unwrap().is_open());
    assert_eq!(reply(&mut world, 2), Ok(Answer::Done));
}

#[test]
fn plugins_and_templates_are_kept_until_they_are_taken_back() {
    let mut world = World::new();
    let pin = Pin { name: "hello".into(), version: "1".into(), digest: "d".into(), undoes: false };
    let plugin = Attached { pin, kind: PluginKind::Action };
    let template = Template { name: "t".into(), description: "d".into(), body: "{}".into() };
    let mut check = |command: Command, expected: Answer| assert_eq!(world.command(command), Ok(expected));
    for expected in [Answer::Done, Answer::Idle] {
        check(Command::AttachPlugin { plugin: plugin.clone() }, expected.clone());
        check(Command::SaveTemplate { template: template.clone() }, expected);
    }
    world.restart();
    assert_eq!(world.state().plugins["hello"], plugin);
    assert_eq!(world.state().templates["t"], template);
    for expected in [Answer::Done, Answer::Idle] {
        assert_eq!(world.command(Command::DetachPlugin { name: "hello".into() }), Ok(expected.clone()));
        assert_eq!(world.command(Command::RemoveTemplate { name: "t".into() }), Ok(expected));
    }
}

#[test]
fn what_was_granted_goes_along_with_every_call_until_it_is_revoked() {
    let mut world = World::working();
    let digest = world.session().plan.actions[0].plugin.digest.clone();
    let grant = |rights: &[Right]| {
        let grant = Grant { digest: digest.clone(), rights: rights.to_vec() };
        Command::Grant { grant, name: "upgrade".into() }
    };
    let revoke = || Command::Revoke { digest: digest.clone(), name: "upgrade".into() };
    let goes_on = |world: &mut World| {
        let again = Progress::Again { after: secs(1), checkpoint: String::new(), percent: 1 };
        let granted = world.action_says(Ok(again)).granted;
        world.pass(secs(2));
        granted
    };
    assert_eq!(goes_on(&mut world), []);
    for expected in [Answer::Done, Answer::Idle] {
        assert_eq!(world.command(grant(&Right::PLAIN)), Ok(expected));
    }
    assert_eq!(goes_on(&mut world), [], "that call was under way already");
    assert_eq!(goes_on(&mut world), Right::PLAIN);
    assert_eq!(world.command(grant(&[Right::Cloud])), Ok(Answer::Done));
    world.restart();
    world.pass(secs(2));
    assert_eq!(goes_on(&mut world), [Right::Cloud]);
    for expected in [Answer::Done, Answer::Idle] {
        assert_eq!(world.command(revoke()), Ok(expected));
    }
    goes_on(&mut world);
    assert_eq!(goes_on(&mut world), []);
}

/// The work on `a` failed, and with it the session, which has ended.
fn failed() -> World {
    let mut world = World::working();
    world.action_says(Err(ActionError::Failed("no disk".into())));
    world.decide([Decision::Fail]);
    for _ in 0..5 {
        world.deliver_all();
        world.pass(secs(1));
    }
    assert_eq!(world.session().condition, Condition::Ended);
    assert!(matches!(world.stage("a"), HostStage::Quarantined { begun: true, .. }));
    world
}

fn clear(world: &mut World) -> Result<Answer, CommandError> {
    world.command(Command::ClearQuarantine { host: "a".into() })
}

#[test]
fn a_host_that_somebody_has_put_right_is_given_back_by_a_session_that_has_ended() {
    let mut world = failed();
    let past = world.state().past.host(&"a".into()).unwrap().clone();
    assert_eq!(past.quarantined.unwrap().session, "s".into());
    assert_eq!(clear(&mut world), Ok(Answer::Done));
    assert!(clear(&mut world).is_err(), "it is under way");
    world.delete().unwrap();
    assert!(!world.is_removed(), "not before the host is back");
    world.cloud_does();
    world.pass(secs(2));
    assert_eq!(world.service("a"), Service::Enabled);
    world.deliver_all();
    world.pass(secs(1));
    assert!(world.is_removed());
    let past = world.state().past.host(&"a".into()).unwrap().clone();
    assert_eq!(past.quarantined, None);
    assert_eq!(past.maintained.unwrap().actions.len(), 2);
    assert_eq!(clear(&mut world), Ok(Answer::Idle));
}

#[test]
fn a_host_whose_session_is_removed_keeps_its_mark_until_somebody_has_looked() {
    let mut world = failed();
    world.delete().unwrap();
    world.deliver_all();
    world.pass(secs(1));
    assert!(world.is_removed());
    world.restart();
    assert!(world.state().past.host(&"a".into()).unwrap().quarantined.is_some());
    assert_eq!(clear(&mut world), Ok(Answer::Done));
    assert_eq!(clear(&mut world), Ok(Answer::Idle));
}

#[test]
fn a_host_that_was_left_out_before_its_turn_takes_it_again() {
    let mut world = World::opened();
    world.agree(AskKind::Maintenance, None);
    world.decide([Decision::Quarantine { host: "a".into() }]);
    assert!(matches!(world.stage("a"), HostStage::Quarantined { begun: false, .. }));
    assert_eq!(clear(&mut world), Ok(Answer::Done));
    assert_eq!(world.stage("a"), HostStage::Waiting);
    assert_eq!(clear(&mut world), Ok(Answer::Idle));
}

#[test]
fn what_became_of_an_instance_outlives_the_session() {
    let mut world = World::moving(MoveHow::Migrate);
    while !world.cloud.is_empty() {
        world.cloud_does();
        world.pass(secs(2));
    }
    let past = world.state().past.instance(&"i1".into()).unwrap().clone();
    assert_eq!((past.moves, past.from, past.to), (1, "a".into(), "x".into()));
}

#[test]
fn a_plug_in_that_a_session_needs_is_not_detached() {
    let mut world = World::working();
    let plan = world.session().plan.clone();
    let attach =
        |pin: &Pin| Command::AttachPlugin { plugin: Attached { pin: pin.clone(), kind: PluginKind::Action } };
    let detach = |name: &str| Command::DetachPlugin { name: name.to_owned() };
    for pin in [&plan.workflow, &plan.actions[1].plugin] {
        assert_eq!(world.command(attach(pin)), Ok(Answer::Done));
        let needed = CommandError::Needed { name: pin.name.clone(), by: "s".into() };
        assert_eq!(world.command(detach(&pin.name)), Err(needed));
    }
    // Another one of the name is nobody's yet.
    let newer = Pin { digest: "newer".into(), ..plan.workflow.clone() };
    assert_eq!(world.command(attach(&newer)), Ok(Answer::Done));
    assert_eq!(world.command(detach(&newer.name)), Ok(Answer::Done));
}
