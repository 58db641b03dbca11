//! The HTTP API, version 1: the calls of the earlier Fenix as its clients use them, and new ones beside them.
//!
//! Every successful call is answered with 200, every path is taken with and without a slash behind, every failure
//! is JSON that names the thing. Reads look at the last state that is on disk; only commands go to the writer.

use std::sync::Arc;

use axum::Router;
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::from_fn_with_state;
use fenix_core::id::HostId;
use fenix_core::policy::Terms;
use fenix_engine::ports::Clock;
use serde_json::{Map, Value};
use tokio::sync::{Semaphore, watch as watch_channel};

use crate::alarms::Alarms;
use crate::auth::Door;
use crate::metrics::Metrics;
use crate::packages::Shelf;
use crate::plugins::Catalogue;
use crate::receivers::Receivers;
use crate::sandbox::Attacher;
use crate::shell::desk::Desk;
use crate::shell::feed::Feed;
use crate::wire;
use crate::wire::payload::Base;
use crate::wire::session::{Invalid, Known, Wanted};

pub mod access;
mod audit;
mod backup;
pub mod body;
mod constraint;
mod detail;
pub mod error;
mod feed;
mod guard;
mod health;
mod history;
mod host;
mod maintenance;
mod metrics;
mod openapi;
mod package;
mod plugin;
mod project;
mod subscription;
mod table;
mod template;
mod views;
mod watch;

use error::ApiError;
pub use history::History;
use table::CALLS;

/// Everything that a call needs.
pub struct Api {
    /// Where commands go and states come from.
    pub desk: Desk,
    /// True if messages can go onto a bus.
    pub has_bus: bool,
    /// Finds projects by their alarms, where there are some.
    pub alarms: Option<Arc<Alarms>>,
    /// The address under which managers reach this Fenix.
    pub base: Base,
    /// The plug-ins that were there when the server started.
    pub catalogue: Catalogue,
    /// Takes further ones.
    pub attacher: Attacher,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What happens, for those who follow it.
    pub feed: Feed,
    /// The terms of a session that says nothing about them.
    pub defaults: Terms,
    /// The host that this Fenix runs on, if the infrastructure has one of that name.
    pub own_host: Option<HostId>,
    /// What sessions bring, or may.
    pub packages: Shelf,
    /// Knows who calls.
    pub door: Arc<Door>,
    /// Where messages may be sent.
    pub receivers: Receivers,
    /// Where whole histories are read.
    pub history: History,
    /// Turns true when the server is to stop: whoever waits for news is then answered.
    pub stop: watch_channel::Receiver<bool>,
    /// Tells how long a blocker stands.
    pub clock: Arc<dyn Clock + Send + Sync>,
    /// Places for those who follow the feed.
    pub readers: Arc<Semaphore>,
    /// Places for components on their way in.
    pub attaching: Arc<Semaphore>,
    /// Places for backups under way.
    pub backups: Arc<Semaphore>,
}

impl Api {
    /// Places for those who follow the feed, for components on their way in, and for backups, as many as there may be.
    pub fn places() -> [Arc<Semaphore>; 3] {
        [feed::MAX_READERS, plugin::MAX_ATTACHING, backup::MAX_BACKUPS]
            .map(|most| Arc::new(Semaphore::new(most)))
    }

    /// What a body means that starts a session.
    fn read(&self, body: &Map<String, Value>) -> Result<Wanted, Invalid> {
        let known =
            Known { catalogue: &self.catalogue(), defaults: &self.defaults, packages: &self.packages.policy };
        let wanted = wire::session::read(body, known)?;
        // What is brought has no digest yet: whether all of it was granted is seen when it is here.
        let state = self.desk.state();
        let mut pinned = wanted.plan.actions.iter().filter(|spec| spec.plugin.is_pinned());
        match pinned.find_map(|spec| self.attacher.lacks(&state, &spec.plugin, spec.stage)) {
            None => Ok(wanted),
            Some(why) => Err(Invalid::new(why)),
        }
    }

    /// The plug-ins that a new session may name.
    fn catalogue(&self) -> Catalogue {
        self.catalogue.with(&self.desk.state().plugins)
    }
}

/// The routes.
pub fn router(api: Arc<Api>) -> Router {
    let mut router = crate::page::routes();
    for call in &CALLS {
        let admit = from_fn_with_state((api.clone(), call.access), access::admit);
        let route = (call.route)().route_layer(admit);
        router = router.route(&format!("{}/", call.path), route.clone()).route(call.path, route);
    }
    router
        .fallback(not_there)
        .method_not_allowed_fallback(not_so)
        .layer(from_fn_with_state(api.clone(), guard::check))
        .layer(from_fn_with_state(api.clone(), metrics::measure))
        .with_state(api)
}

async fn not_there(uri: Uri) -> ApiError {
    let path: String = uri.path().chars().take(128).collect();
    ApiError::not_found(format!("there is nothing at {path}"))
        .hint("GET /openapi.json describes what there is")
}

async fn not_so(method: Method, uri: Uri) -> ApiError {
    let path: String = uri.path().chars().take(128).collect();
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, format!("{path} takes no {method}"))
}
