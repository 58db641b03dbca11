//! Messages on their way: in order for each subscriber, again until they are taken or lose their sense, and no
//! subscriber delays another.

use fenix_core::ask::{Ask, AskKind, AskStatus};
use fenix_core::id::{HostId, InstanceId, MessageId, SessionId, SubscriptionId};
use fenix_core::message::{Content, Delivery, Message};
use fenix_core::record::Body;
use fenix_core::session::{Close, Condition, Session};
use fenix_core::time::{Millis, Time};

use crate::event::{CallId, DeliveryError, Envelope, Order};
use crate::{Engine, Owner};

/// What was tried to deliver one message. Not journaled: after a restart the next attempt is due at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attempts {
    in_flight: Option<CallId>,
    failed: u32,
    next_at: Time,
    last_error: String,
}

impl Attempts {
    /// True if the receiver may have it.
    pub(crate) fn begun(&self) -> bool {
        self.in_flight.is_some() || self.failed > 0
    }
}

impl Engine {
    /// Sends the first waiting message of each subscriber, if it is due.
    pub(crate) fn deliver_messages(&mut self) {
        let sessions = self.agenda.touched().filter_map(|id| self.state.session(id));
        let due: Vec<(SessionId, Message)> = sessions
            .flat_map(|session| session.outbox.first().map(move |message| (session, message)))
            .filter(|(session, message)| self.due(session, message).is_some_and(|at| at <= self.now))
            .map(|(session, message)| (session.id.clone(), message.clone()))
            .collect();
        for (session, message) in due {
            let Some(envelope) = self.envelope(&session, &message) else { continue };
            let owner = Owner::Message(session.clone(), message.id, message.to.clone());
            let id = self.new_call(owner, None);
            self.reaching.insert((session.clone(), message.to));
            self.attempts.entry((session, message.id)).or_default().in_flight = Some(id);
            self.orders.push(Order::Deliver { id, envelope: Box::new(envelope) });
        }
    }

    /// When a message may be tried next; `None` while an attempt is under way, or one with a message before it that was
    /// dropped meanwhile: what is still on its way must not be overtaken.
    fn due(&self, session: &Session, message: &Message) -> Option<Time> {
        if self.reaching.contains(&(session.id.clone(), message.to.clone())) {
            return None;
        }
        match self.attempts.get(&(session.id.clone(), message.id)) {
            Some(attempts) => Some(message.not_before.max(attempts.next_at)),
            None => Some(message.not_before),
        }
    }

    /// When the next attempt to deliver one of a session's messages is due, or it loses its sense before. Those that
    /// wait behind it are looked at then.
    pub(crate) fn next_message(&self, session: &Session) -> Option<Time> {
        let due = |message: &Message| {
            let at = self.due(session, message)?;
            Some(self.expires_at(session, message).map_or(at, |end| at.min(end)))
        };
        session.outbox.first().filter_map(due).min()
    }

    /// Drops what is too old; closings may wait for that. Whoever stands behind another was queued later: it is looked
    /// at when its turn comes.
    pub(crate) fn expire_messages(&mut self) {
        loop {
            let too_old = self.first_too_old();
            if too_old.is_empty() {
                return;
            }
            for key in too_old {
                let tried = self.attempts.get(&key);
                let why = tried.map(|attempts| attempts.last_error.clone()).unwrap_or_default();
                self.end_message(&key.0, key.1, Delivery::Expired { why });
            }
        }
    }

    fn first_too_old(&self) -> Vec<(SessionId, MessageId)> {
        let sessions = self.agenda.touched().filter_map(|id| self.state.session(id));
        let first =
            sessions.flat_map(|session| session.outbox.first().map(move |message| (session, message)));
        let is_over = |end: Time| end <= self.now;
        first
            .filter(|(session, message)| self.expires_at(session, message).is_some_and(is_over))
            .map(|(session, message)| (session.id.clone(), message.id))
            .collect()
    }

    /// When a message loses its sense: a question with its window, which may be moved, but not the word that all is
    /// over. In a session that is being deleted everything does after the time in which a question must have reached
    /// its manager; but what was not tried in vain yet, because we were down or stood still, is tried first: `None`.
    fn expires_at(&self, session: &Session, message: &Message) -> Option<Time> {
        let valid = match &message.content {
            Content::Ask(ask) | Content::AskInstance(ask, _) => match session.asks.get(ask) {
                Some(ask) if ask.kind != AskKind::MaintenanceComplete => ask.reply_by,
                Some(_) | None => message.valid_until,
            },
            Content::ActionDone(_)
            | Content::ActionFallback(_)
            | Content::Host { .. }
            | Content::Session { .. } => message.valid_until,
        };
        match session.condition {
            Condition::Closing { why: Close::Deleted } => {
                let tried = self.attempts.get(&(session.id.clone(), message.id));
                let tried = tried.is_some_and(|tried| tried.failed > 0);
                tried.then(|| valid.min(message.queued_at + session.plan.terms.deliver_within))
            }
            Condition::Running
            | Condition::Paused
            | Condition::Parked { .. }
            | Condition::Closing { .. }
            | Condition::Ended => Some(valid),
        }
    }

    pub(crate) fn delivered(&mut self, id: CallId, result: Result<(), DeliveryError>) {
        let Some(awaited) = self.awaited.remove(&id) else { return };
        let Owner::Message(session, message, to) = awaited.owner else { return };
        self.agenda.touch(&session);
        self.reaching.remove(&(session.clone(), to));
        let known = self.state.session(&session).and_then(|known| known.outbox.get(message)).cloned();
        let Some(known) = known else {
            self.attempts.remove(&(session, message));
            return;
        };
        match result {
            Ok(()) => {
                self.end_message(&session, message, Delivery::Delivered);
                self.ask_delivered(&session, &known.content);
            }
            Err(DeliveryError::Rejected(why)) => {
                self.end_message(&session, message, Delivery::Rejected { why });
                self.ask_rejected(&session, &known.content);
            }
            Err(DeliveryError::Unreachable(why)) => {
                let backoff = self.settings.max_backoff;
                let attempts = self.attempts.entry((session, message)).or_default();
                let wait = Millis(1000u64.saturating_mul(1 << attempts.failed.min(10))).min(backoff);
                attempts.in_flight = None;
                attempts.failed = attempts.failed.saturating_add(1);
                attempts.next_at = self.now + wait;
                attempts.last_error = why;
            }
        }
    }

    /// The window to answer runs from the first confirmed delivery.
    fn ask_delivered(&mut self, session: &SessionId, content: &Content) {
        let Some(ask) = content.ask() else { return };
        let open = self.state.session(session).and_then(|known| known.asks.get(&ask));
        let Some(open) = open.filter(|open| open.is_open()) else { return };
        if open.delivered_at.is_none() {
            let reply_by = self.now + open.window;
            self.record(session, Body::AskDelivered { ask, reply_by });
        }
    }

    /// A question that every subscriber refused to take reached nobody: no need to wait any longer.
    fn ask_rejected(&mut self, session: &SessionId, content: &Content) {
        let Some(ask) = content.ask() else { return };
        let Some(known) = self.state.session(session) else { return };
        let undelivered =
            known.asks.get(&ask).is_some_and(|open| open.is_open() && open.delivered_at.is_none());
        let others = known.outbox.iter().any(|message| message.content.ask() == Some(ask));
        if undelivered && !others {
            self.end_ask(session, ask, AskStatus::Undelivered);
        }
    }

    fn end_message(&mut self, session: &SessionId, message: MessageId, delivery: Delivery) {
        self.attempts.remove(&(session.clone(), message));
        self.record(session, Body::MessageEnded { message, delivery });
    }

    /// Drops messages of one session that lost their sense.
    pub(crate) fn drop_session_messages(&mut self, id: &SessionId, lost: impl Fn(&Message) -> bool) {
        let Some(session) = self.state.session(id) else { return };
        let gone: Vec<MessageId> =
            session.outbox.iter().filter(|message| lost(message)).map(|message| message.id).collect();
        for message in gone {
            self.end_message(id, message, Delivery::Dropped);
        }
    }

    /// Drops messages of all sessions that lost their sense.
    pub(crate) fn drop_messages(&mut self, lost: impl Fn(&Message) -> bool) {
        let sessions: Vec<SessionId> = self.state.sessions.keys().cloned().collect();
        for session in sessions {
            self.drop_session_messages(&session, &lost);
        }
    }

    fn envelope(&self, id: &SessionId, message: &Message) -> Option<Envelope> {
        let session = self.state.session(id)?;
        let subscription = self.state.subscriptions.get(&message.to)?.clone();
        let ask = message.content.ask().and_then(|ask| session.asks.get(&ask)).map(|ask| Ask::clone(ask));
        let reply_at = ask.as_ref().map(|ask| match ask.delivered_at {
            None => self.now + ask.window,
            Some(_) => ask.reply_by,
        });
        let actions_at = match &ask {
            Some(ask) if ask.kind == AskKind::Maintenance => Some(session.plan.maintenance_at.max(self.now)),
            Some(_) | None => reply_at,
        };
        Some(Envelope {
            session: id.clone(),
            message: message.clone(),
            subscription,
            ask,
            reply_at,
            actions_at,
            metadata: session.plan.metadata.clone(),
        })
    }

    /// Tells an instance's manager something that wants no reply.
    pub(crate) fn tell_owner(&mut self, id: &SessionId, instance: &InstanceId, content: Content) {
        let Some(project) = self.state.inventory.instance(instance).map(|seen| seen.project.clone()) else {
            return;
        };
        let to: Vec<SubscriptionId> =
            self.subscribers(&project, content.event_type()).map(|order| order.id.clone()).collect();
        self.tell_all(id, to, content);
    }

    /// Tells everybody who listens that a host goes out of service or comes back.
    pub(crate) fn tell_host(&mut self, id: &SessionId, host: &HostId, in_maintenance: bool) {
        self.broadcast(id, Content::Host { host: host.clone(), in_maintenance });
    }

    /// Tells everybody who listens how the session stands.
    pub(crate) fn tell_session(&mut self, id: &SessionId) {
        let Some(session) = self.state.session(id) else { return };
        let content = Content::Session { state: session.phase, percent: session.percent_done() };
        self.broadcast(id, content);
    }

    fn broadcast(&mut self, id: &SessionId, content: Content) {
        let wants = |order: &&fenix_core::message::Subscription| order.wants(content.event_type());
        let to: Vec<SubscriptionId> =
            self.state.subscriptions.values().filter(wants).map(|order| order.id.clone()).collect();
        self.tell_all(id, to, content);
    }

    fn tell_all(&mut self, id: &SessionId, to: Vec<SubscriptionId>, content: Content) {
        let valid = self.now + self.settings.message_valid;
        for to in to {
            self.queue(id, to, content.clone(), self.now, valid);
        }
    }
}
