//! Plug-ins: list, look at, attach and detach them while the server runs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use fenix_core::grant::{self, Grant, Right};
use fenix_core::id::Digest;
use fenix_core::session::{Pin, Session};
use fenix_core::standing::PluginKind;
use fenix_core::state::State as Known;
use fenix_engine::command::Command;
use fenix_wasm::limits;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Api;
use super::access::By;
use super::body::{Ids, bytes, optional_object};
use super::error::ApiError;
use crate::plugins::Origin;
use crate::sandbox::{SandboxError, attached};
use crate::shell::writer::whole;
use crate::wire::packages::read_digest;

type Reply = Result<Json<Value>, ApiError>;

/// Most plug-ins that may be attached: a session names a few of them, and people choose by eye.
const MAX_ATTACHED: usize = 256;

/// Most rights of one component: a session's notes of them stay small.
const MAX_RIGHTS: usize = 32;

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

fn view(api: &Api, state: &Known, known: &Component) -> Value {
    let digest = &known.pin.digest;
    let info = api.attacher.info(digest);
    json!({
        "name": known.pin.name,
        "version": known.pin.version,
        "kind": match known.kind {
            PluginKind::Workflow => "workflow",
            PluginKind::Action => "action",
        },
        "digest": known.pin.digest.as_str(),
        "contract": info.map(|info| info.contract),
        "asks": api.attacher.asks(digest),
        "granted": api.attacher.granted(digest, state.grants.get(digest)),
        "origin": known.origin.map(Origin::word),
        "sessions": known.sessions,
    })
}

/// `GET /v1/plugins`
pub(super) async fn list(State(api): State<Arc<Api>>) -> Json<Value> {
    let state = api.desk.state();
    let all = all(&api, &state);
    let mut sorted: Vec<&Component> = all.values().collect();
    sorted.sort_by_key(|known| (&known.pin.name, &known.pin.digest));
    let views: Vec<Value> = sorted.into_iter().map(|known| view(&api, &state, known)).collect();
    Json(json!({ "plugins": views }))
}

/// `GET /v1/plugins/{name}`: by name or digest; several if sessions are pinned to older ones of the name.
pub(super) async fn show(State(api): State<Arc<Api>>, Ids(name): Ids<String>) -> Reply {
    let state = api.desk.state();
    let all = all(&api, &state);
    let meant = |known: &&Component| known.pin.name == name || known.pin.digest.as_str() == name;
    let found: Vec<Value> = all.values().filter(meant).map(|known| view(&api, &state, known)).collect();
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
    let state = api.desk.state();
    let all = all(&api, &state);
    all.get(&info.digest).map(|known| Json(view(&api, &state, known))).ok_or_else(|| unknown(&info.name))
}

/// `DELETE /v1/plugins/{name}`: new sessions do not get it any more. Refused while one has it.
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

/// `PUT /v1/plugins/{name}/grant`: lets a component use what it asks for, or as much of it as the body says. By digest also
/// one that a session will bring.
pub(super) async fn grant(
    State(api): State<Arc<Api>>,
    By(by): By,
    Ids(name): Ids<String>,
    body: Body,
) -> Reply {
    let rights = optional_object(body).await?.map(rights).transpose()?.flatten();
    let state = api.desk.state();
    let found = named(&api, &state, &name)?;
    let asks = found.as_ref().map(|pin| api.attacher.asks(&pin.digest));
    let rights = match (rights, &asks) {
        (Some(rights), Some(asks)) => match grant::missing(&rights, asks).first() {
            Some(right) => {
                let asked = if asks.is_empty() { "nothing".to_owned() } else { grant::words(asks) };
                let message = format!("{name} does not ask for {}", right.word());
                return Err(ApiError::invalid(message).hint(format!("it asks for {asked}")));
            }
            None => rights,
        },
        (Some(rights), None) => rights,
        (None, Some(asks)) => asks.clone(),
        (None, None) => {
            return Err(ApiError::invalid("nothing is known here of a component with that digest")
                .hint("name what it may use as `rights`"));
        }
    };
    let (name, digest) = found.map_or((String::new(), Digest::from(name)), |pin| (pin.name, pin.digest));
    let granted = Grant { digest, rights };
    let reply = json!({ "digest": granted.digest, "granted": granted.rights });
    api.desk.command(Some(by), Command::Grant { grant: granted, name }).await?;
    Ok(Json(reply))
}

/// `DELETE /v1/plugins/{name}/grant`: from its next call on.
pub(super) async fn revoke(State(api): State<Arc<Api>>, By(by): By, Ids(name): Ids<String>) -> Reply {
    let found = named(&api, &api.desk.state(), &name)?;
    let (name, digest) = found.map_or((String::new(), Digest::from(name)), |pin| (pin.name, pin.digest));
    api.desk.command(Some(by), Command::Revoke { digest, name }).await?;
    Ok(Json(json!({})))
}

/// The component that new sessions get under a name, or the one with that digest; `None` for a digest that is not known.
fn named(api: &Api, state: &Known, name: &str) -> Result<Option<Pin>, ApiError> {
    let all = all(api, state);
    if let Some(known) = all.get(&Digest::from(name)) {
        return Ok(Some(known.pin.clone()));
    }
    if let Some((_, pin)) = api.catalogue().all().find(|(_, pin)| pin.name == name) {
        return Ok(Some(pin.clone()));
    }
    match read_digest(name) {
        Ok(digest) if digest.as_str() == name => Ok(None),
        Ok(_) | Err(_) => Err(unknown(name)),
    }
}

/// What a body says may be used; `None` if it says nothing.
fn rights(body: Map<String, Value>) -> Result<Option<Vec<Right>>, ApiError> {
    let known = "rights are \"cloud\", \"packages\" and {\"http\": \"GET,POST https://hooks.example/v1/* with hook-token\"}";
    let mut rights = None;
    for (key, value) in body {
        let list = value.as_array().filter(|_| key == "rights");
        let list = list
            .ok_or_else(|| ApiError::invalid("`rights` must be a list, and is all there is").hint(known))?;
        if list.len() > MAX_RIGHTS {
            return Err(ApiError::invalid(format!("`rights` has more than {MAX_RIGHTS} entries")));
        }
        let read = |right: &Value| {
            let wrong = |why: serde_json::Error| {
                ApiError::invalid(format!("`rights` holds {right}: {why}")).hint(known)
            };
            Right::deserialize(right).map_err(wrong)
        };
        let read: BTreeSet<Right> = list.iter().map(read).collect::<Result<_, _>>()?;
        rights = Some(read.into_iter().collect());
    }
    Ok(rights)
}
