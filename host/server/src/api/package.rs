//! Packages: what is here, what administrators put here to stay, and how hosts get it.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use fenix_core::id::Digest;
use fenix_core::package::KeptPackage;
use fenix_core::state::State as Known;
use fenix_engine::command::Command;
use fenix_packages::store::{AdmitError, Incoming};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower_http::services::ServeFile;
use tower_service::Service;

use super::Api;
use super::access::By;
use super::body::{Ids, object};
use super::error::ApiError;
use crate::packages::address::{Refusal, Signed};
use crate::shell::writer::whole;
use crate::wire::packages::read_digest;
use crate::wire::time::iso;

type Reply = Result<Json<Value>, ApiError>;

/// Most packages that are put here to stay: each may be as large as the installation takes.
const MAX_KEPT: usize = 256;

/// Longest name of a host in bytes, as the infrastructure gives them.
const MAX_HOST: usize = 255;

/// The digest in a path.
fn digest(text: &str) -> Result<Digest, ApiError> {
    read_digest(text).map_err(|_| {
        ApiError::invalid("the path names no package").hint("its SHA-256 is expected: 64 digits from 0 to f")
    })
}

/// Each package that is here, with the sessions that bring it.
fn all(api: &Api, state: &Known) -> BTreeMap<Digest, Vec<String>> {
    let mut all: BTreeMap<Digest, Vec<String>> =
        state.kept.keys().map(|digest| (digest.clone(), Vec::new())).collect();
    for session in state.sessions.values() {
        for digest in session.packages.contents() {
            let sessions = all.entry(digest.clone()).or_default();
            let id = session.id.to_string();
            if sessions.last() != Some(&id) {
                sessions.push(id);
            }
        }
    }
    all.retain(|digest, _| api.packages.store.find(digest).is_some());
    all
}

fn view(api: &Api, state: &Known, digest: &Digest, sessions: &[String]) -> Value {
    let bytes = api.packages.store.find(digest).map(|(_, bytes)| bytes);
    json!({ "sha256": digest, "bytes": bytes, "kept": state.kept.contains_key(digest), "sessions": sessions })
}

/// `GET /v1/packages`
pub(super) async fn list(State(api): State<Arc<Api>>) -> Json<Value> {
    let state = api.desk.state();
    let rows = all(&api, &state);
    let rows: Vec<Value> = rows.iter().map(|(digest, by)| view(&api, &state, digest, by)).collect();
    Json(json!({ "packages": rows }))
}

/// `PUT /v1/packages/{digest}`: the body is the package. It stays until it is removed, whoever brings it.
pub(super) async fn put(
    State(api): State<Arc<Api>>,
    By(by): By,
    Ids(name): Ids<String>,
    body: Body,
) -> Reply {
    let digest = digest(&name)?;
    let kept = api.desk.state().kept.clone();
    if kept.len() >= MAX_KEPT && !kept.contains_key(&digest) {
        let message = format!("{MAX_KEPT} packages are kept, which is the most");
        return Err(ApiError::invalid(message).hint("remove one first"));
    }
    let incoming = api.packages.store.incoming(&uuid::Uuid::new_v4().to_string()).await;
    let incoming = incoming.map_err(|error| unkept(error.into()))?;
    let bytes = receive(&api, incoming, body).await?.admit(&digest).await.map_err(unkept)?;
    let package = KeptPackage { digest: digest.clone(), bytes };
    api.desk.command(Some(by), Command::KeepPackage { package }).await?;
    let state = api.desk.state();
    let sessions = all(&api, &state).remove(&digest).unwrap_or_default();
    Ok(Json(view(&api, &state, &digest, &sessions)))
}

fn unkept(error: AdmitError) -> ApiError {
    match error {
        AdmitError::WrongDigest { .. } => ApiError::invalid(error.to_string()),
        AdmitError::Io(_) => ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, whole(&error)),
    }
}

/// Takes a whole body in, piece by piece.
async fn receive(api: &Api, mut incoming: Incoming, mut body: Body) -> Result<Incoming, ApiError> {
    let (most, patience) = (api.packages.policy.most_bytes, &api.packages.policy.patience);
    let take = async {
        loop {
            let silent = || {
                let secs = patience.silence.as_secs();
                ApiError::new(StatusCode::REQUEST_TIMEOUT, format!("nothing came for {secs} s"))
            };
            let frame = tokio::time::timeout(patience.silence, body.frame()).await.map_err(|_| silent())?;
            let Some(frame) = frame else { return Ok(()) };
            let broken = |error: axum::Error| {
                ApiError::new(StatusCode::BAD_REQUEST, format!("the body could not be read: {error}"))
            };
            let Ok(piece) = frame.map_err(broken)?.into_data() else { continue };
            if incoming.bytes() + piece.len() as u64 > most {
                let message = format!("the package is larger than {most} bytes, the most that is taken");
                return Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, message)
                    .hint("the server's `packages.most_mb` says how much that is"));
            }
            incoming.write(&piece).await.map_err(|error| unkept(error.into()))?;
        }
    };
    let slow = || {
        let secs = patience.whole.as_secs();
        ApiError::new(StatusCode::REQUEST_TIMEOUT, format!("the package did not arrive within {secs} s"))
    };
    tokio::time::timeout(patience.whole, take).await.map_err(|_| slow())??;
    Ok(incoming)
}

/// `DELETE /v1/packages/{digest}`: one that no session brings.
pub(super) async fn delete(State(api): State<Arc<Api>>, By(by): By, Ids(name): Ids<String>) -> Reply {
    let digest = digest(&name)?;
    api.desk.command(Some(by), Command::DropPackage { digest: digest.clone() }).await?;
    let state = api.desk.state();
    let is_needed = state.sessions.values().any(|session| session.packages.bring(&digest));
    if !is_needed && !state.kept.contains_key(&digest) {
        let removed = api.packages.store.remove(&digest);
        removed.map_err(|error| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, whole(&error)))?;
    }
    Ok(Json(json!({})))
}

/// `POST /v1/packages/{digest}/address`: an address for a host, that is good for a while and needs no token.
pub(super) async fn address(State(api): State<Arc<Api>>, Ids(name): Ids<String>, body: Body) -> Reply {
    let digest = digest(&name)?;
    let body = object(body).await?;
    let host = body.get("host").and_then(Value::as_str).filter(|host| (1..=MAX_HOST).contains(&host.len()));
    let host = host.ok_or_else(|| {
        ApiError::invalid("`host` must name who is to fetch the package")
            .hint("it stands in the server's log with each download")
    })?;
    if let Some(other) = body.keys().find(|key| *key != "host") {
        return Err(ApiError::invalid(format!("unknown field `{other}`")).hint("`host` is all there is"));
    }
    if api.packages.store.find(&digest).is_none() {
        return Err(not_here(&digest));
    }
    let (url, until) = api.packages.addresses.sign(&api.base, &digest, host, api.clock.now());
    Ok(Json(json!({ "url": url, "until": iso(until) })))
}

fn not_here(digest: &Digest) -> ApiError {
    ApiError::not_found(format!("no package {digest} is here"))
        .hint("GET /v1/packages lists those that there are")
}

/// `GET /v1/packages/{digest}/content?until=&host=&signature=`: also a part of it, for a download that broke off.
pub(super) async fn content(
    State(api): State<Arc<Api>>,
    Ids(name): Ids<String>,
    signed: Result<Query<Signed>, QueryRejection>,
    request: Request,
) -> Result<Response, ApiError> {
    let digest = digest(&name)?;
    let refused = |refusal: Refusal| {
        ApiError::new(StatusCode::FORBIDDEN, refusal.to_string())
            .hint("an action asks for one with each call; administrators with `fenix package address`")
    };
    let Query(signed) = signed.map_err(|_| refused(Refusal::Forged))?;
    api.packages.addresses.check(&digest, &signed, api.clock.now()).map_err(refused)?;
    let (path, bytes) = api.packages.store.find(&digest).ok_or_else(|| not_here(&digest))?;
    tracing::info!(%digest, bytes, host = signed.host, "a package is fetched");
    let Ok(served) = ServeFile::new(path).call(request).await;
    Ok(served.into_response())
}
