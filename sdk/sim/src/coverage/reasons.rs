//! What cannot be met in any simulation, and why. Whoever changes a rule so that it can is told by the test.

use super::table::{Row, Table};

const NOT_UNDER: &str = "the rule is not asked about such a decision";
const SETTLED: &str = "what R6 asks was asked when the host was fenced";
const NOT_SENT: &str = "the engine itself sends nothing to the cloud for it";
const AT_ONCE: &str = "it is begun in the moment in which it is admitted";
const HELD: &str = "a host with an effect in flight enters no other stage";
const FAILS: &str = "what cannot be taken back any more has failed";
const NOT_SAID: &str = "that function has no such answer";
const BEGUN: &str =
    "it is asked when an effect is admitted, and counts nothing that can change until it is begun";

/// Why something cannot be met; `None` if it can.
pub(super) fn reason(row: &Row) -> Option<&'static str> {
    let (first, then) = row.words.split_once(", ").unwrap_or((&row.words, ""));
    match row.table {
        Table::Refusal => refusal(first, then),
        Table::Withdrawal => match first {
            "R7" => Some(HELD),
            "R9" | "R10" => Some(BEGUN),
            _ => None,
        },
        Table::Effect => match (first, then) {
            (
                "work before the first host"
                | "work on a host"
                | "work after the last host"
                | "assessment of a host"
                | "gate after a host"
                | "undoing on a host",
                "unknown",
            ) => Some(NOT_SENT),
            ("undoing on a host", "withdrawn") => Some(FAILS),
            ("work before the first host" | "work after the last host", "withdrawn") => Some(AT_ONCE),
            ("release", "withdrawn") => Some(HELD),
            _ => None,
        },
        Table::Said => match (first, then) {
            ("action" | "undoing", "not needed" | "stop") | ("gate", "not needed") => Some(NOT_SAID),
            _ => None,
        },
        Table::Fault
        | Table::Ask
        | Table::Policy
        | Table::Blocker
        | Table::Phase
        | Table::Condition
        | Table::Stage => None,
    }
}

/// True for what may be met and need not: between admission and dispatch, which is next to no time, lead time that was given
/// is lost only to a statement, and a place among those that may be out only to somebody who takes another host out. A gate has no
/// rule but that the host is the session's and that it goes on, and fails by itself only if it takes too long.
pub(super) fn is_seldom(row: &Row) -> bool {
    match row.table {
        Table::Withdrawal => matches!(row.words.as_str(), "R3" | "R6"),
        Table::Effect => {
            matches!(row.words.as_str(), "gate after a host, withdrawn" | "gate after a host, failed")
        }
        _ => false,
    }
}

/// Every decision is under R8; the rest as `rules::admit` and its table say.
fn refusal(rule: &str, decision: &str) -> Option<&'static str> {
    let under: &[&str] = match rule {
        "R1" => &["ask", "move"],
        "R2" => &["move"],
        "R3" => &["move"],
        "R4" => &["fence", "work"],
        "R5" => &["fence", "move"],
        "R6" if decision == "work" => return Some(SETTLED),
        "R6" => &["fence"],
        "R7" => &["ask", "release", "work", "enter"],
        "R9" => &["ask", "note"],
        "R10" => &["fence", "release", "move", "work", "quarantine"],
        "R11" => &["ask", "fence", "release", "move", "work", "quarantine"],
        _ => return None,
    };
    if under.contains(&decision) { None } else { Some(NOT_UNDER) }
}
