//! The managers' calls: which instances a question is about, and the answer to it.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use fenix_core::id::{InstanceId, ProjectId, SessionId};
use fenix_core::inventory::Inventory;
use fenix_core::session::Session;
use fenix_engine::command::Command;
use serde_json::{Value, json};

use super::Api;
use super::body::{Ids, object};
use super::error::ApiError;
use super::maintenance::find;
use crate::wire::reply::{Answered, read};

type Reply = Result<Json<Value>, ApiError>;

/// `GET /v1/maintenance/{session}/{project}`
pub(super) async fn instances(
    State(api): State<Arc<Api>>,
    Ids((id, project)): Ids<(String, String)>,
) -> Reply {
    let session = find(&api, &id)?;
    let project = ProjectId::from(project);
    if !session.projects.contains_key(&project) {
        return Err(ApiError::not_found(format!("session {id} has no project {project}")));
    }
    let instances = asked_about(&api.desk.state().inventory, &session, &project);
    let ids: Vec<&str> = instances.iter().map(InstanceId::as_str).collect();
    Ok(Json(json!({ "instance_ids": ids })))
}

/// The instances of all open questions that want an action for each; if none is open, the project's instances on
/// the session's hosts.
///
/// Of all, since a manager cannot say which question it reads about: so whatever it then answers covers the one
/// that its answer is taken for.
fn asked_about(inventory: &Inventory, session: &Session, project: &ProjectId) -> Vec<InstanceId> {
    let open = session.open_asks.iter().filter_map(|id| session.asks.get(id));
    let asked: BTreeSet<&InstanceId> = open
        .filter(|ask| ask.project == *project && ask.kind.wants_actions())
        .flat_map(|ask| &ask.instances)
        .collect();
    if !asked.is_empty() {
        return asked.into_iter().cloned().collect();
    }
    inventory
        .of_project(project)
        .filter(|instance| session.hosts.contains_key(&instance.host))
        .map(|instance| instance.id.clone())
        .collect()
}

/// `PUT /v1/maintenance/{session}/{project}`
pub(super) async fn reply(
    State(api): State<Arc<Api>>,
    Ids((session, project)): Ids<(String, String)>,
    body: Body,
) -> Reply {
    take_reply(&api, &session, &project, None, body).await
}

/// `PUT /v1/maintenance/{session}/{project}/{instance}`
pub(super) async fn reply_for_instance(
    State(api): State<Arc<Api>>,
    Ids((session, project, instance)): Ids<(String, String, String)>,
    body: Body,
) -> Reply {
    take_reply(&api, &session, &project, Some(InstanceId::from(instance)), body).await
}

/// Hands an answer to the engine and echoes it, as the earlier Fenix did.
async fn take_reply(
    api: &Api,
    session: &str,
    project: &str,
    instance: Option<InstanceId>,
    body: Body,
) -> Reply {
    let body = object(body).await?;
    match read(&body, instance.as_ref()).map_err(ApiError::invalid)? {
        Answered::Notice => {
            find(api, session)?;
        }
        Answered::Question(reply) => {
            let session = SessionId::from(session);
            let project = ProjectId::from(project);
            api.desk.command(Command::Reply { session, project, instance, reply }).await?;
        }
    }
    Ok(Json(Value::Object(body)))
}
