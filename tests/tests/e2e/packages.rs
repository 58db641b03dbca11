//! What sessions bring, over real HTTP: used if it is what it must be, and else the session is parked with no host touched.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Cursor, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fenix_cloud::sim::trace::Actor;
use minisign::KeyPair;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::http::{call, get};
use crate::registry::{Pem, Registry, Serves, WASM};
use crate::rig::{Rig, sample_body, small_cloud, wait_for, wait_for_end};

/// What a vendor calls its own `default` and `noop`: as long, so that a component is made of ours without a compiler.
const WORKFLOW: &str = "vendors";
const ACTION: &str = "mine";

/// The name of the server's configuration.
const CONFIG: &str = "fenix.toml";

/// A component that comes with Fenix, under another name.
pub(crate) fn component(ours: &str, theirs: &str) -> Vec<u8> {
    assert_eq!(ours.len(), theirs.len());
    let mut bytes = fenix_shipped::component(ours).unwrap().to_vec();
    let written = format!("\"name\":\"{ours}\"");
    let renamed = format!("\"name\":\"{theirs}\"");
    let places: Vec<usize> =
        (0..bytes.len() - written.len()).filter(|at| bytes[*at..].starts_with(written.as_bytes())).collect();
    assert!(!places.is_empty());
    places.into_iter().for_each(|at| bytes[at..at + written.len()].copy_from_slice(renamed.as_bytes()));
    bytes
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// A web server with files; one whose content begins with `-> ` leads elsewhere.
pub(crate) struct Repository {
    at: SocketAddr,
    files: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
}

impl Repository {
    fn start() -> Repository {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let files: Arc<Mutex<BTreeMap<String, Vec<u8>>>> = Arc::default();
        let served = Arc::clone(&files);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let first = lines.next().unwrap().unwrap();
                while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
                let path = first.split(' ').nth(1).unwrap().to_owned();
                let file = served.lock().unwrap().get(&path).cloned();
                let (status, more, body) = match file {
                    None => ("404 Not Found", String::new(), Vec::new()),
                    Some(file) => match file.strip_prefix(b"-> ") {
                        Some(to) => (
                            "302 Found",
                            format!("location: {}\r\n", String::from_utf8_lossy(to)),
                            Vec::new(),
                        ),
                        None => ("200 OK", String::new(), file),
                    },
                };
                let length = body.len();
                let head = format!(
                    "HTTP/1.1 {status}\r\n{more}content-length: {length}\r\nconnection: close\r\n\r\n"
                );
                drop(stream.write_all(&[head.as_bytes(), &body].concat()));
            }
        });
        Repository { at, files }
    }

    /// Puts a file there, and returns how a session asks for it.
    fn put(&self, path: &str, bytes: &[u8]) -> Value {
        self.files.lock().unwrap().insert(format!("/{path}"), bytes.to_vec());
        json!({ "url": self.url(path), "sha256": sha256(bytes) })
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.at)
    }

    /// From here on nothing is there.
    pub(crate) fn close(&self) {
        self.files.lock().unwrap().clear();
    }
}

/// A server that takes packages from there.
pub(crate) struct Scene {
    rig: Rig,
    pub(crate) repository: Repository,
    folder: TempDir,
}

impl Scene {
    pub(crate) fn new(more: &str) -> Scene {
        Scene::allowing(&[], more)
    }

    /// The same, and from those places, too.
    fn allowing(others: &[String], more: &str) -> Scene {
        let repository = Repository::start();
        let folder = TempDir::new().unwrap();
        let file = folder.path().join(CONFIG);
        let allow = [&[repository.url("")], others].concat();
        std::fs::write(&file, format!("[packages]\nallow = {allow:?}\n{more}")).unwrap();
        let rig = Rig::start_with(&small_cloud(), &["--config", file.to_str().unwrap()]);
        Scene { rig, repository, folder }
    }

    /// The server's configuration.
    pub(crate) fn config(&self) -> String {
        self.folder.path().join(CONFIG).to_str().unwrap().to_owned()
    }

    /// What starts a session that runs on these packages alone.
    pub(crate) fn body(&self, packages: &[Value]) -> Value {
        let mut body = sample_body(&["compute-1"]);
        body["workflow"] = json!(WORKFLOW);
        body["actions"] = json!([{ "plugin": ACTION, "type": "host" }]);
        body["download"] = json!(packages);
        body
    }

    pub(crate) fn components(&self) -> [Value; 2] {
        let workflow = component("default", WORKFLOW);
        let action = component("noop", ACTION);
        [self.repository.put("vendors.wasm", &workflow), self.repository.put("mine.wasm", &action)]
    }

    /// Such a session is parked, for that reason, and nothing in the cloud was touched.
    #[track_caller]
    fn check_parked(&self, packages: &[Value], expected: &str) {
        let session = self.rig.begin(&self.body(packages));
        let news = wait_for(&session, |news| news["condition"] == "parked");
        let why = &get(&format!("{session}/blockers")).good()["blockers"][0]["detail"];
        let why = why.as_str().unwrap();
        assert_eq!(why.matches(expected).count(), 1, "{why}\n{news}");
        let touched = self.rig.trace().into_iter().find(|event| event.by == Actor::Client);
        assert!(touched.is_none(), "{touched:?}");
        call("DELETE", &session, b"").good();
    }
}

#[test]
fn a_session_runs_on_what_its_own_packages_brought() {
    let scene = Scene::new("");
    let _manager = scene.rig.manager(&[]);
    let packages = scene.components();
    let session = scene.rig.begin(&scene.body(&packages));
    let end = wait_for_end(&session);
    assert_eq!(end["state"], "MAINTENANCE_DONE", "{end}");
    let detail = get(&format!("{session}/detail")).good();
    assert_eq!(detail["session"]["workflow"], WORKFLOW);
    assert_eq!(detail["session"]["workflow_digest"], packages[0]["sha256"]);
    assert_eq!(detail["actions"][0]["digest"], packages[1]["sha256"]);
    let brought = &detail["packages"][0];
    assert_eq!((&brought["name"], &brought["state"]), (&json!("vendors.wasm"), &json!("here")));
    assert_eq!(brought["plugins"][0]["name"], WORKFLOW);
    // Nobody else may name it.
    let reply = scene.rig.post(&scene.body(&[]));
    assert_eq!(reply.status, 422, "{}", reply.body);
}

#[test]
fn an_archive_brings_several_plug_ins_and_survives_a_crash() {
    let mut scene = Scene::new("");
    let _manager = scene.rig.manager(&[]);
    let folder = TempDir::new().unwrap();
    let manifest = "name = 'upgrade'\nversion = '1'\nlicence = 'LICENSE'\n\
                    [[component]]\nfile = 'w.wasm'\n[[component]]\nfile = 'a.wasm'\n";
    let files = [
        ("plugin.toml", manifest.as_bytes().to_vec()),
        ("w.wasm", component("default", WORKFLOW)),
        ("a.wasm", component("noop", ACTION)),
        ("LICENSE", b"as you like".to_vec()),
    ];
    let package = scene.repository.put("upgrade.tar.gz", &archive(folder.path(), &files));
    let session = scene.rig.begin(&scene.body(&[package]));
    scene.rig.crash_server();
    let end = wait_for_end(&session);
    assert_eq!(end["state"], "MAINTENANCE_DONE", "{end}");
}

/// A `tar.gz` of these files, as a vendor makes it.
fn archive(folder: &Path, files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    for (name, bytes) in files {
        std::fs::write(folder.join(name), bytes).unwrap();
    }
    let names = files.iter().map(|(name, _)| *name);
    packed(folder, &names.collect::<Vec<_>>())
}

/// What `tar` makes of a folder with these arguments.
fn packed(folder: &Path, args: &[&str]) -> Vec<u8> {
    let done = Command::new("tar").args(["-czf", "all.tar.gz"]).args(args).current_dir(folder).status();
    assert!(done.unwrap().success());
    std::fs::read(folder.join("all.tar.gz")).unwrap()
}

#[test]
fn whatever_was_tampered_with_parks_the_session_before_anything_is_touched() {
    let scene = Scene::new("");
    let [workflow, action] = scene.components();
    let files = &scene.repository;
    let check = |package: Value, expected: &str| scene.check_parked(&[workflow.clone(), package], expected);
    let other = json!({ "url": action["url"], "sha256": "00".repeat(32) });
    check(other, "package mine.wasm: its content has the digest");
    let mut cut = component("noop", ACTION);
    cut.truncate(cut.len() / 2);
    check(
        files.put("cut.wasm", &cut),
        "package cut.wasm: plug-in that was sent is refused: the component is refused: it is not a whole",
    );
    check(
        json!({ "url": files.url("nowhere"), "sha256": "00".repeat(32) }),
        "package nowhere: the server answers 404",
    );
    files.put("away", b"-> http://192.0.2.1/elsewhere");
    check(
        json!({ "url": files.url("away"), "sha256": "00".repeat(32) }),
        "it leads to http://192.0.2.1/elsewhere, from where no package may come",
    );
    let folder = TempDir::new().unwrap();
    std::os::unix::fs::symlink("/etc/passwd", folder.path().join("a.wasm")).unwrap();
    let manifest = "name = 'x'\nversion = '1'\n[[component]]\nfile = 'a.wasm'\n";
    std::fs::write(folder.path().join("plugin.toml"), manifest).unwrap();
    let link = packed(folder.path(), &["plugin.toml", "a.wasm"]);
    check(files.put("link.tar.gz", &link), "\"a.wasm\" in it is neither a file nor a folder");
    // Two hundred megabytes of nothing.
    std::fs::remove_file(folder.path().join("a.wasm")).unwrap();
    std::fs::File::create(folder.path().join("a.wasm")).unwrap().set_len(200 << 20).unwrap();
    let bomb = packed(folder.path(), &["plugin.toml", "a.wasm"]);
    check(files.put("bomb.tar.gz", &bomb), "unpacked it has more than");
    std::fs::write(folder.path().join("a.wasm"), component("noop", ACTION)).unwrap();
    let leads = ["--absolute-names", "--transform", "s,^a.wasm,../../a.wasm,", "plugin.toml", "a.wasm"];
    let out = packed(folder.path(), &leads);
    check(files.put("out.tar.gz", &out), "\"../../a.wasm\" in it leads out of it");
    // Nothing in it is of use.
    check(
        files.put("payload", b"for the hosts"),
        "there is no action \"mine\" in them, and none is attached: vendors.wasm holds vendors; payload holds no plug-in",
    );
}

#[test]
fn what_nobody_has_signed_whom_the_server_believes_parks_the_session() {
    let (ours, theirs) = (KeyPair::generate_unencrypted_keypair(), KeyPair::generate_unencrypted_keypair());
    let (ours, theirs) = (ours.unwrap(), theirs.unwrap());
    let scene = Scene::new(&format!("proof = \"signed\"\nkeys = [{:?}]\n", ours.pk.to_base64()));
    let _manager = scene.rig.manager(&[]);
    let signed = |package: &Value, pair: &KeyPair, ours: &str, named: &str| {
        let content = component(ours, named);
        let signature = minisign::sign(None, &pair.sk, Cursor::new(content), None, None).unwrap();
        let mut package = package.clone();
        package["signature"] = json!(signature.into_string());
        package
    };
    let [workflow, action] = scene.components();
    let workflow = signed(&workflow, &ours, "default", WORKFLOW);
    let by = |pair: &KeyPair, of: &str| signed(&action, pair, of, ACTION);
    let none = "its packages: package mine.wasm: its signature was made with none of the server's keys, or for something else";
    scene.check_parked(&[workflow.clone(), by(&theirs, "noop")], none);
    // Of another component of ours.
    let other = minisign::sign(None, &ours.sk, Cursor::new(b"x"), None, None).unwrap().into_string();
    let mut moved = action.clone();
    moved["signature"] = json!(other);
    scene.check_parked(&[workflow.clone(), moved], none);
    let session = scene.rig.begin(&scene.body(&[workflow, by(&ours, "noop")]));
    let end = wait_for_end(&session);
    assert_eq!(end["state"], "MAINTENANCE_DONE", "{end}");
}

/// A session runs on what a registry holds, if that is what it must be.
fn check_registry(registry: &Registry, scheme: &str, settings: &str) {
    let pinned = registry.push("team/vendors:1", WASM, &component("default", WORKFLOW));
    let action = component("noop", ACTION);
    registry.push("team/mine:1", WASM, &action);
    let from = format!("{scheme}://{}/team/", registry.at);
    let scene = Scene::allowing(std::slice::from_ref(&from), settings);
    let _manager = scene.rig.manager(&[]);
    let workflow = json!({ "url": format!("{from}vendors@{pinned}") });
    let mine = |sha256: &str| json!({ "url": format!("{from}mine:1"), "sha256": sha256 });
    scene.check_parked(&[workflow.clone(), mine(&sha256(b"x"))], "its content has the digest");
    let session = scene.rig.begin(&scene.body(&[workflow, mine(&sha256(&action))]));
    let end = wait_for_end(&session);
    assert_eq!(end["state"], "MAINTENANCE_DONE", "{end}");
    let detail = get(&format!("{session}/detail")).good();
    assert_eq!(detail["actions"][0]["digest"], sha256(&action));
    assert_eq!(detail["packages"][0]["plugins"][0]["name"], WORKFLOW);
}

#[test]
fn a_session_runs_on_what_a_registry_of_artifacts_holds() {
    check_registry(&Registry::start(&Serves::Everybody, None), "oci+http", "");
}

#[test]
fn a_session_runs_on_what_a_registry_holds_that_the_installation_believes() {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let folder = TempDir::new().unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, &certificate).unwrap();
    let registry = Registry::start(&Serves::Everybody, Some(Pem { certificate, key }));
    check_registry(&registry, "oci", &format!("ca = {ca:?}\n"));
    // One who does not believe it takes nothing from it.
    let from = format!("oci://{}/team/", registry.at);
    let scene = Scene::allowing(std::slice::from_ref(&from), "");
    scene.check_parked(
        &[json!({ "url": format!("{from}mine:1"), "sha256": sha256(b"x") })],
        "invalid peer certificate",
    );
}

#[test]
fn a_session_that_was_parked_for_a_package_goes_on_once_it_is_there() {
    let scene = Scene::new("");
    let _manager = scene.rig.manager(&[]);
    let [workflow, action] = scene.components();
    let name = "/mine.wasm".to_owned();
    let hidden = scene.repository.files.lock().unwrap().remove(&name).unwrap();
    let session = scene.rig.begin(&scene.body(&[workflow, action]));
    wait_for(&session, |news| news["condition"] == "parked");
    scene.repository.files.lock().unwrap().insert(name, hidden);
    call("PUT", &session, b"").good();
    let end = wait_for_end(&session);
    assert_eq!(end["state"], "MAINTENANCE_DONE", "{end}");
}

#[test]
fn a_package_that_comes_slowly_is_given_up_with_its_session() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let from = format!("http://{}/", server.local_addr().unwrap());
    let scene = Scene::allowing(std::slice::from_ref(&from), "");
    let package = json!({ "url": format!("{from}large"), "sha256": "00".repeat(32) });
    let session = scene.rig.begin(&scene.body(&[package]));
    let (mut stream, _) = server.accept().unwrap();
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n").unwrap();
    call("DELETE", &session, b"").good();
    // A byte now and then, so that it is not given up for silence.
    stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let bytes_until_closed = (0..600).find(|_| {
        let closed = matches!(stream.read(&mut [0; 4096]), Ok(0));
        closed || stream.write_all(b"x").is_err()
    });
    assert!(bytes_until_closed.is_some());
}

#[test]
fn what_is_brought_uses_what_was_granted_to_its_digest() {
    let scene = Scene::new("");
    let _manager = scene.rig.manager(&[]);
    let [workflow, _] = scene.components();
    let action = scene.repository.put("theirs.wasm", &component("reboot", "theirs"));
    let mut body = scene.body(&[workflow, action.clone()]);
    body["actions"] = json!([{ "plugin": "theirs", "type": "host" }]);
    let session = scene.rig.begin(&body);
    wait_for(&session, |news| news["condition"] == "parked");
    let why = get(&format!("{session}/blockers")).good().to_string();
    assert!(why.contains("theirs asks for cloud, which nobody has granted to it"), "{why}");
    let grant = format!("/v1/plugins/{}/grant", action["sha256"].as_str().unwrap());
    call("PUT", &scene.rig.at(&grant), br#"{"rights": ["cloud"]}"#).good();
    call("PUT", &session, b"").good();
    let end = wait_for_end(&session);
    assert_eq!(end["state"], "MAINTENANCE_DONE", "{end}");
}

#[test]
fn what_the_installation_does_not_take_is_refused_before_there_is_a_session() {
    let scene = Scene::new("");
    let check = |package: Value, expected: &str| {
        let reply = scene.rig.post(&scene.body(&[package]));
        assert_eq!(reply.status, 422, "{}", reply.body);
        assert!(reply.body.to_string().contains(expected), "{}", reply.body);
    };
    check(json!("http://192.0.2.1/x"), "no package may come from there");
    check(json!(scene.repository.url("x")), "`sha256` is missing");
    check(json!("file:x"), "names no folder");
    let none = get(&scene.rig.at("/v1/maintenance")).good();
    assert_eq!(none["sessions"], json!([]));
}
