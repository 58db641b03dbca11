//! When a session will probably have ended, and on what that stands.

use fenix_core::time::Time;
use serde_json::Value;

use super::super::session::{items, text};
use crate::wire::time;

/// Phases in which hosts are worked on.
const AT_WORK: [&str; 3] = ["START_MAINTENANCE", "PREPARE_MAINTENANCE", "PLANNED_MAINTENANCE"];

/// What is known about the time that hosts take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    /// Hosts that are maintained.
    pub(crate) done: u64,
    /// Hosts that are neither that nor left out.
    pub(crate) left: u64,
    /// Time from the begin of the first host to the end of the last one that is maintained, in milliseconds.
    pub(crate) took: u64,
    /// Time since then, in milliseconds.
    pub(crate) since: u64,
}

impl Pace {
    /// The pace of a session; `None` before a host was begun.
    pub(crate) fn of(detail: &Value, now: Time) -> Option<Pace> {
        let at_work = items(detail, "phases")
            .find(|phase| phase["state"].as_str().is_some_and(|state| AT_WORK.contains(&state)))?;
        let begun = Time(at_work["since_ms"].as_u64()?);
        let done = items(detail, "hosts").filter(|host| host["stage"] == "maintained");
        let ends: Vec<Time> = done.filter_map(|host| moment(&host["updated_at"])).collect();
        let left = items(detail, "hosts")
            .filter(|host| host["stage"] != "maintained" && host["stage"] != "quarantined")
            .count();
        let last = ends.iter().copied().max().unwrap_or(begun);
        Some(Pace {
            done: ends.len() as u64,
            left: left as u64,
            took: last.since(begun).0,
            since: now.since(last).0,
        })
    }

    /// Seconds until the last host is maintained, if the rest goes as those before did: the time per host in which
    /// hosts beside each other are counted in, times the hosts that are left. `None` without a host to go by.
    pub(crate) fn left(self) -> Option<u64> {
        if self.done == 0 || self.left == 0 {
            return None;
        }
        let all = self.took.saturating_mul(self.left) / self.done;
        Some(all.saturating_sub(self.since).div_ceil(1000).max(1))
    }
}

/// A line about it: how long it goes on, how long still, and by what that is reckoned.
pub(crate) fn told(detail: &Value, now: Time) -> String {
    let begun = items(detail, "phases").next().and_then(|phase| phase["since_ms"].as_u64());
    let elapsed = match begun {
        Some(begun) if begun <= now.0 => format!("{} since it began", span((now.0 - begun) / 1000)),
        Some(begun) => format!("begins in {}", span((begun - now.0) / 1000)),
        None => "not begun".to_owned(),
    };
    if matches!(detail["condition"].as_str(), Some("ended" | "closing")) {
        return elapsed;
    }
    let Some(pace) = Pace::of(detail, now) else { return elapsed };
    match pace.left() {
        Some(left) => {
            let per_host = span((pace.took / pace.done).div_ceil(1000));
            let hosts = if pace.done == 1 { "host" } else { "hosts" };
            format!(
                "{elapsed}; about {} left, by {} {hosts} done, {per_host} for each",
                span(left),
                pace.done
            )
        }
        None if pace.left > 0 => format!("{elapsed}; how long still is known after the first host"),
        None => elapsed,
    }
}

/// A span of seconds, for people.
pub(crate) fn span(secs: u64) -> String {
    match secs {
        0..60 => format!("{secs} s"),
        60..3600 => format!("{} min {:02} s", secs / 60, secs % 60),
        _ => format!("{} h {:02} min", secs / 3600, secs % 3600 / 60),
    }
}

fn moment(value: &Value) -> Option<Time> {
    time::parse(&text(value)).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_time_left_follows_from_the_hosts_done() {
        let check = |stages: &[(&str, u64)], now: u64, expected: &str| {
            let hosts: Vec<Value> = stages
                .iter()
                .map(|(stage, at)| json!({ "stage": stage, "updated_at": time::iso(Time(at * 1000)) }))
                .collect();
            let detail = json!({ "hosts": hosts, "condition": "running", "phases": [
                { "state": "MAINTENANCE", "since_ms": 0 }, { "state": "START_MAINTENANCE", "since_ms": 100_000 }] });
            assert_eq!(told(&detail, Time(now * 1000)), expected);
        };
        let waiting = ("waiting", 0);
        check(&[waiting; 4], 130, "2 min 10 s since it began; how long still is known after the first host");
        check(
            &[("maintained", 120), ("maintained", 140), waiting, waiting],
            140,
            "2 min 20 s since it began; about 40 s left, by 2 hosts done, 20 s for each",
        );
        // Time that went by since counts, what is left out does not.
        check(
            &[("maintained", 140), ("quarantined", 150), waiting, waiting, waiting],
            160,
            "2 min 40 s since it began; about 1 min 40 s left, by 1 host done, 40 s for each",
        );
        check(&[("maintained", 140), ("maintained", 150)], 160, "2 min 40 s since it began");
    }

    #[test]
    fn spans_are_short() {
        let spans = [0, 59, 60, 3599, 3600, 90_061].map(span);
        assert_eq!(spans, ["0 s", "59 s", "1 min 00 s", "59 min 59 s", "1 h 00 min", "25 h 01 min"]);
    }
}
