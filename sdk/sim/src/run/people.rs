//! Administrators and managers as senders of commands; and the end of all trouble.

use fenix_cloud::sim::Act;
use fenix_cloud::sim::spec::{Failures, Others, Wire};
use fenix_core::id::{HostId, InstanceId};
use fenix_core::inventory::InstanceState;
use fenix_core::package::PackageSpec;
use fenix_core::session::{ActionSpec, Condition, Phase, Pin, Plan};
use fenix_core::time::Millis;
use fenix_engine::command::Command;

use super::{Envoy, Event, Run};
use crate::coverage::Fault;
use crate::managers::AnswerDeed;
use crate::scenario::{self, SessionSpec, Stated, session_id};
use crate::truth::{Truth, Want};

/// How often an administrator looks while things go wrong, and afterwards.
const LOOKS: (Millis, Millis) = (Millis::from_secs(180), Millis::from_secs(30));

impl Run<'_> {
    pub(super) fn subscribe(&mut self, manager: usize) {
        let subscription = self.managers[manager].subscription();
        let want = Want::Subscribe(subscription.clone());
        self.send(Command::Subscribe { subscription }, Some(want));
    }

    pub(super) fn state(&mut self, number: usize) {
        let stated = self.scenario.statements[number].what.clone();
        let command = match &stated {
            Stated::That(constraint) => Command::Constrain { constraint: constraint.clone() },
            Stated::NoLonger(about) => Command::Unconstrain { about: about.clone() },
        };
        self.send(command, Some(Want::State(stated)));
    }

    pub(super) fn open(&mut self, number: usize) {
        let spec = &self.scenario.sessions[number];
        let Ok(mut plan) = self.plan_of(spec) else { return };
        let mut packages = Vec::new();
        if spec.brings.is_some() {
            plan.workflow = Pin::named(&spec.workflow, "");
            plan.actions.iter_mut().for_each(|action| action.plugin = Pin::named(&action.plugin.name, ""));
            packages.push(PackageSpec {
                name: "theirs".into(),
                url: format!("https://repo.example/{number}"),
                sha256: None,
                signature: None,
            });
        }
        let id = session_id(number);
        let command =
            Command::Open { id: id.clone(), plan: Box::new(plan), hosts: spec.hosts.clone(), packages };
        self.send(command, Some(Want::Open(id)));
    }

    fn plan_of(&self, spec: &SessionSpec) -> Result<Plan, super::ScenarioError> {
        let mut actions = Vec::new();
        for action in spec.in_order() {
            actions.push(ActionSpec {
                plugin: self.pin(&action.plugin)?,
                stage: action.stage,
                metadata: action.metadata.clone(),
            });
        }
        let maintenance_at = scenario::START + spec.at + spec.begins_in;
        Ok(Plan {
            maintenance_at,
            window_end: spec.window.map(|window| maintenance_at + window),
            metadata: spec.metadata.clone(),
            workflow: self.pin(&spec.workflow)?,
            actions,
            terms: spec.terms.clone(),
            own_host: None,
        })
    }

    pub(super) fn order(&mut self, number: usize) {
        let order = &self.scenario.orders[number];
        let session = session_id(order.session);
        self.count(match order.what {
            scenario::Command::Pause => Fault::Paused,
            scenario::Command::Continue => Fault::Continued,
            scenario::Command::Delete => Fault::Deleted,
        });
        match order.what {
            scenario::Command::Pause => {
                self.send(Command::Pause { session: session.clone() }, Some(Want::Pause(session)));
            }
            scenario::Command::Continue => {
                self.send(Command::Continue { session: session.clone() }, Some(Want::Continue(session)));
            }
            scenario::Command::Delete => {
                self.send(Command::Delete { session: session.clone() }, Some(Want::Delete(session)));
            }
        }
    }

    /// Sends a command that is no answer.
    fn send(&mut self, command: Command, want: Option<Want>) {
        if let Some(want) = &want {
            self.tell(Truth::Commanded(want.clone()));
        }
        let wait = self.latency.span(1, 50);
        let mut number = 0;
        if let Some(session) = want.as_ref().and_then(Want::about) {
            let last = self.wanted.entry(session.clone()).or_default();
            *last += 1;
            number = *last;
        }
        let envoy = Envoy { command, want, tries: 0, number };
        self.queue.push(self.now + wait, Event::Command(Box::new(envoy)));
    }

    pub(super) fn send_answer(&mut self, manager: usize, answer: AnswerDeed) {
        let project = self.managers[manager].spec.project.clone();
        self.tell(Truth::Replied {
            session: answer.session.clone(),
            project: project.clone(),
            ask: answer.ask,
            reply: answer.reply.clone(),
        });
        let AnswerDeed { session, reply, instance, .. } = answer;
        self.send(Command::Reply { session, project, instance, reply }, None);
    }

    /// An administrator looks at the sessions, and lets those go on, or deletes those, that do not.
    pub(super) fn look(&mut self) {
        let (before, after) = LOOKS;
        let mut over = self.calm;
        for number in 0..self.scenario.sessions.len() {
            over &= self.look_at(number);
        }
        match (over, self.over_since) {
            (true, None) => self.over_since = Some(self.now),
            (true, Some(_)) => {}
            (false, _) => self.over_since = None,
        }
        let pause = if self.calm { after } else { before };
        let more = self.people.span(0, pause.0);
        self.queue.push(self.now + pause + more, Event::Look);
    }

    /// Returns true if the session is over, or nobody will do anything about it any more.
    fn look_at(&mut self, number: usize) -> bool {
        let Some(engine) = &self.engine else { return false };
        let id = session_id(number);
        let Some(session) = engine.state().session(&id) else {
            // Not made yet, refused, or removed.
            let told = |want: &Want| matches!(want, Want::Open(open) if *open == id);
            return self.truth.iter().any(|entry| matches!(&entry.what, Truth::Told(want, _) if told(want)));
        };
        let stands = match (&session.condition, session.phase) {
            (Condition::Ended, _) if !session.outbox.is_empty() => return false,
            (Condition::Ended, Phase::MaintenanceDone) => return true,
            (Condition::Running | Condition::Closing { .. }, _) => false,
            (Condition::Ended | Condition::Paused | Condition::Parked { .. }, _) => true,
        };
        if !stands {
            return self.stuck_in_closing(number);
        }
        let operator = self.scenario.operator;
        let continued = self.continued.entry(number).or_default();
        if *continued < operator.continues {
            *continued += 1;
            self.send(Command::Continue { session: id.clone() }, Some(Want::Continue(id)));
            return false;
        }
        if operator.deletes {
            self.send(Command::Delete { session: id.clone() }, Some(Want::Delete(id)));
            return false;
        }
        true
    }

    /// A session whose closings wait for an outcome that nobody knows waits for somebody to find out.
    fn stuck_in_closing(&self, number: usize) -> bool {
        let Some(session) = self.engine.as_ref().and_then(|e| e.state().session(&session_id(number))) else {
            return false;
        };
        let closing = matches!(session.condition, Condition::Closing { .. });
        closing
            && !session.effects.is_empty()
            && session.effects.values().all(|effect| effect.unknown.is_some())
            && session.open_asks.is_empty()
    }

    pub(super) fn freeze(&mut self, number: usize) {
        if !self.calm {
            self.frozen_until = self.now + self.scenario.faults.freezes[number].span;
            self.stats.freezes += 1;
            self.count(Fault::Frozen);
        }
    }

    pub(super) fn outage(&mut self) {
        if !self.calm {
            self.outages += 1;
            self.count(Fault::Outage);
            self.set_wire();
        }
    }

    pub(super) fn outage_over(&mut self) {
        self.outages = self.outages.saturating_sub(1);
        self.set_wire();
    }

    /// The wire as it is now: cut, bad as the scenario says, or good.
    fn set_wire(&mut self) {
        let wire = &self.scenario.cloud.wire;
        let (answer_ms, timeout_ms) = (wire.answer_ms, wire.timeout_ms);
        self.cloud.set_wire(match (self.calm, self.outages > 0) {
            (true, _) => Wire { answer_ms, timeout_ms, ..Wire::default() },
            (false, true) => Wire { lost: 1.0, answer_ms, timeout_ms, ..Wire::default() },
            (false, false) => wire.clone(),
        });
    }

    /// The end of all trouble: the wire is good, others keep still, and operators mend what is broken.
    pub(super) fn calm_down(&mut self) {
        self.calm = true;
        self.armed = None;
        self.disk.clear(self.now);
        self.tell(Truth::Calm);
        self.set_wire();
        let now = self.now;
        let guests_resume = self.scenario.cloud.failures.guests_resume;
        let hung = self.cloud.target().hung();
        self.watch.count(Fault::MoveHung, hung);
        let world = self.cloud.target_mut();
        world.set_odds(Failures { guests_resume, ..Failures::default() }, Others::default());
        let hosts: Vec<HostId> = world.summary().hosts.iter().map(|host| host.host.id.clone()).collect();
        for host in hosts {
            // Refused by hosts that are up.
            drop(world.third_party(now, &Act::PowerOn { host }));
        }
        let broken = |state| matches!(state, InstanceState::Error | InstanceState::Moving);
        let broken: Vec<InstanceId> =
            world.instances().filter(|instance| broken(instance.state)).map(|i| i.id.clone()).collect();
        for instance in broken {
            drop(world.third_party(now, &Act::Reset { instance }));
        }
    }
}
