//! Making a scenario smaller that shows something, while it still shows it.

use std::collections::BTreeMap;

use fenix_cloud::sim::spec::{Failures, Others, Wire};
use fenix_core::policy::{Policies, Terms};

use crate::managers::{Conduct, ManagerSpec};
use crate::scenario::{Faults, Operator, Scenario, SessionSpec};

/// A change that makes a scenario smaller or duller; returns false if there is nothing of it to be left out.
type Cut = Box<dyn Fn(&mut Scenario) -> bool>;

/// The scenario without everything that can be left out one by one so that it still `shows` what it showed. Each
/// question is a simulation: this takes some hundreds of them.
pub fn smaller(scenario: &Scenario, shows: impl Fn(&Scenario) -> bool) -> Scenario {
    let mut best = scenario.clone();
    loop {
        let before = format!("{best:?}").len();
        for cut in cuts(&best) {
            let mut candidate = best.clone();
            if cut(&mut candidate) && shows(&candidate) {
                best = candidate;
            }
        }
        if format!("{best:?}").len() >= before {
            return best;
        }
    }
}

/// Everything that could be left out, the largest things first. The last of a list comes first, so that the places of
/// the others stay what they are.
fn cuts(scenario: &Scenario) -> Vec<Cut> {
    let mut cuts = whole_kinds();
    cuts.extend(one_by_one(scenario.sessions.len(), |it, at| {
        if !take(&mut it.sessions, at) {
            return false;
        }
        it.orders.retain(|order| order.session != at);
        for order in &mut it.orders {
            order.session -= usize::from(order.session > at);
        }
        !it.sessions.is_empty()
    }));
    cuts.extend(one_by_one(scenario.managers.len(), |it, at| take(&mut it.managers, at)));
    cuts.extend(one_by_one(scenario.orders.len(), |it, at| take(&mut it.orders, at)));
    cuts.extend(one_by_one(scenario.statements.len(), |it, at| take(&mut it.statements, at)));
    cuts.extend(one_by_one(scenario.faults.kills.len(), |it, at| take(&mut it.faults.kills, at)));
    cuts.extend(one_by_one(scenario.faults.calls.len(), |it, at| take(&mut it.faults.calls, at)));
    cuts.extend(one_by_one(scenario.faults.freezes.len(), |it, at| take(&mut it.faults.freezes, at)));
    cuts.extend(one_by_one(scenario.faults.outages.len(), |it, at| take(&mut it.faults.outages, at)));
    cuts.extend(one_by_one(scenario.faults.jumps.len(), |it, at| take(&mut it.faults.jumps, at)));
    cuts.extend(one_by_one(scenario.faults.full_disks.len(), |it, at| take(&mut it.faults.full_disks, at)));
    cuts.extend(one_by_one(scenario.cloud.host.len(), without_host));
    cuts.extend(one_by_one(scenario.cloud.instance.len(), |it, at| take(&mut it.cloud.instance, at)));
    cuts.extend(one_by_one(scenario.cloud.group.len(), |it, at| {
        let Some(gone) = it.cloud.group.get(at).map(|group| group.id.clone()) else { return false };
        it.cloud.group.remove(at);
        for instance in &mut it.cloud.instance {
            instance.group.take_if(|group| *group == gone);
        }
        true
    }));
    for session in 0..scenario.sessions.len() {
        cuts.extend(session_cuts(session, scenario.sessions[session].actions.len()));
    }
    for manager in 0..scenario.managers.len() {
        cuts.extend(manager_cuts(manager));
    }
    cuts.extend(single_odds());
    cuts
}

fn one_by_one(count: usize, cut: fn(&mut Scenario, usize) -> bool) -> impl Iterator<Item = Cut> {
    (0..count).rev().map(move |at| Box::new(move |it: &mut Scenario| cut(it, at)) as Cut)
}

/// Takes one out of a list; false if the list has become shorter than that.
fn take<T>(list: &mut Vec<T>, at: usize) -> bool {
    let is_there = at < list.len();
    if is_there {
        list.remove(at);
    }
    is_there
}

fn without_host(it: &mut Scenario, at: usize) -> bool {
    let Some(gone) = it.cloud.host.get(at).map(|host| host.id.clone()) else { return false };
    it.cloud.host.remove(at);
    it.cloud.instance.retain(|instance| instance.host.as_ref() != Some(&gone));
    let all = it.sessions.iter_mut().all(|session| {
        let named = !session.hosts.is_empty();
        session.hosts.retain(|host| *host != gone);
        // A list that becomes empty would mean all hosts.
        !(named && session.hosts.is_empty())
    });
    all && !it.cloud.host.is_empty()
}

/// Sets something to what it usually is; false if it is so already.
fn set<T: PartialEq>(place: &mut T, usual: T) -> bool {
    std::mem::replace(place, usual) != *place
}

fn whole_kinds() -> Vec<Cut> {
    vec![
        Box::new(|it| set(&mut it.cloud.wire, Wire::default())),
        Box::new(|it| set(&mut it.cloud.failures, Failures::default())),
        Box::new(|it| set(&mut it.cloud.others, Others::default())),
        Box::new(|it| set(&mut it.own_host, None)),
        Box::new(|it| {
            let usual = Faults {
                message_lost: 0,
                message_unclear: 0,
                message_doubled: 0,
                action_call_lost: 0,
                action_call_unclear: 0,
                action_call_swallowed: 0,
                ..it.faults.clone()
            };
            it.faults = usual;
            true
        }),
        Box::new(|it| {
            it.orders.clear();
            it.faults.kills.clear();
            true
        }),
        Box::new(|it| {
            it.operator = Operator { continues: 0, deletes: false };
            true
        }),
    ]
}

fn session_cuts(session: usize, actions: usize) -> Vec<Cut> {
    let in_it = |cut: fn(&mut SessionSpec) -> bool| {
        Box::new(move |it: &mut Scenario| it.sessions.get_mut(session).is_some_and(cut)) as Cut
    };
    let mut cuts = vec![
        in_it(|session| set(&mut session.terms, Terms::default())),
        in_it(|session| set(&mut session.terms.policies, Policies::default())),
        in_it(|session| set(&mut session.window, None)),
        in_it(|session| set(&mut session.terms.ask_per_instance, false)),
        in_it(|session| set(&mut session.terms.own_host, false)),
    ];
    for action in (0..actions).rev() {
        cuts.push(Box::new(move |it| {
            it.sessions.get_mut(session).is_some_and(|session| take(&mut session.actions, action))
        }));
    }
    cuts
}

fn manager_cuts(manager: usize) -> Vec<Cut> {
    let in_it = |cut: fn(&mut ManagerSpec) -> bool| {
        Box::new(move |it: &mut Scenario| it.managers.get_mut(manager).is_some_and(cut)) as Cut
    };
    vec![
        in_it(|manager| set(&mut manager.conduct, Conduct::default())),
        in_it(|manager| set(&mut manager.conduct.answers, BTreeMap::new())),
        in_it(|manager| set(&mut manager.conduct.doubles, false)),
        in_it(|manager| set(&mut manager.conduct.at_once, false)),
        in_it(|manager| set(&mut manager.away, Vec::new())),
    ]
}

/// Each chance by itself.
fn single_odds() -> Vec<Cut> {
    let odds: [fn(&mut Scenario) -> &mut f64; 17] = [
        |it| &mut it.cloud.wire.lost,
        |it| &mut it.cloud.wire.reply_lost,
        |it| &mut it.cloud.wire.late,
        |it| &mut it.cloud.wire.doubled,
        |it| &mut it.cloud.wire.swallowed,
        |it| &mut it.cloud.wire.stale,
        |it| &mut it.cloud.failures.cold_breaks,
        |it| &mut it.cloud.failures.cold_stays,
        |it| &mut it.cloud.failures.cold_hangs,
        |it| &mut it.cloud.failures.live_breaks,
        |it| &mut it.cloud.failures.live_stays,
        |it| &mut it.cloud.failures.live_hangs,
        |it| &mut it.cloud.failures.move_shows_early,
        |it| &mut it.cloud.failures.confirm_refused,
        |it| &mut it.cloud.failures.reboot_stays_down,
        |it| &mut it.cloud.failures.reboot_kills,
        |it| &mut it.cloud.failures.crash_kills,
    ];
    let rates: [fn(&mut Scenario) -> &mut u32; 15] = [
        |it| &mut it.cloud.others.boot_per_hour,
        |it| &mut it.cloud.others.delete_per_hour,
        |it| &mut it.cloud.others.resize_per_hour,
        |it| &mut it.cloud.others.move_per_hour,
        |it| &mut it.cloud.others.stop_per_hour,
        |it| &mut it.cloud.others.disable_per_hour,
        |it| &mut it.cloud.others.enable_per_hour,
        |it| &mut it.cloud.others.crash_per_hour,
        |it| &mut it.faults.message_lost,
        |it| &mut it.faults.message_unclear,
        |it| &mut it.faults.message_doubled,
        |it| &mut it.faults.action_call_lost,
        |it| &mut it.faults.action_call_unclear,
        |it| &mut it.faults.action_call_swallowed,
        |it| &mut it.faults.slow_decisions,
    ];
    let odds = odds.into_iter().map(|of| Box::new(move |it: &mut Scenario| set(of(it), 0.0)) as Cut);
    let rates = rates.into_iter().map(|of| Box::new(move |it: &mut Scenario| set(of(it), 0)) as Cut);
    odds.chain(rates).collect()
}
