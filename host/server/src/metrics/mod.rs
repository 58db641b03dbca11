//! What Fenix counts and measures, in the text form that Prometheus reads.
//!
//! Two kinds of figures, that are never mixed. What *happens* is counted where it happens: records where the journal
//! takes them ([`journal`]), calls where they leave ([`ports`]), requests where they are answered. How things *stand*
//! is read off the published state each time that somebody asks ([`standing`]), so that no figure can be forgotten.
//!
//! Labels have few values: kinds, words of this program, names of routes and plug-ins, and the busiest subscribers. No
//! label is an id of a session, host or instance, and none is a text from outside.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use fenix_wasm::{Meter, PluginInfo, Spent};
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

pub mod journal;
pub mod ports;
pub mod standing;

use standing::Standing;

/// The media type of the text.
pub const MEDIA: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What stands before every name.
const PREFIX: &str = "fenix";

/// What tells figures of one name apart.
type Labels = Vec<(&'static str, Cow<'static, str>)>;

/// Counters of one name.
type Counters = Family<Labels, Counter>;

/// Spans of time of one name, in seconds.
type Times = Family<Labels, Histogram, fn() -> Histogram>;

/// Everything that is counted from the start of the server on.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    records: Counters,
    batch_seconds: Histogram,
    batch_records: Histogram,
    journal_errors: Counter,
    effects: Counters,
    asks: Counters,
    answer_seconds: Times,
    messages: Counters,
    http_seconds: Times,
    cloud_seconds: Times,
    cloud_errors: Counters,
    workflow_seconds: Times,
    workflow_errors: Counters,
    action_seconds: Times,
    action_errors: Counters,
    plugin_fuel: Counters,
    plugin_refusals: Counters,
    plugin_bytes: Counters,
    trace_spans: Counters,
}

impl Metrics {
    /// Everything at zero.
    pub fn new() -> Arc<Metrics> {
        let mut registry = Registry::with_prefix(PREFIX);
        let all = &mut registry;
        let metrics = Metrics {
            records: counters(all, "journal_records", "Records that are on disk, by kind"),
            batch_seconds: histogram(
                all,
                "journal_batch_seconds",
                "Time to bring one batch of records to disk",
                waits(),
            ),
            batch_records: histogram(all, "journal_batch_records", "Records in one batch", sizes()),
            journal_errors: counter(all, "journal_errors", "Batches that the disk did not take"),
            effects: counters(all, "effects", "Effects that ended, by kind and outcome"),
            asks: counters(all, "asks", "Questions to managers that ended, by kind and answer"),
            answer_seconds: spans(
                all,
                "ask_answer_seconds",
                "Time from delivery of a question to its answer",
                days,
            ),
            messages: counters(all, "messages", "Messages that ended, by how"),
            http_seconds: spans(all, "http_request_seconds", "Time to the head of an answer", waits),
            cloud_seconds: spans(
                all,
                "cloud_call_seconds",
                "Time that calls to the cloud took, by call",
                waits,
            ),
            cloud_errors: counters(all, "cloud_errors", "Calls to the cloud that failed, by call and error"),
            workflow_seconds: spans(
                all,
                "workflow_decision_seconds",
                "Time that workflows took for a decision",
                moments,
            ),
            workflow_errors: counters(
                all,
                "workflow_errors",
                "Decisions of workflows that gave no verdict, by why",
            ),
            action_seconds: spans(all, "action_call_seconds", "Time that calls of actions took", waits),
            action_errors: counters(
                all,
                "action_errors",
                "Calls of actions that ended without progress, by why",
            ),
            plugin_fuel: counters(all, "plugin_fuel", "Instructions of plug-ins, roughly"),
            plugin_refusals: counters(
                all,
                "plugin_refusals",
                "What plug-ins were refused, as it was not asked for or not granted",
            ),
            plugin_bytes: counters(
                all,
                "plugin_bytes",
                "Bytes that plug-ins sent to others and got from them, by way",
            ),
            trace_spans: counters(all, "trace_spans", "Spans of traces, by whether they were sent"),
            registry,
        };
        Arc::new(metrics)
    }

    /// A request was answered. `route` is the path of a route, not that of the request.
    pub fn answered(&self, method: &'static str, route: String, status: u16, took: Duration) {
        let labels =
            vec![("method", method.into()), ("route", route.into()), ("status", status.to_string().into())];
        self.http_seconds.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// Spans were sent, or lost.
    pub fn traced(&self, outcome: &'static str, spans: usize) {
        self.trace_spans.get_or_create(&vec![("outcome", outcome.into())]).inc_by(spans as u64);
    }

    /// All figures: those that were counted, and how things stand.
    ///
    /// # Errors
    /// Never for what stands here: a text takes everything that is written to it.
    pub fn text(&self, standing: &Standing<'_>) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode_registry(&mut text, &self.registry)?;
        encode_registry(&mut text, &standing.registry())?;
        encode_eof(&mut text)?;
        Ok(text)
    }
}

fn counter(registry: &mut Registry, name: &str, help: &str) -> Counter {
    let counter = Counter::default();
    registry.register(name, help, counter.clone());
    counter
}

fn counters(registry: &mut Registry, name: &str, help: &str) -> Counters {
    let counters = Counters::default();
    registry.register(name, help, counters.clone());
    counters
}

fn histogram(registry: &mut Registry, name: &str, help: &str, histogram: Histogram) -> Histogram {
    registry.register(name, help, histogram.clone());
    histogram
}

fn spans(registry: &mut Registry, name: &str, help: &str, make: fn() -> Histogram) -> Times {
    let spans = Times::new_with_constructor(make);
    registry.register(name, help, spans.clone());
    spans
}

/// From 0.1 ms to 1.6 s: a decision takes some 0.1 ms, and is ended long before the last.
fn moments() -> Histogram {
    Histogram::new(exponential_buckets(0.000_1, 4.0, 8))
}

/// From 1 ms to 16 s: disks, requests and clouds.
fn waits() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 4.0, 8))
}

/// From a second to nine hours: people, and managers that have work to do.
fn days() -> Histogram {
    Histogram::new(exponential_buckets(1.0, 4.0, 9))
}

/// From 1 to 16 384.
fn sizes() -> Histogram {
    Histogram::new(exponential_buckets(1.0, 4.0, 8))
}
impl Meter for Metrics {
    fn spent(&self, plugin: &PluginInfo, spent: Spent) {
        let Spent { fuel, refusals, sent, received } = spent;
        let labels = vec![("plugin", Cow::Owned(plugin.name.clone()))];
        self.plugin_fuel.get_or_create(&labels).inc_by(fuel);
        if refusals > 0 {
            self.plugin_refusals.get_or_create(&labels).inc_by(refusals);
        }
        for (way, bytes) in [("sent", sent), ("received", received)] {
            if bytes > 0 {
                let labels = [labels.clone(), vec![("way", way.into())]].concat();
                self.plugin_bytes.get_or_create(&labels).inc_by(bytes);
            }
        }
    }
}
