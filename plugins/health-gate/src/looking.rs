//! One look, at a command on the host or at an address.

use fenix_commands::{Seen, look, wait, words};
use fenix_sdk::action::{Assignment, Failure, Header, HttpError, Request};

use crate::metadata::{Address, Look, Metadata};
use crate::{Looks, Stand};

/// Looks at a command that still runs before it is ended: some five minutes.
pub const MOST_POLLS: u32 = 36;

/// Characters that are shown of a body.
const BODY_CHARS: usize = 200;

/// Bytes of a sentence for people; some are left for how often it was seen.
const SENTENCE_BYTES: usize = 900;

/// What one look saw.
pub(crate) enum Sight {
    /// Nothing yet: the command runs. Milliseconds until it is looked at again, and a sentence.
    Runs(u32, String),
    /// All is well.
    Good(String),
    /// It is not, or nobody knows.
    Bad(String),
}

/// Looks.
pub(crate) fn see(
    host: &mut dyn Looks,
    assignment: &Assignment,
    metadata: &Metadata,
    stand: Stand,
) -> Result<Sight, Failure> {
    let sight = match metadata.look(assignment)? {
        Look::Command(argv) => of_command(host, &argv, stand),
        Look::Address(address) => of_address(host, &address),
    }?;
    Ok(match sight {
        Sight::Runs(after_ms, why) => Sight::Runs(after_ms, clipped(why)),
        Sight::Good(why) => Sight::Good(clipped(why)),
        Sight::Bad(why) => Sight::Bad(clipped(why)),
    })
}

fn of_command(host: &mut dyn Looks, argv: &[String], stand: Stand) -> Result<Sight, Failure> {
    let program = argv.first().map(String::as_str).unwrap_or_default();
    // A name of its own for every look: under one name a command is run once.
    let name = format!("look-{}-{}", stand.round, stand.looks);
    Ok(match look(host, &name, argv, "")? {
        Seen::Ended(ending) if ending.status == 0 => Sight::Good(format!("{program} says that all is well")),
        Seen::Ended(ending) => Sight::Bad(words(program, &ending)),
        Seen::Gone(why) => Sight::Bad(why),
        // A host that does not answer is not well.
        Seen::Silent(why) => Sight::Bad(why),
        Seen::Runs if stand.polls < MOST_POLLS => Sight::Runs(wait(stand.polls), format!("{program} runs")),
        Seen::Runs => {
            // Whether that works changes nothing here: the next look is another command.
            if let Err(error) = host.kill(&name) {
                fenix_sdk::log::warn(&format!("{program} could not be ended: {error:?}"));
            }
            Sight::Bad(format!("{program} did not come to an end, and was ended"))
        }
    })
}

fn of_address(host: &mut dyn Looks, address: &Address) -> Result<Sight, Failure> {
    let Address { url, headers, expect, value } = address;
    let header = |(name, value): &(String, String)| Header { name: name.clone(), value: value.clone() };
    let headers = headers.iter().map(header).collect();
    let request = Request { method: "GET".to_owned(), url: url.clone(), headers, body: Vec::new() };
    let answer = match host.send(&request) {
        Ok(answer) => answer,
        Err(HttpError::NotGranted(what)) => return Err(Failure::Failed(format!("not granted: {what}"))),
        Err(HttpError::Invalid(why)) => return Err(Failure::BadMetadata(format!("health-gate: {why}"))),
        Err(HttpError::Unreachable(why) | HttpError::Unclear(why)) => {
            return Ok(Sight::Bad(format!("{url}: {why}")));
        }
    };
    let is_expected = match expect.as_slice() {
        [] => (200..300).contains(&answer.status),
        expected => expected.contains(&answer.status),
    };
    let answers = format!("{url} answers {}", answer.status);
    if !is_expected {
        return Ok(Sight::Bad(format!("{answers}: {}", shown(&answer.body))));
    }
    let Some(wanted) = value else { return Ok(Sight::Good(answers)) };
    let Ok(read) = serde_json::from_slice(&answer.body) else {
        return Ok(Sight::Bad(format!("{url} answers with what is no JSON: {}", shown(&answer.body))));
    };
    Ok(match wanted.misses(&read) {
        None => Sight::Good(format!("{url} says that all is well")),
        Some(why) => Sight::Bad(format!("{url}: {why}")),
    })
}

/// The beginning of a body.
fn shown(body: &[u8]) -> String {
    String::from_utf8_lossy(body).chars().take(BODY_CHARS).collect()
}

fn clipped(mut sentence: String) -> String {
    sentence.truncate(sentence.floor_char_boundary(SENTENCE_BYTES));
    sentence
}
