//! Tells Vitrage that a host goes down, or is up again.
//!
//! Vitrage knows nothing of maintenance. What it knows is the event `compute.host.down` of its datasource `doctor`, in which the
//! cause says the rest. It keeps one such alarm of each host, so an event may be repeated. As a gate it says so after a host, and then
//! it goes on.

use fenix_plugin_keystone::{Auth, Moment, Trouble, check_url, login, opening, refused, request};
use fenix_sdk::action::{Again, Assignment, Failure, Http, Opening, Progress};
use serde::Deserialize;
use serde_json::json;

fenix_sdk::action! {
    name: "vitrage",
    run: run,
    gate: gate,
    http: ["POST *://*/*v3/auth/tokens", "POST *://*/*v1/event/"],
}

/// The type of the service in the catalog.
const SERVICE: &str = "rca";

/// What to say, and by which account.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Metadata {
    /// Whose token it uses.
    auth: Auth,
    /// Where Vitrage is; where Keystone's catalog says if this is left out.
    #[serde(default)]
    url: Option<String>,
    /// How the host is.
    say: Say,
    /// How bad that is, in a word of Vitrage's.
    #[serde(default = "critical")]
    severity: String,
}

/// How the host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Say {
    Down,
    Up,
}

impl Say {
    fn word(self) -> &'static str {
        match self {
            Say::Down => "down",
            Say::Up => "up",
        }
    }
}

fn critical() -> String {
    "critical".to_owned()
}

impl Metadata {
    /// Reads it.
    fn read(text: &str) -> Result<Metadata, Failure> {
        let bad = |why: String| Failure::BadMetadata(format!("vitrage: {why}"));
        let metadata: Metadata = serde_json::from_str(text).map_err(|error| bad(error.to_string()))?;
        metadata.auth.check().map_err(bad)?;
        metadata.url.as_ref().map_or(Ok(()), |url| check_url("url", url)).map_err(bad)?;
        match metadata.severity.is_empty() {
            true => Err(bad("severity is a word of Vitrage's, like critical".to_owned())),
            false => Ok(metadata),
        }
    }
}

/// Says it, after so many attempts in vain as the checkpoint counts.
///
/// # Errors
/// Keystone or Vitrage refuses, or nobody answers, or Keystone does not say the time; or the metadata cannot be understood.
pub fn run(
    http: &mut dyn Http,
    assignment: &Assignment,
    checkpoint: Option<&str>,
) -> Result<Progress, Failure> {
    let metadata = Metadata::read(&assignment.metadata)?;
    let host = assignment.host.as_deref().ok_or_else(|| {
        Failure::BadMetadata(format!("vitrage: there is no host in stage {}", assignment.stage))
    })?;
    let tries = checkpoint
        .map_or(Some(0), |checkpoint| checkpoint.strip_prefix("saying ")?.parse().ok())
        .ok_or_else(|| Failure::Failed("the checkpoint is not one of vitrage's".to_owned()))?;
    say(http, &metadata, host, &assignment.key).or_else(|trouble| {
        let retry = trouble.retry(tries)?;
        let checkpoint = format!("saying {}", retry.tries);
        Ok(Progress::Again(Again { after_ms: retry.after_ms, checkpoint, percent: 10 }))
    })
}

/// The same, and it may go on once that is said.
///
/// # Errors
/// As [`run`].
pub fn gate(
    http: &mut dyn Http,
    assignment: &Assignment,
    checkpoint: Option<&str>,
) -> Result<Opening, Failure> {
    Ok(opening(run(http, assignment, checkpoint)?, "Vitrage"))
}

fn say(http: &mut dyn Http, metadata: &Metadata, host: &str, key: &str) -> Result<Progress, Trouble> {
    let access = login(http, &metadata.auth)?;
    // A plug-in has no clock, and an event has a time.
    let time = access.date().and_then(Moment::of_http).ok_or_else(|| {
        Failure::Failed(format!(
            "POST {}/auth/tokens answers without the time, which the event needs",
            metadata.auth.base()
        ))
    })?;
    let base = access.endpoint(metadata.url.as_deref(), SERVICE, "v1")?;
    let status = metadata.say.word();
    let event = json!({
        // Vitrage reads no other form: it wants parts of a second, and no zone, by which it means UTC.
        "time": format!("{time}.000000"),
        "type": "compute.host.down",
        "details": {
            "hostname": host,
            "status": status,
            "severity": metadata.severity,
            "cause": "maintenance",
            "source": "fenix",
            "monitor_id": "fenix",
            "monitor_event_id": key,
        },
    });
    let ask = request("POST", format!("{base}/event/"), Some(&event));
    let answer = access.send(http, &ask)?;
    match answer.status {
        200..300 => Ok(Progress::Done(format!("Vitrage was told that {host} is {status}"))),
        _ => Err(refused(&ask, &answer).into()),
    }
}

#[cfg(test)]
mod tests;
