//! Managers and administrators: how they answer, and what a session is held to.

use std::collections::BTreeMap;

use fenix_core::ask::{AskKind, MoveHow};
use fenix_core::id::ProjectId;
use fenix_core::policy::{Policies, Policy, Terms};
use fenix_core::session::Stage;
use fenix_core::time::Millis;

use super::Profile;
use super::cloud::SMALL;
use crate::dice::Dice;
use crate::managers::{Answer, Answers, Conduct, How, ManagerSpec, ScaleIn};
use crate::scenario::{Action, SessionSpec};

pub(super) fn plain_manager(project: &ProjectId) -> ManagerSpec {
    ManagerSpec {
        project: project.clone(),
        event_type: "maintenance.scheduled".into(),
        from: Millis::from_secs(1),
        away: Vec::new(),
        conduct: Conduct::default(),
    }
}

pub(super) fn manager(
    project: &ProjectId,
    conduct: Conduct,
    profile: &Profile,
    dice: &mut Dice,
) -> ManagerSpec {
    let mut spec = ManagerSpec { conduct, ..plain_manager(project) };
    if dice.chance(profile.trouble / 10) {
        spec.from = dice.span(1_000, 600_000);
    }
    for _ in 0..dice.below(1 + u64::from(profile.trouble / 400)) {
        let from = dice.span(10_000, 1_200_000);
        spec.away.push((from, from + dice.span(5_000, 200_000)));
    }
    spec
}

pub(super) fn conduct(profile: &Profile, dice: &mut Dice) -> Conduct {
    let mut answers = BTreeMap::new();
    if dice.chance(profile.trouble / 2) {
        for kind in AskKind::ALL {
            if dice.chance(300) {
                answers.insert(kind, some_answers(dice));
            }
        }
    }
    let lies = dice.chance(profile.trouble / 8);
    let how = dice.weighted(&[
        (3, How::All(MoveHow::Migrate)),
        (3, How::All(MoveHow::LiveMigrate)),
        (1, How::All(MoveHow::OwnAction)),
        (3, How::Mixed),
    ]);
    Conduct {
        answers,
        scale_in: if lies { ScaleIn::Lies } else { ScaleIn::Gives(dice.between(1, 4) as u32) },
        how,
        doubles: dice.chance(250),
        at_once: dice.chance(250),
        idle: false,
        careful: false,
    }
}

/// A fault for a while, mostly; for ever, sometimes.
fn some_answers(dice: &mut Dice) -> Answers {
    let fault =
        dice.weighted(&[(2, Answer::Nack), (3, Answer::Silent), (3, Answer::Slow), (2, Answer::Late)]);
    let times = dice.between(1, 2) as usize;
    let then = if dice.chance(150) { fault } else { Answer::Ack };
    Answers { first: vec![fault; times], then }
}

/// Terms under which two sessions wait for each other.
pub(super) fn patient_terms() -> Terms {
    Terms { rounds: 5, failure_budget: 20, ..Terms::default() }
}

pub(super) fn session_spec(profile: &Profile, unmanaged: bool, dice: &mut Dice) -> SessionSpec {
    let policy = |dice: &mut Dice| {
        dice.weighted(&[(4, Policy::Retry), (1, Policy::Skip), (1, Policy::Stop), (1, Policy::Wait)])
    };
    let mut policies = Policies::default();
    if dice.chance(500) {
        policies = Policies {
            silence: policy(dice),
            nack: policy(dice),
            failed_move: policy(dice),
            failed_action: policy(dice),
            ..policies
        };
    }
    if dice.chance(40) {
        policies.silence = Policy::Force;
    }
    if unmanaged {
        policies.unmanaged = dice.weighted(&[(6, Policy::Force), (1, Policy::Stop), (1, Policy::Skip)]);
    }
    let hosts_at_once = dice.between(1, 2) as u32;
    let mut terms =
        Terms { policies, hosts_at_once, hosts_at_once_per_zone: hosts_at_once, ..Terms::default() };
    if dice.chance(150) {
        terms.headroom = SMALL;
    }
    let mut spec = SessionSpec { at: dice.span(3_000, 30_000), ..SessionSpec::new(&profile.workflow) };
    spec.begins_in = dice.span(0, 120_000);
    spec.terms = terms;
    if dice.chance(80) {
        spec.window = Some(dice.span(120_000, 1_200_000));
    }
    for plugin in &profile.actions {
        let stage = if dice.chance(600) { Stage::Host } else { Stage::Compute };
        if dice.chance(700) {
            spec.actions.push(Action { plugin: plugin.clone(), stage, metadata: String::new() });
        }
    }
    spec
}
