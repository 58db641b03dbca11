//! The administrator's calls: start, look at, let go on, hold and delete sessions.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use fenix_core::blocker;
use fenix_core::caller::Caller;
use fenix_core::id::SessionId;
use fenix_core::preflight;
use fenix_core::session::Session;
use fenix_engine::command::Command;
use serde_json::{Map, Value, json};

use super::access::By;
use super::body::{Ids, object, optional_object};
use super::detail::Detail;
use super::error::ApiError;
use super::{Api, views};
use crate::wire::session::Wanted;

type Reply = Result<Json<Value>, ApiError>;

/// The session of that id in the last state.
pub(super) fn find(api: &Api, id: &str) -> Result<Arc<Session>, ApiError> {
    let session = api.desk.state().sessions.get(&SessionId::from(id)).cloned();
    session.ok_or_else(|| no_session(id))
}

/// There is no session of that id.
pub(super) fn no_session(id: &str) -> ApiError {
    let shown: String = id.chars().take(64).collect();
    ApiError::not_found(format!("no session {shown}")).hint("`fenix session list` shows those that there are")
}

/// `POST /v1/maintenance`
pub(super) async fn start(State(api): State<Arc<Api>>, By(by): By, body: Body) -> Reply {
    let body = object(body).await?;
    begin(&api, by, &body).await
}

/// Starts a session.
pub(super) async fn begin(api: &Api, by: Caller, body: &Map<String, Value>) -> Reply {
    let wanted = api.read(body)?;
    if let Some(alarms) = &api.alarms {
        alarms.look().await;
    }
    let id = SessionId::from(uuid::Uuid::new_v4().to_string());
    let Wanted { plan, hosts, packages, mut warnings } = wanted;
    // Whoever names hosts and it among them is refused instead.
    let kept = api.own_host.as_ref().filter(|_| hosts.is_empty() && !plan.terms.own_host);
    if let Some(own) = kept.filter(|own| api.desk.state().inventory.host(own).is_some()) {
        warnings.push(format!(
            "without {own}, on which Fenix itself runs: `own_host = true` in the terms (`--term own_host=true`) has it maintained as the last one"
        ));
    }
    let command = Command::Open { id: id.clone(), plan: Box::new(plan), hosts, packages };
    api.desk.command(Some(by), command).await?;
    let mut reply = json!({ "session_id": id.as_str() });
    if !warnings.is_empty() {
        reply["warnings"] = json!(warnings);
    }
    let unmet = unmet(&api.desk.state(), &id);
    if !unmet.is_empty() {
        reply["unmet"] = Value::Array(unmet);
    }
    Ok(Json(reply))
}

/// `GET /v1/maintenance/{session}/constraints`
pub(super) async fn constraints(State(api): State<Arc<Api>>, Ids(id): Ids<String>) -> Reply {
    let session = find(&api, &id)?;
    Ok(Json(json!({ "session_id": id, "unmet": unmet(&api.desk.state(), &session.id) })))
}

/// The constraints that a session cannot meet as things stand.
fn unmet(state: &fenix_core::state::State, session: &SessionId) -> Vec<Value> {
    let found = state.session(session).map(|session| preflight::unmet(state, session));
    found.unwrap_or_default().iter().map(views::unmet).collect()
}

/// `GET /v1/maintenance`: under both names that the list ever had.
pub(super) async fn list(State(api): State<Arc<Api>>) -> Json<Value> {
    let state = api.desk.state();
    let ids: Vec<&str> = state.sessions.keys().map(SessionId::as_str).collect();
    let summaries: Vec<Value> = state.sessions.values().map(|session| views::summary(session)).collect();
    Json(json!({ "sessions": ids, "session_id": ids, "summaries": summaries }))
}

/// `GET /v1/maintenance/{session}`
pub(super) async fn show(State(api): State<Arc<Api>>, Ids(id): Ids<String>) -> Reply {
    Ok(Json(views::summary(&*find(&api, &id)?)))
}

/// `GET /v1/maintenance/{session}/detail`
pub(super) async fn detail(State(api): State<Arc<Api>>, Ids(id): Ids<String>) -> Result<Response, ApiError> {
    let state = api.desk.state();
    let session = state.session(&SessionId::from(&id)).ok_or_else(|| no_session(&id))?;
    Ok(Json(Detail { inventory: &state.inventory, session, under_way: &api.packages.under_way })
        .into_response())
}

/// `GET /v1/maintenance/{session}/blockers`
pub(super) async fn blockers(State(api): State<Arc<Api>>, Ids(id): Ids<String>) -> Reply {
    let session = find(&api, &id)?;
    let now = api.clock.now();
    let blockers = blocker::blockers(&api.desk.state(), &session.id, now);
    let blockers: Vec<Value> = blockers.iter().map(|blocker| views::blocker(blocker, now)).collect();
    Ok(Json(json!({ "session_id": session.id.as_str(), "blockers": blockers })))
}

/// `PUT /v1/maintenance/{session}`: let it go on, or with `"condition": "paused"` hold it.
pub(super) async fn change(
    State(api): State<Arc<Api>>,
    By(by): By,
    Ids(id): Ids<String>,
    body: Body,
) -> Reply {
    let body = optional_object(body).await?.unwrap_or_default();
    let session = SessionId::from(&id);
    let command = match wanted_condition(&body)? {
        Go::Running => Command::Continue { session: session.clone() },
        Go::Paused => Command::Pause { session: session.clone() },
    };
    api.desk.command(Some(by), command).await?;
    Ok(Json(json!({ "session_id": id, "maintenance": api.base.session(&session) })))
}

enum Go {
    Running,
    Paused,
}

fn wanted_condition(body: &Map<String, Value>) -> Result<Go, ApiError> {
    if !matches!(body.get("state"), None | Some(Value::Null | Value::String(_))) {
        return Err(ApiError::invalid("`state` must be a text"));
    }
    match body.get("condition") {
        None | Some(Value::Null) => Ok(Go::Running),
        Some(Value::String(word)) if word == "running" => Ok(Go::Running),
        Some(Value::String(word)) if word == "paused" => Ok(Go::Paused),
        Some(_) => Err(ApiError::invalid("`condition` must be \"running\" or \"paused\"")),
    }
}

/// `DELETE /v1/maintenance/{session}`: answers at once; the session is listed as closing until it is safe.
pub(super) async fn delete(State(api): State<Arc<Api>>, By(by): By, Ids(id): Ids<String>) -> Reply {
    api.desk.command(Some(by), Command::Delete { session: SessionId::from(id) }).await?;
    Ok(Json(json!({})))
}
