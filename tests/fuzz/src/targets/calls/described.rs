//! What the API's own description says about a call, held against its answer.

use hyper::{Method, StatusCode};
use serde_json::Value;

use super::Call;
use super::rig::Answer;

/// One path, as the description has it.
struct Operation {
    /// Its parts; `None` stands for any.
    parts: Vec<Option<String>>,
    method: Method,
    statuses: Vec<u16>,
}

/// What the description says.
pub(super) struct Description {
    operations: Vec<Operation>,
}

/// Statuses of what no call is described by: a page of another site, no such path, no such method, a path that cannot
/// be read.
const UNDESCRIBED: [u16; 4] = [400, 403, 404, 405];

/// The files of the page are no calls: they are shown, or are unchanged, or are not there.
const PAGE: [u16; 5] = [200, 304, 403, 404, 405];

impl Description {
    /// Reads `/openapi.json`.
    pub(super) fn read(text: &[u8]) -> Description {
        let whole: Value = serde_json::from_slice(text).expect("the description is JSON");
        let paths = whole["paths"].as_object().expect("it has paths");
        let operations = paths.iter().flat_map(|(path, methods)| {
            let methods = methods.as_object().expect("a path has methods");
            methods.iter().map(|(method, operation)| Operation {
                parts: parts(path).map(|part| (!part.starts_with('{')).then(|| part.to_owned())).collect(),
                method: method.to_uppercase().parse().expect("a method"),
                statuses: statuses(operation),
            })
        });
        Description { operations: operations.collect() }
    }

    /// The operations at a path: those whose parts are named the most.
    fn at(&self, path: &str) -> Vec<&Operation> {
        let path = path.strip_suffix('/').unwrap_or(path);
        let wanted: Vec<&str> = parts(path).collect();
        let fits = |operation: &&Operation| {
            operation.parts.len() == wanted.len()
                && operation.parts.iter().zip(&wanted).all(|(part, wanted)| match part {
                    Some(part) => part == wanted,
                    None => !wanted.is_empty(),
                })
        };
        let named = |operation: &Operation| operation.parts.iter().map(Option::is_some).collect::<Vec<_>>();
        let found: Vec<&Operation> = self.operations.iter().filter(fits).collect();
        let most = found.iter().map(|operation| named(operation)).max();
        found.into_iter().filter(|operation| Some(named(operation)) == most).collect()
    }
}

fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').skip(1)
}

fn statuses(operation: &Value) -> Vec<u16> {
    let responses = operation["responses"].as_object().expect("an operation has responses");
    responses.keys().map(|status| status.parse().expect("a status")).collect()
}

/// Panics unless the answer is one that the description names for the call, in the form that it has for it.
pub(super) fn check(description: &Description, call: &Call, answer: &Answer) {
    let status = answer.status.as_u16();
    assert_ne!(answer.status, StatusCode::INTERNAL_SERVER_ERROR, "{call:?}: {}", answer.text());
    let path = call.target.path();
    let there = description.at(path);
    let reads = call.method == Method::HEAD;
    let method = if reads { &Method::GET } else { &call.method };
    let expected = match there.iter().find(|operation| operation.method == *method) {
        Some(operation) => &operation.statuses[..],
        None if path == "/" || path.starts_with("/page/") => &PAGE[..],
        None => &UNDESCRIBED[..],
    };
    assert!(
        expected.contains(&status),
        "{call:?}: {status}, which is none of {expected:?}: {}",
        answer.text()
    );
    if reads {
        return assert!(answer.body.is_empty(), "{call:?}: a head has no body");
    }
    if answer.status.is_success() {
        if answer.media.starts_with("application/json") {
            serde_json::from_slice::<Value>(&answer.body).expect("what says that it is JSON is JSON");
        }
    } else if !answer.status.is_redirection() {
        says_what_is_wrong(call, answer);
    }
}

fn says_what_is_wrong(call: &Call, answer: &Answer) {
    let body: Value = serde_json::from_slice(&answer.body)
        .unwrap_or_else(|_| panic!("{call:?}: {} is no JSON: {}", answer.status, answer.text()));
    assert_eq!(body["status"], answer.status.as_u16());
    assert_eq!(body["message"], body["error"]["message"]);
    let message = body["message"].as_str().expect("a message is a text");
    crate::targets::is_told(message, call.body.len() + call.target.to_string().len());
}
