//! Bad days of all kinds, on clouds of all sizes: what the other generators draw, and what is too rare or too bad for
//! them on top.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use fenix_cloud::sim::spec::{Failures, Span, Spec};
use fenix_core::ask::{AskKind, MoveHow};
use fenix_core::id::HostId;
use fenix_core::inventory::{HostKind, Movable};
use fenix_core::policy::{Policies, Policy, Terms};
use fenix_core::session::Stage;
use fenix_core::time::Millis;

use super::Profile;
use crate::dice::{Dice, Purpose};
use crate::managers::{Answer, Answers, Conduct, How, ScaleIn};
use crate::reckless;
use crate::scenario::{Action, Command, Freeze, Jump, Order, Scenario, SessionSpec};

/// How many hosts a cloud has, the controllers among them. Small ones show most faults and cost least.
const SIZES: [(u32, RangeInclusive<u64>); 4] = [(45, 2..=6), (30, 7..=12), (17, 13..=24), (8, 25..=40)];

/// Who decides, and over what.
#[derive(Clone, Copy)]
enum Kind {
    /// One session over everything.
    Alone,
    /// Sessions on disjoint hosts.
    Several,
    /// One session or several of a workflow that wants anything.
    Reckless,
}

/// Sessions on a cloud of 2 to 40 hosts on which everything goes wrong that can, now and then.
///
/// Beside what [`session`](super::session) draws: clouds with one host or one controller, lies of the cloud, hosts that
/// never come back, managers that never agree or agree and do nothing, clouds out of reach, clocks that are set, and
/// terms of all kinds. A fifth of them are of the workflow that wants anything.
pub fn wide(seed: u64) -> Scenario {
    let mut dice = Dice::new(seed, Purpose::Wide);
    let kind = dice.weighted(&[(60, Kind::Alone), (20, Kind::Several), (20, Kind::Reckless)]);
    let workflow = match kind {
        Kind::Alone | Kind::Several => "default",
        Kind::Reckless => reckless::NAME,
    };
    let profile = Profile::faulty(workflow, &["noop", "reboot"]);
    let (computes, controllers) = size(&mut dice);
    let mut scenario =
        super::on_cloud(seed, &profile, computes, controllers, &mut Dice::new(seed, Purpose::Scenario));
    oddities(&mut scenario.cloud, &mut dice);
    for session in &mut scenario.sessions {
        terms(&mut session.terms, computes, &mut dice);
        more_actions(session, &mut dice);
    }
    match kind {
        Kind::Alone => {}
        Kind::Several => split(&mut scenario, &mut dice),
        Kind::Reckless => {
            freely(&mut scenario, &mut dice);
            if dice.chance(500) {
                split(&mut scenario, &mut dice);
            }
        }
    }
    for manager in &mut scenario.managers {
        stubborn(&mut manager.conduct, &mut dice);
    }
    if dice.chance(250) {
        for _ in 0..dice.between(1, 3) {
            let session = dice.below(scenario.sessions.len() as u64) as usize;
            let what = dice.weighted(&[(2u32, Command::Pause), (2, Command::Continue), (3, Command::Delete)]);
            scenario.orders.push(Order { at: dice.span(20_000, 400_000), session, what });
        }
    }
    lies(&mut scenario, &mut dice);
    deaths(&mut scenario, &mut dice);
    outages_and_clocks(&mut scenario, &mut dice);
    scenario
}

/// How many computes and controllers.
fn size(dice: &mut Dice) -> (usize, usize) {
    let drawn = dice.weighted(&SIZES.each_ref().map(|(weight, sizes)| (*weight, sizes)));
    let hosts = dice.between(*drawn.start(), *drawn.end());
    let controllers = dice.weighted(&[(2u32, 0), (2, 1), (5, 2), (1, 3)]).min(hosts - 1);
    ((hosts - controllers) as usize, controllers as usize)
}

/// Hosts that are down from the beginning, and instances that cannot be moved.
fn oddities(cloud: &mut Spec, dice: &mut Dice) {
    for host in &mut cloud.host {
        host.down = dice.chance(15);
    }
    for instance in &mut cloud.instance {
        if dice.chance(10) {
            instance.movable = Movable::No { reason: "it holds a device".into() };
        }
    }
}

fn terms(terms: &mut Terms, computes: usize, dice: &mut Dice) {
    let policy = |dice: &mut Dice| {
        dice.weighted(&[
            (3, Policy::Retry),
            (1, Policy::Wait),
            (3, Policy::Skip),
            (2, Policy::Stop),
            (1, Policy::Force),
        ])
    };
    if dice.chance(500) {
        terms.policies = Policies {
            silence: policy(dice),
            nack: policy(dice),
            unmanaged: dice.weighted(&[
                (4, Policy::Force),
                (2, Policy::Skip),
                (1, Policy::Stop),
                (1, Policy::Wait),
                (1, Policy::Retry),
            ]),
            failed_move: policy(dice),
            failed_action: policy(dice),
        };
    }
    if dice.chance(300) {
        terms.rounds = dice.between(1, 5) as u32;
        terms.scale_in_rounds = dice.between(1, 10) as u32;
        terms.failure_budget = dice.between(1, 10) as u32;
    }
    terms.ask_per_instance = dice.chance(150);
    if computes > 8 {
        terms.hosts_at_once = dice.between(1, 4) as u32;
        terms.hosts_at_once_per_zone = dice.between(1, u64::from(terms.hosts_at_once)) as u32;
    }
}

/// Work before the first and after the last host; `reboot` has nothing to restart there and fails.
fn more_actions(session: &mut SessionSpec, dice: &mut Dice) {
    for stage in [Stage::Pre, Stage::Post, Stage::Controller] {
        if dice.chance(150) {
            let plugin = dice.weighted(&[(4, "noop"), (1, "reboot")]).to_owned();
            session.actions.push(Action { plugin, stage, metadata: String::new() });
        }
    }
}

/// Two or three sessions share the hosts of one.
fn split(scenario: &mut Scenario, dice: &mut Dice) {
    let Some(one) = scenario.sessions.pop() else { return };
    let parts = dice.between(2, 3) as usize;
    let mut hosts: Vec<Vec<HostId>> = vec![Vec::new(); parts];
    for host in &scenario.cloud.host {
        // Some are in nobody's session.
        if host.kind == HostKind::Controller || !dice.chance(100) {
            hosts[dice.below(parts as u64) as usize].push(host.id.clone());
        }
    }
    for hosts in hosts.into_iter().filter(|hosts| !hosts.is_empty()) {
        let at = one.at + dice.span(0, 120_000);
        scenario.sessions.push(SessionSpec { at, hosts, ..one.clone() });
    }
    for order in &mut scenario.orders {
        order.session = dice.below(scenario.sessions.len() as u64) as usize;
    }
}

/// What a workflow that wants anything gets is bound by the rules alone, mostly.
fn freely(scenario: &mut Scenario, dice: &mut Dice) {
    for session in &mut scenario.sessions {
        session.terms.failure_budget = 1000;
        session.terms.rounds = if dice.chance(500) { 1000 } else { dice.between(1, 4) as u32 };
    }
}

/// Managers that never agree, or agree and do nothing.
fn stubborn(conduct: &mut Conduct, dice: &mut Dice) {
    if !dice.chance(150) {
        return;
    }
    let for_ever = |then| Answers { first: Vec::new(), then };
    match dice.below(5) {
        0 | 1 => {
            let answer = dice.weighted(&[(1u32, Answer::Nack), (1, Answer::Silent)]);
            let kind = dice.pick(&AskKind::ALL).copied().unwrap_or(AskKind::Maintenance);
            conduct.answers = BTreeMap::from([(kind, for_ever(answer))]);
        }
        2 => conduct.scale_in = ScaleIn::TooLittle,
        3 => conduct.scale_in = ScaleIn::Lies,
        _ => {
            conduct.how = dice.weighted(&[(1u32, How::All(MoveHow::OwnAction)), (1, How::Mixed)]);
            conduct.idle = true;
        }
    }
}

/// The cloud says what is not so.
fn lies(scenario: &mut Scenario, dice: &mut Dice) {
    let up_to = |most: u64, dice: &mut Dice| dice.below(most + 1) as f64 / 1000.0;
    if dice.chance(400) {
        let wire = &mut scenario.cloud.wire;
        wire.swallowed = up_to(30, dice);
        wire.stale = up_to(150, dice);
        wire.stale_ms = dice.between(500, 5_000);
        scenario.cloud.failures.move_shows_early = up_to(250, dice);
        scenario.faults.action_call_swallowed = dice.below(100) as u32;
    }
    if dice.chance(200) {
        scenario.cloud.failures.cold_hangs = up_to(80, dice);
        scenario.cloud.failures.live_hangs = up_to(80, dice);
    }
    if dice.chance(200) {
        // So slow that what was true when a decision was made is not any more when it is carried out.
        scenario.cloud.wire.answer_ms = Span::Between { min: 500, max: dice.between(1_000, 6_000) };
    }
}

/// Hosts that never come back.
fn deaths(scenario: &mut Scenario, dice: &mut Dice) {
    let up_to = |most: u64, dice: &mut Dice| dice.below(most + 1) as f64 / 1000.0;
    let failures: &mut Failures = &mut scenario.cloud.failures;
    if dice.chance(250) {
        failures.reboot_kills = up_to(60, dice);
    }
    if dice.chance(150) {
        failures.crash_kills = up_to(700, dice);
        let crashes = &mut scenario.cloud.others.crash_per_hour;
        *crashes = dice.between(1, 6) as u32;
    }
}

/// A cloud that nobody reaches for minutes, and a clock that somebody sets.
fn outages_and_clocks(scenario: &mut Scenario, dice: &mut Dice) {
    let calm_at = scenario.calm_at.0;
    if dice.chance(200) {
        for _ in 0..dice.between(1, 3) {
            let (at, span) = (dice.span(10_000, calm_at), dice.span(10_000, 900_000));
            scenario.faults.outages.push(Freeze { at, span });
        }
    }
    if dice.chance(150) {
        for _ in 0..dice.between(1, 3) {
            let most = dice.weighted(&[(2u32, 5_000), (4, 120_000), (1, 7_200_000)]);
            let by = dice.between(1, most).cast_signed();
            let by = if dice.chance(500) { by } else { -by };
            scenario.faults.jumps.push(Jump { at: dice.span(1_000, calm_at), by });
        }
    }
    scenario.faults.jumps.sort_by_key(|jump| jump.at);
    // `default` gives every host four hours before it is left out.
    let hours = 24 + 5 * scenario.cloud.host.len() as u64;
    scenario.end_at = scenario.calm_at + Millis::from_secs(hours * 3600);
}
