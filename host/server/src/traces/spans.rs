//! Spans of sessions, made of records.
//!
//! The id of a session is the id of its trace, so whoever knows the one finds the other. Ids of spans are made from
//! what they stand for, not drawn: after a restart, the children of a span that was begun before have the right parent.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fenix_core::ask::Ask;
use fenix_core::effect::{Effect, EffectKind, Outcome, Subject};
use fenix_core::id::{AskId, EffectId, HostId, SessionId};
use fenix_core::record::{Body, Record};
use fenix_core::session::{Condition, HostStage};
use fenix_core::state::State;
use fenix_core::time::Time;
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// What a span stands for, within its session.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    /// All of the session, until it has ended for the first time.
    Session,
    /// What follows when somebody lets it go on after its end; by the record that says so.
    Continued(u64),
    /// A host, from the fence to its end.
    Host(HostId),
    Effect(EffectId),
    Ask(AskId),
    /// A decision; by its record.
    Decision(u64),
}

/// A span that has not ended.
#[derive(Clone, Debug)]
struct Open {
    name: &'static str,
    begun: Time,
    /// The host whose span it is in, if it is in one.
    host: Option<HostId>,
    attributes: Vec<KeyValue>,
}

/// The spans of one session that have not ended.
type OpenSpans = BTreeMap<What, Open>;

/// Spans of all sessions.
#[derive(Debug, Default)]
pub(super) struct Spans {
    sessions: BTreeMap<SessionId, OpenSpans>,
}

/// True if a record begins or ends a span.
pub(super) fn tells(record: &Record) -> bool {
    matches!(
        record.body,
        Body::Opened { .. }
            | Body::Continued { .. }
            | Body::Failed { .. }
            | Body::ConditionSet { condition: Condition::Ended, .. }
            | Body::Removed
            | Body::Decided { .. }
            | Body::Undecided { .. }
            | Body::Asked { .. }
            | Body::Replied { ask: Some(_), .. }
            | Body::AskEnded { .. }
            | Body::Admitted { .. }
            | Body::EffectEnded { .. }
            | Body::HostMoved { .. }
    )
}

impl Spans {
    /// Spans that go on from how things stand: what had begun before has the times that are still known.
    pub(super) fn new(state: &State) -> Spans {
        let mut spans = Spans::default();
        let going_on = state.sessions.values().filter(|session| session.condition != Condition::Ended);
        for session in going_on {
            let open = spans.sessions.entry(session.id.clone()).or_default();
            let plan = &session.plan;
            open.insert(What::Session, whole(&session.id, &plan.workflow.name, session.created_at));
            let in_work = session.hosts.iter().filter(|(_, work)| work.fenced);
            open.extend(in_work.map(|(host, work)| (What::Host(host.clone()), of_host(host, work.since))));
            for effect in session.effects.values() {
                open.insert(What::Effect(effect.id), of_effect(effect));
            }
            for ask in session.open_asks.iter().filter_map(|ask| session.asks.get(ask)) {
                open.insert(What::Ask(ask.id), of_ask(ask));
            }
        }
        spans
    }

    /// Takes records, and returns the spans that end with them.
    pub(super) fn take(&mut self, records: &[Record]) -> Vec<SpanData> {
        let mut ended = Vec::new();
        for record in records {
            let Some(session) = &record.session else { continue };
            let open = self.sessions.entry(session.clone()).or_default();
            ended.extend(open_or_end(session, open, record));
            if open.is_empty() {
                self.sessions.remove(session);
            }
        }
        ended
    }
}

fn open_or_end(session: &SessionId, open: &mut OpenSpans, record: &Record) -> Vec<SpanData> {
    let at = record.at;
    let text = |key: &'static str, value: &str| vec![KeyValue::new(key, value.to_owned())];
    match &record.body {
        Body::Opened { plan, .. } => {
            open.insert(What::Session, whole(session, &plan.workflow.name, at));
        }
        Body::Continued { .. } => {
            let continued = Open { name: "session continued", ..whole(session, "", at) };
            open.insert(What::Continued(record.seq), continued);
        }
        Body::Failed { reason } => {
            for span in open.iter_mut().filter(|(what, _)| is_whole(what)).map(|(_, span)| span) {
                span.attributes.push(KeyValue::new(FAILED, reason.clone()));
            }
        }
        Body::ConditionSet { condition: Condition::Ended, .. } | Body::Removed => {
            let all = std::mem::take(open);
            return all
                .into_iter()
                .map(|(what, span)| end(session, &what, span, at, Ok(()), Vec::new()))
                .collect();
        }
        Body::Decided { waiting, refused } => {
            let refused = vec![KeyValue::new("fenix.refused", count(refused.len()))];
            let attributes = [text("fenix.waits_for", &waiting.on), refused].concat();
            return vec![decision(session, record, attributes, Ok(()))];
        }
        Body::Undecided { why } => return vec![decision(session, record, Vec::new(), Err(why))],
        Body::Asked { ask, reason } => {
            let mut span = of_ask(ask);
            span.attributes.push(KeyValue::new("fenix.reason", reason.clone()));
            open.insert(What::Ask(ask.id), span);
        }
        Body::Replied { ask: Some(ask), reply, .. } => {
            let answer = if reply.agrees { "acked" } else { "nacked" };
            return close(session, open, What::Ask(*ask), at, Ok(()), text("fenix.answer", answer));
        }
        Body::AskEnded { ask, status } => {
            let status = format!("{status:?}").to_lowercase();
            return close(session, open, What::Ask(*ask), at, Err(&status), text("fenix.answer", &status));
        }
        Body::Admitted { effect } => {
            if let EffectKind::Fence { host } = &effect.kind {
                open.entry(What::Host(host.clone())).or_insert_with(|| of_host(host, at));
            }
            open.insert(What::Effect(effect.id), of_effect(effect));
        }
        Body::EffectEnded { effect, outcome } => {
            if let Some(result) = came_out(outcome) {
                return close(session, open, What::Effect(*effect), at, result, Vec::new());
            }
        }
        Body::HostMoved { host, stage, .. } => {
            if let Some(result) = finished(stage) {
                let stage = text("fenix.stage", stage.name());
                return close(session, open, What::Host(host.clone()), at, result, stage);
            }
        }
        _ => {}
    }
    Vec::new()
}

/// How an effect came out; one that nobody knows of ends once more when somebody has found out.
fn came_out(outcome: &Outcome) -> Option<Result<(), &str>> {
    match outcome {
        Outcome::Done => Some(Ok(())),
        Outcome::Failed { why } => Some(Err(why)),
        Outcome::Withdrawn { seen, .. } => Some(Err(seen)),
        Outcome::Unknown { .. } => None,
    }
}

/// How a host ended, if it did.
fn finished(stage: &HostStage) -> Option<Result<(), &str>> {
    match stage {
        HostStage::Maintained | HostStage::Waiting => Some(Ok(())),
        HostStage::Quarantined { why, .. } => Some(Err(why)),
        HostStage::Fenced | HostStage::Working | HostStage::Worked => None,
    }
}

/// The attribute with the reason of a failure: it makes the span's status.
const FAILED: &str = "fenix.failure";

/// More than fit are not there.
fn count(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn is_whole(what: &What) -> bool {
    matches!(what, What::Session | What::Continued(_))
}

fn whole(session: &SessionId, workflow: &str, begun: Time) -> Open {
    let attributes = vec![
        KeyValue::new("fenix.session", session.to_string()),
        KeyValue::new("fenix.workflow", workflow.to_owned()),
    ];
    Open { name: "session", begun, host: None, attributes }
}

fn of_host(host: &HostId, begun: Time) -> Open {
    Open { name: "host", begun, host: None, attributes: vec![KeyValue::new("fenix.host", host.to_string())] }
}

fn of_effect(effect: &Effect) -> Open {
    let mut attributes = vec![
        KeyValue::new("fenix.what", effect.kind.summary()),
        KeyValue::new("fenix.reason", effect.reason.clone()),
    ];
    let host = match (&effect.kind, effect.kind.subject()) {
        (EffectKind::Move { from, to, instance, .. }, _) => {
            attributes.push(KeyValue::new("fenix.instance", instance.to_string()));
            attributes.push(KeyValue::new("fenix.to", to.to_string()));
            Some(from.clone())
        }
        (_, Subject::Host(host)) => Some(host),
        (_, Subject::Instance(_) | Subject::Session(_)) => None,
    };
    attributes.extend(host.iter().map(|host| KeyValue::new("fenix.host", host.to_string())));
    Open { name: effect.kind.name(), begun: effect.admitted_at, host, attributes }
}

fn of_ask(ask: &Ask) -> Open {
    let mut attributes = vec![
        KeyValue::new("fenix.ask", ask.kind.wire()),
        KeyValue::new("fenix.project", ask.project.to_string()),
        KeyValue::new("fenix.round", i64::from(ask.round)),
        KeyValue::new("fenix.instances", count(ask.instances.len())),
    ];
    attributes.extend(ask.host.iter().map(|host| KeyValue::new("fenix.host", host.to_string())));
    Open { name: "ask", begun: ask.opened_at, host: ask.host.clone(), attributes }
}

fn decision(
    session: &SessionId,
    record: &Record,
    attributes: Vec<KeyValue>,
    result: Result<(), &str>,
) -> SpanData {
    let span = Open { name: "decision", begun: record.at, host: None, attributes };
    end(session, &What::Decision(record.seq), span, record.at, result, Vec::new())
}

fn close(
    session: &SessionId,
    open: &mut OpenSpans,
    what: What,
    at: Time,
    result: Result<(), &str>,
    more: Vec<KeyValue>,
) -> Vec<SpanData> {
    let Some(mut span) = open.remove(&what) else { return Vec::new() };
    // A host's span may have ended before: then its late children are the session's.
    span.host = span.host.filter(|host| open.contains_key(&What::Host(host.clone())));
    vec![end(session, &what, span, at, result, more)]
}

fn end(
    session: &SessionId,
    what: &What,
    mut span: Open,
    at: Time,
    result: Result<(), &str>,
    mut more: Vec<KeyValue>,
) -> SpanData {
    span.attributes.append(&mut more);
    let failed = span.attributes.iter().find(|attribute| attribute.key.as_str() == FAILED);
    let failed = failed.map(|attribute| attribute.value.as_str().into_owned());
    let status = match (result, failed) {
        (Err(why), _) => Status::error(why.to_owned()),
        (Ok(()), Some(why)) => Status::error(why),
        (Ok(()), None) => Status::Ok,
    };
    let parent = match (what, span.host) {
        (What::Session, _) => SpanId::INVALID,
        (_, Some(host)) => span_id(session, &What::Host(host)),
        (_, None) => span_id(session, &What::Session),
    };
    let context = SpanContext::new(
        trace_id(session),
        span_id(session, what),
        TraceFlags::SAMPLED,
        false,
        TraceState::default(),
    );
    SpanData {
        span_context: context,
        parent_span_id: parent,
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name: span.name.into(),
        start_time: system(span.begun),
        end_time: system(at.max(span.begun)),
        attributes: span.attributes,
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status,
        instrumentation_scope: InstrumentationScope::builder("fenix").build(),
    }
}

fn system(time: Time) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(time.0)
}

/// A session's id is a UUID, which is as long as the id of a trace.
fn trace_id(session: &SessionId) -> TraceId {
    match Uuid::parse_str(session.as_str()) {
        Ok(uuid) => TraceId::from_bytes(*uuid.as_bytes()),
        Err(_) => TraceId::from_bytes(first(&Sha256::digest(session.as_str()))),
    }
}

fn span_id(session: &SessionId, what: &What) -> SpanId {
    SpanId::from_bytes(first(&Sha256::digest(format!("{session} {what:?}"))))
}

/// The first bytes of a digest, which has more.
fn first<const N: usize>(digest: &[u8]) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&digest[..N]);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_and_its_trace_have_one_id() {
        let trace = trace_id(&"6d755eba-cafb-495b-a4d4-b2da265e05dc".into());
        assert_eq!(trace.to_string(), "6d755ebacafb495ba4d4b2da265e05dc");
    }

    #[test]
    fn what_a_span_stands_for_has_the_same_id_after_a_restart() {
        let ids = |session: &str| {
            let all = [What::Session, What::Host("h".into()), What::Effect(EffectId(1)), What::Ask(AskId(1))];
            all.map(|what| span_id(&session.into(), &what))
        };
        assert_eq!(ids("a"), ids("a"));
        let mut all = [ids("a"), ids("b")].concat();
        all.sort_by_key(|id| id.to_bytes());
        all.dedup();
        assert_eq!(all.len(), 8);
    }
}
