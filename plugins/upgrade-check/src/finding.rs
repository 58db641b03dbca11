//! What a check found, by its exit status and by what it wrote.

use fenix_commands::words;
use fenix_sdk::action::Ending;
use serde::Deserialize;

/// Checks that are named for each grade.
const NAMED: usize = 5;

/// Characters that are shown of a check's name.
const NAME_CHARS: usize = 60;

/// Characters that are shown of what it says.
const DETAILS_CHARS: usize = 120;

/// Bytes of a sentence for people.
const SENTENCE_BYTES: usize = 1024;

/// How good it is, the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Grade {
    /// Nothing stands in the way.
    Good,
    /// Somebody should read it.
    Warns,
    /// The upgrade would fail, or nobody knows.
    Bad,
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) grade: Grade,
    /// One sentence for people.
    pub(crate) why: String,
}

/// What `--json` has a check write (oslo.upgradecheck 0.3.0 and later).
#[derive(Deserialize)]
struct Report {
    checks: Vec<Check>,
}

#[derive(Deserialize)]
struct Check {
    check: String,
    /// 0: success, 1: warning, 2: failure.
    result: u8,
    #[serde(default)]
    details: Option<String>,
}

impl Finding {
    /// That the check left no word.
    pub(crate) fn lost(why: String) -> Finding {
        Finding { grade: Grade::Bad, why: clipped(why) }
    }

    /// What a check found that came to its end.
    pub(crate) fn of(program: &str, ending: &Ending) -> Finding {
        let (by_status, meaning) = match ending.status {
            0 => (Grade::Good, "good"),
            1 => (Grade::Warns, "a warning"),
            2 => (Grade::Bad, "a failure"),
            255 => (Grade::Bad, "the check crashed"),
            _ => (Grade::Bad, "no check ends so"),
        };
        let known = matches!(ending.status, 0..=2);
        let Some(report) = report(ending).filter(|_| known) else {
            return Finding {
                grade: by_status,
                why: clipped(format!("{meaning}: {}", words(program, ending))),
            };
        };
        let (failing, warning) = (list(&report, 2), list(&report, 1));
        // A wrapper may lose the status: what is worse counts.
        let by_report = match (&failing, &warning) {
            (Some(_), _) => Grade::Bad,
            (None, Some(_)) => Grade::Warns,
            (None, None) => Grade::Good,
        };
        let named =
            [failing.map(|list| format!("fails: {list}")), warning.map(|list| format!("warns: {list}"))];
        let named = named.into_iter().flatten().collect::<Vec<_>>().join("; ");
        let why = match (named.is_empty(), by_status > by_report) {
            (true, false) => format!("{program} finds nothing in the way"),
            (false, false) => format!("{program} {named}"),
            (true, true) => {
                format!("{program} ended with status {}, {meaning}, and names no check", ending.status)
            }
            (false, true) => format!("{program} ended with status {}, {meaning}, and {named}", ending.status),
        };
        Finding { grade: by_status.max(by_report), why: clipped(why) }
    }
}

/// What stands in the output, if it is whole and understood to the end.
fn report(ending: &Ending) -> Option<Report> {
    if !ending.last.is_empty() {
        return None;
    }
    // Both outputs are one: libraries write their own warnings before and behind it.
    let text = ending.output.get(ending.output.find('{')?..=ending.output.rfind('}')?)?;
    let report: Report = serde_json::from_str(text).ok()?;
    report.checks.iter().all(|check| check.result <= 2).then_some(report)
}

/// The checks with that result, in words.
fn list(report: &Report, result: u8) -> Option<String> {
    let found: Vec<&Check> = report.checks.iter().filter(|check| check.result == result).collect();
    let named: Vec<String> = found.iter().take(NAMED).map(|check| check.words()).collect();
    let more = match found.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (!found.is_empty()).then(|| named.join(", ") + &more)
}

impl Check {
    fn words(&self) -> String {
        let name = match shown(&self.check, NAME_CHARS) {
            name if name.is_empty() => "a check without a name".to_owned(),
            name => name,
        };
        match shown(self.details.as_deref().unwrap_or_default(), DETAILS_CHARS) {
            details if details.is_empty() => name,
            details => format!("{name} ({details})"),
        }
    }
}

/// The beginning of a text, in one line.
fn shown(text: &str, chars: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<&str>>().join(" ");
    match line.chars().count() > chars {
        true => line.chars().take(chars).chain("...".chars()).collect(),
        false => line,
    }
}

/// As much of a sentence as is taken.
fn clipped(mut sentence: String) -> String {
    sentence.truncate(sentence.floor_char_boundary(SENTENCE_BYTES));
    sentence
}
