//! Looks whether a host is reserved in Blazar, now or soon: a host that is gets left out of the session, and nobody is asked about
//! it.
//!
//! It looks before anything is changed and holds nothing: a reservation that is made afterwards is not seen. Blazar's monitor of
//! hosts, where it is switched on, takes a disabled host for one that failed, and moves the reservations that begin within its
//! `healing_interval` elsewhere. `hours` is better longer than that, and than the work.

mod metadata;

use fenix_plugin_keystone::{Access, Moment, Trouble, login, request};
use fenix_sdk::action::{Again, Assessment, Assignment, Failure, Http};
use metadata::Metadata;
use serde_json::Value;

fenix_sdk::action! {
    name: "blazar",
    assess: assess,
    http: [
        "POST *://*/*v3/auth/tokens",
        "GET *://*/*v1/*os-hosts",
        "GET *://*/*v1/*os-hosts/*/allocation",
    ],
}

/// The type of the service in the catalog.
const SERVICE: &str = "reservation";

/// Hosts of Blazar's that are one host of the cloud: of bare metal, one compute service has many nodes. With the token and the
/// list of hosts these are five calls, each of which may take 10 seconds.
const MOST_HOSTS: usize = 3;

/// Longest id of a host in bytes; they are numbers or UUIDs.
const MAX_ID: usize = 64;

/// Characters that are shown of what Blazar says.
const SHOWN: usize = 80;

const SECONDS_OF_AN_HOUR: i64 = 3_600;

/// A reservation of a host.
struct Reservation {
    /// The lease that it belongs to, as it is shown.
    lease: String,
    start: Moment,
    end: Moment,
}

/// Looks, after so many attempts in vain as the checkpoint counts.
///
/// # Errors
/// Keystone or Blazar refuses, or nobody answers, or an answer says no time; or the metadata cannot be understood.
pub fn assess(
    http: &mut dyn Http,
    assignment: &Assignment,
    checkpoint: Option<&str>,
) -> Result<Assessment, Failure> {
    let metadata = Metadata::read(&assignment.metadata)?;
    let host = assignment.host.as_deref().ok_or_else(|| {
        Failure::BadMetadata(format!("blazar: there is no host in stage {}", assignment.stage))
    })?;
    let tries = checkpoint
        .map_or(Some(0), |checkpoint| checkpoint.strip_prefix("looking ")?.parse().ok())
        .ok_or_else(|| Failure::Failed("the checkpoint is not one of blazar's".to_owned()))?;
    look(http, &metadata, host).or_else(|trouble| {
        let retry = trouble.retry(tries)?;
        let checkpoint = format!("looking {}", retry.tries);
        Ok(Assessment::Again(Again { after_ms: retry.after_ms, checkpoint, percent: 10 }))
    })
}

fn look(http: &mut dyn Http, metadata: &Metadata, name: &str) -> Result<Assessment, Trouble> {
    let access = login(http, &metadata.auth)?;
    let now = access.date().and_then(Moment::of_http).ok_or_else(|| {
        Failure::Failed(format!(
            "POST {}/auth/tokens answers without the time, by which a reservation is near or far",
            metadata.auth.base()
        ))
    })?;
    let base = access.endpoint(metadata.url.as_deref(), SERVICE, "v1")?;
    let ids = ids(http, &access, &base, name)?;
    if ids.is_empty() {
        return Ok(Assessment::Needed(format!("Blazar does not know {name}: nobody can have reserved it")));
    }
    let until = now.later(i64::from(metadata.hours) * SECONDS_OF_AN_HOUR);
    let mut first = None::<Reservation>;
    for id in ids {
        for reservation in reservations(http, &access, format!("{base}/os-hosts/{id}/allocation"))? {
            let is_near = reservation.start < until && reservation.end > now;
            if is_near && first.as_ref().is_none_or(|first| reservation.start < first.start) {
                first = Some(reservation);
            }
        }
    }
    Ok(match first {
        None => Assessment::Needed(format!("nobody has reserved {name} in Blazar before {until} UTC")),
        Some(Reservation { lease, start, end }) if start <= now => Assessment::Blocked(format!(
            "{name} is reserved in Blazar by lease {lease}, which began at {start} UTC and ends at {end} UTC"
        )),
        Some(Reservation { lease, start, .. }) => Assessment::Blocked(format!(
            "{name} is reserved in Blazar by lease {lease}, which begins at {start} UTC, in less than {} hours",
            metadata.hours
        )),
    })
}

/// The ids under which Blazar knows the host.
fn ids(http: &mut dyn Http, access: &Access, base: &str, name: &str) -> Result<Vec<String>, Trouble> {
    let ask = request("GET", format!("{base}/os-hosts"), None);
    let read = access.read(http, &ask)?;
    // The name of the hypervisor may have a domain; that of the service is what the cloud calls the host.
    let is_it = |host: &&Value| {
        ["hypervisor_hostname", "service_name", "name"].iter().any(|field| host[*field] == *name)
    };
    let known = list(&read, "hosts", &ask.url)?;
    let ids: Vec<String> =
        known.iter().filter(is_it).map(|host| id(host, &ask.url)).collect::<Result<_, _>>()?;
    match ids.len() > MOST_HOSTS {
        true => {
            let why = format!("{name} is {} hosts in Blazar, and {MOST_HOSTS} are looked at", ids.len());
            Err(Failure::Failed(why).into())
        }
        false => Ok(ids),
    }
}

/// The reservations of a host that are not over.
fn reservations(http: &mut dyn Http, access: &Access, url: String) -> Result<Vec<Reservation>, Trouble> {
    let ask = request("GET", url, None);
    let read = access.read(http, &ask)?;
    let said = list(&read["allocation"], "reservations", &ask.url)?;
    Ok(said.iter().map(|reservation| read_reservation(reservation, &ask.url)).collect::<Result<_, _>>()?)
}

/// Blazar's word is taken as a whole: a reservation that cannot be read may be the one that matters.
fn read_reservation(said: &Value, url: &str) -> Result<Reservation, Failure> {
    let lease = shown(said["lease_id"].as_str().unwrap_or("without an id"));
    let moment = |field: &str| {
        said[field].as_str().and_then(Moment::of_iso).ok_or_else(|| {
            let found = shown(&said[field].to_string());
            Failure::Failed(format!(
                "GET {url} answers with a {field} of lease {lease} that is no time: {found}"
            ))
        })
    };
    let (start, end) = (moment("start_date")?, moment("end_date")?);
    match start <= end {
        true => Ok(Reservation { lease, start, end }),
        false => {
            let why = format!("GET {url} says of lease {lease} that it ends at {end}, and begins at {start}");
            Err(Failure::Failed(why))
        }
    }
}

fn list<'a>(read: &'a Value, name: &str, url: &str) -> Result<&'a Vec<Value>, Failure> {
    read[name]
        .as_array()
        .ok_or_else(|| Failure::Failed(format!("GET {url} answers without a list of {name}")))
}

/// The id of a host. It becomes a part of an address, so it is nothing else.
fn id(of: &Value, url: &str) -> Result<String, Failure> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let id = match &of["id"] {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => String::new(),
    };
    match (1..=MAX_ID).contains(&id.len()) && id.bytes().all(plain) && !id.starts_with('-') {
        true => Ok(id),
        false => Err(Failure::Failed(format!("GET {url} answers with an id of a host that is none"))),
    }
}

/// The beginning of a text, in one line.
fn shown(text: &str) -> String {
    text.chars().take(SHOWN).map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

#[cfg(test)]
mod tests;
