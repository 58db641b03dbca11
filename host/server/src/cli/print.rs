//! The only place that writes to standard output and error.

use std::io::Write;
use std::process::ExitCode;

use serde_json::Value;

use super::exit::Failure;

/// Writes one line of a result. A reader that has gone, as `head` does, ends nothing.
pub fn line(text: impl AsRef<str>) {
    let mut out = std::io::stdout().lock();
    drop(writeln!(out, "{}", text.as_ref()).and_then(|()| out.flush()));
}

/// Writes a text of a result as it is, for redrawing.
pub fn raw(text: &str) {
    let mut out = std::io::stdout().lock();
    drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
}

/// Writes one line about how it goes.
pub fn note(text: impl AsRef<str>) {
    drop(writeln!(std::io::stderr().lock(), "{}", text.as_ref()));
}

/// Writes a JSON value in one line.
pub fn json(value: &Value) {
    line(value.to_string());
}

/// Says how a command failed, and gives its exit code.
pub fn failure(failure: &Failure) -> ExitCode {
    let mut lines = failure.message.lines();
    note(format!("error: {}", super::text::plain(lines.next().unwrap_or("it failed"))));
    for line in lines {
        note(format!("  {}", super::text::plain(line)));
    }
    for hint in &failure.hints {
        note(format!("hint: {}", super::text::plain(hint)));
    }
    ExitCode::from(failure.kind as u8)
}
