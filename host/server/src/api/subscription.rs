//! Standing orders for messages: managers and other listeners register here what they want to hear, and where.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use fenix_core::caller::Role;
use fenix_core::id::{ProjectId, SubscriptionId};
use fenix_core::message::{Format, Secret, Subscription};
use fenix_core::state::State as Known;
use fenix_engine::command::Command;
use serde_json::{Map, Value, json};

use super::Api;
use super::access::By;
use super::body::{Ids, object};
use super::error::ApiError;
use crate::alarms::OWN;
use crate::bus::BUS;
use crate::receivers::Receivers;
use crate::wire::constraint::check_id;
use crate::wire::payload::MAX_ID;

type Reply = Result<Json<Value>, ApiError>;

/// Most subscriptions: one per application manager, and a cloud has thousands of projects at most.
const MAX_SUBSCRIPTIONS: usize = 10_000;

/// Most subscriptions of one project that it orders itself: its manager, a spare one, and some that only listen.
const MAX_OF_PROJECT: usize = 20;

/// What is told to everybody who wants it: hosts and sessions, whosever instances they touch.
const FOR_ALL: [&str; 2] = ["maintenance.host", "maintenance.session"];

/// Longest event type in bytes; the known ones have twenty letters.
const MAX_EVENT_TYPE: usize = 64;

/// Shortest secret in bytes: half of what it signs with, and more than anybody can try out.
const MIN_SECRET: usize = 16;

/// Longest secret in bytes: longer ones are hashed to 32 bytes before they sign.
const MAX_SECRET: usize = 256;

/// Words that follow a session in a path, so that no project may be called so.
const RESERVED: [&str; 4] = ["detail", "decisions", "blockers", "events"];

/// `PUT /v1/subscriptions/{id}`
pub(super) async fn put(State(api): State<Arc<Api>>, by: By, Ids(id): Ids<String>, body: Body) -> Reply {
    subscribe(&api, by, &id, body).await
}

/// `POST /v1/subscriptions`
pub(super) async fn post(State(api): State<Arc<Api>>, by: By, body: Body) -> Reply {
    subscribe(&api, by, &uuid::Uuid::new_v4().to_string(), body).await
}

async fn subscribe(api: &Api, by: By, id: &str, body: Body) -> Reply {
    let body = object(body).await?;
    let all = if matches!(by.0.role, Role::Project(_)) { "maintenance.scheduled" } else { "maintenance.*" };
    let subscription = read(&api.receivers, id, &body, all).map_err(ApiError::invalid)?;
    if subscription.url == BUS && !api.has_bus {
        return Err(ApiError::invalid(
            "there is no message bus: the configuration names none of its brokers",
        )
        .hint("name them as `bus.brokers`, or give the URL of a receiver"));
    }
    let state = api.desk.state();
    check_scope(&by, &state, &subscription)?;
    if state.subscriptions.len() >= MAX_SUBSCRIPTIONS && !state.subscriptions.contains_key(&subscription.id) {
        return Err(ApiError::invalid(format!(
            "there are {MAX_SUBSCRIPTIONS} subscriptions, which is the most"
        ))
        .hint("delete those of managers that are gone"));
    }
    api.desk.command(Some(by.0), Command::Subscribe { subscription: subscription.clone() }).await?;
    Ok(Json(view(&api.desk.state(), &subscription)))
}

/// What a project may order: the events that are meant for it, and not too often the same.
fn check_scope(by: &By, state: &Known, subscription: &Subscription) -> Result<(), ApiError> {
    let Role::Project(own) = &by.0.role else { return Ok(()) };
    if FOR_ALL.iter().any(|event_type| subscription.wants(event_type)) {
        let message =
            format!("`event_type` {} is about everybody's hosts and sessions", subscription.event_type);
        let hint = "a project may order maintenance.scheduled; an administrator may order the rest for it";
        return Err(ApiError::new(StatusCode::FORBIDDEN, message).hint(hint));
    }
    let others =
        state.subscriptions.values().filter(|order| order.project == *own && order.id != subscription.id);
    if others.count() >= MAX_OF_PROJECT {
        let message = format!("project {own} has {MAX_OF_PROJECT} subscriptions, which is the most");
        return Err(ApiError::invalid(message).hint("delete those of managers that are gone"));
    }
    Ok(())
}

fn read(
    receivers: &Receivers,
    id: &str,
    body: &Map<String, Value>,
    all: &str,
) -> Result<Subscription, String> {
    let text = |key: &str| match body.get(key) {
        Some(Value::String(text)) if !text.is_empty() => Ok(text.as_str()),
        Some(_) => Err(format!("`{key}` must be a text that is not empty")),
        None => Err(format!("`{key}` is missing")),
    };
    check_id("the subscription's id", id)?;
    let project = text("project_id")?;
    check_id("`project_id`", project)?;
    if RESERVED.contains(&project) {
        return Err(format!("`project_id` may not be {project:?}: the API has a page of that name"));
    }
    let event_type = body.get("event_type").map_or(Ok(all), |_| text("event_type"))?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '*');
    if event_type.len() > MAX_EVENT_TYPE || !event_type.chars().all(allowed) {
        return Err("`event_type` must be like maintenance.scheduled or maintenance.*".into());
    }
    if event_type.matches('*').count() > 2 {
        return Err("`event_type` may have two stars at most".into());
    }
    if id.starts_with(OWN) {
        return Err(format!("ids that begin with {OWN} are those of event alarms; take another one"));
    }
    let url = text("url")?;
    if url != BUS {
        receivers.check(url)?;
    }
    Ok(Subscription {
        id: SubscriptionId::from(id),
        project: ProjectId::from(project),
        event_type: event_type.to_owned(),
        url: url.to_owned(),
        format: format(body)?,
    })
}

/// In what form messages are wanted. What is said about a secret repeats nothing of it.
fn format(body: &Map<String, Value>) -> Result<Format, String> {
    let secret = match body.get("secret") {
        None | Some(Value::Null) => None,
        Some(Value::String(secret)) if (MIN_SECRET..=MAX_SECRET).contains(&secret.len()) => {
            Some(Secret::new(secret))
        }
        Some(_) => {
            return Err(format!("`secret` must be a text of {MIN_SECRET} to {MAX_SECRET} bytes"));
        }
    };
    let name = body.get("format").map_or(Some("aodh"), Value::as_str);
    match (name, secret) {
        (Some("aodh"), None) => Ok(Format::Aodh),
        (Some("aodh"), Some(_)) => {
            Err("`secret` goes with `format` cloudevents: messages in the format aodh are not signed".into())
        }
        (Some("cloudevents"), Some(secret)) => Ok(Format::CloudEvents { secret }),
        (Some("cloudevents"), None) => {
            Err("`secret` is missing: what messages in the format cloudevents are signed with".into())
        }
        _ => Err("`format` must be aodh or cloudevents".into()),
    }
}

fn view(state: &Known, subscription: &Subscription) -> Value {
    let Subscription { id, project, event_type, url, format } = subscription;
    let format = match format {
        Format::Aodh => "aodh",
        // What it is signed with nobody can read back.
        Format::CloudEvents { secret: _ } => "cloudevents",
    };
    let waiting = state.sessions.values().map(|session| session.outbox.to(id).count());
    json!({
        "id": id.as_str(),
        "project_id": project.as_str(),
        "event_type": event_type,
        "url": url,
        "format": format,
        "waiting": waiting.sum::<usize>(),
    })
}

/// `GET /v1/subscriptions`
pub(super) async fn list(State(api): State<Arc<Api>>, by: By) -> Json<Value> {
    let state = api.desk.state();
    let all: Vec<Value> = state
        .subscriptions
        .values()
        .filter(|order| by.may_see(&order.project).is_ok())
        .map(|order| view(&state, order))
        .collect();
    Json(json!({ "subscriptions": all }))
}

/// `GET /v1/subscriptions/{id}`
pub(super) async fn get(State(api): State<Arc<Api>>, by: By, Ids(id): Ids<String>) -> Reply {
    let state = api.desk.state();
    let shown: String = id.chars().take(MAX_ID).collect();
    let unknown = || ApiError::not_found(format!("no subscription {shown}"));
    let order = state.subscriptions.get(&SubscriptionId::from(&id)).ok_or_else(unknown)?;
    by.may_see(&order.project)?;
    Ok(Json(view(&state, order)))
}

/// `DELETE /v1/subscriptions/{id}`: an unknown one is gone already.
pub(super) async fn delete(State(api): State<Arc<Api>>, by: By, Ids(id): Ids<String>) -> Reply {
    let id = SubscriptionId::from(id);
    api.desk.command(Some(by.0), Command::Unsubscribe { id }).await?;
    Ok(Json(json!({})))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: Value) -> Result<Subscription, String> {
        let receivers = Receivers::new(["Manager.example".to_owned()]).unwrap();
        read(&receivers, "sub-1", body.as_object().unwrap(), "maintenance.*")
    }

    fn with(key: &str, value: Value) -> Value {
        let mut body = json!({"project_id": "p1", "event_type": "maintenance.scheduled",
            "url": "http://127.0.0.1:12348/maintenance"});
        body[key] = value;
        body
    }

    #[test]
    fn messages_go_to_this_machine_and_to_named_hosts() {
        for url in [
            "http://127.0.0.1:12348/maintenance",
            "http://localhost:1",
            "http://[::1]:9/x",
            "http://manager.example/x",
            "https://manager.example/x",
            "http://MANAGER.example:80",
        ] {
            assert!(check(with("url", json!(url))).is_ok(), "{url}");
        }
    }

    #[test]
    fn a_secret_is_taken_and_never_shown() {
        let mut body = with("format", json!("cloudevents"));
        body["secret"] = json!("0123456789abcdef");
        let subscription = check(body).unwrap();
        assert_eq!(subscription.format, Format::CloudEvents { secret: Secret::new("0123456789abcdef") });
        let shown = view(&Known::default(), &subscription);
        assert_eq!(shown["format"], "cloudevents");
        assert!(!shown.to_string().contains("0123456789abcdef"), "{shown}");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let refused = |key: &str, value: Value, expected: &str| {
            let error = check(with(key, value)).expect_err(expected);
            assert!(error.contains(expected), "{error}");
        };
        refused("url", json!("bus"), "no URL");
        refused("url", json!("http://169.254.169.254/latest"), "deliver_to");
        refused("url", json!("http://127.0.0.1.example/"), "deliver_to");
        refused("url", json!("file:///etc/passwd"), "must begin with http://");
        refused("url", json!("http://a:b@127.0.0.1/"), "no user or password");
        refused("url", json!("nonsense"), "no URL");
        refused("url", json!(format!("http://127.0.0.1/{}", "x".repeat(1024))), "longer than");
        refused("url", json!(5), "`url` must be a text");
        refused("project_id", json!("a/b"), "`project_id` must be 1 to 64");
        refused("project_id", json!("detail"), "page of that name");
        refused("project_id", json!("{x}"), "`project_id` must be");
        refused("format", json!("smoke"), "aodh or cloudevents");
        refused("format", json!(null), "aodh or cloudevents");
        refused("format", json!("cloudevents"), "`secret` is missing");
        refused("secret", json!("0123456789abcdef"), "goes with `format` cloudevents");
        refused("secret", json!("0123456789abcde"), "16 to 256 bytes");
        refused("secret", json!(1), "16 to 256 bytes");
        refused("event_type", json!("***"), "two stars");
        refused("event_type", json!("maintenance scheduled"), "like maintenance.scheduled");
    }
}
