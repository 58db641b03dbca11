//! The server put together: journal, engine, plug-ins, cloud, HTTP.

use std::net::SocketAddr;
use std::sync::Arc;

use fenix_cloud::Cloud;
use fenix_engine::ports::{Clock, Journal};
use fenix_engine::{Engine, RecoveryError, Settings};
use fenix_store::OpenError;
use rustls::ServerConfig;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::alarms::Alarms;
use crate::api::{Api, History, router};
use crate::auth::{Door, Keystone, TokensError};
use crate::bus::{Bus, BusError};
use crate::config::Config;
use crate::infrastructure::InfrastructureError;
use crate::listen::{self, ListenError};
use crate::log;
use crate::metrics::{Metrics, journal, ports};
use crate::sandbox::{Actions, Sandbox, SandboxError};
use crate::shell::clock::WallClock;
use crate::shell::courier::Courier;
use crate::shell::feed::Feed;
use crate::shell::hands::Hands;
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

fn scheme(tls: bool) -> &'static str {
    if tls { "https" } else { "http" }
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
        let with_keystone = infrastructure.openstack.clone().filter(|_| !config.keystone.is_off());
        let keystone = with_keystone.map(|openstack| Keystone::new(openstack, config.keystone));
        let door = Arc::new(Door::new(config.tokens, keystone, config.rate)?);
        let (tls, shown) = config.tls.map(certificate).transpose()?.unzip();
        let listener = listen::bind_anywhere(config.listen).await?;
        let address = listener.local_addr()?;
        let scheme = scheme(tls.is_some());
        let base = Base::new(&config.public_url.unwrap_or(format!("{scheme}://{address}")))?;
        let bus = Bus::new(&config.bus)?;
        let has_bus = bus.is_some();
        let believed = believed(&config.deliver_trust)?;
        let courier = Courier::new(base.clone(), config.receivers.clone(), believed)?.with_bus(bus);
        let (store, opened) = Store::open(&config.data_dir)?;
        let damaged = damage(&opened);
        let now = WallClock::default().now();
        let engine = Engine::recover(Settings::default(), &opened.records, opened.last_seq, damaged, now)?;
        drop(opened.records);
        let clock: Arc<dyn Clock + Send + Sync> = Arc::new(WallClock::after(engine.state().at));
        tracing::info!(records = engine.state().seq, sessions = engine.state().sessions.len(), "recovered");
        let sandbox = Sandbox::open(&config.data_dir, config.plugin_dir.as_deref(), engine.state())?;
        let plugins = sandbox.plugins;
        let metrics = Metrics::new();
        let cloud: Arc<dyn Cloud> = Arc::new(ports::Counted::new(infrastructure.cloud, &plugins, &metrics));
        let runtime = Handle::current();
        let actions = Actions::new(&plugins, cloud.clone(), runtime.clone());
        let actions = Arc::new(ports::Counted::new(actions, &plugins, &metrics));
        let history = History::new(store.readers());
        let journal: Box<dyn Journal + Send> =
            Box::new(journal::Counted::new(store.writer(), metrics.clone(), engine.state()));
        let (journal, traces) = traces::start(config.traces.as_deref(), journal, engine.state(), &metrics)?;
        let parts = Parts {
            journal,
            store: Box::new(store),
            reserve: opened.reserve,
            engine,
            workflows: Arc::new(ports::Counted::new(plugins.clone(), &plugins, &metrics)),
            clock: clock.clone(),
        };
        let hands_runtime = runtime.clone();
        let hands = move |desk| Hands::new(hands_runtime, desk, cloud, actions, courier);
        let (writer, desk) = Writer::start(parts, hands, runtime)?;
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
        format!("{}://{}", scheme(self.tls.is_some()), self.address)
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

/// The certificate that the server shows, and where it is changed.
type Certificate = ((tls::Files, watch::Sender<Arc<ServerConfig>>), watch::Receiver<Arc<ServerConfig>>);

fn certificate(files: tls::Files) -> Result<Certificate, TlsError> {
    let (sender, shown) = watch::channel(tls::server(&files)?);
    Ok(((files, sender), shown))
}

/// Whom messages with https believe. A machine that knows no authorities, as a container may, serves all other receivers.
fn believed(trust: &Trust) -> Result<rustls::ClientConfig, TlsError> {
    match (trust, tls::client(trust)) {
        (Trust::System, Err(error)) => {
            let why = whole(&error);
            tracing::warn!(%why, "no receiver with https will be believed; name its authority as `deliver_ca`");
            tls::client(&Trust::Nobody)
        }
        (_, made) => made,
    }
}
