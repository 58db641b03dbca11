//! How managers' answers find the questions.

use fenix_core::ask::{AskKind, AskStatus, MoveHow, Reply};
use fenix_core::constraint::{Constraint, InstanceConstraint};
use fenix_core::decision::Decision;
use fenix_core::id::AskId;
use fenix_core::record::Body;
use fenix_core::session::{Phase, Plan};
use fenix_engine::Settings;
use fenix_engine::command::{Answer, Command, CommandError};
use fenix_engine::event::DeliveryError;

use crate::cloud::instance;
use crate::harness::{World, ack, ask, nack, secs, verdict};

const PREPARE: AskKind = AskKind::PrepareMaintenance;

fn status(world: &World, ask: u32) -> &AskStatus {
    &world.session().asks.get(&AskId(ask)).unwrap().status
}

/// PREPARE about `a` is with the manager, and is about `i1` and `i3`.
fn prepared() -> World {
    prepared_as(crate::harness::plan())
}

fn prepared_as(plan: Plan) -> World {
    let mut world = World::new();
    world.truth.instances.insert("i3".into(), instance("i3", "p", "a"));
    world.pass(secs(60));
    world.open("s", plan, &["a", "b"]).unwrap();
    world.agree(AskKind::Maintenance, None);
    world.decide([ask(PREPARE, Some("a"))]);
    world.deliver_all();
    world
}

fn on_path(world: &mut World, instance: &str, reply: Reply) -> Result<Answer, CommandError> {
    let instance = Some(instance.into());
    world.command(Command::Reply { session: "s".into(), project: "p".into(), instance, reply })
}

#[test]
fn a_reply_answers_the_oldest_delivered_question_of_its_state() {
    let mut world = World::opened();
    world.truth.instances.insert("i3".into(), instance("i3", "p", "b"));
    world.pass(secs(61));
    world.agree(AskKind::Maintenance, None);
    world.decide([ask(PREPARE, Some("a")), ask(PREPARE, Some("b"))]);
    assert_eq!(world.mail.len(), 1, "in order: the second waits for the first");
    world.deliver_all();
    assert_eq!(world.reply(nack(PREPARE)), Ok(Answer::Done));
    assert_eq!((status(&world, 1), status(&world, 2)), (&AskStatus::Nacked, &AskStatus::Open));
}

#[test]
fn a_reply_to_a_question_that_was_not_sent_yet_is_idle() {
    let mut world = World::opened();
    world.decide([ask(AskKind::Maintenance, None)]);
    world.command(Command::Unsubscribe { id: "m".into() }).unwrap();
    assert_eq!(world.reply(ack(AskKind::Maintenance, &[])), Ok(Answer::Idle));
    assert_eq!(status(&world, 0), &AskStatus::Open);
}

#[test]
fn a_manager_may_answer_from_within_the_delivery() {
    let mut world = World::opened();
    world.decide([ask(AskKind::Maintenance, None)]);
    assert_eq!(world.mail.len(), 1);
    assert_eq!(world.reply(ack(AskKind::Maintenance, &[])), Ok(Answer::Done));
    world.mail_says(Ok(()));
    assert!(matches!(status(&world, 0), AskStatus::Acked { .. }));
    assert!(world.session().outbox.is_empty());
}

#[test]
fn that_all_is_over_withdraws_what_was_asked() {
    let mut world = prepared();
    let left_out = |host: &str| Decision::Quarantine { host: host.into() };
    world.decide([left_out("a"), left_out("b"), Decision::Enter { phase: Phase::MaintenanceComplete }]);
    world.decide([ask(AskKind::MaintenanceComplete, None)]);
    assert_eq!(status(&world, 1), &AskStatus::Void);
    assert_eq!(world.reply(ack(PREPARE, &[("i1", MoveHow::Migrate)])), Ok(Answer::Idle), "late");
    world.restart();
    let told: Vec<_> = world.deliver_all().into_iter().filter_map(|said| said.ask).collect();
    assert_eq!(told.iter().map(|ask| ask.kind).collect::<Vec<_>>(), [AskKind::MaintenanceComplete]);
}

#[test]
fn doubled_late_and_groundless_replies_are_idle() {
    let mut world = World::opened();
    assert_eq!(world.reply(ack(AskKind::ScaleIn, &[])), Ok(Answer::Idle), "nothing was asked");
    world.agree(AskKind::Maintenance, None);
    assert_eq!(world.reply(ack(AskKind::Maintenance, &[])), Ok(Answer::Idle), "doubled");
    world.decide([ask(AskKind::ScaleIn, None)]);
    world.deliver_all();
    world.pass(secs(60));
    assert_eq!(status(&world, 1), &AskStatus::Expired);
    assert_eq!(world.reply(ack(AskKind::ScaleIn, &[])), Ok(Answer::Idle), "late");
    assert_eq!(status(&world, 1), &AskStatus::Expired);
}

#[test]
fn a_doubled_reply_does_not_answer_the_next_round() {
    let mut world = World::opened();
    world.agree(AskKind::Maintenance, None);
    world.decide([ask(AskKind::ScaleIn, None)]);
    world.deliver_all();
    assert_eq!(world.reply(ack(AskKind::ScaleIn, &[])), Ok(Answer::Done));
    let answered = world.now;
    world.decide([ask(AskKind::ScaleIn, None)]);
    assert!(world.mail.is_empty(), "held back");
    assert_eq!(world.reply(ack(AskKind::ScaleIn, &[])), Ok(Answer::Idle), "doubled");
    world.pass(secs(5));
    let sent = world.deliver_all();
    assert_eq!(sent.len(), 1);
    assert!(sent[0].message.not_before >= answered + Settings::default().quiet);
    assert_eq!(world.reply(ack(AskKind::ScaleIn, &[])), Ok(Answer::Done));
}

#[test]
fn an_answer_about_other_instances_is_no_consent_whatever_is_stated_for_these() {
    let mut world = prepared();
    for id in ["i1", "i3"] {
        let stated = InstanceConstraint {
            instance: id.into(),
            project: "p".into(),
            group: None,
            name: String::new(),
            max_interruption_time: None,
            migration_type: Some(MoveHow::Migrate),
            resource_mitigation: None,
            lead_time: None,
        };
        world.command(Command::Constrain { constraint: Constraint::Instance(stated) }).unwrap();
    }
    assert_eq!(world.reply(ack(PREPARE, &[("late", MoveHow::Migrate)])), Ok(Answer::Idle));
    assert_eq!(status(&world, 1), &AskStatus::Open);
    // Whoever names nobody means what was stated.
    assert_eq!(world.reply(ack(PREPARE, &[])), Ok(Answer::Done));
}

/// `i1` left `a` for `b`. An answer that comes before the question about `b` has arrived may be one to that about `a`: a late
/// one, or the last one once more.
#[test]
fn an_answer_that_may_mean_an_earlier_question_is_no_consent_to_one_that_has_not_arrived() {
    let mut world = prepared();
    world.truth.change(&"i1".into(), |seen| seen.host = "b".into());
    world.pass(secs(60));
    let yes = ack(PREPARE, &[("i1", MoveHow::Migrate), ("i3", MoveHow::Migrate)]);
    assert_eq!(status(&world, 1), &AskStatus::Expired);
    world.decide([ask(PREPARE, Some("b"))]);
    assert_eq!(world.reply(yes.clone()), Ok(Answer::Idle), "late");
    world.mail_says(Ok(()));
    assert_eq!(world.reply(yes.clone()), Ok(Answer::Done));
}

#[test]
fn an_answer_that_is_doubled_is_no_consent_to_a_question_that_has_not_arrived() {
    let mut plan = crate::harness::plan();
    plan.terms.maintenance_reply = secs(200);
    let mut world = prepared_as(plan);
    world.truth.change(&"i1".into(), |seen| seen.host = "b".into());
    world.pass(secs(60));
    world.pause().unwrap();
    world.say("s", Ok(verdict([ask(PREPARE, Some("b"))], None)));
    world.resume().unwrap();
    world.mail_says(Err(DeliveryError::Unreachable("nobody listens".into())));
    let yes = ack(PREPARE, &[("i1", MoveHow::Migrate), ("i3", MoveHow::Migrate)]);
    assert_eq!(world.reply(yes.clone()), Ok(Answer::Done), "to that about `a`");
    assert_eq!(world.reply(yes), Ok(Answer::Idle));
    assert_eq!(status(&world, 2), &AskStatus::Open);
}

#[track_caller]
fn check_actions(given: &[(&str, MoveHow)], expected: Result<&[(&str, MoveHow)], &str>) {
    let mut world = prepared();
    match (world.reply(ack(PREPARE, given)), expected) {
        (Ok(Answer::Done), Ok(expected)) => {
            let actions = ack(PREPARE, expected).actions;
            assert_eq!(status(&world, 1), &AskStatus::Acked { actions });
        }
        (Err(CommandError::BadReply(why)), Err(named)) => {
            assert!(why.contains(named), "{why}");
            assert_eq!(status(&world, 1), &AskStatus::Open, "it can be answered better");
        }
        (answer, expected) => panic!("{answer:?} instead of {expected:?}"),
    }
}

#[test]
fn an_answer_names_an_action_for_each_instance() {
    use MoveHow::{LiveMigrate, Migrate};
    check_actions(&[("i1", Migrate), ("i3", LiveMigrate)], Ok(&[("i1", Migrate), ("i3", LiveMigrate)]));
    check_actions(&[("", Migrate)], Ok(&[("i1", Migrate), ("i3", Migrate)]));
    check_actions(&[("i1", Migrate)], Err("i3"));
    check_actions(&[], Err("i1"));
}

#[test]
fn an_instance_that_is_gone_needs_no_action() {
    let mut world = prepared();
    world.truth.instances.remove(&"i3".into());
    world.pause().unwrap();
    world.resume().unwrap();
    assert_eq!(world.reply(ack(PREPARE, &[("i1", MoveHow::Migrate)])), Ok(Answer::Done));
}

#[test]
fn a_reply_on_an_instances_path_speaks_for_that_instance_only() {
    let mut world = prepared();
    let unnamed = || ack(PREPARE, &[("", MoveHow::Migrate)]);
    assert_eq!(on_path(&mut world, "elsewhere", unnamed()), Ok(Answer::Idle));
    assert_eq!(on_path(&mut world, "i1", unnamed()), Ok(Answer::Done));
    assert_eq!(status(&world, 1), &AskStatus::Open, "i3 is still to be answered about");
    world.truth.instances.remove(&"i3".into());
    world.pause().unwrap();
    world.resume().unwrap();
    assert_eq!(on_path(&mut world, "i1", unnamed()), Ok(Answer::Done), "the other is gone");
    let actions = ack(PREPARE, &[("i1", MoveHow::Migrate)]).actions;
    assert_eq!(status(&world, 1), &AskStatus::Acked { actions });
}

#[test]
fn an_answer_wakes_the_workflow_and_an_idle_one_writes_nothing() {
    let mut world = World::opened();
    world.decide([
        ask(AskKind::Maintenance, None),
        Decision::Note { key: "k".into(), value: Some("v".into()) },
    ]);
    world.deliver_all();
    let woken = world.script.woken.borrow().len();
    world.reply(ack(AskKind::Maintenance, &[])).unwrap();
    assert_eq!(world.script.woken.borrow().len(), woken + 1);
    let records = world.journal.records.len();
    world.reply(ack(AskKind::Maintenance, &[])).unwrap();
    assert_eq!(world.journal.records.len(), records);
    let idle = |body: &Body| matches!(body, Body::Replied { ask: None, .. });
    assert!(!world.journal.records.iter().any(|record| idle(&record.body)));
}
