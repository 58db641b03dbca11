//! `fenix demo`: a whole session on a full simulated cloud, to be watched.
//!
//! It starts the cloud, the server and an application manager as processes of their own, starts a session that
//! restarts every host, shows it, and then asks the cloud, not Fenix, whether all ended well. A server that somebody
//! kills meanwhile is started again, as an init system would, and goes on where it was.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use fenix_cloud::sim::trace::TraceEvent;
use fenix_cloud::sim::{Patience, SimClient, Spec};
use fenix_core::time::Time;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::cli::client::Fenix;
use crate::cli::exit::{Failure, Kind};
use crate::cli::watch::screen;
use crate::cli::{Output, print};
use crate::stop;
use crate::wire::time::spaced;

mod child;
mod live;
mod summary;
pub mod truth;

use child::Child;
use live::Live;
use truth::Truth;

/// `fenix demo`
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Compute hosts of the cloud
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(3..=200))]
    computes: u32,
    /// What chance decides follows from it
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Keep all files in this directory, which must be empty or not there; else they are removed
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    #[command(flatten)]
    stop: stop::StopArgs,
}

/// The project of the application in [`Spec::doctor`].
const PROJECT: &str = "doctor";

/// Pause between two looks at the session.
const LOOK_PAUSE: Duration = Duration::from_millis(250);

/// Time for the server to have read the cloud.
const READY_WITHIN: Duration = Duration::from_secs(20);

/// How often a server that was killed is started again: more often than anybody has the patience to kill it, and a
/// server that dies by itself comes to an end.
const MAX_RESTARTS: u32 = 20;

/// Longest that the session may take: a hundred times what it does with the fewest hosts.
const MAX_SECONDS: u64 = 3600;

/// Runs the demonstration to its end.
///
/// # Errors
/// Something could not be started, the session failed, or the cloud says that not all ended well.
pub async fn run(args: DemoArgs, output: Output) -> Result<(), Failure> {
    let mut stop = stop::stop(args.stop).map_err(|error| Failure::of(&error))?;
    let (dir, keep) = directory(args.keep.as_deref())?;
    let result = in_directory(&args, &dir, output, &mut stop).await;
    let failed = result.as_ref().is_err_and(|failure| failure.kind != Kind::Interrupted);
    if keep || failed {
        print::note(format!("files: {}", dir.display()));
    } else if let Err(error) = std::fs::remove_dir_all(&dir) {
        print::note(format!("cannot remove {}: {error}", dir.display()));
    }
    result
}

/// The directory for all files, fresh; and whether it is to be kept.
fn directory(keep: Option<&Path>) -> Result<(PathBuf, bool), Failure> {
    let failed = |dir: &Path, error: std::io::Error| {
        Failure::failed(format!("cannot use the directory {}: {error}", dir.display()))
    };
    let dir = match keep {
        Some(dir) => dir.to_owned(),
        None => std::env::temp_dir().join(format!("fenix-demo-{}", uuid::Uuid::new_v4())),
    };
    std::fs::create_dir_all(&dir).map_err(|error| failed(&dir, error))?;
    let mut entries = std::fs::read_dir(&dir).map_err(|error| failed(&dir, error))?;
    if entries.next().is_some() {
        return Err(Failure::usage(format!("the directory {} is not empty", dir.display())));
    }
    Ok((dir, keep.is_some()))
}

async fn in_directory(
    args: &DemoArgs,
    dir: &Path,
    output: Output,
    stop: &mut watch::Receiver<bool>,
) -> Result<(), Failure> {
    let mut stage = Stage { dir, children: Vec::new(), restarts: 0 };
    let interrupted = || Failure::new(Kind::Interrupted, "interrupted");
    // Dropping the play in the middle is safe: the processes belong to the stage.
    let result = tokio::select! {
        result = play(args, output, &mut stage) => result,
        () = stop::stopped(stop) => Err(interrupted()),
    };
    stage.clear().await;
    result
}

/// The processes, in the order in which they were started.
struct Stage<'a> {
    dir: &'a Path,
    children: Vec<Child>,
    restarts: u32,
}

/// The name of the process that may be killed.
const SERVER: &str = "server";

impl Stage<'_> {
    async fn enter(&mut self, name: &'static str, args: &[&str]) -> Result<String, Failure> {
        print::note(format!("starting {name}"));
        let child = Child::start(name, self.dir, args).await?;
        let address = child.address.clone();
        self.children.push(child);
        Ok(address)
    }

    /// Makes sure that all run, and tells what it did. A server that was killed is started again with these arguments.
    async fn mend(&mut self, serve: &[&str]) -> Result<Vec<String>, Failure> {
        let mut told = Vec::new();
        for child in &mut self.children {
            let Some(status) = child.ended()? else { continue };
            let failure = Failure::failed(format!("{} ended: {status}", child.name));
            if child.name != SERVER || self.restarts == MAX_RESTARTS {
                return Err(failure);
            }
            self.restarts += 1;
            told.push(format!("{failure}; it is started again, and goes on from its journal"));
            *child = Child::start(SERVER, self.dir, serve).await?;
        }
        Ok(told)
    }

    /// What the last process has said since it was asked last.
    fn overheard(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(child) = self.children.last_mut() {
            while let Ok(line) = child.lines.try_recv() {
                lines.push(line);
            }
        }
        lines
    }

    /// Ends all, the last one first.
    async fn clear(self) {
        for child in self.children.into_iter().rev() {
            child.stop().await;
        }
    }
}

async fn play(args: &DemoArgs, output: Output, stage: &mut Stage<'_>) -> Result<(), Failure> {
    let dir = stage.dir;
    let path = |name: &str| dir.join(name).display().to_string();
    let rack = toml::to_string(&Spec::doctor(args.computes)).map_err(|error| Failure::of(&error))?;
    std::fs::write(dir.join("rack.toml"), rack).map_err(|error| Failure::of(&error))?;
    let local = "127.0.0.1:0";
    let (seed, file, state) = (args.seed.to_string(), path("rack.toml"), path("cloud.state"));
    let cloud = ["cloud", "sim", "--listen", local, "--file", &file, "--state", &state, "--seed", &seed];
    let cloud = stage.enter("cloud", &cloud).await?;
    let data = path("data");
    let serve = ["serve", "--listen", local, "--data-dir", &data, "--cloud", &cloud];
    let url = stage.enter(SERVER, &serve).await?;
    // Started again, it has to be where everybody knows it to be.
    let listen = url.trim_start_matches("http://");
    let serve = ["serve", "--listen", listen, "--data-dir", &data, "--cloud", &cloud];
    let inbox = path("inbox.jsonl");
    let vnfm = ["vnfm", "--project", PROJECT, "--url", &url, "--cloud", &cloud, "--inbox", &inbox];
    stage.enter("manager", &vnfm).await?;

    let fenix = Fenix::at(&url)?;
    let session = begin(&fenix).await?;
    print::note(format!(
        "session {session}: {} compute hosts, all full, each to be restarted",
        args.computes
    ));
    if let Some(id) = stage.children.iter().find(|child| child.name == SERVER).and_then(Child::id) {
        print::note(format!("the server is process {id}: kill it if you like, nothing gets lost"));
    }
    let detail = follow(&fenix, &session, stage, &serve, output).await?;
    let address: SocketAddr =
        cloud.parse().map_err(|_| Failure::failed(format!("{cloud:?} is no address of a cloud")))?;
    let truth = ask_cloud(&SimClient::new(address, Patience::default())).await?;
    fenix.call(Method::DELETE, &format!("/v1/maintenance/{session}"), None).await?;
    tell(&detail, &truth, output);
    verdict(&detail, &truth)
}

async fn begin(fenix: &Fenix) -> Result<String, Failure> {
    let begun = Instant::now();
    while let Err(failure) = fenix.get("/readyz").await {
        if begun.elapsed() > READY_WITHIN {
            return Err(failure);
        }
        tokio::time::sleep(LOOK_PAUSE).await;
    }
    let body = json!({
        "state": "MAINTENANCE",
        "maintenance_at": spaced(Time(0)),
        "metadata": { "openstack_release": "demo" },
        "workflow": "default",
        "hosts": [],
        "actions": [{ "plugin": "reboot", "type": "host" }],
        // What a killed server had sent is looked after for this long: this cloud is on the same machine.
        "terms": { "settle_time": 5 },
    });
    let reply = fenix.call(Method::POST, "/v1/maintenance", Some(&body)).await?;
    let id = reply["session_id"].as_str().ok_or_else(|| Failure::failed("the server gave no session id"))?;
    Ok(id.to_owned())
}

/// Shows the session until it has ended, and returns how it then was.
async fn follow(
    fenix: &Fenix,
    session: &str,
    stage: &mut Stage<'_>,
    serve: &[&str],
    output: Output,
) -> Result<Value, Failure> {
    let mut live = Live::new(output == Output::Text && screen::is_there(), fenix).await;
    let begun = Instant::now();
    let mut from = 0;
    loop {
        stage.mend(serve).await?.iter().for_each(|line| live.happened(line));
        let looked = look(fenix, session, &mut from, &mut live).await;
        for line in stage.overheard() {
            live.happened(&format!("    manager: {line}"));
        }
        match looked {
            Ok(detail) if matches!(detail["condition"].as_str(), Some("ended" | "parked")) => {
                return Ok(detail);
            }
            Ok(_) => {}
            // It was killed: the next round starts it again.
            Err(failure) if failure.kind == Kind::Unreachable => {}
            Err(failure) => return Err(failure),
        }
        if begun.elapsed().as_secs() > MAX_SECONDS {
            return Err(Failure::failed(format!("the session has not ended within {MAX_SECONDS} s")));
        }
        tokio::time::sleep(LOOK_PAUSE).await;
    }
}

/// Shows what is new about a session, and returns how it is.
async fn look(fenix: &Fenix, session: &str, from: &mut u64, live: &mut Live) -> Result<Value, Failure> {
    let path = format!("/v1/maintenance/{session}");
    let news = fenix.get(&format!("{path}/events?from={from}&wait=0")).await?;
    *from = news["next"].as_u64().unwrap_or(*from);
    for line in news["lines"].as_array().into_iter().flatten() {
        live.happened(&crate::cli::history_line(line));
    }
    live.show(fenix, &path).await.cloned()
}

/// What really happened, from the beginning.
async fn ask_cloud(cloud: &SimClient) -> Result<Truth, Failure> {
    let unreadable = |error| Failure::failed(format!("the cloud cannot be asked: {error}"));
    let mut trace: Vec<TraceEvent> = Vec::new();
    loop {
        let page = cloud.trace(trace.len() as u64).await.map_err(unreadable)?;
        if page.first != trace.len() as u64 {
            return Err(Failure::failed("the cloud has forgotten how it all began"));
        }
        if page.events.is_empty() {
            break;
        }
        trace.extend(page.events);
    }
    let mut truth = truth::judge(&trace);
    let summary = cloud.summary().await.map_err(unreadable)?;
    truth.problems.extend(summary.problems);
    truth.problems.extend(summary.under_way.iter().map(|id| format!("instance {id} is still being moved")));
    Ok(truth)
}

fn tell(detail: &Value, truth: &Truth, output: Output) {
    match output {
        Output::Json => print::json(&summary::as_json(detail, truth)),
        Output::Text => {
            let start = detail["phases"][0]["since_ms"].as_u64().unwrap_or(0);
            summary::print(detail, truth, Time(start));
        }
    }
}

fn verdict(detail: &Value, truth: &Truth) -> Result<(), Failure> {
    let state = detail["state"].as_str().unwrap_or_default();
    if state == "MAINTENANCE_DONE" && truth.problems.is_empty() {
        let hosts = truth.hosts.len();
        print::note(format!(
            "\nThe cloud says: all {hosts} hosts were restarted once and are back, every instance serves its \
             application, and no group ever had more members out than it bears."
        ));
        return Ok(());
    }
    let reason = detail["reason"].as_str().map_or_else(String::new, |reason| format!(": {reason}"));
    let failure = Failure::failed(format!("the session ended as {state}{reason}"));
    Err(truth
        .problems
        .iter()
        .fold(failure, |failure, problem| failure.hint(format!("the cloud says: {problem}"))))
}
