//! The whole API, in process: calls of any method, path, headers and body, one after the other.
//!
//! Whatever is called, the answer is one that the API's own description names for that call, is never that the server
//! is at fault, and says what is wrong in the one form that there is for it. What was put is what is then shown, and
//! what was deleted is gone.
//!
//! An input is like a `.http` file of an editor: a line with method and path, headers, an empty line, the body; `###`
//! stands between calls. `{session}` stands for a session that there is, `{noop}` for a component.

use std::sync::{Mutex, PoisonError};

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode, Uri};
use serde_json::Value;

mod described;
mod rig;

use rig::{Answer, Rig};

/// Most calls of one input.
const MAX_CALLS: usize = 8;

/// Inputs after which a new server is made: what it keeps grows with each.
const INPUTS_OF_A_SERVER: u32 = 1000;

/// Kinds of things that are put under a name, are shown as they were put, and can be deleted.
const KEPT: [&str; 4] = ["/v1/instance/", "/v1/instance_group/", "/v1/templates/", "/v1/subscriptions/"];

static RIG: Mutex<Option<(Rig, u32)>> = Mutex::new(None);

/// Makes the calls.
pub fn run(input: &[u8]) {
    let mut place = RIG.lock().unwrap_or_else(PoisonError::into_inner);
    // What panicked in here before left no rig.
    let (rig, used) = match place.take() {
        Some((rig, used)) if used < INPUTS_OF_A_SERVER => (rig, used),
        Some((rig, _)) => {
            rig.stop();
            (Rig::start(), 0)
        }
        None => (Rig::start(), 0),
    };
    rig.make_room();
    for text in calls(input).take(MAX_CALLS) {
        if let Some(call) = read(&rig, text) {
            check(&rig, &call);
        }
    }
    rig.lives();
    *place = Some((rig, used + 1));
}

/// Stops the server, if there is one.
pub(crate) fn end() {
    if let Some((rig, _)) = RIG.lock().unwrap_or_else(PoisonError::into_inner).take() {
        rig.stop();
    }
}

/// A call.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) target: Uri,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Call {
    fn to(method: Method, target: Uri) -> Call {
        Call { method, target, headers: Vec::new(), body: Vec::new() }
    }

    /// As hyper makes it; `None` if a header could not be sent.
    pub(crate) fn request(&self) -> Option<Request<Full<Bytes>>> {
        let mut request = Request::builder().method(self.method.clone()).uri(self.target.clone());
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.body(Full::new(Bytes::from(self.body.clone()))).ok()
    }
}

/// The texts of the calls.
fn calls(input: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(input);
    std::iter::from_fn(move || {
        let text = rest?;
        let at = text.windows(5).position(|part| part == b"\n###\n");
        rest = at.map(|at| &text[at + 5..]);
        Some(&text[..at.unwrap_or(text.len())])
    })
}

/// Reads one; `None` if no client could send it.
fn read(rig: &Rig, text: &[u8]) -> Option<Call> {
    let text = text.trim_ascii_start();
    let at = text.windows(2).position(|part| part == b"\n\n");
    let (head, body) = at.map_or((text, &[][..]), |at| (&text[..at], &text[at + 2..]));
    let head = std::str::from_utf8(head).ok()?.replace("{session}", &rig.session());
    let mut lines = head.lines();
    let (method, target) = lines.next()?.split_once(' ')?;
    let body = match body.trim_ascii() {
        b"{noop}" => fenix_shipped::component("noop").unwrap_or_default().to_vec(),
        _ => body.to_vec(),
    };
    Some(Call {
        method: method.parse().ok()?,
        target: target.parse().ok()?,
        headers: lines.filter_map(|line| line.split_once(": ")).map(|(n, v)| (n.into(), v.into())).collect(),
        body,
    })
}

fn check(rig: &Rig, call: &Call) {
    let Some(answer) = rig.answer(call) else { return };
    described::check(rig.description(), call, &answer);
    let path = call.target.path().trim_end_matches('/');
    if answer.status != StatusCode::OK || !KEPT.iter().any(|kind| path.starts_with(kind)) {
        return;
    }
    match call.method {
        Method::PUT => {
            let shown = look(rig, call);
            assert_eq!(shown.status, StatusCode::OK, "{call:?} was taken, and is not there");
            assert_eq!(lasting(&shown), lasting(&answer), "{call:?}");
        }
        Method::DELETE => {
            assert_eq!(look(rig, call).status, StatusCode::NOT_FOUND, "{call:?}, and it is still there")
        }
        _ => {}
    }
}

/// What is shown under the path of a call.
fn look(rig: &Rig, call: &Call) -> Answer {
    rig.answer(&Call::to(Method::GET, call.target.clone())).expect("a call without headers can be made")
}

/// An answer without what goes on changing by itself.
fn lasting(answer: &Answer) -> Value {
    let mut body: Value = serde_json::from_slice(&answer.body).expect("JSON");
    if let Some(body) = body.as_object_mut() {
        body.remove("waiting");
    }
    body
}
