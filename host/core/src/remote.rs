//! Commands on a host under maintenance: which a plug-in asks for or is granted, what is ordered, and how one stands.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longest rule in bytes: it stands in records and on pages.
pub const MAX_RULE: usize = 512;

/// Most arguments of a command, its program included.
pub const MAX_ARGUMENTS: usize = 128;

/// Bytes of all arguments of a command, and of what it reads: both travel with one call.
pub const MAX_BYTES: usize = 64 * 1024;

/// Commands of one form: one line, which people read and write.
///
/// `apt-get install --yes ./*` has four arguments. In each, `*` stands for anything; `**` at the end stands for any further
/// arguments, also for none. What a `*` at the beginning of an argument stands for does not begin with `-`, and no `*` leads up
/// with `..`: what looks like a file can become neither an option nor another file. `**` stands for all of that.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RemoteRule {
    arguments: Vec<String>,
    /// True if any further ones may follow.
    open: bool,
}

/// Why a text is no rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no rule like \"apt-get install --yes *\": {why}")]
pub struct RemoteRuleError {
    text: String,
    why: &'static str,
}

impl RemoteRule {
    /// True if it lets that command run.
    pub fn allows(&self, argv: &[String]) -> bool {
        let fits = argv.len() == self.arguments.len() || self.open && argv.len() > self.arguments.len();
        fits && self.arguments.iter().zip(argv).all(|(pattern, argument)| fits_one(pattern, argument))
    }
}

fn fits_one(pattern: &str, argument: &str) -> bool {
    if !pattern.contains('*') {
        return pattern == argument;
    }
    let becomes_option = pattern.starts_with('*') && argument.starts_with('-');
    let leads_up = argument.split('/').any(|part| part == "..");
    !becomes_option && !leads_up && crate::pattern::matches(pattern, argument)
}

impl FromStr for RemoteRule {
    type Err = RemoteRuleError;

    fn from_str(text: &str) -> Result<RemoteRule, RemoteRuleError> {
        let wrong = |why: &'static str| RemoteRuleError { text: text.chars().take(MAX_RULE).collect(), why };
        if text.len() > MAX_RULE {
            return Err(wrong("it is too long"));
        }
        let mut arguments: Vec<String> = text.split(' ').map(str::to_owned).collect();
        let open = arguments.pop_if(|last| last == "**").is_some();
        if arguments.iter().any(|argument| argument.contains("**")) {
            return Err(wrong("** stands alone, as its last argument"));
        }
        if arguments.iter().any(String::is_empty) {
            return Err(wrong("arguments are expected, one space between them"));
        }
        if !text.chars().all(|c| c.is_ascii_graphic() || c == ' ') {
            return Err(wrong("it has only plain letters, and * for anything"));
        }
        Ok(RemoteRule { arguments, open })
    }
}

impl fmt::Display for RemoteRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<&str> =
            self.arguments.iter().map(String::as_str).chain(self.open.then_some("**")).collect();
        f.write_str(&words.join(" "))
    }
}

impl TryFrom<String> for RemoteRule {
    type Error = RemoteRuleError;

    fn try_from(text: String) -> Result<RemoteRule, RemoteRuleError> {
        text.parse()
    }
}

impl From<RemoteRule> for String {
    fn from(rule: RemoteRule) -> String {
        rule.to_string()
    }
}

/// What is ordered about a command. `id` names it on its host: plain letters, never used for another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RemoteCall {
    /// Start it, unless it was started, or killed, before.
    Start {
        /// Its name.
        id: String,
        /// Program and arguments.
        argv: Vec<String>,
        /// What it reads.
        stdin: String,
    },
    /// See how it stands.
    Poll {
        /// Its name.
        id: String,
    },
    /// End it, with all that it started; one that was not started never will be.
    Kill {
        /// Its name.
        id: String,
    },
}

/// How a command stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RemoteState {
    /// It was not started.
    None,
    /// It runs.
    Running,
    /// It came to its end.
    Ended(Ending),
    /// It was killed, or will never be started, as was ordered.
    Killed,
    /// It was started, runs no longer, and left no word: its host was restarted, or somebody else killed it.
    Lost,
}

/// How a command came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Its status as a shell tells it: 0 to 255, 128 and the number of the signal that killed it.
    pub status: u8,
    /// What it wrote, to either of its two outputs, up to [`OUTPUT_BYTES`].
    pub output: String,
    /// The end of what it wrote beyond that, up to [`LAST_BYTES`].
    pub last: String,
}

/// Bytes that are kept of the beginning of what a command writes.
pub const OUTPUT_BYTES: usize = 64 * 1024;

/// Bytes that are kept of the end of what a command writes, if it writes more.
pub const LAST_BYTES: usize = 16 * 1024;

/// Why a call about a command did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RemoteError {
    /// It was not done, and would not be another time: commands are switched off, the host's key is another one.
    #[error("{0}")]
    Refused(String),
    /// The host was not reached, or did not answer: it may have been done.
    #[error("{0}")]
    Unclear(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_written_as_it_was_read() {
        for text in ["true", "apt-get install --yes ./*", "/opt/x/*/run --host=* **", "**", "echo *"] {
            assert_eq!(text.parse::<RemoteRule>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_rule_is_said() {
        let check = |text: &str, expected: &str| {
            let why = text.parse::<RemoteRule>().unwrap_err().to_string();
            assert!(why.contains(expected), "{text}: {why}");
        };
        check("", "one space between them");
        check("a  b", "one space between them");
        check("a ", "one space between them");
        check("a ** b", "** stands alone");
        check("a b**", "** stands alone");
        check("a\tb", "only plain letters");
        check("ä", "only plain letters");
        check(&"x".repeat(MAX_RULE + 1), "too long");
    }

    #[test]
    fn a_rule_lets_pass_what_it_says() {
        let check = |rule: &str, argv: &[&str], expected: bool| {
            let argv: Vec<String> = argv.iter().map(|&argument| argument.to_owned()).collect();
            assert_eq!(rule.parse::<RemoteRule>().unwrap().allows(&argv), expected, "{rule}: {argv:?}");
        };
        check("true", &["true"], true);
        check("true", &["false"], false);
        check("true", &["true", "x"], false);
        check("true", &[], false);
        check("cat *", &["cat"], false);
        check("cat *", &["cat", ""], true);
        check("cat *", &["cat", "a file"], true);
        check("cat *", &["cat", "a", "b"], false);
        check("cat *", &["cat", "-n"], false);
        check("cat -*", &["cat", "-n"], true);
        check("cat /opt/*", &["cat", "/opt/a/b"], true);
        check("cat /opt/*", &["cat", "/opt/../etc/shadow"], false);
        check("cat /opt/*", &["cat", "/opt/.."], false);
        check("cat /opt/*", &["cat", "/opt/a..b"], true);
        check("cat ../x", &["cat", "../x"], true);
        check("run --a=* --b", &["run", "--a=1", "--b"], true);
        check("run --a=* --b", &["run", "--a=1", "--c"], false);
        check("run **", &["run"], true);
        check("run **", &["run", "-x", "/../y"], true);
        check("run **", &["walk"], false);
        check("**", &["anything", "at", "all"], true);
        check("**", &[], true);
    }
}
