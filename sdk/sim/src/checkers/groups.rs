//! R2: no more members of a group out than it bears, of those that are out because of Fenix.

use std::collections::BTreeMap;

use fenix_cloud::sim::trace::{Actor, Happening};
use fenix_core::id::{GroupId, InstanceId};
use fenix_core::time::Time;

use super::{Check, Checker, Findings, Sight};
use crate::truth::Truth;

/// Members that Fenix put out of service.
#[derive(Default)]
pub(super) struct Groups {
    /// With Fenix's time at which it came back, if it did.
    out: BTreeMap<InstanceId, (GroupId, Option<Time>)>,
}

impl Checker for Groups {
    fn see(&mut self, sight: &Sight<'_>, what: &Truth, found: &mut Findings) {
        let Truth::Cloud(what, by) = what else { return };
        match what {
            Happening::OutOfService { instance, group: Some(group) } if *by == Actor::Client => {
                self.went_out(sight, instance, group, found);
            }
            Happening::InService { instance, .. } => {
                if let Some((_, back)) = self.out.get_mut(instance) {
                    // Later outages are others'.
                    back.get_or_insert(sight.ground.latest(sight.at));
                }
            }
            Happening::InstanceDeleted { instance } => {
                self.out.remove(instance);
            }
            _ => {}
        }
    }
}

impl Groups {
    fn went_out(&mut self, sight: &Sight<'_>, instance: &InstanceId, id: &GroupId, found: &mut Findings) {
        let Some(group) = sight.ground.groups.get(id) else { return };
        let recovery = group.recovery_time;
        // How long one is back already Fenix can only tell by its own clock.
        let now = sight.ground.latest(sight.at);
        self.out.retain(|_, (_, back)| back.is_none_or(|back| now < back + recovery));
        self.out.insert(instance.clone(), (id.clone(), None));
        let all: Vec<&str> =
            self.out.iter().filter(|(_, (of, _))| of == id).map(|(member, _)| member.as_str()).collect();
        if all.len() > group.max_impacted_members as usize {
            let most = group.max_impacted_members;
            let what = format!("group {id} bears {most} out, and these are or recover: {}", all.join(", "));
            found.add(Check::R2, sight.at, what);
        }
    }
}
