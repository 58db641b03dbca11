//! A process of the demonstration: the same binary, started with a command of its own.
//!
//! It ends with the demonstration, however that ends: its standard input is ours, and it stops when that closes.

use std::fs::OpenOptions;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child as Process, ChildStdout, Command};
use tokio::sync::mpsc;

use crate::cli::exit::Failure;

/// Time until a process is ready: the server compiles its plug-ins first.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// Time for a process to end by itself.
const END_WITHIN: Duration = Duration::from_secs(10);

/// Lines that may wait to be shown.
const MAX_LINES: usize = 256;

/// Longest line that is kept.
const MAX_LINE: usize = 500;

/// A running process.
pub(super) struct Child {
    pub(super) name: &'static str,
    process: Process,
    /// What stood in its ready line: where it is.
    pub(super) address: String,
    /// What it says after that.
    pub(super) lines: mpsc::Receiver<String>,
}

impl Child {
    /// Starts `fenix` with these arguments, and waits until it is ready. What it writes goes to files in `dir`.
    pub(super) async fn start(name: &'static str, dir: &Path, args: &[&str]) -> Result<Child, Failure> {
        let failed =
            |what: &str, error: &dyn std::fmt::Display| Failure::failed(format!("{name}: {what}: {error}"));
        let program = std::env::current_exe().map_err(|error| failed("cannot find itself", &error))?;
        let log = dir.join(format!("{name}.log"));
        let errors = OpenOptions::new().create(true).append(true).open(&log);
        let errors = errors.map_err(|error| failed("cannot write its log", &error))?;
        let mut process = Command::new(program)
            .args(args)
            .arg("--with-stdin")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors)
            // Ctrl-C at a terminal goes to the whole group; the demonstration stops its processes itself, in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| failed("cannot be started", &error))?;
        let Some(output) = process.stdout.take() else {
            return Err(Failure::failed(format!("{name}: has no output")));
        };
        let mut output = BufReader::new(output).lines();
        let address = tokio::time::timeout(READY_WITHIN, ready(&mut output)).await.ok().flatten();
        let Some(address) = address else {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            let last = said.lines().last().unwrap_or("it said nothing").to_owned();
            drop(process.kill().await);
            return Err(Failure::failed(format!("{name} did not get ready: {last}"))
                .hint(format!("see {}", log.display())));
        };
        let (sender, lines) = mpsc::channel(MAX_LINES);
        let path = dir.join(format!("{name}.out"));
        tokio::spawn(async move { copy(&mut output, &path, &sender).await });
        Ok(Child { name, process, address, lines })
    }

    /// Has it end, and waits for that; ends it the hard way if it does not.
    pub(super) async fn stop(mut self) {
        drop(self.process.stdin.take());
        if tokio::time::timeout(END_WITHIN, self.process.wait()).await.is_err() {
            crate::cli::print::note(format!("{} does not end by itself", self.name));
            drop(self.process.kill().await);
        }
    }

    /// Its process id, while it runs.
    pub(super) fn id(&self) -> Option<u32> {
        self.process.id()
    }

    /// How it has ended, which it should not; `None` while it runs.
    pub(super) fn ended(&mut self) -> Result<Option<ExitStatus>, Failure> {
        self.process.try_wait().map_err(|error| Failure::failed(format!("{}: {error}", self.name)))
    }
}

/// What stands behind `ready: `.
async fn ready(output: &mut Lines<BufReader<ChildStdout>>) -> Option<String> {
    while let Ok(Some(line)) = output.next_line().await {
        if let Some(address) = line.strip_prefix("ready: ") {
            return Some(address.to_owned());
        }
    }
    None
}

/// Keeps what it says, and passes it on as long as somebody listens.
async fn copy(output: &mut Lines<BufReader<ChildStdout>>, path: &Path, sender: &mpsc::Sender<String>) {
    let mut file = tokio::fs::File::create(path).await.ok();
    while let Ok(Some(line)) = output.next_line().await {
        if let Some(file) = &mut file {
            drop(file.write_all(format!("{line}\n").as_bytes()).await);
        }
        drop(sender.try_send(line.chars().take(MAX_LINE).collect()));
    }
}
