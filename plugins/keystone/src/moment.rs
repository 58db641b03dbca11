//! Times as HTTP and OpenStack say them: a plug-in has no clock, and what it knows of the time it reads in an answer.

use std::fmt;

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

const SECONDS_OF_A_DAY: i64 = 86_400;

/// A second of UTC. Shown as `1994-11-06T08:49:37`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    /// Seconds since the beginning of 1970, without leap seconds.
    seconds: i64,
}

impl Moment {
    /// Reads `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, 5.6.7, IMF-fixdate); `None` if it is no such time.
    pub fn of_http(date: &str) -> Option<Moment> {
        let (day_name, rest) = date.split_once(", ")?;
        let words: Vec<&str> = rest.split(' ').collect();
        let [day, month, year, time, "GMT"] = words[..] else { return None };
        let month = MONTHS.iter().zip(1..).find_map(|(name, number)| (*name == month).then_some(number))?;
        let parts: Vec<&str> = time.split(':').collect();
        let [hour, minute, second] = parts[..] else { return None };
        let time = (digits(hour, 2)?, digits(minute, 2)?, digits(second, 2)?);
        let moment = Moment::of((digits(year, 4)?, month, digits(day, 2)?), time)?;
        DAYS.contains(&day_name).then_some(moment)
    }

    /// Reads `2026-11-27T12:00:00.000000` and what is written like it: a space for the `T`, without parts of a second or seconds,
    /// and with a zone at the end, `Z` or `+01:00`. Without a zone it means UTC, as in all of OpenStack. `None` if it is no time.
    pub fn of_iso(date: &str) -> Option<Moment> {
        let (day, rest) = date.split_once(['T', ' '])?;
        let parts: Vec<&str> = day.split('-').collect();
        let [year, month, day] = parts[..] else { return None };
        let zone_at = rest.find(['Z', '+', '-']).unwrap_or(rest.len());
        let (time, zone) = (rest.get(..zone_at)?, rest.get(zone_at..)?);
        let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
        if !(1..=9).contains(&fraction.len()) || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let parts: Vec<&str> = time.split(':').collect();
        let (hour, minute, second) = match parts[..] {
            [hour, minute] => (hour, minute, "00"),
            [hour, minute, second] => (hour, minute, second),
            _ => return None,
        };
        let time = (digits(hour, 2)?, digits(minute, 2)?, digits(second, 2)?);
        let moment = Moment::of((digits(year, 4)?, digits(month, 2)?, digits(day, 2)?), time)?;
        Some(moment.later(-offset(zone)?))
    }

    /// The moment so many seconds later.
    #[must_use]
    pub fn later(self, seconds: i64) -> Moment {
        Moment { seconds: self.seconds.saturating_add(seconds) }
    }

    fn of((year, month, day): (i64, i64, i64), (hour, minute, second): (i64, i64, i64)) -> Option<Moment> {
        let is_time = hour < 24 && minute < 60 && second <= 60;
        if !(1..=12).contains(&month) || !(1..=days_of(month, year)).contains(&day) || !is_time {
            return None;
        }
        let days = days_before(year) + (1..month).map(|month| days_of(month, year)).sum::<i64>() + day - 1;
        // Nobody here knows leap seconds.
        let of_day = hour * 3600 + minute * 60 + second.min(59);
        Some(Moment { seconds: days * SECONDS_OF_A_DAY + of_day })
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, of_day) =
            (self.seconds.div_euclid(SECONDS_OF_A_DAY), self.seconds.rem_euclid(SECONDS_OF_A_DAY));
        // A year has 365.2425 days: the estimate is one off at most.
        let mut year = 1970 + days * 10_000 / 3_652_425;
        while days_before(year) > days {
            year -= 1;
        }
        while days_before(year + 1) <= days {
            year += 1;
        }
        let (mut month, mut day) = (1, days - days_before(year));
        while day >= days_of(month, year) {
            day -= days_of(month, year);
            month += 1;
        }
        let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
        write!(f, "{year:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}", day + 1)
    }
}

/// Seconds by which a zone is ahead of UTC.
fn offset(zone: &str) -> Option<i64> {
    if zone.is_empty() || zone == "Z" {
        return Some(0);
    }
    let (sign, rest) = zone.strip_prefix('+').map(|rest| (1, rest)).or_else(|| {
        let rest = zone.strip_prefix('-')?;
        Some((-1, rest))
    })?;
    let (hours, minutes) = rest.split_once(':').or_else(|| rest.split_at_checked(2))?;
    let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

fn digits(text: &str, count: usize) -> Option<i64> {
    let is_number = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

/// Days from the beginning of 1970 to that of a year.
fn days_before(year: i64) -> i64 {
    let leap_days = |year: i64| year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    (year - 1970) * 365 + leap_days(year - 1) - leap_days(1969)
}

fn days_of(month: i64, year: i64) -> i64 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::{Moment, SECONDS_OF_A_DAY};

    fn shown(moment: Option<Moment>) -> Option<String> {
        moment.map(|moment| moment.to_string())
    }

    #[test]
    fn a_time_of_http_is_read_and_nothing_else() {
        let check = |date: &str, expected: Option<&str>| {
            assert_eq!(shown(Moment::of_http(date)).as_deref(), expected, "{date}");
        };
        check("Sun, 06 Nov 1994 08:49:37 GMT", Some("1994-11-06T08:49:37"));
        check("Tue, 09 Jun 2026 23:59:60 GMT", Some("2026-06-09T23:59:59"));
        check("Thu, 29 Feb 2024 00:00:00 GMT", Some("2024-02-29T00:00:00"));
        check("Tue, 29 Feb 2000 00:00:00 GMT", Some("2000-02-29T00:00:00"));
        for date in [
            "",
            "now",
            "1994-11-06T08:49:37Z",
            // Forms of old, which nobody sends any more.
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 06 Nov 1994 08:49:37 GMT ",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, 06 nov 1994 08:49:37 GMT",
            "Xyz, 06 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 94 08:49:37 GMT",
            "Sun, 06 Nov +994 08:49:37 GMT",
            "Sun, 00 Nov 1994 08:49:37 GMT",
            "Sun, 31 Nov 1994 08:49:37 GMT",
            "Sun, 29 Feb 2023 08:49:37 GMT",
            "Thu, 29 Feb 1900 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:00:00 GMT",
            "Sun, 06 Nov 1994 08:60:37 GMT",
            "Sun, 06 Nov 1994 08:49:61 GMT",
            "Sun, 06 Nov 1994 08:49 GMT",
            "Sun, 06 Nov 1994 8:49:37 GMT",
        ] {
            check(date, None);
        }
    }

    #[test]
    fn a_time_of_openstack_is_read_in_all_its_forms_and_nothing_else() {
        let check = |date: &str, expected: Option<&str>| {
            assert_eq!(shown(Moment::of_iso(date)).as_deref(), expected, "{date}");
        };
        for date in [
            "2026-11-27T12:00:00.000000",
            "2026-11-27T12:00:00.9",
            "2026-11-27T12:00:00",
            "2026-11-27 12:00:00",
            "2026-11-27 12:00",
            "2026-11-27T12:00Z",
            "2026-11-27T12:00:00+00:00",
            "2026-11-27T13:30:00.000000+01:30",
            "2026-11-27T13:30+0130",
            "2026-11-27T07:00:00-05:00",
        ] {
            check(date, Some("2026-11-27T12:00:00"));
        }
        check("9999-12-31T23:59:59.000000", Some("9999-12-31T23:59:59"));
        check("2026-12-31T23:30:00-01:00", Some("2027-01-01T00:30:00"));
        for date in [
            "",
            "None",
            "2026-11-27",
            "2026-11-27T",
            "2026-11-27T12",
            "2026-11-27T12:00:00.",
            "2026-11-27T12:00:00.0000000000",
            "2026-11-27T12:00:00.x",
            "2026-11-27T12:00:00:00",
            "2026-11-27  12:00",
            "2026-11-27T12:00 Z",
            "2026-11-27T12:00Zz",
            "2026-11-27T12:00+1",
            "2026-11-27T12:00+24:00",
            "2026-11-27T12:00+é",
            "2026-13-27T12:00",
            "2026-02-29T12:00",
            "26-11-27T12:00",
            "+026-11-27T12:00",
            "-2026-11-27T12:00",
            "2026-11-27T24:00",
            "2026-11-27T12:61",
            "２０２６-11-27T12:00",
        ] {
            check(date, None);
        }
    }

    #[test]
    fn every_day_is_shown_as_it_is_read() {
        let day = |text: &str| Moment::of_iso(&format!("{text} 00:00")).unwrap();
        // Over 2000, which was a leap year, and 2100, which is none; and some days of all years.
        for (first, last, step, expected) in
            [("1995-01-01", "2105-01-01", 1, 40_177), ("0001-01-01", "9999-12-31", 365, 10_006)]
        {
            let (mut moment, last, mut days) = (day(first), day(last), 0);
            while moment < last {
                assert_eq!(Moment::of_iso(&moment.to_string()), Some(moment));
                moment = moment.later(step * SECONDS_OF_A_DAY);
                days += 1;
            }
            assert_eq!(days, expected, "{first}");
        }
        assert_eq!(Moment::of_iso("1970-01-01 00:01"), Some(Moment { seconds: 60 }));
        assert_eq!(Moment::of_iso("2001-09-09 01:46:40"), Some(Moment { seconds: 1_000_000_000 }));
    }
}
