//! What a shell on a host is told. Plain POSIX, and what every Linux has: `setsid`, `/proc`.
//!
//! A command has a folder, named by its id. In it `claim` says which process runs it, and can be made once; `status` is there
//! once it has ended, `killed` once that was ordered; `output` and `last` hold what it wrote. Each of them appears whole.

use fenix_core::remote::{LAST_BYTES, OUTPUT_BYTES, RemoteCall};

/// What the command itself is run by.
const RUNNER: &str = include_str!("runner.sh");

/// How a call ends that is not to be repeated.
pub(crate) const REFUSED: i32 = 90;

/// Where the folders of commands are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Base {
    /// In the home of whoever logs in.
    Home,
    /// There.
    At(String),
}

/// The line with which an answer begins, whatever a login says before it.
pub(crate) fn mark(id: &str) -> String {
    format!("fenix:{id}")
}

/// The id of what is called for.
pub(crate) fn id(call: &RemoteCall) -> &str {
    match call {
        RemoteCall::Start { id, .. } | RemoteCall::Poll { id } | RemoteCall::Kill { id } => id,
    }
}

/// The whole script for a call. It is read to its end before its first line is carried out: nothing in it can eat the rest.
pub fn script(call: &RemoteCall, base: &Base) -> String {
    let id = id(call);
    let base = match base {
        Base::Home => "\"$HOME\"/.fenix/commands".to_owned(),
        Base::At(path) => quoted(path),
    };
    let mark = mark(id);
    let mut text = format!(
        "{{\nhome=$PWD\nfolder={base}/{id}\nmark={mark}\nmost={OUTPUT_BYTES}\nmost_last={LAST_BYTES}\n"
    );
    let body = match call {
        RemoteCall::Start { argv, stdin, .. } => {
            let argv: Vec<String> = argv.iter().map(|argument| quoted(argument)).collect();
            text +=
                &format!("stdin={}\nrunner={}\nset -- {}\n", quoted(stdin), quoted(RUNNER), argv.join(" "));
            include_str!("start.sh")
        }
        RemoteCall::Poll { .. } => include_str!("poll.sh"),
        RemoteCall::Kill { .. } => include_str!("kill.sh"),
    };
    text + body + "exit 0\n}\n"
}

/// A text as one word of a shell, in which nothing means anything.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_word_means_anything() {
        let check = |text: &str, expected: &str| assert_eq!(quoted(text), expected);
        check("", "''");
        check("a b", "'a b'");
        check("$(x) `y` \\ \" \n", "'$(x) `y` \\ \" \n'");
        check("it's", r"'it'\''s'");
    }
}
