//! R5: what runs must fit. May refuse wrongly; never admits without a witness.

use crate::id::{HostId, InstanceId};
use crate::place::Rooms;
use crate::rules::{Case, Refusal, Rule};

/// There is a place for everything on a host that is about to be emptied, with the headroom kept.
pub(super) fn can_empty(case: &Case<'_>, host: &HostId) -> Result<(), Refusal> {
    if crate::place::needs_no_place(case.state, case.session, host) {
        return Ok(());
    }
    Rooms::new(case.state, case.session).place(host).map(|_| ()).map_err(|why| Rule::R5.refuses(why))
}

/// The destination has room, after everything seen there and every other admitted move.
pub(super) fn fits(case: &Case<'_>, instance: &InstanceId, to: &HostId) -> Result<(), Refusal> {
    let Some(seen) = case.state.inventory.instance(instance) else {
        return Err(Rule::R5.refuses(format!("instance {instance} is not there any more")));
    };
    if seen.ends().any(|end| end == to) {
        return Ok(());
    }
    let free = case.state.free(to, case.own);
    if free.fits(&seen.resources) {
        return Ok(());
    }
    let (left, wanted) = free.beside(&seen.resources);
    Err(Rule::R5.refuses(format!("{to} has {left} left, and {instance} needs {wanted}")))
}
