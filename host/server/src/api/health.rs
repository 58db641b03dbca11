//! Whether the server lives, and whether it can do its work.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::Api;
use super::error::ApiError;
use crate::shell::desk::Health;

/// It answers, so it lives.
pub(super) async fn alive() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// It takes commands and writes its journal.
pub(super) async fn ready(State(api): State<Arc<Api>>) -> Result<Json<Value>, ApiError> {
    let unavailable = |message: String| ApiError::new(StatusCode::SERVICE_UNAVAILABLE, message);
    match api.desk.health() {
        Health::Ready => Ok(Json(json!({ "status": "ready", "records": api.desk.state().seq }))),
        Health::Starting => {
            Err(unavailable("the cloud was not read yet".into())
                .hint("is it there, at the configured address?"))
        }
        Health::Held(why) => Err(unavailable(why).hint(
            "nothing new is begun; what is under way is finished, and sessions can be paused and deleted",
        )),
        Health::Broken(why) => Err(unavailable(why).hint(
            "repair the cause; the journal is opened again by itself, or when the server is started again",
        )),
        Health::Stopping => Err(unavailable("the server is being shut down".into())),
    }
}
