//! What a caller is told when a call fails: JSON that names the thing.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use fenix_engine::command::CommandError;
use serde_json::json;

use crate::shell::desk::Refused;
use crate::wire::session::Invalid;

/// A failed call. The body is `{"error": {"message", "hint"?}, "status", "message"}`: clients of the earlier Fenix
/// read `message`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// The status code.
    pub status: StatusCode,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Seconds after which another attempt makes sense, if that is known.
    pub wait: Option<u64>,
}

/// The status that the earlier Fenix gives for too many sessions; it is no registered one.
fn too_many_sessions() -> StatusCode {
    StatusCode::from_u16(509).unwrap_or(StatusCode::SERVICE_UNAVAILABLE)
}

impl ApiError {
    /// An error without a hint.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), hint: None, wait: None }
    }

    /// A body or parameter of the right syntax and the wrong content.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, message)
    }

    /// Something that is not there.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// The same error with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut error = json!({ "message": self.message });
        if let Some(hint) = &self.hint {
            error["hint"] = json!(hint);
        }
        let body = json!({ "error": error, "status": self.status.as_u16(), "message": self.message });
        let mut response = (self.status, Json(body)).into_response();
        if let Some(wait) = self.wait {
            response.headers_mut().insert(header::RETRY_AFTER, wait.into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<Invalid> for ApiError {
    fn from(invalid: Invalid) -> Self {
        Self { hint: invalid.hint, ..Self::invalid(invalid.message) }
    }
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        let status = match &refused {
            Refused::Command(error) => status_of(error),
            Refused::Busy | Refused::Slow | Refused::Broken(_) | Refused::Stopping => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        };
        let (message, hint) = match refused.to_string().split_once("; ") {
            Some((message, hint)) => (message.to_owned(), Some(hint.to_owned())),
            None => (refused.to_string(), None),
        };
        Self { hint, ..Self::new(status, message) }
    }
}

fn status_of(error: &CommandError) -> StatusCode {
    match error {
        CommandError::NoSession(_) | CommandError::NoProject { .. } => StatusCode::NOT_FOUND,
        CommandError::NoHost(_) | CommandError::BadReply(_) | CommandError::NoValue { .. } => {
            StatusCode::UNPROCESSABLE_ENTITY
        }
        CommandError::Foreign(_) => StatusCode::FORBIDDEN,
        CommandError::NoHosts
        | CommandError::OwnHost(_)
        | CommandError::Leased { .. }
        | CommandError::Exists(_)
        | CommandError::Brought { .. }
        | CommandError::Needed { .. }
        | CommandError::WrongState { .. } => StatusCode::CONFLICT,
        CommandError::TooMany(_) => too_many_sessions(),
        CommandError::NotReady | CommandError::Held(_) | CommandError::Broken => {
            StatusCode::SERVICE_UNAVAILABLE
        }
    }
}
