//! Bad days of all kinds, on clouds of all sizes: what the other generators draw, and what is too rare or too bad for
//! them on top.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use fenix_cloud::sim::spec::{Failures, InstanceSpec, Others, Span, Spec};
use fenix_core::ask::{AskKind, MoveHow};
use fenix_core::id::{HostId, ProjectId};
use fenix_core::inventory::{HostKind, Movable};
use fenix_core::policy::{Policies, Policy, SlowLive, Terms};
use fenix_core::session::Stage;

use super::Profile;
use crate::dice::{Dice, Purpose};
use crate::managers::{Answer, Answers, Conduct, How, ScaleIn};
use crate::scenario::{Action, Brings, Command, Freeze, FullDisk, Jump, Order, Scenario, SessionSpec};
use crate::{fickle, reckless};

/// How many hosts a cloud has, the controllers among them. Small ones show most faults and cost least.
const SIZES: [(u32, RangeInclusive<u64>); 4] = [(45, 2..=6), (30, 7..=12), (17, 13..=24), (8, 25..=40)];

/// How many scenarios of a thousand have what beside what the other generators draw. A row of the table of what was met
/// (`coverage`) that is met too rarely is made more frequent here, or in the weights beside its draw.
mod permille {
    /// Terms with policies of all kinds.
    pub(super) const POLICIES: u32 = 500;
    /// A window that is soon over.
    pub(super) const SHORT_WINDOW: u32 = 230;
    /// Few rounds, a small budget.
    pub(super) const FEW_ROUNDS: u32 = 300;
    /// Little time for moves and services, so that outages and moves that hang outlast it.
    pub(super) const LITTLE_TIME: u32 = 500;
    /// Much time for managers, which take it.
    pub(super) const DAWDLERS: u32 = 150;
    /// A manager that never agrees, or agrees and does nothing; each of them.
    pub(super) const STUBBORN: u32 = 150;
    /// Administrators who hold, continue and remove early.
    pub(super) const MEDDLERS: u32 = 350;
    /// A manager that is out of reach for minutes; each of them.
    pub(super) const AWAY: u32 = 150;
    /// One group of all instances of an application that are in none.
    pub(super) const ONE_GROUP: u32 = 250;
    /// Moves that take minutes.
    pub(super) const LONG_MOVES: u32 = 350;
    /// A cloud that lies.
    pub(super) const LIES: u32 = 400;
    /// Moves that break, come to nothing or never end.
    pub(super) const BAD_MOVES: u32 = 450;
    /// Answers so slow that what was true when a decision was made is not any more when it is carried out.
    pub(super) const SLOW_CLOUD: u32 = 500;
    /// A Fenix that reads everything every few seconds, so that it learns of a change while it acts.
    pub(super) const READS_OFTEN: u32 = 300;
    /// Others who change something all the time.
    pub(super) const RESTLESS: u32 = 250;
    /// Hosts that do not come back from a restart.
    pub(super) const REBOOTS_KILL: u32 = 250;
    /// Hosts that do not come back after they lost power.
    pub(super) const CRASHES_KILL: u32 = 300;
    /// A cloud out of reach.
    pub(super) const OUTAGES: u32 = 500;
    /// A clock that is set.
    pub(super) const CLOCKS: u32 = 150;
    /// A full disk.
    pub(super) const FULL_DISKS: u32 = 150;
    /// Sessions of the workflow for applications that state their limits, of those that are not of the one that wants
    /// anything.
    pub(super) const LIMITS: u32 = 300;
    /// Sessions that bring something.
    pub(super) const BRINGS: u32 = 150;
    /// Sessions that assess their hosts, wait at gates and take back what they did.
    pub(super) const LOOKS: u32 = 300;
    /// A Fenix that runs on one of the hosts.
    pub(super) const OWN_HOST: u32 = 250;
    /// Sessions that may have that one, too.
    pub(super) const OWN_HOST_ALLOWED: u32 = 800;
    /// Workflows that take long.
    pub(super) const SLOW_WORKFLOWS: u32 = 250;
    /// Managers that state what they can bear.
    pub(super) const STATEMENTS: u32 = 500;
}

/// In some, managers state what they can bear.
fn constraints(scenario: &mut Scenario, seed: u64) {
    let mut dice = Dice::new(seed, Purpose::Statements);
    if dice.chance(permille::STATEMENTS) {
        super::constraints::state(scenario, &mut dice);
    }
}

/// What scenarios have of whatever goes wrong in them, each from a stream of its own.
fn whatever_is_wrong(scenario: &mut Scenario, seed: u64) {
    constraints(scenario, seed);
    looks(scenario, seed);
    own_host(scenario, seed);
    slow_workflows(scenario, seed);
}

/// In some, workflows take long to decide: now and then, or each time.
fn slow_workflows(scenario: &mut Scenario, seed: u64) {
    let mut dice = Dice::new(seed, Purpose::SlowWorkflows);
    if dice.chance(permille::SLOW_WORKFLOWS) {
        scenario.faults.slow_decisions = dice.weighted(&[(3, 50), (2, 300), (1, 1000)]);
    }
}

/// In some, hosts are assessed, a gate stands behind each, and what is given up is taken back.
fn looks(scenario: &mut Scenario, seed: u64) {
    let mut dice = Dice::new(seed, Purpose::Looks);
    for session in &mut scenario.sessions {
        if !dice.chance(permille::LOOKS) {
            continue;
        }
        for (often, stage) in [
            (600, Stage::Assess),
            (100, Stage::Assess),
            (700, Stage::Host),
            (300, Stage::Host),
            (600, Stage::Gate),
            (100, Stage::Gate),
        ] {
            if dice.chance(often) {
                let plugin = fickle::NAME.to_owned();
                session.actions.push(Action { plugin, stage, metadata: String::new() });
            }
        }
    }
}

/// In some, Fenix runs on one of the hosts.
fn own_host(scenario: &mut Scenario, seed: u64) {
    let mut dice = Dice::new(seed, Purpose::OwnHost);
    if !dice.chance(permille::OWN_HOST) {
        return;
    }
    let up: Vec<HostId> =
        scenario.cloud.host.iter().filter(|host| !host.down).map(|host| host.id.clone()).collect();
    scenario.own_host = dice.pick(&up).cloned();
    for session in &mut scenario.sessions {
        session.terms.own_host = dice.chance(permille::OWN_HOST_ALLOWED);
    }
}

/// Who decides, and over what, where much goes wrong.
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
/// terms of all kinds. A fifth of them are of the workflow that wants anything, a fifth of `vnf`; in a sixth little is
/// wrong, but for others who are busy with the same applications.
pub fn wide(seed: u64) -> Scenario {
    let mut dice = Dice::new(seed, Purpose::Wide);
    let kind = dice.weighted(&[
        (48, Some(Kind::Alone)),
        (17, Some(Kind::Several)),
        (17, Some(Kind::Reckless)),
        (18, None),
    ]);
    let Some(kind) = kind else {
        let mut scenario = busy_groups(seed, &mut dice);
        whatever_is_wrong(&mut scenario, seed);
        return scenario;
    };
    // Who has several hosts in hand at a time stands beside who has one.
    let has_limits = Dice::new(seed, Purpose::Limits).chance(permille::LIMITS);
    let workflow = match kind {
        Kind::Alone | Kind::Several if has_limits => "vnf",
        Kind::Alone | Kind::Several => "default",
        Kind::Reckless => reckless::NAME,
    };
    let profile = Profile::faulty(workflow, &["noop", "reboot"]);
    let (computes, controllers) = size(&mut dice);
    let mut bringing = Dice::new(seed, Purpose::Packages);
    let mut scenario =
        super::on_cloud(seed, &profile, computes, controllers, &mut Dice::new(seed, Purpose::Scenario));
    oddities(&mut scenario.cloud, &mut dice);
    for session in &mut scenario.sessions {
        terms(&mut session.terms, computes, &mut dice);
        session.brings = brings(&mut bringing);
        if dice.chance(permille::SHORT_WINDOW) {
            session.window = Some(dice.span(20_000, 400_000));
        }
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
        if dice.chance(permille::AWAY) {
            let from = dice.span(60_000, 900_000);
            manager.away.push((from, from + dice.span(150_000, 600_000)));
        }
    }
    dawdle(&mut scenario, &mut dice);
    if dice.chance(permille::MEDDLERS) {
        for _ in 0..dice.between(1, 3) {
            let session = dice.below(scenario.sessions.len() as u64) as usize;
            let what = dice.weighted(&[(2u32, Command::Pause), (2, Command::Continue), (3, Command::Delete)]);
            scenario.orders.push(Order { at: dice.span(20_000, 400_000), session, what });
        }
    }
    lies(&mut scenario, &mut dice);
    bad_moves(&mut scenario.cloud, &mut dice);
    if dice.chance(permille::READS_OFTEN) {
        scenario.settings.resync = dice.span(2_000, 10_000);
    }
    restless(&mut scenario.cloud, &mut dice);
    deaths(&mut scenario, &mut dice);
    outages_and_clocks(&mut scenario, &mut dice);
    full_disks(&mut scenario, &mut dice);
    whatever_is_wrong(&mut scenario, seed);
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
    if dice.chance(permille::ONE_GROUP) {
        one_group(cloud, dice);
    }
    if dice.chance(permille::LONG_MOVES) {
        let (min, max) = (20_000, dice.between(30_000, 240_000));
        cloud.times.cold_ms = Span::Between { min, max };
        cloud.times.live_ms = Span::Between { min, max };
    }
}

/// The instances of one application that are in no group come into one that bears few of them out: whatever happens to
/// any of them is in the way of the others.
fn one_group(cloud: &mut Spec, dice: &mut Dice) {
    let projects: Vec<ProjectId> = cloud.project.iter().map(|project| project.id.clone()).collect();
    if let Some(project) = dice.pick(&projects) {
        all_in_one(cloud, project, dice.between(1, 2) as u32, dice);
    }
}

fn all_in_one(cloud: &mut Spec, project: &ProjectId, out: u32, dice: &mut Dice) {
    let id = format!("{project}-all");
    let mut group = super::cloud::group(&id, project, false, dice.between(0, 20_000));
    group.max_impacted_members = out;
    cloud.group.push(group);
    let free = |instance: &&mut InstanceSpec| instance.project == *project && instance.group.is_none();
    for instance in cloud.instance.iter_mut().filter(free) {
        instance.group = Some(id.as_str().into());
    }
}

fn terms(terms: &mut Terms, computes: usize, dice: &mut Dice) {
    let policy = |dice: &mut Dice| {
        dice.weighted(&[
            (6, Policy::Retry),
            (2, Policy::Wait),
            (6, Policy::Skip),
            (4, Policy::Stop),
            (5, Policy::Force),
        ])
    };
    let any = [Policy::Retry, Policy::Wait, Policy::Skip, Policy::Stop, Policy::Force].map(|one| (1, one));
    if dice.chance(permille::POLICIES) {
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
            failed_action: dice.weighted(&any),
            slow_live: dice.weighted(&[(2, SlowLive::Abort), (1, SlowLive::Complete)]),
        };
    }
    if dice.chance(permille::FEW_ROUNDS) {
        terms.rounds = dice.between(1, 5) as u32;
        terms.scale_in_rounds = dice.between(1, 10) as u32;
        terms.failure_budget = dice.between(1, 10) as u32;
    }
    if dice.chance(permille::LITTLE_TIME) {
        terms.service_within = dice.span(30_000, 120_000);
        terms.move_within = dice.span(30_000, 150_000);
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
            let plugin = dice.weighted(&[(2, "noop"), (1, "reboot")]).to_owned();
            session.actions.push(Action { plugin, stage, metadata: String::new() });
        }
    }
}

/// A package that takes a while, and that may come only after the session was parked for it.
fn brings(dice: &mut Dice) -> Option<Brings> {
    let fails = dice.weighted(&[(3, 0), (1, 1), (1, 2)]);
    let brings = Brings { takes: dice.span(100, 60_000), fails };
    dice.chance(permille::BRINGS).then_some(brings)
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
    if !dice.chance(permille::STUBBORN) {
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

/// Managers that are given much time, and take it: whatever ends a session mostly finds a question open.
fn dawdle(scenario: &mut Scenario, dice: &mut Dice) {
    if !dice.chance(permille::DAWDLERS) {
        return;
    }
    for session in &mut scenario.sessions {
        session.terms.maintenance_reply = dice.span(60_000, 600_000);
    }
    for manager in &mut scenario.managers {
        let kind = dice.weighted(&[
            (1u32, AskKind::Maintenance),
            (3, AskKind::PrepareMaintenance),
            (2, AskKind::PlannedMaintenance),
        ]);
        let slow = Answers { first: Vec::new(), then: Answer::Slow };
        manager.conduct.answers.insert(kind, slow);
    }
}

/// So many of a thousand, at most.
fn up_to(most: u64, dice: &mut Dice) -> f64 {
    dice.below(most + 1) as f64 / 1000.0
}

/// The cloud says what is not so.
fn lies(scenario: &mut Scenario, dice: &mut Dice) {
    if dice.chance(permille::LIES) {
        let wire = &mut scenario.cloud.wire;
        wire.swallowed = up_to(30, dice);
        wire.stale = up_to(150, dice);
        wire.stale_ms = dice.between(500, 5_000);
        scenario.cloud.failures.move_shows_early = up_to(250, dice);
        scenario.faults.action_call_swallowed = dice.below(100) as u32;
    }
    if dice.chance(permille::SLOW_CLOUD) {
        scenario.cloud.wire.answer_ms = Span::Between { min: 500, max: dice.between(1_000, 6_000) };
    }
}

/// Moves that break, come to nothing or never end.
fn bad_moves(cloud: &mut Spec, dice: &mut Dice) {
    if dice.chance(permille::BAD_MOVES) {
        let failures = &mut cloud.failures;
        failures.cold_breaks = up_to(150, dice);
        failures.cold_stays = up_to(120, dice);
        failures.cold_hangs = up_to(80, dice);
        failures.live_breaks = up_to(180, dice);
        failures.live_stays = up_to(120, dice);
        failures.live_hangs = up_to(360, dice);
    }
}

/// Others who change something all the time.
fn restless(cloud: &mut Spec, dice: &mut Dice) {
    if dice.chance(permille::RESTLESS) {
        let most = dice.between(20, 200);
        let per_hour = |dice: &mut Dice| dice.below(most + 1) as u32;
        let others = &mut cloud.others;
        others.boot_per_hour = per_hour(dice);
        others.delete_per_hour = per_hour(dice);
        // What is stopped stays so, and what is moved or resized is out for seconds: that passes while Fenix decides.
        others.move_per_hour = per_hour(dice) * 3;
        others.resize_per_hour = per_hour(dice) * 3;
        others.stop_per_hour = per_hour(dice) / 10;
        others.enable_per_hour = per_hour(dice) / 4;
        others.crash_per_hour = per_hour(dice) / 10;
    }
}

/// A member of a group goes out while the move of another one is on its way to a slow cloud; a host is enabled, or the
/// session closed, while something about to be done there is. Nothing else is wrong, so that much is done.
fn busy_groups(seed: u64, dice: &mut Dice) -> Scenario {
    let good = Profile { trouble: 0, others: false, ..Profile::faulty("default", &["noop", "reboot"]) };
    let computes = dice.between(6, 14) as usize;
    let mut scenario = super::on_cloud(seed, &good, computes, 2, &mut Dice::new(seed, Purpose::Scenario));
    let cloud = &mut scenario.cloud;
    cloud.instance.retain(|_| dice.chance(700));
    for project in cloud.project.clone() {
        all_in_one(cloud, &project.id, 1, dice);
    }
    let (moves, resizes) = (dice.between(60, 400) as u32, dice.between(60, 400) as u32);
    cloud.others = Others {
        move_per_hour: moves,
        resize_per_hour: resizes,
        enable_per_hour: dice.between(20, 200) as u32,
        ..Others::default()
    };
    cloud.wire.answer_ms = Span::Between { min: 500, max: 6_000 };
    cloud.wire.timeout_ms = 10_000;
    scenario.settings.resync = dice.span(500, 2_000);
    if dice.chance(350) {
        let at = dice.span(60_000, 400_000);
        scenario.orders.push(Order { at, session: 0, what: Command::Delete });
    }
    scenario
}

/// Hosts that never come back.
fn deaths(scenario: &mut Scenario, dice: &mut Dice) {
    let failures: &mut Failures = &mut scenario.cloud.failures;
    if dice.chance(permille::REBOOTS_KILL) {
        failures.reboot_kills = up_to(60, dice);
    }
    if dice.chance(permille::CRASHES_KILL) {
        failures.crash_kills = up_to(700, dice);
        let crashes = &mut scenario.cloud.others.crash_per_hour;
        *crashes = dice.between(2, 10) as u32;
    }
}

/// A disk without room, and space held back that is enough for closings, or not even for those.
fn full_disks(scenario: &mut Scenario, dice: &mut Dice) {
    if dice.chance(permille::FULL_DISKS) {
        for _ in 0..dice.between(1, 2) {
            let (at, span) = (dice.span(5_000, scenario.calm_at.0), dice.span(10_000, 600_000));
            let room = dice.weighted(&[(5u32, 100_000u64), (3, 0), (2, 10)]);
            scenario.faults.full_disks.push(FullDisk { at, span, room });
        }
    }
}

/// A cloud that nobody reaches for minutes, and a clock that somebody sets.
fn outages_and_clocks(scenario: &mut Scenario, dice: &mut Dice) {
    let calm_at = scenario.calm_at.0;
    if dice.chance(permille::OUTAGES) {
        for _ in 0..dice.between(1, 4) {
            // Most sessions are busy in their first minutes.
            let latest = dice.weighted(&[(3u32, calm_at.min(500_000)), (1, calm_at)]);
            let (at, span) = (dice.span(10_000, latest), dice.span(10_000, 900_000));
            scenario.faults.outages.push(Freeze { at, span });
        }
    }
    if dice.chance(permille::CLOCKS) {
        for _ in 0..dice.between(1, 3) {
            let most = dice.weighted(&[(2u32, 5_000), (4, 120_000), (1, 7_200_000)]);
            let by = dice.between(1, most).cast_signed();
            let by = if dice.chance(500) { by } else { -by };
            scenario.faults.jumps.push(Jump { at: dice.span(1_000, calm_at), by });
        }
    }
    scenario.faults.jumps.sort_by_key(|jump| jump.at);
    scenario.end_at = super::trouble::end_at(scenario);
}
