//! The simulated cloud over a real socket: as a driver, with bad company, and through the end of its process.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fenix_cloud::Cloud;
use fenix_cloud::conformance::{self, Site};
use fenix_cloud::sim::spec::{Span, Times, Wire};
use fenix_cloud::sim::trace::{Actor, Happening};
use fenix_cloud::sim::{Act, MAX_REQUEST, Patience, SimClient, Spec, serve};
use fenix_core::inventory::InstanceState;
use fenix_engine::ports::{CloudCall, CloudError, CloudReply};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A cloud in this process; it ends with the test.
struct Served {
    address: SocketAddr,
    _directory: tempfile::TempDir,
    serving: JoinHandle<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Served {
    async fn new(spec: Spec) -> Served {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("state");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move {
            serve(&spec, 1, &state, listener, std::future::pending()).await.unwrap();
        });
        Served { address, _directory: directory, serving }
    }

    fn client(&self) -> SimClient {
        SimClient::new(self.address, Patience::default())
    }
}

/// Three hosts with one free place each, everything within milliseconds.
fn roomy() -> Spec {
    let fast = Span::Between { min: 30, max: 60 };
    let toml = r#"
project = [{ id = "p" }]
rack = [{ count = 3, name = "h{}", capacity = { vcpus = 2, memory_mb = 2, disk_gb = 2 } }]
crowd = [{ count = 3, name = "i{}", project = "p", resources = { vcpus = 1, memory_mb = 1, disk_gb = 1 } }]
"#;
    let mut spec = Spec::parse(toml).unwrap();
    spec.times = Times {
        cold_ms: fast,
        live_ms: fast,
        evacuate_ms: fast,
        resize_ms: fast,
        boot_ms: fast,
        reboot_ms: fast,
    };
    spec
}

fn reboot(host: &str) -> CloudCall {
    CloudCall::Reboot { host: host.into(), boot: None }
}

/// Sends one line as it is, and returns the next line that comes back, if one does.
async fn say(stream: &mut BufReader<TcpStream>, line: &[u8]) -> Option<String> {
    stream.get_mut().write_all(line).await.unwrap();
    let mut answer = String::new();
    match stream.read_line(&mut answer).await {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(answer),
    }
}

#[tokio::test]
async fn the_driver_conforms() {
    let site = Site {
        cold: true,
        live: true,
        reboot: true,
        lifecycle: true,
        within: Duration::from_secs(20),
        look_every: Duration::from_millis(5),
    };
    let served = Served::new(roomy()).await;
    let failures = conformance::run(&site, async || served.client()).await;
    assert_eq!(failures, []);
}

#[tokio::test]
async fn the_conformance_suite_finds_a_cloud_that_is_not_there() {
    let site = Site {
        cold: true,
        live: false,
        reboot: false,
        lifecycle: false,
        within: Duration::from_millis(50),
        look_every: Duration::from_millis(5),
    };
    // No port that a server of another test might be given.
    let closed = "127.0.0.1:9".parse().unwrap();
    let failures = conformance::run(&site, async || SimClient::new(closed, Patience::default())).await;
    assert_eq!(failures.len(), 7);
    assert!(failures[0].why.contains("no connection to the simulated cloud"), "{}", failures[0]);
}

#[tokio::test]
async fn many_calls_share_a_connection_and_each_gets_its_own_answer() {
    let served = Served::new(roomy()).await;
    let client = served.client();
    let calls = (0..2_000).map(|number| {
        let client = client.clone();
        tokio::spawn(async move {
            let instance = format!("i{}", number % 3 + 1);
            match client.call(&CloudCall::ReadInstance { instance: instance.as_str().into() }).await {
                Ok(CloudReply::Instance(Some(seen))) => assert_eq!(seen.id.as_str(), instance),
                other => panic!("{other:?}"),
            }
        })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap();
    }
}

#[tokio::test]
async fn the_trace_tells_who_did_what() {
    let served = Served::new(roomy()).await;
    let client = served.client();
    let start = client.trace(0).await.unwrap();
    assert_eq!((start.first, start.end), (0, start.events.len() as u64));
    assert!(start.events.iter().all(|event| event.by == Actor::Setup));
    client.call(&reboot("h1")).await.unwrap();
    client.third_party(Act::Crash { host: "h2".into() }).await.unwrap();
    let refused = client.third_party(Act::Crash { host: "h2".into() }).await;
    assert_eq!(refused, Err(CloudError::Refused("host h2 is down already".into())));
    let rest = client.trace(start.end).await.unwrap();
    let did = |by, what: &Happening| rest.events.iter().any(|e| e.by == by && e.what == *what);
    assert!(did(Actor::Client, &Happening::HostRebooting { host: "h1".into() }));
    assert!(did(Actor::Other, &Happening::HostDown { host: "h2".into(), why: "it lost power".into() }));
    let summary = client.summary().await.unwrap();
    assert_eq!((summary.instances, summary.problems.len()), (3, 0));
}

#[tokio::test]
async fn what_is_no_request_is_answered_and_does_no_harm() {
    let served = Served::new(roomy()).await;
    let stream = TcpStream::connect(served.address).await.unwrap();
    let mut stream = BufReader::new(stream);
    let deep = format!("{{\"id\":1,\"call\":{}", "[".repeat(10_000));
    let bad: [&[u8]; 8] = [
        b"\n",
        b"hello\n",
        b"{}\n",
        b"{\"id\":1,\"call\":\"fly\"}\n",
        b"{\"id\":1,\"call\":{\"reboot\":{\"host\":7}}}\n",
        b"{\"id\":-1,\"call\":\"read_all\"}\n",
        b"\xff\xfe\x00\n",
        &[deep.as_bytes(), b"\n"].concat(),
    ];
    for line in bad {
        let answer = say(&mut stream, line).await.unwrap();
        assert!(answer.starts_with("{\"id\":0,\"error\":{\"refused\":\"this is no request: "), "{answer}");
    }
    for line in [&b"{\"id\":9}\n"[..], b"{\"id\":9,\"call\":\"read_all\",\"control\":\"summary\"}\n"] {
        let answer = say(&mut stream, line).await.unwrap();
        assert!(answer.starts_with("{\"id\":9,\"error\":{\"refused\":\"a request has one of"), "{answer}");
    }
    let answer = say(&mut stream, b"{\"id\":10,\"call\":{\"read_host\":{\"host\":\"h1\"}}}\n").await.unwrap();
    assert!(answer.starts_with("{\"id\":10,\"ok\":{\"host\":{"), "{answer}");
}

#[tokio::test]
async fn an_endless_line_ends_the_connection_and_no_other() {
    let served = Served::new(roomy()).await;
    let other = served.client();
    other.summary().await.unwrap();
    let mut stream = BufReader::new(TcpStream::connect(served.address).await.unwrap());
    let answer = say(&mut stream, &vec![b'x'; MAX_REQUEST + 1]).await.unwrap();
    assert!(answer.contains("a request is longer than 65536 bytes"), "{answer}");
    assert_eq!(say(&mut stream, b"").await, None);
    other.summary().await.unwrap();
}

#[tokio::test]
async fn a_peer_that_goes_away_in_the_middle_harms_nobody() {
    let served = Served::new(roomy()).await;
    for _ in 0..20 {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        stream.write_all(b"{\"id\":1,\"call\":\"read_all\"}\n{\"id\":2,\"ca").await.unwrap();
    }
    served.client().summary().await.unwrap();
}

#[tokio::test]
async fn what_is_lost_on_the_wire_is_unclear_and_the_next_call_is_answered() {
    let mut spec = roomy();
    spec.wire = Wire { reply_lost: 1.0, ..Wire::default() };
    let served = Served::new(spec).await;
    let patience = Patience { answer: Duration::from_millis(300), ..Patience::default() };
    let client = SimClient::new(served.address, patience);
    let lost = client.call(&reboot("h1")).await;
    assert!(matches!(lost, Err(CloudError::Unclear(_))), "{lost:?}");
    // Control requests never get lost: the truth is that it was applied.
    let trace = client.trace(0).await.unwrap();
    let rebooting = Happening::HostRebooting { host: "h1".into() };
    assert!(trace.events.iter().any(|event| event.what == rebooting));
}

#[tokio::test]
async fn answers_that_never_come_do_not_use_up_the_connection() {
    let mut spec = roomy();
    spec.wire = Wire { lost: 1.0, ..Wire::default() };
    let served = Served::new(spec).await;
    let patience = Patience { answer: Duration::from_millis(500), ..Patience::default() };
    let client = SimClient::new(served.address, patience);
    for _ in 0..3 {
        let calls = (0..300).map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.call(&CloudCall::ReadAll).await })
        });
        for call in calls.collect::<Vec<_>>() {
            assert!(matches!(call.await.unwrap(), Err(CloudError::Unclear(_))));
        }
    }
    client.summary().await.unwrap();
}

/// Set for a copy of this test program that is to serve, and be killed.
const SERVE_FROM: &str = "FENIX_TEST_SIM_STATE";

/// The line on which such a copy tells its address.
const AT: &str = "serving at ";

/// Not a check in itself: in a copy of this program, it is the cloud to be killed.
#[tokio::test]
async fn serves_until_it_is_killed_if_told_where() {
    let Ok(state) = std::env::var(SERVE_FROM) else { return };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("\n{AT}{}", listener.local_addr().unwrap());
    serve(&roomy(), 1, Path::new(&state), listener, std::future::pending()).await.unwrap();
}

/// Another process that serves the cloud of a state file.
struct Other(Child);

impl Other {
    async fn start(state: &Path) -> (Other, SocketAddr) {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "serves_until_it_is_killed_if_told_where", "--nocapture"])
            .env(SERVE_FROM, state)
            .stdout(Stdio::piped())
            .spawn();
        let mut other = Other(child.unwrap());
        let output = other.0.stdout.take().unwrap();
        let reading = tokio::task::spawn_blocking(move || {
            use std::io::BufRead;
            let mut lines = std::io::BufReader::new(output).lines();
            lines.find_map(|line| line.unwrap().strip_prefix(AT).map(|at| at.parse().unwrap()))
        });
        (other, reading.await.unwrap().unwrap())
    }
}

impl Drop for Other {
    /// `SIGKILL`: it cannot say good-bye.
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[tokio::test]
async fn a_killed_cloud_started_again_goes_on_where_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    let (other, address) = Other::start(&state).await;
    let client = SimClient::new(address, Patience::default());
    let disable = CloudCall::Disable { host: "h3".into(), reason: "M-1".into() };
    assert_eq!(client.call(&disable).await, Ok(CloudReply::Accepted));
    let call = CloudCall::Migrate { instance: "i1".into(), to: "h2".into() };
    assert_eq!(client.call(&call).await, Ok(CloudReply::Accepted));
    let told = client.trace(0).await.unwrap();
    drop(other);
    let gone = client.call(&CloudCall::ReadAll).await;
    assert!(matches!(gone, Err(CloudError::Unclear(_))), "{gone:?}");

    let (_other, address) = Other::start(&state).await;
    let client = SimClient::new(address, Patience::default());
    let again = client.trace(0).await.unwrap();
    assert_eq!(again.events[..told.events.len()], told.events);
    // What was under way when it was killed has come to its end.
    loop {
        match client.call(&CloudCall::ReadInstance { instance: "i1".into() }).await {
            Ok(CloudReply::Instance(Some(seen))) if seen.state == InstanceState::Moved => break,
            Ok(CloudReply::Instance(Some(seen))) => assert_eq!(seen.state, InstanceState::Moving),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_client_finds_its_cloud_again_at_the_same_address() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    let mut address: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let mut client = None;
    for round in 0..3 {
        let listener = TcpListener::bind(address).await.unwrap();
        address = listener.local_addr().unwrap();
        let client = &*client.get_or_insert_with(|| SimClient::new(address, Patience::default()));
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let (spec, path) = (roomy(), state.clone());
        let serving = tokio::spawn(async move {
            serve(&spec, 1, &path, listener, async { drop(stopped.await) }).await.unwrap();
        });
        let reason = format!("round {round}");
        // The old connection may turn out to be broken only now.
        while client.call(&CloudCall::Disable { host: "h1".into(), reason: reason.clone() }).await.is_err() {}
        stop.send(()).unwrap();
        serving.await.unwrap();
        let gone = client.call(&CloudCall::ReadAll).await;
        assert!(matches!(gone, Err(CloudError::Unclear(_))), "{gone:?}");
    }
}
