//! The way between a caller and the cloud: calls get lost, answers get lost, changes come late or twice, and now and
//! then an answer is a lie.

use std::collections::BTreeMap;

use fenix_core::id::{HostId, InstanceId};
use fenix_core::time::{Millis, Time};
use fenix_engine::ports::{CloudCall, CloudError, CloudReply};

use super::dice::{Dice, Purpose};
use super::spec::{Span, Wire};
use super::world::World;

/// What calls are applied to: a [`World`], or something that also writes down what was applied.
pub trait Target {
    /// As [`World::call`].
    ///
    /// # Errors
    /// As [`World::call`].
    fn call(&mut self, now: Time, call: &CloudCall) -> Result<CloudReply, CloudError>;
    /// As [`World::advance`].
    fn advance(&mut self, to: Time);
    /// As [`World::next_event`].
    fn next_event(&self) -> Option<Time>;
}

impl Target for World {
    fn call(&mut self, now: Time, call: &CloudCall) -> Result<CloudReply, CloudError> {
        World::call(self, now, call)
    }

    fn advance(&mut self, to: Time) {
        World::advance(self, to);
    }

    fn next_event(&self) -> Option<Time> {
        World::next_event(self)
    }
}

/// What a caller gets, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What the cloud said; `Unclear` if nothing of it arrives.
    pub result: Result<CloudReply, CloudError>,
    /// How long after the call: the answer's way, or the time after which the caller gives up.
    pub after: Millis,
}

/// A cloud at the end of a bad wire.
#[derive(Clone, Debug)]
pub struct FaultyCloud<T = World> {
    target: T,
    wire: Wire,
    dice: Dice,
    /// Changes still on their way, by when they arrive and in which order they were sent.
    late: BTreeMap<(Time, u64), CloudCall>,
    sent: u64,
    /// What reads were last answered, and when; only while there are stale answers.
    said: BTreeMap<Read, (Time, CloudReply)>,
    mishaps: BTreeMap<Mishap, u64>,
}

/// What happens to one call on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mishap {
    /// It never arrives.
    Lost,
    /// It is applied, and nobody hears of it.
    ReplyLost,
    /// It is applied after its caller has given up.
    Late,
    /// It is applied twice.
    Doubled,
    /// It is answered `Accepted`, and never done.
    Swallowed,
    /// It is answered with what was true a while ago.
    Stale,
}

impl Mishap {
    /// All of them.
    pub const ALL: [Mishap; 6] =
        [Mishap::Lost, Mishap::ReplyLost, Mishap::Late, Mishap::Doubled, Mishap::Swallowed, Mishap::Stale];
}

/// What is read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Read {
    All,
    Host(HostId),
    Instance(InstanceId),
}

impl<T: Target> FaultyCloud<T> {
    /// Puts a cloud behind a wire; what goes wrong on it comes from the seed.
    ///
    /// `used` draws are left out: a process that starts again goes on elsewhere in the seed's stream.
    pub fn new(target: T, wire: Wire, seed: u64, used: u64) -> FaultyCloud<T> {
        let mut dice = Dice::new(seed, Purpose::Wire);
        dice.skip(used);
        FaultyCloud {
            target,
            wire,
            dice,
            late: BTreeMap::new(),
            sent: 0,
            said: BTreeMap::new(),
            mishaps: BTreeMap::new(),
        }
    }

    /// What is at the other end.
    pub fn target(&self) -> &T {
        &self.target
    }

    /// What is at the other end, for what does not come over the wire.
    pub fn target_mut(&mut self) -> &mut T {
        &mut self.target
    }

    /// How often each thing happened to a call.
    pub fn mishaps(&self) -> &BTreeMap<Mishap, u64> {
        &self.mishaps
    }

    /// Other odds from now on: a wire that becomes good or bad.
    pub fn set_wire(&mut self, wire: Wire) {
        self.wire = wire;
        self.said.clear();
    }

    /// When something will happen next by itself; `None` if nothing will.
    pub fn next_event(&self) -> Option<Time> {
        let late = self.late.first_key_value().map(|((at, _), _)| *at);
        self.target.next_event().into_iter().chain(late).min()
    }

    /// Lets time pass: what is due happens, and what is late arrives, in order of time.
    pub fn advance(&mut self, to: Time) {
        while let Some(entry) = self.late.first_entry() {
            let (at, _) = *entry.key();
            if at > to {
                break;
            }
            let call = entry.remove();
            // Nobody waits for this answer any more; a refusal stands in the trace.
            drop(self.target.call(at, &call));
        }
        self.target.advance(to);
    }

    /// Sends one call at `now`.
    ///
    /// The call is applied before this returns, or is late, or never is; the answer says only what the caller sees.
    pub fn call(&mut self, now: Time, call: &CloudCall) -> Answer {
        self.advance(now);
        let answer_takes = self.dice.within(self.wire.answer_ms);
        let mishap =
            self.draw(call).filter(|mishap| *mishap != Mishap::Stale || self.last_said(now, call).is_some());
        if let Some(mishap) = mishap {
            *self.mishaps.entry(mishap).or_default() += 1;
        }
        match mishap {
            None => Answer { result: self.apply(now, call), after: answer_takes },
            Some(Mishap::Stale) => {
                let result = self.last_said(now, call).map_or_else(|| self.apply(now, call), Ok);
                Answer { result, after: answer_takes }
            }
            Some(Mishap::Swallowed) => Answer { result: Ok(CloudReply::Accepted), after: answer_takes },
            Some(Mishap::Lost) => self.silence(),
            Some(Mishap::ReplyLost) => {
                drop(self.target.call(now, call));
                self.silence()
            }
            Some(Mishap::Late) => {
                self.send_late(now, call);
                self.silence()
            }
            Some(Mishap::Doubled) => {
                let result = self.target.call(now, call);
                if self.dice.chance(0.5) {
                    drop(self.target.call(now, call));
                } else {
                    self.send_late(now, call);
                }
                Answer { result, after: answer_takes }
            }
        }
    }

    /// Applies a call, and keeps what a read was answered for as long as it may be answered once more.
    fn apply(&mut self, now: Time, call: &CloudCall) -> Result<CloudReply, CloudError> {
        let result = self.target.call(now, call);
        if self.wire.stale > 0.0
            && let (Some(read), Ok(reply)) = (read(call), &result)
        {
            self.said.insert(read, (now, reply.clone()));
            let oldest = now - Millis(self.wire.stale_ms);
            self.said.retain(|_, (at, _)| *at >= oldest);
        }
        result
    }

    /// What a read was answered before, if that is not too long ago.
    fn last_said(&self, now: Time, call: &CloudCall) -> Option<CloudReply> {
        let (at, reply) = self.said.get(&read(call)?)?;
        (now.since(*at) <= Millis(self.wire.stale_ms)).then(|| reply.clone())
    }

    fn draw(&mut self, call: &CloudCall) -> Option<Mishap> {
        let Wire { lost, reply_lost, late, doubled, swallowed, stale, .. } = self.wire;
        let all = [
            (lost, Mishap::Lost),
            (reply_lost, Mishap::ReplyLost),
            (late, Mishap::Late),
            (doubled, Mishap::Doubled),
            (swallowed, Mishap::Swallowed),
            (stale, Mishap::Stale),
        ];
        // A read that comes late or twice is one that nobody hears of, or an ordinary one.
        match (self.dice.pick(&all), is_read(call)) {
            (Some(Mishap::Late | Mishap::ReplyLost), true) => Some(Mishap::Lost),
            (Some(Mishap::Doubled | Mishap::Swallowed), true) | (Some(Mishap::Stale), false) => None,
            (drawn, _) => drawn,
        }
    }

    fn send_late(&mut self, now: Time, call: &CloudCall) {
        let delay = self.dice.within(Span::Between { min: 1, max: self.wire.late_ms.max(1) });
        self.sent += 1;
        self.late.insert((now + delay, self.sent), call.clone());
    }

    fn silence(&self) -> Answer {
        let after = Millis(self.wire.timeout_ms);
        Answer { result: Err(CloudError::Unclear(format!("nothing came back within {after}"))), after }
    }
}

fn read(call: &CloudCall) -> Option<Read> {
    match call {
        CloudCall::ReadAll => Some(Read::All),
        CloudCall::ReadHost { host } => Some(Read::Host(host.clone())),
        CloudCall::ReadInstance { instance } => Some(Read::Instance(instance.clone())),
        CloudCall::Disable { .. }
        | CloudCall::Enable { .. }
        | CloudCall::Migrate { .. }
        | CloudCall::LiveMigrate { .. }
        | CloudCall::Confirm { .. }
        | CloudCall::Revert { .. }
        | CloudCall::AbortLive { .. }
        | CloudCall::CompleteLive { .. }
        | CloudCall::Evacuate { .. }
        | CloudCall::Reboot { .. }
        | CloudCall::Boot { .. }
        | CloudCall::Delete { .. }
        | CloudCall::Resize { .. } => None,
    }
}

/// True for calls that change nothing.
pub fn is_read(call: &CloudCall) -> bool {
    matches!(call, CloudCall::ReadAll | CloudCall::ReadHost { .. } | CloudCall::ReadInstance { .. })
}
