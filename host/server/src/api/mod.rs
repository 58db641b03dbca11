//! The HTTP API, version 1: the calls of the earlier Fenix as its clients use them, and new ones beside them.
//!
//! Every successful call is answered with 200, every path is taken with and without a slash behind, every failure
//! is JSON that names the thing. Reads look at the last state that is on disk; only commands go to the writer.

use std::sync::Arc;

use axum::Router;
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, get, put};
use fenix_core::policy::Terms;
use fenix_engine::ports::Clock;
use tokio::sync::watch as watch_channel;

use crate::plugins::Catalogue;
use crate::receivers::Receivers;
use crate::shell::desk::Desk;
use crate::wire::payload::Base;

pub mod body;
pub mod error;
mod guard;
mod health;
mod history;
mod maintenance;
mod project;
mod subscription;
mod views;
mod watch;

use error::ApiError;
pub use history::History;

/// Everything that a call needs.
pub struct Api {
    /// Where commands go and states come from.
    pub desk: Desk,
    /// The address under which managers reach this Fenix.
    pub base: Base,
    /// The plug-ins that a session may name.
    pub catalogue: Catalogue,
    /// The terms of a session that says nothing about them.
    pub defaults: Terms,
    /// Where messages may be sent.
    pub receivers: Receivers,
    /// Where whole histories are read.
    pub history: History,
    /// Turns true when the server is to stop: whoever waits for news is then answered.
    pub stop: watch_channel::Receiver<bool>,
    /// Tells how long a blocker stands.
    pub clock: Arc<dyn Clock + Send + Sync>,
}

/// The routes.
pub fn router(api: Arc<Api>) -> Router {
    let routes: [(&str, MethodRouter<Arc<Api>>); 12] = [
        ("/v1/maintenance", get(maintenance::list).post(maintenance::start)),
        (
            "/v1/maintenance/{session}",
            get(maintenance::show).put(maintenance::change).delete(maintenance::delete),
        ),
        ("/v1/maintenance/{session}/detail", get(maintenance::detail)),
        ("/v1/maintenance/{session}/decisions", get(history::decisions)),
        ("/v1/maintenance/{session}/blockers", get(maintenance::blockers)),
        ("/v1/maintenance/{session}/events", get(watch::events)),
        ("/v1/maintenance/{session}/{project}", get(project::instances).put(project::reply)),
        ("/v1/maintenance/{session}/{project}/{instance}", put(project::reply_for_instance)),
        ("/v1/subscription", get(subscription::list)),
        ("/v1/subscription/{id}", put(subscription::put).get(subscription::get).delete(subscription::delete)),
        ("/healthz", get(health::alive)),
        ("/readyz", get(health::ready)),
    ];
    let mut router = Router::new();
    for (path, methods) in routes {
        router = router.route(&format!("{path}/"), methods.clone()).route(path, methods);
    }
    router
        .fallback(not_there)
        .method_not_allowed_fallback(not_so)
        .layer(from_fn_with_state(api.clone(), guard::check))
        .with_state(api)
}

async fn not_there(uri: Uri) -> ApiError {
    let path: String = uri.path().chars().take(128).collect();
    ApiError::not_found(format!("there is nothing at {path}")).hint("the API begins at /v1/maintenance")
}

async fn not_so(method: Method, uri: Uri) -> ApiError {
    let path: String = uri.path().chars().take(128).collect();
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, format!("{path} takes no {method}"))
}
