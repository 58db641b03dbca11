//! `GET /v1/backup`: the whole journal, and the components that sessions are pinned to, as one archive.
//!
//! The archive is of the moment in which it is begun; nothing waits for it. One that breaks off has no end, and is
//! refused by whoever reads it.

use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use fenix_store::archive::back_up;
use tokio::runtime::Handle;

use super::Api;
use super::error::ApiError;
use crate::pipe;
use crate::shell::writer::whole;

/// Backups at a time: each reads the whole journal.
pub(super) const MAX_BACKUPS: usize = 1;

/// `GET /v1/backup`
pub(super) async fn backup(State(api): State<Arc<Api>>) -> Result<Response, ApiError> {
    let place = api.backups.clone().try_acquire_owned().map_err(|_full| {
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "a backup is being made already")
            .hint("try again when it is done")
    })?;
    let failed = |error: io::Error| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, whole(&error));
    let files = api.attacher.files().map_err(failed)?;
    let (reader, now) = (api.history.reader()?, api.clock.now());
    let (mut pipe, body) = pipe::new(Handle::current());
    tokio::task::spawn_blocking(move || {
        let _place = place;
        match back_up(&reader, files, now, env!("CARGO_PKG_VERSION"), &mut pipe) {
            Ok(sum) => tracing::info!(records = sum.records, last = sum.last_seq, "a backup was made"),
            Err(error) => tracing::error!(why = %whole(&error), "a backup broke off"),
        }
    });
    let headers = [(header::CONTENT_TYPE, "application/octet-stream"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, Body::new(body)).into_response())
}
