//! What simulations went through: each fault, refusal, blocker and state, counted.
//!
//! Seeds show nothing about what never happens in them. So every simulation is counted ([`Tally`]): faults where they
//! happen, refusals, outcomes and states as its journal tells of them, and blockers as they are shown. [`table::rows`] lists
//! everything there is to be counted, made of the very enums, and [`table::reason`] says of some of it why it cannot happen.

mod faults;
mod journal;
mod reasons;
pub mod table;

use std::collections::{BTreeMap, BTreeSet};

use fenix_core::blocker::{self, What};
use fenix_core::id::SessionId;
use fenix_core::record::Record;
use fenix_engine::Engine;
use serde::{Deserialize, Serialize};

use crate::truth::Truth;

pub use faults::Fault;
pub use table::{Row, Table};

/// How often each thing was met in one simulation.
pub type Tally = BTreeMap<Row, u64>;

/// How often each thing was met in many simulations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// How many simulations.
    pub runs: u64,
    /// How often each thing was met, and in how many simulations.
    #[serde(with = "pairs")]
    pub met: BTreeMap<Row, (u64, u64)>,
}

impl Coverage {
    /// Adds one simulation.
    pub fn add(&mut self, tally: &Tally) {
        self.runs += 1;
        for (row, times) in tally {
            let (all, runs) = self.met.entry(row.clone()).or_default();
            *all += times;
            *runs += 1;
        }
    }

    /// Adds other simulations.
    pub fn merge(&mut self, others: Coverage) {
        self.runs += others.runs;
        for (row, (times, runs)) in others.met {
            let (all, all_runs) = self.met.entry(row).or_default();
            *all += times;
            *all_runs += runs;
        }
    }

    /// How often something was met, and in how many simulations.
    pub fn of(&self, row: &Row) -> (u64, u64) {
        self.met.get(row).copied().unwrap_or_default()
    }

    /// What is wrong with it: what was met less often than `least` times though it can be and is not seldom, what was
    /// met though it is said that it cannot be, and what no table knows.
    pub fn problems(&self, least: u64) -> Vec<String> {
        let rows = table::rows();
        let mut problems = Vec::new();
        for row in &rows {
            match (self.of(row).0, table::reason(row)) {
                (0, Some(_)) => {}
                (times, Some(why)) => {
                    problems.push(format!("{row}: met {times} times, and it is said that {why}"))
                }
                (times, None) if times < least && !table::is_seldom(row) => {
                    problems.push(format!("{row}: met {times} times only"))
                }
                (_, None) => {}
            }
        }
        let strangers = self.met.keys().filter(|row| !rows.contains(row));
        problems.extend(strangers.map(|row| format!("{row}: no table lists it")));
        problems
    }
}

/// A map whose keys are no texts, as a list of pairs: JSON has no such maps.
mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<K: Serialize, V: Serialize, S: Serializer>(
        map: &BTreeMap<K, V>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map)
    }

    pub(super) fn deserialize<'de, K, V, D>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
    where
        K: Deserialize<'de> + Ord,
        V: Deserialize<'de>,
        D: Deserializer<'de>,
    {
        Ok(Vec::<(K, V)>::deserialize(deserializer)?.into_iter().collect())
    }
}

/// Notes what happens while a simulation runs.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    tally: Tally,
    /// The blockers that were there at the last look.
    shown: BTreeSet<(SessionId, What, String)>,
}

impl Watch {
    /// Something went wrong so many times.
    pub(crate) fn count(&mut self, fault: Fault, times: u64) {
        if times > 0 {
            *self.tally.entry(table::fault(fault)).or_default() += times;
        }
    }

    /// An entry of the truth, which may tell of a fault or of what an action said.
    pub(crate) fn see(&mut self, what: &Truth) {
        if let Some(fault) = Fault::told(what) {
            self.count(fault, 1);
        }
        if let Some(row) = table::said(what) {
            *self.tally.entry(row).or_default() += 1;
        }
    }

    /// Looks at the blockers that are shown now; those that were not there at the last look count.
    pub(crate) fn blockers(&mut self, engine: Option<&Engine>) {
        let Some(engine) = engine else { return };
        let state = engine.state();
        let of = |id: &SessionId| {
            let shown = blocker::blockers(state, id, state.at).into_iter();
            let id = id.clone();
            shown.map(move |blocker| (id.clone(), blocker.what, blocker.on))
        };
        let shown: BTreeSet<_> = state.sessions.keys().flat_map(of).collect();
        for (_, what, _) in shown.difference(&self.shown) {
            *self.tally.entry(table::blocker(*what)).or_default() += 1;
        }
        self.shown = shown;
    }

    /// All that was counted, with what the journal tells.
    pub(crate) fn tally(mut self, records: &[Record]) -> Tally {
        journal::count(records, &mut self.tally);
        self.tally
    }
}
