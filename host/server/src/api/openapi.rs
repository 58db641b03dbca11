//! The API's own description: OpenAPI 3.1, made of the table of calls and the schemas beside it.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use fenix_core::caller::Role;
use serde_json::{Map, Value, json};

use super::Api;
use super::access::By;
use super::table::{CALLS, Call};

/// What bodies and answers look like, by name: JSON Schema.
const SCHEMAS: &str = include_str!("schemas.json");

/// Schemas of texts that are no JSON, with their media type.
const NO_JSON: [(&str, &str); 5] = [
    ("Archive", "application/octet-stream"),
    ("Component", "application/octet-stream"),
    ("Content", "application/octet-stream"),
    ("EventStream", "text/event-stream"),
    ("Metrics", "application/openmetrics-text"),
];

/// `GET /openapi.json`
pub(super) async fn show() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], DESCRIPTION.clone()).into_response()
}

/// Made once: anybody may ask for it, as often as they like.
static DESCRIPTION: LazyLock<Bytes> = LazyLock::new(|| description().to_string().into());

/// `GET /v1`
pub(super) async fn index(State(api): State<Arc<Api>>, By(by): By) -> Json<Value> {
    let project = match &by.role {
        Role::Project(project) => Some(project.as_str()),
        Role::Administrator | Role::Reader => None,
    };
    let base = api.base.as_str();
    Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "maintenance": format!("{base}/v1/maintenance"),
        "openapi": format!("{base}/openapi.json"),
        "name": by.name,
        "role": by.role.word(),
        "project_id": project,
        "open": api.door.is_open(),
    }))
}

/// The whole description.
fn description() -> Value {
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for call in &CALLS {
        paths.entry(call.path).or_default().insert(call.method.to_owned(), operation(call));
    }
    let schemas: Value = serde_json::from_str(SCHEMAS).unwrap_or_default();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Fenix",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Rolling maintenance with the applications. Every path may have a slash behind it.",
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer" },
                "token": { "type": "apiKey", "in": "header", "name": "X-Auth-Token" },
            },
        },
    })
}

fn operation(call: &Call) -> Value {
    let mut responses = Map::new();
    responses.insert("200".into(), content("It is done, or this is what was asked for", call.answer));
    for status in call.failures() {
        responses.insert(status.to_string(), content(reason(status), "Error"));
    }
    let mut operation = json!({
        "operationId": operation_id(call),
        "summary": call.what,
        "parameters": parameters(call),
        "responses": responses,
    });
    if let Some(roles) = call.access.roles(call.method) {
        operation["security"] = json!([{ "bearer": [] }, { "token": [] }]);
        operation["description"] = json!(format!("For: {}.", roles.join(", ")));
    }
    if let Some(body) = call.body {
        let name = body.trim_end_matches('?');
        let mut request = content("", name);
        request["required"] = json!(!body.ends_with('?'));
        if let Some(request) = request.as_object_mut() {
            request.remove("description");
        }
        operation["requestBody"] = request;
    }
    operation
}

fn operation_id(call: &Call) -> String {
    let path: String = call.path.chars().filter(|c| !matches!(c, '{' | '}')).collect();
    format!("{}{}", call.method, path.replace(['/', '.'], "_"))
}

fn content(description: &str, schema: &str) -> Value {
    let media =
        NO_JSON.iter().find(|(name, _)| *name == schema).map_or("application/json", |(_, media)| media);
    let schema = json!({ "$ref": format!("#/components/schemas/{schema}") });
    json!({ "description": description, "content": { media: { "schema": schema } } })
}

fn parameters(call: &Call) -> Vec<Value> {
    let in_path = call.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let in_path = in_path.map(|name| {
        json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string", "minLength": 1 } })
    });
    let in_query = call.query.iter().map(|(name, kind)| {
        let schema = match *kind {
            "integer" => json!({ "type": "integer", "minimum": 0 }),
            kind => json!({ "type": kind }),
        };
        json!({ "name": name, "in": "query", "required": false, "schema": schema })
    });
    in_path.chain(in_query).collect()
}

fn reason(status: u16) -> &'static str {
    match status {
        400 => "The call cannot be read",
        401 => "There is no token with it, or none that is known",
        403 => "The token's holder may not do that, or the call comes from another site's web page",
        404 => "It is not there",
        408 => "The body came too slowly",
        409 => "That makes no sense in this state",
        413 => "The body is too large",
        429 => "Too many calls with this token; the answer's Retry-After tells how long to wait",
        422 => "Something in the body is wrong, or in the path",
        503 => "The server cannot do that now",
        509 => "There are too many sessions",
        _ => "The server is at fault",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Every `$ref` in a value.
    fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
        match value {
            Value::Object(entries) => {
                found.extend(entries.get("$ref").and_then(Value::as_str));
                entries.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    #[test]
    fn every_schema_is_there_and_used() {
        let description = description();
        let mut used = BTreeSet::new();
        references(&description, &mut used);
        let schemas = description["components"]["schemas"].as_object().unwrap();
        let known: BTreeSet<String> =
            schemas.keys().map(|name| format!("#/components/schemas/{name}")).collect();
        assert_eq!(used.into_iter().map(ToOwned::to_owned).collect::<BTreeSet<_>>(), known);
    }

    #[test]
    fn no_call_stands_there_twice() {
        let calls: BTreeSet<(&str, &str)> = CALLS.iter().map(|call| (call.method, call.path)).collect();
        assert_eq!(calls.len(), CALLS.len());
        let ids: BTreeSet<String> = CALLS.iter().map(operation_id).collect();
        assert_eq!(ids.len(), CALLS.len());
    }
}
