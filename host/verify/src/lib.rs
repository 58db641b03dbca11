//! Reads a journal from its beginning and says where a rule was broken.
//!
//! It shares nothing with the code that admits decisions but the records themselves: what was seen, asked and done is
//! put together anew from them (`world`, `run`), and each rule is asked in its own words at each record that it is about
//! (`rules`). So a fault in the rules, or in what they stand on, shows here, and a fault here shows as a rule that was not
//! broken.
//!
//! A journal tells what Fenix knew and decided. What it cannot tell is listed in [`UNPROVEN`].

mod rules;
mod run;
mod world;

use std::collections::BTreeMap;

use fenix_core::id::SessionId;
use fenix_core::record::{Body, Record};
use fenix_core::rules::Rule;
use fenix_core::time::Time;

use crate::run::Run;
use crate::world::World;

/// What no journal proves, however whole it is; for people.
pub const UNPROVEN: [&str; 5] = [
    "that the cloud was as it was seen, and did what it was told to: compare with its own records",
    "that managers said what was heard of them, and that nobody else spoke in their name",
    "what became of things between the last look at them and the call that followed",
    "that everything on a host had a place of its own when it was taken out of service: only that there was room in all (R5)",
    "anything about sessions and looks that were compacted, or lost to damage",
];

/// A rule that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which.
    pub rule: Rule,
    /// In whose session.
    pub session: SessionId,
    /// At which record.
    pub seq: u64,
    /// When.
    pub at: Time,
    /// How, in a sentence for people.
    pub what: String,
}

/// What was read of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Effects that were admitted.
    pub admitted: u32,
    /// Of these, moves.
    pub moves: u32,
    /// Questions that were asked.
    pub asked: u32,
    /// True once it has ended: what must hold at the end was asked.
    pub ended: bool,
}

/// What a journal tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How many records were read.
    pub records: u64,
    /// Every session whose beginning is there.
    pub sessions: BTreeMap<SessionId, Tally>,
    /// What was broken, in order.
    pub findings: Vec<Finding>,
}

/// Reads records in their order.
#[derive(Debug, Default)]
pub struct Verifier {
    world: World,
    runs: BTreeMap<SessionId, Run>,
    report: Report,
}

/// Reads a whole journal.
pub fn verify<'a>(records: impl IntoIterator<Item = &'a Record>) -> Report {
    let mut verifier = Verifier::default();
    records.into_iter().for_each(|record| verifier.read(record));
    verifier.report
}

impl Verifier {
    /// Reads the next record.
    pub fn read(&mut self, record: &Record) {
        self.report.records += 1;
        let Some(id) = &record.session else {
            self.world.follow(&record.body, record.at);
            return;
        };
        if let Body::Opened { plan, .. } = &record.body {
            self.runs.insert(id.clone(), Run::new(plan.clone()));
            self.report.sessions.insert(id.clone(), Tally::default());
            return;
        }
        let Some(run) = self.runs.get(id) else { return };
        let case = rules::Case { world: &self.world, runs: &self.runs, id, run, now: record.at };
        let broken = rules::broken(&case, &record.body);
        let findings = broken.into_iter().map(|(rule, what)| Finding {
            rule,
            session: id.clone(),
            seq: record.seq,
            at: record.at,
            what,
        });
        self.report.findings.extend(findings);
        if let Some(tally) = self.report.sessions.get_mut(id) {
            count(tally, &record.body);
        }
        if record.body == Body::Removed {
            self.runs.remove(id);
        } else if let Some(run) = self.runs.get_mut(id) {
            run.follow(&record.body, record.at);
        }
    }

    /// What was read so far.
    pub fn report(&self) -> &Report {
        &self.report
    }
}

fn count(tally: &mut Tally, body: &Body) {
    use fenix_core::effect::EffectKind;
    use fenix_core::session::Condition;
    match body {
        Body::Admitted { effect } => {
            tally.admitted += 1;
            tally.moves += u32::from(matches!(effect.kind, EffectKind::Move { .. }));
        }
        Body::Asked { .. } => tally.asked += 1,
        Body::ConditionSet { condition, .. } => tally.ended = *condition == Condition::Ended,
        _ => {}
    }
}
