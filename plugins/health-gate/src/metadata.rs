//! What the session's list of actions says to it.

use std::collections::BTreeMap;

use fenix_sdk::action::{Assignment, Failure};
use fenix_sdk::template::fill;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Most seconds between two looks: a day.
const MAX_EVERY: u32 = 86_400;

/// Most looks.
const MAX_LOOKS: u32 = 100_000;

/// Where to look, and how often.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Metadata {
    /// A program and its arguments, run on the host: status 0 means that all is well.
    #[serde(default)]
    pub(crate) command: Vec<String>,
    /// An address, read with GET.
    #[serde(default)]
    url: Option<String>,
    /// Sent along.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// Statuses that mean that all is well; any of 200 to 299 if there are none.
    #[serde(default)]
    expect: Vec<u16>,
    /// What has to stand in the answer.
    #[serde(default)]
    value: Option<Wanted>,
    /// Seconds between two looks.
    #[serde(default = "ten")]
    pub(crate) every: u32,
    /// Most looks.
    #[serde(default = "thirty")]
    pub(crate) looks: u32,
    /// Good looks in a row that it takes.
    #[serde(default = "one")]
    pub(crate) in_a_row: u32,
}

/// What has to stand in an answer of JSON.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    /// Where: a JSON pointer (RFC 6901).
    pub(crate) at: String,
    /// It is a number, and no larger.
    #[serde(default)]
    pub(crate) at_most: Option<f64>,
    /// It is a number, and no smaller.
    #[serde(default)]
    pub(crate) at_least: Option<f64>,
    /// It is this; `null` is a value, too.
    #[serde(default, deserialize_with = "said")]
    pub(crate) is: Option<Value>,
}

/// Where to look, with all names filled in.
#[derive(Clone, Debug)]
pub(crate) enum Look {
    /// A command on the host.
    Command(Vec<String>),
    /// An address.
    Address(Address),
}

/// An address, and what it has to answer.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) expect: Vec<u16>,
    pub(crate) value: Option<Wanted>,
}

fn ten() -> u32 {
    10
}

fn thirty() -> u32 {
    30
}

fn one() -> u32 {
    1
}

fn said<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

fn bad(why: String) -> Failure {
    Failure::BadMetadata(format!("health-gate: {why}"))
}

impl Metadata {
    /// Reads it.
    pub(crate) fn read(text: &str) -> Result<Metadata, Failure> {
        let metadata: Metadata = serde_json::from_str(text).map_err(|error| bad(error.to_string()))?;
        metadata.wrong().map_or(Ok(metadata), |why| Err(bad(why)))
    }

    /// What makes no sense in it.
    fn wrong(&self) -> Option<String> {
        let is_command = !self.command.is_empty();
        let of_a_url = !self.headers.is_empty() || !self.expect.is_empty() || self.value.is_some();
        let wrong = match self {
            _ if is_command == self.url.is_some() => "there is either a command or a url".to_owned(),
            _ if is_command && of_a_url => "headers, expect and value go with a url".to_owned(),
            Metadata { every, .. } if !(1..=MAX_EVERY).contains(every) => {
                format!("every is 1 to {MAX_EVERY} seconds")
            }
            Metadata { looks, .. } if !(1..=MAX_LOOKS).contains(looks) => {
                format!("looks is 1 to {MAX_LOOKS}")
            }
            Metadata { looks, in_a_row, .. } if !(1..=*looks).contains(in_a_row) => {
                format!("in_a_row is 1 to {looks}, the number of looks")
            }
            Metadata { value, .. } => return value.as_ref().and_then(Wanted::wrong),
        };
        Some(wrong)
    }

    /// Where to look.
    pub(crate) fn look(&self, assignment: &Assignment) -> Result<Look, Failure> {
        let plain = |text: &String| fill(text, |name| value(name, assignment, "host and session"), bad);
        let Some(url) = &self.url else {
            if assignment.host.is_none() {
                return Err(nowhere(assignment));
            }
            return Ok(Look::Command(self.command.iter().map(plain).collect::<Result<_, _>>()?));
        };
        // The host of the plug-in fills in secrets, and in headers only: an address is shown.
        let header = |text: &String| {
            let named = |name: &str| match name.starts_with("secret:") {
                true => Ok(format!("{{{{{name}}}}}")),
                false => value(name, assignment, "host, session and secret:NAME"),
            };
            fill(text, named, bad)
        };
        let headers = self.headers.iter().map(|(name, value)| Ok((name.clone(), header(value)?)));
        let wanted = self.value.clone().map(|wanted| wanted.filled(assignment)).transpose()?;
        Ok(Look::Address(Address {
            url: plain(url)?,
            headers: headers.collect::<Result<_, Failure>>()?,
            expect: self.expect.clone(),
            value: wanted,
        }))
    }
}

impl Wanted {
    fn wrong(&self) -> Option<String> {
        let is_pointer = self.at.is_empty() || self.at.starts_with('/');
        match self {
            _ if !is_pointer => Some("value.at is a JSON pointer: empty, or it begins with /".to_owned()),
            Wanted { at_most: None, at_least: None, is: None, .. } => {
                Some("value says nothing; there are at_most, at_least and is".to_owned())
            }
            Wanted { at_most: Some(most), at_least: Some(least), .. } if most < least => {
                Some("value.at_most is less than value.at_least".to_owned())
            }
            Wanted { .. } => None,
        }
    }

    fn filled(self, assignment: &Assignment) -> Result<Wanted, Failure> {
        let plain = |text: &str, escaped: bool| {
            let named = |name: &str| {
                let value = value(name, assignment, "host and session")?;
                // As a pointer wants it.
                Ok(if escaped { value.replace('~', "~0").replace('/', "~1") } else { value })
            };
            fill(text, named, bad)
        };
        let is = match self.is {
            Some(Value::String(text)) => Some(Value::String(plain(&text, false)?)),
            other => other,
        };
        Ok(Wanted { at: plain(&self.at, true)?, is, ..self })
    }

    /// Why that is not what has to stand there.
    pub(crate) fn misses(&self, answer: &Value) -> Option<String> {
        let Some(found) = answer.pointer(&self.at) else {
            return Some(format!("there is nothing at {:?}", self.at));
        };
        if let Some(is) = self.is.as_ref().filter(|is| !is_same(is, found)) {
            return Some(format!("{found} at {:?} is not {is}", self.at));
        }
        if self.at_most.is_none() && self.at_least.is_none() {
            return None;
        }
        let Some(number) = number(found) else {
            return Some(format!("{found} at {:?} is no number", self.at));
        };
        if let Some(most) = self.at_most.filter(|most| number > *most) {
            return Some(format!("{found} at {:?} is more than {most}", self.at));
        }
        let least = self.at_least.filter(|least| number < *least)?;
        Some(format!("{found} at {:?} is less than {least}", self.at))
    }
}

/// 1 and 1.0 are one number.
fn is_same(wanted: &Value, found: &Value) -> bool {
    match (wanted, found) {
        (Value::Number(wanted), Value::Number(found)) => wanted == found || wanted.as_f64() == found.as_f64(),
        (wanted, found) => wanted == found,
    }
}

/// A number, also one that is written as a text, as Prometheus does.
fn number(found: &Value) -> Option<f64> {
    let number = match found {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    number.filter(|number: &f64| number.is_finite())
}

fn value(name: &str, assignment: &Assignment, known: &str) -> Result<String, Failure> {
    match name {
        "host" => assignment.host.clone().ok_or_else(|| nowhere(assignment)),
        "session" => Ok(assignment.session.clone()),
        name => Err(bad(format!("{{{{{name}}}}} stands for nothing there; there are {known}"))),
    }
}

fn nowhere(assignment: &Assignment) -> Failure {
    bad(format!("there is no host in stage {}", assignment.stage))
}
