//! Restarts the host, once, and makes sure that it came back.
//!
//! A restart must not be ordered twice, and any call can be repeated: Fenix may end after the order was given and before
//! the call's result reached the disk, and the order's answer may be lost. So the first call orders nothing; it only
//! notes which boot is running, and that note is on disk before the next call. From then on the boot tells all: the order
//! is given only while the noted boot runs and the host is up, and another boot means that the restart is done, whoever
//! ordered it. After an order nothing is ever ordered again: it either shows, or the action fails and says what it saw.

use fenix_sdk::action::{Again, Assignment, Cloud, CloudError, Failure, HostStatus, Progress};

fenix_sdk::action! { name: "reboot", run: run }

/// Milliseconds to the first look after the order; each further wait is half as long again.
pub const FIRST_WAIT_MS: u32 = 500;

/// Longest wait between two looks: a restart takes minutes, and nobody minds ten seconds more.
pub const LONGEST_WAIT_MS: u32 = 10_000;

/// Looks after the order before giving up: some 15 minutes. A server with much memory takes ten to check it.
pub const LOOKS: u32 = 96;

/// How far it is, as the checkpoint says.
#[derive(Debug, PartialEq, Eq)]
enum Stand<'a> {
    /// That boot was seen; nothing was ordered, unless this call is a repeat.
    Seen { boot: &'a str },
    /// The restart of that boot was ordered, and looked for so often.
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
            "there is no host to restart: list reboot under type host, compute or controller",
        ));
    };
    let Some(checkpoint) = checkpoint else {
        let host = cloud.host(id).map_err(|error| failed(&words(&error)))?;
        return Ok(again(0, 5, format!("seen {}", host.boot)));
    };
    match parse(checkpoint) {
        Some(Stand::Seen { boot }) => order(cloud, id, boot),
        Some(Stand::Ordered { boot, looks }) => look(cloud, id, boot, looks),
        None => Err(failed("the checkpoint is not one of reboot's")),
    }
}

/// Gives the order, if the noted boot still runs.
fn order(cloud: &mut dyn Cloud, id: &str, boot: &str) -> Result<Progress, Failure> {
    let host = cloud.host(id).map_err(|error| failed(&words(&error)))?;
    // A host that is down, or runs another boot, is being restarted already: this call is a repeat.
    if host.boot == boot && host.up {
        match cloud.reboot(id) {
            // Perhaps it was not done; to order it again could restart the host twice.
            Ok(()) | Err(CloudError::Unclear(_)) => {}
            Err(error) => return Err(failed(&words(&error))),
        }
    }
    Ok(again(FIRST_WAIT_MS, 20, format!("ordered 0 {boot}")))
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
    match checkpoint.split_once(' ')? {
        ("seen", boot) => Some(Stand::Seen { boot }),
        ("ordered", rest) => {
            let (looks, boot) = rest.split_once(' ')?;
            Some(Stand::Ordered { boot, looks: looks.parse().ok()? })
        }
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
