//! The rules, each asked at the records that it is about.

use std::collections::BTreeMap;

use fenix_core::ask::{AskStatus, MoveHow};
use fenix_core::effect::{Effect, EffectKind};
use fenix_core::id::{AskId, HostId, InstanceId, SessionId};
use fenix_core::inventory::{HostKind, Instance, Movable, Resources, Service};
use fenix_core::policy::Policy;
use fenix_core::record::Body;
use fenix_core::rules::Rule;
use fenix_core::session::{Condition, HostStage, HostWork, Phase, Target};
use fenix_core::time::Time;

use crate::run::Run;
use crate::world::{World, is_at, serves};

/// A rule and how it was broken.
type Broken = (Rule, String);

/// A record of a session, and everything before it.
#[derive(Clone, Copy)]
pub(crate) struct Case<'a> {
    pub(crate) world: &'a World,
    pub(crate) runs: &'a BTreeMap<SessionId, Run>,
    pub(crate) id: &'a SessionId,
    pub(crate) run: &'a Run,
    pub(crate) now: Time,
}

/// Which rules a record breaks.
pub(crate) fn broken(case: &Case<'_>, body: &Body) -> Vec<Broken> {
    match body {
        Body::Admitted { effect } => admitted(case, effect),
        Body::ConditionSet { condition: Condition::Ended, .. } => ended(case),
        Body::HostMoved { host, stage: HostStage::Maintained, .. } => {
            maintained(case, host).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

fn admitted(case: &Case<'_>, effect: &Effect) -> Vec<Broken> {
    let mut broken = Vec::new();
    broken.extend(two_at_once(case, effect));
    if !matches!(effect.kind, EffectKind::Release { .. } | EffectKind::Work { target: Target::Undo(_) }) {
        broken.extend(after_a_stop(case, effect));
    }
    match &effect.kind {
        EffectKind::Fence { host } => {
            broken.extend(not_its_own(case, host));
            broken.extend(too_many_out(case, host));
            let again = case.run.hosts.get(host).is_some_and(|work| work.fenced);
            if !again {
                broken.extend(outside_the_window(case));
                broken.extend(no_room(case, host));
                broken.extend(not_last(case, host));
            }
        }
        EffectKind::Release { host } => {
            broken.extend(not_its_own(case, host));
            let stage = case.run.hosts.get(host).map(|work| &work.stage);
            if matches!(stage, Some(HostStage::Working | HostStage::Quarantined { begun: true, .. })) {
                broken.push((Rule::R7, format!("{host} is given back in the middle of the work on it")));
            }
        }
        EffectKind::Work { target: Target::Host(host) } => {
            broken.extend(not_its_own(case, host));
            broken.extend(work(case, host));
        }
        EffectKind::Work { target: Target::Assess(host) | Target::Gate(host) | Target::Undo(host) } => {
            broken.extend(not_its_own(case, host));
        }
        EffectKind::Work { target: Target::Pre | Target::Post } => {}
        EffectKind::Move { instance, from, to, how, ask } => {
            broken.extend(not_its_own(case, from));
            match case.world.instances.get(instance) {
                None => broken.push((Rule::R11, format!("{instance} is moved, and is not there"))),
                Some(seen) => {
                    broken.extend(moved(case, seen, from, to));
                    broken.extend(without_leave(case, seen, from, *how, *ask));
                    broken.extend(too_early(case, seen, *ask));
                    broken.extend(group_hurt(case, seen, to));
                    broken.extend(too_full(case, seen, to));
                }
            }
        }
    }
    broken
}

/// R10.
fn two_at_once(case: &Case<'_>, effect: &Effect) -> Option<Broken> {
    let own_only = matches!(effect.kind, EffectKind::Work { target: Target::Pre | Target::Post });
    let subject = effect.kind.subject();
    let runs = case.runs.iter().filter(|(id, _)| !own_only || *id == case.id);
    // To give a host back twice does no harm: a session that is closed does not wait for what nobody knows.
    let is_harmless = matches!(effect.kind, EffectKind::Release { .. });
    let mut others = runs.flat_map(|(_, run)| run.effects.values());
    let other =
        others.find(|other| other.kind.subject() == subject && !(is_harmless && other.unknown.is_some()));
    other.map(|other| {
        (Rule::R10, format!("{} begins while {} is not over", effect.kind.summary(), other.kind.summary()))
    })
}

/// R8 and R9: nothing begins in a session that does not run, or whose budget is spent.
fn after_a_stop(case: &Case<'_>, effect: &Effect) -> Option<Broken> {
    if case.run.condition != Condition::Running {
        return Some((Rule::R8, format!("{} begins though the session does not run", effect.kind.summary())));
    }
    let budget = case.run.plan.terms.failure_budget;
    (case.run.failures >= budget)
        .then(|| (Rule::R9, format!("{} begins after {} failures", effect.kind.summary(), case.run.failures)))
}

/// R11: hosts.
fn not_its_own(case: &Case<'_>, host: &HostId) -> Option<Broken> {
    if !case.run.hosts.contains_key(host) {
        return Some((Rule::R11, format!("{host} is none of its hosts")));
    }
    other_holder(case, host).map(|other| (Rule::R11, format!("{host} is held by session {other}")))
}

/// Another session that holds a host.
fn other_holder<'a>(case: &Case<'a>, host: &HostId) -> Option<&'a SessionId> {
    let others = case.runs.iter().filter(|(id, _)| *id != case.id);
    others.into_iter().find(|(_, run)| run.holds(host)).map(|(id, _)| id)
}

/// R4: the window.
fn outside_the_window(case: &Case<'_>) -> Option<Broken> {
    let plan = &case.run.plan;
    let is_early = case.now < plan.maintenance_at;
    let is_late = plan.window_end.is_some_and(|end| case.now >= end);
    (is_early || is_late).then(|| (Rule::R4, "a host is begun outside the window".to_owned()))
}

/// R4 and R6: work on a host.
fn work(case: &Case<'_>, host: &HostId) -> Vec<Broken> {
    let mut broken = Vec::new();
    let stage = case.run.hosts.get(host).map(|work| &work.stage);
    let seen = case.world.hosts.get(host);
    if stage != Some(&HostStage::Working) {
        broken.extend(outside_the_window(case));
        if seen.is_some_and(|seen| !seen.up) {
            broken.push((Rule::R4, format!("work begins on {host}, which is down")));
        }
    }
    if !case.run.hosts.get(host).is_some_and(|work| work.fenced) {
        broken.push((Rule::R4, format!("work begins on {host}, which is not fenced")));
    }
    if seen.is_some_and(|seen| seen.service == Service::Enabled) {
        broken.push((Rule::R4, format!("work begins on {host}, which takes instances")));
    }
    if let Some(instance) = case.world.at(host).next() {
        broken.push((Rule::R4, format!("work begins on {host}, where {} is", instance.id)));
    }
    // What is not there any more does not come.
    let comes = |effect: &&Effect| match &effect.kind {
        EffectKind::Move { instance, to, .. } => to == host && case.world.instances.contains_key(instance),
        _ => false,
    };
    let coming = all_effects(case).find(comes);
    if let Some(coming) = coming {
        broken.push((Rule::R4, format!("work begins on {host}, and {} is under way", coming.kind.summary())));
    }
    broken.extend(controllers(case, host));
    broken
}

/// R6: the host that Fenix itself runs on is the last one.
fn not_last(case: &Case<'_>, host: &HostId) -> Option<Broken> {
    let plan = &case.run.plan;
    if plan.own_host.as_ref() != Some(host) {
        return None;
    }
    if !plan.terms.own_host {
        return Some((Rule::R6, format!("{host} is taken out, where Fenix itself runs")));
    }
    let is_left = |stage: &HostStage| !matches!(stage, HostStage::Maintained | HostStage::Quarantined { .. });
    let left = case.run.hosts.iter().find(|(other, work)| *other != host && is_left(&work.stage));
    left.map(|(other, _)| (Rule::R6, format!("{host}, where Fenix itself runs, is taken out before {other}")))
}

/// R6: hosts out at once.
fn too_many_out(case: &Case<'_>, host: &HostId) -> Vec<Broken> {
    let mut broken = Vec::new();
    let terms = &case.run.plan.terms;
    let own = case.run.out().into_iter().filter(|other| *other != host).count() as u32;
    if own >= terms.hosts_at_once {
        broken.push((Rule::R6, format!("{host} is taken out beside {own} others")));
    }
    if let Some(seen) = case.world.hosts.get(host) {
        let out = case.runs.values().flat_map(Run::out).filter(|other| *other != host);
        let near =
            out.filter(|other| case.world.hosts.get(*other).is_some_and(|other| other.zone == seen.zone));
        let near = near.count() as u32;
        if near >= terms.hosts_at_once_per_zone {
            broken
                .push((Rule::R6, format!("{host} is taken out beside {near} others of zone {}", seen.zone)));
        }
    }
    broken.extend(controllers(case, host));
    broken
}

/// R6: one controller at a time, and never the last one.
fn controllers(case: &Case<'_>, host: &HostId) -> Option<Broken> {
    let is_controller =
        |id: &HostId| case.world.hosts.get(id).is_some_and(|seen| seen.kind == HostKind::Controller);
    if !is_controller(host) {
        return None;
    }
    let mut out = case.runs.values().flat_map(Run::out);
    if let Some(other) = out.find(|other| *other != host && is_controller(other)) {
        return Some((Rule::R6, format!("controller {host} is taken out beside {other}")));
    }
    let others =
        case.world.hosts.values().filter(|seen| seen.kind == HostKind::Controller && seen.id != *host);
    let is_any_up = others.into_iter().any(|seen| seen.up);
    (!is_any_up).then(|| (Rule::R6, format!("{host} is the last controller that answers")))
}

/// R5, as far as sums tell: what is on a host fits elsewhere in all.
fn no_room(case: &Case<'_>, host: &HostId) -> Option<Broken> {
    let leaving =
        case.world.at(host).filter(|instance| instance.host == *host && !is_moving(case, &instance.id));
    let need = leaving.fold(Resources::default(), |sum, instance| sum.plus(&instance.resources));
    let open = case.world.hosts.values().filter(|other| {
        other.id != *host && other.kind == HostKind::Compute && other.up && other.service == Service::Enabled
    });
    let left = open.fold(Resources::default(), |sum, other| sum.plus(&free(case, &other.id)));
    (!left.fits(&need)).then(|| (Rule::R5, format!("{host} is taken out, and what is on it fits nowhere")))
}

fn all_effects<'a>(case: &Case<'a>) -> impl Iterator<Item = &'a Effect> {
    case.runs.values().flat_map(|run| run.effects.values())
}

fn is_moving(case: &Case<'_>, instance: &InstanceId) -> bool {
    all_effects(case)
        .any(|effect| matches!(&effect.kind, EffectKind::Move { instance: moving, .. } if moving == instance))
}

/// What is left on a host after everything there and everything on its way.
fn free(case: &Case<'_>, host: &HostId) -> Resources {
    let Some(seen) = case.world.hosts.get(host) else { return Resources::default() };
    let coming = all_effects(case).filter_map(|effect| match &effect.kind {
        EffectKind::Move { instance, to, .. } if to == host => case.world.instances.get(instance),
        _ => None,
    });
    let coming = coming.filter(|instance| !is_at(instance, host));
    let claimed = coming.fold(Resources::default(), |sum, instance| sum.plus(&instance.resources));
    seen.capacity.minus(&case.world.held(host)).minus(&claimed)
}

/// R11: what is moved, from where to where.
fn moved(case: &Case<'_>, instance: &Instance, from: &HostId, to: &HostId) -> Vec<Broken> {
    let mut broken = Vec::new();
    let mut no = |why: String| broken.push((Rule::R11, why));
    let id = &instance.id;
    if case.run.hosts.get(from).map(|work| &work.stage) != Some(&HostStage::Fenced) {
        no(format!("{id} is moved off {from}, which is not fenced"));
    }
    if instance.host != *from || instance.other_end.is_some() {
        no(format!("{id} is moved off {from}, and is not at rest there"));
    }
    if case.world.hosts.get(from).is_some_and(|seen| !seen.up && !seen.dead) {
        no(format!("{id} is moved off {from}, which is down and may not be dead"));
    }
    if let Movable::No { reason } = &instance.movable {
        no(format!("{id} is moved, and {reason}"));
    }
    let takes =
        case.world.hosts.get(to).is_some_and(|seen| {
            seen.kind == HostKind::Compute && seen.up && seen.service == Service::Enabled
        });
    if !takes {
        no(format!("{id} is moved to {to}, which takes nothing"));
    }
    if case.run.out().contains(to) {
        no(format!("{id} is moved to {to}, which is out of service"));
    }
    if let Some(other) = other_holder(case, to) {
        no(format!("{id} is moved to {to}, which session {other} holds"));
    }
    broken
}

/// R1.
fn without_leave(
    case: &Case<'_>,
    instance: &Instance,
    from: &HostId,
    how: MoveHow,
    ask: Option<AskId>,
) -> Option<Broken> {
    let no = |why: String| Some((Rule::R1, format!("{} is moved {why}", instance.id)));
    let policies = case.run.plan.terms.policies;
    let managed = case.run.projects.get(&instance.project).is_some_and(|project| project.managed);
    if !managed {
        return match policies.unmanaged {
            Policy::Force => None,
            _ => no(format!("though nobody manages {}", instance.project)),
        };
    }
    let Some(ask) = ask.and_then(|ask| case.run.asks.get(&ask)) else {
        return no("and nobody was asked".to_owned());
    };
    let latest = case.run.latest(&instance.project, ask.kind, Some(from));
    if latest.map(|latest| latest.id) != Some(ask.id) {
        return no(format!("on the answer to question {}, which is not the latest about it", ask.id));
    }
    let may_be_cold = instance.movable == Movable::ColdOnly || case.run.failed_moves.contains(&instance.id);
    match &ask.status {
        AskStatus::Acked { actions } => match actions.get(&instance.id) {
            Some(chosen) if *chosen == how => None,
            Some(MoveHow::LiveMigrate) if how == MoveHow::Migrate && may_be_cold => None,
            chosen => no(format!("{}, and its manager said {chosen:?}", how.wire())),
        },
        AskStatus::Nacked if policies.nack == Policy::Force => None,
        AskStatus::Expired | AskStatus::Undelivered if policies.silence == Policy::Force => None,
        status => no(format!("though question {} is {}", ask.id, status.word())),
    }
}

/// R3.
fn too_early(case: &Case<'_>, instance: &Instance, ask: Option<AskId>) -> Option<Broken> {
    let told = case.run.asks.get(&ask?)?.delivered_at?;
    let lead = case.world.word(instance)?.lead_time?.min(case.run.plan.terms.ceilings.lead_time);
    (case.now < told + lead).then(|| {
        let had = case.now.since(told);
        (Rule::R3, format!("{} is moved after {had} of {lead}", instance.id))
    })
}

/// R2.
fn group_hurt(case: &Case<'_>, instance: &Instance, to: &HostId) -> Vec<Broken> {
    let mut broken = Vec::new();
    for group in case.world.groups_of(instance) {
        let bears = case.world.bears(group, instance, &case.run.plan.terms.ceilings);
        let others = || case.world.members(group).filter(|member| member.id != instance.id);
        let is_out = |member: &&Instance| {
            let recovers = case.world.back.get(&member.id).is_some_and(|at| case.now < *at + bears.recovery);
            !serves(member) || recovers || is_moving(case, &member.id)
        };
        let out = others().filter(is_out).count() as u32 + 1;
        if out > bears.out {
            broken.push((Rule::R2, format!("{out} members of {group} are out, which bears {}", bears.out)));
        }
        let goes_there = |member: &&Instance| {
            let to_there = |effect: &Effect| matches!(&effect.kind, EffectKind::Move { instance, to: there, .. } if *instance == member.id && there == to);
            is_at(member, to) || all_effects(case).any(to_there)
        };
        let there = others().filter(goes_there).count() as u32 + 1;
        if there > bears.on_a_host {
            let most = bears.on_a_host;
            broken.push((Rule::R2, format!("{there} members of {group} come to be on {to}, and {most} may")));
        }
    }
    broken
}

/// R5.
fn too_full(case: &Case<'_>, instance: &Instance, to: &HostId) -> Option<Broken> {
    if is_at(instance, to) {
        return None;
    }
    let free = free(case, to);
    (!free.fits(&instance.resources)).then(|| {
        (Rule::R5, format!("{} needs {}, and {to} has {free} left", instance.id, instance.resources))
    })
}

/// R7: a host is maintained once its work is done and it is back, or if an assessment came to it that it needs none.
fn maintained(case: &Case<'_>, host: &HostId) -> Option<Broken> {
    let is_right = match case.run.hosts.get(host).map(|work| &work.stage) {
        // It may be given back twice: the first time nobody knew how that had ended.
        Some(HostStage::Worked | HostStage::Maintained) => true,
        Some(HostStage::Waiting) => case.run.not_needed.contains(host),
        Some(HostStage::Fenced | HostStage::Working | HostStage::Quarantined { .. }) | None => false,
    };
    (!is_right).then(|| (Rule::R7, format!("{host} is maintained, and was not worked on")))
}

/// R7: what must hold at the end.
fn ended(case: &Case<'_>) -> Vec<Broken> {
    let mut broken = Vec::new();
    for (host, work) in &case.run.hosts {
        if let Some(why) = left_behind(case, work) {
            broken.push((Rule::R7, format!("the session ends, and {host} {why}")));
        }
    }
    let told = case.run.projects.iter().filter(|(_, project)| project.told);
    broken.extend(told.map(|(id, _)| (Rule::R7, format!("the session ends, and {id} is not told so"))));
    let under_way = case.run.effects.values().filter(|effect| effect.unknown.is_none());
    broken.extend(
        under_way.map(|effect| {
            (Rule::R7, format!("the session ends, and {} is under way", effect.kind.summary()))
        }),
    );
    broken
}

fn left_behind(case: &Case<'_>, work: &HostWork) -> Option<String> {
    match &work.stage {
        HostStage::Maintained | HostStage::Quarantined { begun: false, .. } | HostStage::Waiting
            if work.fenced =>
        {
            Some("is still fenced".to_owned())
        }
        HostStage::Maintained | HostStage::Quarantined { .. } => None,
        HostStage::Waiting if case.run.phase == Phase::MaintenanceFailed => None,
        HostStage::Waiting if !is_done(case) => None,
        stage => Some(format!("is {}", stage.name())),
    }
}

/// True if the session ends well: no host may be left.
fn is_done(case: &Case<'_>) -> bool {
    matches!(case.run.condition, Condition::Closing { why: fenix_core::session::Close::Done })
}
