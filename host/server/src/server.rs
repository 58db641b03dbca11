//! The server put together: journal, engine, plug-ins, cloud, HTTP.

use std::net::SocketAddr;
use std::sync::Arc;

use fenix_cloud::Cloud;
use fenix_cloud::sim::{Patience, SimClient};
use fenix_engine::ports::Clock;
use fenix_engine::{Engine, RecoveryError, Settings};
use fenix_store::{OpenError, SledJournal};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::api::{Api, History, router};
use crate::config::Config;
use crate::listen::{self, ListenError};
use crate::sandbox::{Actions, Sandbox, SandboxError};
use crate::shell::clock::WallClock;
use crate::shell::courier::Courier;
use crate::shell::feed::Feed;
use crate::shell::hands::Hands;
use crate::shell::writer::{Parts, Writer};
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
    /// The system refused a thread or a socket.
    #[error("the system refused")]
    System(#[from] std::io::Error),
}

/// A running server.
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    stop: watch::Sender<bool>,
    writer: Writer,
    http: JoinHandle<()>,
}

impl Server {
    /// Starts a server: on return it listens, and goes on with every session of its journal.
    ///
    /// # Errors
    /// See [`StartError`]; nothing runs then.
    pub async fn start(config: Config) -> Result<Server, StartError> {
        let listener = listen::bind(config.listen).await?;
        let address = listener.local_addr()?;
        let base = Base::new(&config.public_url.unwrap_or(format!("http://{address}")))?;
        let courier = Courier::new(base.clone(), config.receivers.clone())?;
        let clock: Arc<dyn Clock + Send + Sync> = Arc::new(WallClock::default());
        let (journal, opened) = SledJournal::open(&config.data_dir)?;
        let damaged = opened.damage.into_iter().map(|hurt| (hurt.session, hurt.why)).collect();
        let engine =
            Engine::recover(Settings::default(), opened.records, opened.last_seq, damaged, clock.now())?;
        tracing::info!(records = engine.state().seq, sessions = engine.state().sessions.len(), "recovered");
        let sandbox = Sandbox::open(&config.data_dir, config.plugin_dir.as_deref(), engine.state())?;
        let cloud: Arc<dyn Cloud> = Arc::new(SimClient::new(config.cloud, Patience::default()));
        let runtime = Handle::current();
        let actions = Arc::new(Actions::new(&sandbox.plugins, cloud.clone(), runtime.clone()));
        let history = History::new(journal.reader());
        let parts = Parts {
            engine,
            journal: Box::new(journal),
            workflows: Arc::new(sandbox.plugins),
            clock: clock.clone(),
        };
        let hands_runtime = runtime.clone();
        let hands = move |desk| Hands::new(hands_runtime, desk, cloud, actions, courier);
        let (writer, desk) = Writer::start(parts, hands, runtime)?;
        let (stop, stopped) = watch::channel(false);
        let (readers, attaching) = Api::places();
        let api = Api {
            feed: Feed::follow(&desk),
            desk,
            base,
            catalogue: sandbox.catalogue,
            attacher: sandbox.attacher,
            defaults: config.terms,
            receivers: config.receivers,
            history,
            stop: stopped.clone(),
            clock,
            readers,
            attaching,
        };
        let http = tokio::spawn(listen::serve(listener, router(Arc::new(api)), stopped));
        Ok(Server { address, stop, writer, http })
    }

    /// Stops the server: no further request is taken, those under way are answered, and the journal is closed.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        if let Err(fault) = self.http.await {
            tracing::error!(%fault, "serving ended with a fault");
        }
        self.writer.stop().await;
    }
}
