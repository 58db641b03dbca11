//! `fenix conformance`: a whole session played against somebody's manager or listener, without a server or a cloud.
//!
//! What is sent is what the server would send, and some of what may happen to it on the way: doubles, another round,
//! an answer that is not taken, fields and states of a later version, a forged signature. What comes back is held
//! against docs/MESSAGES.md. A manager that uses the simulated cloud is also held to what it says it has done.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use fenix_cloud::sim::{Patience, SimClient, Spec, serve};
use fenix_core::id::SessionId;
use fenix_core::message::{Format, Secret, Subscription};
use reqwest::{Client, Url};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::sync::watch;
use uuid::Uuid;

use crate::cli::exit::{Failure, Kind};
use crate::cli::{Output, print};
use crate::config::loopback;
use crate::tls::{self, Trust};
use crate::vnfm::application;
use crate::wire::payload::Base;
use crate::{listen, stop};

mod counter;
mod letter;
mod listener;
mod manager;
pub mod report;
mod stage;
#[cfg(test)]
mod tests;

use counter::Counter;
use manager::{Play, Stop};
use report::Report;
use stage::Stage;

/// Time that a receiver may take for one message (clause L1).
const TAKEN_WITHIN: Duration = Duration::from_secs(60);

/// Time to connect, and time in which somebody has to subscribe.
const APPEARS_WITHIN: Duration = Duration::from_secs(60);

/// Compute hosts of the simulated cloud: the fewest on which one can be emptied.
const COMPUTES: u32 = 3;

/// In what form messages are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// As Aodh sends an event alarm
    Aodh,
    /// As signed CloudEvents
    Cloudevents,
}

/// `fenix conformance`
#[derive(Debug, Args)]
pub struct ConformanceArgs {
    /// Where it takes messages; without it, whoever subscribes here first is played against
    url: Option<String>,
    /// It is a listener, which hears of hosts and progress, and not a manager
    #[arg(long)]
    listener: bool,
    /// The project whose manager it is
    #[arg(long, default_value = "doctor")]
    project: String,
    /// In what form messages are sent; who subscribes says that itself
    #[arg(long, value_enum, default_value_t = Form::Aodh)]
    format: Form,
    /// File with the secret that messages are signed with; its line end does not count
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// Seconds for each answer
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=3600))]
    window: u64,
    /// Address to listen on for answers; this machine only
    #[arg(long, value_name = "ADDRESS", default_value_t = loopback(0))]
    listen: SocketAddr,
    /// Address under which it reaches that, for the URLs in messages [default: http://LISTEN]
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// Address of the simulated cloud that it uses too: then what it does is looked at as well
    #[arg(long, value_name = "ADDRESS", env = "FENIX_CLOUD")]
    cloud: Option<SocketAddr>,
    #[command(flatten)]
    stop: stop::StopArgs,
}

/// Who is played against, and how.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Where it takes messages; `None` = whoever subscribes first.
    pub url: Option<String>,
    /// True if it is a listener.
    pub listener: bool,
    /// The project whose manager it is.
    pub project: String,
    /// In what form messages are sent, if it does not subscribe.
    pub format: Format,
    /// Time for each answer.
    pub window: Duration,
    /// Where answers arrive.
    pub listen: SocketAddr,
    /// The address in messages; `None` = the one listened on.
    pub public_url: Option<String>,
    /// The simulated cloud that it uses, if it does.
    pub cloud: Option<SocketAddr>,
}

/// Plays, prints what was found, and fails if a clause is broken.
///
/// # Errors
/// Something that MUST be so is not; it cannot be reached; what was asked for makes no sense.
pub async fn run(args: ConformanceArgs, output: Output) -> Result<(), Failure> {
    let mut stop = stop::stop(args.stop).map_err(|error| Failure::of(&error))?;
    let setup = Setup {
        format: format(args.format, args.secret_file.as_deref())?,
        url: args.url,
        listener: args.listener,
        project: args.project,
        window: Duration::from_secs(args.window),
        listen: args.listen,
        public_url: args.public_url,
        cloud: args.cloud,
    };
    let ready = |url: &str| match output {
        Output::Text => print::line(format!("ready: {url}")),
        Output::Json => print::note(format!("ready: {url}")),
    };
    let report = tokio::select! {
        report = play(setup, ready) => report?,
        () = stop::stopped(&mut stop) => return Err(Failure::new(Kind::Interrupted, "interrupted")),
    };
    report.print(output);
    if report.is_good() {
        return Ok(());
    }
    let is_broken = report.findings.iter().any(report::Finding::is_fault);
    let said = if is_broken { "it breaks the contract" } else { "not everything could be tried" };
    Err(Failure::failed(said)
        .hint("docs/MESSAGES.md has the clauses, docs/howto/check-your-manager.md what to do"))
}

fn format(form: Form, file: Option<&std::path::Path>) -> Result<Format, Failure> {
    match (form, file) {
        (Form::Aodh, _) => Ok(Format::Aodh),
        (Form::Cloudevents, None) => Err(Failure::usage("--format cloudevents needs --secret-file")),
        (Form::Cloudevents, Some(file)) => {
            let text = std::fs::read_to_string(file).map_err(|error| {
                Failure::usage(format!("cannot read the secret from {}: {error}", file.display()))
            })?;
            Ok(Format::CloudEvents { secret: Secret::new(text.trim_end_matches(['\r', '\n'])) })
        }
    }
}

/// Plays a session, and returns what was found. `ready` is called with the address for answers.
///
/// # Errors
/// Nobody is there, or what was asked for makes no sense.
pub async fn play(setup: Setup, ready: impl FnOnce(&str)) -> Result<Report, Failure> {
    let socket = listen::bind(setup.listen).await.map_err(|error| Failure::of(&error))?;
    let address = socket.local_addr().map_err(|error| Failure::of(&error))?;
    let base = Base::new(&setup.public_url.clone().unwrap_or(format!("http://{address}")))
        .map_err(|error| Failure::usage(error.to_string()))?;
    let (counter, heard) = Counter::open();
    let (stop, stopped) = watch::channel(false);
    let serving = tokio::spawn(listen::serve(socket, counter.router(), None, stopped));
    ready(base.as_str());
    let to = receiver(&setup, &counter).await?;
    reach(&to.url).await?;
    let trust = if to.url.starts_with("https:") { Trust::System } else { Trust::Nobody };
    let client = Client::builder()
        .tls_backend_preconfigured(tls::client(&trust).map_err(|error| Failure::of(&error))?)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(TAKEN_WITHIN)
        .build()
        .map_err(|error| Failure::of(&error))?;
    let mut stage = Stage {
        client,
        base,
        counter,
        heard,
        to,
        session: SessionId::from(Uuid::new_v4().to_string()),
        window: setup.window,
        report: Report::default(),
        next_message: 0,
        next_ask: 0,
        before: Vec::new(),
    };
    if setup.listener {
        listener::run(&mut stage).await;
    } else {
        against_manager(&mut stage, setup.cloud).await?;
    }
    stop.send_replace(true);
    serving.await.map_err(|error| Failure::of(&error))?;
    Ok(stage.report)
}

/// To whom messages go: as it was named, or as it subscribes.
async fn receiver(setup: &Setup, counter: &Counter) -> Result<Subscription, Failure> {
    let event_type = if setup.listener { "maintenance.*" } else { "maintenance.scheduled" };
    let order = |url: &str, project: &str, event_type: &str, format| Subscription {
        id: "conformance".into(),
        project: project.into(),
        event_type: event_type.to_owned(),
        url: url.to_owned(),
        format,
    };
    if let Some(url) = &setup.url {
        return Ok(order(url, &setup.project, event_type, setup.format.clone()));
    }
    let body = tokio::time::timeout(APPEARS_WITHIN, counter.subscription()).await.map_err(|_elapsed| {
        let secs = APPEARS_WITHIN.as_secs();
        Failure::new(Kind::Unreachable, format!("nobody has subscribed within {secs} s"))
    })?;
    let text = |key: &str| body[key].as_str();
    let url = text("url").ok_or_else(|| Failure::failed("it subscribed without a `url`"))?;
    let format = match (text("format"), &body["secret"]) {
        (Some("cloudevents"), Value::String(secret)) => Format::CloudEvents { secret: Secret::new(secret) },
        _ => Format::Aodh,
    };
    let project = text("project_id").unwrap_or(&setup.project);
    Ok(order(url, project, text("event_type").unwrap_or(event_type), format))
}

/// Makes sure that somebody is there at all.
async fn reach(url: &str) -> Result<(), Failure> {
    let parsed = Url::parse(url).map_err(|error| Failure::usage(format!("{url:?} is no URL: {error}")))?;
    if !["http", "https"].contains(&parsed.scheme()) {
        return Err(Failure::usage(format!("{url:?} must begin with http:// or https://")));
    }
    let host = parsed.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port = parsed.port_or_known_default().unwrap_or(80);
    let connected = tokio::time::timeout(APPEARS_WITHIN, TcpStream::connect((host.as_str(), port))).await;
    let why = match connected {
        Ok(Ok(_stream)) => return Ok(()),
        Ok(Err(error)) => error.to_string(),
        Err(_elapsed) => format!("no connection within {} s", APPEARS_WITHIN.as_secs()),
    };
    Err(Failure::new(Kind::Unreachable, format!("cannot reach {url}: {why}")))
}

async fn against_manager(stage: &mut Stage, shared: Option<SocketAddr>) -> Result<(), Failure> {
    let own = match shared {
        Some(_) => None,
        None => Some(OwnCloud::start(stage.to.project.as_str()).await?),
    };
    let address = shared.or(own.as_ref().map(|own| own.address)).unwrap_or(loopback(0));
    let cloud = SimClient::new(address, Patience::default());
    let mut play =
        Play { stage: &mut *stage, cloud: cloud.clone(), shared: shared.is_some(), removed: Vec::new() };
    let result = play.run().await;
    let mut removed = play.removed;
    let given_back = application::scale_out(&cloud, &mut removed).await;
    if let Some(own) = own {
        own.end().await;
    }
    match result {
        Ok(()) => given_back.map_err(Failure::failed),
        Err(Stop::Early(why)) => {
            stage.report.ended_early = Some(why);
            Ok(())
        }
        Err(Stop::Cloud(why)) => Err(Failure::new(Kind::Unreachable, format!("the simulated cloud: {why}"))),
    }
}

/// A simulated cloud in this process.
struct OwnCloud {
    address: SocketAddr,
    file: PathBuf,
    stop: watch::Sender<bool>,
    serving: tokio::task::JoinHandle<()>,
}

impl OwnCloud {
    /// Starts one with an application of that project.
    async fn start(project: &str) -> Result<OwnCloud, Failure> {
        let socket = listen::bind(loopback(0)).await.map_err(|error| Failure::of(&error))?;
        let address = socket.local_addr().map_err(|error| Failure::of(&error))?;
        let mut spec = Spec::doctor(COMPUTES);
        spec.project.iter_mut().for_each(|known| known.id = project.into());
        spec.group.iter_mut().for_each(|group| group.project = project.into());
        spec.crowd.iter_mut().for_each(|crowd| crowd.project = project.into());
        let file = std::env::temp_dir().join(format!("fenix-conformance-{}", Uuid::new_v4()));
        let (stop, mut stopped) = watch::channel(false);
        let state = file.clone();
        let serving = tokio::spawn(async move {
            let until = async move { stop::stopped(&mut stopped).await };
            if let Err(error) = serve(&spec, 1, &state, socket, until).await {
                tracing::error!(%error, "the simulated cloud ended");
            }
        });
        Ok(OwnCloud { address, file, stop, serving })
    }

    async fn end(self) {
        self.stop.send_replace(true);
        drop(self.serving.await);
        if let Err(error) = std::fs::remove_file(&self.file) {
            print::note(format!("cannot remove {}: {error}", self.file.display()));
        }
    }
}
