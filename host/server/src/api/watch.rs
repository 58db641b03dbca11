//! Waiting for news of one session: a long poll that answers as soon as there is a newer line.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::Ids;
use super::error::ApiError;
use super::maintenance::find;
use super::{Api, views};
use crate::stop::stopped;

/// Longest wait for news in seconds: shorter than what proxies and clients cut off.
const MAX_WAIT_SECS: u64 = 25;

/// Which news.
#[derive(Debug, Deserialize)]
pub(super) struct News {
    /// Lines after this sequence number.
    #[serde(default)]
    from: u64,
    /// How long to wait for one, in seconds.
    wait: Option<u64>,
}

/// `GET /v1/maintenance/{session}/events?from=&wait=`
pub(super) async fn events(
    State(api): State<Arc<Api>>,
    Ids(id): Ids<String>,
    news: Result<Query<News>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let Query(news) = news.map_err(|error| ApiError::new(StatusCode::BAD_REQUEST, error.body_text()))?;
    let wait = Duration::from_secs(news.wait.unwrap_or(MAX_WAIT_SECS).min(MAX_WAIT_SECS));
    let mut changes = api.desk.changes();
    let newer = changes.wait_for(|state| {
        let session = state.sessions.get(&id.as_str().into());
        session.is_none_or(|session| session.history.back().is_some_and(|line| line.seq > news.from))
    });
    let mut stop = api.stop.clone();
    // The end of the wait and the end of the server are both answered with what there is.
    tokio::select! {
        newer = newer => drop(newer),
        () = stopped(&mut stop) => {}
        () = tokio::time::sleep(wait) => {}
    }
    let session = find(&api, &id)?;
    let lines: Vec<Value> =
        session.history.iter().filter(|line| line.seq > news.from).map(|line| views::line(line)).collect();
    let next = session.history.back().map_or(news.from, |line| line.seq.max(news.from));
    let mut reply = views::summary(&session);
    reply["lines"] = json!(lines);
    reply["next"] = json!(next);
    Ok(Json(reply))
}
