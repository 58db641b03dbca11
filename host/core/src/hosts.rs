//! A session's hosts, with the indexes that keep a decision as cheap for a thousand hosts as for ten.

use std::collections::BTreeMap;
use std::ops::Deref;

use crate::id::HostId;
use crate::session::{HostStage, HostWork};
use crate::shared::{SharedMap, SharedSet};

/// A session's hosts. Reads like the map that it holds; changes only by [`Hosts::set`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hosts {
    all: SharedMap<HostId, HostWork>,
    by_stage: BTreeMap<&'static str, SharedSet<HostId>>,
    /// Kept out of service by this session, in turn to be worked on.
    out: SharedSet<HostId>,
    /// Managers were asked about them before their turn.
    asked_about: SharedSet<HostId>,
}

impl Hosts {
    /// Takes over how a host stands.
    pub fn set(&mut self, host: HostId, work: HostWork) {
        if let Some(old) = self.all.get(&host)
            && let Some(there) = self.by_stage.get_mut(old.stage.name())
        {
            there.remove(&host);
            if there.is_empty() {
                self.by_stage.remove(old.stage.name());
            }
        }
        self.by_stage.entry(work.stage.name()).or_default().insert(host.clone());
        // A host that was left out for good takes no turn any more: it does not count.
        let in_turn = work.fenced && !matches!(work.stage, HostStage::Quarantined { begun: true, .. });
        match in_turn {
            true => self.out.insert(host.clone()),
            false => self.out.remove(&host),
        };
        self.all.insert(host, work);
    }

    /// Hosts in a stage of that name ([`HostStage::name`]).
    pub fn in_stage(&self, stage: &str) -> impl Iterator<Item = (&HostId, &HostWork)> + Clone {
        let there = self.by_stage.get(stage).into_iter().flat_map(SharedSet::iter);
        there.filter_map(|host| self.all.get_key_value(host))
    }

    /// How many hosts are in a stage of that name.
    pub fn count(&self, stage: &str) -> usize {
        self.by_stage.get(stage).map_or(0, SharedSet::len)
    }

    /// True if managers were asked about a host, since the session was last continued.
    pub fn is_asked_about(&self, host: &HostId) -> bool {
        self.asked_about.contains(host)
    }

    pub(crate) fn asked_about(&mut self, host: &HostId) {
        self.asked_about.insert(host.clone());
    }

    pub(crate) fn forget_asked(&mut self) {
        self.asked_about = SharedSet::default();
    }

    /// Hosts that the session keeps out of service to work on them in their turn.
    pub fn out(&self) -> impl Iterator<Item = &HostId> {
        self.out.iter()
    }
}

impl Deref for Hosts {
    type Target = SharedMap<HostId, HostWork>;
    fn deref(&self) -> &Self::Target {
        &self.all
    }
}
