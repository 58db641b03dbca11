//! Managers and listeners that lie: each is found out by the clause that it breaks.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use fenix_core::ask::AskKind;
use fenix_core::id::ProjectId;
use serde_json::json;

use super::*;
use crate::vnfm::event::{self, Event};
use crate::wire::cloudevents;

const SECRET: &str = "a secret of these tests";

/// How a manager goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lie {
    None,
    TakesNothing,
    Redirects,
    Silent,
    OtherState,
    OtherUrl,
    NoObject,
    NoActions,
    OneActionOnly,
    ForbiddenAction,
    SaysNo,
    ScalesAgain,
    KnowsDoublesByStateOnly,
    RemovesNothing,
    ChangesItsMind,
    NeverRepeats,
    FallsOverNews,
    Gullible,
    Talkative,
    MovesNothing,
    OtherQuestion,
    NamesNoQuestion,
    StaysSmall,
}

/// A manager that does everything right but for one thing.
struct Manager {
    lie: Lie,
    cloud: Option<SimClient>,
    project: ProjectId,
    client: Client,
    known: Mutex<BTreeSet<String>>,
    answers_at: Arc<Mutex<String>>,
    removed: tokio::sync::Mutex<Vec<fenix_core::inventory::Instance>>,
}

impl Manager {
    fn is(&self, lie: Lie) -> bool {
        self.lie == lie
    }

    /// Works on a question and answers it.
    async fn answer(self: Arc<Self>, event: Event) {
        let state = event.text("state").to_owned();
        let Some(kind) = AskKind::ALL.into_iter().find(|kind| kind.wire() == state) else {
            if self.is(Lie::Talkative) {
                let at = self.answers_at.lock().unwrap().clone();
                self.put(&format!("{at}/v1/maintenance/s/p"), &json!({ "state": "ACK_MAINTENANCE" })).await;
            }
            return;
        };
        let by = if self.is(Lie::KnowsDoublesByStateOnly) { state.clone() } else { event.key() };
        let is_new = self.known.lock().unwrap().insert(by);
        if self.is(Lie::Silent) || (!is_new && self.is(Lie::KnowsDoublesByStateOnly)) {
            return;
        }
        if is_new || self.is(Lie::ScalesAgain) {
            self.work(kind).await;
        }
        let url = event.text("reply_url").to_owned();
        let url = if self.is(Lie::OtherUrl) { url.replace("/maintenance/", "/maintenance/x") } else { url };
        let reply = self.reply(kind, &event, is_new).await;
        let tries = if self.is(Lie::NeverRepeats) { 1 } else { 5 };
        for _ in 0..tries {
            if self.put(&url, &reply).await == 200 {
                break;
            }
        }
    }

    async fn put(&self, url: &str, reply: &Value) -> u16 {
        let response = self.client.put(url).json(reply).send().await;
        response.map_or(0, |response| response.status().as_u16())
    }

    async fn work(&self, kind: AskKind) {
        let Some(cloud) = &self.cloud else { return };
        let mut removed = self.removed.lock().await;
        match kind {
            AskKind::ScaleIn if !self.is(Lie::RemovesNothing) => {
                application::scale_in(cloud, &self.project, 1, &mut removed).await.unwrap();
            }
            AskKind::MaintenanceComplete if !self.is(Lie::StaysSmall) => {
                application::scale_out(cloud, &mut removed).await.unwrap();
            }
            AskKind::Maintenance
            | AskKind::ScaleIn
            | AskKind::PrepareMaintenance
            | AskKind::PlannedMaintenance
            | AskKind::MaintenanceComplete => {}
        }
    }

    async fn reply(&self, kind: AskKind, event: &Event, is_new: bool) -> Value {
        let no = self.is(Lie::SaysNo) || (!is_new && self.is(Lie::ChangesItsMind));
        let state = if self.is(Lie::OtherState) { "LUNCH" } else { kind.wire() };
        let mut reply = json!({ "state": format!("{}_{state}", if no { "NACK" } else { "ACK" }) });
        if !self.is(Lie::NamesNoQuestion) {
            reply["ask_id"] =
                if self.is(Lie::OtherQuestion) { json!(99) } else { event.traits["ask_id"].clone() };
        }
        if self.is(Lie::NoObject) {
            return json!(["ACK"]);
        }
        if kind.wants_actions() && !self.is(Lie::NoActions) {
            let action = match self.lie {
                Lie::ForbiddenAction => "EXPLODE",
                Lie::MovesNothing => "OWN_ACTION",
                _ => "MIGRATE",
            };
            if let Some(url) = event.traits["instance_ids"].as_str() {
                let read: Value = self.client.get(url).send().await.unwrap().json().await.unwrap();
                let skipped = usize::from(self.is(Lie::OneActionOnly));
                let ids = read["instance_ids"].as_array().unwrap().iter().skip(skipped);
                reply["instance_actions"] =
                    ids.map(|id| (id.as_str().unwrap().to_owned(), json!(action))).collect();
            } else {
                reply["instance_action"] = json!(action);
            }
        }
        reply
    }
}

async fn take(State(manager): State<Arc<Manager>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    if let Some(signature) = headers.get(cloudevents::SIGNATURE)
        && !manager.is(Lie::Gullible)
        && !cloudevents::is_signed(&Secret::new(SECRET), &body, signature.to_str().unwrap())
    {
        return StatusCode::UNAUTHORIZED;
    }
    let event = event::read(&serde_json::from_slice(&body).unwrap()).unwrap();
    match manager.lie {
        Lie::TakesNothing => return StatusCode::BAD_REQUEST,
        Lie::Redirects => return StatusCode::FOUND,
        Lie::FallsOverNews if event.text("state") == "HOST_ADDED" => {
            return StatusCode::INTERNAL_SERVER_ERROR;
        }
        _ => {}
    }
    tokio::spawn(manager.answer(event));
    StatusCode::OK
}

/// Plays against a manager or listener that lies so, and returns the clauses that are found broken.
async fn play_against(lie: Lie, shared: bool, setup: Setup) -> (BTreeSet<&'static str>, Report) {
    let own = OwnCloud::start("doctor").await.unwrap();
    let cloud = shared.then(|| SimClient::new(own.address, Patience::default()));
    let answers_at = Arc::new(Mutex::new(String::new()));
    let manager = Manager {
        answers_at: answers_at.clone(),
        lie,
        cloud,
        project: "doctor".into(),
        client: Client::builder()
            .tls_backend_preconfigured(tls::client(&Trust::Nobody).unwrap())
            .no_proxy()
            .build()
            .unwrap(),
        known: Mutex::default(),
        removed: tokio::sync::Mutex::default(),
    };
    let socket = listen::bind(loopback(0)).await.unwrap();
    let url = format!("http://{}/", socket.local_addr().unwrap());
    let (stop, stopped) = watch::channel(false);
    let router = Router::new().route("/", post(take)).with_state(Arc::new(manager));
    let serving = tokio::spawn(listen::serve(socket, router, None, stopped));
    let setup = Setup { url: Some(url), cloud: shared.then_some(own.address), ..setup };
    let report = play(setup, |at| at.clone_into(&mut answers_at.lock().unwrap())).await.unwrap();
    stop.send_replace(true);
    serving.await.unwrap();
    own.end().await;
    (report.findings.iter().map(|found| found.clause).collect(), report)
}

fn setup(format: Format) -> Setup {
    Setup {
        url: None,
        listener: false,
        project: "doctor".into(),
        format,
        window: Duration::from_secs(2),
        listen: loopback(0),
        public_url: None,
        cloud: None,
    }
}

fn signed() -> Format {
    Format::CloudEvents { secret: Secret::new(SECRET) }
}

async fn check(lie: Lie, format: Format, shared: bool, expected: &[&'static str]) {
    // Whoever really scales needs time for it.
    let window = Duration::from_secs(if shared { 10 } else { 2 });
    let (broken, report) = play_against(lie, shared, Setup { window, ..setup(format) }).await;
    assert_eq!(broken, expected.iter().copied().collect(), "{lie:?}: {report:?}");
    let faults = expected.iter().any(|clause| !["M9", "M11"].contains(clause));
    assert_eq!(report.is_good(), !faults && lie != Lie::SaysNo, "{lie:?}: {report:?}");
}

#[tokio::test]
async fn a_manager_that_keeps_the_contract_is_found_good() {
    check(Lie::None, Format::Aodh, false, &[]).await;
    check(Lie::None, signed(), true, &[]).await;
}

#[tokio::test]
async fn a_no_is_no_fault_and_yet_not_everything_was_tried() {
    check(Lie::SaysNo, Format::Aodh, false, &[]).await;
}

#[tokio::test]
async fn each_lie_is_found_by_the_clause_that_it_breaks() {
    let lies: [(Lie, bool, &[&'static str]); 18] = [
        (Lie::TakesNothing, false, &["L1"]),
        (Lie::Redirects, false, &["L1"]),
        (Lie::Silent, false, &["M1"]),
        (Lie::OtherState, false, &["M1", "M3"]),
        (Lie::OtherUrl, false, &["M1", "M2"]),
        (Lie::NoObject, false, &["M1", "M2"]),
        (Lie::NoActions, false, &["M1", "M4"]),
        (Lie::OneActionOnly, false, &["M4"]),
        (Lie::ForbiddenAction, false, &["M1", "M4"]),
        (Lie::ScalesAgain, true, &["L2"]),
        (Lie::KnowsDoublesByStateOnly, false, &["M1"]),
        (Lie::RemovesNothing, true, &["M6"]),
        (Lie::ChangesItsMind, false, &["M8"]),
        (Lie::NeverRepeats, false, &["M8"]),
        (Lie::FallsOverNews, false, &["L3"]),
        (Lie::NamesNoQuestion, false, &["M9"]),
        (Lie::MovesNothing, true, &["M7"]),
        (Lie::OtherQuestion, false, &["M1", "M10"]),
    ];
    let all = lies.map(|(lie, shared, expected)| tokio::spawn(check(lie, Format::Aodh, shared, expected)));
    for one in all {
        one.await.unwrap();
    }
}

#[tokio::test]
async fn what_shows_only_in_another_way_is_found_too() {
    check(Lie::Gullible, signed(), false, &["L6"]).await;
    check(Lie::StaysSmall, Format::Aodh, true, &["M11"]).await;
}

#[tokio::test]
async fn a_listener_has_only_to_listen() {
    for (lie, expected) in [(Lie::None, None), (Lie::Talkative, Some("L5")), (Lie::FallsOverNews, Some("L3"))]
    {
        let setup = Setup { listener: true, ..setup(Format::Aodh) };
        let (broken, report) = play_against(lie, false, setup).await;
        assert_eq!(broken, expected.into_iter().collect(), "{lie:?}: {report:?}");
    }
}

#[tokio::test]
async fn nobody_there_is_told_from_somebody_who_lies() {
    let socket = listen::bind(loopback(0)).await.unwrap();
    let url = format!("http://{}/", socket.local_addr().unwrap());
    drop(socket);
    let failure = play(Setup { url: Some(url), ..setup(Format::Aodh) }, |_| {}).await.unwrap_err();
    assert_eq!(failure.kind, Kind::Unreachable);
}
