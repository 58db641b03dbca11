//! Does nothing, and says so: for trying sessions out, and as the smallest example of an action.
//!
//! Its metadata can make it take several calls, `{"percent_calls": 3}`, or fail, `{"fail": "why"}`.

use fenix_sdk::action::{Again, Assignment, Cloud, Failure, Progress};
use serde::Deserialize;

fenix_sdk::action! { name: "noop", run: run }

/// Milliseconds between two calls: long enough to be seen on a progress bar, short enough not to be waited for.
pub const PAUSE_MS: u32 = 200;

/// Most calls that can be asked for: each of them is a record in the journal.
pub const MAX_CALLS: u32 = 1000;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Metadata {
    /// How many calls to take before being done; 0: done at the first.
    percent_calls: u32,
    /// Fail with this text, after those calls.
    fail: Option<String>,
}

/// Counts its calls in the checkpoint.
///
/// # Errors
/// As the metadata says, or because it cannot be understood.
pub fn run(
    _: &mut dyn Cloud,
    assignment: &Assignment,
    checkpoint: Option<&str>,
) -> Result<Progress, Failure> {
    let metadata = parse(&assignment.metadata)?;
    let calls = match checkpoint.map(str::parse::<u32>) {
        None => 0,
        Some(Ok(calls)) => calls,
        Some(Err(_)) => return Err(Failure::Failed("the checkpoint is not one of noop's".to_owned())),
    };
    if calls < metadata.percent_calls {
        return Ok(Progress::Again(Again {
            after_ms: PAUSE_MS,
            checkpoint: (calls + 1).to_string(),
            percent: u8::try_from((calls + 1) * 100 / (metadata.percent_calls + 1)).unwrap_or(100),
        }));
    }
    match metadata.fail {
        Some(why) => Err(Failure::Failed(why)),
        None => Ok(Progress::Done(match &assignment.host {
            Some(host) => format!("did nothing on {host}"),
            None => "did nothing".to_owned(),
        })),
    }
}

fn parse(metadata: &str) -> Result<Metadata, Failure> {
    if metadata.is_empty() {
        return Ok(Metadata::default());
    }
    let parsed: Metadata =
        serde_json::from_str(metadata).map_err(|error| Failure::BadMetadata(format!("noop: {error}")))?;
    if parsed.percent_calls > MAX_CALLS {
        return Err(Failure::BadMetadata(format!("noop: percent_calls is at most {MAX_CALLS}")));
    }
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use fenix_sdk::testing::FakeCloud;

    use super::*;

    /// Calls it to its end; returns the percents on the way, and the end.
    fn check(metadata: &str) -> (Vec<u8>, Result<String, Failure>) {
        let assignment = Assignment {
            key: "s/1/noop".to_owned(),
            session: "s".to_owned(),
            stage: "host".to_owned(),
            host: Some("compute-1".to_owned()),
            metadata: metadata.to_owned(),
        };
        let (mut percents, mut checkpoint) = (Vec::new(), None);
        loop {
            match run(&mut FakeCloud::new("compute-1"), &assignment, checkpoint.as_deref()) {
                Ok(Progress::Done(report)) => return (percents, Ok(report)),
                Ok(Progress::Again(again)) => {
                    percents.push(again.percent);
                    checkpoint = Some(again.checkpoint);
                }
                Err(failure) => return (percents, Err(failure)),
            }
        }
    }

    #[test]
    fn it_does_what_the_metadata_says() {
        let done = || Ok("did nothing on compute-1".to_owned());
        let failed = |why: &str| Err(Failure::Failed(why.to_owned()));
        assert_eq!(check(""), (vec![], done()));
        assert_eq!(check("{}"), (vec![], done()));
        assert_eq!(check(r#"{"percent_calls": 3}"#), (vec![25, 50, 75], done()));
        assert_eq!(check(r#"{"fail": "as you wished"}"#), (vec![], failed("as you wished")));
        assert_eq!(check(r#"{"percent_calls": 1, "fail": "late"}"#), (vec![50], failed("late")));
    }

    #[test]
    fn metadata_that_makes_no_sense_is_refused_by_name() {
        for (metadata, names) in [
            ("{", "EOF"),
            ("3", "invalid type"),
            (r#"{"percent_call": 3}"#, "percent_call"),
            (r#"{"percent_calls": -1}"#, "-1"),
            (r#"{"percent_calls": 1001}"#, "at most 1000"),
        ] {
            match check(metadata).1 {
                Err(Failure::BadMetadata(why)) => assert!(why.contains(names), "{metadata}: {why}"),
                other => panic!("{metadata}: {other:?}"),
            }
        }
    }
}
