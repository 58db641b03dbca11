//! `fenix session watch`: a picture that is drawn anew whenever something happens, until the session has ended.
//!
//! Without a terminal, or with `--plain`, a line for everything that happens.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use fenix_engine::ports::Clock;
use serde_json::{Value, json};

use super::client::Fenix;
use super::exit::{Failure, Kind};
use super::session::{items, text};
use super::{Output, print};
use crate::shell::clock::WallClock;
use crate::stop;

mod eta;
pub(crate) mod picture;
pub(crate) mod screen;

use picture::Scene;
use screen::Screen;

/// Lines of history that are kept to be shown: more than any terminal has.
const KEPT: usize = 200;

/// Longest wait for news in seconds while a picture is shown: its clocks go on.
const TICK_SECS: u64 = 1;

/// The details of a large session are many: after reading them, this many times as long as that took passes before
/// they are read again.
const REST: u32 = 4;

/// How long the picture of a server that cannot be reached stays, before another look.
const AGAIN: Duration = Duration::from_secs(1);

/// One line of a session's history, for people.
pub(crate) fn history_line(line: &Value) -> String {
    let at = text(&line["at"]);
    let clock = at.split_once('T').map_or(at.as_str(), |(_, clock)| clock);
    let why = text(&line["why"]);
    let reason = if why.is_empty() { String::new() } else { format!("  ({why})") };
    format!("{clock}  {}{reason}", text(&line["what"]))
}

/// Follows a session to its end: in a picture if there is a terminal and nobody wants it `plain`.
///
/// # Errors
/// The server cannot be reached; the session failed, was parked, or was removed.
pub(super) async fn follow(fenix: &Fenix, session: &str, output: Output, plain: bool) -> Result<(), Failure> {
    if output == Output::Json || plain || !screen::is_there() {
        return by_line(fenix, session, output).await;
    }
    let mut stop = stop::stop(stop::StopArgs::default()).map_err(|error| Failure::of(&error))?;
    let mut screen = Screen::enter();
    let ended = tokio::select! {
        ended = in_picture(fenix, session, &mut screen) => ended,
        () = stop::stopped(&mut stop) => Err(Failure::new(Kind::Interrupted, "interrupted")
            .hint("the session goes on; `fenix session watch` shows it again")),
    };
    drop(screen);
    let last = ended?;
    let hosts = items(&last, "hosts").filter(|host| host["stage"] == "maintained").count();
    let all = items(&last, "hosts").count();
    print::line(format!(
        "{}  {hosts} of {all} hosts maintained, {}",
        text(&last["state"]),
        eta::told(&last, now())
    ));
    verdict(session, &last).unwrap_or(Ok(()))
}

fn now() -> fenix_core::time::Time {
    WallClock::default().now()
}

/// Shows the session until it has ended, and returns its last details.
async fn in_picture(fenix: &Fenix, session: &str, screen: &mut Screen) -> Result<Value, Failure> {
    let path = format!("/v1/maintenance/{session}");
    let mut view = View::new(zones(fenix).await);
    let mut from = None;
    let mut read_again = Instant::now();
    loop {
        let wait = if from.is_some() { TICK_SECS } else { 0 };
        let news = fenix.get(&format!("{path}/events?from={}&wait={wait}", from.unwrap_or(0))).await;
        let looked = match news {
            Ok(news) => {
                from = Some(news["next"].as_u64().or(from).unwrap_or(0));
                view.heard(&news);
                view.stale |= news["lines"].as_array().is_some_and(|lines| !lines.is_empty());
                let due = Instant::now() >= read_again || is_over(&news);
                if due && (view.stale || view.detail.is_null()) {
                    let begun = Instant::now();
                    let read = view.read(fenix, &path).await;
                    read_again = Instant::now() + begun.elapsed() * REST;
                    read
                } else {
                    Ok(())
                }
            }
            Err(failure) => Err(failure),
        };
        match looked {
            Ok(()) => view.trouble = None,
            Err(failure) if from.is_none() => return Err(failure),
            Err(failure) if failure.kind == Kind::Refused => {
                return Err(Failure::failed(format!("session {session} is gone")));
            }
            // It is being restarted, perhaps: what was seen last stays, and says so.
            Err(failure) => {
                view.trouble = Some(failure.message);
                tokio::time::sleep(AGAIN).await;
            }
        }
        let frame = screen.frame();
        screen.show(&picture::lines(&view.scene(), frame));
        if !view.stale && verdict(session, &view.detail).is_some() {
            return Ok(view.detail);
        }
    }
}

/// What is known of the session that is shown.
#[derive(Debug, Default)]
pub(crate) struct View {
    /// The zones of hosts.
    pub(crate) zones: BTreeMap<String, String>,
    /// Its details.
    pub(crate) detail: Value,
    /// What it waits for.
    pub(crate) blockers: Value,
    recent: VecDeque<String>,
    trouble: Option<String>,
    /// True if something happened since its details were read.
    stale: bool,
}

impl View {
    /// Nothing is known yet but zones.
    pub(crate) fn new(zones: BTreeMap<String, String>) -> View {
        View { zones, ..View::default() }
    }

    /// Takes lines of history in.
    fn heard(&mut self, news: &Value) {
        for line in items(news, "lines") {
            self.happened(history_line(line));
        }
    }

    /// Something happened.
    pub(crate) fn happened(&mut self, line: String) {
        self.recent.push_back(line);
        if self.recent.len() > KEPT {
            self.recent.pop_front();
        }
        self.recent.make_contiguous();
    }

    /// Reads its details, and what it waits for.
    ///
    /// # Errors
    /// The server cannot be reached, or refuses.
    pub(crate) async fn read(&mut self, fenix: &Fenix, path: &str) -> Result<(), Failure> {
        self.detail = fenix.get(&format!("{path}/detail")).await?;
        self.blockers = fenix.get(&format!("{path}/blockers")).await?;
        self.stale = false;
        Ok(())
    }

    /// What is drawn of it now.
    pub(crate) fn scene(&self) -> Scene<'_> {
        Scene {
            detail: &self.detail,
            blockers: &self.blockers,
            zones: &self.zones,
            recent: self.recent.as_slices().0,
            trouble: self.trouble.as_deref(),
            now: now(),
        }
    }
}

/// The zones of all hosts; none if the server does not tell, since the picture can do without.
pub(crate) async fn zones(fenix: &Fenix) -> BTreeMap<String, String> {
    let hosts = fenix.get("/v1/hosts").await.unwrap_or(json!({}));
    items(&hosts, "hosts").map(|host| (text(&host["hostname"]), text(&host["zone"]))).collect()
}

/// Tells a line for everything that happens.
async fn by_line(fenix: &Fenix, session: &str, output: Output) -> Result<(), Failure> {
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
        for line in items(&news, "lines") {
            match output {
                Output::Json => print::json(line),
                Output::Text => print::line(history_line(line)),
            }
        }
        let now = format!(
            "{}, {}, {} % done",
            text(&news["state"]),
            text(&news["condition"]),
            text(&news["percent_done"])
        );
        if output == Output::Text && now != shown {
            print::note(format!("-- {now}"));
            shown = now;
        }
        if let Some(verdict) = verdict(session, &news) {
            return verdict;
        }
    }
}

fn is_over(news: &Value) -> bool {
    verdict("", news).is_some()
}

/// How a session ended, by its details or news; `None` while it goes on.
fn verdict(session: &str, news: &Value) -> Option<Result<(), Failure>> {
    let reason = || text(&news["reason"]);
    match (news["state"].as_str().unwrap_or_default(), news["condition"].as_str().unwrap_or_default()) {
        ("MAINTENANCE_DONE", "ended") => Some(Ok(())),
        ("MAINTENANCE_FAILED", "ended") => {
            Some(Err(Failure::failed(format!("session {session} failed: {}", reason()))
                .hint("repair the cause, then `fenix session continue`, or `fenix session delete`")))
        }
        (_, "parked") => Some(Err(Failure::failed(format!("session {session} is parked: {}", reason()))
            .hint("`fenix session continue` lets it go on"))),
        _ => None,
    }
}
