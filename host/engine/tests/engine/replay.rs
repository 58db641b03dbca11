//! Whatever happens, in whatever order: the same events give the same records, the records fold to the same state,
//! and a session that is deleted ends.

use fenix_core::ask::{AskKind, MoveHow};
use fenix_core::decision::Decision;
use fenix_core::inventory::{InstanceState, Service};
use fenix_core::record::Body;
use fenix_core::session::{HostStage, Phase, Target};
use fenix_core::state::State;
use fenix_core::time::Millis;
use fenix_engine::command::Command;
use fenix_engine::event::{DeliveryError, Event};
use fenix_engine::ports::{ActionError, CloudError, CloudReply, Progress};
use proptest::prelude::*;

use crate::harness::{World, ack, ask, nack, secs, verdict};

/// One thing that happens; numbers choose among what is there.
#[derive(Clone, Copy, Debug)]
enum Step {
    Pass(u16),
    Want(u8),
    Cloud(u8),
    Mail(u8),
    Action(u8),
    Reply(u8),
    Drift(u8),
    Admin(u8),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0u16..120).prop_map(Step::Pass),
        6 => any::<u8>().prop_map(Step::Want),
        4 => any::<u8>().prop_map(Step::Cloud),
        3 => any::<u8>().prop_map(Step::Mail),
        2 => any::<u8>().prop_map(Step::Action),
        3 => any::<u8>().prop_map(Step::Reply),
        1 => any::<u8>().prop_map(Step::Drift),
        1 => any::<u8>().prop_map(Step::Admin),
        1 => Just(Step::Restart),
    ]
}

fn wanted(world: &World, choice: u8) -> Decision {
    let host = ["a", "b"][usize::from(choice >> 7)];
    let latest = |kind| {
        let session = world.state().session(&"s".into())?;
        session.latest_ask(&"p".into(), kind, Some(&host.into())).map(|ask| ask.id)
    };
    match choice % 12 {
        0 => ask(AskKind::Maintenance, None),
        1 => ask(AskKind::ScaleIn, None),
        2 | 3 => ask(AskKind::PlannedMaintenance, Some(host)),
        4 => Decision::Fence { host: host.into() },
        5 => Decision::Release { host: host.into() },
        6 | 7 => Decision::Move {
            instance: "i1".into(),
            to: "x".into(),
            how: MoveHow::Migrate,
            ask: latest(AskKind::PlannedMaintenance),
        },
        8 => Decision::Work { target: Target::Host(host.into()) },
        9 => Decision::Quarantine { host: host.into() },
        10 => Decision::Enter { phase: Phase::PlannedMaintenance },
        _ if choice > 200 => Decision::Fail,
        _ => Decision::Note { key: "n".into(), value: Some(choice.to_string()) },
    }
}

fn take(world: &mut World, step: Step) {
    match step {
        Step::Pass(span) => world.pass(secs(u64::from(span))),
        Step::Want(choice) => {
            let wanted = wanted(world, choice);
            world.say("s", Ok(verdict([wanted], Some(world.now + secs(2)))));
            world.pass(secs(1));
        }
        Step::Cloud(choice) if !world.cloud.is_empty() => match choice % 5 {
            0 => world.cloud_is_silent(),
            1 => world.cloud_says(Err(CloudError::Refused("no".into()))),
            2 => world.cloud_says(Ok(CloudReply::Accepted)),
            3 => {
                let call = world.cloud.front().unwrap().1.clone();
                world.truth.apply(&call);
                world.cloud_is_silent();
            }
            _ => {
                world.cloud_does();
            }
        },
        Step::Mail(choice) if !world.mail.is_empty() => {
            let result = match choice % 4 {
                0 => Err(DeliveryError::Unreachable("refused".into())),
                1 if choice > 200 => Err(DeliveryError::Rejected("400".into())),
                _ => Ok(()),
            };
            world.mail_says(result);
        }
        Step::Action(choice) if !world.actions.is_empty() => {
            let after = Millis(u64::from(choice) * 100);
            let result = match choice % 4 {
                0 => Err(ActionError::Failed("broken".into())),
                1 => Ok(Progress::Again { after, checkpoint: "half".into(), percent: choice }),
                _ => Ok(Progress::Done { report: "fine".into() }),
            };
            world.action_says(result);
        }
        Step::Reply(choice) => {
            let kind = AskKind::ALL[usize::from(choice % 5)];
            let reply = if choice > 220 { nack(kind) } else { ack(kind, &[("", MoveHow::Migrate)]) };
            let _unknown_once_removed = world.reply(reply);
        }
        Step::Drift(choice) => world.truth.change(&"i1".into(), |seen| {
            seen.other_end = None;
            match choice % 3 {
                0 => seen.host = "x".into(),
                1 => seen.state = InstanceState::Building,
                _ => seen.state = InstanceState::Active,
            }
        }),
        Step::Admin(choice) => {
            let session = "s".into();
            let _refused_in_some_states = world.command(match choice % 8 {
                0 => Command::Delete { session },
                1..4 => Command::Pause { session },
                _ => Command::Continue { session },
            });
        }
        Step::Restart => world.restart(),
        Step::Cloud(_) | Step::Mail(_) | Step::Action(_) => {}
    }
}

/// From where it begins, and what happens then.
type Story = (u8, Vec<Step>);

fn story() -> impl Strategy<Value = Story> {
    (0u8..4, prop::collection::vec(step(), 0..80))
}

fn run((from, steps): &Story) -> World {
    let mut world = match from {
        0 => World::opened(),
        1 => World::moving(MoveHow::Migrate),
        2 => World::moving(MoveHow::LiveMigrate),
        _ => World::working(),
    };
    for step in steps {
        take(&mut world, *step);
    }
    world
}

fn folded(world: &World) -> State {
    let mut state = State::default();
    world.journal.records.iter().for_each(|record| state.apply(record).unwrap());
    state
}

/// True if work was begun on the host, or the cloud would not have it back.
fn was_left_out(world: &World, id: &str) -> bool {
    world.journal.records.iter().any(|record| match &record.body {
        Body::HostMoved { host, stage, .. } if host.as_str() == id => {
            matches!(stage, HostStage::Working | HostStage::Quarantined { begun: true, .. })
        }
        _ => false,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn records_fold_to_the_state_that_wrote_them(story in story()) {
        let world = run(&story);
        prop_assert_eq!(&folded(&world), &**world.engine.state());
    }

    #[test]
    fn the_same_events_give_the_same_bytes(story in story()) {
        let bytes = |world: World| serde_json::to_string(&world.journal.records).unwrap();
        prop_assert_eq!(bytes(run(&story)), bytes(run(&story)));
    }

    /// With a cloud that works and listeners that listen, a deletion comes to its end from everywhere, and no host
    /// is left out of service on which nothing was begun.
    #[test]
    fn a_deleted_session_ends_from_wherever_it_is(story in story()) {
        let mut world = run(&story);
        let _gone_already = world.delete();
        let mut rounds = 0;
        while !world.is_removed() {
            rounds += 1;
            prop_assert!(rounds < 1000, "stuck: {:#?}", world.session());
            while !world.cloud.is_empty() {
                world.cloud_does();
            }
            while !world.actions.is_empty() {
                world.action_says(Err(ActionError::Failed("broken".into())));
            }
            world.deliver_all();
            world.pass(secs(5));
        }
        for host in ["a", "b"] {
            prop_assert!(world.service(host) == Service::Enabled || was_left_out(&world, host), "{host}");
        }
    }
}

#[test]
fn a_tick_with_nothing_due_writes_nothing() {
    let mut world = World::opened();
    world.pass(secs(1));
    let before = world.journal.records.len();
    world.event(Event::Tick);
    assert_eq!(world.journal.records.len(), before);
}
