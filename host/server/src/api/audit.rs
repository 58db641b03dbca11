//! The audit: who had what done, read back from the journal, where it stands beside what was done.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use fenix_core::caller::{Caller, Deed, Role};
use fenix_core::id::{ProjectId, SessionId};
use fenix_core::record::{Body, Record};
use fenix_store::{MAX_PAGE, ReadError, Reader};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Api;
use super::error::ApiError;
use crate::wire::time::iso;

/// Most entries in one answer: some hundred KiB of text.
const MAX_ENTRIES: usize = 1000;

/// Pages of the journal that one call reads at most: what was seen of the cloud stands between the entries, and a call
/// must not keep the journal's readers for longer than a moment.
const MAX_PAGES: usize = 20;

/// Which entries.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    /// Entries after this number.
    #[serde(default)]
    from: u64,
    /// At most so many.
    limit: Option<usize>,
    /// Only about this session.
    session: Option<String>,
}

/// `GET /v1/audit?from=&limit=&session=`: in order; `next` tells where to go on, and is null at the end.
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let Query(wanted) = wanted.map_err(|error| ApiError::new(StatusCode::BAD_REQUEST, error.body_text()))?;
    let (entries, next) = api.history.read(move |reader| entries(reader, &wanted)).await?;
    Ok(Json(json!({ "entries": entries, "next": next })))
}

fn entries(reader: &Reader, wanted: &Wanted) -> Result<(Vec<Value>, Option<u64>), ReadError> {
    let most = wanted.limit.unwrap_or(MAX_ENTRIES).clamp(1, MAX_ENTRIES);
    let session = wanted.session.as_ref().map(SessionId::from);
    let mut entries = Vec::new();
    let mut last = wanted.from;
    for _ in 0..MAX_PAGES {
        let page = reader.records_of_none(last.saturating_add(1), MAX_PAGE)?;
        let is_end = page.len() < MAX_PAGE;
        for record in page {
            last = record.seq;
            entries.extend(entry(&record, session.as_ref()));
            if entries.len() == most {
                return Ok((entries, Some(last)));
            }
        }
        if is_end {
            return Ok((entries, None));
        }
    }
    Ok((entries, Some(last)))
}

fn entry(record: &Record, only: Option<&SessionId>) -> Option<Value> {
    let Body::Commanded { by: Caller { name, role, from }, did: Deed { command, session, about } } =
        &record.body
    else {
        return None;
    };
    if only.is_some() && only != session.as_ref() {
        return None;
    }
    let project = match role {
        Role::Project(project) => Some(project),
        Role::Administrator | Role::Reader => None,
    };
    Some(json!({
        "seq": record.seq,
        "at": iso(record.at),
        "name": name,
        "role": role.word(),
        "project_id": project.map(ProjectId::as_str),
        "from": from,
        "command": command,
        "session_id": session.as_ref().map(SessionId::as_str),
        "about": about,
    }))
}
