//! Points in time as text: the calendar stays at this edge.

use fenix_core::time::Time;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// Why a text is no point in time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no time; write it as `YYYY-MM-DD HH:MM:SS`, in UTC")]
pub struct TimeError {
    /// The text.
    pub text: String,
}

/// Longest text that can be a time: `YYYY-MM-DDTHH:MM:SS.fffffffff` and a `Z`.
const MAX_TIME_TEXT: usize = 30;

/// Reads `YYYY-MM-DD HH:MM:SS` as UTC; also with `T` between, with fractions of a second, and with a `Z` behind.
///
/// A time before 1970 counts as 1970: it is past in any case.
///
/// # Errors
/// The text is something else; zones other than `Z` are refused rather than guessed at.
pub fn parse(text: &str) -> Result<Time, TimeError> {
    let refuse = || TimeError { text: text.chars().take(MAX_TIME_TEXT).collect() };
    let trimmed = text.trim();
    let plain = trimmed.strip_suffix('Z').unwrap_or(trimmed);
    let allowed = |c: char| c.is_ascii_digit() || matches!(c, '-' | ':' | '.' | ' ' | 'T');
    if plain.len() > MAX_TIME_TEXT || !plain.chars().all(allowed) || !plain.contains(':') {
        return Err(refuse());
    }
    let civil: DateTime = plain.parse().map_err(|_| refuse())?;
    let zoned = civil.to_zoned(TimeZone::UTC).map_err(|_| refuse())?;
    Ok(Time(u64::try_from(zoned.timestamp().as_millisecond()).unwrap_or(0)))
}

fn utc(time: Time) -> Zoned {
    let millis = i64::try_from(time.0).unwrap_or(i64::MAX);
    // Past the year 9999 the calendar ends; no session lives that long.
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX).to_zoned(TimeZone::UTC)
}

/// `YYYY-MM-DD HH:MM:SS`: how times stand in what the earlier Fenix was sent.
pub fn spaced(time: Time) -> String {
    utc(time).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// `YYYY-MM-DDTHH:MM:SS`: how Aodh passes times on, and how we answer them.
pub fn iso(time: Time) -> String {
    utc(time).strftime("%Y-%m-%dT%H:%M:%S").to_string()
}

/// `YYYY-MM-DD HH:MM:SS.ffffff`: how oslo.messaging dates a notification.
pub fn micros(time: Time) -> String {
    utc(time).strftime("%Y-%m-%d %H:%M:%S.%6f").to_string()
}

/// `HH:MM:SS`: for people who know which day it is.
pub fn clock(time: Time) -> String {
    utc(time).strftime("%H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_that_clients_send_are_read_as_utc() {
        let check = |text: &str, millis: u64| assert_eq!(parse(text), Ok(Time(millis)), "{text}");
        check("2026-11-03 10:00:30", 1_793_700_030_000);
        check("2026-11-03T10:00:30", 1_793_700_030_000);
        check("2026-11-03T10:00:30Z", 1_793_700_030_000);
        check("2026-11-03T10:00:30.250000", 1_793_700_030_250);
        check("  2026-11-03 10:00:30 ", 1_793_700_030_000);
        check("1969-01-01 00:00:00", 0);
    }

    #[test]
    fn other_forms_are_refused_by_name() {
        let check = |text: &str| {
            let error = parse(text).expect_err(text).to_string();
            assert!(error.contains("YYYY-MM-DD HH:MM:SS"), "{error}");
        };
        for text in ["", "now", "2026-11-03", "20261103T100030", "2026-13-03 10:00:00", "2026-11-03 25:00:00"]
        {
            check(text);
        }
        check("2026-11-03T10:00:30+02:00");
        check("2026-11-03T10:00:30[Europe/Helsinki]");
        check(&"9".repeat(10_000));
    }

    #[test]
    fn times_are_printed_in_utc() {
        let time = Time(1_793_700_030_999);
        assert_eq!(spaced(time), "2026-11-03 10:00:30");
        assert_eq!(iso(time), "2026-11-03T10:00:30");
        assert_eq!(clock(time), "10:00:30");
        assert_eq!(iso(Time(u64::MAX)), "9999-12-30T22:00:00");
    }
}
