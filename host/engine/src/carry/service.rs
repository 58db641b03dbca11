//! What to do about fencing a host or giving it back, from what was seen of it. Both are idempotent: they may be
//! sent again, but end only when nothing sent earlier can still be done.

use fenix_core::effect::{EffectKind, Outcome};
use fenix_core::id::SessionId;
use fenix_core::inventory::{Host, Service};
use fenix_core::rules::Rule;

use super::{Ground, Memory, Next};
use crate::ports::CloudCall;

/// The next step of fencing a host.
pub(super) fn next_fence(
    ground: &Ground<'_>,
    memory: &Memory,
    session: &SessionId,
    seen: Option<&Host>,
) -> Next {
    let Some(host) = seen else {
        return Next::withdrawn(Rule::R11.refuses("the cloud no longer has the host"));
    };
    let wait = Next::Look(ground.settings.poll);
    if host.service != Service::Enabled {
        return if ground.unsettled() { wait } else { Next::End(Outcome::Done) };
    }
    if let Some(why) = give_up(ground, memory) {
        return if ground.unsettled() { wait } else { Next::failed(why) };
    }
    if ground.in_grace(memory) {
        return wait;
    }
    Next::Check(CloudCall::Disable { host: host.id.clone(), reason: reason(session) })
}

/// What stands beside a service that a session disabled; nobody else writes it.
fn reason(session: &SessionId) -> String {
    format!("fenix: maintenance session {session}")
}

/// The next step of giving a host back: what the session disabled is enabled. What somebody else disabled, before or
/// since, stays as it is; the reason beside the service tells whose it is.
pub(super) fn next_release(
    ground: &Ground<'_>,
    memory: &Memory,
    session: &SessionId,
    seen: Option<&Host>,
) -> Next {
    let EffectKind::Release { host: id } = &ground.effect.kind else {
        return Next::failed("not a release");
    };
    let Some(host) = seen else { return Next::failed(format!("the cloud no longer has host {id}")) };
    let wait = Next::Look(ground.settings.poll);
    if !host.up {
        let over = ground.overdue() && !ground.unsettled();
        return if over { Next::failed(format!("host {id} does not answer")) } else { wait };
    }
    let is_ours = matches!(&host.service, Service::Disabled { reason: beside } if *beside == reason(session));
    if !is_ours {
        return if ground.unsettled() { wait } else { Next::End(Outcome::Done) };
    }
    if let Some(why) = give_up(ground, memory) {
        return if ground.unsettled() { wait } else { Next::failed(why) };
    }
    if ground.in_grace(memory) {
        return wait;
    }
    Next::Check(CloudCall::Enable { host: id.clone() })
}

fn give_up(ground: &Ground<'_>, memory: &Memory) -> Option<String> {
    if let Some(why) = &memory.refused {
        return Some(why.clone());
    }
    ground.overdue().then(|| "the host's service did not change in time".to_owned())
}
