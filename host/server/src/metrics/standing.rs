//! How things stand, read off the published state when somebody asks.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;

use fenix_core::ask::AskKind;
use fenix_core::blocker::{What, blockers};
use fenix_core::session::Condition;
use fenix_core::state::State;
use fenix_core::time::Time;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::{Labels, PREFIX};

/// Subscribers that have a figure of their own, those with the most messages waiting; what waits for further ones is
/// added up under [`OTHERS`]. A board with more lines cannot be read, and a store of figures pays for each.
const SUBSCRIBERS: usize = 50;

/// The label of subscribers that have no figure of their own. No subscription can have this id.
const OTHERS: &str = "(others)";

/// What is looked at.
#[derive(Debug)]
pub struct Standing<'a> {
    /// The last state that is on disk.
    pub state: &'a State,
    /// Now.
    pub now: Time,
    /// True if the server takes commands and writes its journal.
    pub ready: bool,
    /// Those who follow the feed.
    pub readers: usize,
}

/// The kinds of blockers.
const KINDS: [What; 11] = [
    What::Reply,
    What::ManagerUnreachable,
    What::Effect,
    What::OutcomeUnknown,
    What::Refused,
    What::Workflow,
    What::Quarantined,
    What::Parked,
    What::Paused,
    What::Failed,
    What::Closing,
];

/// The names of the stages and of the effects: a figure that is there with a zero can be told from one that is gone.
const STAGES: [&str; 6] = ["waiting", "fenced", "working", "worked", "maintained", "quarantined"];
const EFFECTS: [&str; 4] = ["fence", "release", "move", "work"];

/// A number of things, and how long the oldest of them waits.
#[derive(Clone, Copy, Debug, Default)]
struct Waiting {
    count: i64,
    oldest_ms: u64,
}

impl Waiting {
    fn add(&mut self, age_ms: u64) {
        self.count += 1;
        self.oldest_ms = self.oldest_ms.max(age_ms);
    }
}

/// Counts by labels.
type Counts = BTreeMap<Labels, i64>;

impl Standing<'_> {
    /// A registry with one figure each.
    pub(super) fn registry(&self) -> Registry {
        let mut registry = Registry::with_prefix(PREFIX);
        let all = &mut registry;
        all.register(
            "build",
            "The version that runs",
            Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]),
        );
        number(all, "ready", "1 if the server takes commands and writes its journal", i64::from(self.ready));
        number(all, "feed_readers", "Readers of the events", count(self.readers));
        number(all, "subscriptions", "Standing orders for messages", count(self.state.subscriptions.len()));
        numbers(all, "hosts", "Hosts of the cloud, as they were last seen", self.hosts());
        let left_out = self.state.past.hosts().filter(|(_, past)| past.quarantined.is_some()).count();
        number(
            all,
            "hosts_left_out",
            "Hosts that a session left out and nobody has cleared",
            count(left_out),
        );
        numbers(all, "sessions", "Sessions, by state and condition", self.sessions());
        numbers(all, "session_hosts", "Hosts of sessions that have not ended, by stage", self.stages());
        numbers(all, "effects_in_flight", "Effects under way, by kind", self.effects());
        waiting(all, "asks_open", "Questions that managers have not answered", self.asks());
        waiting(all, "blockers", "What sessions wait for, by kind", self.blockers());
        waiting(all, "outbox", "Messages that wait for a subscriber", self.outbox());
        registry
    }

    fn hosts(&self) -> Counts {
        let mut counts = Counts::new();
        for host in self.state.inventory.hosts() {
            let enabled = matches!(host.service, fenix_core::inventory::Service::Enabled);
            let labels = vec![("up", truth(host.up)), ("enabled", truth(enabled))];
            *counts.entry(labels).or_default() += 1;
        }
        counts
    }

    fn sessions(&self) -> Counts {
        let mut counts = Counts::new();
        for session in self.state.sessions.values() {
            let condition = match session.condition {
                Condition::Running => "running",
                Condition::Paused => "paused",
                Condition::Parked { .. } => "parked",
                Condition::Closing { .. } => "closing",
                Condition::Ended => "ended",
            };
            let labels = vec![("state", session.phase.wire().into()), ("condition", condition.into())];
            *counts.entry(labels).or_default() += 1;
        }
        counts
    }

    fn stages(&self) -> Counts {
        let mut counts = zeros("stage", STAGES);
        let on = self.state.sessions.values().filter(|session| session.condition != Condition::Ended);
        for work in on.flat_map(|session| session.hosts.values()) {
            *counts.entry(vec![("stage", work.stage.name().into())]).or_default() += 1;
        }
        counts
    }

    fn effects(&self) -> Counts {
        let mut counts = zeros("effect", EFFECTS);
        for effect in self.state.sessions.values().flat_map(|session| session.effects.values()) {
            *counts.entry(vec![("effect", effect.kind.name().into())]).or_default() += 1;
        }
        counts
    }

    fn asks(&self) -> BTreeMap<Labels, Waiting> {
        let mut all: BTreeMap<Labels, Waiting> = zeros("ask", AskKind::ALL.map(AskKind::wire));
        for session in self.state.sessions.values() {
            for ask in session.open_asks.iter().filter_map(|ask| session.asks.get(ask)) {
                let age = self.now.since(ask.delivered_at.unwrap_or(ask.opened_at));
                all.entry(vec![("ask", ask.kind.wire().into())]).or_default().add(age.0);
            }
        }
        all
    }

    fn blockers(&self) -> BTreeMap<Labels, Waiting> {
        let mut all: BTreeMap<Labels, Waiting> = zeros("what", KINDS.map(word));
        for blocker in self.state.sessions.keys().flat_map(|id| blockers(self.state, id, self.now)) {
            all.entry(vec![("what", word(blocker.what).into())])
                .or_default()
                .add(self.now.since(blocker.since).0);
        }
        all
    }

    fn outbox(&self) -> BTreeMap<Labels, Waiting> {
        // Those for whom nothing waits are there too, with a zero.
        let mut all: BTreeMap<&str, Waiting> =
            self.state.subscriptions.keys().map(|id| (id.as_str(), Waiting::default())).collect();
        for message in self.state.sessions.values().flat_map(|session| session.outbox.iter()) {
            all.entry(message.to.as_str()).or_default().add(self.now.since(message.queued_at).0);
        }
        let mut busiest: Vec<(&str, Waiting)> = all.into_iter().collect();
        busiest.sort_by_key(|(_, waiting)| std::cmp::Reverse((waiting.oldest_ms, waiting.count)));
        let rest = busiest.split_off(busiest.len().min(SUBSCRIBERS));
        let labelled = |id: &str| vec![("subscription", Cow::from(id.to_owned()))];
        let mut shown: BTreeMap<Labels, Waiting> =
            busiest.into_iter().map(|(id, waiting)| (labelled(id), waiting)).collect();
        if !rest.is_empty() {
            let others = rest.iter().fold(Waiting::default(), |sum, (_, one)| Waiting {
                count: sum.count + one.count,
                oldest_ms: sum.oldest_ms.max(one.oldest_ms),
            });
            shown.insert(labelled(OTHERS), others);
        }
        shown
    }
}

fn word(what: What) -> String {
    serde_json::to_value(what).ok().and_then(|word| word.as_str().map(ToOwned::to_owned)).unwrap_or_default()
}

/// Nothing of each.
fn zeros<W: Into<Cow<'static, str>>, T: Default, const N: usize>(
    label: &'static str,
    words: [W; N],
) -> BTreeMap<Labels, T> {
    words.map(|word| (vec![(label, word.into())], T::default())).into()
}

fn truth(yes: bool) -> Cow<'static, str> {
    if yes { "true" } else { "false" }.into()
}

/// More than fit are not there.
fn count(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn number(registry: &mut Registry, name: &str, help: &str, value: i64) {
    let gauge: Gauge = Gauge::default();
    gauge.set(value);
    registry.register(name, help, gauge);
}

fn numbers(registry: &mut Registry, name: &str, help: &str, values: Counts) {
    let gauges = Family::<Labels, Gauge>::default();
    for (labels, value) in &values {
        gauges.get_or_create(labels).set(*value);
    }
    registry.register(name, help, gauges);
}

/// How many wait, and how long the oldest does.
fn waiting(registry: &mut Registry, name: &str, help: &str, values: BTreeMap<Labels, Waiting>) {
    let oldest = Family::<Labels, Gauge<f64, AtomicU64>>::default();
    for (labels, waiting) in &values {
        oldest.get_or_create(labels).set(waiting.oldest_ms as f64 / 1000.0);
    }
    registry.register(format!("{name}_oldest_seconds"), format!("{help}: how long the oldest waits"), oldest);
    numbers(
        registry,
        name,
        help,
        values.into_iter().map(|(labels, waiting)| (labels, waiting.count)).collect(),
    );
}
