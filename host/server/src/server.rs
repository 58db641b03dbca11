//! The server put together: journal, engine, plug-ins, cloud, HTTP.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fenix_cloud::Cloud;
use fenix_core::id::HostId;
use fenix_core::state::State;
use fenix_engine::ports::{Clock, Journal};
use fenix_engine::{Engine, RecoveryError, Settings};
use fenix_packages::fetch::Fetcher;
use fenix_remote::Remote;
use fenix_store::{OpenError, Opened, Reserve};
use fenix_wasm::Plugins;
use rustls::ServerConfig;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::alarms::Alarms;
use crate::api::{Api, History, router};
use crate::auth::{Door, Keystone, KeystoneSettings, Rate, TokensError};
use crate::bus::{Bus, BusError};
use crate::calls::{CallSettings, Caller};
use crate::compiling::Workers;
use crate::config::Config;
use crate::infrastructure::{Connected, InfrastructureError};
use crate::listen::{self, ListenError};
use crate::log;
use crate::metrics::{Metrics, journal, ports};
use crate::packages::porter::{self, PorterError};
use crate::packages::{PackageSettings, Shelf};
use crate::receivers::Receivers;
use crate::sandbox::{Actions, Attacher, Lends, Sandbox, SandboxError};
use crate::shell::clock::WallClock;
use crate::shell::courier::Courier;
use crate::shell::desk::Desk;
use crate::shell::feed::Feed;
use crate::shell::hands::{ActionPort, Hands};
use crate::shell::store::Store;
use crate::shell::writer::{Parts, Writer, damage, whole};
use crate::tls::{self, TlsError, Trust};
use crate::traces::{self, Sending, TraceError};
use crate::wire::payload::{Base, BaseError};

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be listened on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The address that managers are told makes no sense.
    #[error(transparent)]
    Base(#[from] BaseError),
    /// The data directory cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The journal cannot be folded.
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
    /// The plug-ins cannot be set up.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// The HTTP client for messages cannot be made.
    #[error("messages cannot be sent")]
    Courier(#[from] reqwest::Error),
    /// The file of tokens cannot be used.
    #[error(transparent)]
    Tokens(#[from] TokensError),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The infrastructure cannot be reached.
    #[error(transparent)]
    Infrastructure(#[from] InfrastructureError),
    /// What sessions bring cannot be fetched or kept.
    #[error(transparent)]
    Packages(#[from] PorterError),
    /// The message bus cannot be used.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// Traces cannot be sent.
    #[error(transparent)]
    Traces(#[from] TraceError),
    /// The system refused a thread or a socket.
    #[error("the system refused")]
    System(#[from] std::io::Error),
}

/// A running server.
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    /// Knows who calls.
    pub door: Arc<Door>,
    tls: Option<(tls::Files, watch::Sender<Arc<ServerConfig>>)>,
    stop: watch::Sender<bool>,
    writer: Writer,
    traces: Sending,
    http: JoinHandle<()>,
}

impl Server {
    /// Starts a server: on return it listens, and goes on with every session of its journal.
    ///
    /// # Errors
    /// See [`StartError`]; nothing runs then.
    pub async fn start(config: Config) -> Result<Server, StartError> {
        let infrastructure = config.infrastructure.connect()?;
        let door = Arc::new(door(&infrastructure, config.keystone, config.tokens, config.rate)?);
        let (tls, shown) = config.tls.map(certificate).transpose()?.unzip();
        let listener = listen::bind_anywhere(config.listen).await?;
        let address = listener.local_addr()?;
        let base = Base::new(&config.public_url.unwrap_or_else(|| url(address, tls.is_some())))?;
        let bus = Bus::new(&config.bus)?;
        let has_bus = bus.is_some();
        let courier = courier(&base, &config.receivers, &config.deliver_trust)?.with_bus(bus);
        let (store, opened) = Store::open(&config.data_dir)?;
        let (engine, reserve) = recovered(opened, config.own_host.clone())?;
        let clock: Arc<dyn Clock + Send + Sync> = Arc::new(WallClock::after(engine.state().at));
        let metrics = Metrics::new();
        let sandbox = sandbox((&config.data_dir, config.plugin_dir.as_deref()), engine.state(), &metrics)?;
        let plugins = sandbox.plugins.clone();
        let cloud: Arc<dyn Cloud> = Arc::new(ports::Counted::new(infrastructure.cloud, &plugins, &metrics));
        let fetcher = fetcher(&config.data_dir, &config.packages, engine.state())?;
        let packages = Shelf::open(&config.data_dir, &fetcher)?;
        let (signer, caller) = (packages.signer(&base, &clock), caller(config.calls)?);
        let remote = Remote::new(config.remote.way(&config.data_dir));
        let lends = Lends { cloud: cloud.clone(), signer, caller, remote };
        let actions = actions(sandbox.attacher.clone(), lends, &plugins, &metrics);
        let history = History::new(store.readers());
        let journal: Box<dyn Journal + Send> =
            Box::new(journal::Counted::new(store.writer(), metrics.clone(), engine.state()));
        let (journal, traces) = traces::start(config.traces.as_deref(), journal, engine.state(), &metrics)?;
        let porter = porter::porter(fetcher, &sandbox.attacher, &sandbox.catalogue, &packages.under_way);
        let hands = move |desk: Desk| {
            let porter = Arc::new(porter(&desk));
            Hands::new(Handle::current(), desk.clone(), cloud, actions(desk), porter, courier)
        };
        let parts = Parts {
            journal,
            store: Box::new(store),
            reserve,
            engine,
            workflows: Arc::new(ports::Counted::new(plugins.clone(), &plugins, &metrics)),
            clock: clock.clone(),
        };
        let (writer, desk) = Writer::start(parts, hands, Handle::current())?;
        log::follow(&desk);
        let (stop, stopped) = watch::channel(false);
        let with_alarms = infrastructure.openstack.filter(|_| has_bus);
        let alarms = with_alarms.map(|openstack| Alarms::begin(openstack, &desk, &stopped));
        let [readers, attaching, backups] = Api::places();
        let api = Api {
            metrics,
            feed: Feed::follow(&desk),
            desk,
            base,
            catalogue: sandbox.catalogue,
            attacher: sandbox.attacher,
            defaults: config.terms,
            own_host: config.own_host,
            packages,
            door: door.clone(),
            receivers: config.receivers,
            has_bus,
            alarms,
            history,
            stop: stopped.clone(),
            clock,
            readers,
            attaching,
            backups,
        };
        let http = tokio::spawn(listen::serve(listener, router(Arc::new(api)), shown, stopped));
        Ok(Server { address, door, tls, stop, writer, traces, http })
    }

    /// The address as a URL.
    pub fn url(&self) -> String {
        url(self.address, self.tls.is_some())
    }

    /// Reads the tokens and the certificate again. What cannot be used is told, and what was before stays in force;
    /// connections that are open stay as they are.
    pub fn reload(&self) {
        match self.door.reload() {
            Ok(_) if self.door.is_open() => {}
            Ok(count) => tracing::info!(count, "tokens read again"),
            Err(error) => tracing::error!(why = whole(&error), "the tokens from before stay in force"),
        }
        let Some((files, sender)) = &self.tls else { return };
        match tls::server(files) {
            Ok(config) => {
                sender.send_replace(config);
                tracing::info!("certificate read again");
            }
            Err(error) => tracing::error!(why = whole(&error), "the certificate from before stays in force"),
        }
    }

    /// Stops the server: no further request is taken, those under way are answered, and the journal is closed.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        if let Err(fault) = self.http.await {
            tracing::error!(%fault, "serving ended with a fault");
        }
        self.writer.stop().await;
        self.traces.end().await;
    }
}

/// An address as a URL.
fn url(address: SocketAddr, has_tls: bool) -> String {
    let scheme = if has_tls { "https" } else { "http" };
    format!("{scheme}://{address}")
}

/// The engine as it was when the journal ended, and what its disk holds back.
fn recovered(opened: Opened, own_host: Option<HostId>) -> Result<(Engine, Reserve), RecoveryError> {
    let damaged = damage(&opened);
    let now = WallClock::default().now();
    let settings = Settings { own_host, ..Settings::default() };
    let engine = Engine::recover(settings, &opened.records, opened.last_seq, damaged, now)?;
    tracing::info!(records = engine.state().seq, sessions = engine.state().sessions.len(), "recovered");
    Ok((engine, opened.reserve))
}

/// The plug-ins of a data directory and perhaps a folder. What they use is told to those figures.
fn sandbox(
    places: (&Path, Option<&Path>),
    state: &State,
    metrics: &Arc<Metrics>,
) -> Result<Sandbox, SandboxError> {
    let sandbox = Sandbox::open(places, Some(Arc::new(Workers)), state)?;
    sandbox.plugins.meter_with(metrics.clone());
    Ok(sandbox)
}

/// What runs actions, once there is a desk that keeps their values.
fn actions(
    attacher: Attacher,
    lends: Lends,
    plugins: &Plugins,
    metrics: &Arc<Metrics>,
) -> impl FnOnce(Desk) -> Arc<dyn ActionPort> + use<> {
    let (plugins, metrics) = (plugins.clone(), metrics.clone());
    move |desk| {
        let actions = Actions::new(attacher, lends, desk, Handle::current());
        Arc::new(ports::Counted::new(actions, &plugins, &metrics))
    }
}

/// What carries messages to receivers that are no bus.
fn courier(base: &Base, receivers: &Receivers, trust: &Trust) -> Result<Courier, StartError> {
    Ok(Courier::new(base.clone(), receivers.clone(), believed(trust)?)?)
}

/// What makes the calls of actions.
fn caller(settings: CallSettings) -> Result<Caller, StartError> {
    Ok(Caller::new(porter::client(believed(&settings.trust())?)?, settings.secrets))
}

/// What fetches packages.
fn fetcher(data_dir: &Path, settings: &PackageSettings, state: &State) -> Result<Fetcher, StartError> {
    Ok(porter::fetcher(data_dir, settings, believed(&settings.trust())?, state)?)
}

/// Whoever may call: with a token of the file, or of Keystone's where that is the cloud's.
fn door(
    infrastructure: &Connected,
    settings: KeystoneSettings,
    tokens: Option<PathBuf>,
    rate: Rate,
) -> Result<Door, TokensError> {
    let openstack = infrastructure.openstack.clone().filter(|_| !settings.is_off());
    Door::new(tokens, openstack.map(|openstack| Keystone::new(openstack, settings)), rate)
}

/// The certificate that the server shows, and where it is changed.
type Certificate = ((tls::Files, watch::Sender<Arc<ServerConfig>>), watch::Receiver<Arc<ServerConfig>>);

fn certificate(files: tls::Files) -> Result<Certificate, TlsError> {
    let (sender, shown) = watch::channel(tls::server(&files)?);
    Ok(((files, sender), shown))
}

/// Whom messages and packages with https believe. A machine that knows no authorities, as a container may, serves all others.
pub(crate) fn believed(trust: &Trust) -> Result<rustls::ClientConfig, TlsError> {
    match (trust, tls::client(trust)) {
        (Trust::System, Err(error)) => {
            let why = whole(&error);
            tracing::warn!(%why, "nobody with https will be believed; name the authorities as `deliver_ca` and `packages.ca`");
            tls::client(&Trust::Nobody)
        }
        (_, made) => made,
    }
}
