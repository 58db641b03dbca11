//! `fenix session watch`: a line for everything that happens, until the session has ended.

use serde_json::Value;

use super::client::Fenix;
use super::exit::{Failure, Kind};
use super::session::text;
use super::{Output, print};

/// One line of a session's history, for people.
pub(crate) fn history_line(line: &Value) -> String {
    let at = text(&line["at"]);
    let clock = at.split_once('T').map_or(at.as_str(), |(_, clock)| clock);
    let why = text(&line["why"]);
    let reason = if why.is_empty() { String::new() } else { format!("  ({why})") };
    format!("{clock}  {}{reason}", text(&line["what"]))
}

/// Follows a session to its end.
///
/// # Errors
/// The server cannot be reached; the session failed, was parked, or was removed.
pub(super) async fn follow(fenix: &Fenix, session: &str, output: Output) -> Result<(), Failure> {
    let mut from = 0;
    let mut shown = String::new();
    loop {
        let news = match fenix.get(&format!("/v1/maintenance/{session}/events?from={from}")).await {
            Ok(news) => news,
            Err(failure) if from > 0 && failure.kind == Kind::Refused => {
                return Err(Failure::failed(format!("session {session} is gone")));
            }
            Err(failure) => return Err(failure),
        };
        from = news["next"].as_u64().unwrap_or(from);
        for line in news["lines"].as_array().into_iter().flatten() {
            match output {
                Output::Json => print::json(line),
                Output::Text => print::line(history_line(line)),
            }
        }
        let (state, condition) = (text(&news["state"]), text(&news["condition"]));
        let now = format!("{state}, {condition}, {} % done", text(&news["percent_done"]));
        if output == Output::Text && now != shown {
            print::note(format!("-- {now}"));
            shown = now;
        }
        match (state.as_str(), condition.as_str()) {
            ("MAINTENANCE_DONE", "ended") => return Ok(()),
            ("MAINTENANCE_FAILED", "ended") => {
                let reason = text(&news["reason"]);
                return Err(Failure::failed(format!("session {session} failed: {reason}"))
                    .hint("repair the cause, then `fenix session continue`, or `fenix session delete`"));
            }
            (_, "parked") => {
                let reason = text(&news["reason"]);
                return Err(Failure::failed(format!("session {session} is parked: {reason}"))
                    .hint("`fenix session continue` lets it go on"));
            }
            _ => {}
        }
    }
}
