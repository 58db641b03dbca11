//! `fenix backup`, `restore` and `store`: what is done with a whole journal.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use fenix_core::time::Millis;
use fenix_engine::ports::Clock;
use fenix_store::archive::{ArchiveError, Entry, Sum, back_up, read};
use fenix_store::{Compacted, OpenError, SledJournal, compact, restore};
use serde_json::json;

use super::client::At;
use super::exit::{Failure, Kind};
use super::{Output, print};
use crate::config::{ConfigError, Settings, read_file};
use crate::sandbox::kept_files;
use crate::shell::clock::WallClock;
use crate::wire::time::spaced;

/// `fenix backup`
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// The file to make
    pub(super) dest: PathBuf,
    /// Read this data directory, which no server has open, instead of asking a server
    #[arg(long, value_name = "DIR")]
    pub(super) data_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(super) at: At,
}

/// `fenix restore`
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The backup
    archive: PathBuf,
    /// The data directory to make; it must be empty or not there
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
}

/// `fenix store`
#[derive(Debug, Args)]
pub struct StoreArgs {
    #[command(subcommand)]
    what: StoreWhat,
}

#[derive(Debug, Subcommand)]
enum StoreWhat {
    /// Read and check everything in a data directory, and change nothing in it
    Check(Where),
    /// Leave out sessions that were removed long ago, and looks at the infrastructure that later ones supersede
    Compact(CompactArgs),
}

/// Which data directory.
#[derive(Debug, Args)]
struct Where {
    /// The data directory, which no server has open [default: as `fenix serve` would take it]
    #[arg(long, value_name = "DIR", env = "FENIX_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// Configuration file [default: fenix.toml, if it is there]
    #[arg(long, value_name = "FILE", env = "FENIX_CONFIG")]
    config: Option<PathBuf>,
}

/// `fenix store compact`
#[derive(Debug, Args)]
struct CompactArgs {
    #[command(flatten)]
    at: Where,
    /// Days for which removed sessions are kept [default: `retention_days` of the configuration]
    #[arg(long, value_name = "DAYS")]
    retention_days: Option<u32>,
    /// Only say what would be left out
    #[arg(long)]
    dry_run: bool,
}

const DAY: u64 = 24 * 3600;

/// Makes a backup: on return it is durable, was read again, and is whole.
///
/// # Errors
/// There is such a file already, the server or directory cannot be read, or the backup is not whole.
pub async fn backup(args: BackupArgs, output: Output) -> Result<(), Failure> {
    let dest = &args.dest;
    if dest.exists() {
        let message = format!("{} is there already", dest.display());
        return Err(Failure::usage(message).hint("name a file that is not there yet"));
    }
    let mut name = dest.file_name().ok_or_else(|| Failure::usage("name a file to make"))?.to_owned();
    name.push(".part");
    let part = dest.with_file_name(name);
    let made = fill(&args, &part).await.and_then(|()| {
        let sum = verified(&part)?;
        std::fs::rename(&part, dest)
            .and_then(|()| sync_parent(dest))
            .map_err(|error| unwritable(dest, &error))?;
        Ok(sum)
    });
    if made.is_err() {
        // What is left of it is no backup.
        drop(std::fs::remove_file(&part));
    }
    tell(&made?, &format!("{} holds", dest.display()), output);
    Ok(())
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::failed(format!("cannot write {}: {error}", path.display()))
}

fn sync_parent(path: &Path) -> std::io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

/// Writes the backup; on return it is durable.
pub(super) async fn fill(args: &BackupArgs, part: &Path) -> Result<(), Failure> {
    let wrong = |error: std::io::Error| unwritable(part, &error);
    // It holds secrets of receivers: nobody else may read it.
    let file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(part).map_err(wrong)?;
    let mut out = BufWriter::new(file);
    match &args.data_dir {
        None => {
            let fenix = args.at.connect()?;
            fenix.download("/v1/backup", |piece| out.write_all(piece).map_err(wrong)).await?;
        }
        Some(dir) => {
            offline(dir, &mut out)?;
        }
    }
    out.into_inner().map_err(|error| wrong(error.into_error()))?.sync_all().map_err(wrong)
}

fn offline(dir: &Path, out: &mut impl Write) -> Result<(), Failure> {
    there(dir)?;
    let (journal, opened) = SledJournal::open(dir).map_err(|error| {
        let in_use = matches!(error, OpenError::Locked { .. });
        let failure = Failure::of(&error);
        if in_use {
            failure.hint("leave out --data-dir, and the server makes the backup while it runs")
        } else {
            failure
        }
    })?;
    if let Some(hurt) = opened.damage.first() {
        let message = format!("session {} is hurt from record {} on: {}", hurt.session, hurt.seq, hurt.why);
        return Err(
            Failure::failed(message).hint("start the server, which parks it, and then make the backup")
        );
    }
    let files = kept_files(dir).map_err(|error| Failure::of(&error))?;
    let now = WallClock::default().now();
    back_up(&journal.reader(), files, now, env!("CARGO_PKG_VERSION"), out)
        .map_err(|error| Failure::of(&error))?;
    Ok(())
}

/// A directory that is read is not made.
fn there(dir: &Path) -> Result<(), Failure> {
    if dir.join("FORMAT").exists() || dir.join("sled").exists() {
        return Ok(());
    }
    Err(Failure::usage(format!("{} is no Fenix data directory", dir.display()))
        .hint("name the one that `fenix serve` has as its data_dir with --data-dir"))
}

fn verified(path: &Path) -> Result<Sum, Failure> {
    read_archive(path, |_| Ok(()))
}

/// Reads a whole backup.
pub(super) fn read_archive(
    path: &Path,
    show: impl FnMut(Entry) -> Result<(), ArchiveError>,
) -> Result<Sum, Failure> {
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    read(BufReader::new(file), show).map_err(|error| Failure::of(&error))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::usage(format!("cannot read {}: {error}", path.display()))
}

fn tell(sum: &Sum, who: &str, output: Output) {
    match output {
        Output::Json => print::json(&json!({
            "made_at": spaced(sum.made_at), "last_seq": sum.last_seq, "records": sum.records,
            "files": sum.files, "sha256": sum.digest,
        })),
        Output::Text => print::line(format!(
            "{who} {} records up to record {}, and {} components, as they were at {} UTC; SHA-256 {}",
            sum.records,
            sum.last_seq,
            sum.files,
            spaced(sum.made_at),
            sum.digest
        )),
    }
}

/// Makes a data directory out of a backup.
///
/// # Errors
/// The backup is not whole, or there is something in the directory; it is then as before.
pub fn restore_archive(args: &RestoreArgs, output: Output) -> Result<(), Failure> {
    let file = File::open(&args.archive).map_err(|error| unreadable(&args.archive, &error))?;
    let sum = restore(BufReader::new(file), &args.data_dir).map_err(|error| {
        Failure::failed(format!("{}: {}", args.archive.display(), Failure::of(&error).message))
    })?;
    let dir = args.data_dir.display();
    tell(&sum, &format!("{dir} holds"), output);
    print::note(format!(
        "`fenix serve --data-dir {dir}` goes on from there; it looks at the cloud before it acts"
    ));
    Ok(())
}

/// Runs `fenix store`.
///
/// # Errors
/// The directory cannot be used; or something in it is hurt.
pub fn store(args: StoreArgs, output: Output) -> Result<(), Failure> {
    match args.what {
        StoreWhat::Check(at) => {
            let (dir, _) = configured(&at)?;
            there(&dir)?;
            super::store_check::run(&dir, output)
        }
        StoreWhat::Compact(args) => {
            let (dir, days) = configured(&args.at)?;
            there(&dir)?;
            let days = args.retention_days.unwrap_or(days);
            let retention = Millis::from_secs(u64::from(days) * DAY);
            let done = compact(&dir, retention, WallClock::default().now(), args.dry_run)
                .map_err(|error| Failure::of(&error))?;
            tell_compacted(&done, &dir, args.dry_run, output);
            Ok(())
        }
    }
}

/// The data directory, and the days for which removed sessions are kept.
fn configured(at: &Where) -> Result<(PathBuf, u32), Failure> {
    let unusable = |error: ConfigError| Failure { kind: Kind::Usage, ..Failure::of(&error) };
    let file = read_file(at.config.as_deref()).map_err(unusable)?;
    // Only these two of its settings matter here: that others do not go together is for the server to say.
    let days = file.store.retention_days.unwrap_or(crate::config::DEFAULT_RETENTION_DAYS);
    let Settings { data_dir, .. } = file;
    let default = || crate::config::DEFAULT_DATA_DIR.into();
    Ok((at.data_dir.clone().or(data_dir).unwrap_or_else(default), days))
}

fn tell_compacted(done: &Compacted, dir: &Path, dry: bool, output: Output) {
    let Compacted { before, after, sessions, bytes_before, bytes_after } = done;
    match output {
        Output::Json => {
            let ids: Vec<&str> = sessions.iter().map(|id| id.as_str()).collect();
            print::json(&json!({ "dry_run": dry, "records_before": before, "records_after": after,
                "sessions": ids, "bytes_before": bytes_before, "bytes_after": bytes_after }));
        }
        Output::Text => {
            let would = if dry { "would be left" } else { "are left" };
            print::line(format!(
                "{after} of {before} records {would}; sessions without all of theirs: {}",
                sessions.len()
            ));
            if !dry && after < before {
                print::line(format!("{bytes_after} of {bytes_before} bytes"));
            }
            if !dry && !sessions.is_empty() {
                print::note(format!("whole they are in {}", dir.join("archive").display()));
            }
        }
    }
}
