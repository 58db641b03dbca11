//! A receiver of messages, the way managers made for Aodh are written: it decides within the request that brings one.

use std::io::{BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;

use fenix_core::message::Secret;
use fenix_server::vnfm::literal;
use fenix_server::wire::cloudevents::{SIGNATURE, is_signed};
use serde_json::{Map, Value};

use crate::http::{content_length, read_head};
use crate::process::PATIENCE;

/// The traits of an event by name, decoded as the Doctor managers do: whatever holds a bracket is evaluated. Beside
/// them stand `event_type`, and under `raw` the values as they came.
pub(crate) type Traits = Map<String, Value>;

/// What signed messages must be signed with; then `signed` is true among their traits.
pub(crate) const SECRET: &str = "a secret of these tests";

/// Listens on a free port, and has `handle` called for every alarm before it is answered. Returns its URL.
pub(crate) fn receive(mut handle: impl FnMut(Traits) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/maintenance", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            answer(stream.unwrap(), &mut handle);
        }
    });
    url
}

fn answer(stream: TcpStream, handle: &mut impl FnMut(Traits)) {
    let mut writer = stream.try_clone().unwrap();
    let mut reader = BufReader::new(stream);
    let (first, headers) = read_head(&mut reader);
    assert_eq!(first, "POST /maintenance HTTP/1.1");
    let mut body = vec![0; content_length(&headers).unwrap()];
    reader.read_exact(&mut body).unwrap();
    let message: Value = serde_json::from_slice(&body).unwrap();
    crate::messages::check_message(&message);
    let mut traits = if message["specversion"].is_null() { decode(&message) } else { fields(&message) };
    if let Some(signature) = header(&headers, SIGNATURE) {
        let secret = Secret::new(SECRET);
        traits.insert("signed".into(), is_signed(&secret, &body, signature).into());
    }
    handle(traits);
    writer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nOK").unwrap();
}

/// The fields of a CloudEvent, beside them its type.
fn fields(message: &Value) -> Traits {
    let mut fields = message["data"].as_object().unwrap().clone();
    fields.insert("event_type".to_owned(), message["type"].clone());
    fields
}

fn header<'a>(headers: &'a [String], wanted: &str) -> Option<&'a str> {
    headers.iter().find_map(|header| {
        let (name, value) = header.split_once(':')?;
        name.eq_ignore_ascii_case(wanted).then(|| value.trim())
    })
}

fn decode(body: &Value) -> Traits {
    assert_eq!(body["reason_data"]["type"], "event");
    let event = &body["reason_data"]["event"];
    let (mut traits, mut raw) = (Traits::new(), Map::new());
    for entry in event["traits"].as_array().unwrap() {
        let value = match entry[2].as_str() {
            Some(text) if text.contains(['[', '{']) => literal::parse(text).unwrap(),
            _ => entry[2].clone(),
        };
        let name = entry[0].as_str().unwrap();
        traits.insert(name.to_owned(), value);
        raw.insert(name.to_owned(), entry[2].clone());
    }
    traits.insert("event_type".to_owned(), event["event_type"].clone());
    traits.insert("raw".to_owned(), Value::Object(raw));
    traits
}

/// A receiver that only keeps what comes.
pub(crate) struct Inbox {
    pub(crate) url: String,
    events: mpsc::Receiver<Traits>,
}

impl Inbox {
    pub(crate) fn open() -> Inbox {
        let (sender, events) = mpsc::channel();
        let url = receive(move |traits| drop(sender.send(traits)));
        Inbox { url, events }
    }

    /// The next event.
    pub(crate) fn next(&self) -> Traits {
        self.events.recv_timeout(PATIENCE).unwrap()
    }
}
