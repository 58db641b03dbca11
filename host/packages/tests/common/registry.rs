//! A registry of artifacts as Debian has it. The end-to-end tests use this file, too.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use oci_client::client::{ClientConfig, ClientProtocol, Config, ImageLayer};
use oci_client::secrets::RegistryAuth;
use serde_json::json;
use tempfile::TempDir;

/// What a component is called in a registry (the CNCF's form for Wasm).
pub(crate) const WASM: &str = "application/wasm";

/// One on a port of its own and with a folder of its own.
pub(crate) struct Registry {
    child: Child,
    /// Its address, like `127.0.0.1:5000`.
    pub(crate) at: String,
    auth: RegistryAuth,
    _folder: TempDir,
}

impl Registry {
    /// One for everybody, or for `me` with the password `secret`.
    pub(crate) fn start(is_closed: bool) -> Registry {
        let folder = tempfile::tempdir().unwrap();
        let (config, htpasswd) = (folder.path().join("config.yml"), folder.path().join("htpasswd"));
        std::fs::write(&htpasswd, "me:$2b$05$AQOJ/OOUup8qc0qSzK7qQ.DfPTJ/TCBdN7N3bkKvDXhECc2y.sExq\n")
            .unwrap();
        let mut settings = json!({
            "version": "0.1",
            "storage": { "filesystem": { "rootdirectory": folder.path() } },
            "http": { "addr": "127.0.0.1:0" },
        });
        if is_closed {
            settings["auth"] = json!({ "htpasswd": { "realm": "fenix", "path": htpasswd } });
        }
        // JSON is YAML.
        std::fs::write(&config, settings.to_string()).unwrap();
        let started =
            Command::new("docker-registry").arg("serve").arg(&config).stderr(Stdio::piped()).spawn();
        let mut child =
            started.unwrap_or_else(|error| panic!("docker-registry: {error}; `make registry` installs it"));
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
        let at = lines.find_map(|line| {
            let (_, rest) = line.split_once("listening on ")?;
            rest.split(['"', ',', ' ']).next().map(str::to_owned)
        });
        // Whoever writes for nobody is ended by it.
        std::thread::spawn(move || lines.for_each(drop));
        let me = || RegistryAuth::Basic("me".into(), "secret".into());
        let auth = if is_closed { me() } else { RegistryAuth::Anonymous };
        Registry { child, at: at.expect("a registry says where it listens"), auth, _folder: folder }
    }

    /// Pushes content of a kind as the only layer of what is then called `REPOSITORY:TAG`. Returns the digest of the manifest.
    pub(crate) fn push(&self, name: &str, kind: &str, content: &[u8]) -> String {
        // That somebody did already is as well.
        drop(rustls::crypto::ring::default_provider().install_default());
        let protocol = ClientProtocol::Http;
        let client = oci_client::Client::new(ClientConfig { protocol, ..ClientConfig::default() });
        let layers = [ImageLayer::new(content.to_vec(), kind.to_owned(), None)];
        let config = Config::new(&b"{}"[..], "application/vnd.wasm.config.v0+json".to_owned(), None);
        let reference = format!("{}/{name}", self.at).parse().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            client.push(&reference, &layers, config, &self.auth, None).await.unwrap();
            client.fetch_manifest_digest(&reference, &self.auth).await.unwrap()
        })
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}
