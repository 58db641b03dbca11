//! R5: Fenix never takes room that it had itself given away.
//!
//! The simulated cloud takes no claim for which there is no room, so a claim that Fenix doubled shows as a refusal.

use fenix_cloud::sim::trace::{Actor, Happening};
use fenix_core::id::{HostId, InstanceId};
use fenix_core::inventory::Service;
use fenix_core::time::{Millis, Time};

use super::{Check, Checker, Findings, Sight, move_of};
use crate::scenario::{Freeze, START};
use crate::truth::Truth;

/// How long Fenix may not know what others did: it reads everything once a minute, and a read can be lost, or
/// Fenix be down. While the cloud is out of reach it reads nothing.
const STALE: Millis = Millis::from_secs(300);

/// Looks at refusals.
pub(super) struct Capacity;

impl Checker for Capacity {
    fn see(&mut self, sight: &Sight<'_>, what: &Truth, found: &mut Findings) {
        match what {
            Truth::Cloud(Happening::ClaimTaken { instance, host, resources }, _) => {
                let Some(known) = sight.ground.hosts.get(host) else { return };
                let own = known.claims.get(instance).cloned().unwrap_or_default();
                if !known.free().plus(&own).fits(resources) {
                    found.add(Check::R5, sight.at, format!("{host} is over-committed by {instance}"));
                }
            }
            Truth::Cloud(Happening::Refused { call, .. }, Actor::Client) => {
                if let Some((instance, to)) = move_of(call) {
                    refused(sight, instance, to, found);
                }
            }
            _ => {}
        }
    }
}

fn refused(sight: &Sight<'_>, instance: &InstanceId, to: &HostId, found: &mut Findings) {
    let (Some(seen), Some(host)) = (sight.ground.instances.get(instance), sight.ground.hosts.get(to)) else {
        return;
    };
    let Some(need) = sight.ground.hosts.get(&seen.host).and_then(|host| host.claims.get(instance)) else {
        return;
    };
    let open = host.service == Service::Enabled && host.up;
    if seen.moving.is_some() || seen.host == *to || !open || host.free().fits(need) {
        return;
    }
    let is_news = |at: Time| sight.at < at + STALE + out_of_reach(sight, at);
    // Or they made it larger: there was room for what it was.
    if !host.others_came.into_iter().chain(seen.others_resized).any(is_news) {
        let what = format!("there is no room for {instance} on {to}, and nobody but Fenix took any");
        found.add(Check::R5, sight.at, what);
    }
}

/// For how long the cloud was out of reach since then.
fn out_of_reach(sight: &Sight<'_>, since: Time) -> Millis {
    let overlap = |outage: &Freeze| {
        let (from, until) = (START + outage.at, START + outage.at + outage.span);
        until.min(sight.at).since(from.max(since)).0
    };
    Millis(sight.scenario.faults.outages.iter().map(overlap).sum())
}
