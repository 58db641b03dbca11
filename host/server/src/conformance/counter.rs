//! The HTTP side of a play: what a manager reads and PUTs, heard and answered.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

use crate::api::body::{BODY_WITHIN, MAX_BODY, bytes};

/// One call of the manager.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Heard {
    pub(super) method: Method,
    pub(super) path: String,
    /// The body; `None` if it is no JSON.
    pub(super) body: Option<Value>,
    /// What it was answered.
    pub(super) status: u16,
}

/// What the counter answers from.
#[derive(Debug, Default)]
pub(super) struct Book {
    /// The instances that a question is about.
    pub(super) instances: Vec<String>,
    /// The next answer to a question is refused with 503.
    pub(super) refuse_next: bool,
}

/// Where the manager's calls arrive.
#[derive(Clone, Debug)]
pub(super) struct Counter {
    book: Arc<Mutex<Book>>,
    heard: mpsc::UnboundedSender<Heard>,
    subscribed: watch::Sender<Option<Value>>,
}

impl Counter {
    /// A counter; everything that is heard at it comes out of the receiver.
    pub(super) fn open() -> (Counter, mpsc::UnboundedReceiver<Heard>) {
        let (heard, out) = mpsc::unbounded_channel();
        (Counter { book: Arc::default(), heard, subscribed: watch::channel(None).0 }, out)
    }

    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first subscription that somebody makes: its body.
    pub(super) async fn subscription(&self) -> Value {
        let mut subscribed = self.subscribed.subscribe();
        match subscribed.wait_for(Option::is_some).await {
            Ok(body) => body.clone().unwrap_or_default(),
            Err(_gone) => Value::Null,
        }
    }

    pub(super) fn router(&self) -> Router {
        Router::new().fallback(take).with_state(self.clone())
    }

    fn answer(&self, method: &Method, path: &str, body: Option<&Value>) -> (u16, Value) {
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        match (method.as_str(), &parts[..]) {
            ("PUT" | "POST", ["v1", "subscriptions", ..]) => {
                self.subscribed.send_if_modified(|first| {
                    let is_first = first.is_none() && body.is_some();
                    if is_first {
                        *first = body.cloned();
                    }
                    is_first
                });
                (200, json!({}))
            }
            // What it states about its instances changes nothing in a play.
            (_, ["v1", "instance" | "instance_group" | "subscriptions", ..]) => (200, json!({})),
            ("GET", ["v1", "maintenance", _, _] | ["v1", "maintenance", _, _, _]) => {
                (200, json!({ "instance_ids": self.book().instances }))
            }
            ("PUT", ["v1", "maintenance", _, _] | ["v1", "maintenance", _, _, _]) => {
                if std::mem::take(&mut self.book().refuse_next) {
                    return (503, json!({ "message": "busy; say it again" }));
                }
                (200, body.cloned().unwrap_or_default())
            }
            _ => (404, json!({ "message": "there is nothing here" })),
        }
    }
}

async fn take(
    State(counter): State<Counter>,
    method: Method,
    uri: Uri,
    body: Body,
) -> (StatusCode, axum::Json<Value>) {
    let read = bytes(body, MAX_BODY, BODY_WITHIN).await.ok();
    let body = read.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let path = uri.path().trim_end_matches('/').to_owned();
    let (status, answer) = counter.answer(&method, &path, body.as_ref());
    // The play may be over, which is no harm.
    drop(counter.heard.send(Heard { method, path, body, status }));
    (StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), axum::Json(answer))
}
