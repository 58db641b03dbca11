//! What one receiver of messages has in its inbox.

use std::collections::{BTreeMap, BTreeSet};

use fenix_core::ask::AskKind;
use fenix_core::id::{AskId, HostId, MessageId, SessionId, SubscriptionId};
use fenix_core::message::Content;
use fenix_core::session::Phase;
use fenix_core::time::Time;

use super::Measure;
use crate::truth::{Asked, content_text};

/// How the text of a question begins.
const QUESTION: &str = "question";

/// What a receiver was told.
#[derive(Clone, Debug, Default)]
pub(super) struct Inbox {
    /// What stood under each id.
    by_id: BTreeMap<(SessionId, MessageId), (Content, Option<Asked>)>,
    /// The ids under which each text came: a notice, or a question with its number, its host and its round.
    by_text: BTreeMap<String, BTreeSet<MessageId>>,
    /// The questions, once each, in the order in which they first came.
    pub(super) questions: Vec<(AskId, AskKind, Option<HostId>)>,
    /// When it was first told that the session is done.
    pub(super) told_done: Option<Time>,
    /// What the session's state was said to be, the last time.
    state: Option<&'static str>,
}

impl Inbox {
    pub(super) fn take(
        &mut self,
        at: Time,
        to: &SubscriptionId,
        key: (SessionId, MessageId),
        said: (Content, Option<Asked>),
        wrong: &mut Vec<String>,
    ) {
        if let Some(before) = self.by_id.get(&key) {
            if *before != said {
                wrong.push(format!("{to} got two messages under the id {}: {before:?}, {said:?}", key.1));
            }
            return;
        }
        let text = match &said.1 {
            Some(ask) => format!("{QUESTION} {} {ask}", ask.id),
            None => content_text(&said.0),
        };
        self.by_text.entry(text).or_default().insert(key.1);
        if let Some(ask) = &said.1
            && !self.questions.iter().any(|(id, ..)| *id == ask.id)
        {
            self.questions.push((ask.id, ask.kind, ask.host.clone()));
        }
        if let Content::Session { state, .. } = &said.0 {
            self.state = Some(state.wire());
            if *state == Phase::MaintenanceDone {
                self.told_done.get_or_insert(at);
            }
        }
        self.by_id.insert(key, said);
    }

    pub(super) fn against(
        &self,
        plain: &Inbox,
        measure: Measure,
        deaths: u32,
        to: &SubscriptionId,
        wrong: &mut Vec<String>,
    ) {
        for (text, ids) in &self.by_text {
            let there = plain.by_text.get(text).map_or(1, BTreeSet::len);
            // A question that is open at a restart is asked again, since its answer may have found nobody: under the same
            // number, and another id (I10 in `docs/MESSAGES.md`).
            let again = if text.starts_with(QUESTION) { deaths as usize } else { 0 };
            if ids.len() > there + again {
                wrong.push(format!("{to} was told under {} ids: {text}", ids.len()));
            }
        }
        let completes = self.count(AskKind::MaintenanceComplete);
        let last = self.questions.last().map(|(_, kind, _)| *kind);
        if !self.questions.is_empty() && (completes != 1 || last != Some(AskKind::MaintenanceComplete)) {
            let plural = if completes == 1 { "" } else { "s" };
            wrong.push(format!("{to} got {completes} MAINTENANCE_COMPLETE{plural}, and {last:?} last"));
        }
        if measure == Measure::NoMore {
            return;
        }
        let (here, there) = (self.kinds(), plain.kinds());
        if here != there {
            wrong.push(format!("{to} was asked {here:?}, and without a crash {there:?}"));
        }
        let notices = |inbox: &Inbox| -> BTreeSet<String> {
            inbox.by_text.keys().filter(|text| !text.starts_with(QUESTION)).cloned().collect()
        };
        let (here, there) = (notices(self), notices(plain));
        if let Some(missing) = there.difference(&here).find(|text| !is_progress(text)) {
            wrong.push(format!("{to} was not told: {missing}"));
        }
        if self.state != plain.state {
            wrong.push(format!("{to} last heard {:?}, and without a crash {:?}", self.state, plain.state));
        }
    }

    fn count(&self, kind: AskKind) -> usize {
        self.questions.iter().filter(|(_, of, _)| *of == kind).count()
    }

    /// What was asked, about which host.
    fn kinds(&self) -> BTreeSet<(AskKind, Option<HostId>)> {
        self.questions.iter().map(|(_, kind, host)| (*kind, host.clone())).collect()
    }
}

/// True for notices of how far a session is: those that a receiver was not reached with are not repeated, since the next
/// one says more.
fn is_progress(text: &str) -> bool {
    text.ends_with('%')
}
