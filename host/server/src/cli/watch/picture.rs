//! How a session looks on a terminal: its details, as lines of coloured text. A function of what it is given.

use std::collections::{BTreeMap, BTreeSet};

use fenix_core::time::Time;
use serde_json::Value;

use super::super::session::{items, text};
use super::super::text::{cut, plain};
use super::eta;
use crate::wire::time;

/// Hosts that get a line each, with what is done on them.
const MAX_LISTED: usize = 12;

/// Widest name of a zone, and of a host in a grid with names.
const NAME_WIDTH: usize = 20;

/// Lines that the parts below the hosts take at least: what is asked, what is under way, what is waited for, history.
const BELOW: usize = 14;

/// What a piece of text is, for its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// As it comes.
    Plain,
    /// A title, or what matters most.
    Strong,
    /// What matters least.
    Faint,
    /// It is as it shall be.
    Good,
    /// Something is being done.
    Busy,
    /// Somebody waits.
    Waiting,
    /// It is not as it shall be.
    Bad,
}

/// One line: pieces of text with their looks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Line(pub(crate) Vec<(Look, String)>);

impl Line {
    fn of(look: Look, text: impl Into<String>) -> Line {
        Line(vec![(look, text.into())])
    }

    fn and(mut self, look: Look, text: impl Into<String>) -> Line {
        self.0.push((look, text.into()));
        self
    }

    fn width(&self) -> usize {
        self.0.iter().map(|(_, text)| text.chars().count()).sum()
    }

    /// The same for terminals that show nothing else: what others wrote may hold anything.
    fn in_ascii(self) -> Line {
        let ascii = |c: char| match c {
            '…' => '~',
            c if c.is_ascii() => c,
            _ => '?',
        };
        Line(self.0.into_iter().map(|(look, text)| (look, text.chars().map(ascii).collect())).collect())
    }

    /// The same, no wider than that.
    fn cut(self, width: usize) -> Line {
        let mut left = width;
        let mut kept = Vec::new();
        for (look, text) in self.0 {
            let text = cut(&text, left);
            left -= text.chars().count();
            kept.push((look, text));
            if left == 0 {
                break;
            }
        }
        Line(kept)
    }
}

/// What is drawn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scene<'a> {
    /// The session's details.
    pub(crate) detail: &'a Value,
    /// What it waits for.
    pub(crate) blockers: &'a Value,
    /// The zones of hosts, by host.
    pub(crate) zones: &'a BTreeMap<String, String>,
    /// The last lines of its history, the oldest first.
    pub(crate) recent: &'a [String],
    /// Why the server cannot be asked just now.
    pub(crate) trouble: Option<&'a str>,
    /// Now.
    pub(crate) now: Time,
}

/// The terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Its columns.
    pub(crate) width: usize,
    /// Its lines.
    pub(crate) height: usize,
    /// True if it shows more than ASCII.
    pub(crate) unicode: bool,
}

/// The picture: no more lines than the terminal has, none wider than it.
pub(crate) fn lines(scene: &Scene<'_>, frame: Frame) -> Vec<Line> {
    let mut all = head(scene, frame);
    all.push(Line::default());
    all.extend(hosts(scene, Frame { height: frame.height.saturating_sub(all.len() + BELOW), ..frame }));
    for (title, kinds) in SECTIONS {
        // A line for the title, one to set it apart, and two for history.
        let room = frame.height.saturating_sub(all.len() + 4).min(MAX_BLOCKERS);
        all.extend(section(scene, title, kinds, room, frame));
    }
    all.extend(history(scene, frame.height.saturating_sub(all.len())));
    all.truncate(frame.height);
    let fit = |line: Line| {
        let line = line.cut(frame.width);
        if frame.unicode { line } else { line.in_ascii() }
    };
    all.into_iter().map(fit).collect()
}

fn head(scene: &Scene<'_>, frame: Frame) -> Vec<Line> {
    let detail = scene.detail;
    let id: String = text(&detail["session_id"]).chars().take(8).collect();
    let (state, condition) = (text(&detail["state"]), text(&detail["condition"]));
    let clock = time::clock(scene.now);
    let title = Line::of(Look::Strong, "Fenix")
        .and(Look::Plain, format!("  session {id}  {}", text(&detail["session"]["workflow"])));
    let space = frame.width.saturating_sub(title.width() + clock.chars().count() + 4);
    let title = title.and(Look::Plain, " ".repeat(space)).and(Look::Faint, format!("{clock} UTC"));
    let look = match (state.as_str(), condition.as_str()) {
        ("MAINTENANCE_FAILED", _) | (_, "parked") => Look::Bad,
        ("MAINTENANCE_DONE", _) => Look::Good,
        (_, "running") => Look::Busy,
        _ => Look::Waiting,
    };
    let percent = detail["percent_done"].as_u64().unwrap_or(0);
    let all = items(detail, "hosts").count();
    let done = items(detail, "hosts").filter(|host| host["stage"] == "maintained").count();
    let standing = Line::of(look, format!("{state}  {condition}"))
        .and(Look::Plain, "   ")
        .and(Look::Good, bar(percent, frame.unicode))
        .and(Look::Strong, format!("  {percent} %"))
        .and(Look::Plain, format!("   {done} of {all} hosts"));
    let mut lines = vec![title, standing, Line::of(Look::Plain, eta::told(detail, scene.now))];
    let reason = text(&detail["reason"]);
    if !reason.is_empty() {
        lines.push(Line::of(Look::Bad, reason));
    }
    lines.extend(scene.trouble.map(|why| Line::of(Look::Bad, plain(why))));
    lines
}

/// Twenty characters, filled as far as it is.
fn bar(percent: u64, unicode: bool) -> String {
    let full = usize::try_from(percent / 5).unwrap_or(0).min(20);
    let (on, off) = if unicode { ("█", "░") } else { ("#", ".") };
    format!("{}{}", on.repeat(full), off.repeat(20 - full))
}

/// The stages in which a host can be, in their order, with their signs.
const STAGES: [(&str, char, char, Look); 6] = [
    ("waiting", '·', '.', Look::Faint),
    ("fenced", '○', '-', Look::Waiting),
    ("working", '◐', '*', Look::Busy),
    ("worked", '●', '+', Look::Busy),
    ("maintained", '✓', '=', Look::Good),
    ("quarantined", '✗', '!', Look::Bad),
];

fn sign(stage: &str, unicode: bool) -> (String, Look) {
    let known = STAGES.iter().find(|(name, ..)| *name == stage);
    let (_, sign, ascii, look) = known.copied().unwrap_or(("", '?', '?', Look::Plain));
    (if unicode { sign } else { ascii }.to_string(), look)
}

/// The hosts, in as much detail as fits: a line each, a grid with names, or a grid of signs; by zone.
fn hosts(scene: &Scene<'_>, frame: Frame) -> Vec<Line> {
    let all: Vec<&Value> = items(scene.detail, "hosts").collect();
    let mut lines = vec![legend(&all, frame.unicode)];
    let mut zones: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for host in all.iter().copied() {
        let zone = host["hostname"].as_str().and_then(|name| scene.zones.get(name));
        zones.entry(zone.map_or("", String::as_str)).or_default().push(host);
    }
    if all.len() <= MAX_LISTED && all.len() + zones.len() <= frame.height {
        for (zone, hosts) in &zones {
            lines.extend(hosts.iter().map(|host| listed(host, zone, frame)));
        }
        return lines;
    }
    // Those in work have a line each under the grid.
    let busy: Vec<&Value> = all.iter().copied().filter(|host| is_busy(host)).take(MAX_BUSY).collect();
    let room = frame.height.saturating_sub(1 + busy.len());
    let named = grid(&zones, frame, Some(name_width(&all)));
    let rows = if named.len() <= room { named } else { grid(&zones, frame, None) };
    let hidden = rows.len().saturating_sub(room.max(1));
    lines.extend(rows.into_iter().take(room.max(1)));
    if hidden > 0 {
        lines.push(Line::of(Look::Faint, format!("{hidden} lines more; a higher window shows them")));
    }
    lines.extend(busy.iter().map(|host| listed(host, "", frame)));
    lines
}

/// Hosts in work that have a line each.
const MAX_BUSY: usize = 4;

fn is_busy(host: &Value) -> bool {
    matches!(host["stage"].as_str(), Some("fenced" | "working" | "worked"))
}

/// How many hosts are in each stage; so it says what the signs mean.
fn legend(all: &[&Value], unicode: bool) -> Line {
    let mut line = Line::of(Look::Strong, "hosts");
    for (stage, ..) in STAGES {
        let count = all.iter().filter(|host| host["stage"] == stage).count();
        if count > 0 {
            let (sign, look) = sign(stage, unicode);
            line = line.and(look, format!("  {sign}")).and(Look::Plain, format!(" {stage} {count}"));
        }
    }
    line
}

/// One host with what is done on it.
fn listed(host: &Value, zone: &str, frame: Frame) -> Line {
    let stage = text(&host["stage"]);
    let (sign, look) = sign(&stage, frame.unicode);
    let count = host["instances"].as_u64().unwrap_or(0);
    let instances = match count {
        0 => String::new(),
        1 => "1 instance".to_owned(),
        count => format!("{count} instances"),
    };
    let why = text(&host["details"]);
    let action = [text(&host["plugin"]), text(&host["plugin_state"])].join(" ");
    let line = Line::of(look, format!("  {sign} "))
        .and(Look::Plain, format!("{:<NAME_WIDTH$} ", cut(&text(&host["hostname"]), NAME_WIDTH)))
        .and(look, format!("{stage:<12}"))
        .and(Look::Plain, format!("{instances:<14}{:<18}", action.trim()));
    let line = if zone.is_empty() { line } else { line.and(Look::Faint, format!("{zone} ")) };
    line.and(Look::Bad, why)
}

/// The width that the names of hosts in a grid get.
fn name_width(all: &[&Value]) -> usize {
    let widths = all.iter().map(|host| text(&host["hostname"]).chars().count());
    widths.max().unwrap_or(0).min(NAME_WIDTH)
}

/// The hosts of each zone in rows: with their names, in cells of that width, or as signs alone.
fn grid(zones: &BTreeMap<&str, Vec<&Value>>, frame: Frame, names: Option<usize>) -> Vec<Line> {
    let label = zones.keys().map(|zone| zone.chars().count()).max().unwrap_or(0).min(NAME_WIDTH);
    let room = frame.width.saturating_sub(label + 5);
    let cell = names.map_or(1, |width| width + 4);
    let per_row = (room / cell).max(1);
    let mut lines = Vec::new();
    for (zone, hosts) in zones {
        for (at, row) in hosts.chunks(per_row).enumerate() {
            let title = if at == 0 { cut(zone, label) } else { String::new() };
            let mut line = Line::of(Look::Faint, format!("  {title:<label$}  "));
            for host in row {
                let (sign, look) = sign(host["stage"].as_str().unwrap_or_default(), frame.unicode);
                match names {
                    Some(width) => {
                        let name = cut(&text(&host["hostname"]), width);
                        let name_look = if look == Look::Faint { Look::Faint } else { Look::Plain };
                        line = line.and(look, format!("{sign} ")).and(name_look, format!("{name:<width$}  "));
                    }
                    None => line = line.and(look, sign),
                }
            }
            lines.push(line);
        }
    }
    lines
}

/// What is waited for, by title: the words of blockers, none = all others.
const SECTIONS: [(&str, &[&str]); 3] = [
    ("asked", &["reply", "manager-unreachable"]),
    ("under way", &["effect", "outcome-unknown"]),
    ("waits for", &[]),
];

/// Lines of one section at most; the rest is counted.
const MAX_BLOCKERS: usize = 6;

fn section(scene: &Scene<'_>, title: &str, kinds: &[&str], room: usize, frame: Frame) -> Vec<Line> {
    let elsewhere: BTreeSet<&str> = SECTIONS.iter().flat_map(|(_, kinds)| kinds.iter().copied()).collect();
    let here = |blocker: &&Value| {
        let what = blocker["what"].as_str().unwrap_or_default();
        if kinds.is_empty() { !elsewhere.contains(what) } else { kinds.contains(&what) }
    };
    let found: Vec<&Value> = items(scene.blockers, "blockers").filter(here).collect();
    if found.is_empty() || room == 0 {
        return Vec::new();
    }
    let shown = if found.len() > room { room - 1 } else { found.len() };
    let mut lines = vec![Line::default(), Line::of(Look::Strong, title)];
    lines.extend(found.iter().take(shown).map(|blocker| waited(blocker, scene.now, frame)));
    if found.len() > shown {
        lines.push(Line::of(Look::Faint, format!("  and {} more", found.len() - shown)));
    }
    lines
}

/// One blocker: since when, how long still, what and on whom, and what happens then.
fn waited(blocker: &Value, now: Time, frame: Frame) -> Line {
    let since = time::parse(&text(&blocker["since"])).ok();
    let age = since.map_or_else(String::new, |since| eta::span(now.since(since).as_secs_ceil()));
    let what = text(&blocker["what"]);
    let until = time::parse(&text(&blocker["until"])).ok();
    let within = match until {
        Some(until) => format!("{} left", eta::span(until.since(now).as_secs_ceil())),
        None if what == "workflow" => "until something changes".to_owned(),
        None => "until somebody acts".to_owned(),
    };
    let look = match what.as_str() {
        "effect" => Look::Busy,
        "reply" | "workflow" | "paused" | "closing" => Look::Waiting,
        _ => Look::Bad,
    };
    let (on, detail, then) = (text(&blocker["on"]), text(&blocker["detail"]), text(&blocker["then"]));
    // An effect's summary names its subject; everything else is about somebody.
    let subject = if detail.contains(&on) { detail } else { format!("{on}: {detail}") };
    let known = if matches!(what.as_str(), "reply" | "effect") { String::new() } else { format!("{what}  ") };
    let line = Line::of(Look::Faint, format!("  {age:>11}  "))
        .and(look, known)
        .and(Look::Plain, subject)
        .and(Look::Faint, format!("  ({within})"));
    // What happens then only where there is room for all of it.
    if then.is_empty() || line.width() + then.chars().count() + 8 > frame.width {
        return line;
    }
    line.and(Look::Faint, format!("; then {then}"))
}

fn history(scene: &Scene<'_>, room: usize) -> Vec<Line> {
    if room < 3 || scene.recent.is_empty() {
        return Vec::new();
    }
    let from = scene.recent.len().saturating_sub(room - 2);
    let mut lines = vec![Line::default(), Line::of(Look::Strong, "latest")];
    lines.extend(scene.recent[from..].iter().map(|line| {
        let (clock, what) = line.split_once("  ").unwrap_or(("", line));
        let (what, why) = what.split_once("  (").unwrap_or((what, ""));
        let line = Line::of(Look::Faint, format!("  {clock}  ")).and(Look::Plain, what);
        if why.is_empty() { line } else { line.and(Look::Faint, format!("  ({why}")) }
    }));
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: Time = Time(1_793_700_102_000);

    fn text_of(lines: &[Line]) -> Vec<String> {
        let plain = |line: &Line| line.0.iter().map(|(_, text)| text.as_str()).collect::<String>();
        lines.iter().map(|line| plain(line).trim_end().to_owned()).collect()
    }

    fn host(name: &str, stage: &str) -> Value {
        json!({ "hostname": name, "stage": stage, "instances": 2, "plugin": "reboot", "plugin_state": "40 %",
            "details": null, "updated_at": time::iso(NOW) })
    }

    /// A picture of hosts in these stages, dealt out to that many zones.
    fn picture(stages: &[&str], zones: usize, frame: Frame) -> Vec<String> {
        let names: Vec<String> = (1..=stages.len()).map(|i| format!("compute-{i}")).collect();
        let hosts: Vec<Value> = names.iter().zip(stages).map(|(name, stage)| host(name, stage)).collect();
        let zone = |i: usize| format!("az-{}", i % zones);
        let zones = names.iter().enumerate().map(|(i, name)| (name.clone(), zone(i))).collect();
        let detail = json!({ "session_id": "3f2a91c8-1111", "state": "START_MAINTENANCE", "condition": "running",
            "percent_done": 42, "hosts": hosts, "session": { "workflow": "default" }, "phases": [] });
        let since = time::iso(Time(NOW.0 - 65_000));
        let blockers = json!({ "blockers": [
            { "what": "reply", "on": "doctor", "detail": "SCALE_IN was delivered and not answered",
              "since": since, "until": time::iso(Time(NOW.0 + 12_000)), "then": "the session stops" },
            { "what": "effect", "on": "vm-1", "detail": "MIGRATE vm-1 from compute-1 to compute-2",
              "since": since, "until": time::iso(Time(NOW.0 + 600_000)), "then": "" },
            { "what": "quarantined", "on": "compute-9", "detail": "its action failed", "since": since,
              "until": null, "then": "" },
        ]});
        let recent: Vec<String> = (0..40).map(|i| format!("10:00:{i:02}  line {i}  (why {i})")).collect();
        let scene = Scene {
            detail: &detail,
            blockers: &blockers,
            zones: &zones,
            recent: &recent,
            trouble: None,
            now: NOW,
        };
        let lines = lines(&scene, frame);
        assert!(lines.len() <= frame.height, "{} lines", lines.len());
        assert!(lines.iter().all(|line| line.width() <= frame.width));
        text_of(&lines)
    }

    const SMALL: Frame = Frame { width: 80, height: 24, unicode: true };

    #[track_caller]
    fn has(lines: &[String], expected: &[&str]) {
        for wanted in expected {
            assert!(lines.iter().any(|line| line.contains(wanted)), "{wanted:?} is not in {lines:#?}");
        }
    }

    #[test]
    fn few_hosts_have_a_line_each() {
        let lines = picture(&["maintained", "working", "waiting"], 2, Frame { height: 30, ..SMALL });
        has(
            &lines,
            &[
                "Fenix  session 3f2a91c8  default",
                "START_MAINTENANCE  running   ████████░░░░░░░░░░░░  42 %   1 of 3 hosts",
                "hosts  · waiting 1  ◐ working 1  ✓ maintained 1",
                "  ◐ compute-2            working     2 instances   reboot 40 %       az-1",
                "   1 min 05 s  doctor: SCALE_IN was delivered and not answered  (12 s left)",
                "   1 min 05 s  MIGRATE vm-1 from compute-1 to compute-2  (10 min 00 s left)",
                "   1 min 05 s  quarantined  compute-9: its action failed  (until somebody acts)",
                "  10:00:39  line 39  (why 39)",
            ],
        );
    }

    #[test]
    fn more_hosts_are_a_grid_with_names_by_zone() {
        let mut stages = vec!["waiting"; 30];
        stages[3] = "working";
        let lines = picture(&stages, 2, Frame { width: 120, height: 40, unicode: true });
        has(
            &lines,
            &[
                "  az-0  · compute-1   · compute-3   · compute-5",
                "  az-1  · compute-2   ◐ compute-4   · compute-6",
                "  ◐ compute-4            working     2 instances   reboot 40 %",
            ],
        );
    }

    #[test]
    fn a_thousand_hosts_fit_as_signs_into_a_small_terminal_and_leave_room_for_what_is_waited_for() {
        let mut stages = vec!["waiting"; 1000];
        stages[..400].fill("maintained");
        stages[400] = "fenced";
        let lines = picture(&stages, 4, Frame { height: 50, ..SMALL });
        has(&lines, &["  az-0  ✓✓✓✓✓✓✓✓", "under way", "latest", "○ fenced 1  ✓ maintained 400"]);
        let lines = picture(&stages, 4, SMALL);
        has(&lines, &["lines more; a higher window shows them", "asked"]);
    }

    #[test]
    fn without_unicode_everything_is_ascii() {
        let lines = picture(&["maintained", "fenced", "waiting"], 1, Frame { unicode: false, ..SMALL });
        assert!(lines.iter().all(|line| line.is_ascii()), "{lines:#?}");
        has(&lines, &["= maintained 1", "########............"]);
    }

    #[test]
    fn any_size_of_terminal_is_borne() {
        for (width, height) in [(0, 0), (1, 1), (10, 3), (80, 5), (400, 200)] {
            picture(&["waiting"; 50], 3, Frame { width, height, unicode: true });
        }
    }
}
