//! `make bench`: what a decision and a host cost.
//!
//! One session of the workflow `default` over a full cloud with one empty host, in virtual time, without disk: the real
//! engine, rules and component; the cloud answers at once. Only processor time of the engine is counted, the cloud's
//! and the manager's is not. Trust the ratios, which come from one run; the times are this machine's.

use std::cell::Cell;
use std::collections::BTreeMap;

use fenix_cloud::sim::{Spec, World};
use fenix_core::ask::{MoveHow, Reply};
use fenix_core::id::{Digest, InstanceId, SessionId};
use fenix_core::message::{Content, Subscription};
use fenix_core::policy::Terms;
use fenix_core::record::Record;
use fenix_core::session::{Condition, Phase, Plan};
use fenix_core::time::{Millis, Time};
use fenix_core::view::{Verdict, View, Wakeup};
use fenix_engine::command::Command;
use fenix_engine::event::{Envelope, Event, Order, Ticket};
use fenix_engine::ports::{Journal, JournalError, WorkflowError, Workflows};
use fenix_engine::{Engine, Settings};
use fenix_wasm::Plugins;

const INSTANCES_PER_HOST: u32 = 20;
const CLOUD_ANSWERS_IN: Millis = Millis(20);
/// Runs of each size: a small session is over before a busy machine has had its say, so the middle of many counts.
const RUNS: [(u32, usize); 3] = [(10, 31), (100, 7), (1000, 3)];
const MANAGER_ANSWERS_IN: Millis = Millis(200);

/// Processor time of this thread in nanoseconds.
fn cpu() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Takes everything and keeps nothing.
struct NoDisk;

impl Journal for NoDisk {
    fn append(&mut self, _: &[Record]) -> Result<(), JournalError> {
        Ok(())
    }
}

/// The real workflows; every decision is made a second time, bare, for comparison.
struct Twice {
    plugins: Plugins,
    compare: bool,
    /// Nanoseconds of the second times since they were last taken.
    bare: Cell<u64>,
    /// Whoever is second finds warm caches: they take turns.
    bare_first: Cell<bool>,
}

impl Twice {
    fn decide_bare(&self, plugin: &Digest, view: &View, wakeup: &Wakeup) {
        let begun = cpu();
        drop(self.plugins.decide(plugin, view, wakeup));
        self.bare.set(self.bare.get() + cpu() - begun);
    }
}

impl Workflows for Twice {
    fn decide(&self, plugin: &Digest, view: &View, wakeup: &Wakeup) -> Result<Verdict, WorkflowError> {
        if !self.compare {
            return self.plugins.decide(plugin, view, wakeup);
        }
        let bare_first = self.bare_first.replace(!self.bare_first.get());
        if bare_first {
            self.decide_bare(plugin, view, wakeup);
        }
        let verdict = self.plugins.decide(plugin, view, wakeup);
        if !bare_first {
            self.decide_bare(plugin, view, wakeup);
        }
        verdict
    }
}

struct Bench {
    engine: Engine,
    world: World,
    workflows: Twice,
    queue: BTreeMap<(Time, u64), Event>,
    queued: u64,
    now: Time,
    /// Processor time of the engine, the second decisions taken out.
    spent: u64,
    decided: Vec<(u64, u64)>,
}

impl Bench {
    fn push(&mut self, after: Millis, event: Event) {
        self.queued += 1;
        self.queue.insert((self.now + after, self.queued), event);
    }

    /// Takes one event, or the engine's own timer, whichever is due first. False when nothing is left.
    fn turn(&mut self) -> bool {
        let first = self.queue.first_key_value().map(|((at, _), _)| *at);
        let due = self.engine.next_due();
        let event = match (first, due) {
            (Some(at), due) if due.is_none_or(|due| at <= due) => {
                self.now = at;
                self.queue.pop_first().map(|(_, event)| event)
            }
            (_, Some(due)) => {
                self.now = self.now.max(due);
                Some(Event::Tick)
            }
            (_, None) => None,
        };
        let Some(event) = event else { return false };
        self.workflows.bare.set(0);
        let begun = cpu();
        self.engine.handle(self.now, event, &self.workflows);
        let orders = self.engine.commit(&mut NoDisk);
        let bare = self.workflows.bare.get();
        let spent = (cpu() - begun).saturating_sub(bare);
        self.spent += spent;
        if bare > 0 {
            self.decided.push((spent, bare));
        }
        if let Ok(orders) = orders {
            for order in orders.into_inner() {
                self.carry_out(order);
            }
        }
        true
    }

    fn carry_out(&mut self, order: Order) {
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
            Order::RunAction { .. } | Order::Answer { .. } => {}
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

fn cloud(hosts: u32) -> String {
    let mut text = format!(
        "[[rack]]\ncount = {}\nname = \"compute-{{}}\"\ncapacity = {{ vcpus = {INSTANCES_PER_HOST}, memory_mb = 20480, disk_gb = 200 }}\n\n[[project]]\nid = \"app\"\n",
        hosts + 1
    );
    for host in 1..=hosts {
        for number in 1..=INSTANCES_PER_HOST {
            text.push_str(&format!(
                "[[instance]]\nid = \"i-{host}-{number}\"\nproject = \"app\"\nhost = \"compute-{host}\"\nresources = {{ vcpus = 1, memory_mb = 1024, disk_gb = 10 }}\n"
            ));
        }
    }
    text
}

/// Runs one session over so many full hosts and one empty one, to its end.
fn run(plugins: &Plugins, hosts: u32, compare: bool) -> Result<Bench, Box<dyn std::error::Error>> {
    let workflow = plugins.named("default").ok_or("the workflow default is not shipped")?.pin();
    let spec = Spec::parse(&cloud(hosts))?;
    let workflows =
        Twice { plugins: plugins.clone(), compare, bare: Cell::new(0), bare_first: Cell::new(true) };
    let now = Time(1_000_000);
    let mut bench = Bench {
        engine: Engine::new(Settings::default(), now),
        world: World::new(&spec, 1, now)?,
        workflows,
        queue: BTreeMap::new(),
        queued: 0,
        now,
        spent: 0,
        decided: Vec::new(),
    };
    let subscription = Subscription {
        id: "app".into(),
        project: "app".into(),
        event_type: "maintenance.scheduled".to_owned(),
        url: "http://127.0.0.1:1/".to_owned(),
        format: fenix_core::message::Format::Aodh,
    };
    bench.push(Millis::ZERO, Event::Command(Ticket(0), None, Command::Subscribe { subscription }));
    while !bench.engine.is_ready() {
        bench.turn();
    }
    bench.spent = 0;
    let plan = Plan {
        maintenance_at: now,
        window_end: None,
        metadata: "{}".to_owned(),
        workflow,
        actions: Vec::new(),
        terms: Terms::default(),
    };
    let id = SessionId::from("bench");
    let open = Command::Open { id: id.clone(), plan: Box::new(plan), hosts: Vec::new() };
    bench.push(Millis::ZERO, Event::Command(Ticket(0), None, open));
    loop {
        if !bench.turn() {
            return Err("nothing is left to do, and the session is not over".into());
        }
        let Some(session) = bench.engine.state().session(&id) else { continue };
        match (&session.condition, session.phase) {
            (Condition::Ended, Phase::MaintenanceDone) => return Ok(bench),
            (Condition::Ended, _) | (Condition::Parked { .. }, _) => {
                return Err(format!("{:?}: {:?}", session.condition, session.failure).into());
            }
            (Condition::Running | Condition::Paused | Condition::Closing { .. }, _) => {}
        }
    }
}

fn percentile(sorted: &[u64], percent: usize) -> u64 {
    sorted.get(sorted.len().saturating_sub(1) * percent / 100).copied().unwrap_or(0)
}

#[expect(clippy::print_stdout, reason = "the table is what it is for")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let plugins = Plugins::new(None)?;
    for shipped in fenix_shipped::SHIPPED {
        plugins.attach(shipped.bytes)?;
    }
    run(&plugins, 10, false)?; // Warms up.

    let bench = run(&plugins, 100, true)?;
    let mut engine: Vec<u64> = bench.decided.iter().map(|(spent, _)| *spent).collect();
    let mut bare: Vec<u64> = bench.decided.iter().map(|(_, bare)| *bare).collect();
    let ratio = engine.iter().sum::<u64>() as f64 / bare.iter().sum::<u64>() as f64;
    engine.sort_unstable();
    bare.sort_unstable();
    println!("one event that makes `default` decide, 100 hosts, {} events, processor time", engine.len());
    println!("| | p50 | p99 | mean ratio |");
    println!("|---|---|---|---|");
    let us = |ns: u64| ns as f64 / 1000.0;
    println!(
        "| bare instantiate and call | {:.0} us | {:.0} us | 1 |",
        us(percentile(&bare, 50)),
        us(percentile(&bare, 99))
    );
    println!(
        "| through the engine, without disk | {:.0} us | {:.0} us | {ratio:.2} |",
        us(percentile(&engine, 50)),
        us(percentile(&engine, 99))
    );

    println!("\none session, {INSTANCES_PER_HOST} instances a host, processor time of the engine in all");
    println!("| hosts | per host | of that at 10 hosts | moves |");
    println!("|---|---|---|---|");
    let mut first = None;
    for (hosts, runs) in RUNS {
        let (mut spent, mut moves) = (Vec::new(), 0);
        for _ in 0..runs {
            let bench = run(&plugins, hosts, false)?;
            // The empty host costs next to nothing: what counts are those that have to be emptied.
            spent.push(bench.spent / u64::from(hosts));
            moves = bench.engine.state().sessions.values().map(|session| session.moves.len()).sum();
        }
        spent.sort_unstable();
        let per_host = percentile(&spent, 50) as f64;
        let ratio = per_host / *first.get_or_insert(per_host);
        println!("| {hosts} | {:.2} ms | {ratio:.2} | {moves} |", per_host / 1e6);
    }
    Ok(())
}
