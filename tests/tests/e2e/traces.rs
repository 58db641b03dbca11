//! Traces: what a collector gets of a session.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{self, Receiver};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::http::{content_length, get, read_head};
use crate::process::PATIENCE;
use crate::rig::{Rig, sample_body, small_cloud, wait_for, wait_for_end};

/// A collector on a free port: its URL, and every body that it got.
fn collector() -> (String, Receiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, bodies) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut writer = stream.try_clone().unwrap();
            let mut reader = BufReader::new(stream);
            let (first, headers) = read_head(&mut reader);
            assert_eq!(first, "POST /v1/traces HTTP/1.1");
            assert!(headers.iter().any(|header| header == "content-type: application/json"), "{headers:?}");
            let mut body = vec![0; content_length(&headers).unwrap()];
            reader.read_exact(&mut body).unwrap();
            drop(sender.send(serde_json::from_slice(&body).unwrap()));
            let answer = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
            drop(writer.write_all(answer.as_bytes()));
        }
    });
    (url, bodies)
}

/// One span as it came.
#[derive(Debug)]
struct Span(Value);

impl Span {
    fn text(&self, key: &str) -> &str {
        self.0[key].as_str().unwrap_or_default()
    }

    fn nanos(&self, key: &str) -> u64 {
        let time = &self.0[key];
        time.as_u64().or_else(|| time.as_str()?.parse().ok()).unwrap_or_else(|| panic!("{key}: {self:?}"))
    }

    fn attribute(&self, key: &str) -> Option<&str> {
        let all = self.0["attributes"].as_array()?;
        all.iter().find(|one| one["key"] == key)?["value"]["stringValue"].as_str()
    }
}

/// Spans by their ids, until the session's own has come, which comes last.
fn gather(bodies: &Receiver<Value>) -> BTreeMap<String, Span> {
    let mut spans = BTreeMap::new();
    while !spans.values().any(|span: &Span| span.text("name") == "session") {
        let body = bodies.recv_timeout(PATIENCE).unwrap();
        let resource = &body["resourceSpans"][0];
        let about = resource["resource"]["attributes"].to_string();
        assert!(about.contains("service.name") && about.contains("fenix"), "{about}");
        for span in resource["scopeSpans"][0]["spans"].as_array().unwrap() {
            let id = span["spanId"].as_str().unwrap().to_owned();
            let before = spans.insert(id, Span(span.clone()));
            assert!(before.is_none(), "twice: {span}");
        }
    }
    spans
}

#[test]
fn a_session_is_one_trace_with_hosts_effects_questions_and_decisions_in_their_places() {
    let (url, bodies) = collector();
    let rig = Rig::start_with(&small_cloud(), &["--traces-endpoint", &url]);
    let _manager = rig.manager(&[]);
    let session = rig.begin(&sample_body(&[]));
    wait_for_end(&session);
    let id = session.rsplit('/').next().unwrap();
    let spans = gather(&bodies);

    let names: BTreeSet<&str> = spans.values().map(|span| span.text("name")).collect();
    let expected = ["ask", "decision", "fence", "host", "move", "release", "session", "work"];
    assert_eq!(names, BTreeSet::from(expected));
    let (root, _) = spans.iter().find(|(_, span)| span.text("name") == "session").unwrap();
    assert_eq!(spans[root].text("parentSpanId"), "");
    for (of, span) in &spans {
        assert_eq!(span.text("traceId"), id.replace('-', ""), "{span:?}");
        assert!(span.nanos("startTimeUnixNano") <= span.nanos("endTimeUnixNano"), "{span:?}");
        if of == root {
            continue;
        }
        let parent = &spans.get(span.text("parentSpanId")).unwrap_or_else(|| panic!("no parent: {span:?}"));
        assert!(
            parent.nanos("startTimeUnixNano") <= span.nanos("startTimeUnixNano"),
            "{span:?} in {parent:?}"
        );
        match span.text("name") {
            "host" | "decision" => assert_eq!(span.text("parentSpanId"), root),
            "fence" | "move" | "release" => {
                assert_eq!(parent.text("name"), "host", "{span:?}");
                assert_eq!(parent.attribute("fenix.host"), span.attribute("fenix.host"));
            }
            _ => {}
        }
    }
    let hosts = spans.values().filter(|span| span.text("name") == "host");
    assert_eq!(hosts.filter_map(|span| span.attribute("fenix.host")).count(), 5);
}

#[test]
fn after_a_crash_the_trace_goes_on_and_parents_are_right() {
    let (url, bodies) = collector();
    let mut rig = Rig::start_with(&small_cloud(), &["--traces-endpoint", &url]);
    let _manager = rig.manager(&[]);
    let session = rig.begin(&sample_body(&[]));
    wait_for(&session, |news| news["lines"].to_string().contains("compute-1 fenced"));
    rig.crash_server();
    let back = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    wait_for_end(&session);
    let spans = gather(&bodies);
    let after = || spans.values().filter(|span| u128::from(span.nanos("startTimeUnixNano")) >= back);
    assert!(after().count() > 0, "{spans:?}");
    for span in after() {
        let parent = spans.get(span.text("parentSpanId")).unwrap_or_else(|| panic!("no parent: {span:?}"));
        assert_eq!(parent.text("traceId"), span.text("traceId"));
    }
}

#[test]
fn a_collector_that_is_away_or_says_nothing_disturbs_nothing() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = (format!("http://{}", silent.local_addr().unwrap()), Some(silent));
    // Nobody listens there.
    for (url, _listener) in [("http://127.0.0.1:9".to_owned(), None), silent] {
        let rig = Rig::start_with(&small_cloud(), &["--traces-endpoint", &url]);
        let _manager = rig.manager(&[]);
        let news = wait_for_end(&rig.begin(&sample_body(&["compute-1"])));
        assert_eq!(news["state"], "MAINTENANCE_DONE", "{url}: {news}");
        assert_eq!(get(&rig.at("/readyz")).status, 200);
    }
}
