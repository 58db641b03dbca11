//! A server without sockets: everything that `fenix serve` puts together but for the listener, over a simulated cloud
//! in the same process.
//!
//! Nothing leaves it: messages may be ordered, and the courier delivers to nobody.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fenix_cloud::sim::{Spec, World};
use fenix_cloud::{Answering, Cloud};
use fenix_core::policy::Terms;
use fenix_engine::ports::{Clock, CloudCall};
use fenix_engine::{Engine, Settings};
use fenix_remote::{Remote, Way};
use fenix_server::api::{Api, History, router};
use fenix_server::auth::Door;
use fenix_server::calls::Caller;
use fenix_server::metrics::Metrics;
use fenix_server::packages::{PackageSettings, Shelf, porter};
use fenix_server::receivers::Receivers;
use fenix_server::sandbox::{Actions, Lends, Sandbox};
use fenix_server::shell::clock::WallClock;
use fenix_server::shell::courier::Courier;
use fenix_server::shell::desk::{Desk, Health};
use fenix_server::shell::feed::Feed;
use fenix_server::shell::hands::Hands;
use fenix_server::shell::store::Store;
use fenix_server::shell::writer::{Parts, Writer};
use fenix_server::tls::{self, Trust};
use fenix_server::wire::payload::Base;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::service::Service;
use hyper::{Method, Request, StatusCode, header};
use hyper_util::service::TowerToHyperService;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use super::Call;
use super::described::Description;
use crate::targets::scratch;

/// How long one call may take: a waiting one is answered at once here, since the server is told that it is to stop.
const WITHIN: Duration = Duration::from_secs(30);

/// Sessions above which all are deleted: a server takes 128.
const MANY: usize = 20;

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) media: String,
    /// Empty if it is a stream that never ends.
    pub(super) body: Bytes,
}

impl Answer {
    /// The body for people.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).chars().take(1000).collect()
    }
}

type Answers = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// The server.
pub(super) struct Rig {
    runtime: Runtime,
    service: Box<dyn Fn(Request<Full<Bytes>>) -> Answers + Send>,
    description: Description,
    desk: Desk,
    writer: Writer,
    _scratch: TempDir,
}

/// A cloud in this process.
struct Near {
    world: Mutex<World>,
    clock: Arc<WallClock>,
}

impl Cloud for Near {
    fn call<'a>(&'a self, call: &'a CloudCall) -> Answering<'a> {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = world.call(self.clock.now(), call);
        // Nobody reads the trace, and it grows with each call.
        drop(world.take_trace());
        Box::pin(async move { answer })
    }
}

impl Rig {
    /// Starts it, and waits until it has read the cloud.
    pub(super) fn start() -> Rig {
        let runtime = Runtime::new().expect("a runtime");
        let scratch = scratch();
        let (api, writer) = runtime.block_on(async { put_together(&scratch) });
        let desk = api.desk.clone();
        runtime.block_on(desk.until_health(|health| *health == Health::Ready));
        let service = TowerToHyperService::new(router(Arc::new(api)));
        let service = Box::new(move |request: Request<Full<Bytes>>| -> Answers {
            let answer = service.call(request);
            Box::pin(async move {
                let response = answer.await.unwrap_or_else(|never| match never {});
                let (head, body) = response.into_parts();
                let media = head.headers.get(header::CONTENT_TYPE).and_then(|media| media.to_str().ok());
                let media = media.unwrap_or_default().to_owned();
                let body = match media.as_str() {
                    "text/event-stream" => Bytes::new(),
                    _ => body.collect().await.expect("the body comes to its end").to_bytes(),
                };
                Answer { status: head.status, media, body }
            })
        });
        let description = Description::read(b"{\"paths\":{}}");
        let mut rig = Rig { runtime, service, description, desk, writer, _scratch: scratch };
        let described = rig.answer(&Call::to(Method::GET, "/openapi.json".parse().expect("a path")));
        rig.description = Description::read(&described.expect("a good call").body);
        rig
    }

    /// What the API says about itself.
    pub(super) fn description(&self) -> &Description {
        &self.description
    }

    /// Makes a call; `None` if no client could.
    pub(super) fn answer(&self, call: &Call) -> Option<Answer> {
        let answer = (self.service)(call.request()?);
        let within = self.runtime.block_on(async { tokio::time::timeout(WITHIN, answer).await });
        Some(within.unwrap_or_else(|_| panic!("{call:?} is not answered")))
    }

    /// The id of a session, if there is one.
    pub(super) fn session(&self) -> String {
        self.desk.state().sessions.keys().next_back().map_or("none".to_owned(), ToString::to_string)
    }

    /// Deletes sessions if there are many.
    pub(super) fn make_room(&self) {
        let state = self.desk.state();
        if state.sessions.len() > MANY {
            for id in state.sessions.keys() {
                let path = format!("/v1/maintenance/{id}").parse().expect("a path");
                self.answer(&Call::to(Method::DELETE, path));
            }
        }
    }

    /// Panics unless the server still does its work.
    pub(super) fn lives(&self) {
        assert_eq!(self.desk.health(), Health::Ready);
    }

    /// Stops it: everything is on disk.
    pub(super) fn stop(self) {
        self.runtime.block_on(self.writer.stop());
    }
}

/// Everything but the listener. Must be called within the runtime.
fn put_together(scratch: &TempDir) -> (Api, Writer) {
    let runtime = tokio::runtime::Handle::current();
    let clock = Arc::new(WallClock::default());
    let (store, opened) = Store::open(scratch.path()).expect("an empty folder can be opened");
    let engine =
        Engine::recover(Settings::default(), &opened.records, opened.last_seq, Vec::new(), clock.now())
            .expect("an empty journal folds");
    let sandbox = Sandbox::open((scratch.path(), None), None, engine.state()).expect("the sandbox runs here");
    let history = History::new(store.readers());
    let world = World::new(&Spec::doctor(4), 1, clock.now()).expect("the specification holds");
    let cloud: Arc<dyn Cloud> = Arc::new(Near { world: Mutex::new(world), clock: clock.clone() });
    let base = Base::new("http://127.0.0.1:12347").expect("a good address");
    let nobody = Receivers::default().strict(true);
    let trust = tls::client(&Trust::Nobody).expect("no certificates are needed");
    let courier = Courier::new(base.clone(), nobody, trust).expect("a client can be made");
    let trust = tls::client(&Trust::Nobody).expect("no certificates are needed");
    let fetcher = porter::fetcher(scratch.path(), &PackageSettings::default(), trust, engine.state())
        .expect("a folder can be made");
    let packages = Shelf::open(scratch.path(), &fetcher).expect("a key can be written");
    let wall: Arc<dyn Clock + Send + Sync> = clock.clone();
    let signer = packages.signer(&base, &wall);
    let nowhere = porter::client(tls::client(&Trust::Nobody).expect("no certificates are needed"));
    let caller = Caller::new(nowhere.expect("a client can be made"), BTreeMap::new());
    let remote = Remote::new(Way::Off);
    let lends = Lends { cloud: cloud.clone(), signer, caller, remote };
    let attacher = sandbox.attacher.clone();
    let porter = porter::porter(fetcher, &sandbox.attacher, &sandbox.catalogue, &packages.under_way);
    let parts = Parts {
        engine,
        journal: store.writer(),
        store: Box::new(store),
        reserve: opened.reserve,
        workflows: Arc::new(sandbox.plugins.clone()),
        clock: clock.clone(),
    };
    let of_hands = runtime.clone();
    let hands = move |desk: Desk| {
        let porter = Arc::new(porter(&desk));
        let actions = Arc::new(Actions::new(attacher, lends, desk.clone(), of_hands.clone()));
        Hands::new(of_hands, desk, cloud, actions, porter, courier)
    };
    let (writer, desk) = Writer::start(parts, hands, runtime).expect("a thread");
    let [readers, attaching, backups] = Api::places();
    let api = Api {
        has_bus: false,
        alarms: None,
        feed: Feed::follow(&desk),
        desk,
        base,
        catalogue: sandbox.catalogue,
        attacher: sandbox.attacher,
        metrics: Metrics::new(),
        defaults: Terms::default(),
        own_host: None,
        packages,
        door: Arc::new(Door::open()),
        receivers: Receivers::default(),
        history,
        // Whoever waits for news is answered with what there is.
        stop: watch::channel(true).1,
        clock,
        readers,
        attaching,
        backups,
    };
    (api, writer)
}
