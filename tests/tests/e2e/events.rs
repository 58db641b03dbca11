//! The feed: server-sent events of all sessions.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::http::{call, read_head};
use crate::process::PATIENCE;
use crate::rig::{Rig, sample_body, small_cloud, wait_for, wait_for_end};

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Event {
    pub(crate) id: u64,
    pub(crate) kind: String,
    pub(crate) data: Value,
}

/// A reader of the feed.
pub(crate) struct Reader {
    lines: BufReader<TcpStream>,
}

impl Reader {
    pub(crate) fn open(rig: &Rig, query: &str, last: Option<u64>) -> Reader {
        let address = rig.url.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let last = last.map_or_else(String::new, |id| format!("Last-Event-ID: {id}\r\n"));
        write!(stream, "GET /v1/events{query} HTTP/1.1\r\nHost: {address}\r\n{last}\r\n").unwrap();
        let mut lines = BufReader::new(stream);
        let (first, headers) = read_head(&mut lines);
        assert_eq!(first, "HTTP/1.1 200 OK");
        assert!(headers.iter().any(|header| header == "content-type: text/event-stream"), "{headers:?}");
        Reader { lines }
    }

    /// The next event; chunk lengths, comments and the like are skipped.
    fn next(&mut self) -> Event {
        let (mut id, mut kind) = (0, String::new());
        loop {
            let mut line = String::new();
            assert!(self.lines.read_line(&mut line).unwrap() > 0, "the feed has ended");
            if let Some(text) = line.strip_prefix("id: ") {
                id = text.trim().parse().unwrap();
            } else if let Some(text) = line.strip_prefix("event: ") {
                text.trim().clone_into(&mut kind);
            } else if let Some(text) = line.strip_prefix("data: ") {
                return Event { id, kind, data: serde_json::from_str(text).unwrap() };
            }
        }
    }

    /// Every event until one of a line that says so, that one included.
    pub(crate) fn until(&mut self, what: &str) -> Vec<Event> {
        let mut events = Vec::new();
        while events.last().is_none_or(|event: &Event| event.data["what"] != what) {
            events.push(self.next());
        }
        events
    }
}

#[test]
fn followers_hear_what_happens_in_order_and_go_on_where_they_were() {
    let mut rig = Rig::start(&small_cloud());
    let mut all = Reader::open(&rig, "", None);
    let first = rig.begin(&sample_body(&["controller-1"]));
    let second = rig.begin(&sample_body(&["controller-2"]));
    assert_eq!(wait_for_end(&first)["state"], "MAINTENANCE_DONE");
    assert_eq!(wait_for_end(&second)["state"], "MAINTENANCE_DONE");
    let id = |session: &str| session.rsplit('/').next().unwrap().to_owned();

    let mut heard = all.until("ended");
    heard.extend(all.until("ended"));
    assert!(heard.windows(2).all(|pair| pair[0].id < pair[1].id));
    assert!(heard.iter().all(|event| event.kind == "line"));
    assert_eq!(heard.last().unwrap().data["state"], "MAINTENANCE_DONE");
    let of = |session: &str| {
        heard.iter().filter(|event| event.data["session_id"] == id(session)).cloned().collect::<Vec<_>>()
    };

    let mut only = Reader::open(&rig, &format!("?from=0&session={}", id(&second)), None);
    let missed = only.next();
    let again: Vec<Event> = match missed.kind.as_str() {
        "missed" => only.until("ended"),
        _ => std::iter::once(missed).chain(only.until("ended")).collect(),
    };
    let words = |events: &[Event]| events.iter().map(|event| event.data["what"].clone()).collect::<Vec<_>>();
    assert_eq!(words(&again), words(&of(&second)));

    // After a crash the feed is made anew of what sessions remember.
    let middle = heard[heard.len() / 2].id;
    rig.crash_server();
    let mut later = Reader::open(&rig, "", Some(middle));
    let rest: Vec<u64> = heard.iter().map(|event| event.id).filter(|id| *id > middle).collect();
    for id in rest {
        assert_eq!(later.next().id, id);
    }
    call("DELETE", &first, b"").good();
    let removed = later.next();
    assert_eq!((removed.kind.as_str(), &removed.data["session_id"]), ("removed", &json!(id(&first))));
}

#[test]
fn many_followers_hold_nobody_up() {
    let rig = Rig::start(&small_cloud());
    // They never read what is sent to them.
    let idle: Vec<Reader> = (0..300).map(|_| Reader::open(&rig, "?from=0", None)).collect();
    let mut one = Reader::open(&rig, "", None);
    let session = rig.begin(&sample_body(&["controller-1"]));
    wait_for(&session, |news| news["condition"] == "ended");
    one.until("ended");
    drop(idle);
}
