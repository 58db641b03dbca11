//! One decision: a fresh instance, a view, a list of what was planned.

use std::time::{Duration, Instant};

use fenix_core::decision::Planned;
use fenix_core::id::Digest;
use fenix_core::view::{SessionInfo, Verdict, View, Wakeup};
use fenix_engine::ports::{Said, WorkflowError, Workflows};

use crate::bindings::workflow::WorkflowPluginPre;
use crate::bindings::workflow::exports::fenix::plugin::workflow as wit;
use crate::fault::{Breach, Memory, describe, is_slowness};
use crate::meter::Spent;
use crate::plugins::{Code, Plugins};
use crate::text::{Lines, clean};
use crate::{convert, limits};

/// What one decision reads and writes.
pub(crate) struct Deciding {
    pub(crate) view: View,
    /// Read once: it is there as long as the view is.
    pub(crate) session: SessionInfo,
    pub(crate) planned: Vec<Planned>,
    /// The group that decisions go to now, and the last one that was begun.
    pub(crate) group: u32,
    pub(crate) groups: u32,
    pub(crate) log: Lines,
    memory: Memory,
    calls: u32,
    until: Instant,
}

impl Deciding {
    fn new(view: View, session: SessionInfo, time: Duration) -> Self {
        Deciding {
            view,
            session,
            planned: Vec::new(),
            group: 0,
            groups: 0,
            log: Lines::default(),
            memory: Memory::default(),
            calls: 0,
            until: Instant::now() + time,
        }
    }

    /// Counts a call of the host. Fuel bounds what a plug-in computes; this bounds what it lets the host compute.
    pub(crate) fn count(&mut self) -> Result<(), Breach> {
        self.calls += 1;
        if self.calls > limits::HOST_CALLS {
            return Err(Breach::Calls);
        }
        if Instant::now() > self.until {
            return Err(Breach::Time { seconds: limits::DECISION_TIME.as_secs() });
        }
        Ok(())
    }
}

/// Why there is no verdict.
struct Undecided {
    why: WorkflowError,
    /// With more fuel or time there might be one.
    is_slow: bool,
}

impl Workflows for Plugins {
    fn decide(&self, plugin: &Digest, view: &View, wakeup: &Wakeup) -> Said {
        let begun = Instant::now();
        let most = limits::decision_fuel(view.state.inventory.host_count());
        let (said, fuel) = self.decide_with(most, limits::DECISION_TIME, plugin, view, wakeup);
        // Far enough within the limits that it is not tried in vain every other time.
        if fuel < limits::BRIEF_FUEL / 2 && begun.elapsed() < limits::BRIEF_TIME / 2 {
            self.note_slow(&view.session, false);
        }
        said.map_err(|undecided| undecided.why)
    }

    fn decide_at_once(&self, plugin: &Digest, view: &View, wakeup: &Wakeup) -> Option<Said> {
        if self.is_slow(&view.session) {
            return None;
        }
        let (said, _) = self.decide_with(limits::BRIEF_FUEL, limits::BRIEF_TIME, plugin, view, wakeup);
        if said.as_ref().is_err_and(|undecided| undecided.is_slow) {
            self.note_slow(&view.session, true);
            return None;
        }
        Some(said.map_err(|undecided| undecided.why))
    }
}

impl Plugins {
    /// One decision with so much fuel and time, and the fuel that it took.
    fn decide_with(
        &self,
        fuel: u64,
        time: Duration,
        plugin: &Digest,
        view: &View,
        wakeup: &Wakeup,
    ) -> (Result<Verdict, Undecided>, u64) {
        let unusable =
            |why: String| (Err(Undecided { why: WorkflowError::Unusable(why), is_slow: false }), 0);
        let Some(loaded) = self.loaded(plugin) else {
            return unusable(format!("no plug-in {plugin} is attached"));
        };
        let code = match self.code(&loaded) {
            Ok(Code::Workflow(code)) => code,
            Ok(Code::Action(_)) => {
                return unusable(format!("{} is a plug-in of kind {}", loaded.info.name, loaded.info.kind));
            }
            Err(why) => return unusable(why),
        };
        let Some(session) = view.session() else {
            return unusable(format!("session {} was removed", view.session));
        };
        let mut store = match self.store(Deciding::new(view.clone(), session, time), fuel) {
            Ok(store) => store,
            Err(why) => return unusable(why),
        };
        store.limiter(|host| &mut host.memory);
        let answer = call(code, &mut store, *wakeup);
        let used = fuel - store.get_fuel().unwrap_or_default();
        self.spent(&loaded.info, Spent { fuel: used, ..Spent::default() });
        (said(&loaded.info.name, answer, store.into_data()), used)
    }
}

/// What a workflow said.
fn said(
    name: &str,
    answer: wasmtime::Result<Result<wit::Waiting, wit::Error>>,
    host: Deciding,
) -> Result<Verdict, Undecided> {
    match answer {
        Ok(Ok(waiting)) => {
            Ok(Verdict { planned: host.planned, waiting: convert::waiting(&waiting), log: host.log.finish() })
        }
        Ok(Err(error)) => {
            let why = WorkflowError::GaveUp(format!("{name}: {}", words(&error)));
            Err(Undecided { why, is_slow: false })
        }
        Err(error) => {
            let why = WorkflowError::Trapped(format!("{name}: {}", describe(&error, &host.log)));
            Err(Undecided { why, is_slow: is_slowness(&error) })
        }
    }
}

fn call(
    code: &WorkflowPluginPre<Deciding>,
    store: &mut wasmtime::Store<Deciding>,
    wakeup: Wakeup,
) -> wasmtime::Result<Result<wit::Waiting, wit::Error>> {
    let instance = code.instantiate(&mut *store)?;
    instance.fenix_plugin_workflow().call_decide(store, convert::wakeup(wakeup))
}

fn words(error: &wit::Error) -> String {
    match error {
        wit::Error::BadInput(why) => {
            format!("the input cannot be understood: {}", clean(why, limits::REPORT_BYTES))
        }
        wit::Error::Internal(why) => format!("a fault of the workflow: {}", clean(why, limits::REPORT_BYTES)),
    }
}
