//! From a specification to a world, or to the first thing that does not hold in it.

use std::collections::{BTreeMap, BTreeSet};

use fenix_core::id::{HostId, InstanceId, ProjectId, Zone};
use fenix_core::inventory::{HostKind, Instance, InstanceState, Movable, Resources};
use fenix_core::time::{Millis, Time};

use super::claims::{Claims, Wish};
use super::machines::machine;
use super::ranges::check_numbers;
use super::spec::{
    CrowdSpec, GroupSpec, HostSpec, InstanceSpec, MAX_NAME, ProjectSpec, RackSpec, Span, Spec, Times,
};
use super::trace::{Actor, Happening};
use super::world::{DiceSet, Due, Rules, World};

/// What is wrong with a specification.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// It cannot be read.
    #[error("the specification of the simulated cloud cannot be read")]
    Toml(#[from] toml::de::Error),
    /// Something is named twice.
    #[error("{what} {name:?} is there twice")]
    Twice {
        /// What kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// A name is empty or too long.
    #[error("{what} name {name:?} is not 1 to {MAX_NAME} bytes long")]
    BadName {
        /// What kind of thing.
        what: &'static str,
        /// Its name, or the beginning of it.
        name: String,
    },
    /// A pattern for several things names them all alike.
    #[error("the name {name:?} of {count} {what} has no {{}} for the number")]
    NoNumber {
        /// What kind of things.
        what: &'static str,
        /// The pattern.
        name: String,
        /// How many.
        count: u32,
    },
    /// Something refers to what is not there.
    #[error("{whose} names {what} {name:?}, which is not in the specification")]
    Unknown {
        /// What refers to it.
        whose: String,
        /// What kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// A group of one project has a member of another.
    #[error("instance {instance} of project {project} is in group {group} of another project")]
    ForeignGroup {
        /// The instance.
        instance: InstanceId,
        /// Its owner.
        project: ProjectId,
        /// The group.
        group: String,
    },
    /// An instance cannot be where the specification puts it.
    #[error("instance {instance} cannot be placed: {why}")]
    NoPlace {
        /// The instance.
        instance: InstanceId,
        /// Why not.
        why: String,
    },
    /// A number is outside of its range.
    #[error("{key} = {value} is not {range}")]
    OutOfRange {
        /// Its place in the file.
        key: String,
        /// What it is.
        value: String,
        /// What it may be.
        range: String,
    },
}

impl Spec {
    /// Reads the text of a `rack.toml`.
    ///
    /// # Errors
    /// [`SpecError::Toml`] names line and key; what does not hold together is found by [`World::new`].
    pub fn parse(text: &str) -> Result<Spec, SpecError> {
        Ok(toml::from_str(text)?)
    }

    /// The topology of OPNFV Doctor's maintenance test: `computes` hosts all full, two instances on each.
    ///
    /// Two of the instances back each other up (anti-affinity, one may be out), the others stand alone; all belong
    /// to one project. There are two controllers: the last healthy one is never taken out of service (R6). Everything
    /// takes seconds, as a demonstration wants it.
    pub fn doctor(computes: u32) -> Spec {
        let capacity = Resources::of(4, 8192, 80);
        let half = Resources::of(2, 4096, 40);
        let project = ProjectId::from("doctor");
        let rack = |name: &str, count, kind, zone: &str, capacity| RackSpec {
            count,
            name: name.to_owned(),
            first: 1,
            kind,
            zone: zone.to_owned(),
            zones: 1,
            capacity,
        };
        let crowd = |name: &str, count, group: Option<&str>| CrowdSpec {
            count,
            name: name.to_owned(),
            project: project.clone(),
            group: group.map(Into::into),
            resources: half.clone(),
            movable: Movable::Any,
        };
        Spec {
            rack: vec![
                rack("compute-{}", computes, HostKind::Compute, "nova", capacity),
                rack("controller-{}", 2, HostKind::Controller, "internal", Resources::default()),
            ],
            project: vec![ProjectSpec { id: project.clone() }],
            group: vec![GroupSpec {
                id: "doctor-ha".into(),
                project: project.clone(),
                name: "doctor_ha_app".to_owned(),
                anti_affinity: true,
                max_instances_per_host: 1,
                max_impacted_members: 1,
                recovery_ms: 1_000,
            }],
            crowd: vec![
                crowd("doctor-ha-{}", computes.min(2), Some("doctor-ha")),
                crowd("doctor-nonha-{}", (computes * 2).saturating_sub(2), None),
            ],
            times: Times::fast(),
            ..Spec::default()
        }
    }
}

impl Times {
    /// Seconds instead of minutes, for demonstrations.
    pub fn fast() -> Times {
        Times {
            cold_ms: Span::Between { min: 1_000, max: 2_500 },
            live_ms: Span::Between { min: 500, max: 1_500 },
            evacuate_ms: Span::Between { min: 1_000, max: 2_500 },
            resize_ms: Span::Between { min: 1_000, max: 2_500 },
            boot_ms: Span::Between { min: 300, max: 1_000 },
            reboot_ms: Span::Between { min: 2_000, max: 4_000 },
        }
    }
}

impl World {
    /// Builds the cloud that the specification describes; its time begins at `start`.
    ///
    /// All that is there at the beginning stands in the trace, so that the trace alone tells the whole story.
    ///
    /// # Errors
    /// The first thing in the specification that does not hold, by name.
    pub fn new(spec: &Spec, seed: u64, start: Time) -> Result<World, SpecError> {
        check_numbers(spec)?;
        let mut world = World {
            rules: Rules::of(spec),
            now: start,
            claims: Claims::default(),
            guests: BTreeMap::new(),
            due: BTreeMap::new(),
            planned: 0,
            foreign: 0,
            dice: DiceSet::new(seed),
            by: Actor::Setup,
            trace: Vec::new(),
        };
        let projects = names("project", spec.project.iter().map(|project| project.id.as_str()))?;
        world.set_hosts(spec)?;
        world.set_groups(spec, &projects)?;
        world.set_instances(spec, &projects)?;
        for project in &spec.others.projects {
            known(&projects, "project", project.as_str(), || "others".to_owned())?;
        }
        world.by = Actor::Other;
        for (number, line) in (0..).zip(&spec.script) {
            world.plan(start + Millis(line.at_ms), Due::Script(number));
        }
        world.begin_habits();
        world.by = Actor::Client;
        Ok(world)
    }

    fn set_hosts(&mut self, spec: &Spec) -> Result<(), SpecError> {
        let racks = spec.rack.iter().flat_map(rack_hosts);
        let all: Vec<HostSpec> = racks.chain(spec.host.iter().cloned()).collect();
        names("host", all.iter().map(|host| host.id.as_str()))?;
        for host in &all {
            let (host, power) = machine(host);
            self.tell(Happening::HostAdded { host: host.clone() });
            self.claims.add_machine(host, power, 1);
        }
        Ok(())
    }

    fn set_groups(&mut self, spec: &Spec, projects: &BTreeSet<&str>) -> Result<(), SpecError> {
        names("group", spec.group.iter().map(|group| group.id.as_str()))?;
        for group in &spec.group {
            known(projects, "project", group.project.as_str(), || format!("group {}", group.id))?;
            self.tell(Happening::GroupSet { group: group.group() });
            self.claims.set_group(group.group());
        }
        Ok(())
    }

    fn set_instances(&mut self, spec: &Spec, projects: &BTreeSet<&str>) -> Result<(), SpecError> {
        // Those with a place first, so that the scheduler does not take it away for those without.
        let crowds = spec.crowd.iter().flat_map(crowd_instances);
        let mut all: Vec<InstanceSpec> = spec.instance.iter().cloned().chain(crowds).collect();
        names("instance", all.iter().map(|instance| instance.id.as_str()))?;
        all.sort_by_key(|instance| instance.host.is_none());
        for instance in &all {
            known(projects, "project", instance.project.as_str(), || format!("instance {}", instance.id))?;
            self.set_instance(instance)?;
        }
        Ok(())
    }

    fn set_instance(&mut self, spec: &InstanceSpec) -> Result<(), SpecError> {
        let whose = || format!("instance {}", spec.id);
        if let Some(id) = &spec.group {
            let unknown = || SpecError::Unknown { whose: whose(), what: "group", name: id.to_string() };
            let group = self.claims.group(id).ok_or_else(unknown)?;
            if group.project != spec.project {
                let (instance, project) = (spec.id.clone(), spec.project.clone());
                return Err(SpecError::ForeignGroup { instance, project, group: id.to_string() });
            }
        }
        let wish = Wish { instance: &spec.id, group: spec.group.as_ref(), resources: &spec.resources };
        let host = match &spec.host {
            Some(host) if self.claims.machine(host).is_none() => {
                return Err(SpecError::Unknown { whose: whose(), what: "host", name: host.to_string() });
            }
            Some(host) => self.claims.room_for(wish, host).map(|()| host.clone()),
            None => {
                self.claims.choose(wish, None).ok_or_else(|| "no enabled host has room for it".to_owned())
            }
        };
        let host = host.map_err(|why| SpecError::NoPlace { instance: spec.id.clone(), why })?;
        let state = if spec.stopped { InstanceState::Stopped } else { InstanceState::Active };
        let instance = Instance {
            id: spec.id.clone(),
            name: if spec.name.is_empty() { spec.id.to_string() } else { spec.name.clone() },
            project: spec.project.clone(),
            group: spec.group.clone(),
            host: host.clone(),
            resources: spec.resources.clone(),
            state,
            other_end: None,
            movable: spec.movable.clone(),
            progress: None,
        };
        self.add_guest(&instance, &host, state, state);
        Ok(())
    }
}

fn rack_hosts(rack: &RackSpec) -> impl Iterator<Item = HostSpec> + '_ {
    (0..rack.count).map(|n| {
        let number = rack.first.saturating_add(n).to_string();
        let zone = (n % rack.zones.max(1) + 1).to_string();
        HostSpec {
            id: HostId::from(rack.name.replace("{}", &number)),
            kind: rack.kind,
            zone: Zone::from(rack.zone.replace("{}", &zone)),
            capacity: rack.capacity.clone(),
            disabled: None,
            down: false,
        }
    })
}

fn crowd_instances(crowd: &CrowdSpec) -> impl Iterator<Item = InstanceSpec> + '_ {
    (1..=crowd.count).map(|number| InstanceSpec {
        id: InstanceId::from(crowd.name.replace("{}", &number.to_string())),
        name: String::new(),
        project: crowd.project.clone(),
        group: crowd.group.clone(),
        host: None,
        resources: crowd.resources.clone(),
        movable: crowd.movable.clone(),
        stopped: false,
    })
}

/// All names of one kind, each good and there once.
fn names<'a>(
    what: &'static str,
    names: impl Iterator<Item = &'a str>,
) -> Result<BTreeSet<&'a str>, SpecError> {
    let mut seen = BTreeSet::new();
    for name in names {
        if name.is_empty() || name.len() > MAX_NAME {
            return Err(SpecError::BadName { what, name: name.chars().take(40).collect() });
        }
        if !seen.insert(name) {
            return Err(SpecError::Twice { what, name: name.to_owned() });
        }
    }
    Ok(seen)
}

fn known(
    all: &BTreeSet<&str>,
    what: &'static str,
    name: &str,
    whose: impl FnOnce() -> String,
) -> Result<(), SpecError> {
    match all.contains(name) {
        true => Ok(()),
        false => Err(SpecError::Unknown { whose: whose(), what, name: name.to_owned() }),
    }
}
