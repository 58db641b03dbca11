//! `/metrics` read by the rules of its form, and what it says about a session.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use crate::http::{content_length, get, read_head};
use crate::process::PATIENCE;
use crate::rig::{Rig, sample_body, small_cloud, wait_for, wait_for_end};

/// The figures at one moment.
#[derive(Debug)]
pub(crate) struct Figures {
    /// The kind of each family: `counter`, `gauge`, `histogram`, `info`.
    kinds: BTreeMap<String, String>,
    /// The values, by name and labels as they are written.
    values: BTreeMap<String, f64>,
}

impl Figures {
    /// Reads them off a server, and checks their form.
    pub(crate) fn read(rig: &Rig) -> Figures {
        let address = rig.url.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
        let mut reader = BufReader::new(stream);
        let (first, headers) = read_head(&mut reader);
        assert_eq!(first, "HTTP/1.1 200 OK");
        let media = "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8";
        assert!(headers.iter().any(|header| header == media), "{headers:?}");
        let mut body = vec![0; content_length(&headers).unwrap()];
        reader.read_exact(&mut body).unwrap();
        Figures::parse(&String::from_utf8(body).unwrap()).unwrap_or_else(|why| panic!("{why}"))
    }

    /// OpenMetrics 1.0: each family's comments stand before its values, no value stands there twice, and names end as
    /// their kind wants it.
    fn parse(text: &str) -> Result<Figures, String> {
        let text = text.strip_suffix("# EOF\n").ok_or("no `# EOF` at the end")?;
        let mut figures = Figures { kinds: BTreeMap::new(), values: BTreeMap::new() };
        let mut family = String::new();
        for line in text.lines() {
            let wrong = |why: &str| format!("{line}: {why}");
            if let Some(comment) = line.strip_prefix("# ") {
                let (word, rest) = comment.split_once(' ').ok_or(wrong("a comment of one word"))?;
                let (name, rest) = rest.split_once(' ').ok_or(wrong("a comment on nothing"))?;
                match word {
                    "HELP" => name.clone_into(&mut family),
                    "TYPE" if name == family => {
                        let known = figures.kinds.insert(name.to_owned(), rest.to_owned());
                        known.map_or(Ok(()), |_| Err(wrong("a second time")))?;
                    }
                    _ => return Err(wrong("not in its place")),
                }
                continue;
            }
            let (series, value) = line.rsplit_once(' ').ok_or(wrong("no value"))?;
            let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
            let labels = labels.strip_suffix('}').ok_or(wrong("labels without an end"))?;
            let kind = figures.kinds.get(&family).ok_or(wrong("before its kind"))?;
            let ends: &[&str] = match kind.as_str() {
                "counter" => &["_total"],
                "histogram" => &["_bucket", "_sum", "_count"],
                "info" => &["_info"],
                "gauge" => &[""],
                _ => return Err(wrong("of no known kind")),
            };
            let end = name.strip_prefix(family.as_str()).ok_or(wrong("of another family"))?;
            if !ends.contains(&end) || !labels_are_right(labels) {
                return Err(wrong("its name or its labels are wrong"));
            }
            let value: f64 = value.parse().map_err(|_| wrong("no number"))?;
            let known = figures.values.insert(series.to_owned(), value);
            known.map_or(Ok(()), |_| Err(wrong("a second time")))?;
        }
        Ok(figures)
    }

    /// The value of a series as it is written; zero if it is not there.
    pub(crate) fn get(&self, series: &str) -> f64 {
        self.values.get(series).copied().unwrap_or_default()
    }

    /// The sum of all series of a name.
    fn sum(&self, name: &str) -> f64 {
        self.values.iter().filter(|(series, _)| series.split('{').next() == Some(name)).map(|(_, v)| v).sum()
    }
}

/// `name="value"` with commas between; quotes, backslashes and line ends within a value are escaped.
fn labels_are_right(labels: &str) -> bool {
    let mut rest = labels;
    while !rest.is_empty() {
        let Some((name, after)) = rest.split_once("=\"") else { return false };
        if name.is_empty() || !name.bytes().all(|c| c.is_ascii_lowercase() || c == b'_') {
            return false;
        }
        let mut escaped = false;
        let Some(end) = after.find(|c| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        }) else {
            return false;
        };
        rest = &after[end + 1..];
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
    true
}

#[test]
fn the_form_is_told_from_others() {
    let check = |text: &str, good: bool| {
        let parsed = Figures::parse(text);
        assert_eq!(parsed.is_ok(), good, "{text}: {parsed:?}");
    };
    check("# HELP a x.\n# TYPE a counter\na_total{b=\"c\\\"} d\"} 1\n# EOF\n", true);
    check("# HELP a x.\n# TYPE a counter\na_total 1\n", false);
    check("# HELP a x.\n# TYPE a counter\na 1\n# EOF\n", false);
    check("# HELP a x.\n# TYPE a counter\na_total 1\na_total 2\n# EOF\n", false);
    check("# TYPE a counter\na_total 1\n# EOF\n", false);
    check("# HELP a x.\n# TYPE a gauge\na{b=c} 1\n# EOF\n", false);
}

#[test]
fn what_happened_in_a_session_is_counted() {
    let rig = Rig::start(&small_cloud());
    let _manager = rig.manager(&[]);
    let before = Figures::read(&rig);
    assert_eq!(before.get("fenix_ready"), 1.0);
    assert_eq!(before.get("fenix_hosts{up=\"true\",enabled=\"true\"}"), 3.0, "{before:?}");
    assert_eq!(before.sum("fenix_sessions"), 0.0);

    let session = rig.begin(&sample_body(&[]));
    wait_for_end(&session);
    let detail = get(&format!("{session}/detail")).good();
    let moves: f64 =
        detail["instances"].as_array().unwrap().iter().map(|one| one["moves"].as_f64().unwrap()).sum();
    let after = Figures::read(&rig);
    assert_eq!(after.get("fenix_effects_total{effect=\"move\",outcome=\"done\"}"), moves);
    assert_eq!(after.get("fenix_effects_total{effect=\"fence\",outcome=\"done\"}"), 5.0);
    assert_eq!(after.get("fenix_asks_total{ask=\"MAINTENANCE\",answer=\"acked\"}"), 1.0);
    assert_eq!(after.get("fenix_ask_answer_seconds_count{ask=\"MAINTENANCE\"}"), 1.0);
    assert_eq!(after.get("fenix_sessions{state=\"MAINTENANCE_DONE\",condition=\"ended\"}"), 1.0);
    assert!(after.get("fenix_action_call_seconds_count{plugin=\"reboot\"}") >= 5.0, "{after:?}");
    assert_eq!(after.sum("fenix_action_errors_total") + after.sum("fenix_workflow_errors_total"), 0.0);
    for grows in [
        "fenix_journal_records_total",
        "fenix_journal_batch_seconds_count",
        "fenix_cloud_call_seconds_count",
        "fenix_workflow_decision_seconds_count",
        "fenix_http_request_seconds_count",
    ] {
        assert!(after.sum(grows) > before.sum(grows), "{grows}: {after:?}");
    }
    let records = get(&rig.at("/readyz")).good()["records"].as_f64().unwrap();
    assert_eq!(Figures::read(&rig).sum("fenix_journal_records_total"), records);
    let calls = "fenix_http_request_seconds_count{method=\"GET\",route=\"/v1/maintenance/{session}/detail\",status=\"200\"}";
    assert_eq!(Figures::read(&rig).get(calls), 1.0);
}

#[test]
fn what_waits_is_shown_with_its_age() {
    let rig = Rig::start(&small_cloud());
    // Nobody listens there.
    rig.subscribe("http://127.0.0.1:9/");
    let session = rig.begin(&sample_body(&[]));
    wait_for(&session, |news| news["lines"].to_string().contains("ask doctor MAINTENANCE"));
    let figures = Figures::read(&rig);
    assert_eq!(figures.get("fenix_asks_open{ask=\"MAINTENANCE\"}"), 1.0, "{figures:?}");
    assert_eq!(figures.get("fenix_blockers{what=\"manager-unreachable\"}"), 1.0);
    assert_eq!(figures.get("fenix_outbox{subscription=\"test\"}"), 1.0);
    assert_eq!(figures.get("fenix_session_hosts{stage=\"waiting\"}"), 5.0);
    let age = |figures: &Figures| figures.get("fenix_outbox_oldest_seconds{subscription=\"test\"}");
    let begun = Instant::now();
    while age(&Figures::read(&rig)) <= age(&figures) {
        assert!(begun.elapsed() < PATIENCE, "{figures:?}");
    }
}

#[test]
fn nobody_makes_up_labels() {
    let rig = Rig::start(&small_cloud());
    for path in ["/v1/nothing", "/v1/maintenance/nobody", "/v1/maintenance/nobody/", "/%22%7B"] {
        assert_eq!(get(&rig.at(path)).status, 404);
    }
    let figures = Figures::read(&rig);
    let not_found = |route: &str| {
        figures.get(&format!(
            "fenix_http_request_seconds_count{{method=\"GET\",route=\"{route}\",status=\"404\"}}"
        ))
    };
    assert_eq!(not_found("none"), 2.0, "{figures:?}");
    assert_eq!(not_found("/v1/maintenance/{session}"), 2.0);
}

#[test]
fn every_figure_is_described() {
    let rig = Rig::start(&small_cloud());
    let _manager = rig.manager(&[]);
    wait_for_end(&rig.begin(&sample_body(&["compute-1"])));
    // Nothing has failed here, no plug-in spoke to anybody, and there are no traces.
    let absent = [
        "cloud_errors_total",
        "workflow_errors_total",
        "action_errors_total",
        "plugin_refusals_total",
        "plugin_bytes_total",
        "trace_spans_total",
    ];
    let mut names: BTreeSet<String> = absent.iter().map(|name| format!("fenix_{name}")).collect();
    names.extend(Figures::read(&rig).kinds.iter().map(|(name, kind)| format!("{name}{}", end(kind))));
    assert_eq!(described().into_keys().collect::<BTreeSet<_>>(), names);
}

/// What stands behind the name of a family of that kind in its description.
fn end(kind: &str) -> &'static str {
    match kind {
        "counter" => "_total",
        "info" => "_info",
        _ => "",
    }
}

/// The figures that are described, with their kinds.
fn described() -> BTreeMap<String, String> {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/METRICS.md")).unwrap();
    let row = |line: &str| {
        let mut cells = line.strip_prefix("| `fenix_")?.split(" | ");
        let name = cells.next()?.trim_end_matches('`');
        Some((format!("fenix_{name}"), cells.next()?.to_owned()))
    };
    page.lines().filter_map(row).collect()
}

/// Every name that a query may use.
pub(crate) fn names() -> BTreeSet<String> {
    let of = |(name, kind): (String, String)| match kind.as_str() {
        "histogram" => ["_bucket", "_sum", "_count"].map(|end| format!("{name}{end}")).to_vec(),
        _ => vec![name],
    };
    described().into_iter().flat_map(of).collect()
}
