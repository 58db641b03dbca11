//! `fenix token`: makes tokens, and shows who holds one.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use fenix_core::caller::Role;
use fenix_core::time::{Millis, Time};
use fenix_engine::ports::Clock;
use serde_json::{Value, json};

use super::exit::Failure;
use super::session::table;
use super::{Output, print};
use crate::auth::{MAX_LIFE_DAYS, Tokens, mint};
use crate::shell::clock::WallClock;
use crate::wire::time::iso;

/// Seconds of a day.
const DAY: u64 = 24 * 60 * 60;

/// `fenix token`
#[derive(Debug, Args)]
pub struct TokenArgs {
    /// File of the tokens, as the server's `tokens` names it
    #[arg(long, global = true, value_name = "FILE", env = "FENIX_TOKENS", default_value = "tokens.toml")]
    file: PathBuf,
    #[command(subcommand)]
    what: TokenWhat,
}

#[derive(Debug, Subcommand)]
enum TokenWhat {
    /// Make a token, and show it once; the file keeps only its hash
    New {
        /// Who will hold it, as the audit shall name them
        name: String,
        /// What they may do
        #[arg(long, value_enum)]
        role: Word,
        /// The project that they answer for, with the role project
        #[arg(long)]
        project: Option<String>,
        /// Days after which it is worth nothing; without it, it is good for ever
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_LIFE_DAYS)))]
        days: Option<u32>,
    },
    /// List who holds a token
    List,
}

/// The roles.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Word {
    /// May do everything
    Administrator,
    /// May see and answer what concerns one project
    Project,
    /// May look, and change nothing
    Reader,
}

impl Word {
    fn text(self) -> &'static str {
        match self {
            Word::Administrator => "administrator",
            Word::Project => "project",
            Word::Reader => "reader",
        }
    }
}

/// Runs one of `fenix token`.
///
/// # Errors
/// The file cannot be used, or what is wanted cannot be.
pub fn run(args: TokenArgs, output: Output) -> Result<(), Failure> {
    match args.what {
        TokenWhat::New { name, role, project, days } => {
            let expires =
                days.map(|days| WallClock::default().now() + Millis::from_secs(u64::from(days) * DAY));
            make(&args.file, &name, role, project.as_deref(), expires, output)
        }
        TokenWhat::List => list(&args.file, output),
    }
}

fn make(
    file: &Path,
    name: &str,
    role: Word,
    project: Option<&str>,
    expires: Option<Time>,
    output: Output,
) -> Result<(), Failure> {
    let is_there = file.exists();
    if is_there {
        let known = Tokens::read(file).map_err(|error| Failure::of(&error))?;
        if known.holders().any(|(holder, _)| holder.name == name) {
            let hint = "choose another name, or take the entry out of the file first";
            return Err(Failure::usage(format!("{name} holds a token already")).hint(hint));
        }
    }
    let (token, entry) = mint(name, role.text(), project, expires).map_err(Failure::usage)?;
    append(file, &entry)
        .map_err(|error| Failure::failed(format!("cannot write {}: {error}", file.display())))?;
    match output {
        Output::Json => print::json(&json!({ "name": name, "token": token })),
        Output::Text => print::line(&token),
    }
    let rest = if is_there {
        "a server that runs takes it on SIGHUP"
    } else {
        "name it to the server with --tokens"
    };
    print::note(format!("this is the only time that it is shown; {} keeps its hash; {rest}", file.display()));
    Ok(())
}

fn append(file: &Path, entry: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(file)?;
    file.write_all(entry.as_bytes())?;
    file.sync_all()
}

fn list(file: &Path, output: Output) -> Result<(), Failure> {
    let tokens = Tokens::read(file).map_err(|error| Failure::of(&error))?;
    let project = |role: &Role| match role {
        Role::Project(project) => Some(project.to_string()),
        Role::Administrator | Role::Reader => None,
    };
    match output {
        Output::Json => {
            let all: Vec<Value> = tokens
                .holders()
                .map(|(holder, expires)| {
                    json!({ "name": holder.name, "role": holder.role.word(),
                        "project_id": project(&holder.role), "expires": expires.map(iso) })
                })
                .collect();
            print::json(&json!({ "tokens": all }));
        }
        Output::Text => table(
            &["NAME", "ROLE", "PROJECT", "GOOD UNTIL"],
            tokens.holders().map(|(holder, expires)| {
                let until = expires.map_or_else(|| "for ever".to_owned(), iso);
                let project = project(&holder.role).unwrap_or_default();
                vec![holder.name.clone(), holder.role.word().to_owned(), project, until]
            }),
        ),
    }
    Ok(())
}
