//! Whether a run with a crash came to what the same run came to without one: nothing lost, nothing done twice.
//!
//! The verdict is read from the truth ([`crate::truth`]) alone: what the cloud did, and what receivers have in their
//! inboxes. Neither the journal nor what Fenix says about itself is looked at, so that whatever they have wrong shows.
//! An [`Account`] is made of each run; [`Account::against`] compares the two.

mod inbox;

use std::collections::{BTreeMap, BTreeSet};

use fenix_cloud::sim::trace::{Actor, Happening, MoveEnd, MoveKind};
use fenix_core::ask::AskKind;
use fenix_core::id::{HostId, InstanceId, ProjectId, SubscriptionId};
use fenix_core::inventory::Service;
use fenix_core::time::{Millis, Time};

use crate::truth::{ActionEnd, Entry, Errand, Truth};
use inbox::Inbox;

/// How long nothing may have changed any more when a run ends: longer than any call is late.
const REST: Millis = Millis::from_secs(60);

/// How near a run has to come to the one without a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// The same ends: what was done there is done here, once.
    Same,
    /// Somebody ended it at some moment, and a crash moves what that moment meets: nothing is done that was not done
    /// there or would have been done next, nothing twice, and everybody was told.
    NoMore,
}

/// What came of a run, as the cloud and the receivers of messages know it.
#[derive(Clone, Debug, Default)]
pub struct Account {
    hosts: BTreeMap<HostId, HostAccount>,
    instances: BTreeMap<InstanceId, InstanceAccount>,
    /// How often each instance left each host and arrived elsewhere.
    left: BTreeMap<(InstanceId, HostId), u32>,
    /// By the key of each piece of work: how often it was reported as done.
    done: BTreeMap<String, u32>,
    inboxes: BTreeMap<SubscriptionId, Inbox>,
    /// The last change that Fenix or one of its actions made or tried to make.
    last_change: Time,
    ended: Time,
    deaths: u32,
    /// Wrong by itself, whatever it is compared with.
    wrong: Vec<String>,
}

/// A host.
#[derive(Clone, Debug)]
struct HostAccount {
    service: Service,
    up: bool,
    restarts: u32,
}

/// An instance that is there.
#[derive(Clone, Debug)]
struct InstanceAccount {
    project: ProjectId,
    host: HostId,
    serves: bool,
}

impl Account {
    /// Reads what came of a run that ended then.
    pub fn of(truth: &[Entry], ended: Time) -> Account {
        let mut account = Account { ended, ..Account::default() };
        for entry in truth {
            account.see(entry);
        }
        account
    }

    fn see(&mut self, entry: &Entry) {
        match &entry.what {
            Truth::Cloud(what, by) => self.cloud(entry.at, what, *by),
            Truth::Sent { .. } | Truth::ActionSent { .. } => self.changed(entry.at),
            Truth::ActionReturned { errand: Errand::Work, key, end: ActionEnd::Done, .. } => {
                *self.done.entry(key.clone()).or_default() += 1;
            }
            Truth::Attempted { to, session, message, content, ask, taken: true } => {
                let inbox = self.inboxes.entry(to.clone()).or_default();
                let key = (session.clone(), *message);
                inbox.take(entry.at, to, key, (content.clone(), ask.clone()), &mut self.wrong);
            }
            Truth::Killed => self.deaths += 1,
            Truth::ActionCalled { .. }
            | Truth::ActionReturned { .. }
            | Truth::Answered { .. }
            | Truth::Fetched { .. }
            | Truth::Attempted { .. }
            | Truth::Replied { .. }
            | Truth::Commanded(_)
            | Truth::Told(..)
            | Truth::Started
            | Truth::Panicked(_)
            | Truth::Spins(_)
            | Truth::Calm
            | Truth::ClockSet(_)
            | Truth::JournalFailed
            | Truth::Reopened
            | Truth::Held(_) => {}
        }
    }

    fn cloud(&mut self, at: Time, what: &Happening, by: Actor) {
        if by == Actor::Client && !matches!(what, Happening::Refused { .. }) {
            self.changed(at);
        }
        match what {
            Happening::HostAdded { host } => {
                let account = HostAccount { service: host.service.clone(), up: host.up, restarts: 0 };
                self.hosts.insert(host.id.clone(), account);
            }
            Happening::HostDisabled { host, reason } => {
                self.host(host, |host| host.service = Service::Disabled { reason: reason.clone() });
            }
            Happening::HostEnabled { host } => self.host(host, |host| host.service = Service::Enabled),
            Happening::HostRebooting { host } => self.host(host, |host| {
                host.restarts += 1;
                host.up = false;
            }),
            Happening::HostDown { host, .. } => self.host(host, |host| host.up = false),
            Happening::HostUp { host, .. } => self.host(host, |host| host.up = true),
            Happening::InstanceAdded { instance } => {
                let (project, host) = (instance.project.clone(), instance.host.clone());
                let account = InstanceAccount { project, host, serves: false };
                self.instances.insert(instance.id.clone(), account);
            }
            Happening::InstanceDeleted { instance } => drop(self.instances.remove(instance)),
            Happening::OutOfService { instance, .. } => self.instance(instance, |known| known.serves = false),
            Happening::InService { instance, .. } => self.instance(instance, |known| known.serves = true),
            Happening::MoveStarted { instance, from, kind, .. } if by == Actor::Client => {
                self.starts(at, instance, from, *kind);
            }
            Happening::MoveEnded { instance, host, end: MoveEnd::Arrived, .. } => {
                self.arrives(instance, host, by)
            }
            Happening::MoveStarted { .. }
            | Happening::MoveEnded { .. }
            | Happening::MoveConfirmed { .. }
            | Happening::MoveShownOver { .. }
            | Happening::GroupSet { .. }
            | Happening::InstanceBooted { .. }
            | Happening::InstanceResized { .. }
            | Happening::InstanceBroke { .. }
            | Happening::InstanceStopped { .. }
            | Happening::InstanceStarted { .. }
            | Happening::ClaimTaken { .. }
            | Happening::ClaimFreed { .. }
            | Happening::Refused { .. } => {}
        }
    }

    fn changed(&mut self, at: Time) {
        self.last_change = at;
        let told = self.inboxes.values().filter_map(|inbox| inbox.told_done).min();
        if let Some(told) = told {
            self.wrong.push(format!(
                "something was changed at {}, and all was said to be done at {}",
                clock(at),
                clock(told)
            ));
        }
    }

    fn host(&mut self, id: &HostId, change: impl FnOnce(&mut HostAccount)) {
        if let Some(host) = self.hosts.get_mut(id) {
            change(host);
        }
    }

    fn instance(&mut self, id: &InstanceId, change: impl FnOnce(&mut InstanceAccount)) {
        if let Some(instance) = self.instances.get_mut(id) {
            change(instance);
        }
    }

    /// A move that begins: off a host that is being emptied, or without need.
    fn starts(&mut self, at: Time, instance: &InstanceId, from: &HostId, kind: MoveKind) {
        let fenced = self.hosts.get(from).is_some_and(|host| host.service != Service::Enabled);
        if !fenced && matches!(kind, MoveKind::Cold | MoveKind::Live | MoveKind::Evacuation) {
            self.wrong
                .push(format!("{instance} was moved off {from} at {}, which nobody empties", clock(at)));
        }
    }

    fn arrives(&mut self, instance: &InstanceId, host: &HostId, by: Actor) {
        let Some(known) = self.instances.get_mut(instance) else { return };
        let from = std::mem::replace(&mut known.host, host.clone());
        if by == Actor::Client && from != *host {
            *self.left.entry((instance.clone(), from)).or_default() += 1;
        }
    }

    /// How often instances were moved, in all.
    pub fn moves(&self) -> u32 {
        self.left.values().sum()
    }

    /// How often hosts were restarted, in all.
    pub fn restarts(&self) -> u32 {
        self.hosts.values().map(|host| host.restarts).sum()
    }

    /// The kinds of questions that came to anybody.
    pub fn asked(&self) -> BTreeSet<AskKind> {
        self.inboxes.values().flat_map(|inbox| &inbox.questions).map(|(_, kind, _)| *kind).collect()
    }

    /// What is wrong with this run, or other than in the one without a crash; empty if all is well.
    pub fn against(&self, plain: &Account, measure: Measure) -> Vec<String> {
        let mut wrong = self.wrong.clone();
        self.hosts_against(plain, measure, &mut wrong);
        self.work_against(plain, measure, &mut wrong);
        self.instances_against(plain, measure, &mut wrong);
        for (to, inbox) in &self.inboxes {
            let plain = plain.inboxes.get(to).cloned().unwrap_or_default();
            inbox.against(&plain, measure, self.deaths, to, &mut wrong);
        }
        let unheard = plain.inboxes.keys().filter(|to| !self.inboxes.contains_key(to));
        wrong.extend(unheard.map(|to| format!("{to} was told nothing")));
        if self.ended < self.last_change + REST {
            let at = clock(self.last_change);
            wrong.push(format!("something was still changed at {at}, shortly before the end"));
        }
        wrong
    }

    fn hosts_against(&self, plain: &Account, measure: Measure, wrong: &mut Vec<String>) {
        for (id, host) in &self.hosts {
            let Some(other) = plain.hosts.get(id) else { continue };
            let same =
                host.service == other.service && host.up == other.up && host.restarts == other.restarts;
            let no_more = host.up && host.restarts <= 1;
            let right = match measure {
                Measure::Same => same,
                Measure::NoMore => no_more,
            };
            if !right {
                wrong.push(format!("{id} is {host}, and without a crash {other}"));
            }
        }
    }

    fn work_against(&self, plain: &Account, measure: Measure, wrong: &mut Vec<String>) {
        for (key, times) in &self.done {
            // What a process did not live to note is found out by another call.
            if *times > 1 + self.deaths {
                wrong.push(format!("{key} was done {times} times, with {} crashes", self.deaths));
            }
            if measure == Measure::Same && !plain.done.contains_key(key) {
                wrong.push(format!("{key} was done, and not without a crash"));
            }
        }
        if measure == Measure::Same {
            let undone = plain.done.keys().filter(|key| !self.done.contains_key(*key));
            wrong.extend(undone.map(|key| format!("{key} was not done")));
        }
    }

    fn instances_against(&self, plain: &Account, measure: Measure, wrong: &mut Vec<String>) {
        for ((instance, host), times) in &self.left {
            let there = plain.left.get(&(instance.clone(), host.clone())).copied().unwrap_or_default();
            if *times > there.max(1) {
                wrong.push(format!("{instance} left {host} {times} times"));
            }
        }
        if measure == Measure::Same && self.moves() > plain.moves() {
            wrong.push(format!("{} moves, and {} without a crash", self.moves(), plain.moves()));
        }
        for (id, instance) in self.instances.iter().filter(|(_, instance)| !instance.serves) {
            wrong.push(format!("{id} does not serve on {}", instance.host));
        }
        let (here, there) = (self.members(), plain.members());
        if here != there {
            wrong.push(format!("these are there: {here:?}, and without a crash: {there:?}"));
        }
    }

    /// How many instances each project has.
    fn members(&self) -> BTreeMap<&ProjectId, u32> {
        let mut members = BTreeMap::new();
        for instance in self.instances.values() {
            *members.entry(&instance.project).or_default() += 1;
        }
        members
    }
}

/// A moment, in seconds of the run.
fn clock(at: Time) -> String {
    format!("{:.3}", at.0 as f64 / 1000.0)
}

impl std::fmt::Display for HostAccount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let up = if self.up { "up" } else { "down" };
        write!(f, "{:?} and {up} after {} restarts", self.service, self.restarts)
    }
}
