//! Sessions of the workflow `default` in virtual time: the real engine, rules and component over the simulated cloud.
//!
//! Each session has so many full hosts, an empty one, and a manager that agrees to everything and lets all be moved
//! live. What is measured is up to whoever drives the stage: it hands out events, takes them, and carries orders out.

use std::collections::BTreeMap;

use fenix_cloud::sim::{Spec, World};
use fenix_core::ask::{MoveHow, Reply};
use fenix_core::id::{HostId, InstanceId, SessionId};
use fenix_core::message::{Content, Format, Subscription};
use fenix_core::policy::Terms;
use fenix_core::record::Record;
use fenix_core::session::{Condition, Phase, Pin, Plan};
use fenix_core::state::State;
use fenix_core::time::{Millis, Time};
use fenix_engine::command::Command;
use fenix_engine::event::{Envelope, Event, Order, Ticket};
use fenix_engine::ports::{Journal, JournalError, Workflows};
use fenix_engine::{Engine, Settings};

use crate::Any;

const CLOUD_ANSWERS_IN: Millis = Millis(20);
const MANAGER_ANSWERS_IN: Millis = Millis(200);

/// When everything begins.
pub(crate) const START: Time = Time(1_000_000);

/// Takes everything and keeps nothing.
pub(crate) struct NoDisk;

impl Journal for NoDisk {
    fn append(&mut self, _: &[Record]) -> Result<(), JournalError> {
        Ok(())
    }
}

/// Keeps every batch, as one list of records each.
#[derive(Default)]
pub(crate) struct Kept(pub(crate) Vec<Vec<Record>>);

impl Journal for Kept {
    fn append(&mut self, records: &[Record]) -> Result<(), JournalError> {
        self.0.push(records.to_vec());
        Ok(())
    }
}

/// How many there are of everything.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) sessions: u32,
    /// Full hosts of each session; one empty host comes to them.
    pub(crate) hosts: u32,
    pub(crate) instances_per_host: u32,
}

impl Size {
    pub(crate) fn one(hosts: u32, instances_per_host: u32) -> Size {
        Size { sessions: 1, hosts, instances_per_host }
    }
}

/// Sessions, their cloud and their managers.
pub(crate) struct Stage {
    pub(crate) engine: Engine,
    pub(crate) world: World,
    pub(crate) now: Time,
    queue: BTreeMap<(Time, u64), Event>,
    queued: u64,
}

impl Stage {
    /// A cloud that was read, and sessions that were just asked for.
    pub(crate) fn set(size: Size, workflow: &Pin, journal: &mut dyn Journal) -> Result<Stage, Any> {
        let spec = Spec::parse(&cloud(size))?;
        let mut stage = Stage {
            engine: Engine::new(Settings::default(), START),
            world: World::new(&spec, 1, START)?,
            now: START,
            queue: BTreeMap::new(),
            queued: 0,
        };
        for number in 0..size.sessions {
            let subscription = subscription(number);
            stage.push(Millis::ZERO, Event::Command(Ticket(0), None, Command::Subscribe { subscription }));
        }
        while !stage.engine.is_ready() {
            let event = stage.next().ok_or("the cloud was not read")?;
            stage.engine.handle(stage.now, event, &NoWorkflow);
            stage.commit(journal)?;
        }
        for number in 0..size.sessions {
            let hosts = (1..=size.hosts + 1).map(|host| HostId::from(host_name(number, host))).collect();
            let plan = Box::new(plan(workflow, stage.now));
            let open = Command::Open { id: session_id(number), plan, hosts, packages: Vec::new() };
            stage.push(Millis::ZERO, Event::Command(Ticket(0), None, open));
        }
        Ok(stage)
    }

    pub(crate) fn push(&mut self, after: Millis, event: Event) {
        self.queued += 1;
        self.queue.insert((self.now + after, self.queued), event);
    }

    /// What happens next, unless it happens after that time.
    pub(crate) fn next_until(&mut self, end: Time) -> Option<Event> {
        let first = self.queue.first_key_value().map(|((at, _), _)| *at);
        let at = first.into_iter().chain(self.engine.next_due()).min()?;
        if at <= end { self.next() } else { None }
    }

    /// What happens next, the engine's own timer included; `None` when nothing is left. Time passes until then.
    pub(crate) fn next(&mut self) -> Option<Event> {
        let first = self.queue.first_key_value().map(|((at, _), _)| *at);
        let due = self.engine.next_due();
        match (first, due) {
            (Some(at), due) if due.is_none_or(|due| at <= due) => {
                self.now = at;
                self.queue.pop_first().map(|(_, event)| event)
            }
            (_, Some(due)) => {
                self.now = self.now.max(due);
                Some(Event::Tick)
            }
            (_, None) => None,
        }
    }

    /// Has the journal take what the engine collected, and carries the orders out.
    pub(crate) fn commit(&mut self, journal: &mut dyn Journal) -> Result<(), Any> {
        for order in self.engine.commit(journal)?.into_inner() {
            self.carry_out(order);
        }
        Ok(())
    }

    /// Goes on, without counting anything, until `enough` says so.
    pub(crate) fn play(
        &mut self,
        workflows: &dyn Workflows,
        journal: &mut dyn Journal,
        mut enough: impl FnMut(&State) -> bool,
    ) -> Result<(), Any> {
        while !enough(self.engine.state()) {
            let event = self.next().ok_or("nothing is left to do")?;
            self.engine.handle(self.now, event, workflows);
            self.commit(journal)?;
        }
        Ok(())
    }

    pub(crate) fn carry_out(&mut self, order: Order) {
        match order {
            Order::Call { id, call } => {
                let result = self.world.call(self.now, &call);
                self.world.take_trace();
                self.push(CLOUD_ANSWERS_IN, Event::CloudReturned(id, result));
            }
            Order::Deliver { id, envelope } => {
                self.push(CLOUD_ANSWERS_IN, Event::Delivered(id, Ok(())));
                self.answer(&envelope);
            }
            Order::RunAction { .. } | Order::Fetch { .. } | Order::Decide { .. } | Order::Answer { .. } => {}
        }
    }

    fn answer(&mut self, envelope: &Envelope) {
        let (Content::Ask(_), Some(ask)) = (&envelope.message.content, &envelope.ask) else { return };
        let all = (InstanceId::from(""), MoveHow::LiveMigrate);
        let reply = Reply { kind: ask.kind, agrees: true, actions: [all].into() };
        let command = Command::Reply {
            session: envelope.session.clone(),
            project: ask.project.clone(),
            instance: None,
            reply,
        };
        self.push(MANAGER_ANSWERS_IN, Event::Command(Ticket(0), None, command));
    }
}

/// True once every session has ended well.
///
/// # Errors
/// One of them will not.
pub(crate) fn is_over(state: &State) -> Result<bool, Any> {
    let mut over = !state.sessions.is_empty();
    for session in state.sessions.values() {
        match (&session.condition, session.phase) {
            (Condition::Ended, Phase::MaintenanceDone) => {}
            (Condition::Ended, _) | (Condition::Parked { .. }, _) => {
                return Err(format!("{:?}: {:?}", session.condition, session.failure).into());
            }
            (Condition::Running | Condition::Paused | Condition::Closing { .. }, _) => over = false,
        }
    }
    Ok(over)
}

/// Nothing is decided before there is a session.
struct NoWorkflow;

impl Workflows for NoWorkflow {
    fn decide(
        &self,
        plugin: &fenix_core::id::Digest,
        _: &fenix_core::view::View,
        _: &fenix_core::view::Wakeup,
    ) -> Result<fenix_core::view::Verdict, fenix_engine::ports::WorkflowError> {
        Err(fenix_engine::ports::WorkflowError::Unusable(plugin.to_string()))
    }
}

/// The id of a session by its number.
pub(crate) fn session_id(number: u32) -> SessionId {
    SessionId::from(format!("00000000-0000-4000-8000-{number:012}"))
}

fn project(number: u32) -> String {
    format!("app-{number}")
}

fn host_name(session: u32, host: u32) -> String {
    format!("compute-{session}-{host}")
}

fn subscription(number: u32) -> Subscription {
    Subscription {
        id: project(number).into(),
        project: project(number).into(),
        event_type: "maintenance.scheduled".to_owned(),
        url: "http://127.0.0.1:1/".to_owned(),
        format: Format::Aodh,
    }
}

fn plan(workflow: &Pin, now: Time) -> Plan {
    Plan {
        maintenance_at: now,
        window_end: None,
        metadata: "{}".to_owned(),
        workflow: workflow.clone(),
        actions: Vec::new(),
        terms: Terms::default(),
        own_host: None,
    }
}

/// The cloud as its specification. Each session has a failure domain of its own, so that none waits for another's hosts.
pub(crate) fn cloud(size: Size) -> String {
    let per_host = size.instances_per_host;
    let mut text = String::new();
    for session in 0..size.sessions {
        let project = project(session);
        text.push_str(&format!(
            "[[rack]]\ncount = {}\nname = \"compute-{session}-{{}}\"\nzone = \"az-{session}\"\n\
             capacity = {{ vcpus = {per_host}, memory_mb = {}, disk_gb = {} }}\n\n[[project]]\nid = \"{project}\"\n",
            size.hosts + 1,
            per_host * 1024,
            per_host * 10,
        ));
        for host in 1..=size.hosts {
            let at = host_name(session, host);
            for number in 1..=per_host {
                text.push_str(&format!(
                    "[[instance]]\nid = \"i-{session}-{host}-{number}\"\nproject = \"{project}\"\nhost = \"{at}\"\n\
                     resources = {{ vcpus = 1, memory_mb = 1024, disk_gb = 10 }}\n"
                ));
            }
        }
    }
    text
}
