//! Plug-ins: list, look at, attach and detach them while the server runs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use fenix_core::id::Digest;
use fenix_core::session::{Pin, Session};
use fenix_core::standing::PluginKind;
use fenix_core::state::State as Known;
use fenix_engine::command::Command;
use fenix_wasm::limits;
use serde_json::{Value, json};

use super::Api;
use super::access::By;
use super::body::{Ids, bytes};
use super::error::ApiError;
use crate::plugins::Origin;
use crate::sandbox::{SandboxError, attached};
use crate::shell::writer::whole;

type Reply = Result<Json<Value>, ApiError>;

/// Most plug-ins that may be attached: a session names a few of them, and people choose by eye.
const MAX_ATTACHED: usize = 256;

/// How long a component may take to arrive: at most 32 MiB, over a slow line.
const ARRIVES_WITHIN: Duration = Duration::from_secs(60);

/// Components that are taken at a time: each is up to 32 MiB of memory, and compiling one takes a whole processor.
pub(super) const MAX_ATTACHING: usize = 2;

/// What is known of one component.
struct Component {
    kind: PluginKind,
    pin: Pin,
    /// `None` if new sessions do not get it any more.
    origin: Option<Origin>,
    sessions: Vec<String>,
}

/// Every component that new sessions can get, or that sessions are pinned to, by digest.
fn all(api: &Api, state: &Known) -> BTreeMap<Digest, Component> {
    let mut all: BTreeMap<Digest, Component> = BTreeMap::new();
    for (kind, pin) in api.catalogue().all() {
        let is_attached = state.plugins.get(&pin.name).is_some_and(|attached| attached.pin == *pin);
        let origin = if is_attached { Origin::Attached } else { api.catalogue.origin(&pin.digest) };
        let known = Component { kind, pin: pin.clone(), origin: Some(origin), sessions: Vec::new() };
        all.insert(pin.digest.clone(), known);
    }
    for session in state.sessions.values() {
        for (kind, pin) in pins(session) {
            let known = all.entry(pin.digest.clone()).or_insert_with(|| Component {
                kind,
                pin: pin.clone(),
                origin: None,
                sessions: Vec::new(),
            });
            let id = session.id.to_string();
            if known.sessions.last() != Some(&id) {
                known.sessions.push(id);
            }
        }
    }
    all
}

fn pins(session: &Session) -> impl Iterator<Item = (PluginKind, &Pin)> {
    let actions = session.plan.actions.iter().map(|spec| (PluginKind::Action, &spec.plugin));
    std::iter::once((PluginKind::Workflow, &session.plan.workflow)).chain(actions)
}

fn view(api: &Api, known: &Component) -> Value {
    let info = api.attacher.info(&known.pin.digest);
    json!({
        "name": known.pin.name,
        "version": known.pin.version,
        "kind": match known.kind {
            PluginKind::Workflow => "workflow",
            PluginKind::Action => "action",
        },
        "digest": known.pin.digest.as_str(),
        "contract": info.map(|info| info.contract),
        "origin": known.origin.map(Origin::word),
        "sessions": known.sessions,
    })
}

/// `GET /v1/plugins`
pub(super) async fn list(State(api): State<Arc<Api>>) -> Json<Value> {
    let all = all(&api, &api.desk.state());
    Json(json!({ "plugins": all.values().map(|known| view(&api, known)).collect::<Vec<_>>() }))
}

/// `GET /v1/plugins/{name}`: by name or digest; several if sessions are pinned to older ones of the name.
pub(super) async fn show(State(api): State<Arc<Api>>, Ids(name): Ids<String>) -> Reply {
    let all = all(&api, &api.desk.state());
    let meant = |known: &&Component| known.pin.name == name || known.pin.digest.as_str() == name;
    let found: Vec<Value> = all.values().filter(meant).map(|known| view(&api, known)).collect();
    if found.is_empty() {
        return Err(unknown(&name));
    }
    Ok(Json(json!({ "plugins": found })))
}

fn unknown(name: &str) -> ApiError {
    let shown: String = name.chars().take(64).collect();
    ApiError::not_found(format!("no plug-in {shown}")).hint("GET /v1/plugins lists those that there are")
}

/// `POST /v1/plugins`: the body is the component.
pub(super) async fn attach(State(api): State<Arc<Api>>, By(by): By, body: Body) -> Reply {
    let _place = api.attaching.clone().acquire_owned().await;
    let component = bytes(body, limits::COMPONENT_BYTES, ARRIVES_WITHIN).await?;
    let attacher = api.attacher.clone();
    let failed = |why: String| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, why);
    let attaching = tokio::task::spawn_blocking(move || attacher.attach(&component));
    let info = attaching.await.map_err(|fault| failed(fault.to_string()))?.map_err(|error| match &error {
        SandboxError::Refused { source, .. } => ApiError::invalid(source.to_string())
            .hint("the body must be a component as fenix-plugin-build makes it"),
        SandboxError::SetUp(_) | SandboxError::Io { .. } | SandboxError::TooMany { .. } => {
            failed(whole(&error))
        }
    })?;
    let plugin = attached(&info);
    let state = api.desk.state();
    if state.plugins.len() >= MAX_ATTACHED && !state.plugins.contains_key(&plugin.pin.name) {
        let message = format!("{MAX_ATTACHED} plug-ins are attached, which is the most");
        return Err(ApiError::invalid(message).hint("detach one first"));
    }
    api.desk.command(Some(by), Command::AttachPlugin { plugin }).await?;
    let all = all(&api, &api.desk.state());
    all.get(&info.digest).map(|known| Json(view(&api, known))).ok_or_else(|| unknown(&info.name))
}

/// `DELETE /v1/plugins/{name}`: new sessions do not get it any more; those that have it go on with it.
pub(super) async fn detach(State(api): State<Arc<Api>>, By(by): By, Ids(name): Ids<String>) -> Reply {
    let attached = api.desk.state().plugins.contains_key(&name);
    if !attached && api.catalogue.all().any(|(_, pin)| pin.name == name) {
        let message = format!("plug-in {name} was not attached while the server ran");
        let hint = "it comes with Fenix, or lies in the server's `plugin_dir`: take it out there";
        return Err(ApiError::new(StatusCode::CONFLICT, message).hint(hint));
    }
    api.desk.command(Some(by), Command::DetachPlugin { name }).await?;
    Ok(Json(json!({})))
}
