//! What may be done: the same for every workflow.

mod capacity;
mod consent;
mod groups;
mod limits;
mod phases;
mod subjects;

use serde::{Deserialize, Serialize};

use crate::ask::{AskKind, MoveHow};
use crate::decision::Decision;
use crate::effect::{Effect, EffectKind, Subject};
use crate::id::{AskId, HostId, InstanceId, ProjectId, SessionId};
use crate::ledger::EffectRef;
use crate::session::{HostStage, Phase, Session, Target};
use crate::state::State;
use crate::time::Time;

/// A host-enforced rule. The numbers are used in every refusal, in tests and in the documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Rule {
    /// An instance of a managed project is touched only after this ask was ACKed.
    R1,
    /// Never more than `max_impacted_members` of a group out, over all sessions.
    R2,
    /// Lead time is given; interruption time is kept.
    R3,
    /// Work on a host starts only inside the window, the host fenced, then seen empty.
    R4,
    /// What runs, plus the headroom asked for, must fit.
    R5,
    /// Limits: hosts out at once, per failure domain; controllers one at a time.
    R6,
    /// Every host ends in service, quarantined with a reason, or exactly as found.
    R7,
    /// Stop means stop.
    R8,
    /// Failures spend a budget.
    R9,
    /// One effect in flight per host, instance or ask.
    R10,
    /// Only subjects of this session.
    R11,
}

/// A no, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The rule that says no.
    pub rule: Rule,
    /// Why, in a sentence for people that names what is in the way.
    pub why: String,
}
/// The version of these rules. Written into each session's first record.
pub const VERSION: u32 = 1;

impl Rule {
    /// All rules.
    pub const ALL: [Rule; 11] = [
        Rule::R1,
        Rule::R2,
        Rule::R3,
        Rule::R4,
        Rule::R5,
        Rule::R6,
        Rule::R7,
        Rule::R8,
        Rule::R9,
        Rule::R10,
        Rule::R11,
    ];

    /// The refusal of this rule.
    pub fn refuses(self, why: impl Into<String>) -> Refusal {
        Refusal { rule: self, why: why.into() }
    }
}

/// What an admitted decision becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Nothing: it is so already, or under way (R10).
    NoOp,
    /// A question.
    Ask {
        /// Whose manager.
        project: ProjectId,
        /// What.
        kind: AskKind,
        /// The host that shall become empty.
        host: Option<HostId>,
        /// What it is about.
        instances: Vec<InstanceId>,
        /// How often this was asked, this time included.
        round: u32,
    },
    /// An effect.
    Effect(EffectKind),
    /// A phase.
    Enter(Phase),
    /// A host left out; `begun` if work had begun on it.
    Quarantine {
        /// The host.
        host: HostId,
        /// Whether it stays out of service.
        begun: bool,
    },
    /// The end of the session.
    Fail,
    /// A note.
    Note {
        /// Its key.
        key: String,
        /// Its value.
        value: Option<String>,
    },
}

/// One question to the rules: who wants it, when, and which effect is not to be counted against itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case<'a> {
    pub(crate) state: &'a State,
    pub(crate) session: &'a Session,
    pub(crate) now: Time,
    pub(crate) own: Option<EffectRef<'a>>,
}

impl Case<'_> {
    /// Lets a refusal pass if its rule is switched off for the checkers' own test.
    fn unless_off(&self, rule: Rule, check: impl FnOnce() -> Result<(), Refusal>) -> Result<(), Refusal> {
        if self.state.switched_off == Some(rule) { Ok(()) } else { check() }
    }
}

/// Whether a decision of a session may be, now.
///
/// # Errors
/// The first rule that says no, and why.
pub fn admit(state: &State, id: &SessionId, decision: &Decision, now: Time) -> Result<Admission, Refusal> {
    let Some(session) = state.session(id) else {
        return Err(Rule::R11.refuses(format!("there is no session {id}")));
    };
    let case = Case { state, session, now, own: None };
    case.unless_off(Rule::R8, || subjects::goes_on(&case))?;
    match decision {
        Decision::Ask { project, kind, host } => consent::may_ask(&case, project, *kind, host.as_ref()),
        Decision::Fence { host } => match session.hosts.get(host).map(|work| &work.stage) {
            Some(HostStage::Fenced) if !subjects::is_open(state, host) => Ok(Admission::NoOp),
            _ => effect(&case, EffectKind::Fence { host: host.clone() }),
        },
        Decision::Release { host } => match session.hosts.get(host).map(|work| &work.stage) {
            Some(HostStage::Maintained) => Ok(Admission::NoOp),
            _ => effect(&case, EffectKind::Release { host: host.clone() }),
        },
        Decision::Move { instance, to, how, ask } => {
            let Some(seen) = state.inventory.instance(instance) else {
                return Err(Rule::R11.refuses(format!("instance {instance} is not there any more")));
            };
            let from = seen.host.clone();
            let kind =
                EffectKind::Move { instance: instance.clone(), from, to: to.clone(), how: *how, ask: *ask };
            effect(&case, kind)
        }
        Decision::Work { target } => effect(&case, EffectKind::Work { target: target.clone() }),
        Decision::Enter { phase } => phases::may_enter(&case, *phase),
        Decision::Quarantine { host } => subjects::may_quarantine(&case, host),
        Decision::Fail => Ok(Admission::Fail),
        Decision::Note { key, value } => phases::may_note(session, key, value.as_deref()),
    }
}

/// Whether an effect that was admitted may be begun, now that its subjects were read again.
///
/// # Errors
/// The first rule that no longer allows it, and what was seen.
pub fn still_allowed(state: &State, id: &SessionId, effect: &Effect, now: Time) -> Result<(), Refusal> {
    let Some(session) = state.session(id) else {
        return Err(Rule::R11.refuses(format!("there is no session {id}")));
    };
    let case = Case { state, session, now, own: Some((id, effect.id)) };
    case.unless_off(Rule::R8, || match effect.kind {
        // Giving a host back is a closing as well as a step forward, and so is taking back what was done on it.
        EffectKind::Release { .. } | EffectKind::Work { target: Target::Undo(_) } => Ok(()),
        EffectKind::Fence { .. } | EffectKind::Move { .. } | EffectKind::Work { .. } => {
            subjects::goes_on(&case)
        }
    })?;
    allowed(&case, &effect.kind)
}

fn effect(case: &Case<'_>, kind: EffectKind) -> Result<Admission, Refusal> {
    let subject = kind.subject();
    let known = match subject {
        // Two sessions may each be in their own work before or after their hosts.
        Subject::Session(_) => {
            let mut own = case.session.effects.values();
            own.find(|effect| effect.kind.subject() == subject).map(|effect| (&case.session.id, effect))
        }
        Subject::Host(_) | Subject::Instance(_) => case.state.in_flight(&subject),
    };
    if let Some((session, known)) = known {
        let same = *session == case.session.id && known.kind == kind && known.unknown.is_none();
        if same {
            return Ok(Admission::NoOp);
        }
        let doubt = if known.unknown.is_some() { " with unknown outcome" } else { "" };
        case.unless_off(Rule::R10, || {
            Err(Rule::R10
                .refuses(format!("{} of session {session} is in flight{doubt}", known.kind.summary())))
        })?;
    }
    allowed(case, &kind)?;
    Ok(Admission::Effect(kind))
}

/// Every rule that a kind of effect is under, in one table: the same at admission and at dispatch.
fn allowed(case: &Case<'_>, kind: &EffectKind) -> Result<(), Refusal> {
    match kind {
        EffectKind::Fence { host } => {
            case.unless_off(Rule::R11, || subjects::may_fence(case, host))?;
            if case.session.hosts.get(host).is_some_and(|work| work.fenced) {
                // Its turn came, and somebody enabled it since: it is fenced once more, however late that is. But if it had
                // been left out, and its session was continued, others may have their turn now.
                return case.unless_off(Rule::R6, || limits::hosts_out(case, host));
            }
            case.unless_off(Rule::R4, || limits::inside_window(case))?;
            case.unless_off(Rule::R6, || limits::goes_last(case, host))?;
            case.unless_off(Rule::R6, || limits::hosts_out(case, host))?;
            case.unless_off(Rule::R5, || capacity::can_empty(case, host))
        }
        EffectKind::Release { host } => case.unless_off(Rule::R7, || subjects::may_release(case, host)),
        EffectKind::Move { instance, from, to, how, ask } => {
            case.unless_off(Rule::R11, || subjects::may_move(case, instance, from, to))?;
            case.unless_off(Rule::R1, || consent::given(case, instance, from, *how, *ask))?;
            case.unless_off(Rule::R3, || consent::lead_time(case, instance, *ask))?;
            case.unless_off(Rule::R2, || groups::members_out(case, instance))?;
            case.unless_off(Rule::R2, || groups::destination(case, instance, to))?;
            case.unless_off(Rule::R5, || capacity::fits(case, instance, to))
        }
        EffectKind::Work { target: Target::Host(host) } => {
            case.unless_off(Rule::R11, || subjects::may_work(case, host))?;
            let begun = case.session.hosts.get(host).is_some_and(|work| work.stage == HostStage::Working);
            // The window is for beginning: half an upgrade is worse than a late one. And what was begun may restart the
            // host.
            if !begun {
                case.unless_off(Rule::R4, || limits::inside_window(case))?;
                case.unless_off(Rule::R4, || limits::answers(case, host))?;
            }
            case.unless_off(Rule::R4, || limits::fenced_and_empty(case, host))?;
            case.unless_off(Rule::R6, || limits::controllers(case, host))
        }
        // It looks, and changes nothing: no window and no manager has a say.
        EffectKind::Work { target: Target::Assess(host) } => {
            case.unless_off(Rule::R11, || subjects::may_assess(case, host))
        }
        EffectKind::Work { target: Target::Gate(host) } => {
            case.unless_off(Rule::R11, || subjects::is_own(case, host))
        }
        // Taking back is work like any other to whatever runs on the host: not where somebody has put it into service.
        EffectKind::Work { target: Target::Undo(host) } => {
            case.unless_off(Rule::R11, || subjects::is_own(case, host))?;
            case.unless_off(Rule::R4, || limits::fenced_and_empty(case, host))
        }
        EffectKind::Work { target: Target::Pre } => Ok(()),
        EffectKind::Work { target: Target::Post } => {
            case.unless_off(Rule::R7, || phases::hosts_finished(case.session))
        }
    }
}

/// The deadline of an effect that is admitted now. A live move has as long as its instance bears, too (R3).
pub fn deadline(state: &State, session: &Session, kind: &EffectKind, now: Time) -> Time {
    let terms = &session.plan.terms;
    now + match kind {
        EffectKind::Fence { .. } | EffectKind::Release { .. } => terms.service_within,
        EffectKind::Move { instance, how: MoveHow::LiveMigrate, .. } => {
            terms.move_within.min(state.interruption(instance).unwrap_or(terms.move_within))
        }
        EffectKind::Move { .. } => terms.move_within,
        EffectKind::Work { target } => {
            let actions = session.actions_for(target).len().max(1) as u64;
            crate::time::Millis(terms.action_within.0.saturating_mul(actions))
        }
    }
}

/// An effect's or a question's name in messages.
pub(crate) fn ask_name(id: Option<AskId>) -> String {
    id.map_or_else(|| "no question".into(), |id| format!("question {id}"))
}
