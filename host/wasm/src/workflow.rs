//! One decision: a fresh instance, a view, a list of what was planned.

use std::time::Instant;

use fenix_core::decision::Planned;
use fenix_core::id::Digest;
use fenix_core::view::{SessionInfo, Verdict, View, Wakeup};
use fenix_engine::ports::{WorkflowError, Workflows};

use crate::bindings::workflow::WorkflowPluginPre;
use crate::bindings::workflow::exports::fenix::plugin::workflow as wit;
use crate::fault::{Breach, Memory, describe};
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
    fn new(view: View, session: SessionInfo) -> Self {
        Deciding {
            view,
            session,
            planned: Vec::new(),
            group: 0,
            groups: 0,
            log: Lines::default(),
            memory: Memory::default(),
            calls: 0,
            until: Instant::now() + limits::DECISION_TIME,
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

impl Workflows for Plugins {
    fn decide(&self, plugin: &Digest, view: &View, wakeup: &Wakeup) -> Result<Verdict, WorkflowError> {
        let unusable = |why: String| WorkflowError::Unusable(why);
        let loaded =
            self.loaded(plugin).ok_or_else(|| unusable(format!("no plug-in {plugin} is attached")))?;
        let Code::Workflow(code) = self.code(&loaded).map_err(unusable)? else {
            return Err(unusable(format!("{} is a plug-in of kind {}", loaded.info.name, loaded.info.kind)));
        };
        let session =
            view.session().ok_or_else(|| unusable(format!("session {} was removed", view.session)))?;
        let deciding = Deciding::new(view.clone(), session);
        let most = limits::decision_fuel(view.state.inventory.host_count());
        let mut store = self.store(deciding, most).map_err(unusable)?;
        store.limiter(|host| &mut host.memory);
        let answer = call(code, &mut store, *wakeup);
        let fuel = most - store.get_fuel().unwrap_or_default();
        self.spent(&loaded.info, Spent { fuel, ..Spent::default() });
        let host = store.into_data();
        let name = &loaded.info.name;
        match answer {
            Ok(Ok(waiting)) => Ok(Verdict {
                planned: host.planned,
                waiting: convert::waiting(&waiting),
                log: host.log.finish(),
            }),
            Ok(Err(error)) => Err(WorkflowError::GaveUp(format!("{name}: {}", words(&error)))),
            Err(error) => Err(WorkflowError::Trapped(format!("{name}: {}", describe(&error, &host.log)))),
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
