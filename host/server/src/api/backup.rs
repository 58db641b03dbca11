//! `GET /v1/backup`: the whole journal, and the components that sessions are pinned to, as one archive.
//!
//! The archive is of the moment in which it is begun; nothing waits for it. One that breaks off has no end, and is
//! refused by whoever reads it.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use fenix_store::archive::back_up;
use http_body_util::channel::{Channel, Sender};
use tokio::runtime::Handle;

use super::Api;
use super::error::ApiError;
use crate::shell::writer::whole;

/// Backups at a time: each reads the whole journal.
pub(super) const MAX_BACKUPS: usize = 1;

/// Bytes that are sent together.
const PIECE: usize = 64 * 1024;

/// Pieces that wait for a slow reader.
const PIECES: usize = 4;

/// How long one piece may take to be taken; nobody holds a place for ever.
const TAKEN_WITHIN: Duration = Duration::from_secs(60);

/// `GET /v1/backup`
pub(super) async fn backup(State(api): State<Arc<Api>>) -> Result<Response, ApiError> {
    let place = api.backups.clone().try_acquire_owned().map_err(|_full| {
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "a backup is being made already")
            .hint("try again when it is done")
    })?;
    let failed = |error: io::Error| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, whole(&error));
    let files = api.attacher.files().map_err(failed)?;
    let (reader, now) = (api.history.reader()?, api.clock.now());
    let (sender, body) = Channel::new(PIECES);
    let mut pipe = Pipe { sender, runtime: Handle::current(), waiting: Vec::with_capacity(PIECE) };
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

/// Sends what is written to it.
struct Pipe {
    sender: Sender<Bytes>,
    runtime: Handle,
    waiting: Vec<u8>,
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let piece = Bytes::from(std::mem::replace(&mut self.waiting, Vec::with_capacity(PIECE)));
        let sent = self.runtime.block_on(tokio::time::timeout(TAKEN_WITHIN, self.sender.send_data(piece)));
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(io::Error::new(io::ErrorKind::BrokenPipe, "the caller has gone")),
            Err(_elapsed) => Err(io::Error::new(io::ErrorKind::TimedOut, "the caller takes nothing")),
        }
    }
}
