//! The interface `remote`: commands on the host of the assignment, as far as they were asked for and granted.

use fenix_core::id::HostId;
use fenix_core::remote::{Ending, MAX_ARGUMENTS, MAX_BYTES, RemoteCall, RemoteError, RemoteState};

use crate::action::Acting;
use crate::bindings::action::fenix::plugin::remote as wit;
use crate::cache::sha256;
use crate::limits;
use crate::text::clean;

impl Acting {
    /// The host of the assignment, and how a command of that name is called there.
    fn command(&self, name: &str, what: &str) -> Result<(HostId, String), wit::Error> {
        if !is_command_name(name) {
            let name = clean(name, limits::ID_BYTES);
            return Err(wit::Error::Invalid(format!("{name:?} names no command: 1 to 64 of a-z, 0-9 and -")));
        }
        let host = self.host.clone().ok_or_else(|| {
            let why = format!("remote.{what}: the assignment has no host to run anything on");
            wit::Error::NotGranted(self.gate.refused(why))
        })?;
        Ok((host, command_id(&self.key, name)))
    }

    /// Carries an order out.
    fn order(&mut self, host: HostId, call: RemoteCall) -> wasmtime::Result<Result<RemoteState, wit::Error>> {
        if let RemoteCall::Start { argv, stdin, .. } = &call {
            self.sent += argv.iter().map(String::len).sum::<usize>() + stdin.len();
        }
        let answer = self.ask(move |lent| lent.remote(&host, call))?;
        if let Ok(RemoteState::Ended(Ending { output, last, .. })) = &answer {
            self.received += output.len() + last.len();
        }
        Ok(answer.map_err(|error| match error {
            RemoteError::Refused(why) => wit::Error::Refused(why),
            RemoteError::Unclear(why) => wit::Error::Unclear(why),
        }))
    }
}

/// True if a command can have that name: it needs no escaping anywhere.
fn is_command_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !name.is_empty() && name.len() <= limits::COMMAND_NAME_BYTES && name.bytes().all(plain)
}

/// How a command is called on its host. Keys of assignments are never used again, and have no end in a name.
fn command_id(key: &str, name: &str) -> String {
    let mut id = sha256(format!("{key}/{name}").as_bytes());
    id.truncate(32);
    id
}

/// Makes sure that it is a command.
fn is_whole(argv: &[String], stdin: &str) -> Result<(), wit::Error> {
    let texts = || argv.iter().map(String::as_str).chain([stdin]);
    let bytes: usize = texts().map(str::len).sum();
    if argv.is_empty() || argv.len() > MAX_ARGUMENTS || bytes > MAX_BYTES {
        return Err(wit::Error::Invalid(format!(
            "a command is a program and at most {} arguments; with what it reads it has at most {MAX_BYTES} bytes",
            MAX_ARGUMENTS - 1
        )));
    }
    if texts().any(|text| text.contains('\0')) {
        return Err(wit::Error::Invalid("a command has a zero byte in it, which none can have".to_owned()));
    }
    Ok(())
}

fn state(state: RemoteState) -> wit::State {
    match state {
        RemoteState::None => wit::State::None,
        RemoteState::Running => wit::State::Running,
        RemoteState::Ended(Ending { status, output, last }) => {
            wit::State::Ended(wit::Ending { status, output, last })
        }
        RemoteState::Killed => wit::State::Killed,
        RemoteState::Lost => wit::State::Lost,
    }
}

impl wit::Host for Acting {
    fn start(
        &mut self,
        name: String,
        argv: Vec<String>,
        stdin: String,
    ) -> wasmtime::Result<Result<(), wit::Error>> {
        self.count()?;
        let checked = is_whole(&argv, &stdin)
            .and_then(|()| self.gate.open_command(&argv).map_err(wit::Error::NotGranted))
            .and_then(|()| self.command(&name, "start"));
        Ok(match checked {
            Ok((host, id)) => self.order(host, RemoteCall::Start { id, argv, stdin })?.map(|_| ()),
            Err(error) => Err(error),
        })
    }

    fn poll(&mut self, name: String) -> wasmtime::Result<Result<wit::State, wit::Error>> {
        self.count()?;
        let checked = self.gate.open_commands("poll").map_err(wit::Error::NotGranted);
        Ok(match checked.and_then(|()| self.command(&name, "poll")) {
            Ok((host, id)) => self.order(host, RemoteCall::Poll { id })?.map(state),
            Err(error) => Err(error),
        })
    }

    fn kill(&mut self, name: String) -> wasmtime::Result<Result<(), wit::Error>> {
        self.count()?;
        let checked = self.gate.open_commands("kill").map_err(wit::Error::NotGranted);
        Ok(match checked.and_then(|()| self.command(&name, "kill")) {
            Ok((host, id)) => self.order(host, RemoteCall::Kill { id })?.map(|_| ()),
            Err(error) => Err(error),
        })
    }
}
