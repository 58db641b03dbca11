//! What a host answered, and what an end without an answer means.

use std::process::Output;

use fenix_core::remote::{Ending, RemoteCall, RemoteError, RemoteState};

use crate::script::{REFUSED, id, mark};

/// Bytes that are shown of what went wrong.
const SHOWN: usize = 300;

/// How `ssh` ends if it did not get there. A command of ours never does.
const SSH_FAILED: i32 = 255;

/// What `ssh` says if another attempt is no use: who is there is not believed, or does not let us in. From OpenSSH's
/// `sshconnect.c` and `sshconnect2.c`.
const FINAL: [&str; 4] = [
    "Host key verification failed",
    "Permission denied",
    "No matching host key",
    "Could not resolve hostname",
];

/// Understands how a call ended.
///
/// # Errors
/// It was not carried out, or that is not known.
pub(crate) fn understand(call: &RemoteCall, output: &Output) -> Result<RemoteState, RemoteError> {
    let said = || shown(&output.stderr);
    match output.status.code() {
        Some(0) => {
            let unclear =
                || RemoteError::Unclear(format!("it answered something else: {}", shown(&output.stdout)));
            answer(id(call), &output.stdout).ok_or_else(unclear)
        }
        Some(REFUSED) => Err(RemoteError::Refused(said())),
        Some(SSH_FAILED) if is_final(&output.stderr) => Err(RemoteError::Refused(said())),
        Some(SSH_FAILED) => Err(RemoteError::Unclear(said())),
        Some(code) => Err(RemoteError::Unclear(format!("its shell ended with {code}: {}", said()))),
        None => Err(RemoteError::Unclear("it was cut off".to_owned())),
    }
}

/// True if another attempt is no use.
fn is_final(said: &[u8]) -> bool {
    let said = String::from_utf8_lossy(said);
    FINAL.iter().any(|words| said.contains(words))
}

/// What stands behind the mark.
fn answer(id: &str, text: &[u8]) -> Option<RemoteState> {
    let mark = mark(id).into_bytes();
    let begins = text
        .windows(mark.len())
        .enumerate()
        .find(|(at, part)| *part == mark.as_slice() && (*at == 0 || text[at - 1] == b'\n'));
    let rest = &text[begins?.0 + mark.len()..];
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    let line = std::str::from_utf8(&rest[..end]).ok()?;
    let words: Vec<&str> = line.split_whitespace().collect();
    Some(match words[..] {
        ["none"] => RemoteState::None,
        ["started" | "running"] => RemoteState::Running,
        ["killed"] => RemoteState::Killed,
        ["lost"] => RemoteState::Lost,
        ["ended", status, output, last] => {
            let (output, last): (usize, usize) = (output.parse().ok()?, last.parse().ok()?);
            let written = &rest[end + 1..];
            let text = |part: &[u8]| String::from_utf8_lossy(part).into_owned();
            RemoteState::Ended(Ending {
                status: status.parse().ok()?,
                output: text(written.get(..output)?),
                last: text(written.get(output..output.checked_add(last)?)?),
            })
        }
        _ => return None,
    })
}

/// The end of what was said, in one line: the reason stands behind what else there was to say.
fn shown(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let line = text.split_whitespace().collect::<Vec<&str>>().join(" ");
    let plain: Vec<char> = line.chars().filter(|c| !c.is_control()).collect();
    match plain.len() {
        0 => "it did not say why".to_owned(),
        long => plain[long.saturating_sub(SHOWN)..].iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::*;

    fn ended(status: u8, output: &str, last: &str) -> RemoteState {
        RemoteState::Ended(Ending { status, output: output.to_owned(), last: last.to_owned() })
    }

    #[test]
    fn an_answer_is_what_stands_behind_the_mark() {
        let check =
            |text: &str, expected: Option<RemoteState>| assert_eq!(answer("x", text.as_bytes()), expected);
        check("fenix:x none\n", Some(RemoteState::None));
        check("Welcome to a fenix:x none\nfenix:x running\n", Some(RemoteState::Running));
        check("fenix:x started\n", Some(RemoteState::Running));
        check("fenix:x killed\n", Some(RemoteState::Killed));
        check("fenix:x lost\n", Some(RemoteState::Lost));
        check("fenix:x ended 3 5 2\nhello!!", Some(ended(3, "hello", "!!")));
        check("fenix:x ended 0 0 0\n", Some(ended(0, "", "")));
        check("", None);
        check("fenix:y none\n", None);
        check("fenix:x none", None);
        check("fenix:x ended 0 5 0\nhell", None);
        check("fenix:x ended 256 0 0\n", None);
        check("fenix:x ended 0 -1 0\n", None);
        check(&format!("fenix:x ended 0 1 {}\nx", usize::MAX), None);
        check("fenix:x something\n", None);
    }

    #[test]
    fn how_a_call_ends_says_whether_it_may_be_repeated() {
        let check = |code: i32, said: &str, expected: Result<(), &str>| {
            let output = Output {
                status: ExitStatus::from_raw(code << 8),
                stdout: b"fenix:x running\n".to_vec(),
                stderr: said.into(),
            };
            match (understand(&RemoteCall::Poll { id: "x".to_owned() }, &output), expected) {
                (Ok(RemoteState::Running), Ok(())) => {}
                (Err(error), Err(expected)) => assert_eq!(format!("{error:?}"), expected),
                other => panic!("{other:?}"),
            }
        };
        check(0, "a warning", Ok(()));
        check(90, "mkdir:\n read-only", Err(r#"Refused("mkdir: read-only")"#));
        check(91, "", Err(r#"Unclear("its shell ended with 91: it did not say why")"#));
        check(255, "ssh: connect to host x: refused", Err(r#"Unclear("ssh: connect to host x: refused")"#));
        check(255, "Host key verification failed.", Err(r#"Refused("Host key verification failed.")"#));
        check(
            255,
            "a@b: Permission denied (publickey).",
            Err(r#"Refused("a@b: Permission denied (publickey).")"#),
        );
    }
}
