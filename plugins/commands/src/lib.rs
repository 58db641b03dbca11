//! Runs commands on the host of the assignment and waits for them, for the actions that do.
//!
//! A command is known by its name: it is started if nobody has, and looked at otherwise, so a call of [`look`] may be repeated
//! after whatever happened.

use fenix_sdk::action::{CommandState, Ending, Failure, Remote, RemoteError};

/// Milliseconds to the first look at a command; each further wait is half as long again.
pub const FIRST_WAIT_MS: u32 = 300;

/// Longest wait between two looks.
pub const LONGEST_WAIT_MS: u32 = 10_000;

/// Looks in a row that a host does not answer before giving up: some 15 minutes, in which a host is restarted.
pub const SILENT_LOOKS: u32 = 96;

/// Characters that are shown of what a command wrote: its end, where errors stand.
const SHOWN: usize = 300;

/// How a command stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It runs, or was started just now.
    Runs,
    /// It came to its end.
    Ended(Ending),
    /// It ended without a word, or was killed; and how, in words.
    Gone(String),
    /// The host did not answer; and why, in words.
    Silent(String),
}

/// Starts a command if nobody has, and looks how it stands.
///
/// # Errors
/// It may not run, or cannot, also not another time.
pub fn look(remote: &mut dyn Remote, name: &str, argv: &[String], stdin: &str) -> Result<Seen, Failure> {
    let answer = match remote.poll(name) {
        Ok(CommandState::None) => remote.start(name, argv, stdin).map(|()| CommandState::Running),
        answer => answer,
    };
    let program = argv.first().map(String::as_str).unwrap_or_default();
    Ok(match answer {
        Ok(CommandState::None | CommandState::Running) => Seen::Runs,
        Ok(CommandState::Ended(ending)) => Seen::Ended(ending),
        Ok(CommandState::Killed) => Seen::Gone(format!("{program} was killed")),
        Ok(CommandState::Lost) => {
            Seen::Gone(format!("{program} ended without a word: the host was restarted, or it was killed"))
        }
        Err(RemoteError::Unclear(why)) => Seen::Silent(why),
        Err(RemoteError::NotGranted(what)) => return Err(Failure::Failed(format!("not granted: {what}"))),
        Err(RemoteError::Invalid(why)) => return Err(Failure::BadMetadata(why)),
        Err(RemoteError::Refused(why)) => return Err(Failure::Failed(why)),
    })
}

/// Milliseconds to wait before the look with that number.
pub fn wait(looks: u32) -> u32 {
    (0..looks.min(SILENT_LOOKS)).fold(FIRST_WAIT_MS, |wait, _| (wait + wait / 2).min(LONGEST_WAIT_MS))
}

/// How a command ended, in a sentence for people, with the end of what it wrote.
pub fn words(program: &str, ending: &Ending) -> String {
    let written = if ending.last.is_empty() { &ending.output } else { &ending.last };
    let line = written.split_whitespace().collect::<Vec<&str>>().join(" ");
    let skipped = line.chars().count().saturating_sub(SHOWN);
    let shown: String = line.chars().skip(skipped).collect();
    let dots = if skipped > 0 { "..." } else { "" };
    match shown.is_empty() {
        true => format!("{program} ended with status {}", ending.status),
        false => format!("{program} ended with status {}: {dots}{shown}", ending.status),
    }
}

#[cfg(test)]
mod tests {
    use fenix_sdk::testing::FakeRemote;

    use super::*;

    #[test]
    fn a_command_is_started_once_and_looked_at_afterwards() {
        let mut remote = FakeRemote::default();
        remote.states.insert("x".to_owned(), [CommandState::Running].into());
        remote.ends("x", 3, "no");
        let argv = ["false".to_owned()];
        let mut seen = || look(&mut remote, "x", &argv, "in").unwrap();
        assert_eq!((seen(), seen()), (Seen::Runs, Seen::Runs));
        let Seen::Ended(ending) = seen() else { panic!() };
        assert_eq!(words("false", &ending), "false ended with status 3: no");
        assert_eq!(remote.started.len(), 1);
        assert_eq!(remote.started[0].1.stdin, "in");
    }

    #[test]
    fn what_hinders_it_says_whether_another_look_helps() {
        let check = |error: RemoteError, expected: Result<Seen, Failure>| {
            let mut remote = FakeRemote { errors: [Some(error)].into(), ..FakeRemote::default() };
            assert_eq!(look(&mut remote, "x", &["true".to_owned()], ""), expected);
        };
        check(RemoteError::Unclear("slow".to_owned()), Ok(Seen::Silent("slow".to_owned())));
        check(RemoteError::Refused("key".to_owned()), Err(Failure::Failed("key".to_owned())));
        check(RemoteError::Invalid("name".to_owned()), Err(Failure::BadMetadata("name".to_owned())));
        check(RemoteError::NotGranted("x".to_owned()), Err(Failure::Failed("not granted: x".to_owned())));
        let gone = |state: CommandState| {
            let mut remote = FakeRemote::default();
            remote.states.insert("x".to_owned(), [state].into());
            let argv = ["true".to_owned()];
            look(&mut remote, "x", &argv, "").unwrap();
            look(&mut remote, "x", &argv, "").unwrap()
        };
        assert_eq!(gone(CommandState::Killed), Seen::Gone("true was killed".to_owned()));
        assert!(matches!(gone(CommandState::Lost), Seen::Gone(why) if why.contains("without a word")));
    }

    #[test]
    fn the_end_of_what_was_written_is_shown() {
        let check = |output: &str, last: &str, expected: &str| {
            let ending = Ending { status: 1, output: output.to_owned(), last: last.to_owned() };
            assert_eq!(words("x", &ending), format!("x ended with status 1{expected}"));
        };
        check("", "", "");
        check(" a\n\nb ", "", ": a b");
        check("a", "b", ": b");
        check(&"x".repeat(400), "", &format!(": ...{}", "x".repeat(300)));
    }

    #[test]
    fn waits_grow_and_stay() {
        assert_eq!([wait(0), wait(1), wait(9), wait(1000)], [300, 450, 10_000, 10_000]);
    }
}
