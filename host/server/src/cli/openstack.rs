//! `fenix openstack`: the place of a server in OpenStack's catalog, and whether all that it needs there is in place.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use clap::{Args, Subcommand};
use fenix_cloud::Cloud;
use fenix_cloud::openstack::{EventAlarm, OpenStack};
use fenix_core::id::{MessageId, SubscriptionId};
use fenix_core::inventory::{HostKind, Resources};
use fenix_core::message::{Content, Format, Message, Subscription};
use fenix_core::session::Phase;
use fenix_core::time::Time;
use fenix_engine::event::Envelope;
use fenix_engine::ports::{CloudCall, CloudReply};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::exit::{Failure, Kind};
use super::{Output, print};
use crate::bus::{BUS, Bus};
use crate::config::{Config, ConfigError, Settings, read_file};
use crate::infrastructure::Driver;
use crate::listen;
use crate::wire::oslo;
use crate::wire::payload::Base;

/// Time in which a notification must have come back as an alarm: Aodh may not know a new alarm for a minute.
const BACK_WITHIN: Duration = Duration::from_secs(75);

/// Pause between two notifications meanwhile.
const SEND_EVERY: Duration = Duration::from_secs(3);

/// What managers wait for.
const SCHEDULED: &str = "maintenance.scheduled";

/// What nobody else's alarm is harmed by: how far a session is that there is none of.
const PROBE: &str = "maintenance.session";

/// `fenix openstack`
#[derive(Debug, Args)]
pub struct OpenStackArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Have the catalog say where the server is: service type `maintenance`, as managers look for it
    Register(Box<ConfigArgs>),
    /// Try everything that the server needs of OpenStack, to the alarm that a notification becomes, and say what is missing
    Check(Box<ConfigArgs>),
}

/// What `fenix serve` would read.
#[derive(Debug, Args)]
struct ConfigArgs {
    /// Configuration file of the server [default: fenix.toml, if it is there]
    #[arg(long, value_name = "FILE", env = "FENIX_CONFIG")]
    config: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
}

/// Runs the command.
///
/// # Errors
/// The configuration cannot be used, OpenStack refuses, or something is missing.
pub async fn run(args: OpenStackArgs, output: Output) -> Result<(), Failure> {
    match args.what {
        What::Register(args) => register(*args, output).await,
        What::Check(args) => check(*args, output).await,
    }
}

/// The configuration, and its cloud.
fn open(args: ConfigArgs) -> Result<(Config, Arc<OpenStack>), Failure> {
    let unusable = |error: ConfigError| Failure { kind: Kind::Usage, ..Failure::of(&error) };
    let file = read_file(args.config.as_deref()).map_err(unusable)?;
    let config = args.settings.or(file).resolve().map_err(unusable)?;
    if config.infrastructure.driver != Driver::OpenStack {
        let hint = "set `driver = \"openstack\"` in the configuration, or give --driver openstack";
        return Err(Failure::usage("the server's infrastructure is not OpenStack").hint(hint));
    }
    let connected = config.infrastructure.connect();
    let connected = connected.map_err(|error| Failure { kind: Kind::Usage, ..Failure::of(&error) })?;
    let openstack = connected.openstack.ok_or_else(|| Failure::failed("the driver is no OpenStack"))?;
    Ok((config, openstack))
}

/// Where managers reach the server, as it stands in the catalog (contract row 16).
fn address(config: &Config) -> String {
    format!("{}/v1", config.public_url.clone().unwrap_or_else(|| config.own_url()).trim_end_matches('/'))
}

async fn register(args: ConfigArgs, output: Output) -> Result<(), Failure> {
    let (config, openstack) = open(args)?;
    let url = address(&config);
    let changed = openstack.register(&url).await.map_err(|why| {
        Failure::failed(format!("the catalog cannot be changed: {why}"))
            .hint("the account needs the role admin; what was done already is not done twice")
    })?;
    match (output, changed.is_empty()) {
        (Output::Json, _) => print::json(&json!({"url": url, "changed": changed})),
        (Output::Text, true) => print::line(format!("the catalog has {url} already")),
        (Output::Text, false) => changed.iter().for_each(print::line),
    }
    Ok(())
}

/// One thing that must be in place.
struct Finding {
    name: &'static str,
    /// What was seen, or what is missing and what to do about it.
    result: Result<String, String>,
}

async fn check(args: ConfigArgs, output: Output) -> Result<(), Failure> {
    let (config, openstack) = open(args)?;
    let say = |finding: &Finding| {
        if output == Output::Text {
            let (word, text) = match &finding.result {
                Ok(text) => ("ok", text),
                Err(text) => ("MISSING", text),
            };
            print::line(format!("{word:8} {:10} {text}", finding.name));
        }
    };
    let mut findings = Vec::new();
    let mut note = |name, result| {
        let finding = Finding { name, result };
        say(&finding);
        findings.push(finding);
    };
    note("account", account(&openstack).await);
    let (hosts, capacity) = infrastructure(&openstack).await;
    note("nova", hosts);
    note("placement", capacity);
    note("catalog", catalog(&openstack, &address(&config)).await);
    note("masakari", masakari(&openstack).await);
    let bus = Bus::new(&config.bus).map_err(|error| Failure { kind: Kind::Usage, ..Failure::of(&error) })?;
    match bus {
        None => {
            note("bus", Err("no broker is configured: `bus.brokers`; managers need subscriptions".to_owned()))
        }
        Some(bus) => {
            note(
                "bus",
                bus.check().await.map(|()| "a broker is reached, and takes notifications".to_owned()),
            );
            note("alarms", alarms(&openstack).await);
            note("way back", way_back(&openstack, &bus, &config).await);
        }
    }
    if output == Output::Json {
        let row = |finding: &Finding| match &finding.result {
            Ok(text) => json!({"check": finding.name, "ok": true, "seen": text}),
            Err(text) => json!({"check": finding.name, "ok": false, "missing": text}),
        };
        print::json(&json!({"checks": findings.iter().map(row).collect::<Vec<Value>>()}));
    }
    match findings.iter().filter(|finding| finding.result.is_err()).count() {
        0 => Ok(()),
        1 => Err(Failure::failed("one thing is missing")),
        count => Err(Failure::failed(format!("{count} things are missing"))),
    }
}

async fn account(openstack: &OpenStack) -> Result<String, String> {
    let own = openstack.own().await?;
    let roles = own.roles.join(", ");
    if own.roles.iter().any(|role| role == "admin") {
        return Ok(format!("{} with the roles {roles}", own.name));
    }
    Err(format!(
        "{} has the roles {roles}; it needs admin, to see and move the servers of all projects",
        own.name
    ))
}

/// What Nova tells, and whether Placement knows what every compute offers.
async fn infrastructure(openstack: &OpenStack) -> (Result<String, String>, Result<String, String>) {
    let (hosts, instances) = match openstack.call(&CloudCall::ReadAll).await {
        Ok(CloudReply::All { hosts, instances, groups: _ }) => (hosts, instances),
        Ok(other) => return (Err(format!("it answered {other:?}")), Err("not looked at".to_owned())),
        Err(error) => return (Err(error.to_string()), Err("not looked at".to_owned())),
    };
    let computes = hosts.iter().filter(|host| host.kind == HostKind::Compute);
    let down: Vec<&str> = hosts.iter().filter(|host| !host.up).map(|host| host.id.as_str()).collect();
    let seen = format!(
        "{} computes, {} other hosts, {} servers",
        computes.clone().count(),
        hosts.len() - computes.clone().count(),
        instances.len()
    );
    let nova = match (computes.clone().next(), down.is_empty()) {
        (None, _) => Err("there is no nova-compute".to_owned()),
        (Some(_), true) => Ok(seen),
        (Some(_), false) => Err(format!("{seen}; not up: {}", down.join(", "))),
    };
    let empty = computes.filter(|host| host.capacity.vcpus == 0 || host.capacity == Resources::default());
    let empty: Vec<&str> = empty.map(|host| host.id.as_str()).collect();
    let placement = match empty.is_empty() {
        true => Ok("it knows what every compute offers".to_owned()),
        false => Err(format!("it knows of nothing that these offer: {}", empty.join(", "))),
    };
    (nova, placement)
}

async fn catalog(openstack: &OpenStack, wanted: &str) -> Result<String, String> {
    match openstack.registered().await? {
        Some(url) if url == wanted => Ok(format!("managers find the server at {url}")),
        Some(url) => Err(format!("it says {url} instead of {wanted}; `fenix openstack register` changes it")),
        None => Err("it has no service of type maintenance; `fenix openstack register` makes it".to_owned()),
    }
}

async fn masakari(openstack: &OpenStack) -> Result<String, String> {
    let watched = openstack.watched().await?;
    let alone: Vec<&str> =
        watched.iter().filter(|(_, alone)| *alone).map(|(host, _)| host.as_str()).collect();
    match (watched.len(), alone.is_empty()) {
        (0, _) => Ok("it watches no host".to_owned()),
        (count, true) => Ok(format!("it watches {count} hosts")),
        (count, false) => Ok(format!("it watches {count} hosts, but leaves alone: {}", alone.join(", "))),
    }
}

async fn alarms(openstack: &OpenStack) -> Result<String, String> {
    let all = openstack.event_alarms().await?;
    let wants = |alarm: &&EventAlarm| {
        let subscription = subscription(&alarm.project, &alarm.event_type);
        subscription.wants(SCHEDULED)
    };
    let wishes: Vec<&EventAlarm> = all.iter().filter(wants).collect();
    let once: Vec<&str> =
        wishes.iter().filter(|alarm| !alarm.repeats).map(|alarm| alarm.project.as_str()).collect();
    match once.is_empty() {
        true => Ok(format!("event alarms for {SCHEDULED}: {}", wishes.len())),
        false => Err(format!(
            "alarms that fire only once, so that their managers hear of the first event ever and no other: those of {}; \
             `repeat_actions` must be true",
            once.join(", ")
        )),
    }
}

/// Sends notifications until an event alarm made for it brings one back.
async fn way_back(openstack: &OpenStack, bus: &Bus, config: &Config) -> Result<String, String> {
    let base = config.public_url.clone().unwrap_or_else(|| config.own_url());
    let base = Base::new(&base).map_err(|error| error.to_string())?;
    let system = |error: std::io::Error| format!("no alarm can be received: {error}");
    let local = std::net::SocketAddr::new(config.listen.ip(), 0);
    let socket = listen::bind_anywhere(local).await.map_err(|error| error.to_string())?;
    let port = socket.local_addr().map_err(system)?.port();
    let authority = base.as_str().split_once("://").map_or("", |(_, rest)| rest);
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    let url = format!("http://{host}:{port}/");
    let (heard, mut hears) = watch::channel(false);
    let (stop, stopped) = watch::channel(false);
    let take = move || async move {
        heard.send_replace(true);
    };
    let serving = tokio::spawn(listen::serve(socket, Router::new().route("/", post(take)), None, stopped));
    let own = openstack.own_project().await?;
    let alarm = openstack.create_alarm(PROBE, &url).await?;
    let begun = tokio::time::Instant::now();
    let publishing = async {
        for number in 0.. {
            bus.publish(&oslo::notification(&base, &probe(&own, number))).await?;
            if tokio::time::timeout(SEND_EVERY, hears.wait_for(|heard| *heard)).await.is_ok() {
                break;
            }
        }
        Ok::<_, String>(())
    };
    let back = tokio::time::timeout(BACK_WITHIN, publishing).await;
    // Whatever came of it, nothing of it is to stay.
    let removed = openstack.remove_alarm(&alarm).await;
    stop.send_replace(true);
    drop(serving.await);
    removed.map_err(|why| format!("the alarm {alarm} of this check is still there: {why}"))?;
    match back {
        Ok(result) => result
            .map(|()| format!("a notification came back as an alarm after {} s", begun.elapsed().as_secs())),
        Err(_) => Err(format!(
            "no notification came back as an alarm at {url} within {} s: look whether Ceilometer's \
             event_definitions.yaml has the maintenance.* events with project_id, its event_pipeline.yaml publishes to \
             notifier://?topic=alarm.all, and Aodh may reach that address",
            BACK_WITHIN.as_secs()
        )),
    }
}

fn subscription(project: &str, event_type: &str) -> Subscription {
    Subscription {
        id: SubscriptionId::from("check"),
        project: project.into(),
        event_type: event_type.to_owned(),
        url: BUS.to_owned(),
        format: Format::Aodh,
    }
}

/// A message about no session; each with another number has another id.
fn probe(project: &str, number: u32) -> Envelope {
    let now = Time(u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or(0));
    Envelope {
        session: uuid::Uuid::new_v4().to_string().into(),
        message: Message {
            id: MessageId(number),
            to: SubscriptionId::from("check"),
            content: Content::Session { state: Phase::MaintenanceDone, percent: 100 },
            queued_at: now,
            not_before: now,
            valid_until: now,
        },
        subscription: subscription(project, PROBE),
        ask: None,
        reply_at: None,
        actions_at: None,
        metadata: String::new(),
    }
}
