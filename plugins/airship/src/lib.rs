//! Has Shipyard of Airship work on a host, and waits until that is done.
//!
//! Shipyard starts an action as often as it is told to, so before it is told the checkpoint says that it will be, and what it has
//! begun is looked up first: each action carries the key of this piece of work. One that has failed is begun anew only when the
//! session tries again: then it carries another mark.

mod metadata;

use fenix_plugin_keystone::{Access, Trouble, body, login, request};
use fenix_sdk::action::{Again, Assignment, Failure, Header, Http, Kv, Progress};
use metadata::{MARK, Metadata};
use serde_json::{Value, json};

fenix_sdk::action! {
    name: "airship",
    run: run,
    http: [
        "POST *://*/*v3/auth/tokens",
        "GET,POST *://*/*api/v1.0/actions",
        "GET *://*/*api/v1.0/actions/*",
    ],
}

/// The type of the service in the catalog.
const SERVICE: &str = "shipyard";

/// The base of its API.
const VERSION: &str = "api/v1.0";

/// Milliseconds until Shipyard has written down an action that it was told to start, without an answer: it asks others first.
pub const SETTLE_MS: u32 = 180_000;

/// Longest id of an action in bytes; they are ULIDs.
const MAX_ID: usize = 64;

/// Steps that a failure names.
const SHOWN_STEPS: usize = 5;

/// What it uses. To import a capability is to ask for it: these two, and no more.
pub trait Needs: Http + Kv {}

impl<T: Http + Kv> Needs for T {}

/// How far it is, as the checkpoint says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stand<'a> {
    /// It is about to be started, or was, after so many attempts in vain.
    Starting { tries: u32 },
    /// It was started under this id. `looks` counts them, `tries` the attempts since the last answer.
    Watching { looks: u32, tries: u32, id: &'a str },
}

impl Stand<'_> {
    /// Attempts in vain up to here.
    fn tries(self) -> u32 {
        match self {
            Stand::Starting { tries } | Stand::Watching { tries, .. } => tries,
        }
    }

    /// As far as it was, after so many attempts in vain.
    fn after(self, tries: u32) -> Self {
        match self {
            Stand::Starting { .. } => Stand::Starting { tries },
            Stand::Watching { looks, id, .. } => Stand::Watching { looks, tries, id },
        }
    }
}

/// Takes it from where the checkpoint says.
///
/// # Errors
/// Keystone or Shipyard refuses, or nobody answers, or the action fails; or the metadata cannot be understood.
pub fn run(
    host: &mut dyn Needs,
    assignment: &Assignment,
    checkpoint: Option<&str>,
) -> Result<Progress, Failure> {
    let metadata = Metadata::read(&assignment.metadata)?;
    let Some(checkpoint) = checkpoint else {
        // What is wrong with the parameters is said before anything is done.
        metadata.parameters(assignment, "")?;
        return Ok(again(0, &metadata, Stand::Starting { tries: 0 }));
    };
    let unknown = || Failure::Failed("the checkpoint is not one of airship's".to_owned());
    let stand = parse(checkpoint).ok_or_else(unknown)?;
    let answer = match stand {
        Stand::Starting { tries } => start(host, assignment, &metadata, tries),
        Stand::Watching { looks, id, .. } => look(host, assignment, &metadata, looks, id),
    };
    answer.or_else(|trouble| {
        let retry = trouble.retry(stand.tries())?;
        Ok(again(retry.after_ms, &metadata, stand.after(retry.tries)))
    })
}

/// Starts it, unless it was started.
fn start(
    host: &mut dyn Needs,
    assignment: &Assignment,
    metadata: &Metadata,
    tries: u32,
) -> Result<Progress, Trouble> {
    let mark = mark(&assignment.key, failures(host, assignment)?);
    let watching = |id| again(metadata.every * 1000, metadata, Stand::Watching { looks: 0, tries: 0, id });
    let access = login(host, &metadata.auth)?;
    let actions = format!("{}/actions", access.endpoint(metadata.url.as_deref(), SERVICE, VERSION)?);
    if let Some(id) = begun(host, &access, &actions, &mark)? {
        fenix_sdk::log::info(&format!("{id} of Shipyard is this action"));
        return Ok(watching(&id));
    }
    let wanted = json!({ "name": metadata.name, "parameters": metadata.parameters(assignment, &mark)? });
    let mut ask = request("POST", actions, Some(&wanted));
    ask.headers.push(Header { name: "x-context-marker".to_owned(), value: uuid(&mark) });
    let answer = match access.send(host, &ask) {
        Err(trouble @ Trouble::Passing { sent: true, .. }) => {
            let retry = trouble.retry(tries)?;
            let stand = Stand::Starting { tries: retry.tries };
            return Ok(again(retry.after_ms.max(SETTLE_MS), metadata, stand));
        }
        answer => answer?,
    };
    let read = body(&ask, &answer)?;
    Ok(watching(id(&read).ok_or_else(|| Failure::Failed(format!("POST {} answers without an id", ask.url)))?))
}

/// The action that carries that mark, if there is one.
fn begun(
    host: &mut dyn Needs,
    access: &Access,
    actions: &str,
    mark: &str,
) -> Result<Option<String>, Trouble> {
    let read = access.read(host, &request("GET", actions.to_owned(), None))?;
    let without = |what: &str| Failure::Failed(format!("GET {actions} answers without {what}"));
    let all = read.as_array().ok_or_else(|| without("a list of actions"))?;
    let marker = uuid(mark);
    // Its documentation says that Shipyard keeps the marker of whoever calls; its code keeps one of its own.
    let is_ours = |action: &&Value| {
        action["parameters"][MARK] == *mark || action["context_marker"].as_str() == Some(marker.as_str())
    };
    // If it was begun twice after all, then the second one has failed, since Shipyard runs one at a time.
    let ours = all.iter().filter(is_ours).min_by_key(|action| has_failed(action));
    match ours {
        Some(action) => Ok(Some(id(action).ok_or_else(|| without("the id of one"))?.to_owned())),
        None => Ok(None),
    }
}

/// Looks whether it is done.
fn look(
    host: &mut dyn Needs,
    assignment: &Assignment,
    metadata: &Metadata,
    looks: u32,
    id: &str,
) -> Result<Progress, Trouble> {
    let access = login(host, &metadata.auth)?;
    let base = access.endpoint(metadata.url.as_deref(), SERVICE, VERSION)?;
    let ask = request("GET", format!("{base}/actions/{id}"), None);
    let read = access.read(host, &ask)?;
    if !read.is_object() {
        return Err(Failure::Failed(format!("GET {} answers with what is no action", ask.url)).into());
    }
    // Shipyard says nothing of an action that Airflow has not taken up yet.
    let state = read["action_lifecycle"].as_str().unwrap_or("Pending");
    let named = format!("{} {id} of Shipyard is {state}", metadata.name);
    if state == "Complete" {
        return Ok(Progress::Done(named));
    }
    if has_failed(&read) {
        // Known before the session hears of it, and tries again.
        let failures = failures(host, assignment)?.saturating_add(1);
        host.set(&failures_key(assignment), Some(&failures.to_string()))?;
        return Err(Failure::Failed(format!("{named}{}", failed_steps(&read))).into());
    }
    // Pending, Processing, Paused, which somebody may end, and what Shipyard itself does not know.
    if looks.saturating_add(1) >= metadata.looks {
        return Err(Failure::Failed(format!("{named} after {} looks", metadata.looks)).into());
    }
    Ok(again(metadata.every * 1000, metadata, Stand::Watching { looks: looks + 1, tries: 0, id }))
}

/// True if an action has come to an end that is none to wait for.
fn has_failed(action: &Value) -> bool {
    matches!(action["action_lifecycle"].as_str(), Some("Failed" | "Terminated" | "Stopped"))
}

/// Where it failed, in words.
fn failed_steps(action: &Value) -> String {
    let steps = action["steps"].as_array().map(Vec::as_slice).unwrap_or_default();
    let failed = steps.iter().filter(|step| step["state"] == "failed");
    let names: Vec<&str> = failed.filter_map(|step| step["id"].as_str()).take(SHOWN_STEPS).collect();
    if names.is_empty() { String::new() } else { format!(", at {}", names.join(", ")) }
}

/// The id of an action. It becomes a part of an address and of a checkpoint, so it is nothing else.
fn id(action: &Value) -> Option<&str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    action["id"].as_str().filter(|id| (1..=MAX_ID).contains(&id.len()) && id.bytes().all(plain))
}

/// How often what was started for this piece of work has failed: the session may try again.
fn failures(host: &mut dyn Needs, assignment: &Assignment) -> Result<u32, Trouble> {
    let kept = host.get(&failures_key(assignment))?;
    Ok(kept.and_then(|kept| kept.parse().ok()).unwrap_or(0))
}

fn failures_key(assignment: &Assignment) -> String {
    format!("failures {}", assignment.key)
}

/// What an action is known again by.
fn mark(key: &str, failures: u32) -> String {
    match failures {
        0 => key.to_owned(),
        failures => format!("{key} after {failures}"),
    }
}

/// A UUID that belongs to a text: its hash (FNV-1a, 128 bits) in the form of RFC 9562, 5.8.
fn uuid(text: &str) -> String {
    let mix = |hash: u128, byte: u8| (hash ^ u128::from(byte)).wrapping_mul(0x0100_0000_0000_0000_0000_013b);
    let hash = text.bytes().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, mix);
    let version = hash & !(0xf << 76) | 0x8 << 76;
    let bits = version & !(0x3 << 62) | 0x2 << 62;
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

fn parse(checkpoint: &str) -> Option<Stand<'_>> {
    let words: Vec<&str> = checkpoint.split(' ').collect();
    match words[..] {
        ["starting", tries] => Some(Stand::Starting { tries: tries.parse().ok()? }),
        ["watching", looks, tries, id] => {
            Some(Stand::Watching { looks: looks.parse().ok()?, tries: tries.parse().ok()?, id })
        }
        _ => None,
    }
}

fn again(after_ms: u32, metadata: &Metadata, stand: Stand<'_>) -> Progress {
    let (checkpoint, percent) = match stand {
        Stand::Starting { tries } => (format!("starting {tries}"), 0),
        Stand::Watching { looks, tries, id } => {
            let part = u64::from(looks) * 80 / u64::from(metadata.looks.max(1));
            (format!("watching {looks} {tries} {id}"), 10 + u8::try_from(part.min(80)).unwrap_or(80))
        }
    };
    Progress::Again(Again { after_ms, checkpoint, percent })
}

#[cfg(test)]
mod tests;
