//! What tests of packages share: a server that says what it is told to, and a place of one's own to fetch to.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fenix_core::id::Digest;
use fenix_core::package::PackageSpec;
use fenix_packages::fetch::{FetchError, Fetched, Fetcher, Progress};
use fenix_packages::policy::{Patience, Policy};
use fenix_packages::store::Store;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

pub(crate) const CONTENT: &[u8] = b"what upgrades a host";

/// A web server that gives each connection the next of these answers, as they are, and then closes it.
pub(crate) struct Server {
    pub(crate) at: SocketAddr,
    /// What was asked of it.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub(crate) fn of(answers: Vec<Vec<u8>>) -> Server {
        Self::on(TcpListener::bind("127.0.0.1:0").unwrap(), answers)
    }

    pub(crate) fn on(listener: TcpListener, answers: Vec<Vec<u8>>) -> Server {
        let at = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&asked);
        std::thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = Vec::new();
                let mut byte = [0];
                while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
                    request.push(byte[0]);
                }
                told.lock().unwrap().push(String::from_utf8(request).unwrap().to_lowercase());
                // Whoever has had enough may hang up.
                drop(stream.write_all(&answer));
            }
        });
        Server { at, asked }
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// An answer; `cut` leaves so many bytes of the body away.
pub(crate) fn answer(head: &str, body: &[u8], cut: usize) -> Vec<u8> {
    let length = body.len();
    let mut all =
        format!("HTTP/1.1 {head}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n").into_bytes();
    all.extend_from_slice(&body[..length - cut]);
    all
}

pub(crate) fn good() -> Vec<u8> {
    answer("200 OK", CONTENT, 0)
}

pub(crate) fn digest(content: &[u8]) -> Digest {
    Digest::from(hex::encode(Sha256::digest(content)))
}

/// A fetcher with a store of its own.
pub(crate) struct Place {
    pub(crate) fetcher: Fetcher,
    pub(crate) folder: TempDir,
}

impl Place {
    pub(crate) fn new(change: impl FnOnce(&mut Policy, &Path)) -> Place {
        let folder = tempfile::tempdir().unwrap();
        let fetcher = Self::fetcher(folder.path(), change);
        Place { fetcher, folder }
    }

    pub(crate) fn fetcher(folder: &Path, change: impl FnOnce(&mut Policy, &Path)) -> Fetcher {
        let mut policy = Policy {
            patience: Patience { tries: 3, pause: Duration::from_millis(1), ..Patience::default() },
            ..Policy::default()
        };
        change(&mut policy, folder);
        let store = Store::open(&folder.join("store")).unwrap();
        let tls =
            rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_root_certificates(rustls::RootCertStore::empty())
                .with_no_client_auth();
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build();
        Fetcher::new(client.unwrap(), policy, store)
    }

    pub(crate) fn fetch(&self, spec: &PackageSpec) -> Result<Fetched, FetchError> {
        self.fetch_and_tell(spec, &|_| {})
    }

    pub(crate) fn fetch_and_tell(
        &self,
        spec: &PackageSpec,
        tell: &(dyn Fn(Progress) + Sync),
    ) -> Result<Fetched, FetchError> {
        runtime().block_on(self.fetcher.fetch(spec, tell))
    }

    /// The names of all files in the store.
    pub(crate) fn kept(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path().join("store")).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}
