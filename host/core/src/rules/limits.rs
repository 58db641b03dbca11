//! R4 and R6: when work may be done on a host, and on how many.

use crate::id::HostId;
use crate::inventory::{Host, HostKind};
use crate::rules::{Case, Refusal, Rule};
use crate::session::HostStage;
use crate::time::Millis;

/// How long an instance that was on its way to a host, and is shown neither there nor on its way, may still come: as long as
/// a move of our own is believed to be under way then (`doubt` of the engine's settings).
const MAY_STILL_COME: Millis = Millis::from_secs(10);

/// R4: the window is open.
pub(super) fn inside_window(case: &Case<'_>) -> Result<(), Refusal> {
    let plan = &case.session.plan;
    if case.now < plan.maintenance_at {
        return Err(
            Rule::R4.refuses(format!("maintenance begins in {}", plan.maintenance_at.since(case.now)))
        );
    }
    match plan.window_end {
        Some(end) if case.now >= end => Err(Rule::R4.refuses("the window is over")),
        Some(_) | None => Ok(()),
    }
}

/// R4: the host answers: what is done on it could not begin.
pub(super) fn answers(case: &Case<'_>, host: &HostId) -> Result<(), Refusal> {
    match case.state.inventory.host(host) {
        Some(seen) if !seen.up => Err(Rule::R4.refuses(format!("{host} is down"))),
        Some(_) | None => Ok(()),
    }
}

/// R4: no new instances come, and nothing is there or on its way.
pub(super) fn fenced_and_empty(case: &Case<'_>, host: &HostId) -> Result<(), Refusal> {
    if !case.session.hosts.get(host).is_some_and(|work| work.fenced) {
        return Err(Rule::R4.refuses(format!("{host} is not fenced")));
    }
    if let Some(seen) = case.state.inventory.host(host)
        && seen.service == crate::inventory::Service::Enabled
    {
        return Err(Rule::R4.refuses(format!("somebody enabled {host} again")));
    }
    if let Some(instance) = case.state.inventory.holding(host).next() {
        return Err(Rule::R4.refuses(format!("instance {} is on {host}", instance.id)));
    }
    if case.state.claims(host, None) != crate::inventory::Resources::default() {
        return Err(Rule::R4.refuses(format!("an instance is on its way to {host}")));
    }
    if let Some(until) =
        case.state.missed.get(host).map(|at| *at + MAY_STILL_COME).filter(|at| case.now < *at)
    {
        let left = until.since(case.now);
        return Err(
            Rule::R4.refuses(format!("an instance was on its way to {host}, and may come for {left} more"))
        );
    }
    Ok(())
}

/// R6: what takes out the host that Fenix itself runs on takes Fenix out, and nobody else is left to look after another one.
pub(super) fn goes_last(case: &Case<'_>, host: &HostId) -> Result<(), Refusal> {
    match case.session.held_back() {
        Some(own) if own == host => {
            Err(Rule::R6.refuses(format!("Fenix itself runs on {host}, and other hosts are not done")))
        }
        Some(_) | None => Ok(()),
    }
}

/// R6: hosts out at once, in all and per failure domain.
pub(super) fn hosts_out(case: &Case<'_>, host: &HostId) -> Result<(), Refusal> {
    let terms = &case.session.plan.terms;
    let others = |out: Vec<&HostId>| out.into_iter().filter(|other| *other != host).count() as u32;
    let out = others(case.session.hosts_out(case.own));
    if out >= terms.hosts_at_once {
        return Err(Rule::R6.refuses(format!(
            "{out} hosts of the session are out of service, and {} is the most",
            terms.hosts_at_once
        )));
    }
    if let Some(seen) = case.state.inventory.host(host) {
        let out = others(case.state.hosts_out(&seen.zone, case.own));
        if out >= terms.hosts_at_once_per_zone {
            return Err(Rule::R6.refuses(format!(
                "{out} hosts of zone {} are out of service, and {} is the most",
                seen.zone, terms.hosts_at_once_per_zone
            )));
        }
    }
    controllers(case, host)
}

/// R6: controllers one at a time over all sessions, and never the last healthy one.
pub(super) fn controllers(case: &Case<'_>, host: &HostId) -> Result<(), Refusal> {
    let inventory = &case.state.inventory;
    if inventory.host(host).is_none_or(|seen| seen.kind != HostKind::Controller) {
        return Ok(());
    }
    let is_out = |other: &Host| {
        case.state.sessions.values().any(|session| session.hosts_out(case.own).contains(&&other.id))
    };
    let is_left_out = |other: &Host| {
        let hosts = case.state.sessions.values().filter_map(|session| session.hosts.get(&other.id));
        let by_a_session =
            hosts.into_iter().any(|work| matches!(work.stage, HostStage::Quarantined { begun: true, .. }));
        // It is no better when the session that left it out is removed.
        let past = case.state.past.host(&other.id).and_then(|past| past.quarantined.as_ref());
        by_a_session || past.is_some_and(|left_out| left_out.begun)
    };
    let mut healthy = 0;
    for other in inventory.hosts().filter(|other| other.kind == HostKind::Controller && other.id != *host) {
        if is_out(other) {
            return Err(Rule::R6.refuses(format!("controller {} is out of service", other.id)));
        }
        healthy += u32::from(other.up && !is_left_out(other));
    }
    if healthy == 0 {
        return Err(Rule::R6.refuses(format!("{host} is the last healthy controller")));
    }
    Ok(())
}
