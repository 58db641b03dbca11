//! The simulation at work: one loop that takes what is due next and lets it happen.
//!
//! The engine is the real one, its records go through the stored form, and its orders are carried out on the
//! simulated cloud and by the simulated managers, each after a time that the seed says. Nothing here waits.

mod disk;
mod fenix;
mod machine;
mod outside;
mod people;
mod queue;

use std::collections::{BTreeMap, BTreeSet};

use fenix_cloud::sim::{FaultyCloud, Spec, SpecError, World};
use fenix_core::fold::fold;
use fenix_core::id::SessionId;
use fenix_core::session::Pin;
use fenix_core::state::State;
use fenix_core::time::{Millis, Time};
use fenix_engine::Engine;
use fenix_engine::command::Command;
use fenix_engine::event::{Basis, CallId, Envelope, Ticket, Wanted};
use fenix_engine::ports::{Assignment, CloudCall};
use fenix_store::MemJournal;

use crate::checkers;
use crate::coverage::{Fault, Tally, Watch};
use crate::dice::{Dice, Purpose};
use crate::managers::{Deed, Manager};
use crate::plugins::Plugins;
use crate::report::{Commit, Ending, Report, Stats};
use crate::scenario::{START, Scenario, When};
use crate::truth::{Entry, Truth, Want};
use queue::Queue;

/// Most events of one simulation, and so many more for each instance: a thousand times what a session of twelve hosts takes.
/// More is a loop without end.
const MOST_EVENTS: u64 = 5_000_000;
const MOST_EVENTS_EACH: u64 = 500;

/// Most things that Fenix may do without time passing, and one more for each host and instance: all of them may be read at
/// once.
const MOST_AT_ONCE: usize = 2_000;

/// After so many events it is noted which blockers are shown: most of them last for hundreds. A look costs as much as the
/// cloud is large, so in one of more than two hundred instances they are the rarer, the larger it is.
const LOOK_AT_BLOCKERS: u64 = 8;
const INSTANCES_AN_EVENT: u64 = 25;

/// How long the simulation goes on after all sessions are over, for what comes late.
const AFTERMATH: Millis = Millis::from_secs(120);

/// Why a scenario cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// The cloud cannot be built.
    #[error("the scenario's cloud cannot be built")]
    Cloud(#[from] SpecError),
    /// A plug-in is not there.
    #[error("there is no plug-in {0}; name one that the given plug-ins have")]
    NoPlugin(String),
}

/// Something that will happen.
#[derive(Debug)]
enum Event {
    /// Fenix is woken, if it still wants to be.
    Wake { life: u32, number: u64 },
    /// The result of an order comes back to the run of Fenix that gave it.
    Result { life: u32, event: fenix_engine::event::Event },
    /// A command reaches Fenix.
    Command(Box<Envoy>),
    /// A call reaches the cloud.
    Call { life: u32, id: CallId, call: CloudCall },
    /// A call reaches the cloud for which nobody waits any more.
    LateCall(CloudCall),
    /// A message reaches its receiver; a copy brings no result back.
    Message { life: u32, id: CallId, envelope: Box<Envelope>, copy: bool },
    /// An action is run.
    Action { life: u32, id: CallId, assignment: Box<Assignment> },
    /// What a session brings is here, or does not come.
    Fetch { life: u32, id: CallId, wanted: Box<Wanted> },
    /// A workflow has decided.
    Decide { life: u32, id: CallId, basis: Box<Basis> },
    /// A manager does something.
    Deed { manager: usize, deed: Deed },
    /// A manager subscribes.
    Subscribe(usize),
    /// A manager states something, or takes it back.
    Statement(usize),
    /// A session is asked for.
    Open(usize),
    /// An administrator does what the scenario says.
    Order(usize),
    /// An administrator looks at the sessions.
    Look,
    /// Fenix is killed at the next thing it does.
    Arm(usize),
    /// Fenix stands still from now on.
    Freeze(usize),
    /// The cloud does not answer from now on.
    Outage,
    /// The cloud answers again.
    OutageOver,
    /// The clock of Fenix's machine is set.
    Jump(usize),
    /// The disk of Fenix's machine is full from now on.
    FullDisk(usize),
    /// Fenix opens its journal again.
    Reopen { life: u32 },
    /// Fenix looks whether there is room on its disk, if it still wants to.
    RoomLook(u64),
    /// Fenix is started again.
    Start,
    /// Fenix is started on another machine, as its own does not come back.
    MoveHouse(u64),
    /// From here on nothing goes wrong by itself.
    Calm,
}

/// A command on its way; sent again until it is answered.
#[derive(Clone, Debug)]
struct Envoy {
    command: Command,
    /// As the truth tells it; `None` for managers' answers.
    want: Option<Want>,
    tries: u32,
    /// Counts what administrators wanted: whoever wants something else does not repeat what was wanted before.
    number: u64,
}

/// A simulation.
struct Run<'a> {
    scenario: &'a Scenario,
    plugins: &'a dyn Plugins,
    now: Time,
    queue: Queue<Event>,
    latency: Dice,
    wire: Dice,
    manners: Dice,
    people: Dice,
    thinking: Dice,
    cloud: FaultyCloud<World>,
    managers: Vec<Manager>,
    /// `None` while Fenix is down, or its journal is to be opened again.
    engine: Option<Engine>,
    /// What Fenix waits for before it opens its journal again.
    mending: Option<disk::Mending>,
    /// Calls to the cloud and of actions whose results Fenix awaits.
    under_way: u64,
    /// Counts the runs of the engine.
    life: u32,
    /// Counts the wake-ups that were asked for; only the last one counts.
    wakes: u64,
    journal: MemJournal,
    disk: disk::Disk,
    /// Counts the looks for room that were begun; only the last one goes on.
    looks: u64,
    /// What was handled so far.
    commits: Vec<Commit>,
    /// The calls that change the cloud, so far.
    calls: outside::Calls<'a>,
    /// The next death of Fenix by time, once it is due.
    armed: Option<usize>,
    /// Whether the machine is up that Fenix runs on.
    machine: machine::Machine,
    /// How often it went down.
    downs: u64,
    frozen_until: Time,
    /// The clock by which Fenix goes.
    clock: machine::Clock,
    /// Calls that change the cloud and whose results Fenix awaits.
    changes: BTreeSet<CallId>,
    envoys: BTreeMap<Ticket, Envoy>,
    /// How often was tried to fetch what each session brings.
    fetches: BTreeMap<SessionId, u32>,
    tickets: u64,
    /// The number of the last thing that an administrator wanted of each session.
    wanted: BTreeMap<SessionId, u64>,
    truth: Vec<Entry>,
    /// How often each session was continued.
    continued: BTreeMap<usize, u32>,
    calm: bool,
    /// For how many reasons the cloud cannot be reached now.
    outages: u32,
    over_since: Option<Time>,
    /// True once Fenix itself was found at fault.
    broken: bool,
    at_once: usize,
    stats: Stats,
    watch: Watch,
}

/// Runs a scenario to its end and checks what happened.
///
/// # Errors
/// The scenario does not hold together; nothing was run.
pub fn run(scenario: &Scenario, plugins: &dyn Plugins) -> Result<Report, ScenarioError> {
    let mut run = Run::new(scenario, plugins)?;
    run.plan()?;
    run.play();
    Ok(run.report())
}

impl<'a> Run<'a> {
    fn new(scenario: &'a Scenario, plugins: &'a dyn Plugins) -> Result<Run<'a>, ScenarioError> {
        let seed = scenario.seed;
        let world = World::new(&scenario.cloud, seed, START)?;
        Ok(Run {
            scenario,
            plugins,
            now: START,
            queue: Queue::new(seed),
            latency: Dice::new(seed, Purpose::Latency),
            wire: Dice::new(seed, Purpose::Wire),
            manners: Dice::new(seed, Purpose::Managers),
            people: Dice::new(seed, Purpose::Operators),
            thinking: Dice::new(seed, Purpose::Thinking),
            cloud: FaultyCloud::new(world, scenario.cloud.wire.clone(), seed, 0),
            managers: scenario.managers.iter().cloned().map(Manager::new).collect(),
            engine: None,
            mending: None,
            under_way: 0,
            life: 0,
            wakes: 0,
            journal: MemJournal::new(),
            disk: disk::Disk::new(),
            looks: 0,
            commits: Vec::new(),
            calls: outside::Calls::new(&scenario.faults.calls),
            armed: None,
            machine: machine::Machine::Up,
            downs: 0,
            frozen_until: START,
            clock: machine::Clock::new(),
            changes: BTreeSet::new(),
            envoys: BTreeMap::new(),
            fetches: BTreeMap::new(),
            tickets: 0,
            wanted: BTreeMap::new(),
            truth: Vec::new(),
            continued: BTreeMap::new(),
            calm: false,
            outages: 0,
            over_since: None,
            broken: false,
            at_once: 0,
            stats: Stats::default(),
            watch: Watch::default(),
        })
    }

    /// Puts everything that is known beforehand on the list of what will happen.
    fn plan(&mut self) -> Result<(), ScenarioError> {
        let scenario = self.scenario;
        self.queue.push(START, Event::Start);
        for (number, manager) in scenario.managers.iter().enumerate() {
            self.queue.push(START + manager.from, Event::Subscribe(number));
        }
        for (number, session) in scenario.sessions.iter().enumerate() {
            let actions = session.actions.iter().map(|action| &action.plugin);
            for name in actions.chain([&session.workflow]) {
                self.pin(name)?;
            }
            self.queue.push(START + session.at, Event::Open(number));
        }
        for (number, statement) in scenario.statements.iter().enumerate() {
            self.queue.push(START + statement.at, Event::Statement(number));
        }
        for (number, order) in scenario.orders.iter().enumerate() {
            self.queue.push(START + order.at, Event::Order(number));
        }
        for (number, kill) in scenario.faults.kills.iter().enumerate() {
            if let When::After(at) = kill.when {
                self.queue.push(START + at, Event::Arm(number));
            }
        }
        for (number, freeze) in scenario.faults.freezes.iter().enumerate() {
            self.queue.push(START + freeze.at, Event::Freeze(number));
        }
        for outage in &scenario.faults.outages {
            self.queue.push(START + outage.at, Event::Outage);
            self.queue.push(START + outage.at + outage.span, Event::OutageOver);
        }
        for (number, jump) in scenario.faults.jumps.iter().enumerate() {
            self.queue.push(START + jump.at, Event::Jump(number));
        }
        for (number, full) in scenario.faults.full_disks.iter().enumerate() {
            self.queue.push(START + full.at, Event::FullDisk(number));
        }
        self.queue.push(START + scenario.calm_at, Event::Calm);
        self.queue.push(START + Millis::from_secs(60), Event::Look);
        Ok(())
    }

    fn pin(&self, name: &str) -> Result<Pin, ScenarioError> {
        self.plugins.pin(name).ok_or_else(|| ScenarioError::NoPlugin(name.to_owned()))
    }

    fn play(&mut self) {
        let end = START + self.scenario.end_at;
        let Spec { host, instance, .. } = &self.scenario.cloud;
        let instances = instance.len() as u64;
        let most_events = MOST_EVENTS + MOST_EVENTS_EACH * instances;
        let look_after = LOOK_AT_BLOCKERS.max(instances / INSTANCES_AN_EVENT);
        let most_at_once = MOST_AT_ONCE + host.len() + instance.len();
        while let Some(due) = self.queue.pop() {
            if self.broken || due.at >= end || self.is_finished() || self.stats.events >= most_events {
                break;
            }
            if due.what.is_for_fenix() && due.at < self.frozen_until {
                let at = self.frozen_until;
                self.queue.postpone(due, at);
                continue;
            }
            self.at_once = if due.at > self.now { 0 } else { self.at_once + 1 };
            if self.at_once > most_at_once {
                self.tell(Truth::Spins(format!("{:?}", due.what)));
                break;
            }
            self.stats.events += 1;
            self.now = due.at;
            self.cloud.advance(self.now);
            self.drain_trace();
            self.happen(due.what);
            self.drain_trace();
            if self.stats.events.is_multiple_of(look_after) {
                self.watch.blockers(self.engine.as_ref());
            }
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Wake { life, number } => self.wake(life, number),
            Event::Result { life, event } => self.result(life, event),
            Event::Command(envoy) => self.command(*envoy),
            Event::Call { life, id, call } => self.call(life, id, &call),
            // Refused or not, nobody hears of it.
            Event::LateCall(call) => drop(self.cloud.target_mut().call(self.now, &call)),
            Event::Message { life, id, envelope, copy } => self.message(life, id, &envelope, copy),
            Event::Action { life, id, assignment } => self.action(life, id, &assignment),
            Event::Fetch { life, id, wanted } => self.fetch(life, id, &wanted),
            Event::Decide { life, id, basis } => self.decide(life, id, &basis),
            Event::Deed { manager, deed } => self.deed(manager, deed),
            Event::Subscribe(manager) => self.subscribe(manager),
            Event::Statement(number) => self.state(number),
            Event::Open(session) => self.open(session),
            Event::Order(order) => self.order(order),
            Event::Look => self.look(),
            Event::Arm(kill) => self.armed = (!self.calm).then_some(kill),
            Event::Freeze(freeze) => self.freeze(freeze),
            Event::Outage => self.outage(),
            Event::OutageOver => self.outage_over(),
            Event::Jump(jump) => self.jump(jump),
            Event::FullDisk(number) => self.fill_disk(number),
            Event::Reopen { life } => self.reopen(life),
            Event::RoomLook(number) => self.look_for_room(number),
            Event::Start => self.start_if_up(),
            Event::MoveHouse(down) => self.move_house(down),
            Event::Calm => self.calm_down(),
        }
    }

    fn count(&mut self, fault: Fault) {
        self.watch.count(fault, 1);
    }

    fn tell(&mut self, what: Truth) {
        self.truth.push(Entry { at: self.now, what });
    }

    fn drain_trace(&mut self) {
        for entry in self.cloud.target_mut().take_trace().into_iter().map(Entry::from) {
            let own = machine::own(self.scenario, &entry.what);
            self.truth.push(entry);
            if let Some(is_up) = own {
                self.own_machine(is_up);
            }
        }
    }

    /// Not while Fenix is down: how it stands is read off it.
    fn is_finished(&self) -> bool {
        self.engine.is_some() && self.over_since.is_some_and(|since| self.now >= since + AFTERMATH)
    }

    fn report(mut self) -> Report {
        self.stats.ended_at = self.now;
        let state = self.engine.as_ref().map(|engine| State::clone(engine.state())).unwrap_or_default();
        let tally = self.tally();
        let ending = Ending {
            problems: self.cloud.target().problems(),
            refold: refold(&self.journal, &state),
            // A journal that cannot be read is a violation already.
            verified: fenix_verify::verify(&self.journal.records().unwrap_or_default()).findings,
            finished: self.over_since.is_some(),
            state,
            now: self.now,
        };
        let violations = checkers::check(self.scenario, &self.truth, &ending);
        Report {
            seed: self.scenario.seed,
            violations,
            truth: self.truth,
            journal: self.journal.frames().to_vec(),
            ending,
            commits: self.commits,
            calls: self.calls.into_sent(),
            stats: self.stats,
            tally,
        }
    }

    /// Everything that is counted of this simulation.
    fn tally(&mut self) -> Tally {
        self.watch.blockers(self.engine.as_ref());
        for (mishap, times) in self.cloud.mishaps() {
            self.watch.count(Fault::from(*mishap), *times);
        }
        for entry in &self.truth {
            self.watch.see(&entry.what);
        }
        // A journal that cannot be read is a violation already.
        let records = self.journal.records().unwrap_or_default();
        std::mem::take(&mut self.watch).tally(&records)
    }
}

/// Whether the stored bytes fold to the state that the engine has in memory; why not, if they do not.
fn refold(journal: &MemJournal, state: &State) -> Option<String> {
    let records = match journal.records() {
        Ok(records) => records,
        Err(error) => return Some(error.to_string()),
    };
    let (switched_off, held) = (state.switched_off, state.held.clone());
    let mut again = State { switched_off, held, ..State::default() };
    for record in &records {
        if let Err(error) = again.apply(record) {
            return Some(error.to_string());
        }
    }
    if !again.is_indexed() {
        return Some("what is found fast is not what the sessions say".to_owned());
    }
    if again != *state {
        let differs = first_difference(&format!("{again:#?}"), &format!("{state:#?}"));
        return Some(format!("the journal folds to another state than the engine has: {differs}"));
    }
    let Ok(folded) = fold(&records) else {
        return Some("the journal folds one by one, and not at once".to_owned());
    };
    let at_once = State { switched_off: again.switched_off, held: again.held.clone(), ..folded.state };
    let same = at_once == again && folded.misfits.is_empty();
    (!same).then(|| "the journal folds to another state at once than one by one".to_owned())
}

/// The first line in which two texts differ, with those before it that say where that is.
fn first_difference(one: &str, other: &str) -> String {
    const BEFORE: usize = 12;
    let at = one.lines().zip(other.lines()).position(|(one, other)| one != other).unwrap_or_default();
    let lines = |text: &str| {
        let lines = text.lines().skip(at.saturating_sub(BEFORE)).take(BEFORE + 1);
        lines.map(str::trim).collect::<Vec<_>>().join(" ")
    };
    format!("[{}] and not [{}]", lines(one), lines(other))
}

impl Event {
    /// True if it does not happen while Fenix stands still.
    fn is_for_fenix(&self) -> bool {
        match self {
            Event::Wake { .. }
            | Event::Result { .. }
            | Event::Command(_)
            | Event::Action { .. }
            | Event::Fetch { .. }
            | Event::Decide { .. }
            | Event::Reopen { .. }
            | Event::RoomLook(_) => true,
            Event::Call { .. }
            | Event::LateCall(_)
            | Event::Message { .. }
            | Event::Deed { .. }
            | Event::Subscribe(_)
            | Event::Statement(_)
            | Event::Open(_)
            | Event::Order(_)
            | Event::Look
            | Event::Arm(_)
            | Event::Freeze(_)
            | Event::Outage
            | Event::OutageOver
            | Event::Jump(_)
            | Event::FullDisk(_)
            | Event::Start
            | Event::MoveHouse(_)
            | Event::Calm => false,
        }
    }
}
