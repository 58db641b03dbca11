//! Questions to managers: how they are opened, how answers find them, how they end.

use std::collections::BTreeMap;

use fenix_core::ask::{Ask, AskKind, AskStatus, MoveHow, Reply};
use fenix_core::id::{AskId, HostId, InstanceId, MessageId, ProjectId, SessionId, SubscriptionId};
use fenix_core::message::{Content, Message};
use fenix_core::record::Body;
use fenix_core::session::{Phase, Session};
use fenix_core::time::{Millis, Time};

use crate::Engine;
use crate::command::{Answer, CommandError};

/// A question that is to be opened.
pub(crate) struct Question {
    pub(crate) project: ProjectId,
    pub(crate) kind: AskKind,
    pub(crate) host: Option<HostId>,
    pub(crate) instances: Vec<InstanceId>,
    pub(crate) round: u32,
}

/// What an answer about one instance makes of a question's answer.
enum Partly {
    /// All that was asked is answered.
    Whole(BTreeMap<InstanceId, MoveHow>),
    /// Instances are left.
    More {
        /// False if that had been said before.
        is_new: bool,
    },
}

impl Engine {
    /// Opens a question and sends it to everybody who manages the project. That all is over ends every other question to
    /// it: nobody is asked after that.
    pub(crate) fn ask(&mut self, id: &SessionId, question: Question, reason: String) {
        if question.kind == AskKind::MaintenanceComplete {
            self.end_asks_of(id, &question.project);
        }
        let Some(session) = self.state.session(id) else { return };
        let now = self.now;
        let terms = &session.plan.terms;
        let last_reply = session.projects.get(&question.project).and_then(|project| {
            project.last_reply.as_ref().filter(|(reply, _)| reply.kind == question.kind).map(|(_, at)| *at)
        });
        let not_before = last_reply.map_or(now, |at| now.max(at + self.settings.quiet));
        let ask = Ask {
            id: AskId(session.next.ask),
            project: question.project,
            kind: question.kind,
            round: question.round,
            instances: question.instances,
            host: question.host,
            opened_at: now,
            window: window(session, question.kind, now),
            delivered_at: None,
            reply_by: not_before + terms.deliver_within,
            chosen: BTreeMap::new(),
            status: AskStatus::Open,
            ended_at: None,
        };
        let project = ask.project.clone();
        let contents = contents(session, &ask);
        let valid = match ask.kind {
            AskKind::MaintenanceComplete => not_before + self.settings.message_valid,
            AskKind::Maintenance
            | AskKind::ScaleIn
            | AskKind::PrepareMaintenance
            | AskKind::PlannedMaintenance => ask.reply_by,
        };
        self.record(id, Body::Asked { ask, reason });
        let to: Vec<SubscriptionId> = self
            .subscribers(&project, "maintenance.scheduled")
            .map(|subscription| subscription.id.clone())
            .collect();
        for to in to {
            for content in &contents {
                self.queue(id, to.clone(), content.clone(), not_before, valid);
            }
        }
    }

    /// Puts a message into the outbox.
    pub(crate) fn queue(
        &mut self,
        id: &SessionId,
        to: SubscriptionId,
        content: Content,
        not_before: Time,
        valid_until: Time,
    ) {
        let Some(session) = self.state.session(id) else { return };
        let message = Message {
            id: MessageId(session.next.message),
            to,
            content,
            queued_at: self.now,
            not_before,
            valid_until,
        };
        self.record(id, Body::Queued { message });
    }

    /// Ends a question without an answer, and drops its messages: nobody needs to hear of it any more. That all is
    /// over everybody has to hear who was told that it begins, answer or not.
    pub(crate) fn end_ask(&mut self, id: &SessionId, ask: AskId, status: AskStatus) {
        let kind = self.state.session(id).and_then(|session| session.asks.get(&ask)).map(|ask| ask.kind);
        self.record(id, Body::AskEnded { ask, status });
        if kind != Some(AskKind::MaintenanceComplete) {
            self.drop_session_messages(id, |message| message.content.ask() == Some(ask));
        }
        if kind == Some(AskKind::ScaleIn) {
            self.reread_for(id);
        }
    }

    /// Withdraws what a project was asked and has not answered.
    fn end_asks_of(&mut self, id: &SessionId, project: &ProjectId) {
        let Some(session) = self.state.session(id) else { return };
        let is_open = |ask: &AskId| {
            let known = session.asks.get(ask);
            known.is_some_and(|ask| ask.project == *project && ask.kind != AskKind::MaintenanceComplete)
        };
        for ask in session.open_asks.iter().copied().filter(is_open).collect::<Vec<AskId>>() {
            self.end_ask(id, ask, AskStatus::Void);
        }
    }

    /// Takes a manager's answer.
    pub(crate) fn reply(
        &mut self,
        id: &SessionId,
        project: &ProjectId,
        instance: Option<&InstanceId>,
        to: Option<AskId>,
        reply: Reply,
    ) -> Result<Answer, CommandError> {
        let session = self.state.session(id).ok_or_else(|| CommandError::NoSession(id.clone()))?;
        if !session.projects.contains_key(project) {
            return Err(CommandError::NoProject { session: id.clone(), project: project.clone() });
        }
        // Whoever answered before that does not say it twice any more.
        let settled = Time(self.now.0.saturating_sub(self.settings.quiet.0));
        let answered = session
            .open_asks
            .iter()
            .filter_map(|ask| session.asks.get(ask))
            .filter(|ask| ask.project == *project && ask.kind == reply.kind)
            .filter(|ask| to.is_none_or(|to| to == ask.id))
            .filter(|ask| instance.is_none_or(|instance| ask.instances.contains(instance)))
            .filter(|ask| is_about(&reply, ask))
            .filter(|ask| {
                to.is_some() || ask.delivered_at.is_some() || !may_mean_another(session, ask, settled)
            })
            .find(|ask| self.was_sent(id, ask));
        let Some(ask) = answered else { return Ok(Answer::Idle) };
        let (ask, kind) = (ask.clone(), ask.kind);
        let reply = match (kind.wants_actions() && reply.agrees, instance) {
            (true, None) => {
                Reply { actions: self.complete_actions(&ask, &ask.chosen, reply.actions)?, ..reply }
            }
            (true, Some(instance)) => match self.partly(id, &ask, instance, reply.actions)? {
                Partly::Whole(actions) => Reply { actions, ..reply },
                Partly::More { is_new } => return Ok(if is_new { Answer::Done } else { Answer::Idle }),
            },
            (false, _) => Reply { actions: BTreeMap::new(), ..reply },
        };
        let ask = ask.id;
        self.record(id, Body::Replied { project: project.clone(), ask: Some(ask), reply });
        self.drop_session_messages(id, |message| message.content.ask() == Some(ask));
        if kind == AskKind::ScaleIn {
            self.reread_for(id);
        }
        Ok(Answer::Done)
    }

    /// True if the question reached its manager, or an attempt to deliver it was begun: some managers answer from
    /// within the request that brings them the question.
    fn was_sent(&self, id: &SessionId, ask: &Ask) -> bool {
        let begun = |(key, attempts): (&(SessionId, MessageId), &crate::outbox::Attempts)| {
            let message = self.state.session(id).and_then(|session| session.outbox.get(key.1));
            attempts.begun() && message.is_some_and(|message| message.content.ask() == Some(ask.id))
        };
        let all = (id.clone(), MessageId(0))..=(id.clone(), MessageId(u32::MAX));
        ask.delivered_at.is_some() || self.attempts.range(all).any(begun)
    }

    /// Takes an answer about one instance of a question. The answer is whole once every instance that is still there has
    /// its action; until then what was chosen is kept.
    fn partly(
        &mut self,
        id: &SessionId,
        ask: &Ask,
        instance: &InstanceId,
        given: BTreeMap<InstanceId, MoveHow>,
    ) -> Result<Partly, CommandError> {
        let stated = self.stated_how(ask, instance);
        let is_there = self.state.inventory.instance(instance).is_some();
        let chosen = given.values().next().copied().or(stated);
        let how = match chosen {
            Some(how) => how,
            // Its manager has removed it: there is nothing left to choose.
            None if !is_there => MoveHow::OwnAction,
            None => {
                return Err(CommandError::BadReply(format!(
                    "instance_action is missing, and no migration_type is stated for instance {instance}"
                )));
            }
        };
        let mut actions = ask.chosen.clone();
        actions.insert(instance.clone(), how);
        let left = |other: &&InstanceId| {
            !actions.contains_key(*other) && self.state.inventory.instance(other).is_some()
        };
        if !ask.instances.iter().any(|other| left(&other)) {
            return Ok(Partly::Whole(actions));
        }
        let is_new = ask.chosen.get(instance) != Some(&how);
        if is_new {
            self.record(id, Body::PartlyReplied { ask: ask.id, instance: instance.clone(), how });
        }
        // Nothing is left to be said about this one.
        let said = Content::AskInstance(ask.id, instance.clone());
        self.drop_session_messages(id, |message| message.content == said);
        Ok(Partly::More { is_new })
    }

    /// How its manager stated that an instance is to be moved; what others state about it counts for nothing.
    fn stated_how(&self, ask: &Ask, instance: &InstanceId) -> Option<MoveHow> {
        let stated = self.state.constraints.instance(instance)?;
        stated.migration_type.filter(|_| stated.project == ask.project)
    }

    /// Checks that an answer names an action for every instance that is still there. One action given under no
    /// instance's name is for all of them; what was chosen or stated for an instance before stands in for it.
    fn complete_actions(
        &self,
        ask: &Ask,
        chosen: &BTreeMap<InstanceId, MoveHow>,
        given: BTreeMap<InstanceId, MoveHow>,
    ) -> Result<BTreeMap<InstanceId, MoveHow>, CommandError> {
        let unnamed = given.get(&InstanceId::from("")).copied();
        let stated = |instance: &InstanceId| self.stated_how(ask, instance);
        let mut actions = BTreeMap::new();
        for instance in &ask.instances {
            let named = given.get(instance).copied().or(unnamed);
            match named.or_else(|| chosen.get(instance).copied()).or_else(|| stated(instance)) {
                Some(how) => {
                    actions.insert(instance.clone(), how);
                }
                None if self.state.inventory.instance(instance).is_none() => {}
                None => {
                    return Err(CommandError::BadReply(format!(
                        "instance_actions lacks instance {instance}; the question is about {} instances",
                        ask.instances.len()
                    )));
                }
            }
        }
        Ok(actions)
    }

    /// Gives every open question at least the least time from now on, to be delivered or to be answered.
    pub(crate) fn extend_open_asks(&mut self) {
        for (session, ask) in self.open_asks() {
            let Some(known) = self.state.session(&session) else { continue };
            let Some(open) = known.asks.get(&ask) else { continue };
            let reply_by = self.now + known.plan.terms.min_reply;
            if open.reply_by < reply_by {
                self.record(&session, Body::AskExtended { ask, reply_by });
            }
        }
    }

    /// Queues every open question anew of which no message is left: its manager may have missed our downtime.
    pub(crate) fn send_open_asks_again(&mut self) {
        for (session, ask) in self.open_asks() {
            let Some(known) = self.state.session(&session) else { continue };
            let Some(open) = known.asks.get(&ask) else { continue };
            let (project, valid, contents) = (open.project.clone(), open.reply_by, contents(known, open));
            let to: Vec<SubscriptionId> = self
                .subscribers(&project, "maintenance.scheduled")
                .map(|subscription| subscription.id.clone())
                .filter(|to| !is_queued(known, to, ask))
                .collect();
            for to in to {
                for content in &contents {
                    self.queue(&session, to.clone(), content.clone(), self.now, valid);
                }
            }
        }
    }

    /// Sends a new subscriber the questions that nobody has received yet and that are not on their way to it.
    pub(crate) fn send_undelivered_to(&mut self, id: &SessionId, project: &ProjectId, to: &SubscriptionId) {
        let Some(session) = self.state.session(id) else { return };
        let open: Vec<(Vec<Content>, Time)> = session
            .open_asks
            .iter()
            .filter_map(|ask| session.asks.get(ask))
            .filter(|ask| ask.project == *project && ask.delivered_at.is_none())
            .filter(|ask| !is_queued(session, to, ask.id))
            .map(|ask| (contents(session, ask), ask.reply_by))
            .collect();
        for (contents, valid) in open {
            for content in contents {
                self.queue(id, to.clone(), content, self.now, valid);
            }
        }
    }

    fn open_asks(&self) -> Vec<(SessionId, AskId)> {
        let of = |session: &std::sync::Arc<Session>| {
            let id = session.id.clone();
            session.open_asks.iter().map(move |ask| (id.clone(), *ask)).collect::<Vec<_>>()
        };
        self.state.sessions.values().flat_map(of).collect()
    }
}

fn is_queued(session: &Session, to: &SubscriptionId, ask: AskId) -> bool {
    session.outbox.to(to).any(|message| message.content.ask() == Some(ask))
}

/// The messages that put a question: one, or one for each instance whose action is not chosen yet.
fn contents(session: &Session, ask: &Ask) -> Vec<Content> {
    if !session.plan.terms.ask_per_instance || !ask.kind.wants_actions() {
        return vec![Content::Ask(ask.id)];
    }
    let open = ask.instances.iter().filter(|instance| !ask.chosen.contains_key(*instance));
    open.map(|instance| Content::AskInstance(ask.id, instance.clone())).collect()
}

/// How long a manager may take: the window of the kind; for MAINTENANCE not past the agreed start, but never less
/// than the least time (contract rule 8: a near start clamps the window and never fails the session).
fn window(session: &Session, kind: AskKind, now: Time) -> Millis {
    let terms = &session.plan.terms;
    let window = match kind {
        AskKind::Maintenance | AskKind::PrepareMaintenance | AskKind::PlannedMaintenance => {
            terms.maintenance_reply
        }
        AskKind::ScaleIn | AskKind::MaintenanceComplete => terms.scale_in_reply,
    };
    let window = match kind {
        AskKind::Maintenance if session.phase == Phase::Maintenance => {
            window.min(session.plan.maintenance_at.since(now))
        }
        AskKind::Maintenance
        | AskKind::ScaleIn
        | AskKind::PrepareMaintenance
        | AskKind::PlannedMaintenance
        | AskKind::MaintenanceComplete => window,
    };
    window.max(terms.min_reply)
}

/// False for an answer that names instances and none of the question's: it is a late one to another question, whose host's
/// instances have nothing to do with these. What is stated for an instance must not make consent of it.
fn is_about(reply: &Reply, ask: &Ask) -> bool {
    let mut named = reply.actions.keys().filter(|id| !id.as_str().is_empty()).peekable();
    named.peek().is_none() || named.any(|id| ask.instances.contains(id))
}

/// True if an answer may mean an earlier question about the same instance, on a host that it has left since: one that nobody
/// answered, or somebody a moment ago, who may say it twice. Which one its manager means is known once it has the later one,
/// or names it (R1).
fn may_mean_another(session: &Session, ask: &Ask, settled: Time) -> bool {
    let is_settled = |other: &Ask| {
        let is_answered = matches!(other.status, AskStatus::Acked { .. } | AskStatus::Nacked);
        is_answered && other.ended_at.is_some_and(|at| at < settled)
    };
    session.asks.values().filter(|other| other.id < ask.id && !is_settled(other)).any(|other| {
        (&other.project, other.kind) == (&ask.project, ask.kind)
            && other.host != ask.host
            && other.instances.iter().any(|instance| ask.instances.contains(instance))
    })
}
