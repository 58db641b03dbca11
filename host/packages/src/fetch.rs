//! Fetches one package: with attempts, from where the last one broke off, within limits of size and time.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use fenix_core::id::Digest;
use fenix_core::package::PackageSpec;
use reqwest::header::{ETAG, HeaderValue};
use reqwest::{Client, Response, StatusCode, Url};
use tokio::fs::{self, File, OpenOptions};
use tokio::io::AsyncWriteExt;

use crate::collected::{Collected, Versions};
use crate::http::{Fault, MAX_REDIRECTS, Request};
use crate::oci::{Artifact, OciError};
use crate::policy::{Forbidden, Policy, Proof};
use crate::registry::Visit;
use crate::signature::{MAX_SIGNATURE, SignatureError};
use crate::source::Source;
use crate::store::{self, Store};

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
    #[error(transparent)]
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
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// It is no artifact with a package in it.
    #[error(transparent)]
    Oci(#[from] OciError),
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

/// What an attempt brought.
enum Brought {
    /// All of it, with a digest that it must have if there is one.
    All(Option<Digest>),
    /// Nothing: it is here already.
    Known(Fetched),
}

/// What is received.
struct Expected<'a> {
    versions: Versions<'a>,
    /// Most bytes that it may have.
    most: u64,
    /// What is wrong if it has more.
    too_large: &'a (dyn Fn() -> FetchError + Sync),
}

/// What is told how many bytes are here, and of how many.
type Told<'a> = &'a (dyn Fn(u64, Option<u64>) + Sync);

/// Fetches packages into a store.
pub struct Fetcher {
    pub(crate) client: Client,
    pub(crate) policy: Policy,
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
        if let Some(mut fetched) = spec.sha256.as_ref().and_then(|digest| self.known(digest)) {
            fetched.signature = self.check_signature(spec, &source, &fetched.path).await?;
            return Ok(fetched);
        }
        let partial = self.store.partial(&format!("{source} {:?}", spec.sha256));
        let lock = self.lock(&partial);
        let _alone = lock.lock().await;
        let mut whole = Collected::at(&partial).await?;
        let mut fetched = self.collect(spec, &source, &mut whole, tell).await?;
        fetched.signature = match self.check_signature(spec, &source, &fetched.path).await {
            Ok(signature) => signature,
            Err(error) => {
                whole.forget().await?;
                return Err(error);
            }
        };
        if fetched.path == partial {
            fetched.path = self.store.admit(&partial, &fetched.digest)?;
        }
        whole.forget().await?;
        Ok(fetched)
    }

    /// What is here already, by its digest; whether anybody answers for it is not looked at.
    fn known(&self, digest: &Digest) -> Option<Fetched> {
        let (path, bytes) = self.store.find(digest)?;
        Some(Fetched { digest: digest.clone(), bytes, path, signature: None })
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

    /// Attempts until all of it is here, with the digest that it must have. It lies where it was collected, or is kept
    /// already.
    async fn collect(
        &self,
        spec: &PackageSpec,
        source: &Source,
        whole: &mut Collected,
        tell: &(dyn Fn(Progress) + Sync),
    ) -> Result<Fetched, FetchError> {
        let patience = &self.policy.patience;
        let mut pause = patience.pause;
        let mut attempt = 1;
        loop {
            let told = |bytes, of| tell(Progress { bytes, of, attempt });
            let glued = whole.bytes > 0;
            let fault = match self.attempt(spec, source, whole, &told).await {
                Ok(Brought::Known(fetched)) => return Ok(fetched),
                Ok(Brought::All(expected)) => match check_digest(expected, whole).await? {
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
        spec: &PackageSpec,
        source: &Source,
        whole: &mut Collected,
        told: Told<'_>,
    ) -> Result<Brought, Fault> {
        match source {
            Source::Web(url) => self.download(url, whole, told).await?,
            Source::Folder(name) => self.copy(name, whole, told).await?,
            Source::Oci(artifact) => return self.pull(spec, artifact, whole, told).await,
        }
        Ok(Brought::All(spec.sha256.clone()))
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
                let mut response = self.get(&Request::to(&beside)).await.map_err(fault)?;
                let text = self.body(&mut response, MAX_SIGNATURE).await.map_err(fault)?;
                let text = text.ok_or(FetchError::TooLarge(MAX_SIGNATURE as u64))?;
                Ok(String::from_utf8_lossy(&text).into_owned())
            }
            Source::Oci(_) => Err(Forbidden::NoSignature.into()),
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

    async fn copy(&self, name: &str, whole: &mut Collected, told: Told<'_>) -> Result<(), Fault> {
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

    async fn download(&self, url: &Url, whole: &mut Collected, told: Told<'_>) -> Result<(), Fault> {
        let versions = Versions::Tagged;
        let request = Request { headers: whole.rest(versions), ..Request::to(url) };
        let response = self.ask(&request).await?;
        let most = self.policy.most_bytes;
        let expected = Expected { versions, most, too_large: &|| FetchError::TooLarge(most) };
        self.receive(response, whole, &expected, told).await
    }

    /// The layer of an artifact. What its manifest says of it is compared before any of it is asked for.
    async fn pull(
        &self,
        spec: &PackageSpec,
        artifact: &Artifact,
        whole: &mut Collected,
        told: Told<'_>,
    ) -> Result<Brought, Fault> {
        let mut registry = Visit::new(self, artifact);
        let layer = registry.layer().await?;
        let (digest, most) = (layer.digest.clone(), layer.bytes);
        if let Some(expected) = spec.sha256.clone().filter(|expected| *expected != digest) {
            return Err(FetchError::WrongDigest { expected, found: digest }.into());
        }
        if let Some(fetched) = self.known(&digest) {
            return Ok(Brought::Known(fetched));
        }
        if most > self.policy.most_bytes {
            return Err(FetchError::TooLarge(self.policy.most_bytes).into());
        }
        let version = HeaderValue::from_str(digest.as_str()).map_err(io::Error::other)?;
        whole.keep_only(&version).await?;
        if whole.tag.is_none() || whole.bytes < most {
            let versions = Versions::Named(&version);
            let response = registry.blob(&layer, whole.rest(versions)).await?;
            let too_large = || OciError::TooLong { digest: digest.clone(), expected: most }.into();
            let expected = Expected { versions, most, too_large: &too_large };
            self.receive(response, whole, &expected, told).await?;
        }
        if whole.bytes < most {
            let short = OciError::TooShort { digest, expected: most, found: whole.bytes };
            return Err(Fault::Passing(short.to_string()));
        }
        Ok(Brought::All(Some(digest)))
    }

    /// Adds to what is here the part that was asked for, or begins anew with all of it.
    async fn receive(
        &self,
        mut response: Response,
        whole: &mut Collected,
        expected: &Expected<'_>,
        told: Told<'_>,
    ) -> Result<(), Fault> {
        let status = response.status();
        let is_part = status == StatusCode::PARTIAL_CONTENT;
        if status == StatusCode::RANGE_NOT_SATISFIABLE || is_part && !whole.goes_on_with(&response) {
            whole.forget().await?;
            return Err(Fault::Passing("the server sent another part than it was asked for".to_owned()));
        }
        if !status.is_success() {
            return Err(FetchError::Refused(status).into());
        }
        if !is_part {
            whole.begin(response.headers().get(ETAG).cloned(), expected.versions).await?;
        }
        let of = response.content_length().map(|rest| whole.bytes.saturating_add(rest));
        if of.is_some_and(|of| of > expected.most) {
            return Err((expected.too_large)().into());
        }
        let mut file = OpenOptions::new().append(true).open(&whole.path).await?;
        told(whole.bytes, of);
        let taken = self.take(&mut response, &mut file, whole, expected, &|bytes| told(bytes, of)).await;
        // What was written is there for the next attempt, whatever became of this one.
        file.flush().await?;
        taken
    }

    async fn take(
        &self,
        response: &mut Response,
        file: &mut File,
        whole: &mut Collected,
        expected: &Expected<'_>,
        told: &(dyn Fn(u64) + Sync),
    ) -> Result<(), Fault> {
        while let Some(chunk) = self.chunk(response).await? {
            if whole.bytes + chunk.len() as u64 > expected.most {
                return Err((expected.too_large)().into());
            }
            file.write_all(&chunk).await?;
            whole.bytes += chunk.len() as u64;
            told(whole.bytes);
        }
        Ok(())
    }
}

/// What was collected, or what it is instead of what it must be.
async fn check_digest(
    expected: Option<Digest>,
    whole: &Collected,
) -> io::Result<Result<Fetched, FetchError>> {
    let path = whole.path.clone();
    let (found, bytes) = blocking(move || store::digest(&mut std::fs::File::open(path)?)).await?;
    Ok(match expected {
        Some(expected) if expected != found => Err(FetchError::WrongDigest { expected, found }),
        Some(_) | None => Ok(Fetched { digest: found, bytes, path: whole.path.clone(), signature: None }),
    })
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}
