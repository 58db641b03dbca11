//! One record to bytes and back.
//!
//! A record is kept as one *frame*:
//!
//! | bytes | what |
//! |---|---|
//! | 3 | `FXR` |
//! | 1 | format, [`FORMAT`] |
//! | 4 | CRC-32 of the format byte and of everything after these four bytes |
//! | 8 | sequence number |
//! | 8 | time, in milliseconds since 1970 |
//! | 2 | version of the kind |
//! | 1 | 0: the body follows; 1: the body's length and SHA-256 follow, and the body is in a file |
//! | 1 + n | length and text of the session's id; length 255 and no text: of the installation |
//! | 1 + n | length and text of the kind |
//! | rest | the body, JSON |
//!
//! Numbers are big-endian. The first eight bytes mean the same in every format to come, so that a damaged frame is
//! told apart from a newer one. Nothing here does I/O: who keeps frames elsewhere than in one piece asks
//! [`encode_within`] to set large bodies apart, and [`decode_with`] for them.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use fenix_core::id::SessionId;
use fenix_core::record::{Body, Record};
use fenix_core::time::Time;

use crate::kind::{FORMS, FormError, Forms, form_of};

/// The format of frames that this build writes, and the newest that it reads.
pub const FORMAT: u8 = 1;

/// Largest body in bytes. Plans and verdicts are the largest records, and what makes them large, the administrator's
/// metadata and a workflow's refused decisions, has limits far below.
pub const MAX_BODY: usize = 1024 * 1024;

/// Largest number of a record: half of what its eight bytes hold. No installation comes near it, and whoever counts on from
/// a record that was read never runs over.
pub const MAX_SEQ: u64 = u64::MAX / 2;

/// Longest session id in bytes; ids are UUIDs, and one byte holds the length.
pub const MAX_SESSION_ID: usize = 254;

const MAGIC: [u8; 3] = *b"FXR";
const FORMAT_AT: usize = 3;
const CRC_AT: usize = 4;
const SUMMED_FROM: usize = 8;
const NO_SESSION: u8 = 255;
const INLINE: u8 = 0;
const APART: u8 = 1;

/// Why a record cannot be encoded.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// The body is too large.
    #[error("the {kind} record {seq} has {len} bytes, more than the {MAX_BODY} that a record may have")]
    TooLarge {
        /// The record's kind.
        kind: &'static str,
        /// The record's number.
        seq: u64,
        /// Its size in bytes.
        len: usize,
    },
    /// Its number is too large.
    #[error("record {seq} has a number larger than {MAX_SEQ}, the largest that there is")]
    Seq {
        /// The record's number.
        seq: u64,
    },
    /// The session's id is too long.
    #[error("record {seq} is of a session whose id has {len} bytes, more than {MAX_SESSION_ID}")]
    SessionId {
        /// The record's number.
        seq: u64,
        /// The id's length in bytes.
        len: usize,
    },
    /// The body has no JSON form.
    #[error("the {kind} record {seq} cannot be written as JSON")]
    Json {
        /// The record's kind.
        kind: &'static str,
        /// The record's number.
        seq: u64,
        /// What JSON cannot hold.
        #[source]
        source: serde_json::Error,
    },
}

/// Why bytes are not a record.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// They do not begin like a record.
    #[error("these bytes are no record")]
    NotARecord,
    /// They are not as they were written.
    #[error("the checksum is wrong: the bytes were damaged")]
    Checksum,
    /// A newer Fenix wrote them, in another format.
    #[error(
        "record format {found} is newer than {FORMAT}, the newest that this version of Fenix reads; use the newer version"
    )]
    NewerFormat {
        /// The format.
        found: u8,
    },
    /// A newer Fenix wrote them, with a kind or a version of it that this one does not know.
    #[error(
        "record kind {kind} version {version} is newer than this version of Fenix, which knows {}; use the newer version",
        known.map_or("no such kind".to_owned(), |known| format!("version {known}"))
    )]
    NewerKind {
        /// The kind.
        kind: String,
        /// Its version.
        version: u16,
        /// The version that is known, if the kind is.
        known: Option<u16>,
    },
    /// The checksum is right and the layout is not: whoever wrote them was at fault.
    #[error("the record is malformed: {0}")]
    Malformed(&'static str),
    /// The body is kept in a file, which is missing or damaged.
    #[error("the body {digest} of the record is not to be had: {why}")]
    Apart {
        /// SHA-256 of the body, in hex; the file's name.
        digest: String,
        /// Why not.
        why: String,
    },
    /// The body is not of its kind.
    #[error("the body is not of kind {kind} version {version}")]
    Body {
        /// The kind.
        kind: String,
        /// Its version.
        version: u16,
        /// What does not fit.
        #[source]
        source: serde_json::Error,
    },
    /// The body's older form lacks something.
    #[error("the body cannot be brought up from kind {kind} version {version}: {why}")]
    Upcast {
        /// The kind.
        kind: String,
        /// The version from which the failed step starts.
        version: u16,
        /// What is missing.
        why: String,
    },
}

impl DecodeError {
    /// True if nothing is damaged and a newer Fenix will understand it.
    pub fn is_newer(&self) -> bool {
        match self {
            DecodeError::NewerFormat { .. } | DecodeError::NewerKind { .. } => true,
            DecodeError::NotARecord
            | DecodeError::Checksum
            | DecodeError::Malformed(_)
            | DecodeError::Apart { .. }
            | DecodeError::Body { .. }
            | DecodeError::Upcast { .. } => false,
        }
    }
}

/// The whole record as one frame.
///
/// # Errors
/// The record exceeds a limit.
pub fn encode(record: &Record) -> Result<Vec<u8>, EncodeError> {
    let (kind, body) = body_bytes(record)?;
    frame(record, kind, INLINE, &body)
}

/// A frame and, if the record would not fit otherwise, its body apart.
#[derive(Debug, PartialEq, Eq)]
pub struct Parts {
    /// At most as long as was asked for, as long as that has room for the header.
    pub frame: Vec<u8>,
    /// The body that is to be kept under its digest before the frame is.
    pub apart: Option<(BodyDigest, Vec<u8>)>,
}

/// The record as a frame of at most `limit` bytes; a body for which that is too short is set apart.
///
/// # Errors
/// The record exceeds another limit.
pub fn encode_within(record: &Record, limit: usize) -> Result<Parts, EncodeError> {
    let (kind, body) = body_bytes(record)?;
    let whole = frame(record, kind, INLINE, &body)?;
    if whole.len() <= limit {
        return Ok(Parts { frame: whole, apart: None });
    }
    let digest = BodyDigest::of(&body);
    let mut place = Vec::with_capacity(36);
    // MAX_BODY is below u32::MAX, so the length is exact.
    place.extend((body.len() as u32).to_be_bytes());
    place.extend(digest.0);
    Ok(Parts { frame: frame(record, kind, APART, &place)?, apart: Some((digest, body)) })
}

/// The record in a frame that [`encode`] made, or made by an earlier version of Fenix.
///
/// # Errors
/// The bytes are damaged, are of a newer version, or have their body apart.
pub fn decode(bytes: &[u8]) -> Result<Record, DecodeError> {
    decode_with(bytes, |_, _| Err("it was set apart, and this reader has no files".to_owned()))
}

/// The record in a frame; `fetch` gets a body that was set apart by its digest and length, or says why it cannot.
///
/// # Errors
/// The bytes are damaged, are of a newer version, or their body cannot be fetched.
pub fn decode_with(
    bytes: &[u8],
    fetch: impl FnOnce(BodyDigest, usize) -> Result<Vec<u8>, String>,
) -> Result<Record, DecodeError> {
    decode_as(&FORMS, bytes, fetch)
}

/// The number of the record in a frame that is whole; `None` for other bytes and for frames of a newer format.
pub(crate) fn seq_of_frame(bytes: &[u8]) -> Option<u64> {
    let mut rest = opened(bytes).ok()?;
    take(&mut rest).ok().map(u64::from_be_bytes)
}

/// True if that is a whole frame of a newer format: nobody knows what is in it.
pub(crate) fn is_newer_frame(bytes: &[u8]) -> bool {
    matches!(opened(bytes), Err(DecodeError::NewerFormat { .. }))
}

/// SHA-256 of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BodyDigest([u8; 32]);

impl BodyDigest {
    /// Of these bytes.
    pub fn of(body: &[u8]) -> Self {
        Self(Sha256::digest(body).into())
    }
}

impl std::fmt::Display for BodyDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

fn body_bytes(record: &Record) -> Result<(crate::kind::Form, Vec<u8>), EncodeError> {
    let form = form_of(&record.body);
    let body = serde_json::to_vec(&record.body).map_err(|source| EncodeError::Json {
        kind: form.kind,
        seq: record.seq,
        source,
    })?;
    if body.len() > MAX_BODY {
        return Err(EncodeError::TooLarge { kind: form.kind, seq: record.seq, len: body.len() });
    }
    Ok((form, body))
}

fn frame(record: &Record, form: crate::kind::Form, place: u8, body: &[u8]) -> Result<Vec<u8>, EncodeError> {
    if record.seq > MAX_SEQ {
        return Err(EncodeError::Seq { seq: record.seq });
    }
    let session = record.session.as_ref().map(|id| id.as_str().as_bytes());
    let session_len = match session {
        None => NO_SESSION,
        Some(id) if id.len() <= MAX_SESSION_ID => id.len() as u8,
        Some(id) => return Err(EncodeError::SessionId { seq: record.seq, len: id.len() }),
    };
    let mut out = Vec::with_capacity(64 + form.kind.len() + body.len());
    out.extend(MAGIC);
    out.push(FORMAT);
    out.extend([0; 4]);
    out.extend(record.seq.to_be_bytes());
    out.extend(record.at.0.to_be_bytes());
    out.extend(form.version.to_be_bytes());
    out.push(place);
    out.push(session_len);
    out.extend(session.unwrap_or_default());
    // Kinds are literals of our own table, all far shorter than 256 bytes.
    out.push(form.kind.len() as u8);
    out.extend(form.kind.as_bytes());
    out.extend(body);
    let sum = checksum(&out);
    out[CRC_AT..SUMMED_FROM].copy_from_slice(&sum.to_be_bytes());
    Ok(out)
}

fn checksum(frame: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&frame[FORMAT_AT..CRC_AT]);
    hasher.update(&frame[SUMMED_FROM..]);
    hasher.finalize()
}

fn decode_as(
    forms: &Forms,
    bytes: &[u8],
    fetch: impl FnOnce(BodyDigest, usize) -> Result<Vec<u8>, String>,
) -> Result<Record, DecodeError> {
    let mut rest = opened(bytes)?;
    let seq = u64::from_be_bytes(take(&mut rest)?);
    if seq > MAX_SEQ {
        return Err(DecodeError::Malformed("its number is larger than any that there is"));
    }
    let at = Time(u64::from_be_bytes(take(&mut rest)?));
    let version = u16::from_be_bytes(take(&mut rest)?);
    let [place] = take(&mut rest)?;
    let session = match take(&mut rest)? {
        [NO_SESSION] => None,
        [len] => Some(SessionId::from(text(&mut rest, len)?)),
    };
    let [len] = take(&mut rest)?;
    let kind = text(&mut rest, len)?;
    let body = match place {
        INLINE => decode_body(forms, kind, version, rest)?,
        APART => {
            let len = u32::from_be_bytes(take(&mut rest)?) as usize;
            let digest = BodyDigest(take(&mut rest)?);
            if !rest.is_empty() {
                return Err(DecodeError::Malformed("bytes follow the digest"));
            }
            let body = fetch_body(digest, len, fetch)?;
            decode_body(forms, kind, version, &body)?
        }
        _ => return Err(DecodeError::Malformed("the body's place is unknown")),
    };
    Ok(Record { seq, at, session, body })
}

/// What follows the part that all formats share, once that is found right.
fn opened(bytes: &[u8]) -> Result<&[u8], DecodeError> {
    if bytes.len() < SUMMED_FROM || bytes[..FORMAT_AT] != MAGIC {
        return Err(DecodeError::NotARecord);
    }
    if checksum(bytes).to_be_bytes() != bytes[CRC_AT..SUMMED_FROM] {
        return Err(DecodeError::Checksum);
    }
    match bytes[FORMAT_AT] {
        FORMAT => Ok(&bytes[SUMMED_FROM..]),
        0 => Err(DecodeError::Malformed("there is no format 0")),
        found => Err(DecodeError::NewerFormat { found }),
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], DecodeError> {
    let (head, tail) = rest.split_first_chunk::<N>().ok_or(DecodeError::Malformed("it ends too early"))?;
    *rest = tail;
    Ok(*head)
}

fn text<'a>(rest: &mut &'a [u8], len: u8) -> Result<&'a str, DecodeError> {
    let (head, tail) =
        rest.split_at_checked(usize::from(len)).ok_or(DecodeError::Malformed("it ends too early"))?;
    *rest = tail;
    std::str::from_utf8(head).map_err(|_| DecodeError::Malformed("a name is not UTF-8"))
}

fn fetch_body(
    digest: BodyDigest,
    len: usize,
    fetch: impl FnOnce(BodyDigest, usize) -> Result<Vec<u8>, String>,
) -> Result<Vec<u8>, DecodeError> {
    let apart = |why| DecodeError::Apart { digest: digest.to_string(), why };
    let body = fetch(digest, len).map_err(apart)?;
    if body.len() != len || BodyDigest::of(&body) != digest {
        return Err(apart("it was damaged".to_owned()));
    }
    Ok(body)
}

fn decode_body(forms: &Forms, kind: &str, version: u16, json: &[u8]) -> Result<Body, DecodeError> {
    let misfit = |source| DecodeError::Body { kind: kind.to_owned(), version, source };
    let body: Body = if forms.is_current(kind, version) {
        serde_json::from_slice(json).map_err(misfit)?
    } else {
        let older: Value = serde_json::from_slice(json).map_err(misfit)?;
        let newest = forms.upcast(kind, version, older).map_err(|error| match error {
            FormError::Unknown { known } => DecodeError::NewerKind { kind: kind.to_owned(), version, known },
            FormError::Upcast { from, why } => {
                DecodeError::Upcast { kind: kind.to_owned(), version: from, why }
            }
        })?;
        return serde_json::from_value(newest).map_err(misfit);
    };
    if form_of(&body).kind != kind {
        return Err(DecodeError::Malformed("the body is of another kind than the frame says"));
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kind::{Form, Upcast};

    fn noted() -> Record {
        let body = Body::Noted { key: "k".into(), value: Some("v".into()) };
        Record { seq: 7, at: Time(1_700_000_000_000), session: Some("s-1".into()), body }
    }

    /// A frame as `write` would have made it, with the right checksum.
    fn forged(change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut frame = encode(&noted()).unwrap();
        change(&mut frame);
        let sum = checksum(&frame);
        frame[CRC_AT..SUMMED_FROM].copy_from_slice(&sum.to_be_bytes());
        frame
    }

    #[test]
    fn a_frame_has_the_documented_layout() {
        let json = br#"{"noted":{"key":"k","value":"v"}}"#;
        let mut wanted = b"FXR\x01____".to_vec();
        wanted.extend([0, 0, 0, 0, 0, 0, 0, 7]);
        wanted.extend(1_700_000_000_000_u64.to_be_bytes());
        wanted.extend([0, 1, 0, 3]);
        wanted.extend(b"s-1\x05noted");
        wanted.extend(json);
        let mut summed = vec![1];
        summed.extend(&wanted[8..]);
        wanted[4..8].copy_from_slice(&crc32fast::hash(&summed).to_be_bytes());
        assert_eq!(encode(&noted()).unwrap(), wanted);
    }

    #[test]
    fn a_newer_frame_is_refused_by_name() {
        let check = |change: fn(&mut Vec<u8>), wanted: &str| {
            let refused = decode(&forged(change)).unwrap_err();
            assert!(refused.is_newer(), "{refused:?}");
            assert!(refused.to_string().contains(wanted), "{refused}");
        };
        check(|frame| frame[3] = 2, "record format 2 is newer than 1");
        check(
            |frame| frame[25] = 9,
            "record kind noted version 9 is newer than this version of Fenix, which knows version 1",
        );
        check(
            |frame| frame[32] = b'd',
            "record kind doted version 1 is newer than this version of Fenix, which knows no such kind",
        );
    }

    #[test]
    fn a_frame_that_its_writer_got_wrong_is_no_record() {
        let check = |change: fn(&mut Vec<u8>), wanted: &str| {
            let refused = decode(&forged(change)).unwrap_err();
            assert!(!refused.is_newer() && refused.to_string().contains(wanted), "{refused}");
        };
        check(|frame| frame[3] = 0, "no format 0");
        check(|frame| frame[8] = 0x80, "number is larger");
        check(|frame| frame[26] = 7, "place is unknown");
        check(|frame| frame[27] = 200, "ends too early");
        check(|frame| frame[28] = 0xFF, "not UTF-8");
        check(|frame| frame.truncate(20), "ends too early");
        check(|frame| frame.truncate(40), "not of kind noted version 1");
        check(|frame| frame.push(b'x'), "not of kind noted version 1");
        check(|frame| drop(frame.splice(31..37, *b"\x06failed")), "of another kind");
    }

    #[test]
    fn an_older_form_is_brought_up() {
        static AGED: Forms = Forms {
            current: &[Form { kind: "noted", version: 3 }],
            upcasts: &[Upcast {
                from: Form { kind: "noted", version: 1 },
                to: Form { kind: "noted", version: 3 },
                step: |older| match older["noted"]["value"].as_str() {
                    Some(value) => Ok(json!({"noted": {"key": "k", "value": format!("{value} (older)")}})),
                    None => Err("it has no value".to_owned()),
                },
            }],
        };
        let no_files = |_, _| Err(String::new());
        let record = decode_as(&AGED, &encode(&noted()).unwrap(), no_files).unwrap();
        let body = Body::Noted { key: "k".into(), value: Some("v (older)".into()) };
        assert_eq!(record, Record { body, ..noted() });

        let forgotten = Record { body: Body::Noted { key: "k".into(), value: None }, ..noted() };
        let refused = decode_as(&AGED, &encode(&forgotten).unwrap(), no_files).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "the body cannot be brought up from kind noted version 1: it has no value"
        );
    }

    #[test]
    fn a_body_set_apart_is_fetched_and_checked() {
        let long = Body::Noted { key: "k".into(), value: Some("v".repeat(5000)) };
        let record = Record { body: long, ..noted() };
        let parts = encode_within(&record, 1000).unwrap();
        let (digest, body) = parts.apart.unwrap();
        assert!(parts.frame.len() < 100);
        let check = |fetched: Result<Vec<u8>, String>, wanted: Option<&str>| {
            let decoded = decode_with(&parts.frame, |asked, len| {
                assert_eq!((asked, len), (digest, body.len()));
                fetched
            });
            match (decoded, wanted) {
                (Ok(decoded), None) => assert_eq!(decoded, record),
                (Err(error), Some(wanted)) => assert!(error.to_string().contains(wanted), "{error}"),
                (decoded, wanted) => panic!("{decoded:?} instead of {wanted:?}"),
            }
        };
        check(Ok(body.clone()), None);
        check(Err("no such file".into()), Some("no such file"));
        check(Ok(body[1..].to_vec()), Some("damaged"));
        check(Ok(body.iter().map(|byte| byte ^ 1).collect()), Some("damaged"));
        assert!(matches!(decode(&parts.frame), Err(DecodeError::Apart { .. })));
        assert_eq!(encode_within(&record, 10_000).unwrap().apart, None);
    }

    #[test]
    fn what_exceeds_a_limit_is_refused() {
        let check = |record: Record, wanted: &str| {
            let refused = encode(&record).unwrap_err().to_string();
            assert!(refused.contains(wanted), "{refused}");
        };
        let long = |len| Body::Undecided { why: "y".repeat(len) };
        check(Record { body: long(MAX_BODY), ..noted() }, "the undecided record 7 has 1048600 bytes");
        check(Record { session: Some("s".repeat(255).into()), ..noted() }, "id has 255 bytes");
        check(Record { seq: MAX_SEQ + 1, ..noted() }, "record 9223372036854775808 has a number larger");
        let session = Some("s".repeat(254).into());
        let largest = Record { seq: MAX_SEQ, session, body: long(MAX_BODY - 30), ..noted() };
        assert_eq!(decode(&encode(&largest).unwrap()).unwrap(), largest);
    }
}
