//! How the session looks while it goes on: drawn again and again at a terminal, line by line elsewhere.

use serde_json::Value;

use crate::cli::print;
use crate::cli::text::{cut, plain};

/// Hosts that get a line each; more are shown as a grid.
const MAX_LINES: usize = 16;

/// Hosts in a row of the grid.
const GRID_WIDTH: usize = 50;

/// Events that stay in sight.
const RECENT: usize = 8;

/// Widest line if the terminal does not say how wide it is.
const WIDTH: usize = 100;

/// Draws the session.
pub(super) struct Live {
    redraw: bool,
    drawn: usize,
    recent: Vec<String>,
}

impl Live {
    pub(super) fn new(redraw: bool) -> Live {
        Live { redraw, drawn: 0, recent: Vec::new() }
    }

    /// Something happened.
    pub(super) fn happened(&mut self, line: String) {
        if !self.redraw {
            print::note(plain(&line));
            return;
        }
        self.recent.push(line);
        if self.recent.len() > RECENT {
            self.recent.remove(0);
        }
    }

    /// Shows how the session stands.
    pub(super) fn show(&mut self, detail: &Value, seconds: u64) {
        if !self.redraw {
            return;
        }
        let (width, height) = terminal_size::terminal_size()
            .map_or((WIDTH, 40), |(width, height)| (usize::from(width.0), usize::from(height.0)));
        let mut lines = frame(detail, &self.recent, seconds);
        lines.truncate(height.saturating_sub(1));
        let mut text = String::new();
        if self.drawn > 0 {
            text.push_str(&format!("\x1b[{}A", self.drawn));
        }
        for line in &lines {
            text.push_str(&format!("\x1b[2K{}\n", cut(&plain(line), width.saturating_sub(1))));
        }
        // A frame shorter than the last one leaves none of that behind.
        text.push_str("\x1b[J");
        print::raw(&text);
        self.drawn = lines.len();
    }
}

/// The whole picture.
fn frame(detail: &Value, recent: &[String], seconds: u64) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let items = |key: &str| detail[key].as_array().cloned().unwrap_or_default();
    let mut lines = vec![
        format!(
            "{}   {}   {} % done   {:02}:{:02}",
            text(&detail["state"]),
            text(&detail["condition"]),
            detail["percent_done"],
            seconds / 60,
            seconds % 60
        ),
        String::new(),
    ];
    let hosts = items("hosts");
    if hosts.len() <= MAX_LINES {
        lines.extend(hosts.iter().map(host_line));
    } else {
        lines.extend(grid(&hosts));
    }
    lines.push(String::new());
    for ask in items("asks").iter().filter(|ask| ask["status"] == "open") {
        let host = ask["host"].as_str().map_or_else(String::new, |host| format!(" for {host}"));
        lines.push(format!("asked   {} {}{host}", text(&ask["project_id"]), text(&ask["state"])));
    }
    for effect in items("effects") {
        let to = effect["to"].as_str().map_or_else(String::new, |to| format!(" to {to}"));
        lines.push(format!("{:<7} {}{to}", text(&effect["what"]), text(&effect["on"])));
    }
    lines.push(String::new());
    lines.extend(recent.iter().cloned());
    lines
}

fn host_line(host: &Value) -> String {
    let stage = host["stage"].as_str().unwrap_or_default();
    let count = host["instances"].as_u64().unwrap_or(0);
    let plugin = host["plugin"].as_str().unwrap_or_default();
    let state = host["plugin_state"].as_str().unwrap_or_default();
    let name = host["hostname"].as_str().unwrap_or_default();
    let instances = "#".repeat(usize::try_from(count.min(20)).unwrap_or(0));
    format!("{} {name:<16} {stage:<12} {instances:<6} {plugin} {state}", mark(stage))
}

/// One letter per host, and what the letters mean.
fn grid(hosts: &[Value]) -> Vec<String> {
    let marks: Vec<char> =
        hosts.iter().map(|host| mark(host["stage"].as_str().unwrap_or_default())).collect();
    let rows = marks.chunks(GRID_WIDTH).map(|row| row.iter().collect());
    let legend = ". waiting   - fenced   * working   + worked   = maintained   ! quarantined".to_owned();
    rows.chain([legend]).collect()
}

fn mark(stage: &str) -> char {
    match stage {
        "waiting" => '.',
        "fenced" => '-',
        "working" => '*',
        "worked" => '+',
        "maintained" => '=',
        "quarantined" => '!',
        _ => '?',
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn detail(hosts: usize) -> Value {
        let host = |i| {
            json!({ "hostname": format!("compute-{i}"), "stage": "working", "instances": 2,
                "plugin": "reboot", "plugin_state": "40 %" })
        };
        json!({
            "state": "PLANNED_MAINTENANCE", "condition": "running", "percent_done": 40,
            "hosts": (1..=hosts).map(host).collect::<Vec<_>>(),
            "asks": [{"project_id": "doctor", "state": "PLANNED_MAINTENANCE", "host": "compute-2", "status": "open"},
                     {"project_id": "doctor", "state": "MAINTENANCE", "status": "acked"}],
            "effects": [{"what": "move", "on": "vm-1", "to": "compute-1"}],
        })
    }

    #[test]
    fn few_hosts_have_a_line_each() {
        let lines = frame(&detail(2), &["12:00  asked".into()], 75).join("\n");
        for part in [
            "40 % done   01:15",
            "* compute-1",
            "reboot 40 %",
            "asked   doctor PLANNED_MAINTENANCE for compute-2",
            "move    vm-1 to compute-1",
            "12:00  asked",
        ] {
            assert!(lines.contains(part), "{part} is not in\n{lines}");
        }
        assert!(!lines.contains("doctor MAINTENANCE"));
    }

    #[test]
    fn many_hosts_are_a_grid() {
        let lines = frame(&detail(120), &[], 0);
        assert_eq!(lines.iter().filter(|line| line.starts_with("***")).count(), 3);
    }
}
