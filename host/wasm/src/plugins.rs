//! The registry: components that may run, by digest.

use fenix_core::grant::Right;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Instant;

use fenix_core::id::{Digest, SessionId};
use fenix_core::session::Pin;
use wasmtime::component::{Component, HasSelf, InstancePre, Linker};
use wasmtime::{Engine, Store};

use crate::action::Acting;
use crate::bindings::action::ActionPluginPre;
use crate::bindings::assess::AssessPluginPre;
use crate::bindings::gate::GatePluginPre;
use crate::bindings::undo::UndoPluginPre;
use crate::bindings::workflow::WorkflowPluginPre;
use crate::cache::{self, Cache, CompileError, Compiler};
use crate::manifest::{self, Does, Kind, ManifestError};
use crate::meter::{Meter, Pace, Spent};
use crate::text::clean;
use crate::workflow::Deciding;
use crate::{bindings, engine, limits};

/// What is known of an attached plug-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginInfo {
    /// The name by which sessions ask for it.
    pub name: String,
    /// Its version, for people.
    pub version: String,
    /// What it is for.
    pub kind: Kind,
    /// The version of the contract that it was made for.
    pub contract: String,
    /// SHA-256 of its component.
    pub digest: Digest,
    /// What it asks for.
    pub asks: Vec<Right>,
    /// What it can do, if it is an action.
    pub does: Does,
}

impl PluginInfo {
    /// What a session writes down, to use this very component to its end.
    pub fn pin(&self) -> Pin {
        Pin {
            name: self.name.clone(),
            version: self.version.clone(),
            digest: self.digest.clone(),
            undoes: self.does.undo,
        }
    }
}

/// Why the sandbox could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetUpError {
    /// The processor or the system lacks something.
    #[error("the sandbox cannot run on this machine: {0}")]
    Unsupported(String),
    /// The folder for compiled components cannot be made.
    #[error("the folder for compiled plug-ins, {}, cannot be made", path.display())]
    Cache {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

/// Why a component was not attached. Nothing of it stays.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AttachError {
    /// It is too large.
    #[error("the component has {bytes} bytes; at most {} are taken", limits::COMPONENT_BYTES)]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// It is not a plug-in that this host runs.
    #[error("the component is refused: {0}")]
    Refused(ManifestError),
    /// It is not valid WebAssembly, or uses what is switched off here.
    #[error("the component is not valid: {0}")]
    Invalid(String),
    /// It would take more time or memory to compile than a component may.
    #[error("the component cannot be compiled: {0}")]
    Costly(String),
    /// It has the right names and the wrong types.
    #[error("the component does not fit the contract: {0}")]
    Mismatch(String),
}

/// A component that can be run.
pub(crate) struct Loaded {
    pub(crate) info: PluginInfo,
    /// Made when it is first used, if it was not when it was attached.
    code: OnceLock<Result<Code, AttachError>>,
    /// What it is made of then.
    component: &'static [u8],
}

/// Its code, linked as far as it can be before there is an instance.
pub(crate) enum Code {
    Workflow(WorkflowPluginPre<Deciding>),
    Action(Parts),
}

/// What an action exports.
pub(crate) struct Parts {
    pub(crate) run: Option<ActionPluginPre<Acting>>,
    pub(crate) assess: Option<AssessPluginPre<Acting>>,
    pub(crate) gate: Option<GatePluginPre<Acting>>,
    pub(crate) undo: Option<UndoPluginPre<Acting>>,
}

impl Parts {
    /// All that it says it exports.
    fn of(linked: &InstancePre<Acting>, does: Does) -> wasmtime::Result<Parts> {
        let linked = || linked.clone();
        Ok(Parts {
            run: does.run.then(|| ActionPluginPre::new(linked())).transpose()?,
            assess: does.assess.then(|| AssessPluginPre::new(linked())).transpose()?,
            gate: does.gate.then(|| GatePluginPre::new(linked())).transpose()?,
            undo: does.undo.then(|| UndoPluginPre::new(linked())).transpose()?,
        })
    }
}

/// What a component says about itself.
fn about(component: &[u8]) -> Result<PluginInfo, AttachError> {
    if component.len() > limits::COMPONENT_BYTES {
        return Err(AttachError::TooLarge { bytes: component.len() });
    }
    let manifest = manifest::inspect(component).map_err(AttachError::Refused)?;
    Ok(PluginInfo {
        name: manifest.name,
        version: manifest.version,
        kind: manifest.kind,
        contract: manifest.contract,
        digest: Digest::from(cache::sha256(component)),
        asks: manifest.asks,
        does: manifest.does,
    })
}

/// The attached plug-ins. Clones share them.
#[derive(Clone)]
pub struct Plugins {
    shared: Arc<Shared>,
}

struct Shared {
    engine: Engine,
    workflows: Linker<Deciding>,
    actions: Linker<Acting>,
    cache: Option<Cache>,
    loaded: RwLock<Registry>,
    pace: OnceLock<Pace>,
    meter: OnceLock<Arc<dyn Meter>>,
    compiler: OnceLock<Arc<dyn Compiler>>,
    /// Sessions whose last decision took more than [`limits::BRIEF_FUEL`] or [`limits::BRIEF_TIME`].
    slow: Mutex<BTreeSet<SessionId>>,
}

#[derive(Default)]
struct Registry {
    by_digest: BTreeMap<Digest, Arc<Loaded>>,
    /// The one attached last under a name.
    by_name: BTreeMap<String, Digest>,
}

impl Plugins {
    /// Sets the sandbox up. With a `cache` folder, what was compiled once is not compiled again.
    ///
    /// # Errors
    /// The machine cannot run it, or the folder cannot be made.
    pub fn new(cache: Option<&Path>) -> Result<Self, SetUpError> {
        let unsupported = |error: wasmtime::Error| SetUpError::Unsupported(format!("{error:#}"));
        let engine = engine::engine().map_err(unsupported)?;
        let cache = cache
            .map(|path| {
                Cache::new(path, &engine)
                    .map_err(|source| SetUpError::Cache { path: path.to_owned(), source })
            })
            .transpose()?;
        let (mut workflows, mut actions) = (Linker::new(&engine), Linker::new(&engine));
        bindings::workflow::WorkflowPlugin::add_to_linker::<_, HasSelf<_>>(&mut workflows, |host| host)
            .map_err(unsupported)?;
        bindings::action::ActionPlugin::add_to_linker::<_, HasSelf<_>>(&mut actions, |host| host)
            .map_err(unsupported)?;
        let (loaded, pace) = (RwLock::default(), OnceLock::new());
        let (meter, compiler) = (OnceLock::new(), OnceLock::new());
        let slow = Mutex::default();
        let shared = Shared { engine, workflows, actions, cache, loaded, pace, meter, compiler, slow };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Has what calls use told to that meter from now on. The first one that is named counts.
    pub fn meter_with(&self, meter: Arc<dyn Meter>) {
        let _one_is_enough = self.shared.meter.set(meter);
    }

    /// Has components compiled elsewhere from now on. The first one that is named counts.
    pub fn compile_with(&self, compiler: Arc<dyn Compiler>) {
        let _one_is_enough = self.shared.compiler.set(compiler);
    }

    /// A call of a plug-in ended.
    pub(crate) fn spent(&self, plugin: &PluginInfo, spent: Spent) {
        if let Some(meter) = self.shared.meter.get() {
            meter.spent(plugin, spent);
        }
    }

    /// Holds components to [`limits::CALLS_PER_SECOND`] from now on, by this machine's clock. Not by itself: virtual time knows no
    /// seconds.
    pub fn hold_pace(&self) {
        self.shared.pace.get_or_init(Pace::default);
    }

    /// True if a component may call out now.
    pub(crate) fn may_call(&self, plugin: &Digest) -> bool {
        self.shared.pace.get().is_none_or(|pace| pace.take(plugin, Instant::now()))
    }

    /// Takes a component in. Compiling a large one takes seconds: keep it off the path of requests.
    ///
    /// On return the plug-in can run, under its digest, until the process ends. One that was attached under the same name
    /// stays for the sessions that are pinned to it. Attaching the same bytes again changes nothing.
    ///
    /// # Errors
    /// The component is refused, with the reason.
    pub fn attach(&self, component: &[u8]) -> Result<PluginInfo, AttachError> {
        let info = about(component)?;
        let code = self.link(&info, component)?;
        Ok(self.enter(Loaded { info, code: OnceLock::from(Ok(code)), component: &[] }))
    }

    /// The same for a component that is part of this program, and so known to fit: an action is compiled when it is first used. Most
    /// servers use few of those that they come with. A workflow is compiled at once: nobody waits for a first decision.
    ///
    /// # Errors
    /// As of [`Plugins::attach`].
    pub fn attach_own(&self, component: &'static [u8]) -> Result<PluginInfo, AttachError> {
        let info = about(component)?;
        match info.kind {
            Kind::Workflow => self.attach(component),
            Kind::Action => Ok(self.enter(Loaded { info, code: OnceLock::new(), component })),
        }
    }

    fn enter(&self, new: Loaded) -> PluginInfo {
        let info = new.info.clone();
        let mut loaded = self.shared.loaded.write().unwrap_or_else(PoisonError::into_inner);
        loaded.by_name.insert(info.name.clone(), info.digest.clone());
        loaded.by_digest.insert(info.digest.clone(), Arc::new(new));
        info
    }

    /// The code of a plug-in.
    ///
    /// # Errors
    /// It could not be made; it is not tried again.
    pub(crate) fn code<'a>(&self, loaded: &'a Loaded) -> Result<&'a Code, String> {
        let code = loaded.code.get_or_init(|| self.link(&loaded.info, loaded.component));
        code.as_ref().map_err(ToString::to_string)
    }

    /// True if the workflow of a session is known to take long over its decisions.
    pub(crate) fn is_slow(&self, session: &SessionId) -> bool {
        self.shared.slow.lock().unwrap_or_else(PoisonError::into_inner).contains(session)
    }

    /// Notes whether it took long.
    pub(crate) fn note_slow(&self, session: &SessionId, is_slow: bool) {
        let mut slow = self.shared.slow.lock().unwrap_or_else(PoisonError::into_inner);
        if !is_slow {
            slow.remove(session);
            return;
        }
        // Those of sessions that are over with them: which ones are slow is found again by one decision each.
        if slow.len() >= limits::MOST_SLOW {
            slow.clear();
        }
        slow.insert(session.clone());
    }

    fn link(&self, info: &PluginInfo, component: &[u8]) -> Result<Code, AttachError> {
        let Shared { engine, workflows, actions, cache, .. } = &*self.shared;
        let words = |error: wasmtime::Error| clean(&format!("{error:#}"), limits::REPORT_BYTES);
        let compiler = self.shared.compiler.get().map(|compiler| &**compiler);
        let component: Component =
            cache::compile(engine, cache.as_ref(), compiler, (&info.digest, component)).map_err(|error| {
                let why = clean(&error.to_string(), limits::REPORT_BYTES);
                match error {
                    CompileError::Invalid(_) => AttachError::Invalid(why),
                    CompileError::Costly(_) => AttachError::Costly(why),
                }
            })?;
        let mismatch = |error| AttachError::Mismatch(words(error));
        Ok(match info.kind {
            Kind::Workflow => {
                let linked = workflows.instantiate_pre(&component).map_err(mismatch)?;
                Code::Workflow(WorkflowPluginPre::new(linked).map_err(mismatch)?)
            }
            Kind::Action => {
                let linked = actions.instantiate_pre(&component).map_err(mismatch)?;
                Code::Action(Parts::of(&linked, info.does).map_err(mismatch)?)
            }
        })
    }

    /// The plug-in with that digest.
    pub fn info(&self, digest: &Digest) -> Option<PluginInfo> {
        self.loaded(digest).map(|loaded| loaded.info.clone())
    }

    /// The plug-in that was attached last under that name: the one that a new session gets.
    pub fn named(&self, name: &str) -> Option<PluginInfo> {
        let registry = self.shared.loaded.read().unwrap_or_else(PoisonError::into_inner);
        let digest = registry.by_name.get(name)?;
        registry.by_digest.get(digest).map(|loaded| loaded.info.clone())
    }

    /// All plug-ins that a new session can get, by name.
    pub fn list(&self) -> Vec<PluginInfo> {
        let registry = self.shared.loaded.read().unwrap_or_else(PoisonError::into_inner);
        let current = registry.by_name.values().filter_map(|digest| registry.by_digest.get(digest));
        current.map(|loaded| loaded.info.clone()).collect()
    }

    pub(crate) fn loaded(&self, digest: &Digest) -> Option<Arc<Loaded>> {
        let registry = self.shared.loaded.read().unwrap_or_else(PoisonError::into_inner);
        registry.by_digest.get(digest).cloned()
    }

    /// A store for one call. It is dropped with the call, however that ends: code that was interrupted is never entered
    /// again.
    pub(crate) fn store<T: 'static>(&self, host: T, fuel: u64) -> Result<Store<T>, String> {
        let mut store = Store::new(&self.shared.engine, host);
        store.set_fuel(fuel).map_err(|error| format!("no fuel can be given: {error}"))?;
        store.set_hostcall_fuel(limits::CROSSING_BYTES);
        Ok(store)
    }
}
