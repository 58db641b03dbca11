//! What stands beside the work on a host: nothing is begun before hosts are assessed, nor behind a gate that is closed; and
//! what was begun is taken back, once.

use std::collections::{BTreeMap, BTreeSet};

use fenix_cloud::sim::trace::{Actor, Happening};
use fenix_core::ask::AskKind;
use fenix_core::id::{HostId, MessageId, SessionId, SubscriptionId};
use fenix_core::session::{Condition, HostStage, Phase, Stage};
use fenix_core::time::Time;
use fenix_engine::ports::CloudCall;

use super::{Check, Checker, Findings, Sight};
use crate::fickle;
use crate::report::Ending;
use crate::scenario::SessionSpec;
use crate::truth::{ActionEnd, Errand, Truth, Want};

/// A host in a session.
type Place = (SessionId, HostId);

/// Assessments and gates.
#[derive(Default)]
pub(super) struct Looks {
    assessed: BTreeMap<Place, Assessed>,
    gates: BTreeMap<Place, Gate>,
    /// Sessions that a gate stopped, and when.
    halted: BTreeMap<SessionId, Time>,
    /// Hosts that were ever disabled.
    fenced: BTreeSet<Place>,
    /// Hosts on which work was begun.
    begun: BTreeSet<Place>,
    /// Messages that set out before: another try says nothing new.
    sent: BTreeSet<(SubscriptionId, SessionId, MessageId)>,
}

/// What was said of a host.
#[derive(Default)]
struct Assessed {
    /// Which look it is from.
    look: String,
    /// The keys of the assessments that are for working on it.
    done: BTreeSet<String>,
    /// True if the last of all was.
    needed: Option<bool>,
}

/// The gate after a host.
struct Gate {
    /// Which look it is from.
    look: String,
    since: Time,
    /// The keys of what said go, or stop: it is open once all have.
    done: BTreeSet<String>,
}

/// What tells a look from an earlier one at the same host: the end of its key.
fn look(key: &str) -> &str {
    key.rsplit_once('/').map_or(key, |(_, look)| look)
}

/// How many entries of a session's list are for that.
fn entries(spec: Option<&SessionSpec>, stage: Stage) -> usize {
    spec.map_or(0, |spec| spec.actions.iter().filter(|action| action.stage == stage).count())
}

impl Checker for Looks {
    fn see(&mut self, sight: &Sight<'_>, what: &Truth, found: &mut Findings) {
        match what {
            Truth::ActionCalled { session, errand: Errand::Gate, host: Some(host), key, .. } => {
                let new = || Gate { look: look(key).to_owned(), since: sight.at, done: BTreeSet::new() };
                let gate = self.gates.entry((session.clone(), host.clone())).or_insert_with(new);
                if gate.look != look(key) {
                    *gate = new();
                }
            }
            Truth::ActionCalled { session, errand: Errand::Work, host: Some(host), .. }
                if self.begun.insert((session.clone(), host.clone())) =>
            {
                self.forward(sight, session, host, "worked on", found);
            }
            Truth::ActionReturned { session, errand: Errand::Assess, host: Some(host), key, end, .. } => {
                let most = entries(sight.session(session), Stage::Assess);
                let known = self.assessed.entry((session.clone(), host.clone())).or_default();
                known.hear(key, end, most);
            }
            Truth::ActionReturned { session, errand: Errand::Gate, host: Some(host), key, end, .. } => {
                self.gate_said(sight, session, host, key, end);
            }
            Truth::Sent { call: CloudCall::Disable { host, .. }, .. } => {
                let Some(session) = sight.owner(host).cloned() else { return };
                if self.fenced.insert((session.clone(), host.clone())) {
                    self.forward(sight, &session, host, "disabled", found);
                }
                self.is_needed(sight, &session, host, found);
            }
            Truth::Attempted { to, session, message, ask: Some(ask), .. }
                if self.sent.insert((to.clone(), session.clone(), *message))
                    && ask.kind != AskKind::MaintenanceComplete =>
            {
                self.all_known(sight, session, found);
            }
            Truth::Commanded(Want::Continue(session)) | Truth::Told(Want::Continue(session), Ok(_)) => {
                self.halted.remove(session);
            }
            _ => {}
        }
    }

    fn end(&mut self, sight: &Sight<'_>, ending: &Ending, found: &mut Findings) {
        for (session, host) in &self.begun {
            let Some(known) = ending.state.session(session) else { continue };
            let stage = known.hosts.get(host).map(|work| &work.stage);
            let is_done = known.phase == Phase::MaintenanceDone && stage == Some(&HostStage::Maintained);
            let has_gate = entries(sight.session(session), Stage::Gate) > 0;
            if is_done && has_gate && !self.gates.contains_key(&(session.clone(), host.clone())) {
                found.add(Check::Looks, sight.at, format!("nobody asked whether it may go on after {host}"));
            }
        }
    }
}

impl Assessed {
    fn hear(&mut self, key: &str, end: &ActionEnd, most: usize) {
        match end {
            ActionEnd::Done => {
                if self.look != look(key) {
                    self.look = look(key).to_owned();
                    self.done.clear();
                }
                self.done.insert(key.to_owned());
                if self.done.len() >= most {
                    self.needed = Some(true);
                }
            }
            ActionEnd::NotNeeded | ActionEnd::Stop | ActionEnd::Failed(_) => {
                *self = Assessed { needed: Some(false), ..Assessed::default() };
            }
            ActionEnd::Again => {}
        }
    }
}

impl Looks {
    fn gate_said(
        &mut self,
        sight: &Sight<'_>,
        session: &SessionId,
        host: &HostId,
        key: &str,
        end: &ActionEnd,
    ) {
        let Some(gate) = self.gates.get_mut(&(session.clone(), host.clone())) else { return };
        match end {
            ActionEnd::Again => return,
            // Those behind it are asked when the session goes on.
            ActionEnd::Stop | ActionEnd::Failed(_) => {
                self.halted.insert(session.clone(), sight.at);
            }
            ActionEnd::Done | ActionEnd::NotNeeded => {}
        }
        gate.done.insert(key.to_owned());
    }

    /// A host is begun with: not while the gate after another one is closed.
    fn forward(
        &self,
        sight: &Sight<'_>,
        session: &SessionId,
        host: &HostId,
        what: &str,
        found: &mut Findings,
    ) {
        let (lately, most) = (sight.lately(), entries(sight.session(session), Stage::Gate));
        let is_closed = |gate: &Gate| gate.done.len() < most && gate.since < lately;
        let closed = self.gates.iter().find(|((of, _), gate)| of == session && is_closed(gate));
        if let Some(((_, after), _)) = closed {
            let what = format!("{host} was {what} while the gate after {after} was closed");
            found.add(Check::Looks, sight.at, what);
        }
        if self.halted.get(session).is_some_and(|since| *since < lately) {
            found.add(Check::Looks, sight.at, format!("{host} was {what} after a gate had said stop"));
        }
    }

    /// Only what needs it is taken out.
    fn is_needed(&self, sight: &Sight<'_>, session: &SessionId, host: &HostId, found: &mut Findings) {
        let assesses = entries(sight.session(session), Stage::Assess) > 0;
        let known = self.assessed.get(&(session.clone(), host.clone()));
        if assesses && known.and_then(|known| known.needed) != Some(true) {
            found.add(
                Check::Looks,
                sight.at,
                format!("{host} was disabled, and nobody said that it needs work"),
            );
        }
    }

    /// Nobody is asked for anything before it is known which hosts need it. That it is over is no question.
    fn all_known(&self, sight: &Sight<'_>, session: &SessionId, found: &mut Findings) {
        let assesses = entries(sight.session(session), Stage::Assess) > 0;
        let hosts = sight.ground.sessions.get(session).filter(|_| assesses);
        let is_unknown = |host: &&HostId| {
            let known = self.assessed.get(&(session.clone(), (*host).clone()));
            known.is_none_or(|known| known.needed.is_none())
        };
        if let Some(host) = hosts.into_iter().flatten().find(is_unknown) {
            let what = format!("somebody was asked for session {session} before {host} was assessed");
            found.add(Check::Looks, sight.at, what);
        }
    }
}

/// What was begun and given up is taken back.
#[derive(Default)]
pub(super) struct Undone {
    /// What is done, begun or taken back of each host.
    work: BTreeMap<Place, BTreeMap<String, How>>,
    /// Hosts on which taking back failed, or that somebody else put into service in the middle of the work: what was begun
    /// stays as it is.
    stays: BTreeSet<Place>,
    /// When somebody else last put a host into service, or an instance came to it.
    taken: BTreeMap<Place, Time>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    Begun,
    Done,
    TakingBack,
    TakenBack,
}

impl Checker for Undone {
    fn see(&mut self, sight: &Sight<'_>, what: &Truth, found: &mut Findings) {
        match what {
            Truth::ActionCalled { session, errand: Errand::Work, host: Some(host), key, .. } => {
                let place = (session.clone(), host.clone());
                if self.taken.get(&place).is_some_and(|since| *since >= sight.lately()) {
                    // Work had begun when that was seen.
                    self.stays.insert(place.clone());
                }
                // What was given up because of somebody else never ends.
                let stays = self.stays.contains(&place);
                let work = self.work.entry(place).or_default();
                if !stays && work.values().any(|how| *how == How::TakingBack) {
                    found.add(Check::Looks, sight.at, format!("{key} is done while work is taken back"));
                }
                work.insert(key.clone(), How::Begun);
            }
            Truth::ActionCalled { session, errand: Errand::Undo, host: Some(host), key, .. } => {
                let work = self.work.entry((session.clone(), host.clone())).or_default();
                let is_whole =
                    work.values().filter(|how| **how == How::Done).count() >= sight.actions_on(session, host);
                if is_whole || !may_have_begun(work, key, &sight.work_on(session, host)) {
                    let what = if is_whole { "was done whole" } else { "was never begun" };
                    found.add(Check::Looks, sight.at, format!("{key} is taken back, and {what}"));
                }
                work.insert(key.clone(), How::TakingBack);
            }
            Truth::ActionReturned { session, errand, host: Some(host), key, end, .. } => {
                let place = (session.clone(), host.clone());
                let how = match (errand, end) {
                    (Errand::Work, ActionEnd::Done) => How::Done,
                    (Errand::Undo, ActionEnd::Done) => How::TakenBack,
                    (Errand::Undo, ActionEnd::Failed(_)) => {
                        self.stays.insert(place.clone());
                        How::TakenBack
                    }
                    _ => return,
                };
                self.work.entry(place).or_default().insert(key.clone(), how);
            }
            Truth::Cloud(Happening::HostEnabled { host }, Actor::Other)
            | Truth::Cloud(Happening::ClaimTaken { host, .. }, _) => self.taken_over(sight, host),
            _ => {}
        }
    }

    fn end(&mut self, sight: &Sight<'_>, ending: &Ending, found: &mut Findings) {
        for ((session, host), work) in &self.work {
            let is_over =
                ending.state.session(session).is_none_or(|known| known.condition == Condition::Ended);
            let done = work.values().filter(|how| **how == How::Done).count();
            let is_whole = done >= sight.actions_on(session, host);
            if !is_over || is_whole || self.stays.contains(&(session.clone(), host.clone())) {
                continue;
            }
            let left = work.iter().find(|(key, how)| {
                matches!(how, How::Begun | How::Done | How::TakingBack)
                    && is_undone(sight.session(session), key)
            });
            if let Some((key, _)) = left {
                found.add(
                    Check::Looks,
                    sight.at,
                    format!("{key} was begun and given up, and is not taken back"),
                );
            }
        }
    }
}

impl Undone {
    /// A host is in service in the middle of the work on it, or an instance is on it.
    fn taken_over(&mut self, sight: &Sight<'_>, host: &HostId) {
        if let Some(session) = sight.owner(host) {
            let place = (session.clone(), host.clone());
            if self.work.contains_key(&place) {
                self.stays.insert(place.clone());
            }
            self.taken.insert(place, sight.at);
        }
    }
}

/// True if it was called, or is the one that would have been: Fenix may have died before it was.
fn may_have_begun(work: &BTreeMap<String, How>, key: &str, numbers: &[usize]) -> bool {
    let Some((place, _)) = key.rsplit_once('/') else { return false };
    let mut keys = numbers.iter().map(|number| format!("{place}/{number}"));
    let next = keys.find(|known| work.get(known) != Some(&How::Done));
    work.contains_key(key) || next.as_deref() == Some(key)
}

/// True if what has that key, `session/target/number in the action list`, can be taken back.
fn is_undone(spec: Option<&SessionSpec>, key: &str) -> bool {
    let number = key.rsplit('/').next().and_then(|number| number.parse::<usize>().ok());
    let action = number.and_then(|number| spec?.in_order().get(number).copied());
    action.is_some_and(|action| action.plugin == fickle::NAME)
}

#[cfg(test)]
mod tests {
    use fenix_cloud::sim::Spec;
    use fenix_core::session::Stage;
    use fenix_engine::event::CallId;

    use super::*;
    use crate::checkers::ground::Ground;
    use crate::scenario::{Action, Scenario, session_id};

    const HOST: &str = "a";

    /// What happens next in a story.
    #[derive(Clone, Copy)]
    enum Next {
        Called(Errand),
        Said(Errand, fn() -> ActionEnd),
        Disabled(&'static str),
        Continued,
        EnabledByOthers,
    }

    use Next::{Called, Continued, Disabled, EnabledByOthers, Said};

    fn done() -> ActionEnd {
        ActionEnd::Done
    }

    fn failed() -> ActionEnd {
        ActionEnd::Failed("broken".to_owned())
    }

    fn truth(next: Next) -> Truth {
        let (life, id, session, host) = (1, CallId(1), session_id(0), Some(HostId::from(HOST)));
        let key = |errand: Errand| match errand {
            // Of the list in its order: an assessment, the work, a gate.
            Errand::Assess => format!("{session}/{HOST}/0/7"),
            Errand::Work | Errand::Undo => format!("{session}/{HOST}/1"),
            Errand::Gate => format!("{session}/{HOST}/2/9"),
        };
        match next {
            Called(errand) => {
                let key = key(errand);
                Truth::ActionCalled { life, id, session, errand, host, key }
            }
            Said(errand, end) => {
                let key = key(errand);
                Truth::ActionReturned { life, id, session, errand, host, key, end: end() }
            }
            Disabled(host) => {
                let call = CloudCall::Disable { host: host.into(), reason: String::new() };
                Truth::Sent { life, id, call }
            }
            Continued => Truth::Commanded(Want::Continue(session)),
            EnabledByOthers => Truth::Cloud(Happening::HostEnabled { host: HOST.into() }, Actor::Other),
        }
    }

    /// A story in which each thing happens a minute after the one before.
    fn check(story: &[Next], expected: &[&str]) {
        let story: Vec<(u64, Next)> = (0..).step_by(60).zip(story.iter().copied()).collect();
        check_at(&story, expected);
    }

    /// A session of two hosts with an assessment, work that can be taken back and a gate; what happens in it, with the second.
    fn check_at(story: &[(u64, Next)], expected: &[&str]) {
        let mut scenario = Scenario::new(0, Spec::default());
        let mut session = SessionSpec::new("default");
        for stage in [Stage::Assess, Stage::Host, Stage::Gate] {
            session.actions.push(Action { plugin: fickle::NAME.into(), stage, metadata: String::new() });
        }
        scenario.sessions.push(session);
        let mut ground = Ground::default();
        ground.sessions.insert(session_id(0), [HOST.into(), "b".into()].into());
        let (mut looks, mut undone, mut found) = (Looks::default(), Undone::default(), Findings::default());
        for (second, what) in story {
            let sight = Sight { scenario: &scenario, ground: &ground, at: Time(second * 1000) };
            looks.see(&sight, &truth(*what), &mut found);
            undone.see(&sight, &truth(*what), &mut found);
        }
        // The session is gone in the end.
        let ending = Ending::default();
        let sight = Sight { scenario: &scenario, ground: &ground, at: Time(10_000_000) };
        looks.end(&sight, &ending, &mut found);
        undone.end(&sight, &ending, &mut found);
        let found: Vec<String> = found.0.into_iter().map(|violation| violation.what).collect();
        let key = format!("{}/{HOST}/1", session_id(0));
        let expected: Vec<String> = expected.iter().map(|what| what.replace("KEY", &key)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn what_nobody_said_needs_work_is_not_taken_out() {
        let unasked = "a was disabled, and nobody said that it needs work";
        check(&[Said(Errand::Assess, done), Disabled(HOST)], &[]);
        check(&[Disabled(HOST)], &[unasked]);
        for end in [|| ActionEnd::NotNeeded, || ActionEnd::Stop, failed] {
            check(&[Said(Errand::Assess, end), Disabled(HOST)], &[unasked]);
        }
        check(&[Said(Errand::Assess, failed), Said(Errand::Assess, done), Disabled(HOST)], &[]);
    }

    #[test]
    fn nothing_is_begun_behind_a_closed_gate() {
        let assessed = Said(Errand::Assess, done);
        let closed = "a was disabled while the gate after a was closed";
        let stopped = "a was disabled after a gate had said stop";
        check(&[assessed, Called(Errand::Gate), Disabled(HOST)], &[closed]);
        let said = |end| [assessed, Called(Errand::Gate), Said(Errand::Gate, end), Disabled(HOST)];
        check(&said(done), &[]);
        check(&said(|| ActionEnd::Again), &[closed]);
        for end in [|| ActionEnd::Stop, failed] {
            check(&said(end), &[stopped]);
            let continued =
                [assessed, Called(Errand::Gate), Said(Errand::Gate, end), Continued, Disabled(HOST)];
            check(&continued, &[]);
        }
    }

    #[test]
    fn what_was_begun_and_given_up_is_taken_back_once() {
        let (begun, taking_back) = (Called(Errand::Work), Called(Errand::Undo));
        let left = "KEY was begun and given up, and is not taken back";
        check(&[begun], &[left]);
        check(&[begun, Said(Errand::Work, failed)], &[left]);
        check(&[begun, taking_back], &[left]);
        check(&[begun, Said(Errand::Work, done)], &[]);
        check(&[begun, EnabledByOthers], &[]);
        check_at(&[(60, EnabledByOthers), (62, begun)], &[]);
        check_at(&[(60, EnabledByOthers), (90, begun)], &[left]);
        for end in [done, failed] {
            check(&[begun, taking_back, Said(Errand::Undo, end)], &[]);
        }
        check(
            &[begun, taking_back, begun, Said(Errand::Work, done)],
            &["KEY is done while work is taken back"],
        );
        let whole = [begun, Said(Errand::Work, done), taking_back, Said(Errand::Undo, done)];
        check(&whole, &["KEY is taken back, and was done whole"]);
        // It may have died before it called it.
        check(&[taking_back, Said(Errand::Undo, done)], &[]);
    }

    #[test]
    fn each_look_at_a_host_is_one_of_its_own() {
        let mut known = Assessed::default();
        let mut check = |key: &str, end: ActionEnd, expected: Option<bool>| {
            known.hear(key, &end, 2);
            assert_eq!(known.needed, expected, "{key}");
        };
        check("s/a/0/7", ActionEnd::Done, None);
        check("s/a/1/7", ActionEnd::Stop, Some(false));
        check("s/a/0/9", ActionEnd::Done, Some(false));
        check("s/a/1/9", ActionEnd::Done, Some(true));
        check("s/a/0/9", ActionEnd::Done, Some(true));
    }

    #[test]
    fn what_comes_behind_what_is_not_done_was_never_begun() {
        let check = |known: &[(&str, How)], key: &str, expected: bool| {
            let work = known.iter().map(|(key, how)| ((*key).to_owned(), *how)).collect();
            assert_eq!(may_have_begun(&work, key, &[1, 2, 4]), expected, "{key}");
        };
        check(&[], "s/a/1", true);
        check(&[], "s/a/2", false);
        check(&[("s/a/1", How::Done)], "s/a/2", true);
        check(&[("s/a/1", How::Done)], "s/a/4", false);
        check(&[("s/a/1", How::Done), ("s/a/2", How::TakenBack)], "s/a/4", false);
        check(&[("s/a/1", How::Done), ("s/a/2", How::TakenBack)], "s/a/2", true);
    }
}
