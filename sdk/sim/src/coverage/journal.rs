//! What a journal tells of refusals, outcomes and states.

use std::collections::BTreeMap;

use fenix_core::ask::{AskKind, AskStatus};
use fenix_core::effect::{EffectKind, Outcome};
use fenix_core::id::{AskId, EffectId};
use fenix_core::policy::Policies;
use fenix_core::record::{Body, Record};
use fenix_core::session::{Close, Condition, Phase};

use super::Tally;
use super::table::{self, Row, Trouble};

/// What is known of a session while its records are read.
#[derive(Default)]
struct Known {
    policies: Policies,
    asks: BTreeMap<AskId, AskKind>,
    effects: BTreeMap<EffectId, EffectKind>,
}

/// Counts what the records tell.
pub(super) fn count(records: &[Record], tally: &mut Tally) {
    let mut sessions: BTreeMap<_, Known> = BTreeMap::new();
    for record in records {
        if let Some(session) = &record.session {
            let known = sessions.entry(session).or_default();
            for row in known.read(&record.body) {
                *tally.entry(row).or_default() += 1;
            }
        }
    }
}

impl Known {
    /// What one record tells.
    fn read(&mut self, body: &Body) -> Vec<Row> {
        match body {
            Body::Opened { plan, .. } => {
                self.policies = plan.terms.policies;
                vec![table::phase(Phase::Maintenance), table::condition(&Condition::Running)]
            }
            Body::HostJoined { work, .. } => vec![table::stage(&work.stage)],
            Body::ProjectJoined { managed: false, .. } => vec![self.trouble(Trouble::Unmanaged)],
            Body::Decided { refused, .. } => refused
                .iter()
                .map(|(planned, refusal)| table::refusal(refusal.rule, &planned.decision))
                .collect(),
            Body::Entered { phase, .. } => vec![table::phase(*phase)],
            Body::ConditionSet { condition, .. } => vec![table::condition(condition)],
            Body::Failed { .. } => {
                let closing = Condition::Closing { why: Close::Failed };
                vec![table::phase(Phase::MaintenanceFailed), table::condition(&closing)]
            }
            Body::Continued { phase } => vec![table::phase(*phase), table::condition(&Condition::Running)],
            Body::Asked { ask, .. } => {
                self.asks.insert(ask.id, ask.kind);
                vec![table::ask(ask.kind, &AskStatus::Open)]
            }
            Body::Replied { ask: Some(ask), reply, .. } => self.replied(*ask, reply.agrees),
            Body::AskEnded { ask, status } => self.ask_ended(*ask, status),
            Body::Admitted { effect } => {
                self.effects.insert(effect.id, effect.kind.clone());
                Vec::new()
            }
            Body::EffectEnded { effect, outcome } => self.effect_ended(*effect, outcome),
            Body::HostMoved { stage, .. } => vec![table::stage(stage)],
            _ => Vec::new(),
        }
    }

    fn trouble(&self, trouble: Trouble) -> Row {
        table::policy(trouble, &self.policies)
    }

    fn replied(&self, ask: AskId, agrees: bool) -> Vec<Row> {
        let Some(kind) = self.asks.get(&ask) else { return Vec::new() };
        match agrees {
            true => vec![table::ask(*kind, &AskStatus::Acked { actions: BTreeMap::new() })],
            false => vec![table::ask(*kind, &AskStatus::Nacked), self.trouble(Trouble::Nack)],
        }
    }

    fn ask_ended(&self, ask: AskId, status: &AskStatus) -> Vec<Row> {
        let Some(kind) = self.asks.get(&ask) else { return Vec::new() };
        let mut rows = vec![table::ask(*kind, status)];
        if matches!(status, AskStatus::Expired | AskStatus::Undelivered) {
            rows.push(self.trouble(Trouble::Silence));
        }
        rows
    }

    fn effect_ended(&self, effect: EffectId, outcome: &Outcome) -> Vec<Row> {
        let Some(kind) = self.effects.get(&effect) else { return Vec::new() };
        let mut rows = vec![table::effect(kind, outcome)];
        match (outcome, kind) {
            (Outcome::Withdrawn { rule, .. }, _) => rows.push(table::withdrawal(*rule)),
            (Outcome::Failed { .. }, EffectKind::Move { .. }) => rows.push(self.trouble(Trouble::FailedMove)),
            (Outcome::Failed { .. }, EffectKind::Work { .. }) => {
                rows.push(self.trouble(Trouble::FailedAction));
            }
            _ => {}
        }
        rows
    }
}
