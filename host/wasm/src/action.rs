//! One call of an action: a fresh instance on a thread of its own, and a caller that serves its capabilities.
//!
//! The thread is there because a capability is lent for the call only, while an instance can hold nothing that is
//! lent. The two never run at the same time: the action waits for each answer.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use std::time::Instant;

use fenix_core::id::{Digest, HostId};
use fenix_core::package::Package;
use fenix_core::remote::{RemoteCall, RemoteError, RemoteState};
use fenix_engine::ports::{
    ActionCall, ActionError, Assignment, CloudCall, CloudError, CloudReply, MAX_CHECKPOINT, Progress,
};

use crate::bindings::action::fenix::plugin::assignments as wit;
use crate::bindings::assess::exports::fenix::plugin::assessment;
use crate::bindings::gate::exports::fenix::plugin::gate;
use crate::fault::{Breach, Memory, describe};
use crate::gate::Gate;
use crate::http::{HttpError, HttpRequest, HttpResponse};
use crate::meter::Spent;
use crate::plugins::{Code, Loaded, Parts, Plugins};
use crate::text::{Lines, clean};
use crate::{convert, limits};

/// How much a line matters to whoever reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For the plug-in's author.
    Debug,
    /// Worth knowing.
    Info,
    /// Somebody should look at it.
    Warn,
    /// Something is broken.
    Error,
}

impl Level {
    /// The level in one word.
    pub fn name(self) -> &'static str {
        match self {
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        }
    }
}

/// Why a value was not kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// It cannot be kept.
    #[error("{0}")]
    Invalid(String),
    /// It may have been kept.
    #[error("{0}")]
    Unclear(String),
}

/// What an action may use, as its caller provides it.
pub trait Capabilities {
    /// Carries out a call of the infrastructure. Only [`CloudCall::ReadHost`] and [`CloudCall::Reboot`] of the assignment's
    /// own host come here; everything else was refused before. Must not block over 10 s.
    ///
    /// # Errors
    /// As the infrastructure says.
    fn cloud(&mut self, call: CloudCall) -> Result<CloudReply, CloudError>;

    /// Signs an address under which that host can fetch that package, which is one of the assignment's.
    fn address(&mut self, package: &Digest, host: &HostId) -> String;

    /// Makes a call that was allowed. Must not block over 10 s.
    ///
    /// # Errors
    /// There is no answer, and why.
    fn http(&mut self, request: HttpRequest) -> Result<HttpResponse, HttpError>;

    /// Orders something about a command on that host, which is the assignment's; what is started was allowed. Must not block over
    /// 10 s.
    ///
    /// # Errors
    /// It was not done, or that is not known.
    fn remote(&mut self, host: &HostId, call: RemoteCall) -> Result<RemoteState, RemoteError>;

    /// The value of that key that the session keeps for the plug-in of that name.
    fn value(&mut self, plugin: &str, key: &str) -> Option<String>;

    /// Keeps a value, or forgets it: on return it is on disk.
    ///
    /// # Errors
    /// It was not kept, or that is not known.
    fn keep_value(&mut self, plugin: &str, key: &str, value: Option<String>) -> Result<(), ValueError>;

    /// Takes a line that the action wrote: bounded, and fit to be shown.
    fn log(&mut self, level: Level, line: &str);
}

/// Runs actions of a registry.
#[derive(Clone)]
pub struct ActionRunner {
    plugins: Plugins,
}

/// Something that an action wants done with what its caller lends.
type Errand = Box<dyn FnOnce(&mut dyn Capabilities) + Send>;

/// What one call of an action reads and writes.
pub(crate) struct Acting {
    /// The only host that it may touch.
    pub(crate) host: Option<HostId>,
    /// Names the assignment.
    pub(crate) key: String,
    /// Whose values it keeps.
    pub(crate) plugin: String,
    registry: Plugins,
    digest: Digest,
    /// Bytes that went to others, and came back.
    pub(crate) sent: usize,
    pub(crate) received: usize,
    pub(crate) log: Lines,
    pub(crate) gate: Gate,
    /// What the session brought.
    pub(crate) packages: Vec<Package>,
    errands: SyncSender<Errand>,
    memory: Memory,
    calls: u32,
    until: Instant,
}

impl Acting {
    /// Counts a call of the host; see [`crate::workflow::Deciding::count`].
    pub(crate) fn count(&mut self) -> Result<(), Breach> {
        self.calls += 1;
        if self.calls > limits::HOST_CALLS {
            return Err(Breach::Calls);
        }
        if Instant::now() > self.until {
            return Err(Breach::Time { seconds: limits::ACTION_TIME.as_secs() });
        }
        Ok(())
    }

    /// Has the caller do something, and waits for what comes of it.
    pub(crate) fn ask<T: Send + 'static>(
        &mut self,
        errand: impl FnOnce(&mut dyn Capabilities) -> T + Send + 'static,
    ) -> Result<T, Breach> {
        if !self.registry.may_call(&self.digest) {
            return Err(Breach::Pace);
        }
        let (served, answer) = sync_channel(1);
        self.tell(move |lent| {
            // Whoever asked has one place for the answer, and waits.
            let _ended_meanwhile = served.send(errand(lent));
        })?;
        // If a capability panics its answer is dropped, and the guest does not wait for ever.
        answer.recv().map_err(|_| Breach::CallerGone)
    }

    /// Writes a line.
    pub(crate) fn say(&mut self, level: Level, line: &str) -> Result<(), Breach> {
        match self.log.push(level.name(), line) {
            Some(line) => self.tell(move |lent| lent.log(level, &line)),
            None => Ok(()),
        }
    }

    /// Has the caller do something of which nothing comes back.
    pub(crate) fn tell(
        &mut self,
        errand: impl FnOnce(&mut dyn Capabilities) + Send + 'static,
    ) -> Result<(), Breach> {
        self.errands.send(Box::new(errand)).map_err(|_| Breach::CallerGone)
    }
}

impl ActionRunner {
    /// A runner of the actions in that registry.
    pub fn new(plugins: &Plugins) -> Self {
        ActionRunner { plugins: plugins.clone() }
    }

    /// Calls an action once, and blocks until it returns.
    ///
    /// # Errors
    /// The action failed, was ended, or cannot run. What it did before through `capabilities` is done.
    pub fn run(
        &self,
        assignment: &Assignment,
        capabilities: &mut dyn Capabilities,
    ) -> Result<Progress, ActionError> {
        let unusable = |why: String| ActionError::Unusable(why);
        let plugin = &assignment.plugin;
        let loaded = self
            .plugins
            .loaded(plugin)
            .ok_or_else(|| unusable(format!("no plug-in {plugin} is attached")))?;
        let Code::Action(code) = self.plugins.code(&loaded).map_err(unusable)? else {
            return Err(unusable(format!("{} is a plug-in of kind {}", loaded.info.name, loaded.info.kind)));
        };
        // One place: whoever asks for something waits until it was taken.
        let (errands, to_serve) = sync_channel::<Errand>(1);
        let acting = Acting {
            host: assignment.host.clone(),
            key: assignment.key.clone(),
            plugin: loaded.info.name.clone(),
            log: Lines::default(),
            gate: Gate {
                asked: loaded.info.asks.clone(),
                granted: assignment.granted.clone(),
                ..Gate::default()
            },
            registry: self.plugins.clone(),
            digest: plugin.clone(),
            sent: 0,
            received: 0,
            packages: assignment.packages.clone(),
            errands,
            memory: Memory::default(),
            calls: 0,
            until: Instant::now() + limits::ACTION_TIME,
        };
        thread::scope(|scope| {
            // Owned in here: if a capability panics it is dropped, and the guest does not wait for ever.
            let to_serve = to_serve;
            let guest = thread::Builder::new()
                .name(format!("action {}", loaded.info.name))
                .spawn_scoped(scope, || self.call(&loaded, code, acting, assignment))
                .map_err(|error| unusable(format!("no thread can be started: {error}")))?;
            for errand in to_serve {
                errand(capabilities);
            }
            guest.join().unwrap_or_else(|_| {
                Err(ActionError::Trapped(format!("{}: the host failed", loaded.info.name)))
            })
        })
    }

    /// The guest's side: runs on its own thread, and drops its requests' end when it is done.
    fn call(
        &self,
        loaded: &Loaded,
        code: &Parts,
        acting: Acting,
        assignment: &Assignment,
    ) -> Result<Progress, ActionError> {
        let name = &loaded.info.name;
        let mut store = self.plugins.store(acting, limits::ACTION_FUEL).map_err(ActionError::Unusable)?;
        store.limiter(|host| &mut host.memory);
        let assigned = convert::assignment(assignment);
        let checkpoint = assignment.checkpoint.as_deref();
        let answer = match (&assignment.call, code) {
            (ActionCall::Run, Parts { run: Some(part), .. }) => {
                part.instantiate(&mut store).and_then(|guest| {
                    let answer = guest.fenix_plugin_action().call_run(&mut store, &assigned, checkpoint)?;
                    Ok(answer.map(Said::from))
                })
            }
            (ActionCall::Assess, Parts { assess: Some(part), .. }) => {
                part.instantiate(&mut store).and_then(|guest| {
                    let answer =
                        guest.fenix_plugin_assessment().call_assess(&mut store, &assigned, checkpoint)?;
                    Ok(answer.map(Said::from))
                })
            }
            (ActionCall::Gate, Parts { gate: Some(part), .. }) => {
                part.instantiate(&mut store).and_then(|guest| {
                    let answer = guest.fenix_plugin_gate().call_ask(&mut store, &assigned, checkpoint)?;
                    if let Ok(gate::Verdict::Wait(pause)) = &answer {
                        store.data_mut().say(Level::Info, &pause.why)?;
                    }
                    Ok(answer.map(Said::from))
                })
            }
            (ActionCall::Undo { forward }, Parts { undo: Some(part), .. }) => {
                part.instantiate(&mut store).and_then(|guest| {
                    let undo = guest.fenix_plugin_undo();
                    let answer = undo.call_undo(&mut store, &assigned, checkpoint, forward.as_deref())?;
                    Ok(answer.map(Said::from))
                })
            }
            (call, _) => {
                return Err(ActionError::Unusable(format!("{name} has no function `{}`", word(call))));
            }
        };
        let host = store.data();
        let spent = Spent {
            fuel: limits::ACTION_FUEL - store.get_fuel().unwrap_or_default(),
            refusals: host.gate.refusals.get(),
            sent: host.sent as u64,
            received: host.received as u64,
        };
        self.plugins.spent(&loaded.info, spent);
        match answer {
            Ok(Ok(said)) => take(name, said),
            Ok(Err(failure)) => Err(ActionError::Failed(words(&failure))),
            Err(error) => {
                Err(ActionError::Trapped(format!("{name}: {}", describe(&error, &store.data().log))))
            }
        }
    }
}

/// A function of an action, as people call it.
fn word(call: &ActionCall) -> &'static str {
    match call {
        ActionCall::Run => "run",
        ActionCall::Assess => "assess",
        ActionCall::Gate => "gate",
        ActionCall::Undo { .. } => "undo",
    }
}

/// What one of its functions returned.
enum Said {
    Done(String),
    NotNeeded(String),
    Stop(String),
    Again(wit::Again),
}

impl From<wit::Progress> for Said {
    fn from(progress: wit::Progress) -> Said {
        match progress {
            wit::Progress::Done(report) => Said::Done(report),
            wit::Progress::Again(again) => Said::Again(again),
        }
    }
}

impl From<assessment::Verdict> for Said {
    fn from(verdict: assessment::Verdict) -> Said {
        match verdict {
            assessment::Verdict::Needed(why) => Said::Done(why),
            assessment::Verdict::NotNeeded(why) => Said::NotNeeded(why),
            assessment::Verdict::Blocked(why) => Said::Stop(why),
            assessment::Verdict::Again(again) => Said::Again(again),
        }
    }
}

impl From<gate::Verdict> for Said {
    fn from(verdict: gate::Verdict) -> Said {
        match verdict {
            gate::Verdict::Go(why) => Said::Done(why),
            gate::Verdict::Wait(pause) => Said::Again(pause.again),
            gate::Verdict::Stop(why) => Said::Stop(why),
        }
    }
}

/// What an action returned, if it keeps the limits.
fn take(name: &str, said: Said) -> Result<Progress, ActionError> {
    let shown = |text: &str| clean(text, limits::REPORT_BYTES);
    match said {
        Said::Done(report) => Ok(Progress::Done { report: shown(&report) }),
        Said::NotNeeded(why) => Ok(Progress::NotNeeded { why: shown(&why) }),
        Said::Stop(why) => Ok(Progress::Stop { why: shown(&why) }),
        Said::Again(again) if again.checkpoint.len() > MAX_CHECKPOINT => Err(ActionError::Trapped(format!(
            "{name}: its checkpoint has {} bytes; at most {MAX_CHECKPOINT} are taken",
            again.checkpoint.len()
        ))),
        Said::Again(again) => Ok(convert::again(again)),
    }
}

fn words(failure: &wit::Failure) -> String {
    match failure {
        wit::Failure::BadMetadata(why) => {
            format!("its metadata cannot be understood: {}", clean(why, limits::REPORT_BYTES))
        }
        wit::Failure::Failed(why) => clean(why, limits::REPORT_BYTES),
    }
}
