//! Whether what happened was right.
//!
//! One checker per rule. Each reads the truth ([`crate::truth`]) from its beginning, beside a model of the cloud that
//! follows from it (`ground`); what was asked for stands in the scenario. None reads the journal. Only what must hold
//! at the end is compared with what Fenix says about itself then: that nothing is left without a reason.
//!
//! Fenix cannot know everything at once: the cloud answers late, and others change it meanwhile. So checkers forgive
//! what was right a moment before, `LAG`; they never forgive what Fenix did to itself.

mod brought;
mod capacity;
mod consent;
mod ending;
mod foreign;
mod ground;
mod groups;
mod limits;
mod looks;
mod single;
mod stated;
mod stop;
mod work;

use std::fmt;

use fenix_core::id::{HostId, InstanceId, SessionId};
use fenix_core::inventory::HostKind;
use fenix_core::session::Stage;
use fenix_core::time::{Millis, Time};
use fenix_engine::ports::CloudCall;

use crate::report::Ending;
use crate::scenario::{Scenario, SessionSpec};
use crate::truth::{Entry, Truth};
use ground::Ground;

/// How old what Fenix acts on may be: an answer on its way, then a call or an action on its way.
const LAG: Millis = Millis::from_secs(15);

/// What was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Check {
    /// A managed instance was touched without leave.
    R1,
    /// More members of a group were out than it bears.
    R2,
    /// An instance was touched before its lead time had passed.
    R3,
    /// Work on a host outside the window, not fenced or not empty.
    R4,
    /// Fenix took room that it had given away.
    R5,
    /// Too many hosts out at once, or too many controllers.
    R6,
    /// Something was left behind: a host, or somebody who waits to be told.
    R7,
    /// Something began after a stop.
    R8,
    /// Two operations on one thing at the same time.
    R10,
    /// Something foreign was touched.
    R11,
    /// The journal tells of a rule that was broken, as the verifier reads it, which knows nothing of the truth.
    Journal,
    /// Something was touched before what its session brings was here.
    Brought,
    /// Something was begun before it was assessed or behind a closed gate, or was not taken back.
    Looks,
    /// A session stands still and nobody knows why.
    Stuck,
    /// Fenix itself broke.
    Broken,
}

/// Something that should never have happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// What was broken.
    pub check: Check,
    /// When.
    pub at: Time,
    /// How.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} broken at {:.3}: {}", self.check, self.at.0 as f64 / 1000.0, self.what)
    }
}

/// What a checker is told with each entry.
struct Sight<'a> {
    scenario: &'a Scenario,
    /// The cloud before the entry.
    ground: &'a Ground,
    at: Time,
}

/// Where checkers put what they find.
#[derive(Default)]
struct Findings(Vec<Violation>);

impl Findings {
    fn add(&mut self, check: Check, at: Time, what: String) {
        self.0.push(Violation { check, at, what });
    }
}

/// One checker.
trait Checker {
    /// Looks at the next entry.
    fn see(&mut self, sight: &Sight<'_>, what: &Truth, found: &mut Findings);

    /// Looks at the end.
    fn end(&mut self, _: &Sight<'_>, _: &Ending, _: &mut Findings) {}
}

/// Everything that should not have happened, in order of time.
pub(crate) fn check(scenario: &Scenario, truth: &[Entry], ending: &Ending) -> Vec<Violation> {
    let mut checkers: Vec<Box<dyn Checker>> = vec![
        Box::new(brought::Brought::default()),
        Box::new(consent::Consent::default()),
        Box::new(groups::Groups::default()),
        Box::new(work::Work::default()),
        Box::new(capacity::Capacity),
        Box::new(limits::Limits::default()),
        Box::new(stop::Stop::default()),
        Box::new(single::Single::default()),
        Box::new(foreign::Foreign::default()),
        Box::new(looks::Looks::default()),
        Box::new(looks::Undone::default()),
        Box::new(ending::Hosts::default()),
        Box::new(ending::Told::default()),
        Box::new(ending::Finished),
    ];
    let mut ground = Ground::default();
    let mut found = Findings::default();
    for entry in truth {
        let sight = Sight { scenario, ground: &ground, at: entry.at };
        for checker in &mut checkers {
            checker.see(&sight, &entry.what, &mut found);
        }
        ground.follow(scenario, entry.at, &entry.what);
    }
    let sight = Sight { scenario, ground: &ground, at: ending.now };
    for checker in &mut checkers {
        checker.end(&sight, ending, &mut found);
    }
    for broken in &ending.verified {
        let what = format!("{:?}: {} (record {})", broken.rule, broken.what, broken.seq);
        found.add(Check::Journal, broken.at, what);
    }
    found.0.sort_by_key(|violation| violation.at);
    found.0
}

/// The instance and the destination of a call that begins a move, of whatever kind.
fn move_of(call: &CloudCall) -> Option<(&InstanceId, &HostId)> {
    match call {
        CloudCall::Migrate { instance, to }
        | CloudCall::LiveMigrate { instance, to }
        | CloudCall::Evacuate { instance, to } => Some((instance, to)),
        _ => None,
    }
}

impl Sight<'_> {
    /// A session of the scenario.
    fn session(&self, id: &SessionId) -> Option<&SessionSpec> {
        self.scenario.session(id)
    }

    /// When a session's work may begin, and until when a host may be begun.
    fn window(&self, id: &SessionId) -> Option<(Time, Option<Time>)> {
        let spec = self.session(id)?;
        let from = crate::scenario::START + spec.at + spec.begins_in;
        Some((from, spec.window.map(|window| from + window)))
    }

    /// The session to which a host belongs.
    fn owner(&self, host: &HostId) -> Option<&SessionId> {
        self.ground.owner(host)
    }

    /// The entries of a session's list that run on a host, by their numbers.
    fn work_on(&self, id: &SessionId, host: &HostId) -> Vec<usize> {
        let kind = self.ground.hosts.get(host).map(|host| host.kind);
        let runs = |stage: Stage| match (stage, kind) {
            (Stage::Host, _) => true,
            (Stage::Compute, Some(HostKind::Compute)) => true,
            (Stage::Controller, Some(HostKind::Controller)) => true,
            (Stage::Compute | Stage::Controller, _) => false,
            (Stage::Assess | Stage::Pre | Stage::Gate | Stage::Post, _) => false,
        };
        let actions = self.session(id).map(SessionSpec::in_order).unwrap_or_default();
        (0..).zip(actions).filter(|(_, action)| runs(action.stage)).map(|(number, _)| number).collect()
    }

    /// How many calls of actions a session needs to end well on a host, one for each entry of its list.
    fn actions_on(&self, id: &SessionId, host: &HostId) -> usize {
        self.work_on(id, host).len()
    }

    /// The first moment that Fenix may still act on.
    fn lately(&self) -> Time {
        self.at - LAG
    }
}
