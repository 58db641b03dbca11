//! `GET /v1/maintenance/{id}/detail` of a session over 1 000 hosts while it rolls: calls a second and how long each takes.
//! Real processes; the clients hold their connections and ask again as soon as they have the answer.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use fenix_wasm::Plugins;
use serde_json::json;

use crate::Any;
use crate::process::{Process, call};
use crate::stage::{Size, cloud};
use crate::table::{Row, percentile, time};

const SIZE: Size = Size { sessions: 1, hosts: 1000, instances_per_host: 20 };

/// How long calls are made.
const FOR: Duration = Duration::from_secs(10);

/// Clients at a time.
const CLIENTS: [usize; 2] = [1, 8];

/// A connection that is kept.
struct Client {
    stream: BufReader<TcpStream>,
    address: String,
}

impl Client {
    fn connect(url: &str) -> Result<Client, Any> {
        let address = url.strip_prefix("http://").ok_or("no http URL")?.to_owned();
        let stream = BufReader::new(TcpStream::connect(&address)?);
        Ok(Client { stream, address })
    }

    /// Makes a call; returns the size of the answer.
    fn get(&mut self, path: &str) -> Result<usize, Any> {
        // At once: a request in pieces waits for the other end to acknowledge the first.
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.address);
        self.stream.get_mut().write_all(request.as_bytes())?;
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        if !line.starts_with("HTTP/1.1 200") {
            return Err(format!("{path}: {line}").into());
        }
        let mut length = None;
        loop {
            line.clear();
            self.stream.read_line(&mut line)?;
            let line = line.trim();
            if line.is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = Some(value.trim().parse::<usize>()?);
            }
        }
        let length = length.ok_or("an answer without a length")?;
        std::io::copy(&mut (&mut self.stream).take(length as u64), &mut std::io::sink())?;
        Ok(length)
    }
}

/// Has so many clients call for a while; returns how long each call took, sorted, and the size of an answer.
fn calls(url: &str, path: &str, clients: usize) -> Result<(Vec<u64>, usize), Any> {
    let one = || -> Result<(Vec<u64>, usize), Any> {
        let mut client = Client::connect(url)?;
        let (mut took, mut size) = (Vec::new(), 0);
        let begun = Instant::now();
        while begun.elapsed() < FOR {
            let begun = Instant::now();
            size = client.get(path)?;
            took.push(begun.elapsed().as_nanos() as u64);
        }
        Ok((took, size))
    };
    let (mut all, mut size) = (Vec::new(), 0);
    std::thread::scope(|scope| -> Result<(), Any> {
        let clients: Vec<_> = (0..clients).map(|_| scope.spawn(one)).collect();
        for client in clients {
            let (took, last) = client.join().map_err(|_| "a client broke")??;
            all.extend(took);
            size = last;
        }
        Ok(())
    })?;
    all.sort_unstable();
    Ok((all, size))
}

/// Longest wait for anything: the empty host is maintained first, which takes some seconds.
const PATIENCE: Duration = Duration::from_secs(60);

fn wait_for(what: &str, is_so: impl Fn() -> Result<bool, Any>) -> Result<(), Any> {
    let begun = Instant::now();
    while !is_so()? {
        if begun.elapsed() > PATIENCE {
            return Err(format!("waited {} s in vain for {what}", PATIENCE.as_secs()).into());
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}

pub(crate) fn measure(_: &Plugins) -> Result<Vec<Row>, Any> {
    let dir = tempfile::tempdir()?;
    let path = |name: &str| dir.path().join(name).display().to_string();
    std::fs::write(dir.path().join("rack.toml"), cloud(SIZE))?;
    let (rack, state, data) = (path("rack.toml"), path("cloud.state"), path("data"));
    let any = ["--listen", "127.0.0.1:0"];
    let cloud = Process::start(&[&["cloud", "sim", "--file", &rack, "--state", &state], &any[..]].concat())?;
    let server =
        Process::start(&[&["serve", "--data-dir", &data, "--cloud", &cloud.address], &any[..]].concat())?;
    let url = server.address.clone();
    let manager = Process::start(&["vnfm", "--project", "app-0", "--url", &url, "--cloud", &cloud.address])?;
    let hosts: Vec<String> = (1..=SIZE.hosts + 1).map(|host| format!("compute-0-{host}")).collect();
    let body = json!({
        "hosts": hosts, "state": "MAINTENANCE", "maintenance_at": "2020-01-01 00:00:00", "metadata": {},
        "workflow": "default", "actions": [], "download": [],
    });
    wait_for("the cloud to be read", || Ok(call("GET", &format!("{url}/readyz"), None).is_ok()))?;
    let made = call("POST", &format!("{url}/v1/maintenance"), Some(&body))?;
    let id = made["session_id"].as_str().ok_or("no session")?.to_owned();
    wait_for("the first full host to be emptied", || {
        let now = call("GET", &format!("{url}/v1/maintenance/{id}"), None)?;
        Ok(now["state"] == "PLANNED_MAINTENANCE")
    })?;
    let mut rows = Vec::new();
    for clients in CLIENTS {
        let (light, _) = calls(&url, &format!("/v1/maintenance/{id}"), clients)?;
        let before = server.processor()?;
        let (heavy, size) = calls(&url, &format!("/v1/maintenance/{id}/detail"), clients)?;
        let processor = (server.processor()? - before) / heavy.len() as f64;
        let text = |took: &[u64]| {
            format!(
                "{:.0} calls/s, p50 {}, p99 {}",
                took.len() as f64 / FOR.as_secs_f64(),
                time(percentile(took, 50)),
                time(percentile(took, 99))
            )
        };
        let what = format!(
            "`detail` of a session of 1 000 hosts / 20 000 instances ({:.1} MB), {clients} client(s)",
            size as f64 / 1e6
        );
        let value = format!("{}; {} of processor time a call", text(&heavy), time((processor * 1e9) as u64));
        let ratio = percentile(&heavy, 50) as f64 / percentile(&light, 50) as f64;
        rows.push(
            Row::new(what, value).against(format!("the session in a few words: {}", text(&light)), ratio),
        );
    }
    let memory = format!("{} MiB, at most {} MiB", server.memory()?, server.peak()?);
    rows.push(Row::new("resident memory of the server meanwhile", memory));
    manager.stop()?;
    server.stop()?;
    Ok(rows)
}
