//! `fenix cloud`: the simulated cloud as a process of its own, and a look into it.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use fenix_cloud::sim::{Patience, SimClient, Spec, Summary, serve};
use fenix_core::inventory::Service;
use fenix_engine::ports::CloudError;
use serde_json::json;

use super::exit::{Failure, Kind};
use super::text::{columns, plain};
use super::{Output, print};
use crate::config::{DEFAULT_CLOUD_PORT, address, loopback};
use crate::wire::time::clock;
use crate::{listen, log, stop};

/// `fenix cloud`
#[derive(Debug, Args)]
pub struct CloudArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Run a simulated cloud
    Sim(SimArgs),
    /// Show how a simulated cloud stands
    Show(At),
    /// Show what really happened in a simulated cloud
    Trace(At),
}

#[derive(Debug, Args)]
struct SimArgs {
    /// What the cloud is made of (TOML)
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// Address to listen on; this machine only. Port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value_t = loopback(DEFAULT_CLOUD_PORT), value_parser = address)]
    listen: SocketAddr,
    /// File that the cloud lives in, made if it is not there
    #[arg(long, value_name = "FILE")]
    state: PathBuf,
    /// What chance decides follows from it
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    stop: stop::StopArgs,
}

#[derive(Debug, Args)]
struct At {
    /// Address of the cloud
    #[arg(long, value_name = "ADDRESS", env = "FENIX_CLOUD", default_value_t = loopback(DEFAULT_CLOUD_PORT), value_parser = address)]
    cloud: SocketAddr,
}

/// Runs one of the commands.
///
/// # Errors
/// The file cannot be used; the cloud cannot be reached.
pub async fn run(args: CloudArgs, output: Output) -> Result<(), Failure> {
    match args.what {
        What::Sim(args) => sim(args).await,
        What::Show(at) => show(&SimClient::new(at.cloud, Patience::default()), at.cloud, output).await,
        What::Trace(at) => trace(&SimClient::new(at.cloud, Patience::default()), at.cloud).await,
    }
}

async fn sim(args: SimArgs) -> Result<(), Failure> {
    log::to_stderr(log::Format::default());
    let file = args.file.display();
    let text = std::fs::read_to_string(&args.file)
        .map_err(|error| Failure::usage(format!("cannot read {file}: {error}")))?;
    let spec = Spec::parse(&text).map_err(|error| Failure::usage(format!("{file}: {error}")))?;
    let listener = listen::bind(args.listen).await.map_err(|error| Failure::of(&error))?;
    let address = listener.local_addr().map_err(|error| Failure::of(&error))?;
    let mut stop = stop::stop(args.stop).map_err(|error| Failure::of(&error))?;
    print::line(format!("ready: {address}"));
    serve(&spec, args.seed, &args.state, listener, async move { stop::stopped(&mut stop).await })
        .await
        .map_err(|error| Failure::of(&error))
}

fn unreachable(address: SocketAddr, error: &CloudError) -> Failure {
    Failure::new(Kind::Unreachable, format!("cannot read the simulated cloud at {address}: {error}"))
        .hint("start it with `fenix cloud sim`, or name another address with --cloud or FENIX_CLOUD")
}

async fn show(cloud: &SimClient, address: SocketAddr, output: Output) -> Result<(), Failure> {
    let summary = cloud.summary().await.map_err(|error| unreachable(address, &error))?;
    match output {
        Output::Json => print::json(&json!(summary)),
        Output::Text => table(&summary),
    }
    if summary.problems.is_empty() {
        return Ok(());
    }
    let failure = Failure::failed("the cloud's books are wrong");
    Err(summary.problems.iter().fold(failure, |failure, problem| failure.hint(problem)))
}

fn table(summary: &Summary) {
    let heads = ["HOST", "SERVICE", "UP", "BOOTS", "VCPUS", "INSTANCES"].map(ToOwned::to_owned).to_vec();
    let rows = summary.hosts.iter().map(|on| {
        let service = match &on.host.service {
            Service::Enabled => "enabled".to_owned(),
            Service::Disabled { reason } => format!("disabled ({})", plain(reason)),
            Service::Absent => "none".to_owned(),
        };
        let instances: Vec<&str> = on.instances.iter().map(fenix_core::id::InstanceId::as_str).collect();
        vec![
            plain(on.host.id.as_str()),
            service,
            if on.host.up { "yes" } else { "no" }.to_owned(),
            on.boots.to_string(),
            format!("{}/{}", on.used.vcpus, on.host.capacity.vcpus),
            plain(&instances.join(" ")),
        ]
    });
    let all: Vec<Vec<String>> = std::iter::once(heads).chain(rows).collect();
    columns(&all).into_iter().for_each(print::line);
    let list = |name: &str, ids: &[fenix_core::id::InstanceId]| {
        if !ids.is_empty() {
            let ids: Vec<&str> = ids.iter().map(fenix_core::id::InstanceId::as_str).collect();
            print::line(format!("{name}: {}", plain(&ids.join(" "))));
        }
    };
    list("out of service", &summary.out_of_service);
    list("under way", &summary.under_way);
    list("broken", &summary.broken);
}

/// One JSON object per event, in either form of output: it is read by programs.
async fn trace(cloud: &SimClient, address: SocketAddr) -> Result<(), Failure> {
    let mut from = 0;
    loop {
        let page = cloud.trace(from).await.map_err(|error| unreachable(address, &error))?;
        if page.first > from {
            print::note(format!("the {} oldest events are no longer kept", page.first));
        }
        from = page.first + page.events.len() as u64;
        for event in &page.events {
            print::json(
                &json!({ "clock": clock(event.at), "at": event.at, "by": event.by, "what": event.what }),
            );
        }
        if page.events.is_empty() || from >= page.end {
            return Ok(());
        }
    }
}
