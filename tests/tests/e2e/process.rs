//! Processes of the binary under test, which end with the test however it ends.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// Longest that anything in these tests may take before it counts as hanging.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// The binary under test, to be run with these arguments. Nothing of the caller's environment reaches it.
pub(crate) fn fenix(args: &[&str]) -> Command {
    fenix_at(env!("CARGO_BIN_EXE_fenix-under-test"), args)
}

/// The same with another build of Fenix.
pub(crate) fn fenix_at(binary: &str, args: &[&str]) -> Command {
    let mut command = Command::new(binary);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("FENIX_") || name == "RUST_LOG") {
        command.env_remove(name);
    }
    command.args(args).stdin(Stdio::null());
    command
}

/// Runs a command to its end.
pub(crate) fn run(args: &[&str]) -> Output {
    fenix(args).output().unwrap()
}

/// A process that goes on until the test ends it.
pub(crate) struct Process {
    child: Child,
    /// What stood in its ready line.
    pub(crate) address: String,
}

impl Process {
    /// Starts one and waits until it says that it is ready.
    pub(crate) fn start(args: &[&str]) -> Process {
        Process::spawn(&mut fenix(args))
    }

    /// Starts a command of the binary and waits until it says that it is ready.
    pub(crate) fn spawn(command: &mut Command) -> Process {
        let mut child =
            command.arg("--with-stdin").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, ready) = mpsc::channel();
        std::thread::spawn(move || {
            // Read to the end: a full pipe would stop the process.
            for line in output.lines().map_while(Result::ok) {
                if let Some(address) = line.strip_prefix("ready: ") {
                    drop(sender.send(address.to_owned()));
                }
            }
        });
        match ready.recv_timeout(PATIENCE) {
            Ok(address) => Process { child, address },
            Err(_) => {
                child.kill().unwrap();
                panic!("{command:?} did not get ready: {}", child.wait().unwrap());
            }
        }
    }

    /// Sends it a signal by its name, like `HUP`.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// Ends it as a loss of power would.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits until it has ended by itself.
    pub(crate) fn wait(mut self) -> ExitStatus {
        // With its standard input open: the end of that would end it.
        let open = self.child.stdin.take();
        let status = self.child.wait().unwrap();
        drop(open);
        status
    }

    /// Ends it by the end of its standard input, and waits for it.
    pub(crate) fn stop(mut self) -> ExitStatus {
        drop(self.child.stdin.take());
        self.child.wait().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already, which is as good.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
