//! A session's records as lines for people.

use std::sync::Arc;

use crate::ask::AskStatus;
use crate::effect::{EffectKind, Outcome};
use crate::record::{Body, Record};
use crate::session::{Condition, HISTORY, HostStage, Line, Session, Target};

impl Session {
    /// Adds a record's line, made by [`Session::tell`], to the recent history, if it tells people anything.
    pub(crate) fn remember(&mut self, record: &Record, line: Option<(String, String)>) {
        let Some((what, why)) = line else { return };
        if self.history.len() == HISTORY {
            self.history.pop_front();
        }
        self.history.push_back(Arc::new(Line { at: record.at, seq: record.seq, what, why }));
    }

    /// What a record of this session tells people: what happened, and why. `None` for mere bookkeeping.
    ///
    /// The session must be as it was before the record.
    #[expect(clippy::too_many_lines, reason = "one total match, an arm per kind of record")]
    pub fn tell(&self, body: &Body) -> Option<(String, String)> {
        Some(match body {
            Body::Entered { phase, reason } => (format!("enter {}", phase.wire()), reason.clone()),
            Body::ConditionSet { condition, reason } => (condition_text(condition).into(), reason.clone()),
            Body::Failed { reason } => ("failed".into(), reason.clone()),
            Body::Continued { phase } => (format!("continued in {}", phase.wire()), String::new()),
            Body::Undecided { why } => ("no verdict from the workflow".into(), why.clone()),
            Body::Decided { refused, .. } => {
                let (planned, refusal) = refused.first()?;
                let more = match refused.len() {
                    1 => String::new(),
                    n => format!(" (and {} more)", n - 1),
                };
                (
                    format!("refused {}{more}", planned.decision.summary()),
                    format!("{:?}: {}", refusal.rule, refusal.why),
                )
            }
            Body::Asked { ask, reason } => {
                let host = ask.host.as_ref().map(|host| format!(" about {host}")).unwrap_or_default();
                let round = if ask.round > 1 { format!(", round {}", ask.round) } else { String::new() };
                (format!("ask {} {}{host}{round}", ask.project, ask.kind.wire()), reason.clone())
            }
            Body::AskDelivered { ask, .. } => {
                let ask = self.asks.get(ask)?;
                (format!("{} reached {}", ask.kind.wire(), ask.project), String::new())
            }
            Body::AskEnded { ask, status } => {
                let ask = self.asks.get(ask)?;
                (format!("{} to {} {}", ask.kind.wire(), ask.project, status_text(status)), String::new())
            }
            Body::Replied { project, ask, reply } => {
                let verb = if reply.agrees { "ACK" } else { "NACK" };
                let idle = if ask.is_some() { "" } else { " (nothing is open: idle)" };
                (format!("{project} answered {verb}_{}{idle}", reply.kind.wire()), String::new())
            }
            Body::PartlyReplied { ask, instance, how } => {
                let ask = self.asks.get(ask)?;
                let (project, kind) = (&ask.project, ask.kind.wire());
                (format!("{project} answered ACK_{kind} about {instance}: {}", how.wire()), String::new())
            }
            Body::Admitted { effect } => (effect.kind.summary(), effect.reason.clone()),
            Body::EffectUnclear { effect } => {
                let effect = self.effects.get(effect)?;
                (format!("{}: no clear answer, looking", effect.kind.summary()), String::new())
            }
            Body::EffectEnded { effect, outcome } => {
                let effect = self.effects.get(effect)?;
                let (verb, why) = match outcome {
                    Outcome::Done => ("done", String::new()),
                    Outcome::Failed { why } => ("failed", why.clone()),
                    Outcome::Withdrawn { rule, seen } => ("withdrawn", format!("{rule:?}: {seen}")),
                    Outcome::Unknown { why } => ("outcome unknown", why.clone()),
                };
                (format!("{}: {verb}", effect.kind.summary()), why)
            }
            Body::HostMoved { host, stage, .. } => match stage {
                HostStage::Quarantined { why, .. } => (format!("{host} quarantined"), why.clone()),
                HostStage::Waiting
                | HostStage::Fenced
                | HostStage::Working
                | HostStage::Worked
                | HostStage::Maintained => (format!("{host} {}", stage.name()), String::new()),
            },
            Body::ActionCalled { target, run } => {
                let report = run.report.as_ref()?;
                let plugin = &self.plan.actions.get(run.action as usize)?.plugin.name;
                (format!("action {plugin} on {} done", target.name()), report.clone())
            }
            Body::MessageEnded { message, delivery } => {
                let message = self.outbox.get(*message)?;
                let why = match delivery {
                    crate::message::Delivery::Delivered | crate::message::Delivery::Dropped => return None,
                    crate::message::Delivery::Rejected { why }
                    | crate::message::Delivery::Expired { why } => why.clone(),
                };
                (format!("{} to {} not delivered", message.content.event_type(), message.to), why)
            }
            Body::PackageFetched { package } => {
                (format!("{} fetched", package.name), format!("{} bytes, {}", package.bytes, package.digest))
            }
            Body::PluginsPinned { workflow, actions } => {
                let pins = std::iter::once(workflow).chain(actions);
                let pins: Vec<String> = pins.map(|pin| format!("{} {}", pin.name, pin.version)).collect();
                ("plug-ins pinned".into(), pins.join(", "))
            }
            Body::Observed { .. }
            | Body::Subscribed { .. }
            | Body::Unsubscribed { .. }
            | Body::Constrained { .. }
            | Body::Unconstrained { .. }
            | Body::PluginAttached { .. }
            | Body::PluginDetached { .. }
            | Body::Granted { .. }
            | Body::Revoked { .. }
            | Body::PackageKept { .. }
            | Body::PackageDropped { .. }
            | Body::TemplateSaved { .. }
            | Body::TemplateRemoved { .. }
            | Body::QuarantineCleared { .. }
            | Body::Commanded { .. }
            | Body::Opened { .. }
            | Body::PackageWanted { .. }
            | Body::HostJoined { .. }
            | Body::ProjectJoined { .. }
            | Body::AskExtended { .. }
            | Body::Noted { .. }
            | Body::ValueKept { .. }
            | Body::Queued { .. }
            | Body::Removed => return None,
        })
    }
}

impl EffectKind {
    /// The effect in a few words.
    pub fn summary(&self) -> String {
        match self {
            EffectKind::Fence { host } => format!("fence {host}"),
            EffectKind::Release { host } => format!("release {host}"),
            EffectKind::Move { instance, from, to, how, .. } => {
                format!("{} {instance} from {from} to {to}", how.wire())
            }
            EffectKind::Work { target: Target::Assess(host) } => format!("assess {host}"),
            EffectKind::Work { target: Target::Gate(host) } => format!("gate after {host}"),
            EffectKind::Work { target: Target::Undo(host) } => format!("undo on {host}"),
            EffectKind::Work { target } => format!("work on {}", target.name()),
        }
    }
}

/// Why is told beside it: it is the record's reason.
fn condition_text(condition: &Condition) -> &'static str {
    match condition {
        Condition::Running => "goes on",
        Condition::Paused => "paused",
        Condition::Parked { .. } => "parked",
        Condition::Closing { .. } => "closing",
        Condition::Ended => "ended",
    }
}

fn status_text(status: &AskStatus) -> &'static str {
    match status {
        AskStatus::Open => "is open",
        AskStatus::Acked { .. } => "was acknowledged",
        AskStatus::Nacked => "was refused",
        AskStatus::Expired => "got no answer in time",
        AskStatus::Undelivered => "could not be delivered",
        AskStatus::Void => "was withdrawn",
    }
}
