//! A workflow that wants anything: it draws well-formed decisions at random, sensible ones and others.
//!
//! What it may have, the rules alone say. With all of them nothing must go wrong, whatever it wants; with one of them
//! switched off something does, and the checkers have to see it.

use fenix_core::ask::{AskKind, MoveHow};
use fenix_core::decision::{Decision, Planned, Waiting};
use fenix_core::id::{Digest, HostId, InstanceId, ProjectId};
use fenix_core::session::{HostStage, Phase, Pin, Session, Target};
use fenix_core::time::Millis;
use fenix_core::view::{Verdict, View, Wakeup};
use fenix_engine::ports::{ActionError, Assignment, Progress, WorkflowError};

use crate::dice::{Dice, Purpose};
use crate::fickle;
use crate::plugins::{Hand, Plugins};

/// Its name.
pub const NAME: &str = "reckless";

/// Most decisions of one verdict.
const MOST: u64 = 6;

/// How long after a session may begin it gives up: it would never end by itself.
const PATIENCE: Millis = Millis::from_secs(40 * 60);

/// How many draws out of a thousand are of any subject at all, instead of one for which the decision makes sense.
const WILD: u32 = 150;

/// The reckless workflow and the fickle action ([`fickle`]), beside the plug-ins of somebody else.
pub struct Reckless<'a> {
    seed: u64,
    others: &'a dyn Plugins,
}

impl<'a> Reckless<'a> {
    /// Draws from that seed; other plug-ins are the given ones.
    pub fn new(seed: u64, others: &'a dyn Plugins) -> Reckless<'a> {
        Reckless { seed, others }
    }
}

impl Plugins for Reckless<'_> {
    fn pin(&self, name: &str) -> Option<Pin> {
        match name {
            NAME => Some(Pin {
                name: name.to_owned(),
                version: "0".to_owned(),
                digest: Digest::from(NAME),
                undoes: false,
            }),
            fickle::NAME => Some(fickle::pin()),
            other => self.others.pin(other),
        }
    }

    fn decide(&self, plugin: &Digest, view: &View, wakeup: &Wakeup) -> Result<Verdict, WorkflowError> {
        if plugin.as_str() != NAME {
            return self.others.decide(plugin, view, wakeup);
        }
        // The same records make the same draws: a workflow has no memory of its own.
        let mixed = self.seed ^ view.state.seq.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let dice = Dice::new(mixed, Purpose::Reckless);
        let session = view.state.session(&view.session);
        Ok(session.map_or_else(Verdict::default, |session| Draw { dice, view, session }.verdict()))
    }

    fn act(&self, assignment: &Assignment, hand: &mut dyn Hand) -> Result<Progress, ActionError> {
        match assignment.plugin.as_str() {
            fickle::NAME => fickle::act(self.seed, assignment),
            _ => self.others.act(assignment, hand),
        }
    }
}

/// One verdict in the making.
struct Draw<'a> {
    dice: Dice,
    view: &'a View,
    session: &'a Session,
}

/// A kind of decision.
#[derive(Clone, Copy)]
enum Wish {
    Ask,
    Fence,
    Move,
    Work,
    Release,
    Quarantine,
    Enter,
    Note,
}

impl Wish {
    const ALL: [Wish; 8] = [
        Wish::Ask,
        Wish::Fence,
        Wish::Move,
        Wish::Work,
        Wish::Release,
        Wish::Quarantine,
        Wish::Enter,
        Wish::Note,
    ];
}

impl Draw<'_> {
    fn verdict(mut self) -> Verdict {
        let now = self.view.now;
        let planned = |decision: Decision| Planned { decision, reason: "drawn".to_owned(), group: 0 };
        if now > self.session.plan.maintenance_at + PATIENCE {
            // It even goes on wanting things after it gave up.
            let more = Wish::ALL.iter().filter_map(|wish| self.one(*wish)).collect::<Vec<_>>();
            let all = [Decision::Fail].into_iter().chain(more).chain([Decision::Fail]);
            return Verdict { planned: all.map(planned).collect(), ..Verdict::default() };
        }
        let wishes = self.dice.below(MOST);
        let wanted: Vec<Decision> = (0..wishes).filter_map(|_| self.wish()).collect();
        let is_new = |decision: &Decision| {
            // Who insists is parked.
            !self.session.refused.iter().any(|standing| standing.decision == *decision)
        };
        let planned = wanted.into_iter().filter(is_new).map(planned).collect();
        let until = now + self.dice.span(1_000, 15_000);
        let waiting = Waiting { on: "chance".to_owned(), until: Some(until) };
        Verdict { planned, waiting, log: Vec::new() }
    }

    fn wish(&mut self) -> Option<Decision> {
        let wish = self.dice.weighted(&[
            (40, Wish::Ask),
            (20, Wish::Fence),
            (60, Wish::Move),
            (25, Wish::Work),
            (25, Wish::Release),
            (1, Wish::Quarantine),
            (10, Wish::Enter),
            (1, Wish::Note),
        ]);
        self.one(wish)
    }

    fn one(&mut self, wish: Wish) -> Option<Decision> {
        match wish {
            Wish::Ask => self.ask(),
            Wish::Fence => Some(Decision::Fence { host: self.host(|stage| *stage == HostStage::Waiting)? }),
            Wish::Move => self.leave(),
            Wish::Work => {
                let host = self.host(|stage| matches!(stage, HostStage::Fenced | HostStage::Working))?;
                let target = match self.dice.below(40) {
                    0 => Target::Pre,
                    1 => Target::Post,
                    _ => Target::Host(host),
                };
                Some(Decision::Work { target })
            }
            Wish::Release => {
                let is_begun = |stage: &HostStage| matches!(stage, HostStage::Worked | HostStage::Working);
                Some(Decision::Release { host: self.host(is_begun)? })
            }
            Wish::Quarantine => self.leave_out(),
            Wish::Enter => self.enter(),
            Wish::Note => Some(Decision::Note {
                key: "chance".to_owned(),
                value: Some("x".repeat(self.dice.below(2 * 1024) as usize)),
            }),
        }
    }

    /// A host of the session in such a stage; now and then any host at all.
    fn host(&mut self, sensible: fn(&HostStage) -> bool) -> Option<HostId> {
        if self.dice.chance(WILD) {
            let all: Vec<&HostId> = self.view.state.inventory.hosts().map(|host| &host.id).collect();
            return self.dice.pick(&all).map(|host| (*host).clone());
        }
        let own = self.session.hosts.iter().filter(|(_, work)| sensible(&work.stage));
        let own: Vec<&HostId> = own.map(|(host, _)| host).collect();
        self.dice.pick(&own).map(|host| (*host).clone())
    }

    /// A host that is not done is left out. With one that is done there would be a host that stays out of service for
    /// no reason but the workflow's own, which nobody knows any more when the session is removed.
    fn leave_out(&mut self) -> Option<Decision> {
        let host = self.host(|_| true)?;
        let is_done = self.session.hosts.get(&host).is_some_and(|work| work.stage == HostStage::Worked);
        (!is_done).then_some(Decision::Quarantine { host })
    }

    fn ask(&mut self) -> Option<Decision> {
        let projects: Vec<(&ProjectId, bool)> =
            self.session.projects.iter().map(|(id, work)| (id, work.told)).collect();
        let (project, told) = self.dice.pick(&projects).copied()?;
        let kind = match told && !self.dice.chance(WILD) {
            false => self.dice.weighted(&[(4, AskKind::Maintenance), (1, AskKind::PlannedMaintenance)]),
            true => self.dice.weighted(&[
                (1, AskKind::ScaleIn),
                (2, AskKind::PrepareMaintenance),
                (8, AskKind::PlannedMaintenance),
                (1, AskKind::MaintenanceComplete),
            ]),
        };
        let host = if kind.wants_actions() { self.host(|stage| *stage == HostStage::Fenced) } else { None };
        // Mostly somebody who has something there.
        let view = self.view;
        let there = host.iter().flat_map(|host| view.state.inventory.holding(host));
        let owners: Vec<&ProjectId> = there.map(|instance| &instance.project).collect();
        let owner = self.dice.pick(&owners).copied().filter(|_| !self.dice.chance(WILD));
        let project = owner.unwrap_or(project);
        Some(Decision::Ask { project: project.clone(), kind, host })
    }

    /// A move of an instance, mostly off a fenced host, as its manager chose and to wherever.
    fn leave(&mut self) -> Option<Decision> {
        let from = self.host(|stage| *stage == HostStage::Fenced)?;
        let inventory = &self.view.state.inventory;
        let there: Vec<&InstanceId> = inventory.holding(&from).map(|instance| &instance.id).collect();
        // Mostly one whose manager agreed to something.
        let agreed = |instance: &&&InstanceId| {
            let project = inventory.instance(instance).map(|seen| &seen.project);
            let asks = [AskKind::PrepareMaintenance, AskKind::PlannedMaintenance].into_iter();
            let mut asks = asks.filter_map(|kind| self.session.latest_ask(project?, kind, Some(&from)));
            asks.any(|ask| ask.consent(instance).is_some())
        };
        let with_consent: Vec<&InstanceId> = there.iter().filter(agreed).copied().collect();
        let is_wild = with_consent.is_empty() || self.dice.chance(WILD);
        let instance = self.dice.pick(if is_wild { &there } else { &with_consent }).copied()?;
        let seen = inventory.instance(instance)?;
        let everywhere: Vec<&HostId> = inventory.hosts().map(|host| &host.id).collect();
        let state = &self.view.state;
        let is_free = |host: &&HostId| state.lease(host).is_none_or(|holder| *holder == self.session.id);
        let roomy: Vec<&HostId> = inventory.roomy().map(|(host, _)| host).filter(is_free).collect();
        let is_wild = roomy.is_empty() || self.dice.chance(WILD);
        let to = (*self.dice.pick(if is_wild { &everywhere } else { &roomy })?).clone();
        let kind = self.dice.weighted(&[(1, AskKind::PrepareMaintenance), (3, AskKind::PlannedMaintenance)]);
        let of = |kind| self.session.latest_ask(&seen.project, kind, Some(&from));
        let asks = [of(AskKind::PlannedMaintenance), of(AskKind::PrepareMaintenance)].into_iter().flatten();
        let agreed = asks.into_iter().find(|ask| ask.consent(instance).is_some());
        let ask = if self.dice.chance(WILD) { of(kind) } else { agreed.or(of(kind)) };
        let drawn = self.dice.weighted(&[(1, MoveHow::Migrate), (1, MoveHow::LiveMigrate)]);
        let chosen = ask.and_then(|ask| ask.consent(instance)).filter(|_| !self.dice.chance(WILD));
        let ask = ask.map(|ask| ask.id);
        Some(Decision::Move { instance: instance.clone(), to, how: chosen.unwrap_or(drawn), ask })
    }

    fn enter(&mut self) -> Option<Decision> {
        let phases = [
            Phase::ScaleIn,
            Phase::PrepareMaintenance,
            Phase::StartMaintenance,
            Phase::PlannedMaintenance,
            Phase::MaintenanceComplete,
            Phase::MaintenanceDone,
        ];
        self.dice.pick(&phases).map(|phase| Decision::Enter { phase: *phase })
    }
}
