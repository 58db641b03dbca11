//! What the session's list of actions says to it.

use fenix_sdk::action::{Assignment, Failure};
use fenix_sdk::template::fill;
use serde::Deserialize;

/// What to ask, and what to make of warnings.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Metadata {
    /// The check: a program and its arguments.
    check: Vec<String>,
    /// What follows a warning.
    #[serde(default)]
    pub(crate) warnings: Warnings,
}

/// What follows a warning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Warnings {
    /// It goes on.
    #[default]
    Go,
    /// It is like a failure.
    Block,
}

fn bad(why: String) -> Failure {
    Failure::BadMetadata(format!("upgrade-check: {why}"))
}

impl Metadata {
    /// Reads it.
    pub(crate) fn read(text: &str) -> Result<Metadata, Failure> {
        let metadata: Metadata = serde_json::from_str(text).map_err(|error| bad(error.to_string()))?;
        match metadata.check.first() {
            Some(program) if !program.is_empty() => Ok(metadata),
            Some(_) | None => Err(bad("check is a program and its arguments".to_owned())),
        }
    }

    /// The check with its names filled in.
    pub(crate) fn argv(&self, assignment: &Assignment) -> Result<Vec<String>, Failure> {
        let Some(host) = &assignment.host else {
            return Err(bad(format!("there is no host in stage {}", assignment.stage)));
        };
        let value = |name: &str| match name {
            "host" => Ok(host.clone()),
            "session" => Ok(assignment.session.clone()),
            name => Err(bad(format!("{{{{{name}}}}} stands for nothing; there are host and session"))),
        };
        self.check.iter().map(|text| fill(text, value, bad)).collect()
    }
}
