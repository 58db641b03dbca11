//! `make bench`: what Fenix costs and how fast it is, in one table.
//!
//! Trust the ratios: both sides of each come from one run on one machine, taken in turns where they can be. Times are
//! this machine's. Where other programs on it would spoil a figure, processor time is counted instead of time.
//! `make bench ONLY=name` runs one measurement alone; `docs/BENCHMARKS.md` says what each is.

use std::process::ExitCode;

use fenix_wasm::Plugins;

mod append;
mod busy;
mod decision;
mod detail;
mod dispatch;
#[path = "../../../host/wasm/tests/it/guest.rs"]
#[expect(dead_code, reason = "tests use more of it")]
#[expect(clippy::unwrap_used, reason = "what it makes is written down there")]
mod guest;
mod hostile;
mod hosts;
mod journals;
mod memory;
#[path = "../load/process.rs"]
mod process;
mod restart;
mod seeds;
mod stage;
mod table;

use table::Row;

type Any = Box<dyn std::error::Error + Send + Sync>;

type Measure = fn(&Plugins) -> Result<Vec<Row>, Any>;

/// What can be measured, by name, in the order of the table.
const MEASUREMENTS: [(&str, Measure); 10] = [
    ("decision", decision::measure),
    ("hosts", hosts::measure),
    ("dispatch", dispatch::measure),
    ("busy", busy::measure),
    ("append", append::measure),
    ("restart", restart::measure),
    ("memory", memory::measure),
    ("seeds", seeds::measure),
    ("detail", detail::measure),
    ("hostile", hostile::measure),
];

fn measure(only: Option<&str>) -> Result<(), Any> {
    let plugins = Plugins::new(None)?;
    for shipped in fenix_shipped::SHIPPED {
        plugins.attach(shipped.bytes)?;
    }
    let wanted = |name: &str| only.is_none_or(|only| only == name);
    if !MEASUREMENTS.iter().any(|(name, _)| wanted(name)) {
        let names: Vec<&str> = MEASUREMENTS.iter().map(|(name, _)| *name).collect();
        return Err(format!("there is no such measurement; name one of {}", names.join(", ")).into());
    }
    table::head();
    for (_, measure) in MEASUREMENTS.iter().filter(|(name, _)| wanted(name)) {
        for row in measure(&plugins)? {
            row.print();
        }
    }
    Ok(())
}

#[expect(clippy::print_stderr, reason = "it is the program's way to fail")]
fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let first = args.next().filter(|arg| !arg.is_empty());
    let done = match first.as_deref() {
        // Some measurements run processes of this very program.
        Some("cloud" | "serve" | "vnfm" | fenix_server::compiling::ARGUMENT) => {
            return fenix_server::cli::main();
        }
        Some(memory::CHILD) => memory::child(args.next().as_deref()),
        Some(seeds::CHILD) => seeds::child(args),
        only => measure(only),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
