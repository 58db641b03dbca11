//! Looking at the infrastructure: what was seen enters the inventory as differences, each of them recorded.

use std::collections::{BTreeMap, BTreeSet};

use fenix_core::id::{HostId, InstanceId, SessionId};
use fenix_core::inventory::{Change, Group, Host, Instance};
use fenix_core::record::Body;
use fenix_core::session::{Condition, HostStage, Session};
use fenix_core::time::{Millis, Time};
use fenix_core::view::Trigger;

use crate::event::CallId;
use crate::ports::{CloudCall, CloudError, CloudReply};
use crate::{Engine, Owner};

/// Pause before a failed look at the whole infrastructure is repeated.
const REREAD_PAUSE: Millis = Millis::from_secs(2);

/// Least time per host between two looks at everything: two hosts a second is what a control plane hardly notices.
const RESYNC_PER_HOST: Millis = Millis(500);

/// What is being read, and what was read when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reader {
    /// True once everything was read since the start.
    has_read: bool,
    /// When everything is read next.
    next_all: Time,
    /// The look at everything that is under way.
    all: Option<CallId>,
    /// True if another one has to follow it, because somebody asked meanwhile.
    again: bool,
    /// Reads under way.
    under_way: BTreeSet<CallId>,
    /// For subjects read while an older read was under way: the newest read. What the older one says about them
    /// no longer counts.
    fresher: BTreeMap<Subject, CallId>,
    /// When a host that a session is emptying is read next.
    watched: BTreeMap<SessionId, BTreeMap<HostId, Time>>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    Host(HostId),
    Instance(InstanceId),
}

/// What a difference is about; a group is only ever told of by looks at everything, of which there is one at a time.
fn subject(change: &Change) -> Option<Subject> {
    match change {
        Change::Host(host) => Some(Subject::Host(host.id.clone())),
        Change::HostGone(host) => Some(Subject::Host(host.clone())),
        Change::Instance(instance) => Some(Subject::Instance(instance.id.clone())),
        Change::InstanceGone(instance) => Some(Subject::Instance(instance.clone())),
        Change::Group(_) | Change::GroupGone(_) => None,
    }
}

impl Reader {
    pub(crate) fn has_read(&self) -> bool {
        self.has_read
    }
}

impl Engine {
    /// Has everything read, now or right after the look that is under way: that one may have begun too early.
    pub(crate) fn read_all(&mut self) {
        if self.reader.all.is_some() {
            self.reader.again = true;
        } else {
            self.reader.next_all = self.now;
        }
    }

    /// When everything is read next.
    pub(crate) fn next_read(&self) -> Option<Time> {
        // While nothing new is begun nobody needs to know everything, and each difference would be a record.
        let wanted = self.reader.all.is_none() && self.state.held.is_none();
        wanted.then_some(self.reader.next_all)
    }

    /// When the next of the hosts that a session is emptying is read.
    pub(crate) fn next_watch(&self, session: &Session) -> Option<Time> {
        self.reader.watched.get(&session.id).and_then(|watched| watched.values().copied().min())
    }

    pub(crate) fn run_reads(&mut self) {
        if self.next_read().is_some_and(|at| at <= self.now) {
            self.reader.all = Some(self.read(CloudCall::ReadAll));
        }
        self.watch_hosts();
    }

    /// Reads the hosts that are being emptied: managers and tenants act on them without telling us.
    fn watch_hosts(&mut self) {
        let (now, next) = (self.now, self.now + self.settings.watch);
        let mut due: BTreeSet<HostId> = BTreeSet::new();
        for id in self.agenda.touched().cloned().collect::<Vec<_>>() {
            self.choose_watched(&id);
            let watched = self.reader.watched.get_mut(&id).into_iter().flatten();
            for (host, at) in watched.filter(|(_, at)| **at <= now) {
                *at = next;
                due.insert(host.clone());
            }
        }
        for host in due {
            self.read(CloudCall::ReadHost { host });
        }
    }

    /// Has those hosts watched that a session is emptying now, and no others.
    pub(crate) fn choose_watched(&mut self, id: &SessionId) {
        let session = self.state.session(id).filter(|_| self.state.goes_on(id));
        let emptying =
            session.into_iter().flat_map(|session| session.hosts.in_stage(HostStage::Fenced.name()));
        let emptying = emptying.map(|(host, _)| host);
        // Next to always they are the same as before.
        if emptying.clone().eq(self.reader.watched.get(id).into_iter().flat_map(BTreeMap::keys)) {
            return;
        }
        let next = self.now + self.settings.watch;
        let before = self.reader.watched.remove(id).unwrap_or_default();
        let since = |host: &HostId| before.get(host).copied().unwrap_or(next);
        let watched: BTreeMap<HostId, Time> = emptying.map(|host| (host.clone(), since(host))).collect();
        if !watched.is_empty() {
            self.reader.watched.insert(id.clone(), watched);
        }
    }

    fn read(&mut self, call: CloudCall) -> CallId {
        let id = self.call(Owner::Read, call);
        self.reader.under_way.insert(id);
        id
    }

    /// Notes that a call which reads was ordered for an effect.
    pub(crate) fn reading(&mut self, id: CallId) {
        self.reader.under_way.insert(id);
    }

    pub(crate) fn cloud_returned(&mut self, id: CallId, result: Result<CloudReply, CloudError>) {
        let Some(awaited) = self.awaited.remove(&id) else { return };
        if let Ok(reply) = &result {
            self.take_in(id, awaited.call.as_ref(), reply);
        }
        self.reader.under_way.remove(&id);
        if self.reader.under_way.is_empty() {
            self.reader.fresher.clear();
        }
        if self.reader.all == Some(id) {
            self.all_returned(result.is_ok());
        }
        if let Owner::Effect(session, effect) = awaited.owner {
            self.carrier_returned(&session, effect, awaited.since, result);
        }
    }

    fn all_returned(&mut self, seen: bool) {
        self.reader.all = None;
        let hosts = self.state.inventory.hosts().count() as u64;
        let period = self.settings.resync.max(Millis(RESYNC_PER_HOST.0 * hosts));
        self.reader.next_all = match (seen, std::mem::take(&mut self.reader.again)) {
            (true, false) => self.now + period,
            (true, true) => self.now,
            (false, _) => self.now + REREAD_PAUSE,
        };
        if seen && self.reader.next_all > self.now {
            self.reader.has_read = true;
            for session in std::mem::take(&mut self.rereading) {
                self.agenda.touch(&session);
                self.wake(&session, Trigger::Changed);
            }
        }
        if seen {
            self.reader.has_read = true;
        }
    }

    /// Records how what was seen differs from what was known.
    fn take_in(&mut self, id: CallId, call: Option<&CloudCall>, reply: &CloudReply) {
        match (call, reply) {
            (Some(CloudCall::ReadAll), CloudReply::All { hosts, instances, groups }) => {
                self.take_in_all(id, hosts, instances, groups);
            }
            (Some(CloudCall::ReadHost { host }), CloudReply::Host { host: seen, instances }) => {
                self.take_in_host(id, host, seen.as_ref(), instances);
            }
            (Some(CloudCall::ReadInstance { instance }), CloudReply::Instance(seen)) => {
                self.take_in_instance(id, instance, seen.as_ref());
            }
            _ => {}
        }
    }

    fn take_in_all(&mut self, id: CallId, hosts: &[Host], instances: &[Instance], groups: &[Group]) {
        let changes = self.state.inventory.differences(hosts, instances, groups);
        for change in changes {
            if subject(&change).is_none_or(|subject| self.is_freshest(id, subject)) {
                self.observe(change);
            }
        }
        // What an older read says later about all the others counts no more either.
        if self.is_overtaking(id) {
            let hosts = hosts.iter().map(|host| Subject::Host(host.id.clone()));
            let instances = instances.iter().map(|instance| Subject::Instance(instance.id.clone()));
            for subject in hosts.chain(instances) {
                self.is_freshest(id, subject);
            }
        }
    }

    fn take_in_host(&mut self, id: CallId, host: &HostId, seen: Option<&Host>, instances: &[Instance]) {
        match seen {
            Some(seen) => self.see_host(id, seen),
            None => {
                let known = self.state.inventory.host(host).is_some();
                if known && self.is_freshest(id, Subject::Host(host.clone())) {
                    self.observe(Change::HostGone(host.clone()));
                }
            }
        }
        let listed: BTreeSet<&InstanceId> = instances.iter().map(|instance| &instance.id).collect();
        let missing: Vec<InstanceId> = self
            .state
            .inventory
            .holding(host)
            .map(|instance| instance.id.clone())
            .filter(|instance| !listed.contains(instance))
            .collect();
        for instance in instances {
            self.take_in_instance(id, &instance.id, Some(instance));
        }
        // Gone from here is not gone: ask where it is.
        for instance in missing {
            if self.is_freshest(id, Subject::Instance(instance.clone())) {
                self.read(CloudCall::ReadInstance { instance });
            }
        }
    }

    fn see_host(&mut self, id: CallId, seen: &Host) {
        if self.is_freshest(id, Subject::Host(seen.id.clone()))
            && self.state.inventory.host(&seen.id) != Some(seen)
        {
            self.observe(Change::Host(seen.clone()));
        }
    }

    fn take_in_instance(&mut self, id: CallId, instance: &InstanceId, seen: Option<&Instance>) {
        if !self.is_freshest(id, Subject::Instance(instance.clone())) {
            return;
        }
        match (self.state.inventory.instance(instance), seen) {
            (known, Some(seen)) if known != Some(seen) => self.observe(Change::Instance(seen.clone())),
            (Some(_), None) => self.observe(Change::InstanceGone(instance.clone())),
            (Some(_), Some(_)) | (None, None | Some(_)) => {}
        }
    }

    /// True if a read that was begun earlier is still under way.
    fn is_overtaking(&self, id: CallId) -> bool {
        self.reader.under_way.first().is_some_and(|first| *first < id)
    }

    /// True unless a younger read already told about the subject; notes this read as its youngest if an older one
    /// is still under way.
    fn is_freshest(&mut self, id: CallId, subject: Subject) -> bool {
        match self.reader.fresher.get(&subject) {
            Some(youngest) if *youngest > id => false,
            _ if self.is_overtaking(id) => {
                self.reader.fresher.insert(subject, id);
                true
            }
            _ => true,
        }
    }

    fn observe(&mut self, change: Change) {
        let newcomers = match &change {
            Change::Instance(instance) => self.newcomers(instance),
            Change::Host(_)
            | Change::HostGone(_)
            | Change::InstanceGone(_)
            | Change::Group(_)
            | Change::GroupGone(_) => Vec::new(),
        };
        self.record_installation(Body::Observed { change });
        for (session, project) in newcomers {
            self.join_project(&session, project);
        }
    }

    /// Sessions on whose hosts an instance of a project appears that they do not know.
    fn newcomers(&self, instance: &Instance) -> Vec<(SessionId, fenix_core::id::ProjectId)> {
        let mut sessions: Vec<&Session> =
            instance.ends().flat_map(|end| self.state.sessions_with(end)).collect();
        sessions.sort_by(|a, b| a.id.cmp(&b.id));
        sessions.dedup_by(|a, b| a.id == b.id);
        sessions
            .into_iter()
            .filter(|session| may_go_on(session) && !session.projects.contains_key(&instance.project))
            .map(|session| (session.id.clone(), instance.project.clone()))
            .collect()
    }

    /// Wakes the sessions to which a difference matters and that do not hear of it by an effect's end anyway.
    pub(crate) fn wake_observers(&mut self, change: &Change) {
        let hosts: Vec<HostId> = match change {
            Change::Host(host) => vec![host.id.clone()],
            Change::HostGone(host) => vec![host.clone()],
            Change::Instance(seen) if self.moving(&seen.id) => return,
            Change::Instance(seen) => {
                let before = self.state.inventory.instance(&seen.id);
                before.into_iter().flat_map(Instance::ends).chain(seen.ends()).cloned().collect()
            }
            Change::InstanceGone(id) => {
                self.state.inventory.instance(id).into_iter().flat_map(Instance::ends).cloned().collect()
            }
            Change::Group(_) | Change::GroupGone(_) => return,
        };
        let with = hosts.iter().flat_map(|host| self.state.sessions_with(host));
        let concerned: Vec<SessionId> =
            with.filter(|session| session.is_running()).map(|session| session.id.clone()).collect();
        for session in concerned {
            self.wake(&session, Trigger::Changed);
        }
    }
}

/// True if the session goes on, or will when somebody lets it.
fn may_go_on(session: &Session) -> bool {
    match session.condition {
        Condition::Running | Condition::Paused | Condition::Parked { .. } => true,
        Condition::Closing { .. } | Condition::Ended => false,
    }
}
