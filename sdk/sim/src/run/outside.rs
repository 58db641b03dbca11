//! What Fenix's orders meet: the cloud, receivers of messages, actions.

use fenix_cloud::sim::World;
use fenix_core::id::{Digest, HostId, SessionId, SubscriptionId};
use fenix_core::message::Content;
use fenix_core::package::{Package, PackageSpec};
use fenix_core::time::{Millis, Time};
use fenix_engine::event::{self, CallId, DeliveryError, Envelope, Wanted};
use fenix_engine::ports::{Assignment, Brought, CloudCall, CloudError, CloudReply, Progress};

use super::{Event, Run};
use crate::coverage::{Fault, Watch};
use crate::dice::Dice;
use crate::managers::{Deed, asked};
use crate::plugins::Hand;
use crate::scenario::{Brings, CallFate, CallFault};
use crate::truth::{ActionEnd, Entry, Truth};

/// How long it takes until a message that is lost counts as not delivered.
const MESSAGE_TIMEOUT: Millis = Millis::from_secs(5);

impl Run<'_> {
    /// A call reaches the cloud.
    pub(super) fn call(&mut self, life: u32, id: CallId, call: &CloudCall) {
        let Some(fate) = self.calls.fate(call, self.commits.len()) else {
            let answer = self.cloud.call(self.now, call);
            return self.bring(answer.after, life, event::Event::CloudReturned(id, answer.result));
        };
        match fate {
            CallFate::Lost => {}
            CallFate::AnswerLost => drop(self.cloud.target_mut().call(self.now, call)),
            CallFate::Late(by) => self.queue.push(self.now + by, Event::LateCall(call.clone())),
        }
        let after = Millis(self.scenario.cloud.wire.timeout_ms);
        self.bring(after, life, event::Event::CloudReturned(id, no_answer()));
    }

    /// A message leaves Fenix.
    pub(super) fn send_message(&mut self, life: u32, id: CallId, envelope: Box<Envelope>) {
        self.stats.messages += 1;
        let faults = &self.scenario.faults;
        let wait = self.latency.span(1, 200);
        if !self.calm && self.wire.chance(faults.message_lost) {
            self.count(Fault::MessageLost);
            self.attempted(&envelope, false);
            let lost = Err(DeliveryError::Unreachable("no answer in time".into()));
            return self.bring(MESSAGE_TIMEOUT, life, event::Event::Delivered(id, lost));
        }
        if !self.calm && self.wire.chance(faults.message_doubled) {
            self.count(Fault::MessageDoubled);
            let again = wait + self.wire.span(1, 5000);
            let copy = Event::Message { life, id, envelope: envelope.clone(), copy: true };
            self.queue.push(self.now + again, copy);
        }
        self.queue.push(self.now + wait, Event::Message { life, id, envelope, copy: false });
    }

    /// A message reaches its receiver.
    pub(super) fn message(&mut self, life: u32, id: CallId, envelope: &Envelope, copy: bool) {
        let to = self.receiver(&envelope.message.to);
        let there = to.filter(|to| !self.managers[*to].is_away(self.now));
        let way_back = self.latency.span(1, 100);
        let Some(number) = there else {
            self.count(Fault::ManagerAway);
            self.attempted(envelope, false);
            let refused = Err(DeliveryError::Unreachable("connection refused".into()));
            if !copy {
                self.bring(way_back, life, event::Event::Delivered(id, refused));
            }
            return;
        };
        self.attempted(envelope, true);
        for (wait, deed) in self.managers[number].receive(self.now, envelope, &mut self.manners) {
            self.queue.push(self.now + wait, Event::Deed { manager: number, deed });
        }
        for wrong in self.managers[number].take_wrongs() {
            self.count(wrong);
        }
        if copy {
            return;
        }
        if !self.calm && self.wire.chance(self.scenario.faults.message_unclear) {
            self.count(Fault::MessageUnclear);
            let lost = Err(DeliveryError::Unreachable("no answer in time".into()));
            return self.bring(MESSAGE_TIMEOUT, life, event::Event::Delivered(id, lost));
        }
        self.bring(way_back, life, event::Event::Delivered(id, Ok(())));
    }

    fn receiver(&self, id: &SubscriptionId) -> Option<usize> {
        self.managers.iter().position(|manager| manager.subscription().id == *id)
    }

    fn attempted(&mut self, envelope: &Envelope, taken: bool) {
        let ask = match &envelope.message.content {
            Content::Ask(_) | Content::AskInstance(..) => envelope.ask.as_ref().map(asked),
            Content::ActionDone(_)
            | Content::ActionFallback(_)
            | Content::Host { .. }
            | Content::Session { .. } => None,
        };
        self.tell(Truth::Attempted {
            to: envelope.message.to.clone(),
            session: envelope.session.clone(),
            message: envelope.message.id,
            content: envelope.message.content.clone(),
            ask,
            taken,
        });
    }

    /// An action is called.
    pub(super) fn action(&mut self, life: u32, id: CallId, assignment: &Assignment) {
        if life != self.life || !self.is_alive() {
            return;
        }
        self.stats.actions += 1;
        let faults = &self.scenario.faults;
        let odds = match self.calm {
            true => Odds::default(),
            false => Odds {
                lost: if self.outages > 0 { 1000 } else { faults.action_call_lost },
                unclear: faults.action_call_unclear,
                swallowed: faults.action_call_swallowed,
            },
        };
        let mut wire = Grip {
            now: self.now,
            host: assignment.host.clone(),
            world: self.cloud.target_mut(),
            truth: &mut self.truth,
            dice: &mut self.wire,
            watch: &mut self.watch,
            odds,
            calls: &mut self.calls,
            commits: self.commits.len(),
            late: Vec::new(),
        };
        let result = self.plugins.act(assignment, &mut wire);
        for (by, call) in wire.late {
            self.queue.push(self.now + by, Event::LateCall(call));
        }
        let end = match &result {
            Ok(Progress::Done { .. }) => ActionEnd::Done,
            Ok(Progress::NotNeeded { .. }) => ActionEnd::NotNeeded,
            Ok(Progress::Stop { .. }) => ActionEnd::Stop,
            Ok(Progress::Again { .. }) => ActionEnd::Again,
            Err(error) => ActionEnd::Failed(error.to_string()),
        };
        self.drain_trace();
        self.note_action(life, id, assignment, end);
        let wait = self.latency.span(1, 500);
        self.bring(wait, life, event::Event::ActionReturned(id, result));
    }

    /// What a session brings, as the scenario has it.
    pub(super) fn brings(&self, session: &SessionId) -> Option<Brings> {
        self.scenario.session(session).and_then(|spec| spec.brings)
    }

    /// An attempt to fetch it ends. What it names lies in it, as the plug-ins of this simulation.
    pub(super) fn fetch(&mut self, life: u32, id: CallId, wanted: &Wanted) {
        let fails = self.brings(&wanted.session).map_or(0, |brings| brings.fails);
        let tried = self.fetches.entry(wanted.session.clone()).or_default();
        *tried += 1;
        let result = if *tried <= fails { Err("drawn".to_owned()) } else { self.brought(wanted) };
        let came = result.is_ok();
        self.tell(Truth::Fetched { session: wanted.session.clone(), came });
        self.bring(Millis(1), life, event::Event::Fetched(id, result));
    }

    fn brought(&self, wanted: &Wanted) -> Result<Brought, String> {
        let pin = |name: &String| self.plugins.pin(name).ok_or_else(|| format!("there is no {name}"));
        let package = |spec: &PackageSpec| Package {
            name: spec.name.clone(),
            digest: Digest::from(&spec.url),
            bytes: 1,
            plugins: Vec::new(),
        };
        Ok(Brought {
            packages: wanted.packages.iter().map(package).collect(),
            workflow: pin(&wanted.workflow.name)?,
            actions: wanted.actions.iter().map(|(_, named)| pin(&named.name)).collect::<Result<_, _>>()?,
        })
    }

    /// A manager does something.
    pub(super) fn deed(&mut self, number: usize, deed: Deed) {
        if let Deed::Answer(answer) = deed {
            return self.send_answer(number, *answer);
        }
        let world = self.cloud.target_mut();
        let next = self.managers[number].act(self.now, deed, world, &mut self.manners);
        for (wait, deed) in next {
            self.queue.push(self.now + wait, Event::Deed { manager: number, deed });
        }
    }
}

/// The calls that change the cloud, counted.
pub(super) struct Calls<'a> {
    faults: &'a [CallFault],
    /// How many commits there were when each set out.
    sent: Vec<u64>,
}

impl<'a> Calls<'a> {
    pub(super) fn new(faults: &'a [CallFault]) -> Calls<'a> {
        Calls { faults, sent: Vec::new() }
    }

    pub(super) fn into_sent(self) -> Vec<u64> {
        self.sent
    }

    /// Counts a call, if it changes anything, and says what the scenario has happen to it.
    fn fate(&mut self, call: &CloudCall, commits: usize) -> Option<CallFate> {
        if fenix_cloud::sim::is_read(call) {
            return None;
        }
        self.sent.push(commits as u64);
        let number = self.sent.len() as u64;
        self.faults.iter().find(|fault| fault.call == number).map(|fault| fault.fate)
    }
}

/// An action's way to the cloud.
struct Grip<'a, 'f> {
    now: Time,
    host: Option<HostId>,
    world: &'a mut World,
    truth: &'a mut Vec<Entry>,
    dice: &'a mut Dice,
    watch: &'a mut Watch,
    odds: Odds,
    calls: &'a mut Calls<'f>,
    commits: usize,
    /// Calls that will arrive when nobody waits for them any more, and after how long.
    late: Vec<(Millis, CloudCall)>,
}

/// How many of an action's calls of a thousand go wrong, and how.
#[derive(Clone, Copy, Default)]
struct Odds {
    lost: u32,
    unclear: u32,
    swallowed: u32,
}

impl Hand for Grip<'_, '_> {
    fn cloud(&mut self, call: &CloudCall) -> Result<CloudReply, CloudError> {
        if !fenix_cloud::sim::is_read(call) {
            let what = Truth::ActionSent { host: self.host.clone(), call: call.clone() };
            self.truth.push(Entry { at: self.now, what });
        }
        match self.calls.fate(call, self.commits) {
            Some(CallFate::Lost) => return no_answer(),
            Some(CallFate::AnswerLost) => {
                drop(self.world.call(self.now, call));
                return no_answer();
            }
            Some(CallFate::Late(by)) => {
                self.late.push((by, call.clone()));
                return no_answer();
            }
            None => {}
        }
        if self.dice.chance(self.odds.lost) {
            self.watch.count(Fault::ActionCallLost, 1);
            return no_answer();
        }
        if self.dice.chance(self.odds.swallowed) && !fenix_cloud::sim::is_read(call) {
            self.watch.count(Fault::ActionCallSwallowed, 1);
            return Ok(CloudReply::Accepted);
        }
        let result = self.world.call(self.now, call);
        if self.dice.chance(self.odds.unclear) {
            self.watch.count(Fault::ActionCallUnclear, 1);
            return no_answer();
        }
        result
    }
}

fn no_answer() -> Result<CloudReply, CloudError> {
    Err(CloudError::Unclear("no answer in time".into()))
}
