//! A host's commands, which do nothing and end as a test wants.

use std::collections::{BTreeMap, VecDeque};

use crate::action::{CommandState, Ending, Remote, RemoteError};

/// A command as it was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// What it reads.
    pub stdin: String,
}

/// A host's commands.
#[derive(Clone, Debug, Default)]
pub struct FakeRemote {
    /// Those that were started, in order, each under its name.
    pub started: Vec<(String, Command)>,
    /// Those that were killed.
    pub killed: Vec<String>,
    /// How the next calls fail, the first one first; `None` lets a call through.
    pub errors: VecDeque<Option<RemoteError>>,
    /// What is seen of a command that was started, by its name, one look after the other; with none left it has ended, with
    /// status 0 and nothing written. What an end was stays.
    pub states: BTreeMap<String, VecDeque<CommandState>>,
}

impl FakeRemote {
    /// The next looks at a command of that name see it end so.
    pub fn ends(&mut self, name: &str, status: u8, output: &str) {
        let ending = Ending { status, output: output.to_owned(), last: String::new() };
        self.states.entry(name.to_owned()).or_default().push_back(CommandState::Ended(ending));
    }

    /// Program and arguments of the command of that name, as one text.
    pub fn line(&self, name: &str) -> Option<String> {
        let command = self.started.iter().find(|(known, _)| known == name);
        command.map(|(_, command)| command.argv.join(" "))
    }
}

impl Remote for FakeRemote {
    fn start(&mut self, name: &str, argv: &[String], stdin: &str) -> Result<(), RemoteError> {
        let error = self.errors.pop_front().flatten();
        // One that is not heard of is started all the same.
        let is_done = matches!(error, None | Some(RemoteError::Unclear(_)));
        if is_done && self.line(name).is_none() && !self.killed.iter().any(|killed| killed == name) {
            let command = Command { argv: argv.to_vec(), stdin: stdin.to_owned() };
            self.started.push((name.to_owned(), command));
        }
        error.map_or(Ok(()), Err)
    }

    fn poll(&mut self, name: &str) -> Result<CommandState, RemoteError> {
        if let Some(error) = self.errors.pop_front().flatten() {
            return Err(error);
        }
        if self.killed.iter().any(|killed| killed == name) {
            return Ok(CommandState::Killed);
        }
        if self.line(name).is_none() {
            return Ok(CommandState::None);
        }
        let ended = CommandState::Ended(Ending { status: 0, output: String::new(), last: String::new() });
        let states = self.states.entry(name.to_owned()).or_default();
        match states.len() {
            0 => Ok(ended),
            // The last one stays.
            1 => Ok(states[0].clone()),
            _ => Ok(states.pop_front().unwrap_or(ended)),
        }
    }

    fn kill(&mut self, name: &str) -> Result<(), RemoteError> {
        self.killed.push(name.to_owned());
        self.errors.pop_front().flatten().map_or(Ok(()), Err)
    }
}
