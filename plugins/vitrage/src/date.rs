//! Times as HTTP says them, and as Vitrage takes them.

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, 5.6.7, IMF-fixdate) as `1994-11-06T08:49:37.000000`; `None` if it is no such time.
///
/// Vitrage reads no other form: it wants parts of a second, and no zone, by which it means UTC.
pub(crate) fn iso(date: &str) -> Option<String> {
    let (day_name, rest) = date.split_once(", ")?;
    let words: Vec<&str> = rest.split(' ').collect();
    let [day, month, year, time, "GMT"] = words[..] else { return None };
    let month = 1 + MONTHS.iter().position(|name| *name == month)?;
    let (day, year) = (digits(day, 2)?, digits(year, 4)?);
    let parts: Vec<&str> = time.split(':').collect();
    let [hour, minute, second] = parts[..] else { return None };
    let (hour, minute, second) = (digits(hour, 2)?, digits(minute, 2)?, digits(second, 2)?);
    let is_time = hour < 24 && minute < 60 && second <= 60;
    if !DAYS.contains(&day_name) || !(1..=days_of(month, year)).contains(&day) || !is_time {
        return None;
    }
    // Vitrage knows no leap seconds.
    let second = second.min(59);
    Some(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.000000"))
}

fn digits(text: &str, count: usize) -> Option<u32> {
    let is_number = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

fn days_of(month: usize, year: u32) -> u32 {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::iso;

    #[test]
    fn a_time_of_http_is_read_and_nothing_else() {
        let check = |date: &str, expected: Option<&str>| assert_eq!(iso(date).as_deref(), expected, "{date}");
        check("Sun, 06 Nov 1994 08:49:37 GMT", Some("1994-11-06T08:49:37.000000"));
        check("Tue, 09 Jun 2026 23:59:60 GMT", Some("2026-06-09T23:59:59.000000"));
        check("Thu, 29 Feb 2024 00:00:00 GMT", Some("2024-02-29T00:00:00.000000"));
        check("Tue, 29 Feb 2000 00:00:00 GMT", Some("2000-02-29T00:00:00.000000"));
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
}
