//! `fenix session`: the administrator's calls.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use fenix_core::time::Time;
use fenix_engine::ports::Clock;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::client::{At, Fenix};
use super::exit::Failure;
use super::session_verify::VerifyArgs;
use super::text::{columns, plain};
use super::{Output, print, session_verify, watch};
use crate::shell::clock::WallClock;
use crate::wire::session::DEFAULT_WORKFLOW;
use crate::wire::time::spaced;

/// `fenix session`
#[derive(Debug, Args)]
pub struct SessionArgs {
    #[command(flatten)]
    at: At,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Start a session
    Start(Box<StartArgs>),
    /// List all sessions
    List,
    /// Show a session with its hosts
    Show(Id),
    /// Watch a session until it has ended; the exit code tells how
    Watch(WatchArgs),
    /// Show what was decided and why, and what was refused
    Decisions(Id),
    /// Show what a session waits for
    Blockers(Id),
    /// Let a failed, parked or paused session go on
    Continue(Id),
    /// Hold a session: nothing new is begun
    Pause(Id),
    /// Close a session and remove it when it is safe
    Delete(Id),
    /// Read the journal again, with other eyes, and say where a rule was broken
    Verify(VerifyArgs),
}

#[derive(Debug, Args)]
struct Id {
    /// The session: its id, or the beginning of it; may be left out if there is only one
    session: Option<String>,
}

/// `fenix session watch`
#[derive(Debug, Args)]
struct WatchArgs {
    #[command(flatten)]
    id: Id,
    /// A line for everything that happens, also at a terminal
    #[arg(long)]
    plain: bool,
}

/// `fenix session start`
#[derive(Debug, Default, Args)]
struct StartArgs {
    /// Hosts to maintain; none = all that no other session holds
    hosts: Vec<String>,
    /// Workflow that decides [default: default]
    #[arg(long)]
    workflow: Option<String>,
    /// Action to run, with its type (`assess`, `pre`, `host`, `compute`, `controller`, `gate`, `post`) and JSON metadata
    #[arg(long = "action", value_name = "PLUGIN[:TYPE[:JSON]]")]
    actions: Vec<String>,
    /// A package that the session brings, with the SHA-256 of its content: plug-ins, or what its actions bring to hosts; may
    /// be repeated
    #[arg(long = "package", value_name = "URL[#SHA256]")]
    packages: Vec<String>,
    /// When to start, `YYYY-MM-DD HH:MM:SS` in UTC [default: now]
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// When no further host may be begun
    #[arg(long, value_name = "TIME")]
    window_end: Option<String>,
    /// JSON object that is told to the managers
    #[arg(long, value_name = "JSON")]
    metadata: Option<String>,
    /// What to do in case of trouble, like silence=skip
    #[arg(long = "policy", value_name = "TROUBLE=POLICY")]
    policies: Vec<String>,
    /// A limit, a time-out in seconds, or true or false, like move_within=120 or own_host=true
    #[arg(long = "term", value_name = "NAME=VALUE")]
    terms: Vec<String>,
    /// JSON file with a whole body of POST /v1/maintenance; what else is said goes before it
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Follow it until it has ended
    #[arg(long)]
    watch: bool,
}

/// Runs one of the commands.
///
/// # Errors
/// The server cannot be reached, or refused; with `watch`, the session failed.
pub async fn run(args: SessionArgs, output: Output) -> Result<(), Failure> {
    let fenix = args.at.connect()?;
    match args.what {
        What::Verify(what) => session_verify::run(what, args.at, output).await,
        What::Start(start) => begin(&fenix, *start, output).await,
        What::List => list(&fenix, output).await,
        What::Show(id) => show(&fenix, &resolve(&fenix, id).await?, output).await,
        What::Watch(args) => {
            watch::follow(&fenix, &resolve(&fenix, args.id).await?, output, args.plain).await
        }
        What::Decisions(id) => decisions(&fenix, &resolve(&fenix, id).await?, output).await,
        What::Blockers(id) => blockers(&fenix, &resolve(&fenix, id).await?, output).await,
        What::Continue(id) => {
            steer(&fenix, id, Method::PUT, &json!({ "condition": "running" }), output).await
        }
        What::Pause(id) => steer(&fenix, id, Method::PUT, &json!({ "condition": "paused" }), output).await,
        What::Delete(id) => steer(&fenix, id, Method::DELETE, &Value::Null, output).await,
    }
}

fn path(session: &str) -> String {
    format!("/v1/maintenance/{session}")
}

/// The session that is meant.
async fn resolve(fenix: &Fenix, id: Id) -> Result<String, Failure> {
    let list = fenix.get("/v1/maintenance").await?;
    let all: Vec<&str> =
        list["sessions"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let beginning = id.session.unwrap_or_default();
    let matching: Vec<&str> = all.iter().copied().filter(|id| id.starts_with(&beginning)).collect();
    match (matching.as_slice(), beginning.is_empty()) {
        ([one], _) => Ok((*one).to_owned()),
        ([], true) => Err(Failure::failed("there is no session").hint("`fenix session start` makes one")),
        ([], false) => Err(Failure::failed(format!("no session begins with {beginning}"))
            .hint("`fenix session list` shows those that there are")),
        (several, _) => {
            let count = several.len();
            let failure = Failure::usage(format!("{count} sessions are meant; say more of the id"));
            Err(several.iter().fold(failure, |failure, id| failure.hint(*id)))
        }
    }
}

async fn steer(fenix: &Fenix, id: Id, method: Method, body: &Value, output: Output) -> Result<(), Failure> {
    let session = resolve(fenix, id).await?;
    let body = (!body.is_null()).then_some(body);
    fenix.call(method, &path(&session), body).await?;
    match output {
        Output::Json => print::json(&json!({ "session_id": session })),
        Output::Text => print::note(format!("done: session {session}")),
    }
    Ok(())
}

async fn begin(fenix: &Fenix, args: StartArgs, output: Output) -> Result<(), Failure> {
    let follow = args.watch;
    let body = body(args)?;
    let reply = fenix.call(Method::POST, "/v1/maintenance", Some(&body)).await?;
    let session = reply["session_id"].as_str().unwrap_or_default().to_owned();
    for warning in reply["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        print::note(format!("warning: {}", plain(warning)));
    }
    for unmet in reply["unmet"].as_array().into_iter().flatten() {
        let text = |key: &str| unmet[key].as_str().map(plain);
        let about = text("group_id").map(|id| format!("group {id}"));
        let about =
            about.or_else(|| text("instance_id").map(|id| format!("instance {id}"))).unwrap_or_default();
        let (project, why) = (text("project_id").unwrap_or_default(), text("why").unwrap_or_default());
        print::note(format!("warning: a constraint of project {project} cannot be met: {about}: {why}"));
    }
    match output {
        Output::Json => print::json(&reply),
        Output::Text => print::line(&session),
    }
    if follow { watch::follow(fenix, &session, output, false).await } else { Ok(()) }
}

/// The body that the flags describe.
fn body(args: StartArgs) -> Result<Value, Failure> {
    let mut body = match &args.file {
        None => Map::new(),
        Some(file) => {
            let text = std::fs::read_to_string(file)
                .map_err(|error| Failure::usage(format!("cannot read {}: {error}", file.display())))?;
            object(&text, &file.display().to_string())?
        }
    };
    body.entry("state").or_insert(json!("MAINTENANCE"));
    if args.workflow.is_some() || !body.contains_key("workflow") {
        body.insert("workflow".into(), json!(args.workflow.as_deref().unwrap_or(DEFAULT_WORKFLOW)));
    }
    body.entry("metadata").or_insert(json!({}));
    if !args.hosts.is_empty() || !body.contains_key("hosts") {
        body.insert("hosts".into(), json!(args.hosts));
    }
    if args.at.is_some() || !body.contains_key("maintenance_at") {
        body.insert("maintenance_at".into(), json!(args.at.unwrap_or_else(|| spaced(now()))));
    }
    if let Some(text) = &args.metadata {
        body.insert("metadata".into(), Value::Object(object(text, "--metadata")?));
    }
    if let Some(end) = args.window_end {
        body.insert("window_end".into(), json!(end));
    }
    if !args.packages.is_empty() {
        body.insert("download".into(), args.packages.iter().map(|text| package(text)).collect());
    }
    if !args.actions.is_empty() {
        let actions: Result<Vec<Value>, Failure> = args.actions.iter().map(|text| action(text)).collect();
        body.insert("actions".into(), Value::Array(actions?));
    }
    if !args.policies.is_empty() {
        body.insert("policies".into(), pairs(&args.policies, |text| Some(json!(text)))?);
    }
    if !args.terms.is_empty() {
        body.insert(
            "terms".into(),
            pairs(&args.terms, |text| serde_json::from_str(text).ok().filter(is_term))?,
        );
    }
    Ok(Value::Object(body))
}

fn now() -> Time {
    WallClock::default().now()
}

pub(super) fn object(text: &str, what: &str) -> Result<Map<String, Value>, Failure> {
    serde_json::from_str(text).map_err(|error| Failure::usage(format!("{what} is no JSON object: {error}")))
}

/// `PLUGIN[:TYPE[:JSON]]`
/// What follows the last # is the digest: a package's address has no other one.
pub(super) fn package(text: &str) -> Value {
    match text.rsplit_once('#') {
        Some((url, sha256)) => json!({ "url": url, "sha256": sha256 }),
        None => json!({ "url": text }),
    }
}

fn action(text: &str) -> Result<Value, Failure> {
    let mut parts = text.splitn(3, ':');
    let plugin = parts.next().unwrap_or_default();
    let mut action = json!({ "plugin": plugin, "type": parts.next().unwrap_or("host") });
    if let Some(metadata) = parts.next() {
        action["metadata"] = Value::Object(object(metadata, &format!("the metadata of action {plugin}"))?);
    }
    Ok(action)
}

/// Whether a value can be one of a term: a whole number, or true or false.
fn is_term(value: &Value) -> bool {
    value.is_u64() || value.is_boolean()
}

/// `NAME=VALUE` as an object.
fn pairs(texts: &[String], read: impl Fn(&str) -> Option<Value>) -> Result<Value, Failure> {
    let pair = |text: &String| {
        let (name, value) = text.split_once('=')?;
        Some((name.trim().to_owned(), read(value.trim())?))
    };
    let read_all = texts.iter().map(|text| {
        pair(text).ok_or_else(|| {
            Failure::usage(format!("{text:?} must be like name=value, numbers whole, else true or false"))
                .hint("fenix.example.toml lists the names, with what each means")
        })
    });
    Ok(Value::Object(read_all.collect::<Result<_, _>>()?))
}

/// A text out of an answer, fit for a terminal.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => plain(text),
        other => plain(&other.to_string()),
    }
}

/// Cells for the keys of an answer.
pub(super) fn row(value: &Value, keys: &[&str]) -> Vec<String> {
    keys.iter().map(|key| text(&value[*key])).collect()
}

pub(super) fn table(heads: &[&str], rows: impl Iterator<Item = Vec<String>>) {
    let heads = heads.iter().map(|head| (*head).to_owned()).collect();
    let all: Vec<Vec<String>> = std::iter::once(heads).chain(rows).collect();
    for line in columns(&all) {
        print::line(line);
    }
}

pub(super) fn items<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    value[key].as_array().into_iter().flatten()
}

async fn list(fenix: &Fenix, output: Output) -> Result<(), Failure> {
    let list = fenix.get("/v1/maintenance").await?;
    match output {
        Output::Json => print::json(&list),
        Output::Text => table(
            &["SESSION", "STATE", "CONDITION", "DONE"],
            items(&list, "summaries").map(|s| {
                let done = format!("{} %", text(&s["percent_done"]));
                vec![text(&s["session_id"]), text(&s["state"]), text(&s["condition"]), done]
            }),
        ),
    }
    Ok(())
}

async fn show(fenix: &Fenix, session: &str, output: Output) -> Result<(), Failure> {
    let detail = fenix.get(&format!("{}/detail", path(session))).await?;
    if output == Output::Json {
        print::json(&detail);
        return Ok(());
    }
    let known = &detail["session"];
    print::line(format!("session    {session}"));
    for (name, value) in [
        ("state", &detail["state"]),
        ("condition", &detail["condition"]),
        ("reason", &detail["reason"]),
        ("workflow", &known["workflow"]),
        ("start", &known["maintenance_at"]),
        ("waits for", &detail["waiting"]["on"]),
    ] {
        let value = text(value);
        if !value.is_empty() {
            print::line(format!("{name:<10} {value}"));
        }
    }
    print::line(format!("{:<10} {} %", "done", text(&detail["percent_done"])));
    print::line("");
    table(
        &["HOST", "TYPE", "STAGE", "INSTANCES", "ACTION", "", "REASON"],
        items(&detail, "hosts").map(|host| {
            row(host, &["hostname", "type", "stage", "instances", "plugin", "plugin_state", "details"])
        }),
    );
    Ok(())
}

async fn decisions(fenix: &Fenix, session: &str, output: Output) -> Result<(), Failure> {
    let mut from = Some(0);
    while let Some(after) = from {
        let reply = fenix.get(&format!("{}/decisions?from={after}", path(session))).await?;
        from = reply["next"].as_u64();
        match output {
            Output::Json => print::json(&reply),
            Output::Text => {
                items(&reply, "decisions").for_each(|line| print::line(watch::history_line(line)))
            }
        }
        if from.is_none() && output == Output::Text {
            for refused in items(&reply, "refused") {
                let times = text(&refused["times"]);
                let (rule, why) = (text(&refused["rule"]), text(&refused["why"]));
                print::line(format!("refused {times} times by {rule}: {why}"));
            }
        }
    }
    Ok(())
}

async fn blockers(fenix: &Fenix, session: &str, output: Output) -> Result<(), Failure> {
    let reply = fenix.get(&format!("{}/blockers", path(session))).await?;
    if output == Output::Json {
        print::json(&reply);
        return Ok(());
    }
    if items(&reply, "blockers").next().is_none() {
        print::note("nothing is waited for");
    }
    for blocker in items(&reply, "blockers") {
        print::line(format!(
            "{} on {}: {}",
            text(&blocker["what"]),
            text(&blocker["on"]),
            text(&blocker["detail"])
        ));
        let until = match &blocker["seconds_left"] {
            Value::Null => "until somebody acts".to_owned(),
            secs => format!("for at most {} s more", text(secs)),
        };
        print::line(format!(
            "    since {}, {until}; then: {}",
            text(&blocker["since"]),
            text(&blocker["then"])
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(change: impl FnOnce(&mut StartArgs)) -> Result<Value, Failure> {
        let mut args = StartArgs::default();
        change(&mut args);
        body(args)
    }

    #[test]
    fn flags_become_the_body_of_the_earlier_fenix() {
        let body = start(|args| {
            args.hosts = vec!["compute-1".into()];
            args.at = Some("2026-11-03 10:00:30".into());
            args.actions = vec!["reboot".into(), r#"noop:pre:{"a":1}"#.into()];
            args.packages = vec!["https://repo.example/x#ab".into(), "file:y".into()];
            args.policies = vec!["silence=skip".into()];
            args.terms = vec!["rounds=2".into(), "own_host=true".into()];
        });
        let expected = json!({
            "state": "MAINTENANCE", "workflow": "default", "hosts": ["compute-1"], "metadata": {},
            "maintenance_at": "2026-11-03 10:00:30",
            "download": [{"url": "https://repo.example/x", "sha256": "ab"}, {"url": "file:y"}],
            "actions": [{"plugin": "reboot", "type": "host"},
                        {"plugin": "noop", "type": "pre", "metadata": {"a": 1}}],
            "policies": {"silence": "skip"}, "terms": {"rounds": 2, "own_host": true},
        });
        assert_eq!(body, Ok(expected));
    }

    #[test]
    fn wrong_flags_are_wrong_usage() {
        let check = |change: fn(&mut StartArgs), expected: &str| {
            let failure = start(change).expect_err(expected);
            assert_eq!(failure.kind, super::super::exit::Kind::Usage);
            assert!(failure.message.contains(expected), "{failure}");
        };
        check(|args| args.terms = vec!["rounds".into()], "like name=value");
        check(|args| args.terms = vec!["rounds=many".into()], "numbers whole");
        check(|args| args.metadata = Some("[]".into()), "--metadata is no JSON object");
        check(|args| args.file = Some("/nowhere/at/all".into()), "cannot read");
    }
}
