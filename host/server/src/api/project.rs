//! The managers' calls: which instances a question is about, and the answer to it.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use fenix_core::caller::Caller;
use fenix_core::id::{AskId, InstanceId, ProjectId, SessionId};
use fenix_core::inventory::Inventory;
use fenix_core::session::Session;
use fenix_engine::command::Command;
use serde_json::{Map, Value, json};

use super::Api;
use super::access::By;
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

/// `GET /v1/maintenance/{session}/{project}/{instance}`: the one instance, if a question is about it.
pub(super) async fn instance(
    State(api): State<Arc<Api>>,
    Ids((id, project, instance)): Ids<(String, String, String)>,
) -> Reply {
    let session = find(&api, &id)?;
    let asked = asked_about(&api.desk.state().inventory, &session, &ProjectId::from(&project));
    if !asked.contains(&InstanceId::from(&instance)) {
        let shown: String = instance.chars().take(64).collect();
        return Err(ApiError::not_found(format!("no question is about instance {shown} of this project")));
    }
    Ok(Json(json!({ "instance_ids": [instance] })))
}

/// `PUT /v1/maintenance/{session}/{project}`
pub(super) async fn reply(
    State(api): State<Arc<Api>>,
    By(by): By,
    Ids((session, project)): Ids<(String, String)>,
    body: Body,
) -> Reply {
    take_reply(&api, by, &session, &project, None, body).await
}

/// `PUT /v1/maintenance/{session}/{project}/{instance}`
pub(super) async fn reply_for_instance(
    State(api): State<Arc<Api>>,
    By(by): By,
    Ids((session, project, instance)): Ids<(String, String, String)>,
    body: Body,
) -> Reply {
    take_reply(&api, by, &session, &project, Some(InstanceId::from(instance)), body).await
}

/// Hands an answer to the engine and echoes it, as the earlier Fenix did.
async fn take_reply(
    api: &Api,
    by: Caller,
    session: &str,
    project: &str,
    instance: Option<InstanceId>,
    body: Body,
) -> Reply {
    let body = object(body).await?;
    let answered = read(&body, instance.as_ref()).map_err(ApiError::invalid)?;
    let id = SessionId::from(session);
    let taken = match answered {
        Answered::Notice => find(api, session).map(drop),
        Answered::Question(reply) => {
            let (session, project) = (id.clone(), ProjectId::from(project));
            let command = match question(&body)? {
                None => Command::Reply { session, project, instance, reply },
                Some(ask) => Command::ReplyTo { session, project, instance, ask, reply },
            };
            api.desk.command(Some(by), command).await.map(drop).map_err(ApiError::from)
        }
    };
    if let Err(error) = taken {
        // Some clients repeat a reply until it is taken, whatever became of the session meanwhile.
        let gone = api.desk.state().session(&id).is_none() && api.history.knows(&id).await;
        if !gone {
            return Err(error);
        }
    }
    Ok(Json(Value::Object(body)))
}

/// The question that an answer names; clients of the earlier Fenix name none.
fn question(body: &Map<String, Value>) -> Result<Option<AskId>, ApiError> {
    match body.get("ask_id") {
        None | Some(Value::Null) => Ok(None),
        Some(id) => {
            let number = id.as_u64().and_then(|id| u32::try_from(id).ok());
            let invalid = || ApiError::invalid("`ask_id` must be the number that stood in the event");
            number.map(|id| Some(AskId(id))).ok_or_else(invalid)
        }
    }
}
