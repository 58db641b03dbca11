//! The managers' calls about what they want respected (contract 1.3). They come in any order and outlive sessions.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use fenix_core::constraint::{Constrained, Constraint};
use fenix_core::id::{GroupId, InstanceId};
use fenix_engine::command::Command;
use serde_json::{Map, Value, json};

use super::Api;
use super::access::By;
use super::body::{Ids, object};
use super::error::ApiError;
use crate::wire::constraint;

type Reply = Result<Json<Value>, ApiError>;

/// Most statements: one for each instance of a large cloud. Each takes some hundred bytes of memory.
const MAX_CONSTRAINTS: usize = 200_000;

/// `PUT /v1/instance/{instance}`
pub(super) async fn put_instance(
    State(api): State<Arc<Api>>,
    by: By,
    Ids(id): Ids<String>,
    body: Body,
) -> Reply {
    state(&api, by, &id, body, constraint::instance).await
}

/// `PUT /v1/instance_group/{group}`
pub(super) async fn put_group(
    State(api): State<Arc<Api>>,
    by: By,
    Ids(id): Ids<String>,
    body: Body,
) -> Reply {
    state(&api, by, &id, body, constraint::group).await
}

async fn state(
    api: &Api,
    by: By,
    id: &str,
    body: Body,
    read: fn(&str, &Map<String, Value>) -> Result<Constraint, String>,
) -> Reply {
    let body = object(body).await?;
    let constraint = read(id, &body).map_err(ApiError::invalid)?;
    let known = api.desk.state();
    if known.constraints.len() >= MAX_CONSTRAINTS && known.constraints.get(&constraint.about()).is_none() {
        let message = format!("there are {MAX_CONSTRAINTS} constraints, which is the most");
        return Err(ApiError::invalid(message).hint("delete those of instances that are gone"));
    }
    let shown = constraint::view(&constraint, &api.defaults.ceilings);
    api.desk.command(Some(by.0), Command::Constrain { constraint }).await?;
    Ok(Json(shown))
}

/// `GET /v1/instance/{instance}`
pub(super) async fn get_instance(State(api): State<Arc<Api>>, by: By, Ids(id): Ids<String>) -> Reply {
    show(&api, &by, &id, &Constrained::Instance(InstanceId::from(&id)))
}

/// `GET /v1/instance_group/{group}`
pub(super) async fn get_group(State(api): State<Arc<Api>>, by: By, Ids(id): Ids<String>) -> Reply {
    show(&api, &by, &id, &Constrained::Group(GroupId::from(&id)))
}

fn show(api: &Api, by: &By, id: &str, about: &Constrained) -> Reply {
    let state = api.desk.state();
    state.owner(about).map_or(Ok(()), |owner| by.may_see(owner))?;
    let found = state
        .constraints
        .get(about)
        .map(|constraint| Json(constraint::view(constraint, &api.defaults.ceilings)));
    found.ok_or_else(|| {
        let shown: String = id.chars().take(64).collect();
        ApiError::not_found(format!("nothing is stated about {shown}"))
    })
}

/// `DELETE /v1/instance/{instance}`
pub(super) async fn delete_instance(State(api): State<Arc<Api>>, by: By, Ids(id): Ids<String>) -> Reply {
    take_back(&api, by, Constrained::Instance(InstanceId::from(id))).await
}

/// `DELETE /v1/instance_group/{group}`
pub(super) async fn delete_group(State(api): State<Arc<Api>>, by: By, Ids(id): Ids<String>) -> Reply {
    take_back(&api, by, Constrained::Group(GroupId::from(id))).await
}

/// What was never stated is taken back as well as what was: clients send these calls in any order.
async fn take_back(api: &Api, by: By, about: Constrained) -> Reply {
    api.desk.command(Some(by.0), Command::Unconstrain { about }).await?;
    Ok(Json(json!({})))
}
