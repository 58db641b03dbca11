//! Masakari: it must not take a host that is being worked on for one that died.
//!
//! Its flag `on_maintenance` is set with the fence and taken back with it, if it was not set before. That it was set
//! by us has to outlive us: it stands as a mark behind the reason beside Nova's service, from before the flag is set until
//! after it was taken back, so that a release can be begun again wherever it stopped. A fence does not stand or fall with
//! Masakari: a host is emptied before it is worked on, so that there is nothing on it to be rescued wrongly.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use super::client::{Client, Fault, Service::InstanceHa};

/// Times that the flag is set, if Masakari does not take it at once.
const SET_TRIES: u32 = 3;

/// Pause between two of them.
const SET_PAUSE: Duration = Duration::from_millis(500);

/// Behind the reason while the flag is ours.
pub(super) const SET: &str = " [masakari: set]";

/// Behind the reason while the flag is being taken back.
pub(super) const CLEARING: &str = " [masakari: clearing]";

/// A reason without its mark, and the mark.
pub(super) fn split(reason: &str) -> (&str, Option<&'static str>) {
    let marked = |mark: &'static str| reason.strip_suffix(mark).map(|bare| (bare, Some(mark)));
    marked(SET).or_else(|| marked(CLEARING)).unwrap_or((reason, None))
}

#[derive(Debug, Deserialize)]
struct Segments {
    segments: Vec<Segment>,
}

#[derive(Debug, Deserialize)]
struct Segment {
    uuid: String,
}

#[derive(Debug, Deserialize)]
struct Hosts {
    hosts: Vec<Host>,
}

#[derive(Debug, Deserialize)]
struct Host {
    uuid: String,
    name: String,
    on_maintenance: bool,
}

/// A host as Masakari has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    path: String,
    /// True while Masakari leaves it alone.
    pub(super) on_maintenance: bool,
}

/// Masakari through a client, if the cloud has one.
pub(super) struct Masakari {
    client: Arc<Client>,
}

impl Masakari {
    pub(super) fn new(client: Arc<Client>) -> Masakari {
        Masakari { client }
    }

    /// The hosts that it watches, by name; none if the cloud has no Masakari.
    pub(super) async fn hosts(&self) -> Result<BTreeMap<String, Entry>, Fault> {
        if !self.client.offers(InstanceHa).await? {
            return Ok(BTreeMap::new());
        }
        let Segments { segments } = self.client.get(InstanceHa, "/segments").await?;
        let mut found = BTreeMap::new();
        for Segment { uuid: segment } in segments {
            let all = format!("/segments/{segment}/hosts");
            let Hosts { hosts } = self.client.get(InstanceHa, &all).await?;
            for Host { uuid, name, on_maintenance } in hosts {
                found.insert(name, Entry { path: format!("{all}/{uuid}"), on_maintenance });
            }
        }
        Ok(found)
    }

    /// Has it leave a host alone, or watch it again.
    pub(super) async fn set(&self, entry: &Entry, on_maintenance: bool) -> Result<(), Fault> {
        let body = json!({"host": {"on_maintenance": on_maintenance}});
        let mut tries = 1;
        loop {
            match self.client.change(InstanceHa, Method::PUT, &entry.path, Some(&body)).await {
                // Said twice it does no harm. A conflict means that its segment is being recovered: it will take it later.
                Err(Fault::Refused { status: 409, .. } | Fault::Unclear(_)) if tries < SET_TRIES => {
                    tries += 1
                }
                Err(Fault::Refused { status: 409, why }) => return Err(Fault::Unclear(why)),
                done => return done,
            }
            tokio::time::sleep(SET_PAUSE).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_no_part_of_the_reason() {
        assert_eq!(split("why"), ("why", None));
        assert_eq!(split("why [masakari: set]"), ("why", Some(SET)));
        assert_eq!(split("why [masakari: clearing]"), ("why", Some(CLEARING)));
        assert_eq!(split("[masakari: set]"), ("[masakari: set]", None));
    }
}
