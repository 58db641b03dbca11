//! R2: what a group bears.

use crate::id::{HostId, InstanceId};
use crate::rules::{Case, Refusal, Rule};

/// Never more than `max_impacted_members` out, over all sessions, this one included.
pub(super) fn members_out(case: &Case<'_>, instance: &InstanceId) -> Result<(), Refusal> {
    let group = case.state.inventory.instance(instance).and_then(|seen| seen.group.as_ref());
    let Some(group) = group.and_then(|id| case.state.inventory.group(id)) else { return Ok(()) };
    let mut out = case.state.members_out(&group.id, case.now, case.own);
    out.remove(instance);
    if (out.len() as u32) < group.max_impacted_members {
        return Ok(());
    }
    let named: Vec<String> = out.iter().map(|(member, why)| format!("{member} is {why}")).collect();
    let others = if named.is_empty() { "none may be touched".into() } else { named.join(", ") };
    Err(Rule::R2
        .refuses(format!("group {} bears {} members out: {others}", group.name, group.max_impacted_members)))
}

/// Anti-affinity and `max_instances_per_host` hold at the destination.
pub(super) fn destination(case: &Case<'_>, instance: &InstanceId, to: &HostId) -> Result<(), Refusal> {
    let group = case.state.inventory.instance(instance).and_then(|seen| seen.group.as_ref());
    let Some(group) = group.and_then(|id| case.state.inventory.group(id)) else { return Ok(()) };
    let there = case.state.members_at(&group.id, to, instance, case.own);
    if there < group.most_per_host() {
        return Ok(());
    }
    Err(Rule::R2.refuses(format!(
        "{there} members of group {} are on {to} or on their way, and {} is the most on one host",
        group.name,
        group.most_per_host()
    )))
}
