//! Traces for a collector of OpenTelemetry: one trace per session, off unless an endpoint is configured.
//!
//! The spans are made of the records that are on disk (in `spans`), so nothing else knows of traces. They go out over
//! OTLP/HTTP as JSON, in batches, by a task of its own. A collector that is slow or away costs spans and nothing
//! else: every queue before it is bounded, and what does not fit is dropped and counted.

use std::sync::Arc;
use std::time::Duration;

use fenix_core::record::Record;
use fenix_core::state::State;
use fenix_engine::ports::{Journal, JournalError};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::metrics::Metrics;
use crate::tls::{self, TlsError, Trust};

mod spans;

use spans::Spans;

/// Batches of records that wait for their spans to be made: some MiB at most, since a record has a few KiB.
const MAX_WAITING: usize = 1024;

/// Spans in one request: some hundred KiB of JSON.
const MAX_BATCH: usize = 512;

/// Spans that wait while a request is on its way; further ones are dropped.
const MAX_SPANS: usize = 16 * 1024;

/// How long spans are gathered for one request.
const GATHER: Duration = Duration::from_secs(1);

/// Time for one request, its repetitions included.
const WITHIN: Duration = Duration::from_secs(5);

/// Time that the last spans get when the server is stopped.
const LAST: Duration = Duration::from_secs(3);

/// What is written about traces, in `fenix.toml` or as flags.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, clap::Args)]
#[serde(deny_unknown_fields, default)]
pub struct TraceSettings {
    /// Collector of traces over OTLP/HTTP, like http://127.0.0.1:4318; without it there are none
    #[arg(
        long = "traces-endpoint",
        id = "traces-endpoint",
        value_name = "URL",
        env = "FENIX_TRACES_ENDPOINT"
    )]
    pub endpoint: Option<String>,
}

impl TraceSettings {
    /// These settings where they say something, else `other`'s.
    #[must_use]
    pub fn or(self, other: TraceSettings) -> TraceSettings {
        TraceSettings { endpoint: self.endpoint.or(other.endpoint) }
    }
}

/// Why traces cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The address is none that traces can go to.
    #[error("traces cannot go to {0}: the endpoint must begin with http:// or https://")]
    Endpoint(String),
    /// Nobody's certificates can be believed.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The exporter cannot be made.
    #[error("traces cannot be sent")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    /// The HTTP client cannot be made.
    #[error("traces cannot be sent")]
    Client(#[from] reqwest::Error),
}

/// A journal whose records become spans.
struct Traced {
    journal: Box<dyn Journal + Send>,
    records: mpsc::Sender<Vec<Record>>,
    metrics: Arc<Metrics>,
}

impl Journal for Traced {
    fn append(&mut self, records: &[Record]) -> Result<(), JournalError> {
        self.journal.append(records)?;
        let told: Vec<Record> = records.iter().filter(|record| spans::tells(record)).cloned().collect();
        if !told.is_empty() {
            let lost = told.len();
            if self.records.try_send(told).is_err() {
                self.metrics.traced("lost", lost);
            }
        }
        Ok(())
    }
}

/// The sending of traces, if there is any.
#[derive(Debug, Default)]
pub struct Sending(Option<JoinHandle<()>>);

impl Sending {
    /// Waits until everything was sent that the journal took before it was closed, but not for long.
    pub async fn end(self) {
        let Some(sending) = self.0 else { return };
        if tokio::time::timeout(LAST, sending).await.is_err() {
            tracing::warn!("the last spans did not reach their collector within {} s", LAST.as_secs());
        }
    }
}

/// Has what a journal takes sent to an endpoint, until the journal is closed. Without an endpoint the journal is as it was.
///
/// # Errors
/// The endpoint makes no sense.
pub fn start(
    endpoint: Option<&str>,
    journal: Box<dyn Journal + Send>,
    state: &State,
    metrics: &Arc<Metrics>,
) -> Result<(Box<dyn Journal + Send>, Sending), TraceError> {
    let Some(endpoint) = endpoint else { return Ok((journal, Sending::default())) };
    let (records, waiting) = mpsc::channel(MAX_WAITING);
    let sender =
        Sender { exporter: exporter(endpoint)?, spans: Vec::new(), metrics: metrics.clone(), fails: false };
    let sending = tokio::spawn(send(Spans::new(state), waiting, sender));
    let traced = Traced { journal, records, metrics: metrics.clone() };
    Ok((Box::new(traced), Sending(Some(sending))))
}

fn exporter(endpoint: &str) -> Result<SpanExporter, TraceError> {
    let trust = match endpoint.split_once("://") {
        Some(("http", _)) => Trust::Nobody,
        Some(("https", _)) => Trust::System,
        Some(_) | None => return Err(TraceError::Endpoint(endpoint.to_owned())),
    };
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls::client(&trust)?)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(WITHIN)
        .build()?;
    let mut exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_protocol(Protocol::HttpJson)
        .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
        .with_timeout(WITHIN)
        .build()?;
    let about = [("service.name", "fenix"), ("service.version", env!("CARGO_PKG_VERSION"))];
    let about = about.map(|(key, value)| opentelemetry::KeyValue::new(key, value));
    exporter.set_resource(&Resource::builder_empty().with_attributes(about).build());
    Ok(exporter)
}

/// Makes spans of records, and sends them.
async fn send(mut spans: Spans, mut records: mpsc::Receiver<Vec<Record>>, mut sender: Sender) {
    while let Some(batch) = records.recv().await {
        sender.add(spans.take(&batch));
        // What comes in the next moment goes with it.
        let moment = tokio::time::sleep(GATHER);
        tokio::pin!(moment);
        loop {
            tokio::select! {
                biased;
                batch = records.recv() => match batch {
                    Some(batch) => sender.add(spans.take(&batch)),
                    None => break,
                },
                () = &mut moment => break,
            }
        }
        sender.flush().await;
    }
}

struct Sender {
    exporter: SpanExporter,
    spans: Vec<SpanData>,
    metrics: Arc<Metrics>,
    fails: bool,
}

impl Sender {
    fn add(&mut self, mut spans: Vec<SpanData>) {
        let room = MAX_SPANS - self.spans.len();
        if spans.len() > room {
            self.metrics.traced("lost", spans.len() - room);
            spans.truncate(room);
        }
        self.spans.append(&mut spans);
    }

    async fn flush(&mut self) {
        while !self.spans.is_empty() {
            let batch: Vec<SpanData> = self.spans.drain(..self.spans.len().min(MAX_BATCH)).collect();
            let count = batch.len();
            let sent = tokio::time::timeout(2 * WITHIN, self.exporter.export(batch)).await;
            let failed = match sent {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(_elapsed) => Some(format!("nothing within {} s", 2 * WITHIN.as_secs())),
            };
            self.metrics.traced(if failed.is_none() { "sent" } else { "lost" }, count);
            // Said once each time that it changes: a collector that is away is away for many batches.
            match &failed {
                Some(why) if !self.fails => tracing::warn!(%why, "traces do not reach their collector"),
                None if self.fails => tracing::info!("traces reach their collector again"),
                Some(_) | None => {}
            }
            self.fails = failed.is_some();
        }
    }
}
