//! Everybody else: what others do to the cloud, by plan and by chance, without asking or telling anybody.

use fenix_core::id::{HostId, InstanceId};
use fenix_core::inventory::{Group, Instance, InstanceState, Service};
use fenix_core::time::{Millis, Time};
use fenix_engine::ports::{CloudCall, CloudError, CloudReply};
use serde::{Deserialize, Serialize};

use super::claims::Power;
use super::spec::{Failures, HostSpec, Others, Span};
use super::trace::Actor;
use super::world::{Due, World};

/// Something that others do; more than callers of the cloud can.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// What anybody could call.
    Call(CloudCall),
    /// A host loses power, and stays down.
    Crash {
        /// The host.
        host: HostId,
    },
    /// A host that is down comes back with a new boot.
    PowerOn {
        /// The host.
        host: HostId,
    },
    /// An owner switches an instance off.
    Stop {
        /// The instance.
        instance: InstanceId,
    },
    /// An owner switches a stopped instance on.
    Start {
        /// The instance.
        instance: InstanceId,
    },
    /// An instance breaks where it is.
    Break {
        /// The instance.
        instance: InstanceId,
    },
    /// An operator cleans up: whatever is under way is given up, and the instance runs where it is.
    Reset {
        /// The instance.
        instance: InstanceId,
    },
    /// A group has other limits, or is new.
    SetGroup(Group),
    /// A new host is there.
    AddHost(HostSpec),
}

/// What happens by chance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Habit {
    Boot,
    Delete,
    Resize,
    Move,
    Stop,
    Disable,
    Enable,
    Crash,
}

impl Habit {
    const ALL: [Habit; 8] = [
        Habit::Boot,
        Habit::Delete,
        Habit::Resize,
        Habit::Move,
        Habit::Stop,
        Habit::Disable,
        Habit::Enable,
        Habit::Crash,
    ];

    pub(super) fn per_hour(self, others: &Others) -> u32 {
        match self {
            Habit::Boot => others.boot_per_hour,
            Habit::Delete => others.delete_per_hour,
            Habit::Resize => others.resize_per_hour,
            Habit::Move => others.move_per_hour,
            Habit::Stop => others.stop_per_hour,
            Habit::Disable => others.disable_per_hour,
            Habit::Enable => others.enable_per_hour,
            Habit::Crash => others.crash_per_hour,
        }
    }
}

/// How long others take to confirm a cold move of theirs.
const CONFIRM_AFTER: Span = Span::Between { min: 1_000, max: 60_000 };

impl World {
    /// Lets somebody else do something at `now`.
    ///
    /// On return it has been done or refused, and stands in the trace as [`Actor::Other`]'s.
    ///
    /// # Errors
    /// As [`World::call`], and `Refused` for what does not fit the state of its subject.
    pub fn third_party(&mut self, now: Time, act: &Act) -> Result<(), CloudError> {
        self.advance(now);
        self.act(act)
    }

    pub(super) fn act(&mut self, act: &Act) -> Result<(), CloudError> {
        let before = std::mem::replace(&mut self.by, Actor::Other);
        let result = match act {
            Act::Call(call) => self.do_call(call).map(|_: CloudReply| ()),
            Act::Crash { host } => self.crash(host),
            Act::PowerOn { host } => self.power_on(host),
            Act::Stop { instance } => self.stop(instance),
            Act::Start { instance } => self.start(instance),
            Act::Break { instance } => self.break_down(instance),
            Act::Reset { instance } => self.reset(instance),
            Act::SetGroup(group) => self.set_group(group),
            Act::AddHost(spec) => self.add_host(spec),
        };
        self.by = before;
        result
    }

    /// Puts the first occurrence of every habit on the list of what is due.
    pub(super) fn begin_habits(&mut self) {
        for habit in Habit::ALL {
            self.plan_habit(habit);
        }
    }

    fn plan_habit(&mut self, habit: Habit) {
        const HOUR_MS: u64 = 3_600_000;
        let per_hour = u64::from(habit.per_hour(&self.rules.others));
        if per_hour == 0 {
            return;
        }
        // Evenly between 0 and twice the mean: the right rate, without a logarithm that machines round differently.
        let wait = 1 + self.dice.others.below(2 * HOUR_MS / per_hour);
        self.plan(self.now + Millis(wait), Due::Habit(habit));
    }

    /// Other odds from now on: for what begins from here on, and for what others do by chance.
    ///
    /// A habit that the world began without does not begin later; one that is not wanted any more ends.
    pub fn set_odds(&mut self, failures: Failures, others: Others) {
        self.rules.failures = failures;
        self.rules.others = others;
    }

    /// One occurrence of a habit, if there is a subject for it; then the next is planned.
    pub(super) fn follow_habit(&mut self, habit: Habit) {
        if habit.per_hour(&self.rules.others) == 0 {
            return;
        }
        if let Some(act) = self.draw_act(habit) {
            let moved = match (&act, self.act(&act)) {
                (Act::Call(CloudCall::Migrate { instance, .. }), Ok(())) => Some(instance.clone()),
                (Act::Crash { host }, Ok(())) => {
                    let after = self.dice.times.within(self.rules.times.reboot_ms);
                    let act = Act::PowerOn { host: host.clone() };
                    self.plan(self.now + after, Due::Act(act));
                    None
                }
                _ => None,
            };
            if let Some(instance) = moved {
                let longest = Millis(self.rules.times.cold_ms.ends().1);
                let after = self.dice.others.within(CONFIRM_AFTER);
                self.plan(self.now + longest + after, Due::Act(Act::Call(CloudCall::Confirm { instance })));
            }
        }
        self.plan_habit(habit);
    }

    fn draw_act(&mut self, habit: Habit) -> Option<Act> {
        match habit {
            Habit::Boot => {
                let like = self.draw_instance(|_| true)?;
                self.foreign += 1;
                let id = InstanceId::from(format!("other-{}", self.foreign));
                let name = id.to_string();
                let instance = Instance { id, name, host: "".into(), other_end: None, ..like };
                Some(Act::Call(CloudCall::Boot { instance }))
            }
            Habit::Delete => {
                let instance = self.draw_instance(|_| true)?.id;
                Some(Act::Call(CloudCall::Delete { instance }))
            }
            Habit::Resize => {
                let Instance { id, resources, .. } = self.draw_instance(Instance::is_settled)?;
                let like = self.draw_instance(|_| true)?.resources.clone();
                let resources = if like == resources { resources.plus(&resources) } else { like };
                Some(Act::Call(CloudCall::Resize { instance: id, resources }))
            }
            Habit::Move => {
                let instance = self.draw_instance(Instance::is_settled)?.id;
                let to =
                    self.draw_host(|service, power| power == Power::On && *service == Service::Enabled)?;
                let live = self.dice.others.chance(0.5);
                Some(Act::Call(match live {
                    true => CloudCall::LiveMigrate { instance, to },
                    false => CloudCall::Migrate { instance, to },
                }))
            }
            Habit::Stop => {
                let instance = self
                    .draw_instance(|i| matches!(i.state, InstanceState::Active | InstanceState::Stopped))?;
                Some(match instance.state {
                    InstanceState::Stopped => Act::Start { instance: instance.id },
                    _ => Act::Stop { instance: instance.id },
                })
            }
            Habit::Disable => {
                let host = self.draw_host(|service, _| *service == Service::Enabled)?;
                Some(Act::Call(CloudCall::Disable { host, reason: "somebody else's reason".into() }))
            }
            Habit::Enable => {
                let host = self.draw_host(|service, _| matches!(service, Service::Disabled { .. }))?;
                Some(Act::Call(CloudCall::Enable { host }))
            }
            Habit::Crash => {
                let host =
                    self.draw_host(|service, power| power == Power::On && *service != Service::Absent)?;
                Some(Act::Crash { host })
            }
        }
    }

    /// Any instance of the projects that others touch; a copy, since it is about to change.
    fn draw_instance(&mut self, fits: impl Fn(&Instance) -> bool) -> Option<Instance> {
        let count = self.touchable(&fits).count() as u64;
        let drawn = self.dice.others.below(count) as usize;
        self.touchable(&fits).nth(drawn).cloned()
    }

    fn touchable<'a>(&'a self, fits: &'a impl Fn(&Instance) -> bool) -> impl Iterator<Item = &'a Instance> {
        let projects = &self.rules.others.projects;
        self.instances().filter(move |i| (projects.is_empty() || projects.contains(&i.project)) && fits(i))
    }

    fn draw_host(&mut self, fits: impl Fn(&Service, Power) -> bool) -> Option<HostId> {
        let all: Vec<_> = self
            .claims
            .machines()
            .filter(|m| fits(&m.host.service, m.power))
            .map(|m| m.host.id.clone())
            .collect();
        let drawn = self.dice.others.below(all.len() as u64) as usize;
        all.into_iter().nth(drawn)
    }
}
