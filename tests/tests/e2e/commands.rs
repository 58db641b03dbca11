//! Commands on hosts, through a real sshd: run once, as far as they were granted, whatever becomes of Fenix meanwhile.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::hostile::wait_until_gone;
use crate::http::{call, get};
use crate::packages::sha256;
use crate::port::Port;
use crate::rig::{Rig, sample_body, small_cloud, wait_for, wait_for_end, wait_within};

/// What `ssh-upgrade` runs by itself.
const FETCH: &str = "curl --config - --fail --silent --show-error --create-dirs --output *";
const CHECK: &str = "sha256sum --check --strict --quiet -";

/// A host that can be logged in to: this machine, in a home of the test's.
struct Sshd {
    child: Child,
    folder: TempDir,
    _port: Port,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Sshd {
    fn start() -> Sshd {
        let folder = TempDir::new().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        std::fs::create_dir(path("home")).unwrap();
        for key in ["host_key", "user_key"] {
            let made =
                Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", &path(key)]).status();
            assert!(made.unwrap().success());
        }
        std::fs::copy(path("user_key.pub"), path("authorized_keys")).unwrap();
        // Where it goes when it is root; it says so itself if it is missing.
        drop(std::fs::create_dir_all("/run/sshd"));
        let port = Port::new();
        let address = port.address();
        let config = [
            format!("ListenAddress {address}"),
            format!("HostKey {}", path("host_key")),
            format!("AuthorizedKeysFile {}", path("authorized_keys")),
            format!("PidFile {}", path("pid")),
            format!("SetEnv HOME={}", path("home")),
            "AuthenticationMethods publickey".to_owned(),
            "PermitRootLogin prohibit-password".to_owned(),
            "StrictModes no".to_owned(),
            "UsePAM no".to_owned(),
        ];
        std::fs::write(path("sshd_config"), config.join("\n")).unwrap();
        let mut started = Command::new("/usr/sbin/sshd");
        started.args(["-D", "-e", "-f", &path("sshd_config")]).stdin(Stdio::null());
        started.stderr(std::fs::File::create(path("sshd.log")).unwrap());
        let child = started.spawn().unwrap_or_else(|error| panic!("sshd: {error}; `make sshd` installs it"));
        let key = std::fs::read_to_string(path("host_key.pub")).unwrap();
        std::fs::write(path("known_hosts"), format!("* {key}")).unwrap();
        let client = [
            "Host *".to_owned(),
            "HostName 127.0.0.1".to_owned(),
            format!("Port {}", address.rsplit(':').next().unwrap()),
            format!("IdentityFile {}", path("user_key")),
            "IdentitiesOnly yes".to_owned(),
            format!("UserKnownHostsFile {}", path("known_hosts")),
        ];
        std::fs::write(path("ssh_config"), client.join("\n")).unwrap();
        Sshd { child, folder, _port: port }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Lines of a file, which need not be there.
    fn lines(&self, name: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.path(name)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

/// A server that reaches that host, and takes packages from a folder.
struct Scene {
    rig: Rig,
    sshd: Sshd,
}

impl Scene {
    fn new() -> Scene {
        let sshd = Sshd::start();
        let (config, folder) = (sshd.path("fenix.toml"), sshd.path("packages"));
        std::fs::create_dir(&folder).unwrap();
        let settings = format!(
            "[remote]\nway = \"ssh\"\nssh_config = {:?}\n[packages]\nfolder = {folder:?}\n",
            sshd.path("ssh_config")
        );
        std::fs::write(&config, settings).unwrap();
        Scene { rig: Rig::start_with(&small_cloud(), &["--config", &config]), sshd }
    }

    fn grant(&self, rules: &[&str]) {
        let rights: Vec<Value> = rules.iter().map(|rule| json!({ "remote": rule })).collect();
        let body = json!({ "rights": rights }).to_string();
        call("PUT", &self.rig.at("/v1/plugins/ssh-upgrade/grant"), body.as_bytes()).good();
    }

    /// Puts a package into the folder, and returns how a session asks for it.
    fn package(&self, name: &str, content: &[u8]) -> Value {
        let path: PathBuf = [self.sshd.path("packages").as_str(), name].iter().collect();
        std::fs::write(path, content).unwrap();
        json!({ "url": format!("file:{name}"), "sha256": sha256(content) })
    }

    fn body(&self, metadata: &Value) -> Value {
        let mut body = sample_body(&["controller-1"]);
        body["actions"] = json!([{ "plugin": "ssh-upgrade", "type": "host", "metadata": metadata }]);
        body["policies"] = json!({ "failed_action": "stop" });
        body
    }

    /// A session with that metadata fails, and its history says why.
    #[track_caller]
    fn check_fails(&self, metadata: &Value, expected: &str) {
        let session = self.rig.begin(&self.body(metadata));
        let end = wait_for_end(&session);
        assert_eq!(end["state"], "MAINTENANCE_FAILED", "{end}");
        let history = get(&format!("{session}/decisions")).good().to_string();
        assert!(history.contains(expected), "{expected:?} is not in {history}");
        call("DELETE", &self.rig.at("/v1/hosts/controller-1/quarantine"), b"");
        call("DELETE", &session, b"").good();
        wait_until_gone(&session);
    }
}

#[test]
fn a_package_is_installed_over_ssh_once_whatever_becomes_of_fenix() {
    let mut scene = Scene::new();
    let installer = format!("echo \"$$ $1\" >>'{}'; sleep 120", scene.sshd.path("installed"));
    scene.grant(&[FETCH, CHECK, "sh -c * installer ./*", "grep --quiet * ./*"]);
    let metadata = json!({
        "package": "tool",
        "install": ["sh", "-c", installer, "installer", "{{file}}"],
        "reboot": true,
        "verify": ["grep", "--quiet", "all of it", "{{file}}"],
    });
    let mut body = scene.body(&metadata);
    body["download"] = json!([scene.package("tool", b"all of it\n")]);
    let session = scene.rig.begin(&body);
    // In the middle of it, and once more when it goes on.
    for _ in 0..2 {
        let patience = Duration::from_secs(60);
        wait_within(patience, &session, |_| !scene.sshd.lines("installed").is_empty());
        scene.rig.crash_server();
    }
    let end = wait_within(Duration::from_secs(240), &session, |news| {
        matches!(news["condition"].as_str(), Some("ended" | "parked"))
    });
    assert_eq!(end["state"], "MAINTENANCE_DONE", "{end}");
    let installed = scene.sshd.lines("installed");
    let [once] = &installed[..] else { panic!("it ran {} times", installed.len()) };
    let file = once.split(' ').nth(1).unwrap();
    assert_eq!(file, format!("./fenix-packages/{}/tool", sha256(b"all of it\n")));
    let detail = get(&format!("{session}/detail")).good().to_string();
    assert!(detail.contains("controller-1: tool brought, sh run, restarted"), "{detail}");
    // It went to where whoever logs in is put, whatever the test says that his home is.
    let home = PathBuf::from(std::env::var("HOME").unwrap());
    drop(std::fs::remove_dir_all(home.join(file).parent().unwrap()));
}

#[test]
fn what_was_not_granted_is_not_run() {
    let scene = Scene::new();
    scene.grant(&["touch /tmp/*"]);
    let ungranted = "no administrator has granted it";
    let check = |argv: &[&str], expected: &str| scene.check_fails(&json!({ "install": argv }), expected);
    check(&["rm", "-rf", "/"], ungranted);
    check(&["touch", "/tmp/../etc/x"], ungranted);
    check(&["touch", "--reference=/etc/shadow"], ungranted);
    check(&["touch", "/tmp/x", "/tmp/y"], ungranted);
    check(&["touch", ""], ungranted);
    check(&["sh", "-c", "touch /tmp/x"], ungranted);
    assert!(!std::path::Path::new(&scene.sshd.path("home/.fenix")).exists(), "nobody was even there");
}

#[test]
fn a_host_that_shows_another_key_is_not_believed() {
    let scene = Scene::new();
    scene.grant(&["true"]);
    let other = std::fs::read_to_string(scene.sshd.path("user_key.pub")).unwrap();
    std::fs::write(scene.sshd.path("known_hosts"), format!("* {other}")).unwrap();
    let metadata = json!({ "install": ["true"] });
    scene.check_fails(&metadata, "Host key verification failed");
    std::fs::write(scene.sshd.path("known_hosts"), "").unwrap();
    scene.check_fails(&metadata, "Host key verification failed");
    assert!(!std::path::Path::new(&scene.sshd.path("home/.fenix")).exists());
}

#[test]
fn a_host_that_cannot_be_reached_for_a_while_is_waited_for() {
    let mut scene = Scene::new();
    scene.grant(&["true"]);
    drop(scene.sshd.child.kill());
    drop(scene.sshd.child.wait());
    let session = scene.rig.begin(&scene.body(&json!({ "install": ["true"] })));
    let calls = || get(&format!("{session}/detail")).good()["action_plugin_instances"][0]["calls"].as_u64();
    wait_for(&session, |_| calls() >= Some(3));
    let config = scene.sshd.path("sshd_config");
    scene.sshd.child = Command::new("/usr/sbin/sshd").args(["-D", "-f", &config]).spawn().unwrap();
    let end = wait_for_end(&session);
    assert_eq!(end["state"], "MAINTENANCE_DONE", "{end}");
}
