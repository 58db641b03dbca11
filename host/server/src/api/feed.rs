//! `GET /v1/events`: what happens in all sessions, or in one, as server-sent events.
//!
//! Each event's id is the number of a journal record. Whoever comes back says the last one that it has seen
//! (`Last-Event-ID`, or `?from=`), and misses nothing that is kept; an event `missed` says that something is not.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use fenix_core::id::SessionId;
use http_body_util::channel::{Channel, Sender};
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Instant;

use super::Api;
use super::error::ApiError;
use crate::shell::feed::{Feed, Page};
use crate::stop::stopped;

/// Readers at a time: each holds a connection, and others must find some left.
pub(super) const MAX_READERS: usize = 700;

/// Silence after which a reader hears a comment, so that proxies do not take the connection for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How long a reader may follow before it has to come back: its token's time may be over.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// Pieces of text that wait for a slow reader; each holds some dozen events at most.
const PIECES: usize = 1;

/// Which events.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    /// Events after this number; without it and without `Last-Event-ID` only new ones.
    from: Option<u64>,
    /// Only those of this session.
    session: Option<String>,
}

/// `GET /v1/events?from=&session=`
pub(super) async fn events(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Response, ApiError> {
    let Query(wanted) = wanted.map_err(|error| ApiError::new(StatusCode::BAD_REQUEST, error.body_text()))?;
    let from = match headers.get("last-event-id") {
        None => wanted.from,
        Some(id) => Some(id.to_str().ok().and_then(|id| id.trim().parse().ok()).ok_or_else(|| {
            ApiError::new(StatusCode::BAD_REQUEST, "`Last-Event-ID` must be a number: the id of an event")
        })?),
    };
    let place = api.readers.clone().try_acquire_owned().map_err(|_full| {
        let message = format!("{MAX_READERS} readers follow the events, which is the most");
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, message).hint("close some, or try again later")
    })?;
    let reader = Reader {
        changes: api.feed.changes(),
        next: from.unwrap_or_else(|| api.feed.last()),
        feed: api.feed.clone(),
        only: wanted.session.map(SessionId::from),
        stop: api.stop.clone(),
        door: api.door.changes(),
        until: Instant::now() + LONGEST,
        _place: place,
    };
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    let (sender, body) = Channel::new(PIECES);
    tokio::spawn(reader.read(sender));
    Ok((headers, Body::new(body)).into_response())
}

struct Reader {
    feed: Feed,
    changes: watch::Receiver<u64>,
    next: u64,
    only: Option<SessionId>,
    stop: watch::Receiver<bool>,
    door: watch::Receiver<()>,
    until: Instant,
    _place: OwnedSemaphorePermit,
}

impl Reader {
    /// Sends piece after piece, until the reader is gone or the server stops.
    async fn read(mut self, mut sender: Sender<Bytes>) {
        // The head reaches the reader at once, and it comes back soon if the connection is lost.
        let mut piece = Some("retry: 1000\n\n".to_owned());
        while let Some(text) = piece {
            if sender.send_data(Bytes::from(text)).await.is_err() {
                return;
            }
            piece = self.piece().await;
        }
    }

    /// The next piece of text; `None` when the server stops or has read its tokens again, and after [`LONGEST`].
    async fn piece(&mut self) -> Option<String> {
        loop {
            self.changes.borrow_and_update();
            let page = self.feed.after(self.next, self.only.as_ref());
            let text = text(&page, self.next);
            self.next = page.next;
            if !text.is_empty() {
                return Some(text);
            }
            tokio::select! {
                changed = self.changes.changed() => changed.ok()?,
                () = stopped(&mut self.stop) => return None,
                () = tokio::time::sleep_until(self.until) => return None,
                // It may have lost its token. Whoever has not comes back and goes on where it was.
                _ = self.door.changed() => return None,
                () = tokio::time::sleep(KEEP_ALIVE) => return Some(": still here\n\n".to_owned()),
            }
        }
    }
}

fn text(page: &Page, from: u64) -> String {
    let mut text = String::new();
    if page.missed {
        text.push_str(&format!("event: missed\ndata: {{\"after\":{from}}}\n\n"));
    }
    for news in &page.news {
        text.push_str(&format!("id: {}\nevent: {}\ndata: {}\n\n", news.id, news.kind, news.data));
    }
    text
}
