//! The plug-ins: those that come with Fenix, those of the configured folder, and those that sessions are pinned to.
//!
//! Every component that is attached is kept in the data directory under its digest, so that a session goes on with
//! the plug-ins that it began with after Fenix was upgraded or the folder changed. What nobody needs any more goes at
//! the next start.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fenix_cloud::Cloud;
use fenix_core::grant::{self, Right};
use fenix_core::id::{Digest, HostId, SessionId};
use fenix_core::remote::{RemoteCall, RemoteError, RemoteState};
use fenix_core::session::{Pin, Stage};
use fenix_core::standing::{Attached, PluginKind};
use fenix_core::state::State;
use fenix_engine::command::{Command, CommandError};
use fenix_engine::ports::{ActionError, Assignment, CloudCall, CloudError, CloudReply, Progress};
use fenix_remote::Remote;
use fenix_wasm::http::{HttpError, HttpRequest, HttpResponse};
use fenix_wasm::{
    ActionRunner, Capabilities, Compiler, Does, Kind, Level, PluginInfo, Plugins, ValueError, limits,
};
use tokio::runtime::Handle;

use crate::calls::Caller;
use crate::plugins::Catalogue;
use crate::shell::desk::{Desk, Refused};
use crate::shell::hands::ActionPort;

/// Most plug-ins in the configured folder.
const MAX_PLUGINS: usize = 256;

/// The folder in the data directory with the components that are attached, or that sessions are pinned to, by digest.
const KEPT: &str = "plugins";

/// The folder in the data directory with compiled components; it may be removed at any time.
const COMPILED: &str = "compiled";

/// Why the plug-ins cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The sandbox cannot be set up.
    #[error("the sandbox cannot be set up")]
    SetUp(#[from] fenix_wasm::SetUpError),
    /// A folder or file cannot be used.
    #[error("cannot use {path}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A plug-in is refused.
    #[error("plug-in {path} is refused")]
    Refused {
        /// Where it came from.
        path: PathBuf,
        /// Why.
        #[source]
        source: fenix_wasm::AttachError,
    },
    /// The folder has too many.
    #[error("{path} holds more than {MAX_PLUGINS} plug-ins")]
    TooMany {
        /// The folder.
        path: PathBuf,
    },
}

/// All plug-ins, ready to run.
pub struct Sandbox {
    /// Those that sessions may name.
    pub catalogue: Catalogue,
    /// All of them, by digest.
    pub plugins: Plugins,
    /// Takes further ones.
    pub attacher: Attacher,
}

/// Takes components while the server runs.
#[derive(Clone)]
pub struct Attacher {
    plugins: Plugins,
    kept: PathBuf,
    /// What comes with Fenix gets what it asks for, but for calls to others: whom it may call only an administrator knows.
    shipped: Arc<BTreeSet<Digest>>,
}

impl Attacher {
    /// Compiles a component and keeps it: on return a session can be pinned to it. Takes seconds for a large one.
    ///
    /// # Errors
    /// It is refused, or cannot be kept.
    pub fn attach(&self, component: &[u8]) -> Result<PluginInfo, SandboxError> {
        attach(&self.plugins, &self.kept, Path::new("that was sent"), component)
    }

    /// The files of all components that are kept, by their names in the data directory.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn files(&self) -> std::io::Result<KeptFiles> {
        files(&self.kept)
    }

    /// What is known of a component that can run.
    pub fn info(&self, digest: &Digest) -> Option<PluginInfo> {
        self.plugins.info(digest)
    }

    /// What a component asks for; nothing if it cannot run.
    pub fn asks(&self, digest: &Digest) -> Vec<Right> {
        self.info(digest).map(|info| info.asks).unwrap_or_default()
    }

    /// What a component may use, if administrators granted that.
    pub fn granted(&self, digest: &Digest, granted: Option<&Vec<Right>>) -> Vec<Right> {
        match granted {
            _ if self.shipped.contains(digest) => {
                let plain = self.asks(digest).into_iter().filter(|right| Right::PLAIN.contains(right));
                plain.chain(granted.into_iter().flatten().cloned()).collect()
            }
            Some(granted) => granted.clone(),
            None => Vec::new(),
        }
    }

    /// Why an action cannot do its work as things stand; `None` if it has all that it asks for.
    pub fn lacks(&self, state: &State, pin: &Pin, stage: Stage) -> Option<String> {
        if let Some(function) = self.info(&pin.digest).and_then(|info| missing_function(info.does, stage)) {
            let (name, stage) = (&pin.name, stage.wire());
            return Some(format!("{name} cannot stand under type {stage}: it has no function `{function}`"));
        }
        let granted = self.granted(&pin.digest, state.grants.get(&pin.digest));
        let missing = grant::missing(&self.asks(&pin.digest), &granted);
        (!missing.is_empty()).then(|| {
            let asked = grant::words(&missing);
            format!(
                "{} asks for {asked}, which nobody has granted to it; `fenix plugin grant` does",
                pin.name
            )
        })
    }
}

/// The function that an action needs for a type and does not have.
fn missing_function(does: Does, stage: Stage) -> Option<&'static str> {
    let (has, function) = match stage {
        Stage::Assess => (does.assess, "assess"),
        Stage::Gate => (does.gate, "gate"),
        Stage::Pre | Stage::Host | Stage::Compute | Stage::Controller | Stage::Post => (does.run, "run"),
    };
    (!has).then_some(function)
}

/// What a session of that plug-in writes down.
pub fn attached(info: &PluginInfo) -> Attached {
    let kind = match info.kind {
        Kind::Workflow => PluginKind::Workflow,
        Kind::Action => PluginKind::Action,
    };
    Attached { pin: info.pin(), kind }
}

impl Sandbox {
    /// Attaches everything, of a data directory and perhaps a folder. `state` tells which digests open sessions are pinned to; who
    /// compiles what was not compiled before is this process, if nobody is named.
    ///
    /// A pinned component that cannot be attached any more is left out with a warning: its sessions say so.
    ///
    /// # Errors
    /// The sandbox cannot be set up, or a plug-in of the configured folder is refused.
    pub fn open(
        (data_dir, folder): (&Path, Option<&Path>),
        compiler: Option<Arc<dyn Compiler>>,
        state: &State,
    ) -> Result<Sandbox, SandboxError> {
        let kept = data_dir.join(KEPT);
        std::fs::create_dir_all(&kept).map_err(io(&kept))?;
        let plugins = Plugins::new(Some(&data_dir.join(COMPILED)))?;
        plugins.hold_pace();
        if let Some(compiler) = compiler {
            plugins.compile_with(compiler);
        }
        let pinned = pinned(state);
        for digest in &pinned {
            attach_kept(&plugins, &kept, digest);
        }
        let mut named: Vec<PluginInfo> = Vec::new();
        for shipped in fenix_shipped::SHIPPED {
            let refused = |source| SandboxError::Refused { path: PathBuf::from(shipped.name), source };
            let info = plugins.attach_own(shipped.bytes).map_err(refused)?;
            keep(&kept, &info.digest, shipped.bytes)?;
            named.push(info);
        }
        let of_earlier = came_with_earlier(state).map(|pin| pin.digest.clone());
        let shipped = Arc::new(named.iter().map(|info| info.digest.clone()).chain(of_earlier).collect());
        let mut from_folder = Vec::new();
        for path in folder.map_or(Ok(Vec::new()), components)? {
            let bytes = std::fs::read(&path).map_err(io(&path))?;
            let info = attach(&plugins, &kept, &path, &bytes)?;
            from_folder.push(info.digest.clone());
            named.push(info);
        }
        let needed = pinned.iter().chain(named.iter().map(|info| &info.digest));
        forget_others(&kept, &needed.map(|digest| format!("{digest}.wasm")).collect());
        let of_kind = |kind: Kind| named.iter().filter(move |info| info.kind == kind).map(PluginInfo::pin);
        let catalogue =
            Catalogue::new(of_kind(Kind::Workflow), of_kind(Kind::Action)).from_folder(from_folder);
        let attacher = Attacher { plugins: plugins.clone(), kept, shipped };
        Ok(Sandbox { catalogue, plugins, attacher })
    }
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> SandboxError {
    let path = path.to_owned();
    move |source| SandboxError::Io { path, source }
}

/// Removes kept components that nobody needs; one that cannot be removed does no harm.
fn forget_others(kept: &Path, needed: &BTreeSet<String>) {
    let Ok(entries) = std::fs::read_dir(kept) else { return };
    for entry in entries.flatten() {
        if !needed.contains(&*entry.file_name().to_string_lossy())
            && let Err(error) = std::fs::remove_file(entry.path())
        {
            tracing::warn!(path = %entry.path().display(), %error, "a component cannot be removed");
        }
    }
}

/// The digests that open sessions need, and those that were attached while the server ran.
fn pinned(state: &State) -> BTreeSet<Digest> {
    let plans = state.sessions.values().map(|session| &session.plan);
    plans
        .flat_map(|plan| {
            std::iter::once(&plan.workflow).chain(plan.actions.iter().map(|action| &action.plugin))
        })
        .chain(state.plugins.values().map(|attached| &attached.pin))
        .filter(|pin| pin.is_pinned())
        .map(|pin| pin.digest.clone())
        .collect()
}

/// What open sessions are pinned to that came with an earlier Fenix: it has the name of one that comes with this one, and
/// neither was it attached nor did a session bring it. An upgrade takes nothing away from a session that is under way.
fn came_with_earlier(state: &State) -> impl Iterator<Item = &Pin> {
    let is_ours = |pin: &Pin| fenix_shipped::SHIPPED.iter().any(|shipped| shipped.name == pin.name);
    let brought = state.sessions.values().flat_map(|session| &session.packages.fetched);
    let foreign: BTreeSet<&Digest> = brought
        .flat_map(|package| &package.plugins)
        .chain(state.plugins.values())
        .map(|attached| &attached.pin.digest)
        .collect();
    let actions = state.sessions.values().flat_map(|session| &session.plan.actions).map(|spec| &spec.plugin);
    actions.filter(move |pin| is_ours(pin) && !foreign.contains(&pin.digest))
}

fn attach_kept(plugins: &Plugins, kept: &Path, digest: &Digest) {
    let path = kept.join(format!("{digest}.wasm"));
    let attached = std::fs::read(&path)
        .map_err(|error| error.to_string())
        .and_then(|bytes| plugins.attach(&bytes).map_err(|error| error.to_string()));
    match attached {
        Ok(info) if info.digest == *digest => {}
        Ok(_) => {
            tracing::warn!(path = %path.display(), "a kept plug-in has another digest than its name says")
        }
        Err(why) => tracing::warn!(%digest, %why, "a plug-in that sessions are pinned to cannot be attached"),
    }
}

/// Attaches a component, and keeps it under its digest before a session can be pinned to it.
fn attach(plugins: &Plugins, kept: &Path, from: &Path, bytes: &[u8]) -> Result<PluginInfo, SandboxError> {
    let info =
        plugins.attach(bytes).map_err(|source| SandboxError::Refused { path: from.to_owned(), source })?;
    keep(kept, &info.digest, bytes)?;
    Ok(info)
}

/// Keeps a component under its digest; on return it survives the loss of power.
fn keep(kept: &Path, digest: &Digest, bytes: &[u8]) -> Result<(), SandboxError> {
    let path = kept.join(format!("{digest}.wasm"));
    if std::fs::read(&path).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    let partial = path.with_extension("part");
    let write = || {
        use std::io::Write;
        let mut file = std::fs::File::create(&partial)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&partial, &path)?;
        std::fs::File::open(kept)?.sync_all()
    };
    write().map_err(io(&path))
}

/// A file, and what attaching it would say.
pub type Tried = (PathBuf, Result<PluginInfo, SandboxError>);

/// Files of components, read one by one.
pub type KeptFiles = Box<dyn Iterator<Item = std::io::Result<(String, Vec<u8>)>> + Send>;

/// The files of all components that a data directory keeps, by their names in it.
///
/// # Errors
/// The folder cannot be read.
pub fn kept_files(data_dir: &Path) -> std::io::Result<KeptFiles> {
    files(&data_dir.join(KEPT))
}

fn files(kept: &Path) -> std::io::Result<KeptFiles> {
    if !kept.exists() {
        return Ok(Box::new(std::iter::empty()));
    }
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(kept)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "wasm") {
            paths.push(path);
        }
    }
    paths.sort();
    let read = |path: PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok((format!("{KEPT}/{name}"), std::fs::read(&path)?))
    };
    Ok(Box::new(paths.into_iter().map(read)))
}

/// Compiles every component in a folder, and keeps none: what attaching them would say, by file.
///
/// # Errors
/// The sandbox cannot be set up, or the folder cannot be read.
pub fn try_folder(folder: &Path) -> Result<Vec<Tried>, SandboxError> {
    let plugins = Plugins::new(None)?;
    let attach = |path: PathBuf| {
        let info = std::fs::read(&path).map_err(io(&path)).and_then(|bytes| {
            plugins.attach(&bytes).map_err(|source| SandboxError::Refused { path: path.clone(), source })
        });
        (path, info)
    };
    Ok(components(folder)?.into_iter().map(attach).collect())
}

/// The components in a folder, by name.
fn components(folder: &Path) -> Result<Vec<PathBuf>, SandboxError> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io(folder))? {
        let path = entry.map_err(io(folder))?.path();
        if path.extension().is_some_and(|extension| extension == "wasm") {
            let size = std::fs::metadata(&path).map_err(io(&path))?.len();
            if size > limits::COMPONENT_BYTES as u64 {
                let source =
                    fenix_wasm::AttachError::TooLarge { bytes: usize::try_from(size).unwrap_or(usize::MAX) };
                return Err(SandboxError::Refused { path, source });
            }
            paths.push(path);
        }
        if paths.len() > MAX_PLUGINS {
            return Err(SandboxError::TooMany { path: folder.to_owned() });
        }
    }
    paths.sort();
    Ok(paths)
}

/// Actions with their capabilities.
pub struct Actions {
    runner: ActionRunner,
    attacher: Attacher,
    lends: Lends,
    desk: Desk,
    runtime: Handle,
}

/// What is lent to actions.
pub struct Lends {
    /// The infrastructure.
    pub cloud: Arc<dyn Cloud>,
    /// Signs addresses of packages.
    pub signer: Signer,
    /// Makes calls over HTTP.
    pub caller: Caller,
    /// Runs commands on hosts.
    pub remote: Remote,
}

/// Signs addresses of packages: as of now, for this server.
pub type Signer = Box<dyn Fn(&Digest, &HostId) -> String + Send + Sync>;

impl Actions {
    /// Actions of a sandbox. Their values are kept at that desk, and their calls wait on `runtime`.
    pub fn new(attacher: Attacher, lends: Lends, desk: Desk, runtime: Handle) -> Actions {
        Actions { runner: ActionRunner::new(&attacher.plugins), attacher, lends, desk, runtime }
    }
}

impl ActionPort for Actions {
    fn run(&self, assignment: &Assignment) -> Result<Progress, ActionError> {
        let mut lent = Lent { actions: self, assignment };
        let granted = self.attacher.granted(&assignment.plugin, Some(&assignment.granted));
        self.runner.run(&Assignment { granted, ..assignment.clone() }, &mut lent)
    }
}

/// What is lent to an action for one call.
struct Lent<'a> {
    actions: &'a Actions,
    assignment: &'a Assignment,
}

impl Capabilities for Lent<'_> {
    fn cloud(&mut self, call: CloudCall) -> Result<CloudReply, CloudError> {
        self.actions.runtime.block_on(self.actions.lends.cloud.call(&call))
    }

    fn address(&mut self, package: &Digest, host: &HostId) -> String {
        (self.actions.lends.signer)(package, host)
    }

    fn http(&mut self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        self.actions.runtime.block_on(self.actions.lends.caller.call(request))
    }

    fn remote(&mut self, host: &HostId, call: RemoteCall) -> Result<RemoteState, RemoteError> {
        if let RemoteCall::Start { id, argv, .. } = &call {
            let key = &self.assignment.key;
            tracing::info!(target: "fenix::action", key, %host, id, ?argv, "a command is to be run");
        }
        self.actions.runtime.block_on(self.actions.lends.remote.call(host, call))
    }

    fn value(&mut self, plugin: &str, key: &str) -> Option<String> {
        let state = self.actions.desk.state();
        let session = state.session(&SessionId::from(self.assignment.session.as_str()))?;
        session.values.get(plugin)?.get(key).cloned()
    }

    fn keep_value(&mut self, plugin: &str, key: &str, value: Option<String>) -> Result<(), ValueError> {
        let session = SessionId::from(self.assignment.session.as_str());
        let command = Command::KeepValue { session, plugin: plugin.to_owned(), key: key.to_owned(), value };
        match self.actions.runtime.block_on(self.actions.desk.command(None, command)) {
            Ok(_) => Ok(()),
            Err(Refused::Command(error @ (CommandError::NoValue { .. } | CommandError::NoSession(_)))) => {
                Err(ValueError::Invalid(error.to_string()))
            }
            Err(refused) => Err(ValueError::Unclear(refused.to_string())),
        }
    }

    fn log(&mut self, level: Level, line: &str) {
        let Assignment { session, key, .. } = self.assignment;
        match level {
            Level::Debug => tracing::debug!(target: "fenix::action", session, key, "{line}"),
            Level::Info => tracing::info!(target: "fenix::action", session, key, "{line}"),
            Level::Warn => tracing::warn!(target: "fenix::action", session, key, "{line}"),
            Level::Error => tracing::error!(target: "fenix::action", session, key, "{line}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use fenix_core::package::Package;
    use fenix_core::policy::Terms;
    use fenix_core::record::{Body, Record};
    use fenix_core::rules;
    use fenix_core::session::{ActionSpec, Plan, Stage};
    use fenix_core::time::Time;

    use super::*;

    fn pin(name: &str, digest: &str) -> Pin {
        Pin { name: name.into(), version: "1".into(), digest: digest.into(), undoes: false }
    }

    #[test]
    fn what_came_with_an_earlier_fenix_keeps_what_it_had() {
        let attached =
            |name: &str, digest: &str| Attached { pin: pin(name, digest), kind: PluginKind::Action };
        let actions = ["old", "attached", "brought"].map(|digest| pin("reboot", digest));
        let actions = actions.into_iter().chain([pin("vendors", "x")]);
        let spec = |plugin: Pin| ActionSpec { plugin, stage: Stage::Host, metadata: String::new() };
        let plan = Plan {
            maintenance_at: Time(0),
            window_end: None,
            metadata: "{}".into(),
            workflow: pin("default", "w"),
            actions: actions.map(spec).collect(),
            terms: Terms::default(),
            own_host: None,
        };
        let plugins = vec![attached("reboot", "brought")];
        let package = Package { name: "p".into(), digest: "d".into(), bytes: 1, plugins };
        let bodies = [
            (None, Body::PluginAttached { plugin: attached("reboot", "attached") }),
            (Some("s".into()), Body::Opened { plan, rules: rules::VERSION }),
            (Some("s".into()), Body::PackageFetched { package }),
        ];
        let mut state = State::default();
        for (seq, (session, body)) in (1..).zip(bodies) {
            state.apply(&Record { seq, at: Time(0), session, body }).unwrap();
        }
        let found: Vec<&str> = came_with_earlier(&state).map(|pin| pin.digest.as_str()).collect();
        assert_eq!(found, ["old"]);
    }
}
