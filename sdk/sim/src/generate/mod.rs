//! Scenarios of all kinds, from a seed.

mod cloud;
mod constraints;
mod people;
mod trouble;
mod wide;

use fenix_cloud::sim::Spec;
use fenix_cloud::sim::spec::{InstanceSpec, ProjectSpec};
use fenix_core::ask::MoveHow;
use fenix_core::id::{HostId, ProjectId};
use fenix_core::policy::Terms;
use fenix_core::time::Millis;

use crate::dice::{Dice, Purpose};
use crate::managers::{Conduct, How, ManagerSpec};
use crate::scenario::{Scenario, SessionSpec};

pub use wide::wide;

/// What kind of scenario.
#[derive(Clone, Debug)]
pub struct Profile {
    /// The workflow's name.
    pub workflow: String,
    /// The names of actions that run on hosts; each session has some of them.
    pub actions: Vec<String>,
    /// How much goes wrong, of a thousand that could: 0 is a good day.
    pub trouble: u32,
    /// True if others boot, delete, resize, move and disable.
    pub others: bool,
    /// True if administrators pause, continue and delete at random.
    pub meddling: bool,
}

impl Profile {
    /// Everything that can go wrong does, now and then.
    pub fn faulty(workflow: &str, actions: &[&str]) -> Profile {
        Profile {
            workflow: workflow.into(),
            actions: actions.iter().map(|&name| name.into()).collect(),
            trouble: 1000,
            others: true,
            meddling: true,
        }
    }
}

/// One session on a cloud of four to twelve hosts: full or with room to spare, several applications with all kinds of
/// managers, and whatever the profile says that goes wrong.
pub fn session(seed: u64, profile: &Profile) -> Scenario {
    let mut dice = Dice::new(seed, Purpose::Scenario);
    let computes = dice.between(3, 9) as usize;
    let controllers = dice.between(2, 3) as usize;
    on_cloud(seed, profile, computes, controllers, &mut dice)
}

/// The same on a cloud of that size, of which one host at least must be a compute.
pub fn session_on(seed: u64, profile: &Profile, computes: usize, controllers: usize) -> Scenario {
    let mut dice = Dice::new(seed, Purpose::Scenario);
    on_cloud(seed, profile, computes, controllers, &mut dice)
}

fn on_cloud(seed: u64, profile: &Profile, computes: usize, controllers: usize, dice: &mut Dice) -> Scenario {
    let mut cloud = Spec { times: cloud::times(), ..Spec::default() };
    let zones = dice.between(1, 3);
    cloud::hosts(&mut cloud, computes, controllers, zones, dice);
    let projects = cloud::projects(&mut cloud, dice);
    let spare = match dice.below(4) {
        0 => 0,
        1 => dice.between(1, 4),
        _ => dice.between(4, 4 * computes as u64 / 2 + 4),
    };
    cloud::fill(&mut cloud, &projects, computes as u64 * 4 - spare.min(computes as u64 * 4 - 2), dice);
    let mut scenario = Scenario::new(seed, cloud);
    let unmanaged = dice.chance(250);
    for (number, project) in projects.iter().enumerate() {
        if number > 0 || !unmanaged {
            let conduct = people::conduct(profile, dice);
            scenario.managers.push(people::manager(project, conduct, profile, dice));
        }
    }
    if dice.chance(300) {
        let listener = ProjectId::from("inspector");
        let spec = ManagerSpec { event_type: "*".into(), ..people::plain_manager(&listener) };
        scenario.managers.push(spec);
    }
    scenario.sessions.push(people::session_spec(profile, unmanaged, dice));
    trouble::trouble(&mut scenario, profile, dice);
    scenario
}

/// Two sessions on disjoint hosts that share a group which bears one member out, and the last free slot of the cloud.
pub fn two_sessions(seed: u64, profile: &Profile) -> Scenario {
    let mut dice = Dice::new(seed, Purpose::Scenario);
    let mut cloud = Spec { times: cloud::times(), ..Spec::default() };
    let half = dice.between(2, 3) as usize;
    cloud::hosts(&mut cloud, half * 2, 2, 2, &mut dice);
    for host in &mut cloud.host {
        host.disabled = None;
    }
    // The last compute is in nobody's session; it has the one free slot, or two.
    cloud.host.push(cloud::compute(half * 2 + 1, "zone-3"));
    let (shared, other) = (ProjectId::from("shared"), ProjectId::from("other"));
    cloud.project = vec![ProjectSpec { id: shared.clone() }, ProjectSpec { id: other.clone() }];
    cloud.group = vec![cloud::group("ha", &shared, dice.chance(500), dice.between(0, 20_000))];
    let slots = (half * 2 + 1) * 4;
    let free = dice.between(1, 2) as usize;
    for slot in 0..slots - free {
        let host = HostId::from(format!("compute-{}", slot / 4 + 1));
        // One member on each host, of both halves.
        let member = slot % 4 == 0 && slot / 4 < half * 2;
        let owner = if member || dice.chance(400) { &shared } else { &other };
        cloud.instance.push(InstanceSpec {
            group: member.then(|| "ha".into()),
            host: Some(host),
            ..cloud::instance(&format!("vm-{:02}", slot + 1), owner, cloud::SMALL)
        });
    }
    let mut scenario = Scenario::new(seed, cloud);
    for project in [&shared, &other] {
        let how = if dice.chance(500) { How::All(MoveHow::Migrate) } else { How::All(MoveHow::LiveMigrate) };
        let conduct = Conduct { how, ..Conduct::default() };
        scenario.managers.push(ManagerSpec { conduct, ..people::plain_manager(project) });
    }
    let names = |from: usize, to: usize| (from..=to).map(|n| HostId::from(format!("compute-{n}"))).collect();
    let terms = Terms { hosts_at_once: 2, hosts_at_once_per_zone: 4, ..people::patient_terms() };
    for hosts in [names(1, half), names(half + 1, half * 2)] {
        let mut spec = people::session_spec(profile, false, &mut dice);
        spec = SessionSpec {
            hosts,
            terms: terms.clone(),
            window: None,
            begins_in: Millis::from_secs(30),
            ..spec
        };
        spec.at = Millis::from_secs(5) + dice.span(0, 20_000);
        scenario.sessions.push(spec);
    }
    trouble::trouble(&mut scenario, profile, &mut dice);
    scenario
}

/// Applications that state what they bear, in a session that has several hosts in hand at a time.
pub fn limited(seed: u64, profile: &Profile) -> Scenario {
    with_limits(session(seed, profile), seed)
}

/// The same in two sessions that share a group.
pub fn two_limited(seed: u64, profile: &Profile) -> Scenario {
    with_limits(two_sessions(seed, profile), seed)
}

fn with_limits(mut scenario: Scenario, seed: u64) -> Scenario {
    let mut dice = Dice::new(seed, Purpose::Limits);
    let at_once = dice.between(1, 4) as u32;
    // The same for all: whoever may take more can come between another's decision and its call.
    let per_zone = dice.between(1, u64::from(at_once)) as u32;
    for spec in &mut scenario.sessions {
        spec.terms.hosts_at_once = at_once;
        spec.terms.hosts_at_once_per_zone = per_zone;
        spec.terms.ask_per_instance = dice.chance(700);
        spec.terms.scale_in_max = dice.chance(300).then(|| dice.between(1, 16) as u32);
    }
    constraints::state(&mut scenario, &mut Dice::new(seed, Purpose::Statements));
    scenario
}

/// Sessions of a workflow that keeps asking for more ([`crate::reckless`]), alone or in twos by the seed, on terms that
/// let it: what it wants is then bound by the rules alone.
pub fn reckless(seed: u64, profile: &Profile) -> Scenario {
    let mut scenario =
        if seed.is_multiple_of(2) { session(seed, profile) } else { two_sessions(seed, profile) };
    for spec in &mut scenario.sessions {
        spec.terms.rounds = 1000;
        spec.terms.failure_budget = 1000;
    }
    constraints::state(&mut scenario, &mut Dice::new(seed, Purpose::Statements));
    scenario
}
