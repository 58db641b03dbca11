//! The named reasons why something is not happening: never silently stuck.
//!
//! Blockers are read off the state whenever somebody asks; nothing has to remember to raise or clear one.

use serde::Serialize;

use crate::ask::Ask;
use crate::effect::{Effect, EffectKind};
use crate::id::SessionId;
use crate::policy::Policy;
use crate::session::{Close, Condition, HostStage, Phase, Session};
use crate::state::State;
use crate::time::Time;

/// Why something waits: what, on whom, since when, until when, and what happens then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Blocker {
    /// The kind.
    pub what: What,
    /// Who or what is waited for.
    pub on: String,
    /// More, in a sentence for people.
    pub detail: String,
    /// Since when.
    pub since: Time,
    /// Until when at the latest; `None` if somebody has to do something.
    pub until: Option<Time>,
    /// What happens then, or what somebody has to do.
    pub then: String,
}

/// The kinds of blockers; the words are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// A manager has been asked and did not answer yet.
    Reply,
    /// A question has not reached its manager.
    ManagerUnreachable,
    /// An effect is under way.
    Effect,
    /// Nobody knows how an effect ended.
    OutcomeUnknown,
    /// A rule says no.
    Refused,
    /// What the workflow says it waits for.
    Workflow,
    /// A host was left out.
    Quarantined,
    /// The journal cannot be relied on, so nothing new is begun in any session.
    Held,
    /// What the session brings is being fetched.
    Packages,
    /// The session was halted for somebody to look at.
    Parked,
    /// An administrator holds the session.
    Paused,
    /// The session failed.
    Failed,
    /// The session is being brought to a safe end.
    Closing,
}

/// Everything that a session waits for, the most telling first; empty once it has ended well.
pub fn blockers(state: &State, id: &SessionId, now: Time) -> Vec<Blocker> {
    let Some(session) = state.session(id) else { return Vec::new() };
    let mut all: Vec<Blocker> = condition(session).into_iter().collect();
    all.extend(state.held.as_ref().filter(|_| session.is_running()).map(|why| held(session, why)));
    let unknown = session.effects.values().filter(|effect| effect.unknown.is_some());
    all.extend(unknown.map(outcome_unknown));
    let open = session.open_asks.iter().filter_map(|ask| session.asks.get(ask));
    all.extend(open.map(|ask| asked(session, ask)));
    let under_way = session.effects.values().filter(|effect| effect.unknown.is_none());
    all.extend(under_way.map(|effect| in_flight(state, effect)));
    all.extend(session.refused.iter().map(|standing| Blocker {
        what: What::Refused,
        on: standing.decision.summary(),
        detail: format!("{:?}: {}", standing.refusal.rule, standing.refusal.why),
        since: standing.since,
        until: session.waiting.until,
        then: "the workflow looks again".into(),
    }));
    if session.is_running() && session.packages.are_missing() {
        all.push(packages(session));
    }
    let is_new = session.phase == Phase::Maintenance && all.is_empty();
    if session.is_running() && (is_new || !session.waiting.on.is_empty()) {
        let first = "the cloud to be read: nothing is decided before";
        let on = &session.waiting.on;
        all.push(Blocker {
            what: What::Workflow,
            on: session.plan.workflow.name.clone(),
            detail: if on.is_empty() { first.to_owned() } else { on.clone() },
            since: session.updated_at.min(now),
            until: session.waiting.until,
            then: "it looks again, then or at the next change".into(),
        });
    }
    all.extend(session.hosts.iter().filter_map(|(host, work)| match &work.stage {
        HostStage::Quarantined { why, begun } => Some(Blocker {
            what: What::Quarantined,
            on: host.to_string(),
            detail: why.clone(),
            since: work.since,
            until: None,
            then: if *begun { "it stays out of service until you mend it".into() } else { String::new() },
        }),
        HostStage::Waiting
        | HostStage::Fenced
        | HostStage::Working
        | HostStage::Worked
        | HostStage::Maintained => None,
    }));
    all
}

fn condition(session: &Session) -> Option<Blocker> {
    let since = session.updated_at;
    let blocker = |what, on: &str, detail: String, then: &str| {
        Some(Blocker { what, on: on.into(), detail, since, until: None, then: then.into() })
    };
    let failure = || session.failure.clone().unwrap_or_default();
    match &session.condition {
        Condition::Running => None,
        Condition::Paused => {
            blocker(What::Paused, "an administrator", "held by an administrator".into(), "continue it")
        }
        Condition::Parked { why } => blocker(
            What::Parked,
            "an administrator",
            why.clone(),
            "mend the cause and continue it, or delete it",
        ),
        Condition::Closing { why: Close::Failed } => {
            blocker(What::Failed, "its closings", failure(), "hosts and managers are brought to a safe state")
        }
        Condition::Closing { .. } => blocker(
            What::Closing,
            "its closings",
            "hosts and managers are brought to a safe state".into(),
            "it ends",
        ),
        Condition::Ended if session.phase == Phase::MaintenanceFailed => blocker(
            What::Failed,
            "an administrator",
            failure(),
            "mend the cause and continue it, or delete it",
        ),
        Condition::Ended => None,
    }
}

fn held(session: &Session, why: &str) -> Blocker {
    Blocker {
        what: What::Held,
        on: "the journal".into(),
        detail: why.into(),
        since: session.updated_at,
        until: None,
        then:
            "mend the cause; until then what is under way is finished, and sessions can be paused and deleted"
                .into(),
    }
}

fn packages(session: &Session) -> Blocker {
    let names: Vec<&str> = session.packages.wanted.iter().map(|package| package.name.as_str()).collect();
    Blocker {
        what: What::Packages,
        on: names.join(", "),
        detail: "its packages are being fetched: no host is touched before".into(),
        since: session.updated_at,
        until: None,
        then: "it begins, or is parked with what was wrong".into(),
    }
}

fn asked(session: &Session, ask: &Ask) -> Blocker {
    let policy = |policy: Policy| match policy {
        Policy::Retry => "it is asked again, then the session stops",
        Policy::Wait => "it is asked again, without end",
        Policy::Skip => "the host is left out",
        Policy::Stop => "the session stops",
        Policy::Force => "the session goes on without it",
    };
    let (what, detail) = match ask.delivered_at {
        Some(_) => (What::Reply, format!("{} was delivered and not answered", ask.kind.wire())),
        None => (What::ManagerUnreachable, format!("{} is not delivered yet", ask.kind.wire())),
    };
    Blocker {
        what,
        on: ask.project.to_string(),
        detail,
        since: ask.delivered_at.unwrap_or(ask.opened_at),
        until: Some(ask.reply_by),
        then: policy(session.plan.terms.policies.silence).into(),
    }
}

fn in_flight(state: &State, effect: &Effect) -> Blocker {
    let progress = match &effect.kind {
        EffectKind::Move { instance, .. } => {
            state.inventory.instance(instance).and_then(|seen| seen.progress)
        }
        EffectKind::Fence { .. } | EffectKind::Release { .. } | EffectKind::Work { .. } => None,
    };
    let progress = progress.map(|percent| format!(", {percent} % done")).unwrap_or_default();
    Blocker {
        what: What::Effect,
        on: effect.kind.subject_name(),
        detail: format!("{}{progress}", effect.kind.summary()),
        since: effect.admitted_at,
        until: Some(effect.deadline),
        then: "it counts as failed, or its outcome as unknown".into(),
    }
}

fn outcome_unknown(effect: &Effect) -> Blocker {
    Blocker {
        what: What::OutcomeUnknown,
        on: effect.kind.subject_name(),
        detail: format!("{}: {}", effect.kind.summary(), effect.unknown.as_deref().unwrap_or_default()),
        since: effect.deadline,
        until: None,
        then: "it is looked at every 30 s and never sent again by itself; find out, mend it, continue".into(),
    }
}
