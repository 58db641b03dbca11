//! What a plug-in may use of the host that runs it: asked for by the plug-in, granted by an administrator.
//!
//! Neither widens the other: what was asked for and not granted is refused, and so is what was granted and not asked for.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::http_rule::HttpRule;
use crate::id::Digest;
use crate::remote::RemoteRule;

/// One thing that a plug-in asks for, or that is granted to it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Right {
    /// Look at the host of its assignment, and restart it.
    Cloud,
    /// Know the session's packages, and have the host of its assignment fetch them.
    Packages,
    /// Keep values for the length of the session.
    Kv,
    /// Make such calls over HTTP.
    Http(HttpRule),
    /// Run such commands on the host of its assignment.
    Remote(RemoteRule),
}

impl Right {
    /// Those of which there is one of each.
    pub const PLAIN: [Right; 3] = [Right::Cloud, Right::Packages, Right::Kv];

    /// The interface of the contract through which it is used.
    pub fn word(&self) -> &'static str {
        match self {
            Right::Cloud => "cloud",
            Right::Packages => "packages",
            Right::Kv => "kv",
            Right::Http(_) => "http",
            Right::Remote(_) => "remote",
        }
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Right::Cloud | Right::Packages | Right::Kv => f.write_str(self.word()),
            Right::Http(rule) => write!(f, "http {rule}"),
            Right::Remote(rule) => write!(f, "remote {rule}"),
        }
    }
}

/// What an administrator lets one component use: these very bytes, whatever name they go by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The component.
    pub digest: Digest,
    /// What it may use, in order, each once.
    pub rights: Vec<Right>,
}

/// What was asked for and has nothing granted of its kind. How far a grant goes is the administrator's to say: less of a kind
/// than was asked for is seen when it is used.
pub fn missing(asked: &[Right], granted: &[Right]) -> Vec<Right> {
    let is_granted = |right: &&Right| granted.iter().any(|other| other.word() == right.word());
    asked.iter().filter(|right| !is_granted(right)).cloned().collect()
}

/// Rights as a list.
pub fn words(rights: &[Right]) -> String {
    let words: Vec<String> = rights.iter().map(Right::to_string).collect();
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_granted_in_part_is_not_missing() {
        let http = |rule: &str| Right::Http(rule.parse().unwrap());
        let asked = [Right::Cloud, http("GET,POST https://*/*")];
        let check = |granted: &[Right], expected: &[Right]| assert_eq!(missing(&asked, granted), expected);
        check(&[], &asked);
        check(&[Right::Packages, http("POST https://hooks.example/v1/*")], &asked[..1]);
        check(&asked, &[]);
    }

    #[test]
    fn rights_are_written_as_they_are_read() {
        let written = r#"["cloud",{"http":"GET https://x/* with token"},{"remote":"apt-get update"}]"#;
        let read: Vec<Right> = serde_json::from_str(written).unwrap();
        assert_eq!(words(&read), "cloud, http GET https://x/* with token, remote apt-get update");
        assert_eq!(serde_json::to_string(&read).unwrap(), written);
        serde_json::from_str::<Right>(r#"{"http":"anything"}"#).unwrap_err();
        serde_json::from_str::<Right>(r#""everything""#).unwrap_err();
    }
}
