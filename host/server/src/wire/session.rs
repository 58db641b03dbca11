//! What an administrator sends to start a session (contract 1.1), read in two stages: what is written, then what
//! it means with every name resolved.
//!
//! The body of the earlier Fenix is taken as it is. Beside it may stand `policies`, `terms` and `window_end`.

use std::collections::BTreeSet;

use fenix_core::id::HostId;
use fenix_core::package::PackageSpec;
use fenix_core::policy::Terms;
use fenix_core::session::{ActionSpec, Pin, Plan, Stage};
use fenix_core::standing::PluginKind;
use fenix_core::time::Time;
use fenix_packages::policy::Policy;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::terms::{PoliciesText, TermsText};
use super::{packages, python, time};
use crate::plugins::{Catalogue, Wish};

/// Most entries of an action list: stages run one plug-in after the other, and nobody has needed more than a few.
pub const MAX_ACTIONS: usize = 16;

/// Most bytes of JSON text that the metadata of all actions may have together: the plan is one record of the
/// journal, and records stay small.
pub const MAX_ACTION_METADATA: usize = 2048;

/// Longest host name in characters: what DNS allows, and what passes Ceilometer.
pub const MAX_HOST_NAME: usize = 255;

/// The workflow of a session that names none.
pub const DEFAULT_WORKFLOW: &str = "default";

/// The workflow that asks about each instance by itself.
pub const VNF_WORKFLOW: &str = "vnf";

/// Every key that means something in the body.
const KEYS: [&str; 10] = [
    "state",
    "maintenance_at",
    "metadata",
    "workflow",
    "hosts",
    "actions",
    "download",
    "policies",
    "terms",
    "window_end",
];

/// Why a body cannot start a session.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Invalid {
    /// What is wrong, with the key's name.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Invalid {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// A body, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// What is asked for.
    pub plan: Plan,
    /// On which hosts; empty = all.
    pub hosts: Vec<HostId>,
    /// What it brings.
    pub packages: Vec<PackageSpec>,
    /// Remarks for the sender: what was ignored.
    pub warnings: Vec<String>,
}

/// What is to be known to understand a body.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// The plug-ins that it may name.
    pub catalogue: &'a Catalogue,
    /// What fills what it leaves open.
    pub defaults: &'a Terms,
    /// What it may bring.
    pub packages: &'a Policy,
}

/// Reads a body, and resolves what it names; what it may bring is only named then.
///
/// # Errors
/// The first thing that is wrong, by its key.
pub fn read(body: &Map<String, Value>, known: Known<'_>) -> Result<Wanted, Invalid> {
    // The value is of no use: the earlier Fenix ignores it, and only MAINTENANCE can begin.
    let _state = optional_text(body, "state")?;
    let maintenance_at = read_time(body, "maintenance_at")?.ok_or_else(|| {
        Invalid::new("`maintenance_at` is missing")
            .hint("`YYYY-MM-DD HH:MM:SS` in UTC; a past time starts at once")
    })?;
    let window_end = read_time(body, "window_end")?;
    if window_end.is_some_and(|end| end <= maintenance_at) {
        return Err(Invalid::new(
            "`window_end` is not later than `maintenance_at`: no host could ever begin",
        ));
    }
    let packages = packages::read(list(body, "download")?, known.packages)?;
    let catalogue = Some(known.catalogue).filter(|_| packages.is_empty());
    let find = |kind: PluginKind, wish: &Wish| resolve(catalogue, kind, wish);
    let workflow = Wish::read(optional_text(body, "workflow")?.unwrap_or(DEFAULT_WORKFLOW));
    let workflow = workflow.map_err(|why| Invalid::new(format!("`workflow`: {why}")))?;
    let plan = Plan {
        maintenance_at,
        window_end,
        metadata: read_metadata(body)?,
        workflow: find(PluginKind::Workflow, &workflow)?,
        actions: read_actions(body, &find)?,
        terms: read_terms(body, &defaults_for(workflow.name(), known.defaults))?,
        own_host: None,
    };
    let warnings = body
        .keys()
        .filter(|key| !KEYS.contains(&key.as_str()))
        .map(|key| format!("unknown key {key:?} was ignored"))
        .collect();
    Ok(Wanted { plan, hosts: read_hosts(body)?, packages, warnings })
}

/// What a session's body leaves open: the first Fenix' `vnf` asks about each instance by itself (contract rule 11), and the
/// managers that it was made for understand nothing else.
fn defaults_for(workflow: &str, defaults: &Terms) -> Terms {
    let ask_per_instance = defaults.ask_per_instance || workflow == VNF_WORKFLOW;
    Terms { ask_per_instance, ..defaults.clone() }
}

/// The value under a key; `null` counts as absent.
fn value<'a>(body: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    body.get(key).filter(|value| !value.is_null())
}

fn optional_text<'a>(body: &'a Map<String, Value>, key: &str) -> Result<Option<&'a str>, Invalid> {
    match value(body, key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(Invalid::new(format!("`{key}` must be a text, not {}", kind(other)))),
    }
}

/// What a value is, for people.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn read_time(body: &Map<String, Value>, key: &str) -> Result<Option<Time>, Invalid> {
    let read = |text| time::parse(text).map_err(|error| Invalid::new(format!("`{key}`: {error}")));
    optional_text(body, key)?.map(read).transpose()
}

fn list<'a>(body: &'a Map<String, Value>, key: &str) -> Result<&'a [Value], Invalid> {
    match value(body, key) {
        None => Ok(&[]),
        Some(Value::Array(items)) => Ok(items),
        Some(other) => Err(Invalid::new(format!("`{key}` must be a list, not {}", kind(other)))),
    }
}

fn read_metadata(body: &Map<String, Value>) -> Result<String, Invalid> {
    let empty = json!({});
    let metadata = value(body, "metadata").unwrap_or(&empty);
    if !metadata.is_object() {
        return Err(Invalid::new(format!("`metadata` must be an object, not {}", kind(metadata))));
    }
    let length = python::repr(metadata).chars().count();
    if length > python::MAX_TEXT {
        let most = python::MAX_TEXT;
        return Err(Invalid::new(format!("`metadata` is {length} characters long as Python text"))
            .hint(format!("at most {most} reach the managers: Ceilometer cuts the rest off")));
    }
    Ok(metadata.to_string())
}

/// The plug-in of that name. Without a catalogue it is only named: whether there is one is seen once everything is here that
/// the session brings.
fn resolve(catalogue: Option<&Catalogue>, kind: PluginKind, wish: &Wish) -> Result<Pin, Invalid> {
    let Some(catalogue) = catalogue else { return Ok(wish.named()) };
    let name = wish.name();
    let (known, what) = match kind {
        PluginKind::Workflow => (catalogue.workflows(), "workflow"),
        PluginKind::Action => (catalogue.actions(), "action"),
    };
    let found = known.get(name).ok_or_else(|| {
        let names: Vec<&str> = known.keys().map(String::as_str).collect();
        let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let shown: String = name.chars().take(64).collect();
        Invalid::new(format!("there is no {what} {shown:?}")).hint(format!("known: {names}"))
    })?;
    wish.check(found).map(|()| found.clone()).map_err(Invalid::new)
}

/// Finds the plug-in of that name.
type Find<'a> = dyn Fn(PluginKind, &Wish) -> Result<Pin, Invalid> + 'a;

fn read_actions(body: &Map<String, Value>, find: &Find<'_>) -> Result<Vec<ActionSpec>, Invalid> {
    let items = list(body, "actions")?;
    if items.len() > MAX_ACTIONS {
        let count = items.len();
        return Err(Invalid::new(format!("`actions` has {count} entries, which is more than {MAX_ACTIONS}")));
    }
    let mut actions: Vec<ActionSpec> = Vec::with_capacity(items.len());
    for (i, item) in items.iter().enumerate() {
        let in_entry = |error: Invalid| Invalid {
            message: format!("`actions[{i}]`: {}", error.message),
            hint: error.hint,
        };
        let action = read_action(item, find).map_err(in_entry)?;
        if actions.iter().any(|a| a.stage == action.stage && a.plugin.name == action.plugin.name) {
            let (name, stage) = (&action.plugin.name, action.stage.wire());
            return Err(in_entry(Invalid::new(format!("{name:?} is there twice for type {stage}"))));
        }
        actions.push(action);
    }
    let metadata: usize = actions.iter().map(|action| action.metadata.len()).sum();
    if metadata > MAX_ACTION_METADATA {
        return Err(Invalid::new(format!(
            "the metadata of all actions is {metadata} bytes long, which is more than {MAX_ACTION_METADATA}"
        )));
    }
    actions.sort_by(|a, b| (a.stage, &a.plugin.name).cmp(&(b.stage, &b.plugin.name)));
    Ok(actions)
}

fn read_action(item: &Value, find: &Find<'_>) -> Result<ActionSpec, Invalid> {
    let Value::Object(item) = item else {
        return Err(Invalid::new(format!("must be an object with `plugin` and `type`, not {}", kind(item))));
    };
    let required =
        |key: &str| optional_text(item, key)?.ok_or_else(|| Invalid::new(format!("`{key}` is missing")));
    let name = required("plugin")?;
    let written = required("type")?;
    let stage = STAGES.into_iter().find(|stage| stage.wire() == written).ok_or_else(|| {
        let known: Vec<&str> = STAGES.iter().map(|stage| stage.wire()).collect();
        let shown: String = written.chars().take(64).collect();
        Invalid::new(format!("there is no type {shown:?}")).hint(format!("known: {}", known.join(", ")))
    })?;
    let metadata = match value(item, "metadata") {
        None => String::new(),
        Some(metadata @ Value::Object(_)) => metadata.to_string(),
        Some(other) => {
            return Err(Invalid::new(format!("`metadata` must be an object, not {}", kind(other))));
        }
    };
    Ok(ActionSpec {
        plugin: find(PluginKind::Action, &Wish::read(name).map_err(Invalid::new)?)?,
        stage,
        metadata,
    })
}

const STAGES: [Stage; 7] =
    [Stage::Assess, Stage::Pre, Stage::Host, Stage::Compute, Stage::Controller, Stage::Gate, Stage::Post];

fn read_hosts(body: &Map<String, Value>) -> Result<Vec<HostId>, Invalid> {
    let mut seen = BTreeSet::new();
    let mut hosts = Vec::new();
    for (i, item) in list(body, "hosts")?.iter().enumerate() {
        let Value::String(name) = item else {
            return Err(Invalid::new(format!("`hosts[{i}]` must be a host's name, not {}", kind(item))));
        };
        if name.is_empty() || name.chars().count() > MAX_HOST_NAME {
            return Err(Invalid::new(format!(
                "`hosts[{i}]` must be a host's name of 1 to {MAX_HOST_NAME} characters"
            )));
        }
        if !seen.insert(name) {
            return Err(Invalid::new(format!("`hosts[{i}]`: {name:?} is there twice")));
        }
        hosts.push(HostId::from(name));
    }
    Ok(hosts)
}

fn read_terms(body: &Map<String, Value>, defaults: &Terms) -> Result<Terms, Invalid> {
    let mut text: TermsText = read_part(body, "terms")?;
    if value(body, "policies").is_some() {
        if text.policies != PoliciesText::default() {
            return Err(Invalid::new("policies stand both in `policies` and in `terms`; write them once"));
        }
        text.policies = read_part(body, "policies")?;
    }
    text.over(defaults).map_err(Invalid::new)
}

fn read_part<T: DeserializeOwned + Default>(body: &Map<String, Value>, key: &str) -> Result<T, Invalid> {
    match value(body, key) {
        None => Ok(T::default()),
        Some(part @ Value::Object(_)) => {
            T::deserialize(part).map_err(|error| Invalid::new(format!("`{key}`: {error}")))
        }
        Some(other) => Err(Invalid::new(format!("`{key}` must be an object, not {}", kind(other)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pin(name: &str) -> Pin {
        Pin { name: name.into(), version: "0.1.0".into(), digest: "d".into(), undoes: false }
    }

    fn read_value(body: &Value) -> Result<Wanted, Invalid> {
        let catalogue = Catalogue::new([pin("default")], [pin("reboot"), pin("noop")]);
        let (defaults, packages) = (Terms::default(), Policy::default());
        let known = Known { catalogue: &catalogue, defaults: &defaults, packages: &packages };
        read(body.as_object().unwrap(), known)
    }

    fn sample() -> Value {
        json!({
            "hosts": ["compute-1", "compute-2"],
            "state": "MAINTENANCE",
            "maintenance_at": "2026-11-03 10:00:30",
            "metadata": {"openstack_version": "Train"},
            "workflow": "default",
            "actions": [
                {"plugin": "reboot", "type": "host", "metadata": {"soft": true}},
                {"plugin": "noop", "type": "host"},
                {"plugin": "noop", "type": "pre"},
            ],
            "download": [],
        })
    }

    fn sample_with(key: &str, value: Value) -> Value {
        let mut body = sample();
        body[key] = value;
        body
    }

    #[test]
    fn the_body_of_the_earlier_fenix_is_a_plan() {
        let Wanted { plan, hosts, packages, warnings } = read_value(&sample()).unwrap();
        assert_eq!(hosts, ["compute-1".into(), "compute-2".into()]);
        assert_eq!(plan.maintenance_at, Time(1_793_700_030_000));
        assert_eq!(plan.metadata, r#"{"openstack_version":"Train"}"#);
        assert_eq!(plan.workflow, pin("default"));
        let order: Vec<_> = plan.actions.iter().map(|a| (a.stage.wire(), a.plugin.name.as_str())).collect();
        assert_eq!(order, [("pre", "noop"), ("host", "noop"), ("host", "reboot")]);
        assert_eq!(plan.actions[2].metadata, r#"{"soft":true}"#);
        assert_eq!(plan.terms, Terms::default());
        assert!(warnings.is_empty() && packages.is_empty());
    }

    #[test]
    fn what_doctor_sends_is_enough() {
        let body = json!({"state": "MAINTENANCE", "maintenance_at": "2026-11-03 10:00:30",
            "metadata": {"openstack_version": "Train"}, "workflow": "default", "hosts": []});
        assert!(read_value(&body).unwrap().hosts.is_empty());
    }

    #[test]
    fn an_unknown_key_is_ignored_and_said_so() {
        let wanted = read_value(&sample_with("polices", json!(1))).unwrap();
        assert_eq!(wanted.warnings, ["unknown key \"polices\" was ignored"]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let check = |key: &str, value: Value, expected: &str| {
            let error = read_value(&sample_with(key, value)).expect_err(expected);
            let whole = format!("{} | {}", error.message, error.hint.unwrap_or_default());
            assert!(whole.contains(expected), "{whole}");
        };
        check("maintenance_at", json!(null), "`maintenance_at` is missing");
        check("maintenance_at", json!(5), "`maintenance_at` must be a text, not a number");
        check("maintenance_at", json!("tomorrow"), "`maintenance_at`: \"tomorrow\" is no time");
        check("state", json!([]), "`state` must be a text");
        check("metadata", json!("x"), "`metadata` must be an object, not a text");
        check("metadata", json!({"k": "x".repeat(247)}), "256 characters long as Python text");
        check("workflow", json!("os.system"), "known: default");
        check("workflow", json!(1), "`workflow` must be a text");
        check("hosts", json!("compute-1"), "`hosts` must be a list, not a text");
        check("hosts", json!([1]), "`hosts[0]`");
        check("hosts", json!(["a", "a"]), "`hosts[1]`: \"a\" is there twice");
        check("hosts", json!([""]), "`hosts[0]`");
        check("actions", json!({}), "`actions` must be a list");
        check("actions", json!(["reboot"]), "`actions[0]`: must be an object");
        check("actions", json!([{"type": "host"}]), "`actions[0]`: `plugin` is missing");
        check("actions", json!([{"plugin": "noop"}]), "`actions[0]`: `type` is missing");
        check("actions", json!([{"plugin": "rm", "type": "host"}]), "known: noop, reboot");
        check(
            "actions",
            json!([{"plugin": "noop", "type": "lunch"}]),
            "known: assess, pre, host, compute, controller",
        );
        check("actions", json!([{"plugin": "noop", "type": 3}]), "`type` must be a text");
        check("actions", json!([{"plugin": "noop", "type": "host", "metadata": 1}]), "`metadata` must be");
        let twice = json!([{"plugin": "noop", "type": "host"}, {"plugin": "noop", "type": "host"}]);
        check("actions", twice, "`actions[1]`: \"noop\" is there twice");
        check("actions", json!(vec![json!({}); 17]), "more than 16");
        let big = json!([{"plugin": "noop", "type": "host", "metadata": {"k": "x".repeat(2048)}}]);
        check("actions", big, "more than 2048");
        check("download", json!("http://x"), "`download` must be a list");
        check("download", json!(["http://x"]), "`packages.allow` names no place");
        check("window_end", json!("2026-11-03 10:00:30"), "not later than");
        check("policies", json!({"silence": "shout"}), "`policies`: unknown variant `shout`");
        check("policies", json!([]), "`policies` must be an object");
        check("terms", json!({"round": 1}), "`terms`: unknown field `round`");
    }
}
