//! R7, R8 and R11: what belongs to the session, and in which state it may be touched.

use crate::id::{HostId, InstanceId};
use crate::inventory::{HostKind, InstanceState, Movable, Service};
use crate::rules::{Admission, Case, Refusal, Rule};
use crate::session::{Condition, HostStage, HostWork};
use crate::state::State;

/// R8: stop means stop, for this session and for all.
pub(super) fn goes_on(case: &Case<'_>) -> Result<(), Refusal> {
    match &case.session.condition {
        Condition::Running => match &case.state.held {
            None => Ok(()),
            Some(why) => Err(Rule::R8.refuses(format!("nothing new is begun: {why}"))),
        },
        Condition::Paused => Err(Rule::R8.refuses("the session is paused")),
        Condition::Parked { why } => Err(Rule::R8.refuses(format!("the session is parked: {why}"))),
        Condition::Closing { .. } => Err(Rule::R8.refuses("the session is being closed")),
        Condition::Ended => Err(Rule::R8.refuses("the session has ended")),
    }
}

fn own_host<'a>(case: &Case<'a>, host: &HostId) -> Result<&'a HostWork, Refusal> {
    let Some(work) = case.session.hosts.get(host) else {
        return Err(Rule::R11.refuses(format!("host {host} is not of this session")));
    };
    match case.state.lease(host) {
        Some(holder) if *holder != case.session.id => {
            Err(Rule::R11.refuses(format!("host {host} is held by session {holder}")))
        }
        Some(_) | None => Ok(work),
    }
}

/// True if new instances may come to a host, as far as was last seen.
pub(super) fn is_open(state: &State, host: &HostId) -> bool {
    state.inventory.host(host).is_some_and(|seen| seen.service == Service::Enabled)
}

/// R11: a host of this session that waits its turn, or that somebody enabled again during it.
pub(super) fn may_fence(case: &Case<'_>, host: &HostId) -> Result<(), Refusal> {
    let work = own_host(case, host)?;
    if case.state.inventory.host(host).is_none() {
        return Err(Rule::R11.refuses(format!("the cloud no longer has host {host}")));
    }
    match work.stage {
        HostStage::Waiting | HostStage::Fenced => Ok(()),
        HostStage::Working if is_open(case.state, host) => Ok(()),
        HostStage::Working | HostStage::Worked | HostStage::Maintained | HostStage::Quarantined { .. } => {
            Err(Rule::R11.refuses(format!("host {host} is {} already", work.stage.name())))
        }
    }
}

/// R7: a host on which work was begun and not finished is never put in service.
pub(super) fn may_release(case: &Case<'_>, host: &HostId) -> Result<(), Refusal> {
    let work = own_host(case, host)?;
    match &work.stage {
        HostStage::Worked | HostStage::Fenced | HostStage::Waiting => Ok(()),
        HostStage::Quarantined { begun: false, .. } => Ok(()),
        HostStage::Working | HostStage::Quarantined { begun: true, .. } => {
            Err(Rule::R7.refuses(format!("work on {host} was begun and is not finished")))
        }
        HostStage::Maintained => Err(Rule::R7.refuses(format!("{host} is maintained already"))),
    }
}

/// R11: work is done once on a host of this session.
pub(super) fn may_work(case: &Case<'_>, host: &HostId) -> Result<(), Refusal> {
    let work = own_host(case, host)?;
    match work.stage {
        // Whether it is fenced is R4's to say.
        HostStage::Waiting | HostStage::Fenced | HostStage::Working => Ok(()),
        HostStage::Worked | HostStage::Maintained | HostStage::Quarantined { .. } => {
            Err(Rule::R11.refuses(format!("host {host} is {} already", work.stage.name())))
        }
    }
}

/// R11: hosts are assessed before their turn.
pub(super) fn may_assess(case: &Case<'_>, host: &HostId) -> Result<(), Refusal> {
    match own_host(case, host)?.stage {
        HostStage::Waiting => Ok(()),
        ref other => Err(Rule::R11.refuses(format!("host {host} is {} already", other.name()))),
    }
}

/// R11: the host is one of this session's.
pub(super) fn is_own(case: &Case<'_>, host: &HostId) -> Result<(), Refusal> {
    own_host(case, host).map(|_| ())
}

/// A host may be left out at any time before it is done, unless something is in flight on it.
pub(super) fn may_quarantine(case: &Case<'_>, host: &HostId) -> Result<Admission, Refusal> {
    let work = own_host(case, host)?;
    let begun = match &work.stage {
        HostStage::Waiting | HostStage::Fenced => false,
        HostStage::Working | HostStage::Worked => true,
        HostStage::Quarantined { .. } => return Ok(Admission::NoOp),
        HostStage::Maintained => {
            return Err(Rule::R11.refuses(format!("host {host} is maintained already")));
        }
    };
    if let Some((_, effect)) =
        case.state.effects().find(|(_, effect)| effect.kind.touches(host, &case.state.inventory))
        && effect.unknown.is_none()
    {
        return Err(Rule::R10.refuses(format!("{} is in flight", effect.kind.summary())));
    }
    Ok(Admission::Quarantine { host: host.clone(), begun })
}

/// R11: off a fenced host of this session, to a host that may take it; R10: nothing else is being done to it.
pub(super) fn may_move(
    case: &Case<'_>,
    instance: &InstanceId,
    from: &HostId,
    to: &HostId,
) -> Result<(), Refusal> {
    let Some(seen) = case.state.inventory.instance(instance) else {
        return Err(Rule::R11.refuses(format!("instance {instance} is not there any more")));
    };
    let no = |why: String| Err(Rule::R11.refuses(why));
    let work = own_host(case, from)?;
    if work.stage != HostStage::Fenced {
        return no(format!("{from} is {}, not fenced", work.stage.name()));
    }
    if seen.host != *from {
        return no(format!("instance {instance} is on {} now", seen.host));
    }
    if case.state.inventory.host(from).is_some_and(|host| !host.up && !host.dead) {
        return no(format!(
            "{from} is down, and nobody has said that it is dead: what is on it may still run there"
        ));
    }
    if let Movable::No { reason } = &seen.movable {
        return no(format!("instance {instance} cannot be moved: {reason}"));
    }
    match seen.state {
        InstanceState::Active | InstanceState::Stopped if seen.other_end.is_none() => {}
        InstanceState::Active
        | InstanceState::Stopped
        | InstanceState::Building
        | InstanceState::Moving
        | InstanceState::Moved
        | InstanceState::Error => {
            return no(format!("instance {instance} is {:?}, somebody else is at it", seen.state));
        }
    }
    if to == from {
        return no(format!("instance {instance} is on {to} already"));
    }
    match case.state.lease(to) {
        Some(holder) if *holder != case.session.id => {
            return no(format!("{to} is held by session {holder}"));
        }
        Some(_) | None => {}
    }
    match case.state.inventory.host(to) {
        Some(host) if host.kind == HostKind::Compute && host.takes_instances() => {}
        Some(_) => return no(format!("{to} takes no instances")),
        None => return no(format!("the cloud has no host {to}")),
    }
    if case.session.hosts_out(None).contains(&to) {
        return no(format!("{to} is out of service for this session"));
    }
    Ok(())
}

impl crate::effect::EffectKind {
    /// True if the effect is about a host: on it, off it or to it.
    pub fn touches(&self, host: &HostId, inventory: &crate::inventory::Inventory) -> bool {
        use crate::effect::EffectKind;
        match self {
            EffectKind::Fence { host: subject } | EffectKind::Release { host: subject } => subject == host,
            EffectKind::Work { target } => target.host() == Some(host),
            EffectKind::Move { instance, from, to, .. } => {
                from == host
                    || to == host
                    || inventory.instance(instance).is_some_and(|seen| seen.ends().any(|end| end == host))
            }
        }
    }
}
