//! What the manager does with each event: the duties of contract 2.2, the way the Doctor sample manager has them.

use std::collections::VecDeque;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use fenix_cloud::sim::SimClient;
use fenix_core::ask::{AskKind, MoveHow};
use fenix_core::id::{InstanceId, ProjectId};
use fenix_core::inventory::Instance;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::event::Event;
use super::{Mode, application};
use crate::cli::client::Fenix;
use crate::cli::exit::Kind;
use crate::cli::print;
use crate::cli::text::plain;
use crate::shell::clock::WallClock;
use crate::wire::time::clock;

/// Attempts to read from Fenix or to bring it an answer: it may just be restarting.
const REPLY_TRIES: usize = 20;

/// Attempts to bring an answer that Fenix does not take: it may be busy.
const REFUSED_TRIES: usize = 5;

/// Pause between two of them.
const REPLY_PAUSE: Duration = Duration::from_millis(500);

/// Messages whose answers are remembered: more than are ever on their way again.
const MAX_HANDLED: usize = 256;

/// A manager and what it knows.
pub(super) struct Manager {
    pub(super) fenix: Fenix,
    pub(super) cloud: Option<SimClient>,
    pub(super) project: ProjectId,
    pub(super) mode: Mode,
    pub(super) how: MoveHow,
    pub(super) delay: Duration,
    pub(super) scale: usize,
    pub(super) inbox: Option<PathBuf>,
    /// Instances that it removed to make room: it wants them back at the end.
    pub(super) taken_away: Vec<Instance>,
    /// What it has handled, by [`Event::key`], the newest last: a double is answered again, and nothing is done again.
    pub(super) handled: VecDeque<(String, Option<Value>)>,
}

impl Manager {
    /// Handles events, one after the other, for ever.
    pub(super) async fn work(mut self, mut events: mpsc::Receiver<Event>) {
        while let Some(event) = events.recv().await {
            self.note(&event);
            let key = event.key();
            let double = self.handled.iter().find(|(known, _)| *known == key).cloned();
            match double {
                Some((_, Some(reply))) => self.reply(&event, &reply, "again").await,
                Some((_, None)) => {}
                None => {
                    let reply = self.handle(&event).await;
                    self.handled.push_back((key, reply));
                    if self.handled.len() > MAX_HANDLED {
                        self.handled.pop_front();
                    }
                }
            }
        }
    }

    /// Does what an event asks for, and returns what it answered.
    async fn handle(&mut self, event: &Event) -> Option<Value> {
        let state = event.text("state");
        match AskKind::ALL.into_iter().find(|kind| kind.wire() == state) {
            Some(kind) => self.asked(kind, event).await,
            None => {
                say(&format!("{state} {}", event.traits["instance_ids"]));
                None
            }
        }
    }

    fn note(&self, event: &Event) {
        let Some(path) = &self.inbox else { return };
        let Event { message_id, event_type, traits } = event;
        let line = json!({ "message_id": message_id, "event_type": event_type, "traits": traits });
        let file = std::fs::File::options().create(true).append(true).open(path);
        if let Err(error) = file.and_then(|mut file| writeln!(file, "{line}")) {
            print::note(format!("cannot write {}: {error}", path.display()));
        }
    }

    async fn asked(&mut self, kind: AskKind, event: &Event) -> Option<Value> {
        let state = kind.wire();
        let answer = |word: &str| {
            let mut reply =
                json!({ "state": format!("{word}_{state}"), "session_id": event.text("session_id") });
            if event.traits["ask_id"].is_u64() {
                reply["ask_id"] = event.traits["ask_id"].clone();
            }
            reply
        };
        match self.mode {
            Mode::Silent => {
                say(&format!("{state} -> no answer"));
                return None;
            }
            Mode::Nack => {
                let reply = answer("NACK");
                self.reply(event, &reply, "").await;
                return Some(reply);
            }
            Mode::Slow => tokio::time::sleep(self.delay).await,
            Mode::Ack | Mode::OwnAction | Mode::Lying => {}
        }
        let mut reply = answer("ACK");
        let mut ids = Vec::new();
        let did = match kind {
            AskKind::Maintenance => {
                reply["instance_ids"] = json!(self.instances(event).await);
                String::new()
            }
            AskKind::ScaleIn => self.scale_in().await,
            AskKind::PrepareMaintenance | AskKind::PlannedMaintenance => {
                ids = self.instances(event).await;
                let how = if self.mode == Mode::OwnAction { MoveHow::OwnAction } else { self.how };
                if event.traits["instance_ids"].is_array() {
                    reply["instance_action"] = json!(how.wire());
                } else {
                    reply["instance_actions"] =
                        ids.iter().map(|id| (id.clone(), json!(how.wire()))).collect();
                }
                format!("{} {}", how.wire(), ids.join(" "))
            }
            AskKind::MaintenanceComplete => self.scale_out().await,
        };
        self.reply(event, &reply, &did).await;
        if self.mode == Mode::OwnAction {
            self.move_by_itself(&ids).await;
        }
        Some(reply)
    }

    /// The instances that an event is about.
    async fn instances(&self, event: &Event) -> Vec<String> {
        let read = |list: &Value| {
            let ids = list.as_array().into_iter().flatten();
            ids.filter_map(|id| id.as_str().map(ToOwned::to_owned)).collect()
        };
        let ids = &event.traits["instance_ids"];
        let Some(url) = ids.as_str() else { return read(ids) };
        for tried in 1..=REPLY_TRIES {
            match self.fenix.get(url).await {
                Ok(answer) => return read(&answer["instance_ids"]),
                Err(failure) if failure.kind == Kind::Unreachable && tried < REPLY_TRIES => {
                    tokio::time::sleep(REPLY_PAUSE).await;
                }
                Err(failure) => {
                    say(&format!("cannot read {url}: {failure}"));
                    break;
                }
            }
        }
        Vec::new()
    }

    async fn scale_in(&mut self) -> String {
        let (Some(cloud), false) = (&self.cloud, self.mode == Mode::Lying) else {
            return "did nothing".into();
        };
        let before = self.taken_away.len();
        let result = application::scale_in(cloud, &self.project, self.scale, &mut self.taken_away).await;
        let names: Vec<&str> =
            self.taken_away[before..].iter().map(|instance| instance.name.as_str()).collect();
        match result {
            Ok(()) => format!("removed {}", names.join(" ")),
            Err(trouble) => format!("removed {}, then no more: {trouble}", names.join(" ")),
        }
    }

    async fn scale_out(&mut self) -> String {
        let (Some(cloud), false) = (&self.cloud, self.taken_away.is_empty()) else { return String::new() };
        let wanted = self.taken_away.len();
        match application::scale_out(cloud, &mut self.taken_away).await {
            Ok(()) => format!("created {wanted} instances"),
            Err(trouble) => {
                format!("created {} instances, then no more: {trouble}", wanted - self.taken_away.len())
            }
        }
    }

    async fn move_by_itself(&self, ids: &[String]) {
        for id in ids {
            let Some(cloud) = &self.cloud else { return say("moved nothing: it has no cloud") };
            match application::move_away(cloud, &InstanceId::from(id)).await {
                Ok(made) => say(&format!("re-created {id} as {made}")),
                Err(trouble) => say(&format!("could not re-create {id}: {trouble}")),
            }
        }
    }

    async fn reply(&self, event: &Event, reply: &Value, did: &str) {
        let url = event.text("reply_url");
        let did = if did.is_empty() { String::new() } else { format!(" ({did})") };
        let (asked, answer) = (event.text("state"), reply["state"].as_str().unwrap_or_default());
        for tried in 1..=REPLY_TRIES {
            match self.fenix.call(Method::PUT, url, Some(reply)).await {
                Ok(_) => return say(&format!("{asked} -> {answer}{did}")),
                Err(failure) if failure.kind == Kind::Unreachable || tried < REFUSED_TRIES => {
                    tokio::time::sleep(REPLY_PAUSE).await;
                }
                Err(failure) => return say(&format!("{asked} -> {answer}{did}, refused: {failure}")),
            }
        }
        say(&format!("{asked} -> {answer}{did}, which could not be delivered"));
    }
}

fn say(text: &str) {
    use fenix_engine::ports::Clock;
    print::line(format!("{}  {}", clock(WallClock::default().now()), plain(text)));
}
