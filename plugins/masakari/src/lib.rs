//! Tells Masakari that a host is under maintenance, so that it evacuates nothing from it, and afterwards that it is not any more.
//!
//! Masakari sets the same mark itself, on a host that failed, and so may people; nobody but them knows when it may go. So what
//! stood there before is kept for the length of the session, and only what `set` has set is cleared. Both look before they do
//! anything, so either may be repeated. Both may be a gate: after a host that was given back the mark is cleared, and then it goes
//! on.

mod metadata;

use fenix_plugin_keystone::{Access, Trouble, body, login, opening, refused, request, words};
use fenix_sdk::action::{Again, Assignment, Failure, Http, Kv, Opening, Progress};
use metadata::{Metadata, What};
use serde_json::{Value, json};

fenix_sdk::action! {
    name: "masakari",
    run: run,
    gate: gate,
    http: [
        "POST *://*/*v3/auth/tokens",
        "GET *://*/*v1/*segments",
        "GET *://*/*v1/*segments/*/hosts",
        "PUT *://*/*v1/*segments/*/hosts/*",
    ],
}

/// The type of the service in the catalog.
const SERVICE: &str = "instance-ha";

/// Segments whose hosts are read in one call of the action: with the token, the list of segments and the change these are six
/// calls, each of which may take 10 seconds; the action may take 60.
const AT_ONCE: usize = 3;

/// Milliseconds until what a recovery was in the way of is tried again.
pub const BUSY_WAIT_MS: u32 = 30_000;

/// Such attempts: half an hour, in which Masakari has evacuated a host.
pub const BUSY_TRIES: u32 = 60;

/// Calls of the action that look for a host: Masakari lists at most 1,000 segments.
const MAX_ROUNDS: u32 = 400;

/// Longest id in bytes; they are UUIDs.
const MAX_ID: usize = 64;

/// What is kept of a host that was not on maintenance before it was set.
const NOT_BEFORE: &str = "false";

/// What is kept of one that was.
const BEFORE: &str = "true";

/// What it uses. To import a capability is to ask for it: these two, and no more.
pub trait Needs: Http + Kv {}

impl<T: Http + Kv> Needs for T {}

/// How far it is, as the checkpoint says: `seeking TRIES BUSY ROUNDS AFTER`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Stand {
    /// Attempts since the last answer.
    tries: u32,
    /// Attempts that a recovery was in the way of.
    busy: u32,
    /// Calls that found the host in none of the segments they looked at.
    rounds: u32,
    /// The last segment in which the host is not; they are looked at in the order of their ids.
    after: Option<String>,
}

/// A host as Masakari knows it.
struct Member {
    url: String,
    on_maintenance: bool,
}

/// What came of looking for a host.
enum Found {
    Member(Member),
    /// In no segment up to this one.
    NotYet(String),
    Nowhere,
}

/// Takes it from where the checkpoint says.
///
/// # Errors
/// Keystone or Masakari refuses, or nobody answers, or a recovery takes too long; or the metadata cannot be understood.
pub fn run(
    host: &mut dyn Needs,
    assignment: &Assignment,
    checkpoint: Option<&str>,
) -> Result<Progress, Failure> {
    let metadata = Metadata::read(&assignment.metadata)?;
    let name = assignment.host.as_deref().ok_or_else(|| {
        Failure::BadMetadata(format!("masakari: there is no host in stage {}", assignment.stage))
    })?;
    let stand = checkpoint
        .map_or_else(|| Some(Stand::default()), parse)
        .ok_or_else(|| Failure::Failed("the checkpoint is not one of masakari's".to_owned()))?;
    attempt(host, &metadata, name, &stand).or_else(|trouble| {
        let retry = trouble.retry(stand.tries)?;
        Ok(again(retry.after_ms, &Stand { tries: retry.tries, ..stand }))
    })
}

/// The same, and it may go on once it is done.
///
/// # Errors
/// As [`run`].
pub fn gate(
    host: &mut dyn Needs,
    assignment: &Assignment,
    checkpoint: Option<&str>,
) -> Result<Opening, Failure> {
    Ok(opening(run(host, assignment, checkpoint)?, "Masakari"))
}

fn attempt(
    host: &mut dyn Needs,
    metadata: &Metadata,
    name: &str,
    stand: &Stand,
) -> Result<Progress, Trouble> {
    let before = host.get(&key(name))?;
    if metadata.what == What::Clear && before.as_deref() != Some(NOT_BEFORE) {
        if before.is_none() {
            return done(format!("{name}: nothing of this session's to clear in Masakari"));
        }
        host.set(&key(name), None)?;
        return done(format!("{name} was on maintenance in Masakari before, and stays so"));
    }
    let access = login(host, &metadata.auth)?;
    let base = access.endpoint(metadata.url.as_deref(), SERVICE, "v1")?;
    match find(host, &access, &base, name, stand.after.as_deref())? {
        Found::Member(member) => {
            change(host, &access, (name, metadata.what), member, before.as_deref(), stand)
        }
        Found::NotYet(after) => {
            let rounds = stand.rounds.saturating_add(1);
            if rounds > MAX_ROUNDS {
                let why = format!("{name} is in none of the segments that {MAX_ROUNDS} calls looked at");
                return Err(Failure::Failed(why).into());
            }
            Ok(again(0, &Stand { tries: 0, busy: stand.busy, rounds, after: Some(after) }))
        }
        Found::Nowhere => {
            if before.is_some() {
                host.set(&key(name), None)?;
            }
            done(format!("{name} is in no segment of Masakari, which does nothing about it"))
        }
    }
}

/// Looks for the host in some more segments.
fn find(
    host: &mut dyn Needs,
    access: &Access,
    base: &str,
    name: &str,
    after: Option<&str>,
) -> Result<Found, Trouble> {
    let ask = request("GET", format!("{base}/segments"), None);
    let read = access.read(host, &ask)?;
    let mut segments = Vec::new();
    for segment in list(&read, "segments", &ask.url)? {
        segments.push(id(segment, &ask.url)?);
    }
    // In an order in which one that comes or goes meanwhile does not shift the others.
    segments.sort_unstable();
    segments.retain(|segment| after.is_none_or(|after| *segment > after));
    for segment in segments.iter().take(AT_ONCE) {
        if let Some(member) = member(host, access, format!("{base}/segments/{segment}/hosts"), name)? {
            return Ok(Found::Member(member));
        }
    }
    Ok(match segments.get(AT_ONCE - 1) {
        Some(last) if segments.len() > AT_ONCE => Found::NotYet((*last).to_owned()),
        Some(_) | None => Found::Nowhere,
    })
}

/// The host, if it is one of a segment's.
fn member(host: &mut dyn Needs, access: &Access, url: String, name: &str) -> Result<Option<Member>, Trouble> {
    let ask = request("GET", url, None);
    let answer = access.send(host, &ask)?;
    if answer.status == 404 {
        // The segment was deleted meanwhile.
        return Ok(None);
    }
    let (read, url) = (body(&ask, &answer)?, &ask.url);
    let Some(found) = list(&read, "hosts", url)?.iter().find(|host| host["name"] == *name) else {
        return Ok(None);
    };
    let on_maintenance = found["on_maintenance"].as_bool().ok_or_else(|| {
        Failure::Failed(format!("GET {url} does not say of {name} whether it is on_maintenance"))
    })?;
    Ok(Some(Member { url: format!("{url}/{}", id(found, url)?), on_maintenance }))
}

/// Sets the mark, or clears it.
fn change(
    host: &mut dyn Needs,
    access: &Access,
    (name, what): (&str, What),
    member: Member,
    before: Option<&str>,
    stand: &Stand,
) -> Result<Progress, Trouble> {
    let wanted = what == What::Set;
    // Kept before the change, so that a repeat does not take ours for somebody else's. What somebody else has cleared since it
    // was kept is ours if we set it now.
    match (what, member.on_maintenance, before) {
        (What::Set, true, None) => host.set(&key(name), Some(BEFORE))?,
        (What::Set, false, kept) if kept != Some(NOT_BEFORE) => host.set(&key(name), Some(NOT_BEFORE))?,
        (What::Set | What::Clear, _, _) => {}
    }
    if member.on_maintenance != wanted {
        let ask = request("PUT", member.url, Some(&json!({ "host": { "on_maintenance": wanted } })));
        let answer = access.send(host, &ask)?;
        match answer.status {
            200..300 => {}
            // The segment is under recovery.
            409 => {
                let (busy, why) = (stand.busy.saturating_add(1), words(&ask, &answer));
                if busy >= BUSY_TRIES {
                    return Err(Failure::Failed(format!("{BUSY_TRIES} attempts, the last one: {why}")).into());
                }
                fenix_sdk::log::warn(&why);
                return Ok(again(BUSY_WAIT_MS, &Stand { busy, ..Stand::default() }));
            }
            _ => return Err(refused(&ask, &answer).into()),
        }
    }
    match what {
        What::Set => done(format!("{name} is on maintenance in Masakari")),
        What::Clear => {
            // Forgotten after the change, so that a repeat still makes it.
            host.set(&key(name), None)?;
            done(format!("{name} is not on maintenance in Masakari any more"))
        }
    }
}

/// The name of what is kept of a host.
fn key(name: &str) -> String {
    format!("was {name}")
}

fn list<'a>(read: &'a Value, name: &str, url: &str) -> Result<&'a Vec<Value>, Failure> {
    read[name]
        .as_array()
        .ok_or_else(|| Failure::Failed(format!("GET {url} answers without a list of {name}")))
}

/// The id of a segment or a host. It becomes a part of an address, so it is nothing else.
fn id<'a>(of: &'a Value, url: &str) -> Result<&'a str, Failure> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let is_id =
        |id: &&str| id.len() <= MAX_ID && id.bytes().all(plain) && !id.starts_with('-') && !id.is_empty();
    let none = || Failure::Failed(format!("GET {url} answers with a uuid that is none"));
    of["uuid"].as_str().filter(is_id).ok_or_else(none)
}

fn parse(checkpoint: &str) -> Option<Stand> {
    let words: Vec<&str> = checkpoint.split(' ').collect();
    let ["seeking", tries, busy, rounds, after] = words[..] else { return None };
    let after = Some(after).filter(|after| *after != "-").map(str::to_owned);
    let number = |word: &str| word.parse().ok();
    Some(Stand { tries: number(tries)?, busy: number(busy)?, rounds: number(rounds)?, after })
}

fn again(after_ms: u32, stand: &Stand) -> Progress {
    let Stand { tries, busy, rounds, after } = stand;
    let checkpoint = format!("seeking {tries} {busy} {rounds} {}", after.as_deref().unwrap_or("-"));
    Progress::Again(Again { after_ms, checkpoint, percent: 10 })
}

fn done(report: String) -> Result<Progress, Trouble> {
    Ok(Progress::Done(report))
}

#[cfg(test)]
mod tests;
