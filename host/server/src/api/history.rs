//! The whole history of a session, read back from the journal: memory keeps only the latest lines.
//!
//! It is there as long as the records are, also after the session was removed.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use fenix_core::id::SessionId;
use fenix_core::session::Line;
use fenix_core::state::State as Fold;
use fenix_store::{MAX_PAGE, ReadError, Reader};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::body::Ids;
use super::error::ApiError;
use super::maintenance::no_session;
use super::{Api, views};
use crate::shell::store::Readers;
use crate::shell::writer::whole;

/// Most lines in one answer: some hundred KiB of text.
const MAX_LINES: usize = 5000;

/// Histories that are read at a time: each folds its session's records anew, which takes a processor.
pub(super) const MAX_READERS: usize = 2;

/// Reads histories.
#[derive(Clone)]
pub struct History {
    readers: Readers,
    places: Arc<Semaphore>,
}

impl History {
    /// Histories out of this journal.
    pub fn new(readers: Readers) -> History {
        History { readers, places: Arc::new(Semaphore::new(MAX_READERS)) }
    }

    /// Reads the journal, when it is its turn.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reader) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let _place = self.places.acquire().await;
        let reader = self.reader()?;
        let failed = |why: String| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, why);
        let reading = tokio::task::spawn_blocking(move || read(&reader)).await;
        reading.map_err(|fault| failed(fault.to_string()))?.map_err(|error| failed(whole(&error)))
    }

    /// What reads the whole journal.
    ///
    /// # Errors
    /// It is being opened again.
    pub(super) fn reader(&self) -> Result<Reader, ApiError> {
        self.readers.get().ok_or_else(|| {
            ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "the journal is being opened again")
                .hint("try again in a moment; /readyz says why")
        })
    }

    /// True if there is, or was, a session of that id.
    pub(super) async fn knows(&self, id: &SessionId) -> bool {
        let Ok(reader) = self.reader() else { return false };
        let id = id.clone();
        let read = tokio::task::spawn_blocking(move || reader.records_of(&id, 0, 1));
        matches!(read.await, Ok(Ok(records)) if !records.is_empty())
    }
}

/// Which lines.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    /// Lines after this sequence number.
    #[serde(default)]
    from: u64,
}

/// `GET /v1/maintenance/{session}/decisions?from=`
pub(super) async fn decisions(
    State(api): State<Arc<Api>>,
    Ids(id): Ids<String>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let Query(wanted) = wanted.map_err(|error| ApiError::new(StatusCode::BAD_REQUEST, error.body_text()))?;
    let session = SessionId::from(&id);
    let known = session.clone();
    let lines = api.history.read(move |reader| lines(reader, &known, wanted.from)).await?;
    let lines = lines.ok_or_else(|| no_session(&id))?;
    let state = api.desk.state();
    let mut reply = json!({
        "session_id": id,
        "decisions": lines.iter().map(views::line).collect::<Vec<_>>(),
        "next": (lines.len() == MAX_LINES).then(|| lines.last().map(|line| line.seq)).flatten(),
    });
    views::add_wishes(&mut reply, state.session(&session));
    Ok(Json(reply))
}

/// The lines of a session after a number, [`MAX_LINES`] at most; `None` if there never was such a session.
fn lines(reader: &Reader, id: &SessionId, from: u64) -> Result<Option<Vec<Line>>, ReadError> {
    let mut fold = Fold::default();
    let mut lines = Vec::new();
    let mut next = 0;
    loop {
        let page = reader.records_of(id, next, MAX_PAGE)?;
        let (count, last) = (page.len(), page.last().map(|record| record.seq));
        for record in page {
            let told = fold.session(id).and_then(|session| session.tell(&record.body));
            if let Some((what, why)) = told
                && record.seq > from
            {
                lines.push(Line { at: record.at, seq: record.seq, what, why });
            }
            // A record that does not fit parked its session: its history ends there.
            if fold.apply(&record).is_err() || lines.len() == MAX_LINES {
                return Ok(Some(lines));
            }
        }
        match last {
            Some(last) if count == MAX_PAGE => next = last + 1,
            Some(_) => return Ok(Some(lines)),
            None => return Ok((next > 0).then_some(lines)),
        }
    }
}
