//! What a message says, field by field, as the earlier Fenix said it (contract 2.1 and 2.2).
//!
//! A reader finds every field that its state of `maintenance.scheduled` ever had, under the old names and types.
//! URLs in it begin with [`Base`], the address under which managers reach this Fenix.

use fenix_core::ask::{Ask, AskKind, MoveHow};
use fenix_core::id::{InstanceId, MessageId, ProjectId, SessionId};
use fenix_core::message::Content;
use fenix_core::time::Time;
use fenix_engine::event::Envelope;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// The address under which managers reach this Fenix, without a slash behind: `http://host:12347`.
///
/// Managers run a decoder over any text with `[` or `{` in it, and old ones know no IPv6 literals, so neither may
/// occur; and it must leave room for the ids behind it within [`super::python::MAX_TEXT`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base(String);

/// Longest base URL in characters: 255 that pass Ceilometer, less `/v1/maintenance/` and three ids with slashes.
pub const MAX_BASE: usize = 100;

/// Longest project or instance id in characters: ids are UUIDs, 36 at most; twice that leaves a margin.
pub const MAX_ID: usize = 64;

/// Why a text cannot be the base of the URLs in events.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("public_url {url:?} {why}")]
pub struct BaseError {
    /// The text.
    pub url: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl Base {
    /// Takes `url` as the base.
    ///
    /// # Errors
    /// It would break managers; the error says how.
    pub fn new(url: &str) -> Result<Base, BaseError> {
        let refuse = |why| Err(BaseError { url: url.chars().take(MAX_BASE).collect(), why });
        let Some(rest) = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://")) else {
            return refuse("must begin with http:// or https://");
        };
        let base = url.trim_end_matches('/');
        let rest = rest.trim_end_matches('/');
        if base.chars().count() > MAX_BASE {
            return refuse(
                "is longer than 100 characters, so that managers could not read the URLs behind it",
            );
        }
        if rest.contains(['[', ']', '{', '}']) {
            return refuse(
                "holds brackets, which managers take for a list; use a name instead of an IPv6 address",
            );
        }
        if rest.is_empty() || rest.contains(char::is_whitespace) || rest.contains(['?', '#', '@']) {
            return refuse("must be a plain address like http://fenix.example:12347");
        }
        if rest.contains('/') {
            return refuse("must have no path: Fenix adds /v1 itself");
        }
        Ok(Base(base.to_owned()))
    }

    /// The address itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The URL of a session.
    pub fn session(&self, session: &SessionId) -> String {
        format!("{}/v1/maintenance/{session}", self.0)
    }

    /// The URL under which a project reads its instances and answers.
    pub fn project(&self, session: &SessionId, project: &ProjectId) -> String {
        format!("{}/{project}", self.session(session))
    }
}

/// The type of a field's value, as Ceilometer's traits have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// Any JSON value; on its way it becomes Python text.
    Text(Value),
    /// A whole number.
    Int(i64),
    /// A point in time.
    Time(Time),
}

/// A message's fields in their order; what has no value is left out, as Ceilometer does.
pub type Payload = Vec<(&'static str, Field)>;

/// The name of a message on the wire: the same for every attempt and after every restart, so that receivers can
/// tell doubles.
pub fn message_uuid(session: &SessionId, message: MessageId) -> Uuid {
    let hash = Sha256::digest(format!("{session}/{message}"));
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}

/// The state on the wire, as a manager sees it.
pub fn wire_state(envelope: &Envelope) -> &'static str {
    match &envelope.message.content {
        // An ask message without its ask cannot be made; the mildest reading of one is a bare notice.
        Content::Ask(_) | Content::AskInstance(..) => {
            envelope.ask.as_ref().map_or("MAINTENANCE", |ask| ask.kind.wire())
        }
        Content::ActionDone(_) => "INSTANCE_ACTION_DONE",
        Content::ActionFallback(_) => "INSTANCE_ACTION_FALLBACK",
        Content::Host { in_maintenance: true, .. } => "IN_MAINTENANCE",
        Content::Host { in_maintenance: false, .. } => "MAINTENANCE_COMPLETE",
        Content::Session { state, .. } => state.wire(),
    }
}

/// The fields of one message.
pub fn payload(base: &Base, envelope: &Envelope) -> Payload {
    let session = &envelope.session;
    let project = &envelope.subscription.project;
    let text = |value: &str| Field::Text(json!(value));
    let mut fields: Payload = vec![
        ("service", text("fenix")),
        ("project_id", text(project.as_str())),
        ("session_id", text(session.as_str())),
        ("state", text(wire_state(envelope))),
    ];
    match &envelope.message.content {
        Content::Ask(_) | Content::AskInstance(..) => {
            let url = base.project(session, project);
            let (ids, url) = match &envelope.message.content {
                Content::AskInstance(_, instance) => {
                    (json!([instance.as_str()]), format!("{url}/{instance}"))
                }
                _ => (json!(url), url),
            };
            fields.push(("instance_ids", Field::Text(ids)));
            fields.push(("allowed_actions", Field::Text(allowed_actions(envelope.ask.as_ref()))));
            fields.push(("metadata", Field::Text(metadata(&envelope.metadata))));
            fields.extend(envelope.actions_at.map(|at| ("actions_at", Field::Time(at))));
            fields.extend(envelope.reply_at.map(|at| ("reply_at", Field::Time(at))));
            fields.push(("reply_url", Field::Text(json!(url))));
            fields.extend(envelope.ask.as_ref().map(|ask| ("ask_id", Field::Int(i64::from(ask.id.0)))));
            fields.extend(envelope.ask.as_ref().map(|ask| ("round", Field::Int(i64::from(ask.round)))));
        }
        Content::ActionDone(instance) | Content::ActionFallback(instance) => {
            fields.extend(notice(base, session, project, instance));
        }
        Content::Host { host, .. } => fields.push(("host", text(host.as_str()))),
        Content::Session { percent, .. } => fields.push(("percent_done", Field::Int(i64::from(*percent)))),
    }
    fields
}

/// What an event about one instance holds beside its state: nothing is asked, nothing is allowed.
fn notice(base: &Base, session: &SessionId, project: &ProjectId, instance: &InstanceId) -> Payload {
    vec![
        ("instance_ids", Field::Text(json!([instance.as_str()]))),
        ("allowed_actions", Field::Text(json!([]))),
        ("metadata", Field::Text(json!({}))),
        ("reply_url", Field::Text(json!(base.project(session, project)))),
    ]
}

fn allowed_actions(ask: Option<&Ask>) -> Value {
    let actions = match ask.map(|ask| ask.kind) {
        Some(AskKind::PrepareMaintenance | AskKind::PlannedMaintenance) => &MoveHow::ALL[..],
        Some(AskKind::Maintenance | AskKind::ScaleIn | AskKind::MaintenanceComplete) | None => &[],
    };
    actions.iter().map(|how| json!(how.wire())).collect()
}

/// The session's metadata; what is no JSON object in the journal reads as an empty one.
pub fn metadata(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(Value::Object(entries)) => Value::Object(entries),
        Ok(_) | Err(_) => json!({}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_that_would_break_managers_is_refused() {
        let check = |url: &str, expected: &str| {
            let error = Base::new(url).expect_err(url).to_string();
            assert!(error.contains(expected), "{url}: {error}");
        };
        check("http://[::1]:12347", "IPv6");
        check("http://{host}", "brackets");
        check("127.0.0.1:12347", "http://");
        check("http://", "plain address");
        check("http://a b", "plain address");
        check("http://user@host", "plain address");
        check("http://host/fenix", "no path");
        check(&format!("http://{}", "h".repeat(100)), "longer than");
    }

    #[test]
    fn the_longest_urls_reach_managers_whole() {
        let base = Base::new(&format!("http://{}/", "h".repeat(93))).unwrap();
        let id = "i".repeat(MAX_ID);
        let session = SessionId::from(uuid::Uuid::nil().to_string());
        let url = base.project(&session, &ProjectId::from(&id));
        assert!(url.chars().count() + 1 < super::super::python::MAX_TEXT, "{}", url.len());
    }

    #[test]
    fn a_message_keeps_its_name_and_no_two_share_one() {
        let session = SessionId::from("s");
        assert_eq!(message_uuid(&session, MessageId(1)), message_uuid(&session, MessageId(1)));
        assert_ne!(message_uuid(&session, MessageId(1)), message_uuid(&session, MessageId(2)));
        assert_eq!(message_uuid(&session, MessageId(1)).get_version_num(), 4);
    }
}
