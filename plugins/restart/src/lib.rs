//! Restarts the host, once, and makes sure that it came back.
//!
//! A host must not be restarted twice, and any call can be repeated: Fenix may end after the order was given and before
//! the call's result reached the disk, and the order or its answer may be lost, or late. So the first call orders nothing;
//! it only notes which boot is running, and that note is on disk before the next call. From then on that boot tells all:
//! every order is to end it and no other, so that one which is given again, or comes late, finds it gone and does
//! nothing; and another boot means that the restart is done, whoever ordered it. An order without an answer is given
//! again until it has one; one that was taken never is: it either shows, or the action fails and says what it saw.

use fenix_sdk::action::{Again, Assignment, Cloud, CloudError, Failure, HostStatus, Progress};

/// Milliseconds to the first look after the order; each further wait is half as long again.
pub const FIRST_WAIT_MS: u32 = 500;

/// Longest wait between two looks: a restart takes minutes, and nobody minds ten seconds more.
pub const LONGEST_WAIT_MS: u32 = 10_000;

/// Calls in one stand before giving up: some 15 minutes. A server with much memory takes ten to check it, and a cloud may
/// be restarted meanwhile.
pub const LOOKS: u32 = 96;

/// How far it is, as the checkpoint says; `looks` counts the calls in that stand, those without an answer too.
#[derive(Debug, PartialEq, Eq)]
enum Stand<'a> {
    /// The host did not show itself yet.
    Blind { looks: u32 },
    /// That boot was seen; no order was taken, as far as is known.
    Seen { boot: &'a str, looks: u32 },
    /// The restart of that boot was ordered.
    Ordered { boot: &'a str, looks: u32 },
}

/// Takes it from where the checkpoint says.
///
/// # Errors
/// The cloud refuses, or the host does not come back.
pub fn run(
    cloud: &mut dyn Cloud,
    assignment: &Assignment,
    checkpoint: Option<&str>,
) -> Result<Progress, Failure> {
    let Some(id) = assignment.host.as_deref() else {
        return Err(failed(
            "there is no host to restart: list the action under type host, compute or controller",
        ));
    };
    match checkpoint.map(parse) {
        None => see(cloud, id, 0),
        Some(Some(Stand::Blind { looks })) => see(cloud, id, looks),
        Some(Some(Stand::Seen { boot, looks })) => order(cloud, id, boot, looks),
        Some(Some(Stand::Ordered { boot, looks })) => look(cloud, id, boot, looks),
        Some(None) => Err(failed("the checkpoint is not one of a restart's")),
    }
}

/// Notes which boot runs.
fn see(cloud: &mut dyn Cloud, id: &str, looks: u32) -> Result<Progress, Failure> {
    match cloud.host(id) {
        Ok(host) => Ok(again(0, 5, format!("seen 0 {}", host.boot))),
        Err(CloudError::Unclear(_)) if looks < LOOKS => {
            Ok(again(wait(looks), 5, format!("blind {}", looks + 1)))
        }
        Err(error) => Err(failed(&words(&error))),
    }
}

/// Gives the order, again and again until there is an answer.
fn order(cloud: &mut dyn Cloud, id: &str, boot: &str, looks: u32) -> Result<Progress, Failure> {
    match end(cloud, id, boot) {
        Ok(()) => Ok(again(FIRST_WAIT_MS, 20, format!("ordered 0 {boot}"))),
        Err(CloudError::Unclear(_)) if looks < LOOKS => {
            Ok(again(wait(looks), 10, format!("seen {} {boot}", looks + 1)))
        }
        Err(error) => Err(failed(&words(&error))),
    }
}

/// Orders the noted boot to end, if it still runs. On return that order was taken, or one before it.
fn end(cloud: &mut dyn Cloud, id: &str, boot: &str) -> Result<(), CloudError> {
    // A host that is down, or runs another boot, is being restarted already.
    if !is_running(cloud, id, boot)? {
        return Ok(());
    }
    match cloud.reboot(id, boot) {
        // Perhaps one before it arrived in this moment.
        Err(CloudError::Refused(why)) => match is_running(cloud, id, boot)? {
            true => Err(CloudError::Refused(why)),
            false => Ok(()),
        },
        answer => answer,
    }
}

/// True if that boot runs, and the host is up.
fn is_running(cloud: &mut dyn Cloud, id: &str, boot: &str) -> Result<bool, CloudError> {
    let host = cloud.host(id)?;
    Ok(host.boot == boot && host.up)
}

/// Looks whether the host is back.
fn look(cloud: &mut dyn Cloud, id: &str, boot: &str, looks: u32) -> Result<Progress, Failure> {
    let seen = match cloud.host(id) {
        Ok(host) if host.boot != boot && host.up => {
            return Ok(Progress::Done(format!("restarted {id}: boot {boot} ended, {} runs", host.boot)));
        }
        Ok(host) => state(&host, boot),
        Err(error @ (CloudError::NotGranted(_) | CloudError::NotFound(_))) => {
            return Err(failed(&words(&error)));
        }
        Err(error @ (CloudError::Refused(_) | CloudError::Unclear(_))) => words(&error),
    };
    if looks >= LOOKS {
        return Err(failed(&format!("{id} did not come back after a restart was ordered: {seen}")));
    }
    let percent = 20 + u8::try_from(looks.min(70)).unwrap_or(70);
    Ok(again(wait(looks + 1), percent, format!("ordered {} {boot}", looks + 1)))
}

fn state(host: &HostStatus, boot: &str) -> String {
    match (host.boot == boot, host.up) {
        (true, true) => format!("boot {boot} still runs; look at the machine before trying again"),
        (true, false) => "it is down".to_owned(),
        (false, _) => format!("boot {} is not up yet", host.boot),
    }
}

/// Milliseconds to wait before the look with that number.
fn wait(looks: u32) -> u32 {
    (0..looks).fold(FIRST_WAIT_MS, |wait, _| (wait + wait / 2).min(LONGEST_WAIT_MS))
}

fn parse(checkpoint: &str) -> Option<Stand<'_>> {
    let (word, rest) = checkpoint.split_once(' ')?;
    let (looks, boot) = rest.split_once(' ').unwrap_or((rest, ""));
    let looks = looks.parse().ok()?;
    match word {
        "blind" => Some(Stand::Blind { looks }),
        "seen" => Some(Stand::Seen { boot, looks }),
        "ordered" => Some(Stand::Ordered { boot, looks }),
        _ => None,
    }
}

fn again(after_ms: u32, percent: u8, checkpoint: String) -> Progress {
    Progress::Again(Again { after_ms, checkpoint, percent })
}

fn failed(why: &str) -> Failure {
    Failure::Failed(why.to_owned())
}

fn words(error: &CloudError) -> String {
    match error {
        CloudError::NotGranted(what) => format!("not granted: {what}"),
        CloudError::NotFound(what) => format!("the cloud knows no {what}"),
        CloudError::Refused(why) => format!("the cloud refused: {why}"),
        CloudError::Unclear(why) => format!("no answer from the cloud: {why}"),
    }
}

#[cfg(test)]
mod tests;
