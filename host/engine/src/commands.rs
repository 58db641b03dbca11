//! What administrators ask for.

use std::collections::BTreeSet;

use fenix_core::caller::Caller;
use fenix_core::id::{HostId, ProjectId, SessionId, SubscriptionId};
use fenix_core::message::Subscription;
use fenix_core::package::PackageSpec;
use fenix_core::record::Body;
use fenix_core::rules;
use fenix_core::session::{Close, Condition, HostStage, HostWork, Phase, Plan, Session, Target};
use fenix_core::view::Trigger;

use crate::Engine;
use crate::command::{Answer, Command, CommandError};
use crate::event::{Order, Ticket};

/// The event type that makes a project managed.
const SCHEDULED: &str = "maintenance.scheduled";

impl Engine {
    pub(crate) fn command(&mut self, ticket: Ticket, by: Option<Caller>, command: Command) {
        let deed = by.map(|by| (by, command.deed()));
        let permitted = deed.as_ref().map_or(Ok(()), |(by, _)| self.permit(by, &command));
        let answer = match permitted {
            Err(foreign) => Err(foreign),
            Ok(()) if self.broken => Err(CommandError::Broken),
            Ok(()) => match &self.state.held {
                Some(why) if !command.is_taken_while_held() => Err(CommandError::Held(why.to_string())),
                Some(_) | None => self.carry_out(command),
            },
        };
        if let (Some((by, did)), Ok(Answer::Done)) = (deed, &answer) {
            self.record_installation(Body::Commanded { by, did });
        }
        self.orders.push(Order::Answer { ticket, answer });
    }

    fn carry_out(&mut self, command: Command) -> Result<Answer, CommandError> {
        match command {
            Command::Open { id, plan, hosts, packages } => self.open(id, *plan, hosts, packages),
            Command::Continue { session } => self.continue_session(&session),
            Command::Pause { session } => self.pause(&session),
            Command::Delete { session } => Ok(self.delete(&session)),
            Command::Reply { session, project, instance, reply } => {
                self.reply(&session, &project, instance.as_ref(), None, reply)
            }
            Command::ReplyTo { session, project, instance, ask, reply } => {
                self.reply(&session, &project, instance.as_ref(), Some(ask), reply)
            }
            Command::Constrain { constraint } => Ok(self.constrain(constraint)),
            Command::Unconstrain { about } => Ok(self.unconstrain(about)),
            Command::AttachPlugin { plugin } => Ok(self.attach_plugin(plugin)),
            Command::DetachPlugin { name } => self.detach_plugin(name),
            Command::Grant { grant, name: _ } => Ok(self.grant(grant)),
            Command::Revoke { digest, name: _ } => Ok(self.revoke(digest)),
            Command::KeepPackage { package } => Ok(self.keep_package(package)),
            Command::DropPackage { digest } => self.drop_package(digest),
            Command::KeepValue { session, plugin, key, value } => {
                self.keep_value(&session, plugin, key, value)
            }
            Command::SaveTemplate { template } => Ok(self.save_template(template)),
            Command::RemoveTemplate { name } => Ok(self.remove_template(name)),
            Command::ClearQuarantine { host } => self.clear_quarantine(&host),
            Command::Subscribe { subscription } => Ok(self.subscribe(subscription)),
            Command::Unsubscribe { id } => Ok(self.unsubscribe(id)),
        }
    }

    fn open(
        &mut self,
        id: SessionId,
        mut plan: Plan,
        hosts: Vec<HostId>,
        packages: Vec<PackageSpec>,
    ) -> Result<Answer, CommandError> {
        if !self.is_ready() {
            return Err(CommandError::NotReady);
        }
        if self.state.sessions.contains_key(&id) {
            return Err(CommandError::Exists(id));
        }
        if self.state.sessions.len() >= self.settings.max_sessions {
            return Err(CommandError::TooMany(self.settings.max_sessions));
        }
        let hosts = self.choose_hosts(hosts, plan.terms.own_host)?;
        let own_host = self.settings.own_host.clone();
        plan.own_host = own_host.filter(|own| hosts.iter().any(|(host, _)| host == own));
        self.record(&id, Body::Opened { plan, rules: rules::VERSION });
        for package in packages {
            self.record(&id, Body::PackageWanted { package });
        }
        for (host, work) in hosts {
            self.record(&id, Body::HostJoined { host, work });
        }
        self.join_projects(&id);
        self.tell_session(&id);
        // Whatever its first records woke it for: this is what it has to know.
        self.woken.insert(id.clone(), Trigger::Started);
        // What was last seen may be a minute old: a host that was empty then is no host to begin with.
        self.reread_for(&id);
        Ok(Answer::Done)
    }

    /// The hosts of a new session; without the one that Fenix itself runs on if it may not have that.
    fn choose_hosts(
        &self,
        named: Vec<HostId>,
        may_have_own: bool,
    ) -> Result<Vec<(HostId, HostWork)>, CommandError> {
        let inventory = &self.state.inventory;
        let kept = self.settings.own_host.as_ref().filter(|_| !may_have_own);
        let chosen: Vec<HostId> = if named.is_empty() {
            let is_free = |host: &&HostId| self.state.lease(host).is_none() && kept != Some(*host);
            inventory.hosts().map(|host| &host.id).filter(is_free).cloned().collect()
        } else {
            if let Some(own) = kept.filter(|own| named.contains(own)) {
                return Err(CommandError::OwnHost(own.clone()));
            }
            named.into_iter().collect::<BTreeSet<HostId>>().into_iter().collect()
        };
        if chosen.is_empty() {
            let own = kept.filter(|own| self.state.lease(own).is_none() && inventory.host(own).is_some());
            return Err(own.map_or(CommandError::NoHosts, |own| CommandError::OwnHost(own.clone())));
        }
        let join = |id: HostId| {
            if let Some(by) = self.state.lease(&id) {
                return Err(CommandError::Leased { host: id, by: by.clone() });
            }
            let Some(seen) = inventory.host(&id) else { return Err(CommandError::NoHost(id)) };
            let work = HostWork {
                kind: seen.kind,
                found: seen.service.clone(),
                stage: HostStage::Waiting,
                since: self.now,
                fenced: false,
            };
            Ok((id, work))
        };
        chosen.into_iter().map(join).collect()
    }

    /// Notes every project with instances on the session's hosts that it does not know yet, or that has gained a
    /// manager since.
    fn join_projects(&mut self, id: &SessionId) {
        let Some(session) = self.state.session(id) else { return };
        let inventory = &self.state.inventory;
        let unknown = |project: &ProjectId| !session.projects.contains_key(project);
        let gained = session.projects.iter().filter(|(_, work)| !work.managed).map(|(project, _)| project);
        let gained = gained.filter(|project| self.is_managed(project));
        let owners: BTreeSet<ProjectId> = session
            .hosts
            .keys()
            .flat_map(|host| inventory.holding(host))
            .map(|instance| &instance.project)
            .filter(|project| unknown(project))
            .chain(gained)
            .cloned()
            .collect();
        for project in owners {
            self.join_project(id, project);
        }
    }

    /// Notes that a project has instances on the session's hosts.
    pub(crate) fn join_project(&mut self, session: &SessionId, project: ProjectId) {
        let managed = self.is_managed(&project);
        self.record(session, Body::ProjectJoined { project, managed });
    }

    /// True if a project has a manager: somebody who listens for it, or has stated what is to be respected.
    fn is_managed(&self, project: &ProjectId) -> bool {
        self.subscribers(project, SCHEDULED).next().is_some() || self.state.constraints.has_any_of(project)
    }

    /// The standing orders of a project for an event type.
    pub(crate) fn subscribers<'a>(
        &'a self,
        project: &'a ProjectId,
        event_type: &'a str,
    ) -> impl Iterator<Item = &'a Subscription> {
        self.state
            .subscriptions
            .values()
            .filter(move |order| order.project == *project && order.wants(event_type))
    }

    fn continue_session(&mut self, id: &SessionId) -> Result<Answer, CommandError> {
        let session = self.state.session(id).ok_or_else(|| CommandError::NoSession(id.clone()))?;
        match (&session.condition, session.phase) {
            (Condition::Running, _) => Ok(Answer::Idle),
            (Condition::Paused | Condition::Parked { .. }, _) => {
                let reason = "continued by an administrator".into();
                self.record(id, Body::ConditionSet { condition: Condition::Running, reason });
                // While it was held its budget may have been spent by what was under way.
                self.halt_if_spent(id);
                self.reread_for(id);
                Ok(Answer::Done)
            }
            (Condition::Ended, Phase::MaintenanceFailed) => self.continue_failed(id),
            (Condition::Closing { why: Close::Failed }, _) => Err(CommandError::WrongState {
                session: id.clone(),
                state: "closing".into(),
                hint:
                    "its hosts and managers are being brought to a safe state; continue it when it has ended"
                        .into(),
            }),
            (Condition::Closing { .. }, _) => Err(CommandError::WrongState {
                session: id.clone(),
                state: "closing".into(),
                hint: "it is being finished or deleted".into(),
            }),
            (Condition::Ended, phase) => Err(CommandError::WrongState {
                session: id.clone(),
                state: phase.wire().into(),
                hint: "it has ended; make a new session".into(),
            }),
        }
    }

    /// Goes on where a failure stopped it: hosts left out because of it take part again, and managers, who were
    /// told that all is over, are asked again.
    fn continue_failed(&mut self, id: &SessionId) -> Result<Answer, CommandError> {
        let Some(session) = self.state.sessions.get(id).cloned() else { return Ok(Answer::Idle) };
        for host in session.hosts.keys() {
            if let Some(by) = self.state.lease(host)
                && by != id
            {
                return Err(CommandError::Leased { host: host.clone(), by: by.clone() });
            }
        }
        let phase = session.before_failure.unwrap_or(Phase::Maintenance);
        self.record(id, Body::Continued { phase });
        for (host, work) in session.hosts.iter() {
            let HostStage::Quarantined { begun, .. } = &work.stage else { continue };
            let runs = session.work.get(&Target::Host(host.clone()));
            let finished = runs.is_some_and(|runs| runs.iter().all(|run| run.report.is_some()));
            // One that could not be given back was left out for good whether or not anything was begun on it.
            let stage = match (*begun && runs.is_some(), finished, work.fenced) {
                (true, true, _) => HostStage::Worked,
                (true, false, _) => HostStage::Working,
                (false, _, true) => HostStage::Fenced,
                (false, _, false) => HostStage::Waiting,
            };
            self.record(id, Body::HostMoved { host: host.clone(), stage, fenced: work.fenced });
        }
        self.join_projects(id);
        self.tell_session(id);
        self.reread_for(id);
        Ok(Answer::Done)
    }

    fn pause(&mut self, id: &SessionId) -> Result<Answer, CommandError> {
        let session = self.state.session(id).ok_or_else(|| CommandError::NoSession(id.clone()))?;
        match &session.condition {
            Condition::Running | Condition::Parked { .. } => {
                let reason = "paused by an administrator".into();
                self.record(id, Body::ConditionSet { condition: Condition::Paused, reason });
                Ok(Answer::Done)
            }
            Condition::Paused => Ok(Answer::Idle),
            Condition::Closing { .. } | Condition::Ended => Err(CommandError::WrongState {
                session: id.clone(),
                state: "closing or ended".into(),
                hint: "only a session that goes on can be paused".into(),
            }),
        }
    }

    fn delete(&mut self, id: &SessionId) -> Answer {
        let Some(session) = self.state.session(id) else { return Answer::Idle };
        match &session.condition {
            Condition::Closing { why: Close::Deleted } => return Answer::Idle,
            Condition::Ended if session.outbox.is_empty() && session.effects.is_empty() => {
                self.record(id, Body::Removed);
            }
            Condition::Ended
            | Condition::Running
            | Condition::Paused
            | Condition::Parked { .. }
            | Condition::Closing { why: Close::Done | Close::Failed } => {
                let condition = Condition::Closing { why: Close::Deleted };
                let reason = "deleted by an administrator".into();
                self.record(id, Body::ConditionSet { condition, reason });
            }
        }
        Answer::Done
    }

    fn subscribe(&mut self, subscription: Subscription) -> Answer {
        if self.state.subscriptions.get(&subscription.id) == Some(&subscription) {
            return Answer::Idle;
        }
        let project = subscription.project.clone();
        let id = subscription.id.clone();
        let scheduled = subscription.wants(SCHEDULED);
        let old = self.state.subscriptions.get(&id);
        if old.is_some_and(|old| old.project != project || old.event_type != subscription.event_type) {
            // What waits was meant for somebody else.
            self.drop_messages(|message| message.to == id);
        }
        self.record_installation(Body::Subscribed { subscription });
        if !scheduled {
            return Answer::Done;
        }
        for session in self.sessions_with(&project) {
            let known = self.state.session(&session).and_then(|session| session.projects.get(&project));
            if known.is_none_or(|work| !work.managed) {
                self.record(&session, Body::ProjectJoined { project: project.clone(), managed: true });
            }
            self.send_undelivered_to(&session, &project, &id);
        }
        Answer::Done
    }

    /// Sessions that have not ended, with instances of a project.
    pub(crate) fn sessions_with(&self, project: &ProjectId) -> Vec<SessionId> {
        let concerned = |session: &&std::sync::Arc<Session>| {
            session.projects.contains_key(project) && session.condition != Condition::Ended
        };
        self.state.sessions.values().filter(concerned).map(|session| session.id.clone()).collect()
    }

    fn unsubscribe(&mut self, id: SubscriptionId) -> Answer {
        if !self.state.subscriptions.contains_key(&id) {
            return Answer::Idle;
        }
        self.record_installation(Body::Unsubscribed { id: id.clone() });
        self.drop_messages(|message| message.to == id);
        Answer::Done
    }
}
