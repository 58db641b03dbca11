//! Who is compared: the workflow, and three others that users know.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use fenix_core::decision::Decision;
use fenix_core::id::{Digest, HostId};
use fenix_core::inventory::HostKind;
use fenix_core::session::Pin;
use fenix_core::time::Millis;
use fenix_core::view::{Verdict, View, Wakeup};
use fenix_engine::ports::{ActionError, Assignment, Progress, WorkflowError};
use fenix_sim::dice::{Dice, Purpose};
use fenix_sim::plugins::{Components, Hand, Plugins};

/// The action whose time is known.
pub(crate) const WORK: &str = "work";

/// Who decides.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    /// `vnf`, as it is.
    Ours,
    /// One host at a time: `vnf` with one slot.
    Serial,
    /// As many hosts at once, and none of the next before all of these are done.
    Batches,
    /// Any destination that the rules allow.
    Random,
}

/// What its decisions took of a processor's time.
#[derive(Clone, Copy, Default)]
pub(crate) struct Spent {
    pub(crate) all: Duration,
    pub(crate) longest: Duration,
    pub(crate) decisions: u64,
}

/// What this thread has had of a processor's time.
fn processor_time() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// The plug-ins of one run.
pub(crate) struct Compared<'a> {
    who: Who,
    components: &'a Components,
    works: BTreeMap<HostId, u64>,
    spent: Cell<Spent>,
    /// True while a batch is being filled.
    filling: Cell<bool>,
    dice: RefCell<Dice>,
}

impl<'a> Compared<'a> {
    pub(crate) fn new(who: Who, components: &'a Components, works: BTreeMap<HostId, u64>) -> Compared<'a> {
        let dice = RefCell::new(Dice::new(11, Purpose::Reckless));
        Compared { who, components, works, spent: Cell::default(), filling: Cell::new(true), dice }
    }

    pub(crate) fn spent(&self) -> Spent {
        self.spent.get()
    }

    /// What the workflow wants, less what one of this kind would not.
    fn bend(&self, view: &View, verdict: &mut Verdict) {
        match self.who {
            Who::Ours | Who::Serial => {}
            Who::Batches => {
                let Some(session) = view.session() else { return };
                let busy = session.fenced + session.working + session.worked;
                if busy == 0 {
                    self.filling.set(true);
                } else if session.working + session.worked > 0 {
                    self.filling.set(false);
                }
                if !self.filling.get() {
                    verdict.planned.retain(|planned| !matches!(planned.decision, Decision::Fence { .. }));
                }
            }
            Who::Random => {
                let hosts: Vec<&HostId> = view
                    .state
                    .inventory
                    .hosts()
                    .filter(|host| host.kind == HostKind::Compute)
                    .map(|host| &host.id)
                    .collect();
                for planned in &mut verdict.planned {
                    if matches!(planned.decision, Decision::Move { .. }) {
                        self.elsewhere(view, &hosts, &mut planned.decision);
                    }
                }
            }
        }
    }

    fn elsewhere(&self, view: &View, hosts: &[&HostId], wanted: &mut Decision) {
        // So many draws find one of few that there may be; else it goes where it was to go.
        for _ in 0..4 * hosts.len() {
            let Some(drawn) = self.dice.borrow_mut().pick(hosts).copied() else { return };
            let mut other = wanted.clone();
            if let Decision::Move { to, .. } = &mut other {
                *to = drawn.clone();
            }
            if view.check(&other).is_ok() {
                *wanted = other;
                return;
            }
        }
    }
}

impl Plugins for Compared<'_> {
    fn pin(&self, name: &str) -> Option<Pin> {
        if name != WORK {
            return self.components.pin(name);
        }
        Some(Pin {
            name: name.to_owned(),
            version: "0".to_owned(),
            digest: Digest::from(WORK),
            undoes: false,
        })
    }

    fn decide(&self, plugin: &Digest, view: &View, wakeup: &Wakeup) -> Result<Verdict, WorkflowError> {
        let begun = processor_time();
        let verdict = self.components.decide(plugin, view, wakeup);
        let took = processor_time().saturating_sub(begun);
        let Spent { all, longest, decisions } = self.spent.get();
        self.spent.set(Spent { all: all + took, longest: longest.max(took), decisions: decisions + 1 });
        let mut verdict = verdict?;
        self.bend(view, &mut verdict);
        Ok(verdict)
    }

    fn act(&self, assignment: &Assignment, _: &mut dyn Hand) -> Result<Progress, ActionError> {
        let work =
            assignment.host.as_ref().and_then(|host| self.works.get(host)).copied().unwrap_or_default();
        match assignment.checkpoint {
            None => Ok(Progress::Again { after: Millis(work), checkpoint: "begun".into(), percent: 0 }),
            Some(_) => Ok(Progress::Done { report: "done".into() }),
        }
    }
}
