//! The lines that go over the socket: one JSON object each way, told apart by the caller's number.
//!
//! A request is `{"id": n, "call": ..}` or `{"id": n, "control": ..}`; its answer `{"id": n, "ok": ..}` or
//! `{"id": n, "error": ..}`. Answers come in any order, or never. What cannot be read is answered under id 0.

use fenix_engine::ports::{CloudCall, CloudError, CloudReply};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufRead, AsyncBufReadExt};

use super::audit::Summary;
use super::durable::TracePage;
use super::thirdparty::Act;

/// Longest request in bytes: the largest, a `Boot` with five names of 255 characters all escaped, has some 10 KiB.
pub const MAX_REQUEST: usize = 64 * 1024;

/// Longest answer in bytes: `ReadAll` of the largest cloud that a specification can describe.
pub const MAX_ANSWER: usize = 256 * 1024 * 1024;

/// The id of answers to what could not be read. Requests count from 1.
pub(super) const NOBODY: u64 = 0;

/// One request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Request {
    pub(super) id: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) call: Option<CloudCall>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) control: Option<Control>,
}

/// What is asked of the simulation rather than of the cloud; it never gets lost on the wire.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Control {
    /// Part of the ground truth.
    Trace {
        /// The number of the first event wanted.
        from: u64,
    },
    /// Somebody else does something.
    ThirdParty(Act),
    /// How the cloud stands.
    Summary,
}

/// One answer, to be written.
#[derive(Debug, Serialize)]
pub(super) struct Reply<T> {
    pub(super) id: u64,
    #[serde(flatten)]
    pub(super) body: Body<T>,
}

/// What an answer says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Body<T> {
    Ok(T),
    Error(CloudError),
}

/// All that an `ok` can be.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Good {
    Reply(CloudReply),
    Trace(TracePage),
    Summary(Box<Summary>),
}

/// The part of an answer that tells whose it is.
#[derive(Debug, Deserialize)]
pub(super) struct Address {
    pub(super) id: u64,
}

/// One answer, as read by who knows what it asked for.
#[derive(Debug, Deserialize)]
pub(super) struct Answered<T> {
    pub(super) ok: Option<T>,
    pub(super) error: Option<CloudError>,
}

/// The value as one line, its end included.
pub(super) fn line(value: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    Ok(line)
}

/// How reading a line went.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// A whole line is in the buffer.
    Line,
    /// Nothing comes any more.
    End,
    /// It is longer than allowed. The rest of it is unread.
    TooLong,
}

/// Reads one line of at most `most` bytes into `into`, without its end. A last line without an end does not count.
pub(super) async fn read_line(
    reader: &mut (impl AsyncBufRead + Unpin),
    into: &mut Vec<u8>,
    most: usize,
) -> std::io::Result<Read> {
    into.clear();
    loop {
        let bytes = reader.fill_buf().await?;
        if bytes.is_empty() {
            return Ok(Read::End);
        }
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let part = end.unwrap_or(bytes.len());
        if into.len() + part > most {
            return Ok(Read::TooLong);
        }
        into.extend_from_slice(&bytes[..part]);
        reader.consume(end.map_or(part, |end| end + 1));
        if end.is_some() {
            return Ok(Read::Line);
        }
    }
}
