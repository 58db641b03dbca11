//! Fetches one package: with attempts, from where the last one broke off, within limits of size and time.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use fenix_core::id::Digest;
use fenix_core::package::PackageSpec;
use reqwest::header::{CONTENT_RANGE, ETAG, HeaderMap, HeaderValue, IF_RANGE, LOCATION, RANGE};
use reqwest::{Client, Response, StatusCode, Url};
use tokio::fs::{self, File, OpenOptions};
use tokio::io::AsyncWriteExt;

use crate::policy::{Forbidden, Policy, Proof};
use crate::signature::{MAX_SIGNATURE, SignatureError};
use crate::source::Source;
use crate::store::{self, Store};

/// Most redirects that are followed for one package.
const MAX_REDIRECTS: usize = 5;

/// What the signature of a package is called that lies beside it.
const BESIDE: &str = ".minisig";

/// A package that is here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The digest of its content.
    pub digest: Digest,
    /// Its size.
    pub bytes: u64,
    /// Where it lies.
    pub path: PathBuf,
    /// The signature by which it was believed; `None` if none was asked for.
    pub signature: Option<String>,
}

/// How far a package is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// What is here.
    pub bytes: u64,
    /// Of so much, if the server says.
    pub of: Option<u64>,
    /// Which attempt this is, from 1.
    pub attempt: u32,
}

/// Why a package is not here. Nothing of it was used.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// It may not be brought.
    #[error("{0}")]
    Forbidden(#[from] Forbidden),
    /// It leads where nothing may be fetched.
    #[error("it leads to {0}, from where no package may come")]
    ForeignRedirect(String),
    /// Nobody knows where it leads.
    #[error("it leads from place to place, more than {MAX_REDIRECTS} times or to nowhere")]
    Redirects,
    /// The server has it not, or not for us.
    #[error("the server answers {0}")]
    Refused(StatusCode),
    /// It is larger than what is taken.
    #[error("it is larger than {0} bytes, the most that is taken")]
    TooLarge(u64),
    /// It is something else.
    #[error("its content has the digest {found}, not {expected}")]
    WrongDigest {
        /// What it must be.
        expected: Digest,
        /// What it is.
        found: Digest,
    },
    /// Nobody answers for it.
    #[error("it has no signature: neither did the session name one, nor is there {0}")]
    Unsigned(String),
    /// Nobody who counts answers for it.
    #[error("{0}")]
    Signature(#[from] SignatureError),
    /// There is no such file.
    #[error("there is no file of that name in the server's folder of packages")]
    NoFile,
    /// It leads out of the folder, or is no file.
    #[error("it is no file in the server's folder of packages")]
    NotAFile,
    /// All attempts failed.
    #[error("{tries} attempts failed, the last one: {why}")]
    Unreachable {
        /// How many.
        tries: u32,
        /// What became of the last one.
        why: String,
    },
    /// It took too long.
    #[error("it was not here within {0} s")]
    TooSlow(u64),
    /// It cannot be kept.
    #[error("it cannot be kept")]
    Io(#[from] io::Error),
}

/// What became of an attempt that did not bring the package.
enum Fault {
    /// Another one will not either.
    Final(FetchError),
    /// Another one may.
    Passing(String),
}

impl<E: Into<FetchError>> From<E> for Fault {
    fn from(error: E) -> Fault {
        Fault::Final(error.into())
    }
}

/// Fetches packages into a store.
pub struct Fetcher {
    client: Client,
    policy: Policy,
    store: Store,
    /// What is being collected, so that two sessions do not write to one file.
    busy: Mutex<BTreeMap<PathBuf, Weak<tokio::sync::Mutex<()>>>>,
}

impl Fetcher {
    /// One with a client that follows no redirects: whereto is looked at here.
    pub fn new(client: Client, policy: Policy, store: Store) -> Fetcher {
        Fetcher { client, policy, store, busy: Mutex::default() }
    }

    /// What the installation lets sessions bring.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Where packages are kept.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Has a package here, with the digest and the signature that it must have. What is here already is not fetched.
    ///
    /// # Errors
    /// It is not, and why. What came of it stays for another attempt only if nothing was wrong with it.
    pub async fn fetch(
        &self,
        spec: &PackageSpec,
        tell: &(dyn Fn(Progress) + Sync),
    ) -> Result<Fetched, FetchError> {
        let within = self.policy.patience.whole;
        let fetched = tokio::time::timeout(within, self.fetch_and_check(spec, tell)).await;
        fetched.unwrap_or(Err(FetchError::TooSlow(within.as_secs())))
    }

    async fn fetch_and_check(
        &self,
        spec: &PackageSpec,
        tell: &(dyn Fn(Progress) + Sync),
    ) -> Result<Fetched, FetchError> {
        let source = self.policy.source(spec)?;
        let known = spec.sha256.as_ref().and_then(|digest| {
            let (path, bytes) = self.store.find(digest)?;
            Some((digest.clone(), bytes, path))
        });
        if let Some((digest, bytes, path)) = known {
            let signature = self.check_signature(spec, &source, &path).await?;
            return Ok(Fetched { digest, bytes, path, signature });
        }
        let partial = self.store.partial(&format!("{source} {:?}", spec.sha256));
        let lock = self.lock(&partial);
        let _alone = lock.lock().await;
        let mut whole = Collected::at(&partial).await?;
        let (digest, bytes) = self.collect(spec, &source, &mut whole, tell).await?;
        let signature = match self.check_signature(spec, &source, &partial).await {
            Ok(signature) => signature,
            Err(error) => {
                whole.forget().await?;
                return Err(error);
            }
        };
        let path = self.store.admit(&partial, &digest)?;
        whole.forget_tag().await?;
        Ok(Fetched { digest, bytes, path, signature })
    }

    fn lock(&self, partial: &Path) -> Arc<tokio::sync::Mutex<()>> {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        busy.retain(|_, lock| lock.strong_count() > 0);
        if let Some(lock) = busy.get(partial).and_then(Weak::upgrade) {
            return lock;
        }
        let lock = Arc::new(tokio::sync::Mutex::new(()));
        busy.insert(partial.to_owned(), Arc::downgrade(&lock));
        lock
    }

    /// Attempts until all of it is here, with the digest that it must have.
    async fn collect(
        &self,
        spec: &PackageSpec,
        source: &Source,
        whole: &mut Collected,
        tell: &(dyn Fn(Progress) + Sync),
    ) -> Result<(Digest, u64), FetchError> {
        let patience = &self.policy.patience;
        let mut pause = patience.pause;
        let mut attempt = 1;
        loop {
            let told = |bytes, of| tell(Progress { bytes, of, attempt });
            let glued = whole.bytes > 0;
            let fault = match self.attempt(source, whole, &told).await {
                Ok(()) => match self.check_digest(spec, whole).await? {
                    Ok(right) => return Ok(right),
                    Err(wrong) => {
                        whole.forget().await?;
                        // Its halves may be of two versions.
                        if glued { Fault::Passing(wrong.to_string()) } else { Fault::Final(wrong) }
                    }
                },
                Err(fault) => fault,
            };
            match fault {
                Fault::Final(error) => {
                    whole.forget().await?;
                    return Err(error);
                }
                Fault::Passing(why) if attempt >= patience.tries => {
                    // Nothing can be added to what has no name.
                    if whole.tag.is_none() {
                        whole.forget().await?;
                    }
                    return Err(FetchError::Unreachable { tries: attempt, why });
                }
                Fault::Passing(_) => {}
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
            attempt += 1;
        }
    }

    async fn attempt(
        &self,
        source: &Source,
        whole: &mut Collected,
        told: &(dyn Fn(u64, Option<u64>) + Sync),
    ) -> Result<(), Fault> {
        match source {
            Source::Web(url) => self.download(url, whole, told).await,
            Source::Folder(name) => self.copy(name, whole, told).await,
        }
    }

    async fn check_digest(
        &self,
        spec: &PackageSpec,
        whole: &Collected,
    ) -> io::Result<Result<(Digest, u64), FetchError>> {
        let path = whole.path.clone();
        let (found, bytes) = blocking(move || store::digest(&mut std::fs::File::open(path)?)).await?;
        Ok(match &spec.sha256 {
            Some(expected) if *expected != found => {
                Err(FetchError::WrongDigest { expected: expected.clone(), found })
            }
            Some(_) | None => Ok((found, bytes)),
        })
    }

    async fn check_signature(
        &self,
        spec: &PackageSpec,
        source: &Source,
        path: &Path,
    ) -> Result<Option<String>, FetchError> {
        let signature = match (&spec.signature, self.policy.proof) {
            (Some(signature), _) => signature.clone(),
            (None, Proof::Signed) => self.signature_beside(source).await?,
            (None, Proof::None | Proof::Digest) => return Ok(None),
        };
        let (keys, path, text) = (self.policy.keys.clone(), path.to_owned(), signature.clone());
        blocking(move || Ok(keys.verify(&text, &path))).await??;
        Ok(Some(signature))
    }

    /// The signature that lies beside a package.
    async fn signature_beside(&self, source: &Source) -> Result<String, FetchError> {
        let unsigned = |place: String| FetchError::Unsigned(place);
        match source {
            Source::Folder(name) => {
                let name = format!("{name}{BESIDE}");
                let path = self.in_folder(&name).await.map_err(|_| unsigned(format!("file:{name}")))?;
                let text = fs::read(&path).await?;
                Ok(String::from_utf8_lossy(&text[..text.len().min(MAX_SIGNATURE)]).into_owned())
            }
            Source::Web(url) => {
                let mut beside = url.clone();
                beside.set_path(&format!("{}{BESIDE}", url.path()));
                let fault = |fault: Fault| match fault {
                    Fault::Final(FetchError::Refused(_)) => unsigned(beside.to_string()),
                    Fault::Final(error) => error,
                    Fault::Passing(why) => FetchError::Unreachable { tries: 1, why },
                };
                let mut response = self.get(&beside, HeaderMap::new()).await.map_err(fault)?;
                let mut text = Vec::new();
                while let Some(chunk) = self.chunk(&mut response).await.map_err(fault)? {
                    text.extend_from_slice(&chunk);
                    if text.len() > MAX_SIGNATURE {
                        return Err(FetchError::TooLarge(MAX_SIGNATURE as u64));
                    }
                }
                Ok(String::from_utf8_lossy(&text).into_owned())
            }
        }
    }

    /// A file of the configured folder. Wherever links lead, it must lie in there.
    async fn in_folder(&self, name: &str) -> Result<PathBuf, FetchError> {
        let folder = self.policy.folder.as_ref().ok_or(Forbidden::NoFolder)?;
        let found = fs::canonicalize(folder.join(name)).await.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => FetchError::NoFile,
            _ => FetchError::Io(error),
        })?;
        // What is no plain file may never end, or never begin.
        let is_file = fs::metadata(&found).await?.is_file();
        if found.starts_with(fs::canonicalize(folder).await?) && is_file {
            Ok(found)
        } else {
            Err(FetchError::NotAFile)
        }
    }

    async fn copy(
        &self,
        name: &str,
        whole: &mut Collected,
        told: &(dyn Fn(u64, Option<u64>) + Sync),
    ) -> Result<(), Fault> {
        let path = self.in_folder(name).await?;
        let size = fs::metadata(&path).await?.len();
        if size > self.policy.most_bytes {
            return Err(FetchError::TooLarge(self.policy.most_bytes).into());
        }
        whole.forget().await?;
        whole.bytes = fs::copy(&path, &whole.path).await?;
        told(whole.bytes, Some(size));
        Ok(())
    }

    async fn download(
        &self,
        url: &Url,
        whole: &mut Collected,
        told: &(dyn Fn(u64, Option<u64>) + Sync),
    ) -> Result<(), Fault> {
        let mut response = self.get(url, whole.rest()).await?;
        if response.status() == StatusCode::PARTIAL_CONTENT && !whole.goes_on_with(&response) {
            whole.forget().await?;
            return Err(Fault::Passing("the server sent another part than it was asked for".to_owned()));
        }
        if response.status() != StatusCode::PARTIAL_CONTENT {
            whole.begin(response.headers().get(ETAG)).await?;
        }
        let most = self.policy.most_bytes;
        let of = response.content_length().map(|rest| whole.bytes.saturating_add(rest));
        if of.is_some_and(|of| of > most) {
            return Err(FetchError::TooLarge(most).into());
        }
        let mut file = OpenOptions::new().append(true).open(&whole.path).await?;
        told(whole.bytes, of);
        let taken = self.take(&mut response, &mut file, whole, &|bytes| told(bytes, of)).await;
        // What was written is there for the next attempt, whatever became of this one.
        file.flush().await?;
        taken
    }

    async fn take(
        &self,
        response: &mut Response,
        file: &mut File,
        whole: &mut Collected,
        told: &(dyn Fn(u64) + Sync),
    ) -> Result<(), Fault> {
        while let Some(chunk) = self.chunk(response).await? {
            if whole.bytes + chunk.len() as u64 > self.policy.most_bytes {
                return Err(FetchError::TooLarge(self.policy.most_bytes).into());
            }
            file.write_all(&chunk).await?;
            whole.bytes += chunk.len() as u64;
            told(whole.bytes);
        }
        Ok(())
    }

    /// The next part of a body; `None` at its end.
    async fn chunk(&self, response: &mut Response) -> Result<Option<Vec<u8>>, Fault> {
        let chunk = tokio::time::timeout(self.policy.patience.silence, response.chunk()).await;
        match chunk {
            Ok(Ok(chunk)) => Ok(chunk.map(Into::into)),
            Ok(Err(error)) => Err(Fault::Passing(words(&error))),
            Err(_) => Err(self.silent()),
        }
    }

    /// Asks for something, also where a redirect leads, if packages may come from there.
    async fn get(&self, url: &Url, headers: HeaderMap) -> Result<Response, Fault> {
        let mut url = url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let asked = self.client.get(url.clone()).headers(headers.clone()).send();
            let response = match tokio::time::timeout(self.policy.patience.silence, asked).await {
                Ok(Ok(response)) => response,
                Ok(Err(error)) => return Err(Fault::Passing(words(&error))),
                Err(_) => return Err(self.silent()),
            };
            let status = response.status();
            if status.is_success() {
                return Ok(response);
            }
            if !status.is_redirection() {
                return Err(refused(status));
            }
            let to = response.headers().get(LOCATION).and_then(|to| to.to_str().ok());
            url = to.and_then(|to| url.join(to).ok()).ok_or(FetchError::Redirects)?;
            if !self.policy.allows(&url) {
                let place: String = url.as_str().chars().take(200).collect();
                return Err(FetchError::ForeignRedirect(place).into());
            }
        }
        Err(FetchError::Redirects.into())
    }

    fn silent(&self) -> Fault {
        Fault::Passing(format!("the server sent nothing for {} s", self.policy.patience.silence.as_secs()))
    }
}

/// Whether a server that refuses may think better of it: when it is overloaded, being started, or broken.
fn refused(status: StatusCode) -> Fault {
    let passing = matches!(
        status,
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS | StatusCode::RANGE_NOT_SATISFIABLE
    );
    if passing || status.is_server_error() {
        Fault::Passing(format!("the server answers {status}"))
    } else {
        FetchError::Refused(status).into()
    }
}

/// An error with what caused it. The address is not in it: it may be signed.
fn words(error: &reqwest::Error) -> String {
    let mut words = Vec::new();
    let mut next: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(error) = next {
        words.push(error.to_string());
        next = error.source();
    }
    if words.is_empty() { "the connection broke".to_owned() } else { words.join(": ") }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

/// What is here of a package.
struct Collected {
    path: PathBuf,
    bytes: u64,
    /// How the server names the version that this is of; without it nothing can be added to it.
    tag: Option<HeaderValue>,
}

impl Collected {
    /// What an earlier attempt left, also of a server that has ended since.
    async fn at(path: &Path) -> io::Result<Collected> {
        let mut whole = Collected { path: path.to_owned(), bytes: 0, tag: None };
        let tag = fs::read(whole.tag_path()).await.ok();
        whole.tag = tag.and_then(|tag| HeaderValue::from_bytes(&tag).ok());
        match fs::metadata(path).await {
            Ok(about) if whole.tag.is_some() => whole.bytes = about.len(),
            Ok(_) | Err(_) => whole.forget().await?,
        }
        Ok(whole)
    }

    fn tag_path(&self) -> PathBuf {
        self.path.with_extension("tag")
    }

    /// What asks for the part that is missing.
    fn rest(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let (Some(tag), true) = (&self.tag, self.bytes > 0)
            && let Ok(range) = HeaderValue::from_str(&format!("bytes={}-", self.bytes))
        {
            headers.insert(RANGE, range);
            headers.insert(IF_RANGE, tag.clone());
        }
        headers
    }

    /// True if a part begins where this ends.
    fn goes_on_with(&self, part: &Response) -> bool {
        let range = part.headers().get(CONTENT_RANGE).and_then(|range| range.to_str().ok());
        let begin = range.and_then(|range| range.strip_prefix("bytes ")?.split('-').next()?.parse().ok());
        begin == Some(self.bytes)
    }

    /// Begins anew, with a version that is called so.
    async fn begin(&mut self, tag: Option<&HeaderValue>) -> io::Result<()> {
        self.forget().await?;
        File::create(&self.path).await?;
        // A weak one names what means the same, not what is the same (RFC 9110, 13.1.5).
        self.tag = tag.filter(|tag| !tag.as_bytes().starts_with(b"W/")).cloned();
        if let Some(tag) = &self.tag {
            fs::write(self.tag_path(), tag.as_bytes()).await?;
        }
        Ok(())
    }

    async fn forget(&mut self) -> io::Result<()> {
        self.bytes = 0;
        remove(&self.path).await?;
        self.forget_tag().await
    }

    async fn forget_tag(&mut self) -> io::Result<()> {
        self.tag = None;
        remove(&self.tag_path()).await
    }
}

async fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}
