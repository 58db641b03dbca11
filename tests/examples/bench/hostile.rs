//! How long others wait while plug-ins do their worst: a session is paused and let go on over HTTP, alone, and beside sessions
//! whose workflows and actions compute for ever. Those are ended and parked, and made again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use fenix_wasm::Plugins;
use serde_json::{Value, json};

use crate::Any;
use crate::guest::{action, workflow};
use crate::process::{Process, call};
use crate::table::{Row, percentile, time};

/// Calls of each kind that are timed, and the pause between two: as many as an administrator's program may make.
const CALLS: usize = 200;
const PAUSE: Duration = Duration::from_millis(20);

/// What computes for ever.
const FOR_EVER: &str = "(loop $again (nop) (br $again))";

/// Sessions of each hostile kind at a time, and the pause before the next one takes the place of one that was ended: nobody
/// starts more.
const EACH: usize = 2;
const BREATH: Duration = Duration::from_secs(1);

/// A cloud of empty hosts: one for the session that is timed, one for each of the others.
fn rack() -> String {
    let hosts = 1 + 2 * EACH;
    format!(
        "[[rack]]\ncount = {hosts}\nname = \"compute-{{}}\"\nzone = \"z\"\n\
         capacity = {{ vcpus = 4, memory_mb = 4096, disk_gb = 40 }}\n"
    )
}

/// What starts a session on a host.
fn body(host: usize, workflow: &str, actions: &Value) -> Value {
    json!({
        "hosts": [format!("compute-{host}")], "maintenance_at": "2020-01-01 00:00:00", "metadata": {},
        "workflow": workflow, "actions": actions, "download": [],
    })
}

fn begin(url: &str, body: &Value) -> Result<String, Any> {
    let made = call("POST", &format!("{url}/v1/maintenance"), Some(body))?;
    let id = made["session_id"].as_str().ok_or("no session")?;
    Ok(format!("{url}/v1/maintenance/{id}"))
}

/// Nanoseconds of each call, sorted.
fn timed(session: &str) -> Result<Vec<u64>, Any> {
    let mut all = Vec::with_capacity(CALLS);
    for number in 0..CALLS {
        let condition = if number % 2 == 0 { "paused" } else { "running" };
        let begun = Instant::now();
        call("PUT", session, Some(&json!({ "condition": condition })))?;
        all.push(begun.elapsed().as_nanos() as u64);
        std::thread::sleep(PAUSE);
    }
    all.sort_unstable();
    Ok(all)
}

/// Makes hostile sessions one after the other until it is told to stop; counts those that were ended.
fn torment(
    url: &str,
    body: Value,
    (stop, ended): (&Arc<AtomicBool>, &Arc<AtomicU64>),
) -> JoinHandle<Result<(), String>> {
    let (url, stop, ended) = (url.to_owned(), Arc::clone(stop), Arc::clone(ended));
    let one = move || -> Result<(), Any> {
        while !stop.load(Ordering::Relaxed) {
            let session = begin(&url, &body)?;
            let mut from = 0;
            loop {
                let news = call("GET", &format!("{session}/events?from={from}&wait=5"), None)?;
                if matches!(news["condition"].as_str(), Some("parked" | "ended")) {
                    break;
                }
                from = news["next"].as_u64().unwrap_or(from);
            }
            ended.fetch_add(1, Ordering::Relaxed);
            call("DELETE", &session, None)?;
            while call("GET", &format!("{url}/v1/maintenance"), None)?["sessions"]
                .to_string()
                .contains(session.rsplit('/').next().unwrap_or_default())
            {
                std::thread::sleep(PAUSE);
            }
            std::thread::sleep(BREATH);
        }
        Ok(())
    };
    std::thread::spawn(move || one().map_err(|error| error.to_string()))
}

pub(crate) fn measure(_: &Plugins) -> Result<Vec<Row>, Any> {
    let scratch = tempfile::tempdir()?;
    let path = |name: &str| scratch.path().join(name).display().to_string();
    std::fs::write(path("rack.toml"), rack())?;
    std::fs::create_dir(path("plugins"))?;
    for (name, component) in [("loopw", workflow(FOR_EVER, "")), ("loopa", action(FOR_EVER, ""))] {
        std::fs::write(format!("{}/{name}.wasm", path("plugins")), crate::guest::named(&component, name))?;
    }
    let (rack, state) = (path("rack.toml"), path("cloud.state"));
    let listen = ["--listen", "127.0.0.1:0"];
    let cloud =
        Process::start(&[&["cloud", "sim", "--file", &rack, "--state", &state], &listen[..]].concat())?;
    let (data, plugins) = (path("data"), path("plugins"));
    let places = ["--data-dir", &data, "--cloud", &cloud.address, "--plugin-dir", &plugins];
    let server = Process::start(&[&["serve"], &listen[..], &places].concat())?;
    let url = server.address.clone();
    while call("GET", &format!("{url}/readyz"), None).is_err() {
        std::thread::sleep(PAUSE);
    }
    // Both kinds may use what their module imports.
    let rights = json!({ "rights": ["cloud"] });
    call("PUT", &format!("{url}/v1/plugins/loopa/grant"), Some(&rights))?;
    // It waits for its time, and does nothing else.
    let mut quiet = body(1, "default", &json!([]));
    quiet["maintenance_at"] = json!("2099-01-01 00:00:00");
    let quiet = begin(&url, &quiet)?;
    let alone = timed(&quiet)?;
    let (stop, ended) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let work = json!([{ "plugin": "loopa", "type": "pre", "metadata": {} }]);
    let hostile = (1..=EACH)
        .flat_map(|number| [body(2 * number, "loopw", &json!([])), body(2 * number + 1, "default", &work)]);
    let threads: Vec<_> = hostile.map(|body| torment(&url, body, (&stop, &ended))).collect();
    let beside = timed(&quiet)?;
    stop.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join().map_err(|_| "a thread broke")??;
    }
    let row = |percent: usize| {
        let (alone, beside) = (percentile(&alone, percent), percentile(&beside, percent));
        (time(beside), time(alone), beside as f64 / alone as f64)
    };
    let what = format!(
        "pausing a session beside {} whose plug-ins compute for ever ({} were ended meanwhile)",
        2 * EACH,
        ended.load(Ordering::Relaxed)
    );
    let rows = [(what.as_str(), 50), ("... p99", 99), ("... the longest", 100)].map(|(what, percent)| {
        let (beside, alone, ratio) = row(percent);
        Row::new(what, beside).against(format!("alone: {alone}"), ratio)
    });
    server.stop()?;
    cloud.stop()?;
    Ok(rows.into())
}
