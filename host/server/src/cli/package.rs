//! `fenix package` and `fenix bundle`: packages that are put on a server, also where no network leads.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use fenix_core::id::Digest;
use fenix_core::package::PackageSpec;
use fenix_packages::bundle::{self, BundleError};
use fenix_packages::fetch::Fetcher;
use fenix_packages::store::{self, Store};
use reqwest::{Body, Method};
use serde_json::{Value, json};
use tokio::runtime::Handle;

use super::client::{At, Fenix, segment};
use super::exit::Failure;
use super::session::{self, items, row, table, text};
use super::standing::{said, shown};
use super::{Output, print};
use crate::config::read_file;
use crate::packages::porter;
use crate::pipe;
use crate::server::believed;
use crate::shell::writer::whole;
use crate::wire;

/// `fenix package`
#[derive(Debug, Args)]
pub struct PackageArgs {
    #[command(flatten)]
    at: At,
    #[command(subcommand)]
    what: PackageWhat,
}

#[derive(Debug, Subcommand)]
enum PackageWhat {
    /// List packages that are here
    List,
    /// Put a package here, to stay
    Add {
        /// The package
        file: PathBuf,
    },
    /// Remove a package that was put here
    Remove {
        /// Its SHA-256
        sha256: String,
    },
    /// Sign an address under which a host can fetch a package for a while
    Address {
        /// Its SHA-256
        sha256: String,
        /// Who is to fetch it
        #[arg(long)]
        host: String,
    },
}

/// `fenix bundle`
#[derive(Debug, Args)]
pub struct BundleArgs {
    #[command(flatten)]
    at: At,
    #[command(subcommand)]
    what: BundleWhat,
}

#[derive(Debug, Subcommand)]
enum BundleWhat {
    /// Fetch packages, check them as a server with that configuration would, and write them into one file
    Export {
        /// The file to make
        dest: PathBuf,
        /// A package as a session brings it: `URL#SHA256`, or `URL` where the configuration asks for no digest
        #[arg(long = "package", value_name = "URL", required_unless_present = "download")]
        packages: Vec<String>,
        /// JSON file with the `download` list of a session, whose packages are taken too
        #[arg(long, value_name = "FILE")]
        download: Option<PathBuf>,
        /// Configuration file, of which `[packages]` is read [default: fenix.toml, if it is there]
        #[arg(long, value_name = "FILE", env = "FENIX_CONFIG")]
        config: Option<PathBuf>,
    },
    /// Put all packages of such a file on a server, and write the `download` list with which sessions bring them
    Import {
        /// The file
        file: PathBuf,
    },
}

/// Runs one of `fenix package`.
///
/// # Errors
/// The server cannot be reached, or refused; a file cannot be read.
pub async fn package(args: PackageArgs, output: Output) -> Result<(), Failure> {
    let fenix = args.at.connect()?;
    let path = |sha256: &str| format!("/v1/packages/{}", segment(sha256));
    match args.what {
        PackageWhat::List => {
            let reply = fenix.get("/v1/packages").await?;
            shown(&reply, output, || {
                let rows = items(&reply, "packages").map(|package| {
                    let sessions = package["sessions"].as_array().map_or(0, Vec::len).to_string();
                    let mut cells = row(package, &["bytes", "kept", "sha256"]);
                    cells.insert(2, sessions);
                    cells
                });
                table(&["BYTES", "KEPT", "SESSIONS", "SHA256"], rows);
            });
        }
        PackageWhat::Add { file } => {
            let mut content = File::open(&file).map_err(|error| unreadable(&file, &error))?;
            let sum =
                move || store::digest(&mut content).and_then(|sum| content.rewind().map(|()| (sum, content)));
            let ((digest, _), content) = blocking(sum).await?.map_err(|error| unreadable(&file, &error))?;
            let reply = blocking(move || put(&fenix, &digest, content)).await??;
            said(&reply, format!("{} is here as {}", file.display(), text(&reply["sha256"])), output);
        }
        PackageWhat::Remove { sha256 } => {
            let reply = fenix.call(Method::DELETE, &path(&sha256), None).await?;
            said(&reply, format!("removed {sha256}"), output);
        }
        PackageWhat::Address { sha256, host } => {
            let body = json!({ "host": host });
            let reply = fenix.call(Method::POST, &format!("{}/address", path(&sha256)), Some(&body)).await?;
            shown(&reply, output, || {
                print::line(text(&reply["url"]));
                print::note(format!("good until {} UTC", text(&reply["until"])));
            });
        }
    }
    Ok(())
}

fn unreadable(path: &Path, error: &dyn std::error::Error) -> Failure {
    Failure::usage(format!("cannot read {}: {}", path.display(), whole(error)))
}

/// Runs what blocks its thread, and may wait for the runtime.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(|fault| Failure::of(&fault))
}

/// Sends a package to a server. Blocks.
fn put(fenix: &Fenix, digest: &Digest, mut content: impl Read) -> Result<Value, Failure> {
    let runtime = Handle::current();
    let (mut pipe, body) = pipe::new(runtime.clone());
    let (fenix, path) = (fenix.clone(), format!("/v1/packages/{digest}"));
    let answer = runtime.spawn(async move { fenix.upload(&path, Body::wrap(body)).await });
    let sent = std::io::copy(&mut content, &mut pipe).and_then(|_| pipe.flush());
    drop(pipe);
    // What the server says goes first: it may have read enough to refuse the rest.
    let answer = runtime.block_on(answer).map_err(|fault| Failure::of(&fault))??;
    sent.map(|()| answer).map_err(|error| Failure::of(&error))
}

/// Runs one of `fenix bundle`.
///
/// # Errors
/// A package cannot be fetched or is none, a file cannot be used, the server cannot be reached or refused.
pub async fn bundle(args: BundleArgs, output: Output) -> Result<(), Failure> {
    match args.what {
        BundleWhat::Export { dest, packages, download, config } => {
            let mut wanted: Vec<Value> = packages.iter().map(|package| session::package(package)).collect();
            if let Some(file) = download {
                let text = std::fs::read_to_string(&file).map_err(|error| unreadable(&file, &error))?;
                let list: Vec<Value> = serde_json::from_str(&text).map_err(|error| {
                    Failure::usage(format!("{} is no JSON list: {error}", file.display()))
                })?;
                wanted.extend(list);
            }
            export(&dest, &wanted, config.as_deref(), output).await
        }
        BundleWhat::Import { file } => import(args.at.connect()?, file, output).await,
    }
}

async fn export(dest: &Path, wanted: &[Value], config: Option<&Path>, output: Output) -> Result<(), Failure> {
    let settings = read_file(config).map_err(|error| Failure::of(&error))?.packages;
    let policy = settings.policy().map_err(Failure::usage)?;
    let specs = wire::packages::read(wanted, &policy).map_err(|invalid| Failure::usage(invalid.message))?;
    // Beside the bundle: there is room for it, or for neither.
    let folder = dest.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let unusable = |error: std::io::Error| unwritable(dest, &error);
    let scratch = Scratch(folder.join(format!(".fenix-bundle-{}", uuid::Uuid::new_v4())));
    let store = Store::open(&scratch.0).map_err(unusable)?;
    let tls = believed(&settings.trust()).map_err(|error| Failure::of(&error))?;
    let client = porter::client(tls).map_err(|error| Failure::of(&error))?;
    let fetcher = Fetcher::new(client, policy, store);
    let mut packages = Vec::with_capacity(specs.len());
    for spec in specs {
        print::note(format!("fetching {}", spec.url));
        let fetched = fetcher.fetch(&spec, &|_| ()).await;
        let fetched = fetched.map_err(|error| Failure::failed(format!("{}: {}", spec.url, whole(&error))))?;
        let (sha256, signature) = (Some(fetched.digest), fetched.signature);
        packages.push((PackageSpec { sha256, signature, ..spec }, fetched.path));
    }
    let file = OpenOptions::new().write(true).create_new(true).open(dest).map_err(unusable)?;
    let count = packages.len();
    let write = move || {
        let packages: Vec<(PackageSpec, &Path)> =
            packages.iter().map(|(spec, path)| (spec.clone(), &**path)).collect();
        let mut out = BufWriter::new(file);
        bundle::write(&mut out, &packages)?;
        out.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()
    };
    if let Err(error) = blocking(write).await? {
        // What is left of it is no bundle.
        drop(std::fs::remove_file(dest));
        return Err(unusable(error));
    }
    let reply = json!({ "file": dest, "packages": count });
    said(
        &reply,
        format!("{} holds {count} packages; `fenix bundle import` puts them on a server", dest.display()),
        output,
    );
    Ok(())
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::failed(format!("cannot write {}: {error}", path.display()))
}

/// A folder that goes when it is dropped.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// Why an import ended.
enum Ended {
    Bundle(BundleError),
    Server(Failure),
}

impl From<BundleError> for Ended {
    fn from(error: BundleError) -> Ended {
        Ended::Bundle(error)
    }
}

async fn import(fenix: Fenix, file: PathBuf, output: Output) -> Result<(), Failure> {
    let there = fenix.get("/v1/packages").await?;
    let kept = items(&there, "packages").filter(|package| package["kept"] == true);
    let kept: Vec<Digest> = kept.map(|package| text(&package["sha256"]).into()).collect();
    let content = File::open(&file).map_err(|error| unreadable(&file, &error))?;
    let work = move || {
        bundle::read(BufReader::new(content), |digest, bytes, content| {
            if kept.contains(digest) {
                print::note(format!("{digest} is there"));
                return Ok(());
            }
            print::note(format!("{digest} is sent, {bytes} bytes"));
            put(&fenix, digest, content).map(|_| ()).map_err(Ended::Server)
        })
    };
    let packages = blocking(work).await?.map_err(|ended| match ended {
        Ended::Bundle(error) => Failure::usage(format!("{} is no bundle: {}", file.display(), whole(&error))),
        Ended::Server(failure) => failure,
    })?;
    let count = packages.len();
    print::json(&json!(packages));
    if output == Output::Text {
        print::note(format!(
            "{count} packages are here; the list above is the `download` of sessions that bring them"
        ));
    }
    Ok(())
}
