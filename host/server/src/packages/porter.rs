//! Has everything that a session brings here, and finds the plug-ins that it names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use fenix_core::id::SessionId;
use fenix_core::package::{Package, PackageSpec, Packages};
use fenix_core::session::{Condition, Pin};
use fenix_core::standing::{Attached, PluginKind};
use fenix_core::state::State;
use fenix_engine::event::Wanted;
use fenix_engine::ports::Brought;
use fenix_packages::archive::{self, Contents};
use fenix_packages::fetch::{Fetched, Fetcher, Progress};
use fenix_packages::store::Store;
use fenix_wasm::limits;
use rustls::ClientConfig;

use super::PackageSettings;
use crate::plugins::{Catalogue, Wish};
use crate::sandbox::{Attacher, attached};
use crate::shell::desk::Desk;
use crate::shell::hands::{Bringing, PackagePort};
use crate::shell::writer::whole;

/// The folder in the data directory with what sessions brought.
const KEPT: &str = "packages";

/// Why nothing can be brought.
#[derive(Debug, thiserror::Error)]
pub enum PorterError {
    /// What is written about it means nothing.
    #[error("{0}")]
    Policy(String),
    /// The settings mean nothing, or the folder cannot be used.
    #[error("cannot use {path}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The client cannot be made.
    #[error("packages cannot be fetched")]
    Client(#[from] reqwest::Error),
}

/// What fetches packages into the data directory. What no session of this state brings, and nobody put there to stay, is
/// removed from there.
///
/// # Errors
/// The folder cannot be used.
pub fn fetcher(
    data_dir: &Path,
    settings: &PackageSettings,
    tls: ClientConfig,
    state: &State,
) -> Result<Fetcher, PorterError> {
    let policy = settings.policy().map_err(PorterError::Policy)?;
    let path = data_dir.join(KEPT);
    let store = Store::open(&path).map_err(|source| PorterError::Io { path, source })?;
    let all = || state.sessions.values().map(|session| &session.packages);
    let needed = all().flat_map(Packages::contents).chain(state.kept.keys()).cloned().collect();
    store.keep_only(&needed, all().any(Packages::are_missing));
    tell_lost(&store, state);
    Ok(Fetcher::new(client(tls)?, policy, store))
}

/// Says which packages of sessions that go on are not here any more: no backup holds them.
fn tell_lost(store: &Store, state: &State) {
    for session in state.sessions.values().filter(|session| session.condition != Condition::Ended) {
        let lost = session.packages.fetched.iter().filter(|package| store.find(&package.digest).is_none());
        for Package { name, digest, .. } in lost {
            tracing::warn!(
                session = %session.id, %name, %digest,
                "a package that it brought is not here; `fenix package add FILE` puts it here again"
            );
        }
    }
}

/// A client of servers with packages.
///
/// # Errors
/// It cannot be made.
pub fn client(tls: ClientConfig) -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        // Where they lead is looked at before anything is asked there.
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("fenix/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// How far the packages are that are on their way, by session and name. It is told and not recorded: a server that starts
/// again looks at what is here.
#[derive(Clone, Debug, Default)]
pub struct UnderWay(Arc<Mutex<BTreeMap<SessionId, BTreeMap<String, Progress>>>>);

impl UnderWay {
    /// How far a package is, if it is on its way.
    pub fn of(&self, session: &SessionId, package: &str) -> Option<Progress> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(session)?.get(package).copied()
    }

    fn note(&self, session: &SessionId, package: &str, progress: Progress) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(session.clone()).or_default().insert(package.to_owned(), progress);
    }

    fn forget(&self, session: &SessionId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(session);
    }
}

/// Fetches packages, and attaches what is in them.
pub struct Porter {
    fetcher: Fetcher,
    attacher: Attacher,
    catalogue: Catalogue,
    desk: Desk,
    under_way: UnderWay,
}

/// What makes a porter once there is a desk: one that looks for plug-ins in `catalogue` and in what is attached, after the
/// session's own packages.
pub fn porter(
    fetcher: Fetcher,
    attacher: &Attacher,
    catalogue: &Catalogue,
    under_way: &UnderWay,
) -> impl FnOnce(&Desk) -> Porter + use<> {
    let (attacher, catalogue, under_way) = (attacher.clone(), catalogue.clone(), under_way.clone());
    |desk| Porter { fetcher, attacher, catalogue, desk: desk.clone(), under_way }
}

impl Porter {
    async fn bring_all(&self, wanted: &Wanted) -> Result<Brought, String> {
        let mut packages = Vec::new();
        for spec in &wanted.packages {
            let named = |why: String| format!("package {}: {why}", spec.name);
            let fetched = self.fetch(&wanted.session, spec).await.map_err(named)?;
            let plugins = self.attach(&fetched).await.map_err(named)?;
            let (name, Fetched { digest, bytes, .. }) = (spec.name.clone(), fetched);
            packages.push(Package { name, digest, bytes, plugins });
        }
        let own = own(&packages)?;
        let known = self.catalogue.with(&self.desk.state().plugins);
        let find = |kind: PluginKind, named: &Pin| {
            let name = named.name.as_str();
            let attached = match kind {
                PluginKind::Workflow => known.workflows(),
                PluginKind::Action => known.actions(),
            };
            let found = own.get(&(kind, name)).copied().or_else(|| attached.get(name));
            let found = found.ok_or_else(|| missing(kind, name, &packages))?;
            Wish::of(named).and_then(|wish| wish.check(found)).map(|()| found.clone())
        };
        let workflow = find(PluginKind::Workflow, &wanted.workflow)?;
        let actions = wanted.actions.iter().map(|(_, named)| find(PluginKind::Action, named));
        let actions = actions.collect::<Result<Vec<Pin>, String>>()?;
        let state = self.desk.state();
        let mut with_stages = wanted.actions.iter().map(|(stage, _)| *stage).zip(&actions);
        if let Some(why) = with_stages.find_map(|(stage, pin)| self.attacher.lacks(&state, pin, stage)) {
            return Err(why);
        }
        Ok(Brought { packages, workflow, actions })
    }

    /// Waits until a session is not there any more: what it brings, nobody wants.
    async fn gone(&self, session: &SessionId) {
        let mut changes = self.desk.changes();
        if changes.wait_for(|state| state.session(session).is_none()).await.is_err() {
            // The server ends, and everything that it does.
            std::future::pending().await
        }
    }

    async fn fetch(&self, session: &SessionId, spec: &PackageSpec) -> Result<Fetched, String> {
        let tell = |progress| self.under_way.note(session, &spec.name, progress);
        self.fetcher.fetch(spec, &tell).await.map_err(|error| whole(&error))
    }

    /// Attaches what is in a package. Unpacking and compiling hold a thread of their own.
    async fn attach(&self, fetched: &Fetched) -> Result<Vec<Attached>, String> {
        let (attacher, path) = (self.attacher.clone(), fetched.path.clone());
        let attach = move || {
            let contents = archive::look(&path, limits::COMPONENT_BYTES).map_err(|error| whole(&error))?;
            let Contents::Components(components) = contents else { return Ok(Vec::new()) };
            let attach = |component: &Vec<u8>| {
                attacher.attach(component).map(|info| attached(&info)).map_err(|error| whole(&error))
            };
            components.iter().map(attach).collect()
        };
        tokio::task::spawn_blocking(attach).await.map_err(|fault| format!("it broke the sandbox: {fault}"))?
    }
}

impl PackagePort for Porter {
    fn bring<'a>(&'a self, wanted: &'a Wanted) -> Bringing<'a> {
        Box::pin(async {
            let brought = tokio::select! {
                brought = self.bring_all(wanted) => brought,
                () = self.gone(&wanted.session) => Err("the session was removed".to_owned()),
            };
            self.under_way.forget(&wanted.session);
            brought
        })
    }
}

/// The plug-ins of the session's own packages.
fn own(packages: &[Package]) -> Result<BTreeMap<(PluginKind, &str), &Pin>, String> {
    let mut own = BTreeMap::new();
    for Attached { pin, kind } in packages.iter().flat_map(|package| &package.plugins) {
        let earlier = own.insert((*kind, pin.name.as_str()), pin);
        if earlier.is_some_and(|earlier: &Pin| earlier.digest != pin.digest) {
            return Err(format!("they hold two different {}s of the name {:?}", word(*kind), pin.name));
        }
    }
    Ok(own)
}

fn missing(kind: PluginKind, name: &str, packages: &[Package]) -> String {
    let hold = |package: &Package| {
        let names: Vec<&str> = package.plugins.iter().map(|plugin| plugin.pin.name.as_str()).collect();
        let names = if names.is_empty() { "no plug-in".to_owned() } else { names.join(", ") };
        format!("{} holds {names}", package.name)
    };
    let hold: Vec<String> = packages.iter().map(hold).collect();
    format!("there is no {} {name:?} in them, and none is attached: {}", word(kind), hold.join("; "))
}

fn word(kind: PluginKind) -> &'static str {
    match kind {
        PluginKind::Workflow => "workflow",
        PluginKind::Action => "action",
    }
}
