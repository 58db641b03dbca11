//! One event that makes `default` decide, in a session of 100 hosts, against the bare cost of the decision in it: a fresh
//! instance of the same component, the same view and the same wakeup, called once. Without disk, in processor time.

use std::cell::Cell;

use fenix_core::id::Digest;
use fenix_core::view::{Verdict, View, Wakeup};
use fenix_engine::ports::{WorkflowError, Workflows};
use fenix_wasm::Plugins;

use crate::Any;
use crate::stage::{NoDisk, Size, Stage, is_over};
use crate::table::{Row, cpu, percentile, time};

const SIZE: Size = Size { sessions: 1, hosts: 100, instances_per_host: 20 };

/// The real workflows; every decision is made a second time, bare, for comparison.
struct Twice {
    plugins: Plugins,
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

pub(crate) fn measure(plugins: &Plugins) -> Result<Vec<Row>, Any> {
    let workflow = plugins.named("default").ok_or("the workflow default is not shipped")?.pin();
    let workflows = Twice { plugins: plugins.clone(), bare: Cell::new(0), bare_first: Cell::new(true) };
    let mut stage = Stage::set(SIZE, &workflow, &mut NoDisk)?;
    let (mut engine, mut bare) = (Vec::new(), Vec::new());
    while !is_over(stage.engine.state())? {
        let event = stage.next().ok_or("nothing is left to do")?;
        workflows.bare.set(0);
        let begun = cpu();
        stage.engine.handle(stage.now, event, &workflows);
        let orders = stage.engine.commit(&mut NoDisk)?;
        let spent = cpu() - begun;
        if workflows.bare.get() > 0 {
            engine.push(spent.saturating_sub(workflows.bare.get()));
            bare.push(workflows.bare.get());
        }
        for order in orders.into_inner() {
            stage.carry_out(order);
        }
    }
    let ratio = engine.iter().sum::<u64>() as f64 / bare.iter().sum::<u64>() as f64;
    engine.sort_unstable();
    bare.sort_unstable();
    let spread = |sorted: &[u64]| {
        format!("p50 {}, p99 {}", time(percentile(sorted, 50)), time(percentile(sorted, 99)))
    };
    let row = Row::new("an event that makes `default` decide, 100 hosts, without disk", spread(&engine));
    Ok(vec![row.against(format!("bare instance and call: {}", spread(&bare)), ratio).aim("<= 2")])
}
