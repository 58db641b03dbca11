//! Counts what the journal takes. Everything that happens to sessions passes here once, when it is on disk.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use fenix_core::ask::AskKind;
use fenix_core::effect::Outcome;
use fenix_core::id::{AskId, EffectId, SessionId};
use fenix_core::message::Delivery;
use fenix_core::record::{Body, Record};
use fenix_core::state::State;
use fenix_core::time::Time;
use fenix_engine::ports::{Journal, JournalError};

use super::Metrics;

/// A journal whose records are counted.
pub struct Counted {
    journal: Box<dyn Journal + Send>,
    metrics: Arc<Metrics>,
    open: Open,
}

/// What ends with a record that does not say what it was.
#[derive(Debug, Default)]
struct Open {
    effects: BTreeMap<(SessionId, EffectId), &'static str>,
    asks: BTreeMap<(SessionId, AskId), Asked>,
}

/// A question that is open.
#[derive(Clone, Copy, Debug)]
struct Asked {
    kind: AskKind,
    at: Time,
    /// A fast manager answers before we know that the question has reached it.
    delivered: Option<Time>,
}

impl Counted {
    /// Counts what `journal` takes from now on; `state` tells what is open.
    pub fn new(journal: Box<dyn Journal + Send>, metrics: Arc<Metrics>, state: &State) -> Counted {
        let mut open = Open::default();
        for (id, session) in state.sessions.iter() {
            let effects = session.effects.values();
            open.effects.extend(effects.map(|effect| ((id.clone(), effect.id), effect.kind.name())));
            let asks = session.open_asks.iter().filter_map(|ask| session.asks.get(ask));
            open.asks.extend(asks.map(|ask| {
                (
                    (id.clone(), ask.id),
                    Asked { kind: ask.kind, at: ask.opened_at, delivered: ask.delivered_at },
                )
            }));
        }
        Counted { journal, metrics, open }
    }
}

impl Journal for Counted {
    fn append(&mut self, records: &[Record]) -> Result<(), JournalError> {
        let begun = Instant::now();
        if let Err(error) = self.journal.append(records) {
            self.metrics.journal_errors.inc();
            return Err(error);
        }
        if !records.is_empty() {
            self.metrics.batch_seconds.observe(begun.elapsed().as_secs_f64());
            self.metrics.batch_records.observe(records.len() as f64);
        }
        for record in records {
            self.metrics.records.get_or_create(&vec![("kind", record.body.name().into())]).inc();
            if let Some(session) = &record.session {
                self.open.count(&self.metrics, session, record);
            }
        }
        Ok(())
    }
}

impl Open {
    fn count(&mut self, metrics: &Metrics, session: &SessionId, record: &Record) {
        let id = || session.clone();
        match &record.body {
            Body::Admitted { effect } => {
                self.effects.insert((id(), effect.id), effect.kind.name());
            }
            Body::EffectEnded { effect, outcome } => {
                let key = (id(), *effect);
                // One whose outcome is unknown is still there, and ends once more when somebody has found out.
                let kind = match outcome {
                    Outcome::Unknown { .. } => self.effects.get(&key).copied(),
                    Outcome::Done | Outcome::Failed { .. } | Outcome::Withdrawn { .. } => {
                        self.effects.remove(&key)
                    }
                };
                let labels =
                    vec![("effect", kind.unwrap_or("other").into()), ("outcome", word(outcome).into())];
                metrics.effects.get_or_create(&labels).inc();
            }
            Body::Asked { ask, .. } => {
                self.asks.insert((id(), ask.id), Asked { kind: ask.kind, at: record.at, delivered: None });
            }
            Body::AskDelivered { ask, .. } => {
                if let Some(asked) = self.asks.get_mut(&(id(), *ask)) {
                    asked.delivered.get_or_insert(record.at);
                }
            }
            Body::Replied { ask: Some(ask), reply, .. } => {
                let answer = if reply.agrees { "acked" } else { "nacked" };
                self.end_ask(metrics, (id(), *ask), answer, Some(record.at));
            }
            Body::AskEnded { ask, status } => self.end_ask(metrics, (id(), *ask), status.word(), None),
            Body::MessageEnded { delivery, .. } => {
                metrics.messages.get_or_create(&vec![("outcome", end(delivery).into())]).inc();
            }
            Body::Removed => {
                self.effects.retain(|(of, _), _| of != session);
                self.asks.retain(|(of, _), _| of != session);
            }
            _ => {}
        }
    }

    fn end_ask(
        &mut self,
        metrics: &Metrics,
        key: (SessionId, AskId),
        answer: &'static str,
        at: Option<Time>,
    ) {
        let Some(Asked { kind, at: asked, delivered }) = self.asks.remove(&key) else { return };
        metrics.asks.get_or_create(&vec![("ask", kind.wire().into()), ("answer", answer.into())]).inc();
        if let Some(at) = at {
            let took = at.since(delivered.unwrap_or(asked));
            let labels = vec![("ask", kind.wire().into())];
            metrics.answer_seconds.get_or_create(&labels).observe(took.0 as f64 / 1000.0);
        }
    }
}

fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Done => "done",
        Outcome::Failed { .. } => "failed",
        Outcome::Withdrawn { .. } => "withdrawn",
        Outcome::Unknown { .. } => "unknown",
    }
}

fn end(delivery: &Delivery) -> &'static str {
    match delivery {
        Delivery::Delivered => "delivered",
        Delivery::Rejected { .. } => "rejected",
        Delivery::Expired { .. } => "expired",
        Delivery::Dropped => "dropped",
    }
}
