//! Calls an external API for a host, and waits until that says that the work is done.
//!
//! A call may be repeated: after a crash, or because its answer was lost. Each carries the assignment's key as `Idempotency-Key`,
//! by which the other side knows it again. What came of it stands in the checkpoint before anybody looks again.

mod metadata;

use fenix_sdk::action::{Again, Assignment, Failure, Header, Http, HttpError, Progress, Request, Response};
use metadata::{Metadata, Names, Poll};
use serde_json::Value;

fenix_sdk::action! {
    name: "webhook",
    run: run,
    http: ["GET,POST,PUT,PATCH,DELETE *://*/*"],
}

/// Milliseconds before a call is repeated that nobody answered; each further pause is half as long again.
pub const FIRST_WAIT_MS: u32 = 1_000;

/// Longest such pause.
pub const LONGEST_WAIT_MS: u32 = 60_000;

/// Attempts in a row that nobody answers before giving up: some ten minutes, in which a service is restarted.
pub const TRIES: u32 = 18;

/// Longest address that is polled, so that it fits into a checkpoint.
const MAX_POLLED: usize = 900;

/// How far it is, as the checkpoint says.
#[derive(Debug, PartialEq, Eq)]
enum Stand<'a> {
    /// It was called so often without an answer.
    Calling { tries: u32 },
    /// It was taken; this is where to look. `looks` counts them, `tries` those since the last answer.
    Polling { looks: u32, tries: u32, url: &'a str },
}

/// Takes it from where the checkpoint says.
///
/// # Errors
/// The other side refuses or fails, or nobody answers; or the metadata cannot be understood.
pub fn run(
    http: &mut dyn Http,
    assignment: &Assignment,
    checkpoint: Option<&str>,
) -> Result<Progress, Failure> {
    let metadata = Metadata::read(&assignment.metadata)?;
    match (checkpoint.map_or(Some(Stand::Calling { tries: 0 }), parse), &metadata.poll) {
        (Some(Stand::Calling { tries }), _) => call(http, assignment, &metadata, tries),
        (Some(Stand::Polling { looks, tries, url }), Some(poll)) => {
            look(http, assignment, &metadata, poll, (looks, tries, url))
        }
        _ => Err(Failure::Failed("the checkpoint is not one of webhook's".to_owned())),
    }
}

/// Makes the call.
fn call(
    http: &mut dyn Http,
    assignment: &Assignment,
    metadata: &Metadata,
    tries: u32,
) -> Result<Progress, Failure> {
    let names = Names { assignment, answer: None };
    let body = metadata.body.as_ref().map(|body| names.fill_all(body)).transpose()?;
    let mut headers = headers(&names, metadata)?;
    headers.push(Header { name: "idempotency-key".to_owned(), value: assignment.key.clone() });
    if body.is_some() {
        headers.push(Header { name: "content-type".to_owned(), value: "application/json".to_owned() });
    }
    let request = Request {
        method: metadata.method.clone(),
        url: names.fill(&metadata.url)?,
        headers,
        body: body.map(|body| body.to_string().into_bytes()).unwrap_or_default(),
    };
    let answer = match answered(http, &request, tries)? {
        Ok(answer) => answer,
        Err(tries) => return Ok(again(wait(tries), 5, format!("calling {tries}"))),
    };
    let is_yes = match metadata.expect.as_slice() {
        [] => (200..300).contains(&answer.status),
        expected => expected.contains(&answer.status),
    };
    if !is_yes {
        return Err(Failure::Failed(refused(&request, &answer)));
    }
    let Some(poll) = &metadata.poll else {
        return Ok(Progress::Done(format!("{} {} answers {}", request.method, request.url, answer.status)));
    };
    let read: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let url = Names { assignment, answer: Some(&read) }.fill(&poll.url)?;
    if url.len() > MAX_POLLED || url.contains(' ') {
        return Err(Failure::Failed(format!(
            "the address to poll has a space, or more than {MAX_POLLED} bytes"
        )));
    }
    Ok(again(poll.every * 1000, 10, format!("polling 0 0 {url}")))
}

/// Looks whether it is done.
fn look(
    http: &mut dyn Http,
    assignment: &Assignment,
    metadata: &Metadata,
    poll: &Poll,
    (looks, tries, url): (u32, u32, &str),
) -> Result<Progress, Failure> {
    let headers = headers(&Names { assignment, answer: None }, metadata)?;
    let request = Request { method: "GET".to_owned(), url: url.to_owned(), headers, body: Vec::new() };
    let answer = match answered(http, &request, tries)? {
        Ok(answer) if (200..300).contains(&answer.status) => answer,
        Ok(answer) => return Err(Failure::Failed(refused(&request, &answer))),
        Err(tries) => return Ok(again(wait(tries), 50, format!("polling {looks} {tries} {url}"))),
    };
    let read: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let state = read.pointer(&poll.state).ok_or_else(|| {
        Failure::Failed(format!("{url} answers without a state at {:?}: {}", poll.state, shown(&answer.body)))
    })?;
    if poll.done.contains(state) {
        return Ok(Progress::Done(format!("{url} says {state}")));
    }
    if poll.failed.contains(state) {
        return Err(Failure::Failed(format!("{url} says {state}")));
    }
    if looks + 1 >= poll.looks {
        return Err(Failure::Failed(format!("{url} still says {state} after {} looks", looks + 1)));
    }
    let percent = 10 + u8::try_from(looks * 80 / poll.looks).unwrap_or(80);
    Ok(again(poll.every * 1000, percent, format!("polling {} 0 {url}", looks + 1)))
}

/// The answer, or which attempt was in vain. What may pass is tried again: nobody there, and a server that cannot now.
fn answered(http: &mut dyn Http, request: &Request, tries: u32) -> Result<Result<Response, u32>, Failure> {
    let why = match http.send(request) {
        Ok(answer) if !matches!(answer.status, 408 | 425 | 429 | 502..=504) => return Ok(Ok(answer)),
        Ok(answer) => refused(request, &answer),
        Err(HttpError::NotGranted(what)) => return Err(Failure::Failed(format!("not granted: {what}"))),
        Err(HttpError::Invalid(why)) => return Err(Failure::BadMetadata(format!("webhook: {why}"))),
        Err(HttpError::Unreachable(why) | HttpError::Unclear(why)) => format!("{}: {why}", request.url),
    };
    if tries + 1 >= TRIES {
        return Err(Failure::Failed(format!("{TRIES} attempts, the last one: {why}")));
    }
    fenix_sdk::log::warn(&why);
    Ok(Err(tries + 1))
}

fn headers(names: &Names<'_>, metadata: &Metadata) -> Result<Vec<Header>, Failure> {
    let header =
        |(name, value): (&String, &String)| Ok(Header { name: name.clone(), value: names.fill(value)? });
    metadata.headers.iter().map(header).collect()
}

fn refused(request: &Request, answer: &Response) -> String {
    let Request { method, url, .. } = request;
    format!("{method} {url} answers {}: {}", answer.status, shown(&answer.body))
}

/// The beginning of a body.
fn shown(body: &[u8]) -> String {
    String::from_utf8_lossy(body).chars().take(200).collect()
}

/// Milliseconds to wait before that attempt.
fn wait(tries: u32) -> u32 {
    (1..tries).fold(FIRST_WAIT_MS, |wait, _| (wait + wait / 2).min(LONGEST_WAIT_MS))
}

fn parse(checkpoint: &str) -> Option<Stand<'_>> {
    let words: Vec<&str> = checkpoint.split(' ').collect();
    match words[..] {
        ["calling", tries] => Some(Stand::Calling { tries: tries.parse().ok()? }),
        ["polling", looks, tries, url] => {
            Some(Stand::Polling { looks: looks.parse().ok()?, tries: tries.parse().ok()?, url })
        }
        _ => None,
    }
}

fn again(after_ms: u32, percent: u8, checkpoint: String) -> Progress {
    Progress::Again(Again { after_ms, checkpoint, percent })
}

#[cfg(test)]
mod tests;
