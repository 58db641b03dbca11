//! Templates: sessions that can be started again with one call.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use fenix_core::standing::Template;
use fenix_core::time::Time;
use fenix_engine::command::Command;
use serde_json::{Map, Value, json};

use super::Api;
use super::access::By;
use super::body::{Ids, object, optional_object};
use super::error::ApiError;
use super::maintenance::begin;
use crate::wire::constraint::check_id;
use crate::wire::time::spaced;

type Reply = Result<Json<Value>, ApiError>;

/// Most templates: people choose among them by eye.
const MAX_TEMPLATES: usize = 200;

/// Longest description in characters: a line or two.
const MAX_DESCRIPTION: usize = 500;

/// `GET /v1/templates`
pub(super) async fn list(State(api): State<Arc<Api>>) -> Json<Value> {
    let state = api.desk.state();
    Json(json!({ "templates": state.templates.values().map(view).collect::<Vec<_>>() }))
}

/// `GET /v1/templates/{name}`
pub(super) async fn show(State(api): State<Arc<Api>>, Ids(name): Ids<String>) -> Reply {
    find(&api, &name).map(|template| Json(view(&template)))
}

fn find(api: &Api, name: &str) -> Result<Template, ApiError> {
    api.desk.state().templates.get(name).cloned().ok_or_else(|| {
        let shown: String = name.chars().take(64).collect();
        ApiError::not_found(format!("no template {shown}"))
            .hint("GET /v1/templates lists those that there are")
    })
}

/// `PUT /v1/templates/{name}`
pub(super) async fn put(
    State(api): State<Arc<Api>>,
    By(by): By,
    Ids(name): Ids<String>,
    body: Body,
) -> Reply {
    let body = object(body).await?;
    check_id("the template's name", &name).map_err(ApiError::invalid)?;
    let template = read(&api, name, &body)?;
    let known = api.desk.state();
    if known.templates.len() >= MAX_TEMPLATES && !known.templates.contains_key(&template.name) {
        let message = format!("there are {MAX_TEMPLATES} templates, which is the most");
        return Err(ApiError::invalid(message).hint("delete one first"));
    }
    let shown = view(&template);
    api.desk.command(Some(by), Command::SaveTemplate { template }).await?;
    Ok(Json(shown))
}

fn read(api: &Api, name: String, body: &Map<String, Value>) -> Result<Template, ApiError> {
    let description = match body.get("description") {
        None | Some(Value::Null) => "",
        Some(Value::String(text)) if text.chars().count() <= MAX_DESCRIPTION => text,
        Some(_) => {
            let message = format!("`description` must be a text of at most {MAX_DESCRIPTION} characters");
            return Err(ApiError::invalid(message));
        }
    };
    let Some(Value::Object(session)) = body.get("session") else {
        return Err(ApiError::invalid("`session` must be an object: what POST /v1/maintenance takes")
            .hint("without `maintenance_at` the session starts when somebody starts it"));
    };
    // Whoever saves it hears of mistakes, not whoever starts it in the night.
    api.read(&with_start(session.clone(), Time(0)))?;
    let body = Value::Object(session.clone()).to_string();
    Ok(Template { name, description: description.to_owned(), body })
}

fn with_start(mut body: Map<String, Value>, start: Time) -> Map<String, Value> {
    if body.get("maintenance_at").is_none_or(Value::is_null) {
        body.insert("maintenance_at".to_owned(), json!(spaced(start)));
    }
    body
}

/// `POST /v1/templates/{name}`: starts a session; keys of the body go before the template's.
pub(super) async fn start(
    State(api): State<Arc<Api>>,
    By(by): By,
    Ids(name): Ids<String>,
    body: Body,
) -> Reply {
    let changes = optional_object(body).await?.unwrap_or_default();
    let template = find(&api, &name)?;
    let mut session = saved(&template);
    session.extend(changes);
    begin(&api, by, &with_start(session, api.clock.now())).await
}

/// `DELETE /v1/templates/{name}`; one that is not there is as good as deleted.
pub(super) async fn delete(State(api): State<Arc<Api>>, By(by): By, Ids(name): Ids<String>) -> Reply {
    api.desk.command(Some(by), Command::RemoveTemplate { name }).await?;
    Ok(Json(json!({})))
}

fn saved(template: &Template) -> Map<String, Value> {
    serde_json::from_str(&template.body).unwrap_or_default()
}

fn view(template: &Template) -> Value {
    json!({ "name": template.name, "description": template.description, "session": saved(template) })
}
