//! The limits that `docs/howto/plug-ins.md` names are those that hold.

use fenix_core::remote::{LAST_BYTES, OUTPUT_BYTES};
use fenix_core::values::{MAX_KEY, MAX_VALUE, MAX_VALUES};
use fenix_wasm::http::{REQUEST_BYTES, RESPONSE_BYTES};
use fenix_wasm::limits::{
    ACTION_FUEL, ACTION_TIME, BRIEF_FUEL, BRIEF_TIME, CALLS_AT_ONCE, CALLS_PER_SECOND, COMPONENT_BYTES,
    CROSSING_BYTES, DECISION_TIME, HOST_CALLS, LOG_LINE_BYTES, LOG_LINES, MEMORY_BYTES, PLANNED,
    REPORT_BYTES, TABLE_ELEMENTS, decision_fuel,
};

const KIB: usize = 1024;
const MIB: usize = 1024 * 1024;
const MILLION: u64 = 1_000_000;

/// The row of that name in the table of limits says each of these.
#[track_caller]
fn check(row: &str, expected: &[String]) {
    let page = std::fs::read_to_string(crate::root().join("docs/howto/plug-ins.md")).unwrap();
    let begin = format!("| {row} | ");
    let line = page.lines().find(|line| line.starts_with(&begin));
    let line = line.unwrap_or_else(|| panic!("there is no row {row:?}"));
    for words in expected {
        assert!(line.contains(words), "{words:?} is not in {line:?}");
    }
}

#[test]
fn the_page_names_the_limits_that_hold() {
    let each = (decision_fuel(10) - decision_fuel(0)) / 10;
    let seconds = |time: std::time::Duration| format!("{} s", time.as_secs());
    check("a component", &[format!("{} MiB;", COMPONENT_BYTES / MIB)]);
    check(
        "a decision",
        &[
            format!("{} million instructions", decision_fuel(0) / MILLION),
            format!("{:.1} million for each host", each as f64 / MILLION as f64),
            seconds(DECISION_TIME),
            format!("{HOST_CALLS} calls of the host"),
            format!("{PLANNED} planned decisions"),
        ],
    );
    check(
        "a decision for which others wait",
        &[format!("{} million instructions", BRIEF_FUEL / MILLION), format!("{} ms", BRIEF_TIME.as_millis())],
    );
    check(
        "a call of an action",
        &[format!("{} million instructions", ACTION_FUEL / MILLION), seconds(ACTION_TIME)],
    );
    check(
        "memory of one call",
        &[
            format!("{} MiB;", MEMORY_BYTES / MIB),
            format!("{TABLE_ELEMENTS} elements"),
            format!("{} MiB in one exchange", CROSSING_BYTES / MIB),
        ],
    );
    check(
        "calls of others",
        &[format!("{CALLS_PER_SECOND} in a second"), format!("{CALLS_AT_ONCE} at once")],
    );
    check(
        "a call over HTTP",
        &[format!("{} KiB sent", REQUEST_BYTES / KIB), format!("{} KiB received", RESPONSE_BYTES / KIB)],
    );
    check(
        "a command's output",
        &[
            format!("{} KiB from its beginning", OUTPUT_BYTES / KIB),
            format!("{} KiB from its end", LAST_BYTES / KIB),
        ],
    );
    check("the log of one call", &[format!("{LOG_LINES} lines of {LOG_LINE_BYTES} bytes")]);
    check("a report, or why something failed", &[format!("{REPORT_BYTES} bytes")]);
    check(
        "values (`kv`)",
        &[
            format!("{MAX_VALUES} for a plug-in in a session"),
            format!("{MAX_KEY} bytes"),
            format!("values of {MAX_VALUE} "),
        ],
    );
}
