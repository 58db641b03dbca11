//! What managers state about instances and groups (contract 1.3), as they write it.
//!
//! Clients differ: Tacker's own guide shows values like `"60,"` and `"True,"`, which YAML makes texts of, so numbers and
//! truth values are taken out of texts too (contract rule 7). Unknown keys are ignored, and what is not said stays
//! open.

use fenix_core::ask::MoveHow;
use fenix_core::constraint::{Constraint, Daily, GroupConstraint, InstanceConstraint};
use fenix_core::id::{GroupId, InstanceId, ProjectId};
use fenix_core::policy::Ceilings;
use fenix_core::time::Millis;
use serde_json::{Map, Value, json};

use super::payload::MAX_ID;

/// Longest name in characters, as in Nova.
pub const MAX_NAME: usize = 255;

/// Longest span that is stored: what is stated beyond the ceilings is kept as it came.
const MAX_SPAN_SECS: u64 = 10 * 366 * 24 * 3600;

/// Most members or instances that a limit may name; more than any host or group has.
const MAX_COUNT: u64 = 1_000_000;

/// Reads what is stated about the instance of that id.
///
/// # Errors
/// A sentence that names the key that is wrong, and what it may be.
pub fn instance(id: &str, body: &Map<String, Value>) -> Result<Constraint, String> {
    same_id("instance_id", id, body)?;
    Ok(Constraint::Instance(InstanceConstraint {
        instance: InstanceId::from(id),
        project: project(body)?,
        group: optional_id(body, "group_id")?.map(GroupId::from),
        name: name(body, "instance_name")?,
        max_interruption_time: span(body, "max_interruption_time")?,
        migration_type: migration_type(body)?,
        resource_mitigation: truth(body, "resource_mitigation")?,
        lead_time: span(body, "lead_time")?,
    }))
}

/// Reads what is stated about the group of that id.
///
/// # Errors
/// As [`instance`].
pub fn group(id: &str, body: &Map<String, Value>) -> Result<Constraint, String> {
    same_id("group_id", id, body)?;
    Ok(Constraint::Group(GroupConstraint {
        group: GroupId::from(id),
        project: project(body)?,
        name: name(body, "group_name")?,
        anti_affinity: truth(body, "anti_affinity_group")?,
        max_instances_per_host: count(body, "max_instances_per_host")?,
        max_impacted_members: count(body, "max_impacted_members")?,
        recovery_time: span(body, "recovery_time")?,
        resource_mitigation: truth(body, "resource_mitigation")?,
        busy: busy(body)?,
    }))
}

/// How a statement looks from outside: under the keys with which it came; spans in seconds. `applied` says what is made of
/// it where the ceilings of this installation do not let it be followed in full.
pub fn view(constraint: &Constraint, ceilings: &Ceilings) -> Value {
    let mut shown = stated(constraint);
    if let Constraint::Group(GroupConstraint { busy, .. }) = constraint
        && !busy.is_empty()
    {
        shown["busy_hours"] = busy.iter().map(|hours| hours_text(*hours)).collect();
    }
    let applied = applied(constraint, ceilings);
    if !applied.is_empty() {
        shown["applied"] = Value::Object(applied);
    }
    shown
}

/// What is applied instead of what is stated.
fn applied(constraint: &Constraint, ceilings: &Ceilings) -> Map<String, Value> {
    let span = |key: &str, stated: Option<Millis>, most: Millis| {
        stated.filter(|stated| *stated > most).map(|_| (key.to_owned(), json!(most.as_secs_ceil())))
    };
    let applied = match constraint {
        Constraint::Instance(stated) => [span("lead_time", stated.lead_time, ceilings.lead_time), None],
        Constraint::Group(stated) => {
            let least = ceilings.least_impacted;
            let few = stated.max_impacted_members.filter(|stated| *stated < least);
            [
                span("recovery_time", stated.recovery_time, ceilings.recovery_time),
                few.map(|_| ("max_impacted_members".to_owned(), json!(least))),
            ]
        }
    };
    applied.into_iter().flatten().collect()
}

fn stated(constraint: &Constraint) -> Value {
    let secs = |span: Option<Millis>| span.map(Millis::as_secs_ceil);
    match constraint {
        Constraint::Instance(InstanceConstraint {
            instance,
            project,
            group,
            name,
            max_interruption_time,
            migration_type,
            resource_mitigation,
            lead_time,
        }) => json!({
            "instance_id": instance.as_str(),
            "project_id": project.as_str(),
            "group_id": group.as_ref().map(GroupId::as_str),
            "instance_name": name,
            "max_interruption_time": secs(*max_interruption_time),
            "migration_type": migration_type.map(MoveHow::wire),
            "resource_mitigation": resource_mitigation,
            "lead_time": secs(*lead_time),
        }),
        Constraint::Group(GroupConstraint {
            group,
            project,
            name,
            anti_affinity,
            max_instances_per_host,
            max_impacted_members,
            recovery_time,
            resource_mitigation,
            // Only who has them shows them: no client of the first Fenix knows the key.
            busy: _,
        }) => json!({
            "group_id": group.as_str(),
            "project_id": project.as_str(),
            "group_name": name,
            "anti_affinity_group": anti_affinity,
            "max_instances_per_host": max_instances_per_host,
            "max_impacted_members": max_impacted_members,
            "recovery_time": secs(*recovery_time),
            "resource_mitigation": resource_mitigation,
        }),
    }
}

fn value<'a>(body: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    body.get(key).filter(|value| !value.is_null())
}

/// Ids go into URLs and, as text, through Ceilometer.
pub(crate) fn check_id(what: &str, id: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if id.is_empty() || id.len() > MAX_ID || !id.chars().all(allowed) || id.starts_with('.') {
        return Err(format!("{what} must be 1 to {MAX_ID} letters, digits, dots, dashes and underscores"));
    }
    Ok(())
}

fn optional_id<'a>(body: &'a Map<String, Value>, key: &str) -> Result<Option<&'a str>, String> {
    match value(body, key) {
        None => Ok(None),
        Some(Value::String(id)) if id.is_empty() => Ok(None),
        Some(Value::String(id)) => check_id(&format!("`{key}`"), id).map(|()| Some(id.as_str())),
        Some(_) => Err(format!("`{key}` must be a text")),
    }
}

/// The id stands in the path; in the body it is repeated.
fn same_id(key: &str, id: &str, body: &Map<String, Value>) -> Result<(), String> {
    check_id("the id in the path", id)?;
    match optional_id(body, key)? {
        Some(other) if other != id => Err(format!("`{key}` is {other:?}, and the path says {id:?}")),
        Some(_) | None => Ok(()),
    }
}

fn project(body: &Map<String, Value>) -> Result<ProjectId, String> {
    let id = optional_id(body, "project_id")?.ok_or("`project_id` is missing")?;
    Ok(ProjectId::from(id))
}

fn name(body: &Map<String, Value>, key: &str) -> Result<String, String> {
    match value(body, key) {
        None => Ok(String::new()),
        Some(Value::String(name)) if name.chars().count() <= MAX_NAME => Ok(name.clone()),
        Some(_) => Err(format!("`{key}` must be a text of at most {MAX_NAME} characters")),
    }
}

/// What clients mean by a text like `"60,"`.
fn bare(text: &str) -> &str {
    text.trim().trim_end_matches(',').trim().trim_matches(['"', '\''])
}

fn number(body: &Map<String, Value>, key: &str, most: u64) -> Result<Option<u64>, String> {
    let whole =
        |number: f64| (number >= 0.0 && number.fract() == 0.0 && number < 1e15).then_some(number as u64);
    let read = match value(body, key) {
        None => return Ok(None),
        Some(Value::String(text)) if bare(text).is_empty() => return Ok(None),
        Some(Value::String(text)) => bare(text).parse().ok().and_then(whole),
        Some(Value::Number(number)) => number.as_f64().and_then(whole),
        Some(_) => None,
    };
    match read {
        Some(number) if number <= most => Ok(Some(number)),
        Some(_) | None => Err(format!("`{key}` must be a whole number from 0 to {most}")),
    }
}

fn span(body: &Map<String, Value>, key: &str) -> Result<Option<Millis>, String> {
    Ok(number(body, key, MAX_SPAN_SECS)?.map(Millis::from_secs))
}

fn count(body: &Map<String, Value>, key: &str) -> Result<Option<u32>, String> {
    Ok(number(body, key, MAX_COUNT)?.and_then(|number| u32::try_from(number).ok()))
}

fn truth(body: &Map<String, Value>, key: &str) -> Result<Option<bool>, String> {
    let no = || Err(format!("`{key}` must be true or false"));
    match value(body, key) {
        None => Ok(None),
        Some(Value::Bool(truth)) => Ok(Some(*truth)),
        Some(Value::Number(number)) if number.as_u64() == Some(0) => Ok(Some(false)),
        Some(Value::Number(number)) if number.as_u64() == Some(1) => Ok(Some(true)),
        Some(Value::String(text)) => match bare(text).to_ascii_lowercase().as_str() {
            "" => Ok(None),
            "true" | "yes" | "1" => Ok(Some(true)),
            "false" | "no" | "0" => Ok(Some(false)),
            _ => no(),
        },
        Some(_) => no(),
    }
}

/// Busy hours: a list of times of the day in UTC as `08:00-18:00`, or one of them.
fn busy(body: &Map<String, Value>) -> Result<Vec<Daily>, String> {
    let no = || {
        let most = Daily::MOST;
        format!(
            "`busy_hours` must be a list of at most {most} times of the day in UTC, such as \"08:00-18:00\""
        )
    };
    let texts = match value(body, "busy_hours") {
        None => return Ok(Vec::new()),
        Some(Value::String(text)) => vec![bare(text)],
        Some(Value::Array(texts)) if texts.len() <= Daily::MOST => {
            texts.iter().map(|text| text.as_str().map(bare)).collect::<Option<Vec<_>>>().ok_or_else(no)?
        }
        Some(_) => return Err(no()),
    };
    texts.into_iter().filter(|text| !text.is_empty()).map(|text| hours(text).ok_or_else(no)).collect()
}

fn hours(text: &str) -> Option<Daily> {
    let minute = |text: &str| {
        let (hour, minute) = text.trim().split_once(':')?;
        let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
        (hour < 24 && minute < 60).then_some(hour * 60 + minute)
    };
    let (from, to) = text.split_once('-')?;
    let (from, to) = (minute(from)?, minute(to)?);
    (from != to).then_some(Daily { from, to })
}

fn hours_text(hours: Daily) -> String {
    let Daily { from, to } = hours;
    format!("{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60)
}

fn migration_type(body: &Map<String, Value>) -> Result<Option<MoveHow>, String> {
    let known: Vec<&str> = MoveHow::ALL.iter().map(|how| how.wire()).collect();
    let no = || format!("`migration_type` must be one of {}", known.join(", "));
    match value(body, "migration_type") {
        None => Ok(None),
        Some(Value::String(text)) if bare(text).is_empty() => Ok(None),
        Some(Value::String(text)) => {
            MoveHow::ALL.into_iter().find(|how| how.wire() == bare(text)).map(Some).ok_or_else(no)
        }
        Some(_) => Err(no()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(
        read: fn(&str, &Map<String, Value>) -> Result<Constraint, String>,
        body: &Value,
    ) -> Result<Value, String> {
        read("id-1", body.as_object().unwrap()).map(|constraint| view(&constraint, &Ceilings::default()))
    }

    #[test]
    fn what_doctor_states_comes_back_as_it_was() {
        let body = json!({
            "instance_id": "id-1", "project_id": "p1", "group_id": "g1", "instance_name": "ha-1",
            "max_interruption_time": 120, "migration_type": "MIGRATE", "resource_mitigation": true, "lead_time": 40,
        });
        assert_eq!(read(instance, &body), Ok(body.clone()));
        let body = json!({
            "group_id": "id-1", "project_id": "p1", "group_name": "doctor_ha_app_group", "anti_affinity_group": true,
            "max_instances_per_host": 1, "max_impacted_members": 1, "recovery_time": 4, "resource_mitigation": true,
        });
        assert_eq!(read(group, &body), Ok(body.clone()));
    }

    #[test]
    fn what_goes_beyond_the_ceilings_is_kept_and_what_is_applied_is_said() {
        let year = 365 * 24 * 3600;
        let shown = read(instance, &json!({"project_id": "p1", "lead_time": year})).unwrap();
        assert_eq!((&shown["lead_time"], &shown["applied"]), (&json!(year), &json!({"lead_time": 3600})));
        let stated = json!({"project_id": "p1", "recovery_time": year, "max_impacted_members": 0});
        let stated = group("id-1", stated.as_object().unwrap()).unwrap();
        let shown = view(&stated, &Ceilings { least_impacted: 1, ..Ceilings::default() });
        assert_eq!(shown["applied"], json!({"recovery_time": 3600, "max_impacted_members": 1}));
    }

    #[test]
    fn busy_hours_are_times_of_the_day() {
        let check = |given: Value, expected: Value| {
            let read = read(group, &json!({ "project_id": "p1", "busy_hours": given }));
            assert_eq!(read.map(|read| read["busy_hours"].clone()), Ok(expected), "{given}");
        };
        check(json!(["08:00-18:30", "22:00-2:05"]), json!(["08:00-18:30", "22:00-02:05"]));
        check(json!("08:00-18:30,"), json!(["08:00-18:30"]));
        check(json!([]), json!(null));
        check(json!(null), json!(null));
        for wrong in [
            json!("8-18"),
            json!("08:00"),
            json!("24:00-08:00"),
            json!("08:60-09:00"),
            json!("08:00-08:00"),
            json!(8),
        ] {
            let error = read(group, &json!({ "project_id": "p1", "busy_hours": wrong })).unwrap_err();
            assert!(error.starts_with("`busy_hours` must be a list"), "{wrong}: {error}");
        }
    }

    #[test]
    fn numbers_and_truth_values_are_taken_out_of_texts() {
        let check = |key: &str, given: Value, expected: Value| {
            let body = json!({ "project_id": "p1", key: given, "unknown": [1] });
            assert_eq!(read(instance, &body).unwrap()[key], expected, "{key} {given}");
        };
        check("lead_time", json!("60,"), json!(60));
        check("lead_time", json!(" 60 , "), json!(60));
        check("lead_time", json!(60.0), json!(60));
        check("lead_time", json!(""), json!(null));
        check("lead_time", json!(null), json!(null));
        check("max_interruption_time", json!("120,"), json!(120));
        check("resource_mitigation", json!("True,"), json!(true));
        check("resource_mitigation", json!("false"), json!(false));
        check("resource_mitigation", json!(1), json!(true));
        check("migration_type", json!("LIVE_MIGRATE,"), json!("LIVE_MIGRATE"));
        check("group_id", json!(""), json!(null));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let check = |key: &str, given: Value, expected: &str| {
            let mut body = json!({ "project_id": "p1" });
            body[key] = given;
            let error = read(instance, &body).expect_err(expected);
            assert!(error.contains(expected), "{error}");
        };
        check("instance_id", json!("other"), "the path says");
        check("project_id", json!(null), "`project_id` is missing");
        check("project_id", json!("a/b"), "`project_id` must be 1 to 64");
        check("lead_time", json!("soon"), "`lead_time` must be a whole number");
        check("lead_time", json!(-1), "`lead_time` must be a whole number");
        check("lead_time", json!(1e300), "`lead_time` must be a whole number");
        check("lead_time", json!(999_999_999_999_u64), "from 0 to");
        check("resource_mitigation", json!("maybe"), "true or false");
        check("migration_type", json!("MIGRATION"), "MIGRATE, LIVE_MIGRATE, OWN_ACTION");
        check("instance_name", json!("x".repeat(256)), "at most 255");
    }
}
