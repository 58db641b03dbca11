//! R2: no more members of a group out than it bears, of those that are out because of Fenix.

use std::collections::BTreeMap;

use fenix_cloud::sim::trace::{Actor, Happening};
use fenix_core::id::{GroupId, InstanceId};
use fenix_core::time::{Millis, Time};

use super::consent::LATELY;
use super::{Check, Checker, Findings, Sight, move_of};
use crate::truth::Truth;

/// Members that Fenix put out of service.
#[derive(Default)]
pub(super) struct Groups {
    /// By group, with Fenix's time at which each came back, if it did.
    out: BTreeMap<GroupId, BTreeMap<InstanceId, Option<Time>>>,
    /// The groups of each of them, when it went out.
    of: BTreeMap<InstanceId, Vec<GroupId>>,
    /// When Fenix last sent a call that moves it: the rules spoke then, however late it is carried out.
    sent: BTreeMap<InstanceId, Time>,
}

impl Checker for Groups {
    fn see(&mut self, sight: &Sight<'_>, what: &Truth, found: &mut Findings) {
        let (what, by) = match what {
            Truth::Cloud(what, by) => (what, by),
            Truth::Sent { call, .. } => {
                self.sent.extend(move_of(call).map(|(instance, _)| (instance.clone(), sight.at)));
                return;
            }
            _ => return,
        };
        match what {
            Happening::OutOfService { instance, group } if *by == Actor::Client => {
                let sent = self.sent.get(instance).copied().unwrap_or(sight.at);
                let since = Time(sent.0.saturating_sub(LATELY.0));
                let stated = sight.ground.stated.surely_in(instance, since);
                let groups = group.iter().chain(stated.filter(|stated| Some(*stated) != group.as_ref()));
                self.went_out(sight, (instance, since), groups.cloned().collect(), found);
            }
            Happening::InService { instance, .. } => {
                for group in self.of.get(instance).into_iter().flatten() {
                    if let Some(back) = self.out.get_mut(group).and_then(|out| out.get_mut(instance)) {
                        // Later outages are others'.
                        back.get_or_insert(sight.ground.latest(sight.at));
                    }
                }
            }
            Happening::InstanceDeleted { instance } => self.forget(instance),
            _ => {}
        }
    }
}

impl Groups {
    fn forget(&mut self, instance: &InstanceId) {
        for group in self.of.remove(instance).into_iter().flatten() {
            if let Some(out) = self.out.get_mut(&group) {
                out.remove(instance);
            }
        }
    }

    fn went_out(
        &mut self,
        sight: &Sight<'_>,
        (instance, since): (&InstanceId, Time),
        groups: Vec<GroupId>,
        found: &mut Findings,
    ) {
        self.forget(instance);
        for group in &groups {
            self.out.entry(group.clone()).or_default().insert(instance.clone(), None);
        }
        self.of.insert(instance.clone(), groups.clone());
        for group in groups {
            let (most, recovery) = loosest(sight, &group, since);
            // How long one is back already Fenix can only tell by its own clock.
            let now = sight.ground.latest(sight.at);
            let counts = |back: &Option<Time>| back.is_none_or(|back| now < back + recovery);
            let out = self.out.get(&group).into_iter().flatten();
            let all: Vec<&str> = out.filter(|(_, back)| counts(back)).map(|(id, _)| id.as_str()).collect();
            if all.len() > most as usize {
                let what =
                    format!("group {group} bears {most} out, and these are or recover: {}", all.join(", "));
                found.add(Check::R2, sight.at, what);
            }
        }
    }
}

/// Most members out, and the shortest recovery, of all that may have been in force since then.
fn loosest(sight: &Sight<'_>, id: &GroupId, since: Time) -> (u32, Millis) {
    let seen = sight.ground.groups.get(id);
    let said = sight.ground.stated.of_group(id, since);
    let ceilings = sight.scenario.sessions.iter().map(|session| session.terms.ceilings);
    let least = ceilings.clone().map(|ceilings| ceilings.least_impacted).max().unwrap_or(0);
    let ceiling = ceilings.map(|ceilings| ceilings.recovery_time).min().unwrap_or_default();
    let each = said.into_iter().map(|said| {
        let most = said.and_then(|said| said.max_impacted_members);
        let recovery = said.and_then(|said| said.recovery_time);
        (
            most.or(seen.map(|seen| seen.max_impacted_members)).unwrap_or(1).max(least),
            recovery.or(seen.map(|seen| seen.recovery_time)).unwrap_or_default().min(ceiling),
        )
    });
    each.fold((0, Millis(u64::MAX)), |(most, recovery), (other, shorter)| {
        (most.max(other), recovery.min(shorter))
    })
}
