//! `fenix plugin`, `hosts`, `template` and `subscribe`: what administrators have beside sessions.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::client::{At, segment};
use super::exit::Failure;
use super::session::{items, object, row, table, text};
use super::{Output, print, watch};

/// `fenix plugin`
#[derive(Debug, Args)]
pub struct PluginArgs {
    #[command(flatten)]
    at: At,
    #[command(subcommand)]
    what: PluginWhat,
}

#[derive(Debug, Subcommand)]
enum PluginWhat {
    /// Attach a component: new sessions can name it at once
    Attach {
        /// The component
        file: PathBuf,
        /// Let it use what it asks for
        #[arg(long)]
        grant: bool,
    },
    /// List plug-ins
    List,
    /// Show a plug-in
    Show {
        /// Its name or digest
        name: String,
    },
    /// Let a plug-in use what it asks for
    Grant {
        /// Its name or digest; by digest also one that a session will bring
        name: String,
        /// Only this of it: cloud, packages, or calls as "http GET,POST https://hooks.example/v1/* with hook-token"; may be
        /// repeated
        #[arg(long = "right", value_name = "RIGHT")]
        rights: Vec<String>,
    },
    /// Let a plug-in use nothing any longer
    Revoke {
        /// Its name or digest
        name: String,
    },
    /// Detach a plug-in; sessions that have it go on with it
    Detach {
        /// Its name
        name: String,
    },
}

/// `fenix hosts`
#[derive(Debug, Args)]
pub struct HostsArgs {
    #[command(flatten)]
    at: At,
    #[command(subcommand)]
    what: HostsWhat,
}

#[derive(Debug, Subcommand)]
enum HostsWhat {
    /// List hosts with what became of them
    List,
    /// Show a host and the instances on it
    Show {
        /// Its name
        host: String,
    },
    /// Say that a host that was left out is right again
    Clear {
        /// Its name
        host: String,
    },
}

/// `fenix template`
#[derive(Debug, Args)]
pub struct TemplateArgs {
    #[command(flatten)]
    at: At,
    #[command(subcommand)]
    what: TemplateWhat,
}

#[derive(Debug, Subcommand)]
enum TemplateWhat {
    /// Save a template, or replace the one of that name
    Save {
        /// Its name
        name: String,
        /// JSON file with a body of POST /v1/maintenance; without `maintenance_at` it starts when somebody starts it
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
        /// What it is for
        #[arg(long, default_value = "")]
        description: String,
    },
    /// List templates
    List,
    /// Start a session from a template
    Start {
        /// Its name
        name: String,
        /// JSON object whose keys go before the template's
        #[arg(long, value_name = "JSON")]
        changes: Option<String>,
        /// Follow it until it has ended
        #[arg(long)]
        watch: bool,
    },
    /// Remove a template
    Remove {
        /// Its name
        name: String,
    },
}

/// `fenix subscribe`
#[derive(Debug, Args)]
pub struct SubscribeArgs {
    #[command(flatten)]
    at: At,
    #[command(subcommand)]
    what: SubscribeWhat,
}

#[derive(Debug, Subcommand)]
enum SubscribeWhat {
    /// Order messages for a receiver
    Add {
        /// Whose messages
        #[arg(long)]
        project: String,
        /// Where to
        #[arg(long)]
        to: String,
        /// Which: exact text, or a glob with `*` [default: maintenance.*]
        #[arg(long)]
        event_type: Option<String>,
        /// Under this id; without it the server makes one
        #[arg(long)]
        id: Option<String>,
    },
    /// List standing orders
    List,
    /// End a standing order
    Remove {
        /// Its id
        id: String,
    },
}

/// Runs one of `fenix plugin`.
///
/// # Errors
/// The server cannot be reached, or refused.
pub async fn plugin(args: PluginArgs, output: Output) -> Result<(), Failure> {
    let fenix = args.at.connect()?;
    let path = |name: &str| format!("/v1/plugins/{}", segment(name));
    match args.what {
        PluginWhat::Attach { file, grant } => {
            let component = read(&file)?;
            let reply = fenix.send(Method::POST, "/v1/plugins", component).await?;
            let (name, digest) = (text(&reply["name"]), text(&reply["digest"]));
            let granted = match grant {
                true => fenix.call(Method::PUT, &format!("{}/grant", path(&digest)), None).await?,
                false => reply.clone(),
            };
            said(&reply, format!("attached {name} {}", text(&reply["version"])), output);
            let missing =
                words(&reply["asks"]).into_iter().filter(|word| !words(&granted["granted"]).contains(word));
            let missing: Vec<String> = missing.collect();
            if !missing.is_empty() {
                print::note(format!(
                    "it asks for {}; `fenix plugin grant {name}` grants it",
                    missing.join(", ")
                ));
            }
        }
        PluginWhat::Grant { name, rights } => {
            let right = |text: &String| match text.split_once(' ') {
                Some((kind, rule)) => json!({ (kind): rule }),
                None => json!(text),
            };
            let rights: Vec<Value> = rights.iter().map(right).collect();
            let body = (!rights.is_empty()).then(|| json!({ "rights": rights }));
            let reply = fenix.call(Method::PUT, &format!("{}/grant", path(&name)), body.as_ref()).await?;
            let granted = words(&reply["granted"]);
            let granted = if granted.is_empty() { "nothing".to_owned() } else { granted.join(", ") };
            said(&reply, format!("{name} may use {granted}"), output);
        }
        PluginWhat::Revoke { name } => {
            let reply = fenix.call(Method::DELETE, &format!("{}/grant", path(&name)), None).await?;
            said(&reply, format!("{name} may use nothing"), output);
        }
        PluginWhat::List => plugins(&fenix.get("/v1/plugins").await?, output, kinds),
        PluginWhat::Show { name } => plugins(&fenix.get(&path(&name)).await?, output, words),
        PluginWhat::Detach { name } => {
            let reply = fenix.call(Method::DELETE, &path(&name), None).await?;
            said(&reply, format!("detached {name}"), output);
        }
    }
    Ok(())
}

/// Shows plug-ins, with their rights as `rights` tells them.
fn plugins(reply: &Value, output: Output, rights: fn(&Value) -> Vec<String>) {
    shown(reply, output, || {
        let heads = ["NAME", "VERSION", "KIND", "ORIGIN", "ASKS", "GRANTED", "SESSIONS", "DIGEST"];
        let rows = items(reply, "plugins").map(|plugin| {
            let sessions = plugin["sessions"].as_array().map_or(0, Vec::len).to_string();
            let mut cells = row(plugin, &["name", "version", "kind", "origin"]);
            cells.extend(["asks", "granted"].map(|key| rights(&plugin[key]).join(", ")));
            cells.extend([sessions, text(&plugin["digest"])]);
            cells
        });
        table(&heads, rows);
    });
}

/// Rights as the command line takes them.
fn words(rights: &Value) -> Vec<String> {
    let word = |right: &Value| match right.as_object().and_then(|of_rule| of_rule.iter().next()) {
        Some((kind, rule)) => format!("{kind} {}", text(rule)),
        None => text(right),
    };
    rights.as_array().into_iter().flatten().map(word).collect()
}

/// Of which kinds rights are, each once: calls over HTTP may be many, and long.
fn kinds(rights: &Value) -> Vec<String> {
    let mut kinds: Vec<String> = words(rights);
    kinds.iter_mut().for_each(|word| word.truncate(word.find(' ').unwrap_or(word.len())));
    kinds.dedup();
    kinds
}

/// Runs one of `fenix hosts`.
///
/// # Errors
/// The server cannot be reached, or refused.
pub async fn hosts(args: HostsArgs, output: Output) -> Result<(), Failure> {
    let fenix = args.at.connect()?;
    let path = |host: &str| format!("/v1/hosts/{}", segment(host));
    match args.what {
        HostsWhat::List => {
            let reply = fenix.get("/v1/hosts").await?;
            shown(&reply, output, || host_table(items(&reply, "hosts")));
        }
        HostsWhat::Show { host } => {
            let reply = fenix.get(&path(&host)).await?;
            shown(&reply, output, || {
                host_table(std::iter::once(&reply));
                print::line("");
                let heads = ["INSTANCE", "PROJECT", "STATE", "MOVES", "FROM", "AT"];
                let keys = ["instance_id", "project_id", "state", "moves", "moved_from", "moved_at"];
                table(&heads, items(&reply, "instance_list").map(|instance| row(instance, &keys)));
            });
        }
        HostsWhat::Clear { host } => {
            let reply = fenix.call(Method::DELETE, &format!("{}/quarantine", path(&host)), None).await?;
            said(&reply, format!("{host} is {}", text(&reply["stage"])), output);
        }
    }
    Ok(())
}

fn host_table<'a>(hosts: impl Iterator<Item = &'a Value>) {
    let heads = ["HOST", "TYPE", "SERVICE", "INSTANCES", "STAGE", "MAINTAINED", "BY", "LEFT OUT"];
    let rows = hosts.map(|host| {
        let mut cells = row(host, &["hostname", "type", "service", "instances", "stage"]);
        let actions = items(&host["maintained"], "actions").map(|action| text(&action["name"]));
        cells.push(text(&host["maintained"]["at"]));
        cells.push(actions.collect::<Vec<_>>().join(" "));
        cells.push(text(&host["quarantined"]["why"]));
        cells
    });
    table(&heads, rows);
}

/// Runs one of `fenix template`.
///
/// # Errors
/// The server cannot be reached, or refused; with `watch`, the session failed.
pub async fn template(args: TemplateArgs, output: Output) -> Result<(), Failure> {
    let fenix = args.at.connect()?;
    let path = |name: &str| format!("/v1/templates/{}", segment(name));
    match args.what {
        TemplateWhat::Save { name, file, description } => {
            let written = String::from_utf8(read(&file)?)
                .map_err(|_| Failure::usage(format!("{} is no text", file.display())))?;
            let session = object(&written, &file.display().to_string())?;
            let body = json!({ "description": description, "session": session });
            let reply = fenix.call(Method::PUT, &path(&name), Some(&body)).await?;
            said(&reply, format!("saved {name}; `fenix template start {name}` starts it"), output);
        }
        TemplateWhat::List => {
            let reply = fenix.get("/v1/templates").await?;
            let keys = ["name", "description"];
            shown(&reply, output, || {
                table(&["NAME", "DESCRIPTION"], items(&reply, "templates").map(|one| row(one, &keys)));
            });
        }
        TemplateWhat::Start { name, changes, watch } => {
            let changes =
                changes.map(|changes| object(&changes, "--changes")).transpose()?.unwrap_or_default();
            let reply = fenix.call(Method::POST, &path(&name), Some(&Value::Object(changes))).await?;
            let session = text(&reply["session_id"]);
            match output {
                Output::Json => print::json(&reply),
                Output::Text => print::line(&session),
            }
            if watch {
                watch::follow(&fenix, &session, output, false).await?;
            }
        }
        TemplateWhat::Remove { name } => {
            let reply = fenix.call(Method::DELETE, &path(&name), None).await?;
            said(&reply, format!("removed {name}"), output);
        }
    }
    Ok(())
}

/// Runs one of `fenix subscribe`.
///
/// # Errors
/// The server cannot be reached, or refused.
pub async fn subscribe(args: SubscribeArgs, output: Output) -> Result<(), Failure> {
    let fenix = args.at.connect()?;
    let path = |id: &str| format!("/v1/subscriptions/{}", segment(id));
    match args.what {
        SubscribeWhat::Add { project, to, event_type, id } => {
            let mut body = Map::from_iter([("project_id".into(), json!(project)), ("url".into(), json!(to))]);
            body.extend(event_type.map(|event_type| ("event_type".into(), json!(event_type))));
            let body = Value::Object(body);
            let reply = match id {
                Some(id) => fenix.call(Method::PUT, &path(&id), Some(&body)).await?,
                None => fenix.call(Method::POST, "/v1/subscriptions", Some(&body)).await?,
            };
            said(&reply, format!("order {}", text(&reply["id"])), output);
        }
        SubscribeWhat::List => {
            let reply = fenix.get("/v1/subscriptions").await?;
            let keys = ["id", "project_id", "event_type", "waiting", "url"];
            shown(&reply, output, || {
                let heads = ["ID", "PROJECT", "EVENTS", "WAITING", "TO"];
                table(&heads, items(&reply, "subscriptions").map(|order| row(order, &keys)));
            });
        }
        SubscribeWhat::Remove { id } => {
            let reply = fenix.call(Method::DELETE, &path(&id), None).await?;
            said(&reply, format!("ended {id}"), output);
        }
    }
    Ok(())
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(file).map_err(|error| Failure::usage(format!("cannot read {}: {error}", file.display())))
}

/// Shows an answer: as it is for programs, or as `text` writes it.
pub(super) fn shown(reply: &Value, output: Output, text: impl FnOnce()) {
    match output {
        Output::Json => print::json(reply),
        Output::Text => text(),
    }
}

/// Says what was done.
pub(super) fn said(reply: &Value, done: String, output: Output) {
    shown(reply, output, || print::note(done));
}
