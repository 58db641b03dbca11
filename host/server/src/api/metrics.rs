//! `GET /metrics`, and the time that every request took.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::error::ApiError;
use super::{Api, feed};
use crate::metrics::MEDIA;
use crate::metrics::standing::Standing;
use crate::shell::desk::Health;

/// `GET /metrics`
pub(super) async fn show(State(api): State<Arc<Api>>) -> Result<Response, ApiError> {
    let state = api.desk.state();
    let standing = Standing {
        state: &state,
        now: api.clock.now(),
        ready: api.desk.health() == Health::Ready,
        readers: feed::MAX_READERS - api.readers.available_permits(),
    };
    let text = api.metrics.text(&standing).map_err(|error| {
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, format!("the figures cannot be written: {error}"))
    })?;
    Ok(([(header::CONTENT_TYPE, MEDIA)], text).into_response())
}

/// Measures how long a request takes until the head of its answer is there.
pub(super) async fn measure(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let method = method(request.method());
    // The same with and without a slash behind it. A path that is no route has no name: anybody can make one up.
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str);
    let route = if route == "/" { route } else { route.trim_end_matches('/') }.to_owned();
    let response = next.run(request).await;
    api.metrics.answered(method, route, response.status().as_u16(), begun.elapsed());
    response
}

/// Anybody can make up a method, too.
fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}
