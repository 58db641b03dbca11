//! `fenix vnfm`: an application manager to try things out with.
//!
//! It meets Fenix over HTTP only, like any other manager: it registers, unless it has an event alarm in Aodh, gets alarms,
//! reads which instances they are about, and answers. Its application it scales and moves through the simulated cloud. It can
//! also be unhelpful.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use clap::{Args, ValueEnum};
use fenix_cloud::sim::{Patience, SimClient};
use fenix_core::ask::MoveHow;
use fenix_core::id::ProjectId;
use fenix_core::message::Secret;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use crate::api::body::{BODY_WITHIN, MAX_BODY, bytes};
use crate::api::error::ApiError;
use crate::cli::client::{At, Fenix};
use crate::cli::exit::{Failure, Kind};
use crate::cli::print;
use crate::config::{address, loopback};
use crate::wire::cloudevents;
use crate::{listen, stop};

pub(crate) mod application;
pub mod event;
pub mod literal;
mod manager;

use manager::Manager;

/// How the manager behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Agrees to everything, and does it
    Ack,
    /// Says no to everything
    Nack,
    /// Takes events and never answers
    Silent,
    /// Agrees after --delay
    Slow,
    /// Moves its instances by itself
    OwnAction,
    /// Agrees to everything, and does nothing
    Lying,
}

/// How instances shall be moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Move {
    /// Stop, move, start
    Migrate,
    /// Without stopping
    LiveMigrate,
}

/// In what form it wants its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// As Aodh sends an event alarm
    Aodh,
    /// As signed CloudEvents
    Cloudevents,
}

/// `fenix vnfm`
#[derive(Debug, Args)]
pub struct VnfmArgs {
    /// The project whose application it manages
    #[arg(long)]
    project: String,
    /// How it behaves
    #[arg(long, value_enum, default_value_t = Mode::Ack)]
    mode: Mode,
    /// How its instances shall be moved
    #[arg(long = "move", value_enum, default_value_t = Move::Migrate)]
    how: Move,
    /// In what form it wants its events
    #[arg(long, value_enum, default_value_t = Form::Aodh)]
    format: Form,
    /// Subscribe to nothing: its project's event alarm in Aodh already points to it
    #[arg(long, conflicts_with = "format")]
    no_subscription: bool,
    /// Seconds before a slow manager answers
    #[arg(long, default_value_t = 30)]
    delay: u64,
    /// Instances that it removes when it is asked to scale in
    #[arg(long, default_value_t = 2)]
    scale: usize,
    #[command(flatten)]
    at: At,
    /// Address of the simulated cloud, to scale and to move by itself; without it, it only says that it did
    #[arg(long, value_name = "ADDRESS", env = "FENIX_CLOUD", value_parser = address)]
    cloud: Option<SocketAddr>,
    /// Address to listen on; this machine only
    #[arg(long, value_name = "ADDRESS", default_value_t = loopback(0), value_parser = address)]
    listen: SocketAddr,
    /// File to which every event is appended, a JSON object per line
    #[arg(long, value_name = "FILE")]
    inbox: Option<PathBuf>,
    #[command(flatten)]
    stop: stop::StopArgs,
}

/// Events that may wait for the manager; further ones are answered 429 and come again.
const MAX_WAITING: usize = 64;

/// How long the server may take to appear: it may have been started at the same time.
const APPEARS_WITHIN: Duration = Duration::from_secs(20);

/// Pause between two attempts to register.
const REGISTER_PAUSE: Duration = Duration::from_millis(200);

/// Runs a manager until it is told to stop.
///
/// # Errors
/// It cannot listen, or cannot register.
pub async fn run(args: VnfmArgs) -> Result<(), Failure> {
    let fenix = args.at.connect()?;
    let mut stop = stop::stop(args.stop).map_err(|error| Failure::of(&error))?;
    let listener = listen::bind(args.listen).await.map_err(|error| Failure::of(&error))?;
    let address = listener.local_addr().map_err(|error| Failure::of(&error))?;
    let (sender, inbox) = mpsc::channel(MAX_WAITING);
    // Drawn anew at each start: it registers again, too.
    let secret = match args.format {
        Form::Aodh => None,
        Form::Cloudevents => Some(Secret::new(Uuid::new_v4().to_string())),
    };
    let desk = Desk { sender, secret: secret.clone() };
    let router = Router::new().route("/maintenance", post(take)).with_state(Arc::new(desk));
    let serving = tokio::spawn(listen::serve(listener, router, None, stop.clone()));
    let url = format!("http://{address}/maintenance");
    let registered =
        args.no_subscription || register(&fenix, &args.project, &url, secret.as_ref(), &mut stop).await?;
    if registered {
        print::line(format!("ready: {url}"));
        let manager = Manager {
            fenix,
            cloud: args.cloud.map(|address| SimClient::new(address, Patience::default())),
            project: ProjectId::from(&args.project),
            mode: args.mode,
            how: match args.how {
                Move::Migrate => MoveHow::Migrate,
                Move::LiveMigrate => MoveHow::LiveMigrate,
            },
            delay: Duration::from_secs(args.delay),
            scale: args.scale,
            inbox: args.inbox,
            taken_away: Vec::new(),
            handled: std::collections::VecDeque::new(),
        };
        tokio::select! {
            () = manager.work(inbox) => {}
            () = stop::stopped(&mut stop) => {}
        }
    }
    serving.await.map_err(|error| Failure::of(&error))
}

/// Registers for the project's events; false if it is told to stop meanwhile.
async fn register(
    fenix: &Fenix,
    project: &str,
    url: &str,
    secret: Option<&Secret>,
    stop: &mut watch::Receiver<bool>,
) -> Result<bool, Failure> {
    let mut body = json!({ "project_id": project, "event_type": "maintenance.scheduled", "url": url });
    if let Some(secret) = secret {
        body["format"] = json!("cloudevents");
        body["secret"] = json!(secret.expose());
    }
    let path = format!("/v1/subscriptions/vnfm-{project}");
    let begun = tokio::time::Instant::now();
    let mut told = false;
    loop {
        match fenix.call(Method::PUT, &path, Some(&body)).await {
            Ok(_) => return Ok(true),
            Err(failure) if failure.kind == Kind::Unreachable && begun.elapsed() < APPEARS_WITHIN => {
                if !told {
                    let secs = APPEARS_WITHIN.as_secs();
                    print::note(format!("{}; waiting for it for {secs} s", failure.message));
                }
                told = true;
            }
            Err(failure) => return Err(failure),
        }
        tokio::select! {
            () = tokio::time::sleep(REGISTER_PAUSE) => {}
            () = stop::stopped(stop) => return Ok(false),
        }
    }
}

/// Where events come in.
struct Desk {
    sender: mpsc::Sender<event::Event>,
    /// What they are signed with, if they are.
    secret: Option<Secret>,
}

/// Takes an event; the work on it comes after the answer, since it may take longer than anybody waits for one.
async fn take(
    State(desk): State<Arc<Desk>>,
    headers: HeaderMap,
    body: Body,
) -> Result<&'static str, ApiError> {
    let body = bytes(body, MAX_BODY, BODY_WITHIN).await?;
    if let Some(secret) = &desk.secret {
        let signature = headers.get(cloudevents::SIGNATURE).and_then(|value| value.to_str().ok());
        if !signature.is_some_and(|signature| cloudevents::is_signed(secret, &body, signature)) {
            return Err(ApiError::new(StatusCode::UNAUTHORIZED, "the signature does not fit the body"));
        }
    }
    let body: Value = serde_json::from_slice(&body)
        .map_err(|error| ApiError::new(StatusCode::BAD_REQUEST, format!("the body is no JSON: {error}")))?;
    let event = event::read(&body).map_err(|error| ApiError::invalid(error.to_string()))?;
    desk.sender.try_send(event).map_err(|_full| {
        ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too many events are waiting; send it again")
    })?;
    Ok("OK")
}
