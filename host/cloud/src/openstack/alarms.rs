//! Aodh's event alarms: which projects have said, the way managers of OpenStack do, that they want to be told.

use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use super::client::{Client, Fault, Service::Alarming};

/// Alarms of one page.
const PAGE: usize = 1000;

/// Most pages: some alarms for each project of a large cloud.
const MAX_PAGES: usize = 100;

/// A project's wish to hear of events.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventAlarm {
    /// Whose it is.
    pub project: String,
    /// The event types that it is for; `*` stands for any text.
    pub event_type: String,
    /// True if it fires again and again; else only the first event ever reaches its receiver.
    pub repeats: bool,
}

#[derive(Debug, Deserialize)]
struct Alarm {
    alarm_id: String,
    project_id: Option<String>,
    #[serde(rename = "type")]
    kind: String,
    enabled: bool,
    #[serde(default)]
    repeat_actions: bool,
    #[serde(default)]
    event_rule: Option<EventRule>,
}

#[derive(Debug, Deserialize)]
struct EventRule {
    event_type: Option<String>,
}

/// The event alarms of all projects that are in force.
pub(super) async fn event_alarms(client: &Client) -> Result<Vec<EventAlarm>, Fault> {
    let mut found = Vec::new();
    let mut marker = String::new();
    for _ in 0..MAX_PAGES {
        let path = format!(
            "/v2/alarms?q.field=all_projects&q.op=eq&q.value=true&q.field=type&q.op=eq&q.value=event\
             &limit={PAGE}&sort=alarm_id:asc{marker}"
        );
        let page: Vec<Alarm> = client.get(Alarming, &path).await?;
        let Some(last) = page.last() else { return Ok(found) };
        marker = format!("&marker={}", last.alarm_id);
        found.extend(page.into_iter().filter_map(wish));
    }
    Err(Fault::Unclear(format!("there are more than {} event alarms", PAGE * MAX_PAGES)))
}

/// Makes an event alarm of the account's own project.
pub(super) async fn create(client: &Client, event_type: &str, url: &str) -> Result<String, Fault> {
    // A name of its own finds it again: what a change answers is not read.
    let name = format!("fenix-check-{url}");
    let alarm = json!({
        "name": name, "type": "event", "event_rule": {"event_type": event_type},
        "repeat_actions": true, "alarm_actions": [url],
    });
    client.change(Alarming, Method::POST, "/v2/alarms", Some(&alarm)).await?;
    let own: Vec<Named> = client.get(Alarming, "/v2/alarms").await?;
    let made = own.into_iter().find(|alarm| alarm.name == name).map(|alarm| alarm.alarm_id);
    made.ok_or_else(|| Fault::Unclear("the alarm is not there after it was made".to_owned()))
}

/// Removes an alarm.
pub(super) async fn remove(client: &Client, id: &str) -> Result<(), Fault> {
    client.change(Alarming, Method::DELETE, &format!("/v2/alarms/{id}"), None).await
}

#[derive(Debug, Deserialize)]
struct Named {
    alarm_id: String,
    name: String,
}

fn wish(alarm: Alarm) -> Option<EventAlarm> {
    let Alarm { alarm_id: _, project_id, kind, enabled, repeat_actions, event_rule } = alarm;
    let project = project_id.filter(|project| enabled && kind == "event" && !project.is_empty())?;
    // Without a type Aodh takes any.
    let event_type = event_rule?.event_type.unwrap_or_else(|| "*".to_owned());
    Some(EventAlarm { project, event_type, repeats: repeat_actions })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn only_what_is_in_force_is_a_wish() {
        let check = |alarm: Value, expected: Option<(&str, &str)>| {
            let seen = wish(serde_json::from_value(alarm.clone()).unwrap());
            let seen = seen.as_ref().map(|wish| (wish.project.as_str(), wish.event_type.as_str()));
            assert_eq!(seen, expected, "{alarm}");
        };
        let alarm = |kind: &str, enabled: bool, rule: Value| json!({"alarm_id": "a", "project_id": "p", "type": kind, "enabled": enabled, "event_rule": rule});
        check(
            alarm("event", true, json!({"event_type": "maintenance.*", "query": []})),
            Some(("p", "maintenance.*")),
        );
        check(alarm("event", true, json!({})), Some(("p", "*")));
        check(alarm("event", false, json!({"event_type": "*"})), None);
        check(alarm("gnocchi_resources_threshold", true, json!({"event_type": "*"})), None);
    }
}
