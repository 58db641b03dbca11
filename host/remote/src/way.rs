//! How what is ordered gets to a host's shell.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use fenix_core::id::HostId;
use fenix_core::remote::{LAST_BYTES, OUTPUT_BYTES, RemoteCall, RemoteError, RemoteState};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use crate::answer::understand;
use crate::script::{Base, script};

/// How long a call may take in all: no capability blocks its action for longer.
const WITHIN: Duration = Duration::from_secs(10);

/// How long a host may take to be there.
const CONNECT_SECS: u32 = 5;

/// Most bytes that are read of an answer: what it holds, and what a login says before it.
const ANSWER_BYTES: u64 = (OUTPUT_BYTES + LAST_BYTES + 64 * 1024) as u64;

/// How hosts are reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// Not at all.
    Off,
    /// By OpenSSH's client. It believes the keys of hosts that it was told, and asks nobody anything.
    Ssh {
        /// Its configuration: who logs in where, with what; `None` = that of the user that runs this.
        config: Option<PathBuf>,
    },
    /// On this machine, whatever the host's name is: for a site of one machine.
    Local {
        /// Where the folders of commands are.
        folder: PathBuf,
    },
    /// Nothing is run: each command takes so long, says what it would be, and ends well.
    Sim {
        /// Where the folders of commands are.
        folder: PathBuf,
        /// Seconds that each takes.
        seconds: u32,
    },
}

/// Carries out what is ordered about commands on hosts.
#[derive(Clone, Debug)]
pub struct Remote {
    way: Way,
}

impl Remote {
    /// One that goes that way.
    pub fn new(way: Way) -> Remote {
        Remote { way }
    }

    /// Carries one order out, within 10 seconds. On return what was started is known on its host, also if that loses power.
    ///
    /// # Errors
    /// It was not carried out, or that is not known.
    pub async fn call(&self, host: &HostId, call: RemoteCall) -> Result<RemoteState, RemoteError> {
        let (command, text) = self.prepared(host, &call)?;
        let ended = tokio::time::timeout(WITHIN, run(command, text)).await;
        let output = match ended {
            Ok(Ok(output)) => output,
            Ok(Err(error)) => return Err(RemoteError::Unclear(format!("host {host}: {error}"))),
            Err(_elapsed) => {
                let why = format!("host {host}: there was no answer within {} s", WITHIN.as_secs());
                return Err(RemoteError::Unclear(why));
            }
        };
        understand(&call, &output).map_err(|error| match error {
            RemoteError::Refused(why) => RemoteError::Refused(format!("host {host}: {why}")),
            RemoteError::Unclear(why) => RemoteError::Unclear(format!("host {host}: {why}")),
        })
    }

    /// What to run here, and what to tell it.
    fn prepared(&self, host: &HostId, call: &RemoteCall) -> Result<(Command, String), RemoteError> {
        if !is_plain(host) {
            return Err(RemoteError::Refused(format!("host {host:?} has a name that no command is run for")));
        }
        Ok(match &self.way {
            Way::Off => {
                let why = "the server runs no commands on hosts; see `[remote]` in its configuration";
                return Err(RemoteError::Refused(why.to_owned()));
            }
            Way::Ssh { config } => (ssh(host, config.as_deref()), script(call, &Base::Home)),
            Way::Local { folder } => (shell(), script(call, &base(folder, host))),
            Way::Sim { folder, seconds } => {
                (shell(), script(&simulated(call, *seconds), &base(folder, host)))
            }
        })
    }
}

/// True if a host's name means nothing but a name to `ssh`, to a shell, or as a folder.
fn is_plain(host: &HostId) -> bool {
    let name = host.as_str();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte);
    name.bytes().all(plain) && name.starts_with(|first: char| first.is_ascii_alphanumeric())
}

fn base(folder: &Path, host: &HostId) -> Base {
    Base::At(folder.join(host.as_str()).to_string_lossy().into_owned())
}

/// The same order, about a command that only takes its time.
fn simulated(call: &RemoteCall, seconds: u32) -> RemoteCall {
    let RemoteCall::Start { id, argv, .. } = call else { return call.clone() };
    let pretend = "sleep \"$0\"; echo \"not run, as this is a simulation: $*\"";
    let words = ["sh", "-c", pretend].map(str::to_owned);
    let argv = words.into_iter().chain([seconds.to_string()]).chain(argv.iter().cloned()).collect();
    RemoteCall::Start { id: id.clone(), argv, stdin: String::new() }
}

fn shell() -> Command {
    let mut command = Command::new("sh");
    command.current_dir(std::env::var_os("HOME").map_or_else(|| PathBuf::from("/"), PathBuf::from));
    command
}

/// A shell on a host. What stands here goes before what a configuration says (ssh_config(5): the first value counts).
fn ssh(host: &HostId, config: Option<&Path>) -> Command {
    let mut command = Command::new("ssh");
    if let Some(config) = config {
        command.arg("-F").arg(config);
    }
    let options = [
        "BatchMode=yes",
        "StrictHostKeyChecking=yes",
        "UpdateHostKeys=no",
        "ClearAllForwardings=yes",
        "ForwardAgent=no",
        "PermitLocalCommand=no",
        "RequestTTY=no",
        "LogLevel=ERROR",
    ];
    for option in options {
        command.args(["-o", option]);
    }
    command.arg("-o").arg(format!("ConnectTimeout={CONNECT_SECS}"));
    command.args(["--", host.as_str(), "sh"]);
    command
}

/// Runs a command to its end, with what it reads. It is ended if nobody waits for it any more.
async fn run(mut command: Command, text: String) -> std::io::Result<Output> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| {
            let program = command.as_std().get_program().to_string_lossy().into_owned();
            std::io::Error::new(error.kind(), format!("{program} cannot be run: {error}"))
        })?;
    let (input, output, errors) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let write = async {
        if let Some(mut input) = input {
            // One that ends before it has read all says why by how it ends.
            let _ended_early = input.write_all(text.as_bytes()).await;
        }
    };
    let ((), stdout, stderr) = tokio::join!(write, read(output), read(errors));
    Ok(Output { status: child.wait().await?, stdout: stdout?, stderr: stderr? })
}

/// What comes out, up to a limit; what is beyond it is not taken.
async fn read(output: Option<impl tokio::io::AsyncRead + Unpin>) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(output) = output {
        output.take(ANSWER_BYTES).read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_are_hosts_here() {
        let check =
            |name: &str, expected: bool| assert_eq!(is_plain(&HostId::from(name)), expected, "{name}");
        check("compute-1.rack_a.example", true);
        check("10.0.0.7", true);
        check("fd00::7", true);
        check("-oProxyCommand=x", false);
        check("..", false);
        check("a/b", false);
        check("a b", false);
        check("root@a", false);
        check("", false);
    }
}
