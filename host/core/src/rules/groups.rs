//! R2: what a group bears.

use crate::group::Limits;
use crate::id::{GroupId, HostId, InstanceId};
use crate::rules::{Case, Refusal, Rule};

/// The groups that an instance backs up, with what each bears.
fn groups<'a>(case: &Case<'a>, instance: &InstanceId) -> impl Iterator<Item = (&'a GroupId, Limits<'a>)> {
    let (state, ceilings) = (case.state, &case.session.plan.terms.ceilings);
    let seen = state.inventory.instance(instance);
    seen.into_iter().flat_map(move |seen| {
        state.groups_of(seen).map(move |group| (group, state.limits(group, seen, ceilings)))
    })
}

/// Never more than `max_impacted_members` out, over all sessions, this one included.
pub(super) fn members_out(case: &Case<'_>, instance: &InstanceId) -> Result<(), Refusal> {
    for (group, limits) in groups(case, instance) {
        let mut out = case.state.members_out(group, limits.recovery_time, case.now, case.own);
        out.remove(instance);
        if (out.len() as u32) < limits.max_impacted_members {
            continue;
        }
        let named: Vec<String> = out.iter().map(|(member, why)| format!("{member} is {why}")).collect();
        let others = if named.is_empty() { "none may be touched".into() } else { named.join(", ") };
        let Limits { name, max_impacted_members, .. } = limits;
        return Err(
            Rule::R2.refuses(format!("group {name} bears {max_impacted_members} members out: {others}"))
        );
    }
    Ok(())
}

/// Anti-affinity and `max_instances_per_host` hold at the destination.
pub(super) fn destination(case: &Case<'_>, instance: &InstanceId, to: &HostId) -> Result<(), Refusal> {
    for (group, Limits { name, most_per_host, .. }) in groups(case, instance) {
        let there = case.state.members_at(group, to, instance, case.own);
        if there >= most_per_host {
            return Err(Rule::R2.refuses(format!(
                "{there} members of group {name} are on {to} or on their way, and {most_per_host} is the most on one host"
            )));
        }
    }
    Ok(())
}
