//! What comes in with a call: its body as a JSON object within limits, and the ids in its path.

use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path};
use axum::http::StatusCode;
use axum::http::request::Parts;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::error::ApiError;

/// Largest body in bytes: a thousand host names with long domains, and room beside them.
pub const MAX_BODY: usize = 64 * 1024;

/// How long a body may take to arrive: it is at most 64 KiB, and nobody needs longer on a working network.
pub const BODY_WITHIN: Duration = Duration::from_secs(10);

/// Deepest nesting of a body; `serde_json` stops there, before the stack does.
pub const MAX_DEPTH: usize = 128;

/// Reads a body that must be a JSON object.
///
/// # Errors
/// 400 if it is no JSON or too deep, 408 if it comes too slowly, 413 if it is too large, 422 if it is no object.
pub async fn object(body: Body) -> Result<Map<String, Value>, ApiError> {
    optional_object(body).await?.ok_or_else(|| {
        ApiError::new(StatusCode::BAD_REQUEST, "the body is empty").hint("a JSON object is expected")
    })
}

/// Reads a body that may be empty, and else must be a JSON object.
///
/// # Errors
/// As [`object`].
pub async fn optional_object(body: Body) -> Result<Option<Map<String, Value>>, ApiError> {
    let collected = tokio::time::timeout(BODY_WITHIN, Limited::new(body, MAX_BODY).collect()).await.map_err(
        |_elapsed| {
            let secs = BODY_WITHIN.as_secs();
            ApiError::new(StatusCode::REQUEST_TIMEOUT, format!("the body did not arrive within {secs} s"))
        },
    )?;
    let bytes = match collected {
        Ok(collected) => collected.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => {
            let message = format!("the body is larger than {MAX_BODY} bytes");
            return Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, message));
        }
        Err(error) => {
            let message = format!("the body could not be read: {error}");
            return Err(ApiError::new(StatusCode::BAD_REQUEST, message));
        }
    };
    if bytes.trim_ascii().is_empty() {
        return Ok(None);
    }
    match serde_json::from_slice(&bytes) {
        Ok(Value::Object(object)) => Ok(Some(object)),
        Ok(_) => Err(ApiError::invalid("the body must be a JSON object")),
        Err(error) => Err(malformed(&error)),
    }
}

fn malformed(error: &serde_json::Error) -> ApiError {
    let text = error.to_string();
    let message = if text.starts_with("recursion limit exceeded") {
        format!("the body is nested deeper than {MAX_DEPTH} levels")
    } else {
        format!("the body is no JSON: {text}")
    };
    ApiError::new(StatusCode::BAD_REQUEST, message)
}

/// The ids in a call's path; refused as JSON where axum would answer plain text.
#[derive(Debug)]
pub struct Ids<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Ids<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let refuse = |rejection: PathRejection| {
            ApiError::new(StatusCode::BAD_REQUEST, format!("the path cannot be read: {rejection}"))
        };
        Path::from_request_parts(parts, state).await.map(|Path(ids)| Ids(ids)).map_err(refuse)
    }
}
