//! Many simulations on all processors.

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::plugins::Components;
use crate::reckless::Reckless;
use crate::report::Report;
use crate::scenario::Scenario;
use crate::{ScenarioError, run};

/// Runs the scenario of each seed, several at a time, and hands each with its report to `take`, in whatever order they
/// end, until that returns false. [`Reckless`] is among the plug-ins.
///
/// # Errors
/// The first scenario that does not hold together; others may have been run.
pub fn run_all(
    seeds: RangeInclusive<u64>,
    make: impl Fn(u64) -> Scenario + Sync,
    components: &Components,
    take: impl FnMut(&Scenario, Report) -> bool + Send,
) -> Result<(), ScenarioError> {
    let next = AtomicU64::new(*seeds.start());
    let enough = AtomicBool::new(false);
    let take = Mutex::new(take);
    let work = || -> Result<(), ScenarioError> {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if !seeds.contains(&seed) || enough.load(Ordering::Relaxed) {
                return Ok(());
            }
            let scenario = make(seed);
            let report = run(&scenario, &Reckless::new(seed, components));
            let report = report.inspect_err(|_| enough.store(true, Ordering::Relaxed))?;
            // A panic in `take` ends the whole in any case.
            if !take.lock().unwrap_or_else(PoisonError::into_inner)(&scenario, report) {
                enough.store(true, Ordering::Relaxed);
            }
        }
    };
    std::thread::scope(|scope| {
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| match worker.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })
}
