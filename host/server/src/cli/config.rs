//! `fenix config check`: what a configuration means, where each value comes from, and all that is wrong with it.

use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, Subcommand};
use fenix_store::Standing;
use serde_json::{Value, json};

use super::exit::{Failure, Kind};
use super::{Output, print};
use crate::auth::Tokens;
use crate::bus::Bus;
use crate::config::meaning::{Setting, as_file};
use crate::config::written::{Lines, Problem, written};
use crate::config::{Config, Settings, read_file, read_text};
use crate::infrastructure::Driver;
use crate::listen;
use crate::sandbox;
use crate::shell::writer::whole;
use crate::tls;
use crate::wire::payload::Base;

/// `fenix config`
#[derive(Debug, Args)]
pub struct ConfigArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Say what `fenix serve` would read with the same flags, and everything that is wrong with it
    Check(Box<CheckArgs>),
}

/// `fenix config check`
#[derive(Debug, Args)]
struct CheckArgs {
    /// Configuration file [default: fenix.toml, if it is there]
    #[arg(long, value_name = "FILE", env = "FENIX_CONFIG")]
    config: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
}

/// Runs the command. `given` is what was given on the command line, and `known` the arguments that there are.
///
/// # Errors
/// Something is wrong with the configuration, or with what it names: wrong usage.
pub async fn run(
    args: ConfigArgs,
    given: &ArgMatches,
    known: &Command,
    output: Output,
) -> Result<(), Failure> {
    let What::Check(args) = args.what;
    let unusable = |error: crate::config::ConfigError| Failure { kind: Kind::Usage, ..Failure::of(&error) };
    let file = read_text(args.config.as_deref()).map_err(unusable)?;
    let (lines, problems) = file.as_ref().map(|(_, text)| written(text)).unwrap_or_default();
    let name = file.as_ref().map_or("the flags", |(path, _)| path.to_str().unwrap_or("the file"));
    if !problems.is_empty() {
        return Err(refuse(name, &problems, output));
    }
    let file_settings = read_file(args.config.as_deref()).map_err(unusable)?;
    let config = args.settings.or(file_settings).resolve().map_err(unusable)?;
    let origins = Origins { lines: &lines, file: name, given, known };
    let settings: Vec<(Setting, String)> = config
        .settings()
        .into_iter()
        .map(|setting| {
            let origin = origins.of(setting.0);
            (setting, origin)
        })
        .collect();
    let (notes, problems) = look(&config, &lines).await;
    if output == Output::Text {
        print::note(
            file.as_ref()
                .map_or("no file is read".to_owned(), |(path, _)| format!("read {}", path.display())),
        );
        as_file(&settings).iter().for_each(print::line);
        notes.iter().for_each(print::note);
    } else if problems.is_empty() {
        let row =
            |((key, value), from): &(Setting, String)| json!({ "key": key, "value": value, "from": from });
        let rows: Vec<Value> = settings.iter().map(row).collect();
        print::json(&json!({ "settings": rows, "notes": notes, "problems": [] }));
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(refuse(name, &problems, output))
}

/// Where values come from.
struct Origins<'a> {
    lines: &'a Lines,
    file: &'a str,
    given: &'a ArgMatches,
    known: &'a Command,
}

impl Origins<'_> {
    fn of(&self, key: &str) -> String {
        let ids = ["_", "-"].map(|joint| key.replace('.', joint));
        let known = |id: &&String| self.given.try_contains_id(id).is_ok();
        let id = ids.iter().find(known).unwrap_or(&ids[0]);
        let source = match self.given.try_contains_id(id) {
            Ok(_) => self.given.value_source(id),
            Err(_) => None,
        };
        let argument = self.known.get_arguments().find(|argument| argument.get_id() == id.as_str());
        // A table of names, as that of accounts, begins with the first of them.
        let below = format!("{key}.");
        let first = || self.lines.iter().find_map(|(name, line)| name.starts_with(&below).then_some(line));
        match (source, self.lines.get(key).or_else(first)) {
            (Some(ValueSource::CommandLine), _) => {
                format!("--{}", argument.and_then(clap::Arg::get_long).unwrap_or(id))
            }
            (Some(ValueSource::EnvVariable), _) => argument
                .and_then(clap::Arg::get_env)
                .map_or("environment".to_owned(), |name| name.to_string_lossy().into_owned()),
            (_, Some(line)) => format!("{}:{line}", self.file),
            (_, None) => "default".to_owned(),
        }
    }
}

/// What can be found out without starting: remarks, and problems.
async fn look(config: &Config, lines: &Lines) -> (Vec<String>, Vec<Problem>) {
    let mut notes = Vec::new();
    let mut problems = Vec::new();
    let mut wrong = |key: &str, why: String| {
        problems.push(Problem { line: lines.get(key).copied(), key: key.to_owned(), why });
    };
    if let Err(error) = listen::bind_anywhere(config.listen).await {
        notes.push(format!("{}; a server that runs already would explain it", whole(&error)));
    }
    let url = config.public_url.clone().unwrap_or_else(|| config.own_url());
    if let Err(error) = Base::new(&url) {
        wrong("public_url", error.to_string());
    }
    if let Some(Err(error)) = config.tokens.as_deref().map(Tokens::read) {
        wrong("tokens", whole(&error));
    }
    if let Some(Err(error)) = config.tls.as_ref().map(tls::server) {
        wrong("tls_certificate", whole(&error));
    }
    if config.infrastructure.driver == Driver::OpenStack
        && let Err(error) = config.infrastructure.connect()
    {
        wrong("openstack.cloud", whole(&error));
    }
    if let Err(error) = Bus::new(&config.bus) {
        wrong("bus.brokers", whole(&error));
    }
    match fenix_store::standing(&config.data_dir) {
        Ok(standing) => notes.push(told(&config.data_dir, standing)),
        Err(error) => wrong("data_dir", whole(&error)),
    }
    if let Some(folder) = &config.plugin_dir {
        match sandbox::try_folder(folder) {
            Err(error) => wrong("plugin_dir", whole(&error)),
            Ok(tried) => {
                for (path, info) in tried {
                    match info {
                        Ok(info) => notes.push(format!(
                            "plug-in {} {} in {} compiles",
                            info.name,
                            info.version,
                            path.display()
                        )),
                        Err(error) => wrong("plugin_dir", whole(&error)),
                    }
                }
            }
        }
    }
    (notes, problems)
}

fn told(dir: &Path, standing: Standing) -> String {
    let dir = dir.display();
    match standing {
        Standing::Missing => format!("{dir} is not there yet, and will be made"),
        Standing::Empty => format!("{dir} is empty, and will be set up"),
        Standing::Free => format!("{dir} is a data directory that nobody has open"),
        Standing::InUse { holder: Some(pid) } => format!("{dir} is in use by process {pid}"),
        Standing::InUse { holder: None } => format!("{dir} is in use"),
    }
}

/// The failure that names all problems; as JSON they are also the result.
fn refuse(name: &str, problems: &[Problem], output: Output) -> Failure {
    if output == Output::Json {
        let row = |problem: &Problem| json!({ "line": problem.line, "key": problem.key, "why": problem.why });
        let rows: Vec<Value> = problems.iter().map(row).collect();
        print::json(&json!({ "settings": [], "notes": [], "problems": rows }));
    }
    let count = match problems.len() {
        1 => "one problem".to_owned(),
        count => format!("{count} problems"),
    };
    let mut message = format!("{name} cannot be used: {count}");
    for Problem { line, key, why } in problems {
        let line = line.map(|line| format!("line {line}: ")).unwrap_or_default();
        let key = if key.is_empty() { String::new() } else { format!("{key}: ") };
        message.push_str(&format!("\n{line}{key}{}", why.replace('\n', "; ")));
    }
    Failure::usage(message).hint("the settings, with what each means, stand in fenix.example.toml")
}
