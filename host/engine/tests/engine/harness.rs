//! A world around one engine: a workflow that says what the test wants, a journal in memory, and a cloud whose
//! truth the test writes. Reads are answered from the truth at once; changes, messages and actions lie until the
//! test answers them. Time passes only when the test says so.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use fenix_core::ask::{Ask, AskKind, MoveHow, Reply};
use fenix_core::decision::{Decision, Planned, Waiting};
use fenix_core::effect::{EffectKind, Outcome};
use fenix_core::id::{AskId, Digest, HostId, InstanceId, SessionId};
use fenix_core::inventory::Service;
use fenix_core::message::{Content, Subscription};
use fenix_core::policy::Terms;
use fenix_core::record::{Body, Record};
use fenix_core::session::{ActionSpec, HostStage, Pin, Plan, Session, Stage, Target};
use fenix_core::state::State;
use fenix_core::time::{Millis, Time};
use fenix_core::view::{Trigger, Verdict, View, Wakeup};
use fenix_engine::command::{Answer, Command, CommandError};
use fenix_engine::event::{Basis, CallId, DeliveryError, Envelope, Event, Order, Ticket, Wanted};
use fenix_engine::ports::{
    ActionError, Assignment, CloudCall, CloudError, CloudReply, Journal, JournalError, Progress,
    WorkflowError, Workflows,
};
use fenix_engine::{Engine, Settings};

use crate::cloud::{Truth, host, instance};

/// Events at one moment after which the engine counts as spinning.
const MOST_AT_ONCE: usize = 2_000;

/// When every world begins.
pub(crate) const START: Time = Time(1_000_000_000);

pub(crate) fn secs(secs: u64) -> Millis {
    Millis::from_secs(secs)
}

/// What a scripted workflow answers.
pub(crate) type Said = Result<Verdict, WorkflowError>;

/// A workflow that says what the test put in; with nothing put in it wants nothing and looks again in a second.
#[derive(Default)]
pub(crate) struct Script {
    said: RefCell<BTreeMap<SessionId, VecDeque<Said>>>,
    pub(crate) woken: RefCell<Vec<(SessionId, Trigger)>>,
    /// Sessions whose workflow takes long: it decides beside.
    pub(crate) slow: BTreeSet<SessionId>,
}

impl Workflows for Script {
    fn decide(&self, _: &Digest, view: &View, wakeup: &Wakeup) -> Said {
        self.woken.borrow_mut().push((view.session.clone(), wakeup.trigger));
        let next = self.said.borrow_mut().get_mut(&view.session).and_then(VecDeque::pop_front);
        next.unwrap_or_else(|| Ok(verdict([], Some(wakeup.now + secs(1)))))
    }

    fn decide_at_once(&self, plugin: &Digest, view: &View, wakeup: &Wakeup) -> Option<Said> {
        (!self.slow.contains(&view.session)).then(|| self.decide(plugin, view, wakeup))
    }
}

/// A verdict that wants these decisions, each alone, and waits until then.
pub(crate) fn verdict(wanted: impl IntoIterator<Item = Decision>, until: Option<Time>) -> Verdict {
    let planned = wanted.into_iter().map(|decision| planned(decision, 0)).collect();
    Verdict { planned, waiting: Waiting { on: "the test".into(), until }, log: Vec::new() }
}

pub(crate) fn planned(decision: Decision, group: u32) -> Planned {
    Planned { decision, reason: "the test wants it".into(), group }
}

/// Records in memory; refuses them when told to.
#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) records: Vec<Record>,
    pub(crate) refuses: bool,
}

impl Journal for Memory {
    fn append(&mut self, records: &[Record]) -> Result<(), JournalError> {
        if self.refuses {
            return Err(JournalError::Write(std::io::Error::other("disk full")));
        }
        for record in records {
            assert_eq!(record.seq, self.records.last().map_or(0, |last| last.seq) + 1, "no gap");
            assert!(self.records.last().is_none_or(|last| last.at <= record.at), "time never decreases");
            self.records.push(record.clone());
        }
        Ok(())
    }
}

fn pin(name: &str) -> Pin {
    Pin { name: name.into(), version: "0.1.0".into(), digest: name.into(), undoes: false }
}

pub(crate) fn plan() -> Plan {
    let action = |name: &str| ActionSpec { plugin: pin(name), stage: Stage::Host, metadata: String::new() };
    Plan {
        maintenance_at: START,
        window_end: None,
        metadata: "{}".into(),
        workflow: pin("scripted"),
        actions: vec![action("first"), action("second")],
        terms: Terms { hosts_at_once: 2, hosts_at_once_per_zone: 2, ..Terms::default() },
        own_host: None,
    }
}

pub(crate) fn subscription(id: &str, project: &str, event_type: &str) -> Subscription {
    Subscription {
        id: id.into(),
        project: project.into(),
        event_type: event_type.into(),
        url: format!("http://{id}/"),
        format: fenix_core::message::Format::Aodh,
    }
}

/// An engine and everything around it.
pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) journal: Memory,
    pub(crate) script: Script,
    pub(crate) now: Time,
    pub(crate) truth: Truth,
    /// True while reads lie unanswered like changes.
    pub(crate) holds_reads: bool,
    /// Calls that wait for their answer.
    pub(crate) cloud: VecDeque<(CallId, CloudCall)>,
    /// Messages that wait for their receiver's answer.
    pub(crate) mail: VecDeque<(CallId, Envelope)>,
    /// Actions that wait for their end.
    pub(crate) actions: VecDeque<(CallId, Assignment)>,
    /// What is to be fetched.
    pub(crate) fetches: VecDeque<(CallId, Wanted)>,
    /// What workflows think about.
    pub(crate) thoughts: VecDeque<(CallId, Basis)>,
    /// Every change that was ever ordered of the cloud.
    pub(crate) changes: Vec<CloudCall>,
    answers: Vec<Result<Answer, CommandError>>,
    due: VecDeque<Event>,
}

impl World {
    /// Computes `a` and `b` and a spare `x`; `i1` of project `p` on `a`, `i2` of `q` on `b`. Manager `m` of `p`
    /// and listener `l` of hosts have subscribed. The cloud is not read yet.
    pub(crate) fn unread() -> Self {
        let mut truth = Truth::default();
        for id in ["a", "b", "x"] {
            truth.hosts.insert(id.into(), host(id));
        }
        for seen in [instance("i1", "p", "a"), instance("i2", "q", "b")] {
            truth.instances.insert(seen.id.clone(), seen);
        }
        Self {
            engine: Engine::new(Settings::default(), START),
            journal: Memory::default(),
            script: Script::default(),
            now: START,
            truth,
            holds_reads: false,
            cloud: VecDeque::new(),
            mail: VecDeque::new(),
            actions: VecDeque::new(),
            fetches: VecDeque::new(),
            thoughts: VecDeque::new(),
            changes: Vec::new(),
            answers: Vec::new(),
            due: VecDeque::new(),
        }
    }

    /// The same, read.
    pub(crate) fn new() -> Self {
        let mut world = Self::unread();
        world.event(Event::Tick);
        world.subscribe("m", "p", "maintenance.scheduled");
        world.subscribe("l", "admin", "maintenance.host");
        world
    }

    /// The same with session `s` over `a` and `b`.
    pub(crate) fn opened() -> Self {
        Self::opened_with(|_| {})
    }

    /// The same with session `s` whose plan was changed before.
    pub(crate) fn opened_with(change: impl FnOnce(&mut Plan)) -> Self {
        let mut world = Self::new();
        let mut plan = plan();
        change(&mut plan);
        assert_eq!(world.open("s", plan, &["a", "b"]), Ok(Answer::Done));
        world
    }

    pub(crate) fn open(&mut self, id: &str, plan: Plan, hosts: &[&str]) -> Result<Answer, CommandError> {
        let hosts = hosts.iter().map(HostId::from).collect();
        self.command(Command::Open { id: id.into(), plan: Box::new(plan), hosts, packages: vec![] })
    }

    pub(crate) fn subscribe(&mut self, id: &str, project: &str, event_type: &str) -> Answer {
        let subscription = subscription(id, project, event_type);
        self.command(Command::Subscribe { subscription }).unwrap()
    }

    pub(crate) fn command(&mut self, command: Command) -> Result<Answer, CommandError> {
        let before = self.answers.len();
        self.event(Event::Command(Ticket(before as u64), None, command));
        self.answers.get(before).cloned().unwrap()
    }

    pub(crate) fn pause(&mut self) -> Result<Answer, CommandError> {
        self.command(Command::Pause { session: "s".into() })
    }

    pub(crate) fn resume(&mut self) -> Result<Answer, CommandError> {
        self.command(Command::Continue { session: "s".into() })
    }

    pub(crate) fn delete(&mut self) -> Result<Answer, CommandError> {
        self.command(Command::Delete { session: "s".into() })
    }

    /// Handles an event and everything that is due at this moment.
    pub(crate) fn event(&mut self, event: Event) {
        self.due.push_back(event);
        for _ in 0..MOST_AT_ONCE {
            let next = match self.due.pop_front() {
                Some(event) => event,
                None if self.engine.next_due().is_some_and(|due| due <= self.now) => Event::Tick,
                None => return,
            };
            self.engine.handle(self.now, next, &self.script);
            assert!(self.engine.state().is_indexed(), "what is found fast is not what the sessions say");
            let orders = self.engine.commit(&mut self.journal).unwrap().into_inner();
            orders.into_iter().for_each(|order| self.take(order));
        }
        panic!("the engine does not come to rest; last: {:?}", self.journal.records.last());
    }

    fn take(&mut self, order: Order) {
        match order {
            Order::Call { id, call } => match self.truth.read(&call) {
                Some(reply) if !self.holds_reads => self.due.push_back(Event::CloudReturned(id, Ok(reply))),
                read => {
                    if read.is_none() {
                        self.changes.push(call.clone());
                    }
                    self.cloud.push_back((id, call));
                }
            },
            Order::Deliver { id, envelope } => self.mail.push_back((id, *envelope)),
            Order::RunAction { id, assignment } => self.actions.push_back((id, *assignment)),
            Order::Fetch { id, wanted } => self.fetches.push_back((id, *wanted)),
            Order::Decide { id, basis } => self.thoughts.push_back((id, *basis)),
            Order::Answer { answer, .. } => self.answers.push(answer),
        }
    }

    /// Lets time pass; whatever is due meanwhile is handled at its time.
    pub(crate) fn pass(&mut self, span: Millis) {
        let end = self.now + span;
        while let Some(due) = self.engine.next_due().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.event(Event::Tick);
        }
        self.now = end;
    }

    /// Has the workflow of session `s` want this at its next look, a second later.
    pub(crate) fn decide(&mut self, wanted: impl IntoIterator<Item = Decision>) {
        self.say("s", Ok(verdict(wanted, Some(self.now + secs(2)))));
        self.pass(secs(1));
    }

    /// Puts in what a workflow says when it is next woken.
    pub(crate) fn say(&mut self, session: &str, said: Said) {
        self.script.said.borrow_mut().entry(session.into()).or_default().push_back(said);
    }

    /// The workflow that thinks longest has decided.
    pub(crate) fn decides(&mut self) {
        let (id, basis) = self.thoughts.pop_front().unwrap();
        let said = self.script.decide(&basis.plugin, &basis.view, &basis.wakeup);
        self.event(Event::Decided(id, said));
    }

    /// Answers the oldest waiting call.
    pub(crate) fn cloud_says(&mut self, result: Result<CloudReply, CloudError>) {
        let (id, _) = self.cloud.pop_front().unwrap();
        self.event(Event::CloudReturned(id, result));
    }

    /// The cloud does the oldest waiting change, all at once.
    pub(crate) fn cloud_does(&mut self) -> CloudCall {
        let call = self.cloud.front().unwrap().1.clone();
        self.truth.apply(&call);
        self.cloud_says(Ok(CloudReply::Accepted));
        call
    }

    /// The oldest waiting call gets no answer.
    pub(crate) fn cloud_is_silent(&mut self) {
        self.cloud_says(Err(CloudError::Unclear("timed out".into())));
    }

    /// The first waiting message is answered.
    pub(crate) fn mail_says(&mut self, result: Result<(), DeliveryError>) -> Envelope {
        let (id, envelope) = self.mail.pop_front().unwrap();
        self.event(Event::Delivered(id, result));
        envelope
    }

    /// Delivers everything until nothing waits, and returns it.
    pub(crate) fn deliver_all(&mut self) -> Vec<Envelope> {
        let mut all = Vec::new();
        while !self.mail.is_empty() {
            all.push(self.mail_says(Ok(())));
        }
        all
    }

    pub(crate) fn action_says(&mut self, result: Result<Progress, ActionError>) -> Assignment {
        let (id, assignment) = self.actions.pop_front().unwrap();
        self.event(Event::ActionReturned(id, result));
        assignment
    }

    pub(crate) fn reply(&mut self, reply: Reply) -> Result<Answer, CommandError> {
        self.command(Command::Reply { session: "s".into(), project: "p".into(), instance: None, reply })
    }

    /// Asks project `p`, has it delivered, and has it agree: a cold move for each instance.
    pub(crate) fn agree(&mut self, kind: AskKind, host: Option<&str>) -> AskId {
        self.decide([ask(kind, host)]);
        self.deliver_all();
        let id = self.session().latest_ask(&"p".into(), kind, host.map(HostId::from).as_ref()).unwrap().id;
        assert_eq!(self.reply(ack(kind, &[("", MoveHow::Migrate)])), Ok(Answer::Done));
        self.decide([]);
        id
    }

    /// Fences a host.
    pub(crate) fn fence(&mut self, host: &str) {
        self.decide([Decision::Fence { host: host.into() }]);
        assert!(matches!(self.cloud_does(), CloudCall::Disable { .. }));
        self.pass(secs(1));
        assert_eq!(self.stage(host), HostStage::Fenced);
    }

    /// Everything agreed to move `i1` off the fenced `a`: returns the move to `x`.
    pub(crate) fn ready_to_move(&mut self, how: MoveHow) -> Decision {
        self.agree(AskKind::Maintenance, None);
        self.fence("a");
        self.decide([ask(AskKind::PlannedMaintenance, Some("a"))]);
        self.deliver_all();
        assert_eq!(self.reply(ack(AskKind::PlannedMaintenance, &[("i1", how)])), Ok(Answer::Done));
        let id = self.session().latest_ask(&"p".into(), AskKind::PlannedMaintenance, Some(&"a".into()));
        let ask = Some(id.unwrap().id);
        Decision::Move { instance: "i1".into(), to: "x".into(), how, ask }
    }

    /// The move of `i1` to `x` is admitted and its call ordered.
    pub(crate) fn moving(how: MoveHow) -> Self {
        let mut world = Self::opened();
        let wanted = world.ready_to_move(how);
        world.decide([wanted]);
        world
    }

    /// The work on the empty `a` has begun: its first action runs.
    pub(crate) fn working() -> Self {
        let mut world = Self::opened();
        world.begin_work();
        world
    }

    pub(crate) fn begin_work(&mut self) {
        self.truth.instances.remove(&"i1".into());
        self.fence("a");
        self.decide([work_on_a()]);
        assert_eq!(self.stage("a"), HostStage::Working);
    }

    /// Stops the engine and starts it again from its journal; what was under way is forgotten.
    pub(crate) fn restart(&mut self) {
        self.restart_held(None);
    }

    /// The same, and holds every session for that reason.
    pub(crate) fn restart_held(&mut self, why: Option<&str>) {
        let records = &self.journal.records;
        let last = records.last().map_or(0, |last| last.seq);
        let settings = self.engine.settings().clone();
        let engine = Engine::recover(settings, records, last, Vec::new(), self.now).unwrap();
        self.engine = engine;
        if why.is_some() {
            self.engine.hold(why);
        }
        self.cloud.clear();
        self.mail.clear();
        self.actions.clear();
        self.event(Event::Tick);
    }

    pub(crate) fn state(&self) -> &State {
        self.engine.state()
    }

    pub(crate) fn session(&self) -> &Session {
        self.state().session(&"s".into()).unwrap()
    }

    pub(crate) fn is_removed(&self) -> bool {
        self.state().session(&"s".into()).is_none()
    }

    pub(crate) fn stage(&self, host: &str) -> HostStage {
        self.session().hosts.get(&host.into()).unwrap().stage.clone()
    }

    pub(crate) fn service(&self, host: &str) -> Service {
        self.truth.hosts.get(&host.into()).unwrap().service.clone()
    }

    /// How the effects of a kind ended, by the journal.
    pub(crate) fn outcomes(&self, kind: &str) -> Vec<&Outcome> {
        let mut kinds: BTreeMap<(&SessionId, fenix_core::id::EffectId), &EffectKind> = BTreeMap::new();
        let mut outcomes = Vec::new();
        for record in &self.journal.records {
            let Some(session) = &record.session else { continue };
            match &record.body {
                Body::Admitted { effect } => {
                    kinds.insert((session, effect.id), &effect.kind);
                }
                Body::EffectEnded { effect, outcome } if kinds[&(session, *effect)].name() == kind => {
                    outcomes.push(outcome);
                }
                _ => {}
            }
        }
        outcomes
    }

    /// What was told, by the journal, in a word each.
    pub(crate) fn queued(&self) -> Vec<String> {
        let said = |record: &Record| match &record.body {
            Body::Queued { message } => Some(format!("{} {}", message.to, self.word(&message.content))),
            _ => None,
        };
        self.journal.records.iter().filter_map(said).collect()
    }

    fn word(&self, content: &Content) -> String {
        match content {
            Content::Ask(id) => self.asked(*id).map_or_else(String::new, |ask| ask.kind.wire().to_owned()),
            Content::AskInstance(_, instance) => format!("about {instance}"),
            Content::ActionDone(_) => "INSTANCE_ACTION_DONE".into(),
            Content::ActionFallback(_) => "INSTANCE_ACTION_FALLBACK".into(),
            Content::Host { host, in_maintenance: true } => format!("IN_MAINTENANCE {host}"),
            Content::Host { host, in_maintenance: false } => format!("COMPLETE {host}"),
            Content::Session { state, .. } => state.wire().into(),
        }
    }

    fn asked(&self, id: AskId) -> Option<&Ask> {
        self.journal.records.iter().find_map(|record| match &record.body {
            Body::Asked { ask, .. } if ask.id == id => Some(ask),
            _ => None,
        })
    }
}

pub(crate) fn ask(kind: AskKind, host: Option<&str>) -> Decision {
    Decision::Ask { project: "p".into(), kind, host: host.map(HostId::from) }
}

pub(crate) fn work_on_a() -> Decision {
    Decision::Work { target: Target::Host("a".into()) }
}

pub(crate) fn ack(kind: AskKind, actions: &[(&str, MoveHow)]) -> Reply {
    let actions = actions.iter().map(|(id, how)| (InstanceId::from(id), *how)).collect();
    Reply { kind, agrees: true, actions }
}

pub(crate) fn nack(kind: AskKind) -> Reply {
    Reply { kind, agrees: false, actions: BTreeMap::new() }
}
