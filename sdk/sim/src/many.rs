//! Many simulations: one after the other, and on all processors in as many processes.
//!
//! Not in threads. Each decision has an instance of its own, whose memory is mapped and taken away again, or at least
//! protected anew; that holds up all threads of the process, and interrupts the processors that they run on. Two threads
//! on two processors got through fewer simulations than one alone, and two processes through more (`docs/BENCHMARKS.md`).

use std::io;
use std::ops::RangeInclusive;
use std::process::{Child, Command, Stdio};
use std::str::FromStr;

use crate::plugins::Components;
use crate::reckless::Reckless;
use crate::report::Report;
use crate::scenario::Scenario;
use crate::{ScenarioError, run};

/// Runs the scenario of each seed, and hands each with its report to `take`, until that returns false. [`Reckless`] and
/// what it brings are among the plug-ins.
///
/// # Errors
/// The first scenario that does not hold together; those before it were taken.
pub fn run_each(
    seeds: impl IntoIterator<Item = u64>,
    make: impl Fn(u64) -> Scenario,
    components: &Components,
    mut take: impl FnMut(&Scenario, Report) -> bool,
) -> Result<(), ScenarioError> {
    for seed in seeds {
        let scenario = make(seed);
        let report = run(&scenario, &Reckless::new(seed, components))?;
        if !take(&scenario, report) {
            break;
        }
    }
    Ok(())
}

/// Which of the processes that share a work this one is; on a command line like `1/2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    number: usize,
    of: usize,
}

impl Share {
    /// The seeds that are this process's own: every n-th, so that long and short ones are spread evenly.
    pub fn of(self, seeds: RangeInclusive<u64>) -> impl Iterator<Item = u64> {
        seeds.skip(self.number - 1).step_by(self.of)
    }
}

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Share, String> {
        let parts =
            text.split_once('/').and_then(|(number, of)| Some((number.parse().ok()?, of.parse().ok()?)));
        match parts {
            Some((number, of)) if (1..=of).contains(&number) => Ok(Share { number, of }),
            Some(_) | None => Err(format!("{text:?} is no share, like 1/2")),
        }
    }
}

/// Runs this very program once for each processor, all at a time, with those arguments and its [`Share`] behind them.
/// Returns what each printed.
///
/// # Errors
/// One cannot be run, or fails; what it said of that is on this process's standard error.
pub fn share(args: &[&str]) -> io::Result<Vec<Vec<u8>>> {
    let program = std::env::current_exe()?;
    let of = std::thread::available_parallelism().map_or(1, usize::from);
    let start = |number| {
        let share = format!("{number}/{of}");
        Command::new(&program).args(args).arg(share).stdout(Stdio::piped()).spawn()
    };
    let begun = (1..=of).map(start).collect::<io::Result<Vec<_>>>()?;
    // All are waited for, whatever becomes of one.
    let ended: Vec<_> = begun.into_iter().map(Child::wait_with_output).collect();
    let printed = ended.into_iter().map(|output| {
        let output = output?;
        if output.status.success() {
            Ok(output.stdout)
        } else {
            Err(io::Error::other(format!("a part of the work ended with {}", output.status)))
        }
    });
    printed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_seed_is_one_processs_own() {
        let of = |share: &str, seeds| share.parse::<Share>().unwrap().of(seeds).collect::<Vec<_>>();
        assert_eq!(of("1/1", 1..=3), [1, 2, 3]);
        assert_eq!(of("1/3", 5..=11), [5, 8, 11]);
        assert_eq!(of("2/3", 5..=11), [6, 9]);
        assert_eq!(of("3/3", 5..=11), [7, 10]);
        assert_eq!(of("3/3", 5..=6), [0; 0]);
        for wrong in ["", "1", "0/2", "3/2", "1/0", "a/b"] {
            assert!(wrong.parse::<Share>().is_err(), "{wrong}");
        }
    }
}
