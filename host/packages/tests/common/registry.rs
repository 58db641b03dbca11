//! A registry of artifacts as Debian has it. The end-to-end tests use this file, too.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use oci_client::client::{
    Certificate, CertificateEncoding, ClientConfig, ClientProtocol, Config, ImageLayer,
};
use oci_client::secrets::RegistryAuth;
use serde_json::json;
use tempfile::TempDir;

/// What a component is called in a registry (the CNCF's form for Wasm).
pub(crate) const WASM: &str = "application/wasm";

/// Whom a registry serves.
#[allow(dead_code, reason = "each program of tests uses some of them")]
pub(crate) enum Serves {
    Everybody,
    /// `me` with the password `secret`.
    Me,
    /// Who shows a token, which that address gives.
    Tokens(String),
}

/// A certificate and its key, in PEM.
pub(crate) struct Pem {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// One on a port of its own and with a folder of its own.
pub(crate) struct Registry {
    child: Child,
    /// Its address, like `127.0.0.1:5000`.
    pub(crate) at: String,
    auth: RegistryAuth,
    tls: Option<Pem>,
    _folder: TempDir,
}

impl Registry {
    /// One that speaks TLS with that certificate, or without.
    pub(crate) fn start(serves: &Serves, tls: Option<Pem>) -> Registry {
        let folder = tempfile::tempdir().unwrap();
        let (config, htpasswd) = (folder.path().join("config.yml"), folder.path().join("htpasswd"));
        std::fs::write(&htpasswd, "me:$2b$05$AQOJ/OOUup8qc0qSzK7qQ.DfPTJ/TCBdN7N3bkKvDXhECc2y.sExq\n")
            .unwrap();
        let mut settings = json!({
            "version": "0.1",
            "storage": { "filesystem": { "rootdirectory": folder.path() } },
            "http": { "addr": "127.0.0.1:0" },
        });
        match serves {
            Serves::Everybody => {}
            Serves::Me => settings["auth"] = json!({ "htpasswd": { "realm": "fenix", "path": htpasswd } }),
            Serves::Tokens(at) => settings["auth"] = json!({ "silly": { "realm": at, "service": "here" } }),
        }
        if let Some(Pem { certificate, key }) = &tls {
            let (certificate_file, key_file) =
                (folder.path().join("cert.pem"), folder.path().join("key.pem"));
            std::fs::write(&certificate_file, certificate).unwrap();
            std::fs::write(&key_file, key).unwrap();
            settings["http"]["tls"] = json!({ "certificate": certificate_file, "key": key_file });
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
        let auth = match serves {
            Serves::Me => RegistryAuth::Basic("me".into(), "secret".into()),
            Serves::Everybody | Serves::Tokens(_) => RegistryAuth::Anonymous,
        };
        Registry { child, at: at.expect("a registry says where it listens"), auth, tls, _folder: folder }
    }

    /// Pushes content of a kind as the only layer of what is then called `REPOSITORY:TAG`. Returns the digest of the manifest.
    pub(crate) fn push(&self, name: &str, kind: &str, content: &[u8]) -> String {
        // That somebody did already is as well.
        drop(rustls::crypto::ring::default_provider().install_default());
        let protocol = if self.tls.is_some() { ClientProtocol::Https } else { ClientProtocol::Http };
        let believed = self.tls.iter().map(|tls| Certificate {
            encoding: CertificateEncoding::Pem,
            data: tls.certificate.clone().into_bytes(),
        });
        let extra_root_certificates = believed.collect();
        let config = ClientConfig { protocol, extra_root_certificates, ..ClientConfig::default() };
        let client = oci_client::Client::new(config);
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
