//! What comes in with a call: its body as a JSON object within limits, and the ids in its path.

use std::error::Error;
use std::fmt::Display;
use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path};
use axum::http::StatusCode;
use axum::http::request::Parts;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tokio::sync::Semaphore;

use super::error::ApiError;

/// Largest body in bytes. Managers name all their instances when they answer, as Tacker does: 100 000 UUIDs with what
/// JSON puts around them, and room beside them.
pub const MAX_BODY: usize = 4 * 1024 * 1024;

/// Largest body that is read beside any number of others: the names of a thousand hosts.
pub const SMALL_BODY: usize = 64 * 1024;

/// Bodies larger than [`SMALL_BODY`] that are read at a time; others wait for them within their own time.
static LARGE: Semaphore = Semaphore::const_new(16);

/// How long a body may take to arrive: nobody needs longer for [`MAX_BODY`] on a working network.
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
    let bytes = bytes(body, MAX_BODY, BODY_WITHIN).await?;
    if bytes.trim_ascii().is_empty() {
        return Ok(None);
    }
    match serde_json::from_slice(&bytes) {
        Ok(Value::Object(object)) => Ok(Some(object)),
        Ok(_) => Err(ApiError::invalid("the body must be a JSON object")),
        Err(error) => Err(malformed(&error)),
    }
}

/// Reads a body of at most so many bytes, which must arrive within that time.
///
/// # Errors
/// 408 if it comes too slowly, 413 if it is too large, 400 if the connection breaks.
pub async fn bytes(body: Body, most: usize, within: Duration) -> Result<Vec<u8>, ApiError> {
    match tokio::time::timeout(within, collect(Limited::new(body, most))).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let message = format!("the body is larger than {most} bytes");
            Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, message))
        }
        Ok(Err(error)) => {
            let message = format!("the body could not be read: {error}");
            Err(ApiError::new(StatusCode::BAD_REQUEST, message))
        }
        Err(_elapsed) => {
            let message = format!("the body did not arrive within {} s", within.as_secs());
            Err(ApiError::new(StatusCode::REQUEST_TIMEOUT, message))
        }
    }
}

async fn collect(mut body: Limited<Body>) -> Result<Vec<u8>, Box<dyn Error + Send + Sync>> {
    let (mut bytes, mut place) = (Vec::new(), None);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        if place.is_none() && bytes.len() + data.len() > SMALL_BODY {
            place = Some(LARGE.acquire().await?);
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
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

/// A path whose parts are no text.
pub(super) fn unreadable(why: &impl Display) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, format!("the path cannot be read: {why}"))
}

/// The ids in a call's path; refused as JSON where axum would answer plain text.
#[derive(Debug)]
pub struct Ids<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Ids<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let refuse = |rejection: PathRejection| unreadable(&rejection);
        Path::from_request_parts(parts, state).await.map(|Path(ids)| Ids(ids)).map_err(refuse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A body that stops after its first piece, of so many bytes.
    fn stuck(len: usize) -> Body {
        let (mut sender, body) = http_body_util::channel::Channel::<_, std::io::Error>::new(1);
        sender.try_send(hyper::body::Frame::data(vec![b' '; len].into())).unwrap();
        // Forgotten, not dropped: the end of the sender would be the end of the body.
        std::mem::forget(sender);
        Body::new(body)
    }

    #[tokio::test(start_paused = true)]
    async fn large_bodies_wait_for_each_other_and_small_ones_for_nobody() {
        let read = |body: Body| bytes(body, MAX_BODY, BODY_WITHIN);
        let stuck = || tokio::spawn(read(stuck(SMALL_BODY + 1)));
        let slow: Vec<_> = std::iter::repeat_with(stuck).take(LARGE.available_permits()).collect();
        tokio::task::yield_now().await;
        assert_eq!(LARGE.available_permits(), 0);
        assert_eq!(read(vec![b' '; SMALL_BODY].into()).await.unwrap().len(), SMALL_BODY);
        let large = read(vec![b' '; SMALL_BODY + 1].into());
        tokio::time::advance(BODY_WITHIN / 2).await;
        assert_eq!(large.await.unwrap().len(), SMALL_BODY + 1, "those before it have had their time");
        for slow in slow {
            slow.await.unwrap().unwrap_err();
        }
    }
}
