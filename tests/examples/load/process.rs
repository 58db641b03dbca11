//! Processes of this program, what they use, and calls to them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;

use crate::Any;

/// Longest that a process may take to get ready, or to answer: a busy machine takes some seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process that ends with this value.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: String,
}

impl Process {
    /// Starts one and waits until it is ready.
    pub(crate) fn start(args: &[&str]) -> Result<Process, Any> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(args)
            .arg("--with-stdin")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = BufReader::new(child.stdout.take().ok_or("no output")?);
        let (sender, ready) = mpsc::channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if let Some(address) = line.strip_prefix("ready: ") {
                    drop(sender.send(address.to_owned()));
                }
            }
        });
        let mut process = Process { child, address: String::new() };
        process.address = ready.recv_timeout(PATIENCE).map_err(|_| format!("{args:?} did not get ready"))?;
        Ok(process)
    }

    /// Resident memory in MiB.
    pub(crate) fn memory(&self) -> Result<u64, Any> {
        self.status("VmRSS:")
    }

    /// The most that it ever was.
    pub(crate) fn peak(&self) -> Result<u64, Any> {
        self.status("VmHWM:")
    }

    fn status(&self, name: &str) -> Result<u64, Any> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("no such line")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? / 1024)
    }

    /// Seconds of processor time so far.
    pub(crate) fn processor(&self) -> Result<f64, Any> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // Behind the name: state, then eleven numbers, then user and system time in hundredths.
        let (_, rest) = stat.rsplit_once(')').ok_or("no name")?;
        let ticks: u64 =
            rest.split_whitespace().skip(11).take(2).filter_map(|text| text.parse::<u64>().ok()).sum();
        Ok(ticks as f64 / 100.0)
    }

    /// Ends it as a terminal would, and waits for it.
    pub(crate) fn stop(mut self) -> Result<(), Any> {
        drop(self.child.stdin.take());
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already, which is as good.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Makes a call that must go well.
pub(crate) fn call(method: &str, url: &str, body: Option<&Value>) -> Result<Value, Any> {
    let rest = url.strip_prefix("http://").ok_or("no http URL")?;
    let (address, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let body = body.map(ToString::to_string).unwrap_or_default();
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or("no answer")?;
    if !head.starts_with("HTTP/1.1 200") {
        return Err(format!("{method} {path}: {head}\n{body}").into());
    }
    Ok(serde_json::from_str(body)?)
}
