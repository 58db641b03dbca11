//! Constraints that a session cannot meet, found before anybody is told of it.
//!
//! What is found is arithmetic on what is known now, and may come out otherwise: an application that scales in has fewer
//! members to keep apart. Nothing is found that could be met as things stand.

use std::collections::BTreeMap;

use crate::ask::MoveHow;
use crate::constraint::Constrained;
use crate::group::Limits;
use crate::id::{GroupId, ProjectId};
use crate::inventory::{Host, HostKind, Instance, Movable};
use crate::session::Session;
use crate::state::State;
use crate::time::Millis;

/// A constraint that cannot be met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmet {
    /// Whose it is.
    pub project: ProjectId,
    /// What it is about.
    pub about: Constrained,
    /// The arithmetic, in a sentence for people.
    pub why: String,
}

/// A group with members on hosts of the session.
struct Concerned<'a> {
    member: &'a Instance,
    /// Members that have to leave their hosts.
    leaving: u32,
}

/// The constraints that a session cannot meet, by owner.
pub fn unmet(state: &State, session: &Session) -> Vec<Unmet> {
    let window = session.plan.window_end.map(|end| end.since(session.plan.maintenance_at));
    let mut found = Vec::new();
    let mut groups: BTreeMap<&GroupId, Concerned<'_>> = BTreeMap::new();
    let on = |host| state.inventory.holding(host).filter(move |instance| instance.host == *host);
    for instance in session.hosts.keys().flat_map(on) {
        if let Some(why) = of_instance(state, session, instance, window) {
            let about = Constrained::Instance(instance.id.clone());
            found.push(Unmet { project: instance.project.clone(), about, why });
        }
        for group in state.groups_of(instance) {
            groups.entry(group).or_insert(Concerned { member: instance, leaving: 0 }).leaving += 1;
        }
    }
    for (group, concerned) in groups {
        if let Some(why) = of_group(state, session, group, &concerned, window) {
            let about = Constrained::Group(group.clone());
            found.push(Unmet { project: concerned.member.project.clone(), about, why });
        }
    }
    found.sort_by(|a, b| (&a.project, &a.about).cmp(&(&b.project, &b.about)));
    found
}

fn of_instance(
    state: &State,
    session: &Session,
    instance: &Instance,
    window: Option<Millis>,
) -> Option<String> {
    let lead = state.lead_time(instance, &session.plan.terms.ceilings);
    if let Some(window) = window.filter(|window| lead >= *window) {
        return Some(format!("it has {lead} of lead time, and the window is {window} long"));
    }
    let wants_live = state.stated(instance)?.migration_type == Some(MoveHow::LiveMigrate);
    match &instance.movable {
        Movable::ColdOnly if wants_live => {
            Some("it is to be moved live, and can be moved cold only".to_owned())
        }
        Movable::ColdOnly | Movable::Any | Movable::No { .. } => None,
    }
}

fn of_group(
    state: &State,
    session: &Session,
    group: &GroupId,
    concerned: &Concerned<'_>,
    window: Option<Millis>,
) -> Option<String> {
    let Limits { most_per_host, max_impacted_members: most, recovery_time, .. } =
        state.limits(group, concerned.member, &session.plan.terms.ceilings);
    let Concerned { leaving, .. } = concerned;
    if most == 0 {
        return Some(format!("it bears no member out, and {leaving} are on hosts of the session"));
    }
    if most_per_host < u32::MAX {
        let members = state.members(group).count() as u32;
        let hosts = takers(state);
        let places = hosts.saturating_sub(1).saturating_mul(most_per_host);
        if members > places {
            return Some(format!(
                "it has {members} members, at most {most_per_host} on a host, and {places} places on the {} hosts that \
                 are left while one is out",
                hosts.saturating_sub(1)
            ));
        }
    }
    // The last ones recover when the window is over already.
    let rounds = leaving.div_ceil(most);
    let least = Millis(recovery_time.0.saturating_mul(u64::from(rounds.saturating_sub(1))));
    match window {
        Some(window) if least >= window => Some(format!(
            "{leaving} of its members leave their hosts, {most} at a time, and each recovers for {recovery_time}: that \
             is {least} at least, and the window is {window} long"
        )),
        Some(_) | None => None,
    }
}

/// How many computes take instances, or will once they are maintained.
fn takers(state: &State) -> u32 {
    let takes = |host: &&Host| host.kind == HostKind::Compute && host.up;
    state.inventory.hosts().filter(takes).count() as u32
}
