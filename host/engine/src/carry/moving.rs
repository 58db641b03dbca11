//! What to do about a move, from what was seen of its instance.

use fenix_core::ask::MoveHow;
use fenix_core::effect::{EffectKind, Outcome};
use fenix_core::inventory::{Instance, InstanceState};
use fenix_core::policy::SlowLive;
use fenix_core::rules::Rule;
use fenix_core::time::Millis;

use super::{Ground, Memory, Next};
use crate::ports::CloudCall;

/// The next step of a move. An answer of the cloud is a hint: only the instance seen on its new host, settled,
/// ends it well.
pub(super) fn next(ground: &Ground<'_>, memory: &mut Memory, seen: Option<&Instance>) -> Next {
    let EffectKind::Move { from, to, how, .. } = &ground.effect.kind else {
        return Next::failed("not a move");
    };
    let Some(instance) = seen else {
        return Next::withdrawn(Rule::R11.refuses("the instance is not there any more"));
    };
    if instance.state == InstanceState::Error {
        return Next::failed(format!("instance {} is in error on {}", instance.id, instance.host));
    }
    let settled = instance.other_end.is_none()
        && matches!(instance.state, InstanceState::Active | InstanceState::Stopped);
    if instance.host != *from || !settled {
        memory.rests_since = None;
    }
    if instance.host == *to {
        return arrived(ground, memory, instance, settled);
    }
    if instance.host != *from {
        return elsewhere(ground, instance, settled);
    }
    if settled {
        return at_source(ground, memory, instance);
    }
    let ours = instance.other_end.as_ref() == Some(to);
    if instance.state == InstanceState::Moving && ours {
        memory.seen_moving = true;
        return under_way(ground, memory, instance, *how);
    }
    match begun(ground, memory) {
        // Somebody else is at it: the rules will say so.
        false => Next::Check(start(instance, ground)),
        true => wait_or_unknown(ground, "the instance does not come to rest"),
    }
}

fn begun(ground: &Ground<'_>, memory: &Memory) -> bool {
    memory.accepted_at.is_some() || memory.seen_moving || ground.effect.unclear_at.is_some()
}

fn start(instance: &Instance, ground: &Ground<'_>) -> CloudCall {
    let instance = instance.id.clone();
    match &ground.effect.kind {
        // Nothing of it runs there any more: it begins anew elsewhere, whichever way it was to be moved.
        EffectKind::Move { to, .. } if ground.is_source_dead => {
            CloudCall::Evacuate { instance, to: to.clone() }
        }
        EffectKind::Move { to, how: MoveHow::LiveMigrate, .. } => {
            CloudCall::LiveMigrate { instance, to: to.clone() }
        }
        EffectKind::Move { to, .. } => CloudCall::Migrate { instance, to: to.clone() },
        // `next` has looked at the kind already.
        EffectKind::Fence { .. } | EffectKind::Release { .. } | EffectKind::Work { .. } => {
            CloudCall::ReadInstance { instance }
        }
    }
}

fn arrived(ground: &Ground<'_>, memory: &Memory, instance: &Instance, settled: bool) -> Next {
    if settled {
        return Next::End(Outcome::Done);
    }
    if let Some(why) = &memory.refused {
        return wait_or_unknown(ground, why);
    }
    match instance.state {
        InstanceState::Moved if ground.is_past_all() && ground.effect.unknown.is_none() => {
            Next::End(Outcome::Unknown { why: "the move is not confirmed".into() })
        }
        InstanceState::Moved => Next::Act(CloudCall::Confirm { instance: instance.id.clone() }),
        InstanceState::Active
        | InstanceState::Building
        | InstanceState::Moving
        | InstanceState::Stopped
        | InstanceState::Error => wait_or_unknown(ground, "the instance does not come to rest"),
    }
}

fn elsewhere(ground: &Ground<'_>, instance: &Instance, settled: bool) -> Next {
    if settled || ground.effect.unclear_at.is_none() {
        return Next::withdrawn(Rule::R11.refuses(format!("somebody moved it to {}", instance.host)));
    }
    wait_or_unknown(ground, "somebody else is moving the instance")
}

/// The instance rests on its source: not begun, refused, lost on the way, or come back.
fn at_source(ground: &Ground<'_>, memory: &mut Memory, instance: &Instance) -> Next {
    let since = *memory.rests_since.get_or_insert(ground.now);
    if begun(ground, memory) && ground.now < since + ground.settings.doubt {
        return Next::Look(ground.settings.poll);
    }
    if let Some(why) = &memory.refused {
        return Next::failed(why.clone());
    }
    if memory.seen_moving {
        return Next::failed("the instance came back to its host");
    }
    if ground.in_grace(memory) || ground.unsettled() {
        return Next::Look(ground.settings.poll);
    }
    if memory.accepted_at.is_some() {
        return Next::failed("the cloud accepted the move, and the instance stayed on its host");
    }
    if ground.effect.unclear_at.is_some() && !std::mem::take(&mut memory.resumed) {
        return Next::failed("the call to the cloud was lost: no sign of the move");
    }
    if ground.overdue() {
        return Next::failed("the move was not begun in time");
    }
    Next::Check(start(instance, ground))
}

fn under_way(ground: &Ground<'_>, memory: &mut Memory, instance: &Instance, how: MoveHow) -> Next {
    if memory.hurried_at.is_some() && memory.refused.is_some() {
        // Too early, perhaps: Nova takes no such order before the copying has begun.
        memory.hurried_at = None;
        return Next::Look(ground.settings.poll);
    }
    // Again, until it shows: the order may have been lost, and given twice it does no harm.
    let waits = memory.hurried_at.is_some_and(|at| ground.now < at + ground.settings.doubt);
    let is_live = how == MoveHow::LiveMigrate && !ground.is_source_dead;
    if ground.overdue() && is_live && !waits && !ground.is_past_all() {
        memory.hurried_at = Some(ground.now);
        let instance = instance.id.clone();
        return Next::Act(match ground.terms.policies.slow_live {
            // Half of the time that is left; the other half is for giving it up.
            SlowLive::Complete if !ground.is_past(Millis(ground.terms.settle_time.0 / 2)) => {
                CloudCall::CompleteLive { instance }
            }
            SlowLive::Complete | SlowLive::Abort => CloudCall::AbortLive { instance },
        });
    }
    wait_or_unknown(ground, "the move takes longer than it may")
}

fn wait_or_unknown(ground: &Ground<'_>, why: &str) -> Next {
    if ground.is_past_all() {
        return Next::End(Outcome::Unknown { why: why.into() });
    }
    Next::Look(ground.settings.poll)
}
