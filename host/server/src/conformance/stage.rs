//! What every play needs: who is played against, what is sent, and what is heard back.

use std::time::Duration;

use fenix_core::ask::{Ask, AskKind, MoveHow};
use fenix_core::id::{InstanceId, SessionId};
use fenix_core::message::{Content, Subscription};
use fenix_engine::event::Envelope;
use fenix_engine::ports::Clock;
use reqwest::Client;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::counter::{Counter, Heard};
use super::letter::{self, Change};
use super::report::{Clause, Report};
use crate::shell::clock::WallClock;
use crate::wire::payload::Base;
use crate::wire::reply::{Answered, read};

/// How long a play listens for what should not come: what is done wrongly is done at once.
pub(super) const MOMENT: Duration = Duration::from_millis(1500);

/// A question that was sent.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) during: String,
    pub(super) ask: Ask,
    /// The path of its `reply_url`.
    pub(super) path: String,
    /// Set if it is about one instance.
    pub(super) instance: Option<InstanceId>,
    envelope: Envelope,
    until: Instant,
}

/// A manager's answer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Answer {
    pub(super) body: Value,
    pub(super) agrees: bool,
    pub(super) actions: Vec<(InstanceId, MoveHow)>,
}

/// A play under way.
pub(super) struct Stage {
    pub(super) client: Client,
    pub(super) base: Base,
    pub(super) counter: Counter,
    pub(super) heard: mpsc::UnboundedReceiver<Heard>,
    pub(super) to: Subscription,
    pub(super) session: SessionId,
    pub(super) window: Duration,
    pub(super) report: Report,
    pub(super) next_message: u32,
    pub(super) next_ask: u32,
    /// What was asked before, by kind and path: answers to that may be repeated at any time.
    pub(super) before: Vec<(AskKind, String)>,
}

impl Stage {
    /// Makes the next message.
    pub(super) fn message(&mut self, content: Content, ask: Option<Ask>) -> Envelope {
        self.next_message += 1;
        let times = (WallClock::default().now(), self.window);
        letter::envelope(&self.session, &self.to, self.next_message, content, ask, times)
    }

    /// Sends a message that has to be taken; false if it was not.
    pub(super) async fn deliver(&mut self, envelope: &Envelope, change: Change, during: &str) -> bool {
        self.bring("L1", envelope, change, during).await
    }

    /// Sends a message that was taken before, and has to be taken again; false if it was not.
    pub(super) async fn repeat(&mut self, envelope: &Envelope, change: Change, during: &str) -> bool {
        self.bring("L2", envelope, change, &format!("{during}, once more")).await
    }

    async fn bring(&mut self, clause: Clause, envelope: &Envelope, change: Change, during: &str) -> bool {
        self.report.tried.insert(clause);
        let why = match letter::send(&self.client, &self.base, envelope, change).await {
            Ok(200..=299) => return true,
            Ok(status) => format!("answered {status}"),
            Err(why) => why,
        };
        self.report.find(clause, during, why);
        false
    }

    /// Puts the next question, and returns it if it was taken.
    pub(super) async fn ask(
        &mut self,
        kind: AskKind,
        round: u32,
        instances: &[InstanceId],
        alone: bool,
        change: Change,
    ) -> Option<Asked> {
        let again = if round > 1 { format!(", round {round}") } else { String::new() };
        let during = format!("{}{again}", kind.wire());
        let ask = letter::question(&self.to, self.next_ask, kind, round, instances.to_vec());
        self.next_ask += 1;
        self.counter.book().instances = instances.iter().map(ToString::to_string).collect();
        let instance = instances.first().filter(|_| alone).cloned();
        let content = match &instance {
            Some(instance) => Content::AskInstance(ask.id, instance.clone()),
            None => Content::Ask(ask.id),
        };
        let envelope = self.message(content, Some(ask.clone()));
        // An answer that comes within the request that brings the question counts as well.
        let taken = self.deliver(&envelope, change, &during).await;
        let mut path = format!("/v1/maintenance/{}/{}", self.session, self.to.project);
        path.extend(instance.iter().map(|instance| format!("/{instance}")));
        self.before.push((kind, path.clone()));
        let until = Instant::now() + self.window;
        taken.then_some(Asked { during, ask, path, instance, envelope, until })
    }

    /// Sends a question once more: as it was, or under another id.
    pub(super) async fn ask_again(&mut self, asked: &Asked, under_new_id: bool) -> bool {
        let mut envelope = asked.envelope.clone();
        if under_new_id {
            envelope = self.message(envelope.message.content, envelope.ask);
        }
        self.repeat(&envelope, Change::None, &asked.during).await
    }

    /// Waits for the answer to a question until its time is over.
    pub(super) async fn answer(&mut self, asked: &Asked) -> Option<Answer> {
        self.report.tried.extend(["M1", "M2", "M3"]);
        let answer = self.answer_until(asked, asked.until).await;
        if answer.is_none() {
            self.report.find("M1", &asked.during, format!("no answer within {} s", self.window.as_secs()));
        }
        answer
    }

    /// The next answer to a question that comes until then.
    pub(super) async fn answer_until(&mut self, asked: &Asked, until: Instant) -> Option<Answer> {
        while let Ok(Some(heard)) = timeout_at(until, self.heard.recv()).await {
            if let Some(answer) = self.take(asked, &heard) {
                return Some(answer);
            }
        }
        None
    }

    /// Looks at everything that was heard within a moment: nothing should be among it that changes anything.
    pub(super) async fn nothing_more(&mut self, clause: Clause, during: &str) {
        self.report.tried.insert(clause);
        let until = Instant::now() + MOMENT;
        while let Ok(Some(heard)) = timeout_at(until, self.heard.recv()).await {
            // That it subscribes, or states something about its instances, is its own affair.
            if heard.method != "GET" && heard.path.starts_with("/v1/maintenance") {
                self.report.find(clause, during, format!("{} {}", heard.method, heard.path));
            }
        }
    }

    /// Reads a call as the answer to a question; what is wrong about it is noted.
    fn take(&mut self, asked: &Asked, heard: &Heard) -> Option<Answer> {
        let during = asked.during.as_str();
        if heard.method == "GET" {
            if heard.path == asked.path {
                self.report.tried.insert("M5");
            }
            return None;
        }
        if !heard.path.starts_with("/v1/maintenance") {
            return None;
        }
        if heard.path != asked.path && self.before.iter().any(|(_, path)| *path == heard.path) {
            return None;
        }
        if heard.path != asked.path || heard.method != "PUT" {
            let what = format!("{} {} instead of PUT {}", heard.method, heard.path, asked.path);
            self.report.find("M2", during, what);
            return None;
        }
        let Some(Value::Object(body)) = &heard.body else {
            self.report.find("M2", during, "the body is no JSON object");
            return None;
        };
        let state = body.get("state").and_then(Value::as_str).unwrap_or_default();
        if !answers(asked.ask.kind, state) {
            let is_old = self.before.iter().any(|(kind, _)| answers(*kind, state));
            if !is_old && !state.starts_with("ACK_INSTANCE_ACTION") {
                self.report.find(
                    "M3",
                    during,
                    format!("answered state {}", body.get("state").unwrap_or(&Value::Null)),
                );
            }
            return None;
        }
        let reply = match read(body, asked.instance.as_ref()) {
            Ok(Answered::Question(reply)) => reply,
            Ok(Answered::Notice) => return None,
            Err(why) => {
                self.report.find("M4", during, why);
                return None;
            }
        };
        self.report.tried.insert("M9");
        match body.get("ask_id").map(Value::as_u64) {
            None => self.report.find("M9", during, "the answer names no ask_id"),
            // A repeated answer to an earlier round.
            Some(Some(id)) if id < u64::from(asked.ask.id.0) => return None,
            Some(id) if id != Some(u64::from(asked.ask.id.0)) => {
                self.report.find("M10", during, format!("the answer is to question {}", body["ask_id"]));
                return None;
            }
            Some(_) => {}
        }
        let unnamed = reply.actions.get(&InstanceId::from("")).copied();
        let chosen = |instance: &InstanceId| {
            reply.actions.get(instance).copied().or(unnamed).map(|how| (instance.clone(), how))
        };
        let actions: Vec<_> = asked.ask.instances.iter().filter_map(chosen).collect();
        if reply.agrees && asked.ask.kind.wants_actions() {
            self.report.tried.insert("M4");
            let missing =
                asked.ask.instances.iter().find(|id| !actions.iter().any(|(named, _)| named == *id));
            if let Some(missing) = missing {
                self.report.find("M4", during, format!("no action for instance {missing}"));
            }
        }
        Some(Answer { body: Value::Object(body.clone()), agrees: reply.agrees, actions })
    }
}

/// True if a reply's `state` is a yes or no to a question of that kind.
fn answers(kind: AskKind, state: &str) -> bool {
    ["ACK_", "NACK_"].iter().any(|word| state.strip_prefix(word) == Some(kind.wire()))
}
