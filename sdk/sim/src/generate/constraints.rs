//! What managers state: about groups that the cloud has, groups that only they know, and single instances; some of it
//! changed or taken back while sessions run.

use std::collections::BTreeSet;

use fenix_core::ask::MoveHow;
use fenix_core::constraint::{Constrained, Constraint, Daily, GroupConstraint, InstanceConstraint};
use fenix_core::id::{GroupId, InstanceId, ProjectId};
use fenix_core::time::Millis;

use crate::dice::Dice;
use crate::scenario::{Scenario, Stated, Statement};

/// Odds of a thousand.
mod permille {
    /// A manager that states something.
    pub(super) const STATES: u32 = 600;
    /// One that knows groups of its own.
    pub(super) const OWN_GROUP: u32 = 500;
    /// A statement that comes, changes or goes in the middle.
    pub(super) const LATER: u32 = 250;
    /// A lead or recovery time beyond all reason.
    pub(super) const FOREVER: u32 = 60;
    /// A group with busy hours.
    pub(super) const BUSY: u32 = 80;
    /// An administrator with ceilings of his own.
    pub(super) const CEILINGS: u32 = 300;
}

/// Has the scenario's managers state something.
pub(super) fn state(scenario: &mut Scenario, dice: &mut Dice) {
    let managed: BTreeSet<ProjectId> =
        scenario.managers.iter().map(|manager| manager.project.clone()).collect();
    for project in managed {
        if dice.chance(permille::STATES) {
            of_project(scenario, &project, dice);
        }
    }
    if dice.chance(permille::CEILINGS) {
        for session in &mut scenario.sessions {
            session.terms.ceilings.lead_time = dice.span(0, 120_000);
            session.terms.ceilings.recovery_time = dice.span(0, 60_000);
            session.terms.ceilings.least_impacted = u32::from(dice.chance(500));
        }
    }
}

fn of_project(scenario: &mut Scenario, project: &ProjectId, dice: &mut Dice) {
    let groups: Vec<GroupId> = scenario
        .cloud
        .group
        .iter()
        .filter(|group| group.project == *project)
        .map(|group| group.id.clone())
        .collect();
    for id in groups {
        if dice.chance(500) {
            say(scenario, Constraint::Group(group(&id, project, dice)), dice);
        }
    }
    let own: Vec<(InstanceId, bool)> = scenario
        .cloud
        .instance
        .iter()
        .filter(|instance| instance.project == *project)
        .map(|instance| (instance.id.clone(), instance.group.is_some()))
        .collect();
    let known_only_here = dice.chance(permille::OWN_GROUP).then(|| GroupId::from(format!("own-{project}")));
    if let Some(id) = &known_only_here {
        // Members may be stated before their group, or without it ever being.
        if dice.chance(800) {
            say(scenario, Constraint::Group(group(id, project, dice)), dice);
        }
    }
    let mut members = dice.between(2, 6);
    for (id, is_grouped) in own {
        let of = known_only_here.clone().filter(|_| !is_grouped && members > 0);
        members -= u64::from(of.is_some());
        if of.is_some() || dice.chance(300) {
            say(scenario, Constraint::Instance(instance(&id, project, of, dice)), dice);
        }
    }
}

/// Has something stated, mostly before the first session, and perhaps otherwise later.
fn say(scenario: &mut Scenario, constraint: Constraint, dice: &mut Dice) {
    let is_late = dice.chance(permille::LATER);
    let at = if is_late { dice.span(20_000, 900_000) } else { dice.span(0, 4_000) };
    let (about, project) = (constraint.about(), constraint.project().clone());
    let group_of = match &constraint {
        Constraint::Instance(stated) => stated.group.clone(),
        Constraint::Group(_) => None,
    };
    scenario.statements.push(Statement { at, what: Stated::That(constraint) });
    if !dice.chance(permille::LATER) {
        return;
    }
    let what = match &about {
        about if dice.chance(300) => Stated::NoLonger(about.clone()),
        Constrained::Group(id) => Stated::That(Constraint::Group(group(id, &project, dice))),
        Constrained::Instance(id) => {
            Stated::That(Constraint::Instance(instance(id, &project, group_of, dice)))
        }
    };
    scenario.statements.push(Statement { at: at + dice.span(10_000, 900_000), what });
}

/// A span of up to so many milliseconds, or a year.
fn span(most: u64, dice: &mut Dice) -> Millis {
    if dice.chance(permille::FOREVER) { Millis::from_secs(365 * 24 * 3600) } else { dice.span(0, most) }
}

fn group(id: &GroupId, project: &ProjectId, dice: &mut Dice) -> GroupConstraint {
    GroupConstraint {
        group: id.clone(),
        project: project.clone(),
        name: id.to_string(),
        anti_affinity: dice.chance(150).then_some(true),
        max_instances_per_host: dice.weighted(&[(6, None), (2, Some(0)), (2, Some(2))]),
        max_impacted_members: dice.weighted(&[
            (2, None),
            (1, Some(0)),
            (8, Some(1)),
            (6, Some(2)),
            (2, Some(3)),
        ]),
        recovery_time: dice.chance(700).then(|| span(40_000, dice)),
        resource_mitigation: None,
        busy: if dice.chance(permille::BUSY) { vec![busy(dice)] } else { Vec::new() },
    }
}

/// Some minutes of the first hour, in which all sessions begin.
fn busy(dice: &mut Dice) -> Daily {
    let from = dice.between(0, 30) as u16;
    Daily { from, to: from + dice.between(1, 20) as u16 }
}

fn instance(
    id: &InstanceId,
    project: &ProjectId,
    group: Option<GroupId>,
    dice: &mut Dice,
) -> InstanceConstraint {
    InstanceConstraint {
        instance: id.clone(),
        project: project.clone(),
        group,
        name: id.to_string(),
        max_interruption_time: dice.chance(300).then(|| dice.span(5_000, 600_000)),
        migration_type: dice.weighted(&[
            (4, None),
            (2, Some(MoveHow::Migrate)),
            (2, Some(MoveHow::LiveMigrate)),
        ]),
        resource_mitigation: None,
        lead_time: dice.chance(500).then(|| span(90_000, dice)),
    }
}
