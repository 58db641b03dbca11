//! What an action calls over HTTP, between the gate and whoever carries it out.

/// Largest body of a request in bytes: a ticket, an event, a job.
pub const REQUEST_BYTES: usize = 256 * 1024;

/// Largest body of an answer in bytes: a list of some thousand things.
pub const RESPONSE_BYTES: usize = 1024 * 1024;

/// Most headers of a request.
pub const HEADERS: usize = 64;

/// Bytes of all headers of a request, or of an answer: what servers take at least.
pub const HEADER_BYTES: usize = 16 * 1024;

/// A call that was allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRequest {
    /// In capitals.
    pub method: String,
    /// As it was parsed: whoever calls it understands it as the gate did.
    pub url: String,
    /// Names and values, with placeholders for secrets.
    pub headers: Vec<(String, String)>,
    /// With placeholders for secrets.
    pub body: Vec<u8>,
    /// The secrets that may go there, by name.
    pub secrets: Vec<String>,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpResponse {
    /// Its status.
    pub status: u16,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// At most [`RESPONSE_BYTES`].
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// A secret may not go there, or is not there.
    #[error("{0}")]
    NotGranted(String),
    /// It is no request.
    #[error("{0}")]
    Invalid(String),
    /// Nothing was sent.
    #[error("{0}")]
    Unreachable(String),
    /// It was sent.
    #[error("{0}")]
    Unclear(String),
}
