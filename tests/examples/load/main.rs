//! `make bench-load`: what many readers and subscribers, some of them dead or slow, do to a session, and it to them.
//!
//! A real server, cloud and manager, each a process of this very program; a session over a hundred hosts, once with one
//! reader and one subscriber, once with all of them. Delays are the server's own account: its journal is read
//! when it has stopped. Readers and receivers run here, on the same processors.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

mod account;
mod process;
mod reader;
mod receiver;

use account::{Account, Spread};
use process::{Process, call};
use reader::Readers;
use receiver::{Kind, Receivers};

/// Hosts of the session.
const HOSTS: u32 = 100;

/// Instances on each of them.
const INSTANCES_PER_HOST: u32 = 4;

/// Empty hosts, and failure domains: there is room from the beginning.
const SPARE: u32 = 10;

/// How long whoever is well may take after the session's end.
const TAIL: Duration = Duration::from_secs(60);

/// Who follows.
struct Load {
    readers: usize,
    /// Of which so many read slowly.
    slow_readers: usize,
    well: usize,
    refusing: usize,
    silent: usize,
    slow: usize,
}

const ALONE: Load = Load { readers: 1, slow_readers: 0, well: 1, refusing: 0, silent: 0, slow: 0 };

/// 500 readers; 200 subscribers, of which 20 are dead and 20 slow.
const ALL: Load = Load { readers: 500, slow_readers: 20, well: 160, refusing: 10, silent: 10, slow: 20 };

/// What one run came to.
struct Outcome {
    makespan: Duration,
    /// Resident memory of the server in MiB: before the session, at most, and at the end.
    memory: [u64; 3],
    /// Seconds of processor time of the server.
    processor: f64,
    account: Account,
    lag: Spread,
    slow_lag: Spread,
    events: usize,
    missed: usize,
    disordered: usize,
}

type Any = Box<dyn std::error::Error>;

fn cloud() -> String {
    let mut text = format!(
        "[[rack]]\ncount = {}\nname = \"compute-{{}}\"\nzone = \"az-{{}}\"\nzones = {SPARE}\n\
         capacity = {{ vcpus = {INSTANCES_PER_HOST}, memory_mb = 8192, disk_gb = 100 }}\n\n\
         [[project]]\nid = \"app\"\n\n[times]\ncold_ms = 300\nlive_ms = 300\nboot_ms = 300\nreboot_ms = 1000\n",
        HOSTS + SPARE
    );
    for host in 1..=HOSTS {
        for number in 1..=INSTANCES_PER_HOST {
            text.push_str(&format!(
                "[[instance]]\nid = \"i-{host}-{number}\"\nproject = \"app\"\nhost = \"compute-{host}\"\n\
                 resources = {{ vcpus = 1, memory_mb = 1024, disk_gb = 10 }}\n"
            ));
        }
    }
    text
}

fn subscribe(url: &str, load: &Load) -> Result<Receivers, Any> {
    let mut receivers = Receivers::default();
    let kinds = [
        (Kind::Well, load.well),
        (Kind::Refusing, load.refusing),
        (Kind::Silent, load.silent),
        (Kind::Slow, load.slow),
    ];
    for (kind, count) in kinds {
        for number in 0..count {
            let at = receivers.open(kind)?;
            let body = json!({ "project_id": "watchers", "event_type": "maintenance.*", "url": at,
                "format": "cloudevents", "secret": "a secret of this program" });
            call("PUT", &format!("{url}/v1/subscriptions/{}-{number}", kind.name()), Some(&body))?;
        }
    }
    Ok(receivers)
}

/// Waits until the session has ended; returns how long it took from its own first moment.
fn session(url: &str) -> Result<Duration, Any> {
    let hosts: Vec<String> = (1..=HOSTS).map(|host| format!("compute-{host}")).collect();
    let body = json!({
        "hosts": hosts, "state": "MAINTENANCE", "maintenance_at": "2020-01-01 00:00:00", "metadata": {},
        "workflow": "default", "actions": [{ "plugin": "reboot", "type": "host", "metadata": {} }], "download": [],
    });
    let begun = Instant::now();
    let made = call("POST", &format!("{url}/v1/maintenance"), Some(&body))?;
    let id = made["session_id"].as_str().ok_or("no session")?.to_owned();
    let mut from = 0;
    loop {
        let news = call("GET", &format!("{url}/v1/maintenance/{id}/events?from={from}&wait=5"), None)?;
        match news["condition"].as_str() {
            Some("ended") if news["state"] == "MAINTENANCE_DONE" => return Ok(begun.elapsed()),
            Some("ended" | "parked") => return Err(format!("the session failed: {news}").into()),
            _ => from = news["next"].as_u64().unwrap_or(from),
        }
    }
}

/// Messages that wait for whoever is well.
fn waiting(url: &str) -> Result<u64, Any> {
    let all = call("GET", &format!("{url}/v1/subscriptions"), None)?;
    let well = |order: &&Value| order["id"].as_str().is_some_and(|id| id.starts_with(Kind::Well.name()));
    let orders = all["subscriptions"].as_array().into_iter().flatten();
    Ok(orders.filter(well).filter_map(|order| order["waiting"].as_u64()).sum())
}

fn run(load: &Load) -> Result<Outcome, Any> {
    let dir = tempfile::tempdir()?;
    let path = |name: &str| dir.path().join(name).display().to_string();
    std::fs::write(dir.path().join("rack.toml"), cloud())?;
    let (rack, state, data) = (path("rack.toml"), path("cloud.state"), path("data"));
    let any = ["--listen", "127.0.0.1:0"];
    let cloud = Process::start(&[&["cloud", "sim", "--file", &rack, "--state", &state], &any[..]].concat())?;
    let server =
        Process::start(&[&["serve", "--data-dir", &data, "--cloud", &cloud.address], &any[..]].concat())?;
    let url = server.address.clone();
    let manager = Process::start(&["vnfm", "--project", "app", "--url", &url, "--cloud", &cloud.address])?;
    let receivers = subscribe(&url, load)?;
    let readers = Readers::open(&url, load.readers, load.slow_readers)?;
    let before = server.memory()?;
    let makespan = session(&url)?;
    let ended = Instant::now();
    while waiting(&url)? > 0 && ended.elapsed() < TAIL {
        std::thread::sleep(Duration::from_millis(100));
    }
    let (after, peak, processor) = (server.memory()?, server.peak()?, server.processor()?);
    manager.stop()?;
    server.stop()?;
    let heard = readers.close();
    let account = Account::read(Path::new(&data))?;
    let lag = |slow: bool| account.lag(heard.iter().filter(|heard| heard.slow == slow));
    Ok(Outcome {
        makespan,
        memory: [before, peak, after],
        processor,
        lag: lag(false),
        slow_lag: lag(true),
        events: heard.iter().map(|heard| heard.events.len()).sum(),
        missed: heard.iter().map(|heard| heard.missed).sum(),
        disordered: receivers.disordered() + heard.iter().filter(|heard| !heard.in_order()).count(),
        account,
    })
}

#[expect(clippy::print_stdout, reason = "the table is what it is for")]
fn print(alone: &Outcome, all: &Outcome) {
    let row =
        |what: &str, of: &dyn Fn(&Outcome) -> String| println!("| {what} | {} | {} |", of(alone), of(all));
    println!(
        "| {HOSTS} hosts, {INSTANCES_PER_HOST} instances on each, {SPARE} empty hosts beside | 1 reader, 1 subscriber | {} readers, {} subscribers |",
        ALL.readers,
        ALL.well + ALL.refusing + ALL.silent + ALL.slow
    );
    println!("|---|---|---|");
    row("the session took", &|of| format!("{:.1} s", of.makespan.as_secs_f64()));
    row("a question reached its manager after (p50 / p99 / max)", &|of| of.account.delay("vnfm").to_string());
    row("a message reached a subscriber that is well after", &|of| {
        of.account.delay(Kind::Well.name()).to_string()
    });
    row("an event reached a reader after", &|of| of.lag.to_string());
    row("the same, slow readers", &|of| of.slow_lag.to_string());
    row("events read / missed", &|of| format!("{} / {}", of.events, of.missed));
    for kind in [Kind::Well, Kind::Slow, Kind::Silent, Kind::Refusing] {
        let what = format!("messages to {}: delivered / ended otherwise / still waiting", kind.words());
        row(&what, &|of| of.account.ends(kind.name()));
    }
    row("out of order", &|of| of.disordered.to_string());
    row("records", &|of| of.account.records.to_string());
    row("memory of the server before / at most / after", &|of| {
        let [before, peak, after] = of.memory;
        format!("{before} / {peak} / {after} MiB")
    });
    row("processor time of the server", &|of| format!("{:.1} s", of.processor));
}

fn main() -> ExitCode {
    // With arguments it is one of its own processes.
    if std::env::args_os().len() > 1 {
        return fenix_server::cli::main();
    }
    let both = run(&ALONE).and_then(|alone| Ok((alone, run(&ALL)?)));
    match both {
        Ok((alone, all)) => {
            print(&alone, &all);
            ExitCode::SUCCESS
        }
        Err(error) => {
            tell(&*error);
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "it is a program of its own")]
fn tell(error: &dyn std::error::Error) {
    eprintln!("error: {error}");
}
