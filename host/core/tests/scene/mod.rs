//! What the tests of the rules stand on, with ways to change it.
//!
//! One session over `a` and `b` (computes of 4 vcpus) and `c1`; `x` is a compute of nobody, `c2` a second controller. `i1`
//! and `i2` (2 vcpus each, group `g`, at most one out) are on `a`, `i3` is on `b`. The project is managed, was told
//! MAINTENANCE, and agreed to have `a` emptied (question 1); `a` is fenced.
#![allow(dead_code, reason = "no test needs all of it")]

use std::sync::Arc;

use fenix_core::ask::{Ask, AskKind, AskStatus, MoveHow};
use fenix_core::constraint::{Constraint, GroupConstraint, InstanceConstraint};
use fenix_core::effect::{Effect, EffectKind};
use fenix_core::id::{AskId, EffectId, HostId};
use fenix_core::inventory::{
    Change, Group, Host, HostKind, Instance, InstanceState, Movable, Resources, Service,
};
use fenix_core::policy::Terms;
use fenix_core::record::{Body, Record};
use fenix_core::rules;
use fenix_core::session::{HostStage, HostWork, Phase, Pin, Plan, Session};
use fenix_core::state::State;
use fenix_core::time::{Millis, Time};

pub(crate) const START: Time = Time(1_000_000);
pub(crate) const NOW: Time = Time(2_000_000);

pub(crate) fn host(id: &str, kind: HostKind) -> Host {
    Host {
        id: id.into(),
        kind,
        zone: "z".into(),
        capacity: Resources::of(4, 4096, 40),
        service: if kind == HostKind::Compute { Service::Enabled } else { Service::Absent },
        up: true,
        boot: "1".into(),
        dead: false,
    }
}

pub(crate) fn instance(id: &str, on: &str, group: Option<&str>) -> Instance {
    Instance {
        id: id.into(),
        name: id.into(),
        project: "p".into(),
        group: group.map(Into::into),
        host: on.into(),
        resources: Resources::of(2, 1024, 10),
        state: InstanceState::Active,
        other_end: None,
        movable: Movable::Any,
        progress: None,
    }
}

pub(crate) fn plan() -> Plan {
    let pin = Pin { name: "default".into(), version: "0.1.0".into(), digest: "d".into(), undoes: false };
    Plan {
        maintenance_at: START,
        window_end: None,
        metadata: "{}".into(),
        workflow: pin,
        actions: Vec::new(),
        terms: Terms { hosts_at_once: 2, hosts_at_once_per_zone: 2, ..Terms::default() },
        own_host: None,
    }
}

pub(crate) fn ask(id: u32, kind: AskKind, host: Option<&str>, status: AskStatus) -> Ask {
    Ask {
        id: AskId(id),
        project: "p".into(),
        kind,
        round: 1,
        instances: vec!["i1".into(), "i2".into()],
        host: host.map(Into::into),
        opened_at: START,
        window: Millis::from_secs(40),
        delivered_at: Some(START),
        reply_by: START + Millis::from_secs(40),
        chosen: std::collections::BTreeMap::new(),
        status,
        ended_at: Some(START),
    }
}

pub(crate) fn agreed() -> AskStatus {
    AskStatus::Acked {
        actions: [("i1".into(), MoveHow::Migrate), ("i2".into(), MoveHow::LiveMigrate)].into(),
    }
}

/// The scene, with a way to change it.
pub(crate) struct Scene {
    pub(crate) state: State,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let mut scene = Scene { state: State::default() };
        for (id, kind) in [
            ("a", HostKind::Compute),
            ("b", HostKind::Compute),
            ("x", HostKind::Compute),
            ("c1", HostKind::Controller),
            ("c2", HostKind::Controller),
        ] {
            scene.see(Change::Host(host(id, kind)));
        }
        scene.see(Change::Group(Group {
            id: "g".into(),
            project: "p".into(),
            name: "pair".into(),
            anti_affinity: false,
            max_instances_per_host: 0,
            max_impacted_members: 1,
            recovery_time: Millis::from_secs(10),
        }));
        for (id, on, group) in [("i1", "a", Some("g")), ("i2", "a", Some("g")), ("i3", "b", None)] {
            scene.see(Change::Instance(instance(id, on, group)));
        }
        scene.open("s", &["a", "b", "c1"]);
        scene.session("s", |session| {
            session.phase = Phase::PlannedMaintenance;
            if let Some(project) = session.projects.get_mut(&"p".into()) {
                project.told = true;
            }
            fence(session, "a");
        });
        scene.asked("s", ask(0, AskKind::Maintenance, None, agreed()));
        scene.asked("s", ask(1, AskKind::PlannedMaintenance, Some("a"), agreed()));
        scene
    }

    pub(crate) fn record(&mut self, at: Time, session: Option<&str>, body: Body) {
        let record = Record { seq: self.state.seq + 1, at, session: session.map(Into::into), body };
        self.state.apply(&record).unwrap();
    }

    pub(crate) fn see(&mut self, change: Change) {
        self.record(START, None, Body::Observed { change });
    }

    pub(crate) fn open(&mut self, id: &str, hosts: &[&str]) {
        self.record(START, Some(id), Body::Opened { plan: plan(), rules: rules::VERSION });
        for name in hosts {
            let seen = self.state.inventory.host(&HostId::from(name)).unwrap().clone();
            let work = HostWork {
                kind: seen.kind,
                found: seen.service,
                stage: HostStage::Waiting,
                since: START,
                fenced: false,
            };
            self.record(START, Some(id), Body::HostJoined { host: seen.id, work });
        }
        self.record(START, Some(id), Body::ProjectJoined { project: "p".into(), managed: true });
    }

    pub(crate) fn asked(&mut self, session: &str, ask: Ask) {
        let (id, status) = (ask.id, ask.status.clone());
        let open = Ask { status: AskStatus::Open, ..ask };
        self.record(START, Some(session), Body::Asked { ask: open, reason: "why".into() });
        self.record(START, Some(session), Body::AskEnded { ask: id, status });
    }

    pub(crate) fn session(&mut self, id: &str, change: impl FnOnce(&mut Session)) {
        change(Arc::make_mut(self.state.sessions.get_mut(&id.into()).unwrap()));
    }

    pub(crate) fn in_flight(&mut self, session: &str, id: u32, kind: EffectKind) {
        let effect = Effect {
            id: EffectId(id),
            kind,
            reason: "why".into(),
            admitted_at: NOW,
            deadline: NOW + Millis::from_secs(600),
            unclear_at: None,
            unknown: None,
        };
        self.record(START, Some(session), Body::Admitted { effect });
    }
}

/// Its owner states something.
pub(crate) fn state(scene: &mut Scene, constraint: Constraint) {
    scene.record(START, None, Body::Constrained { constraint });
}

/// What nobody has stated anything about yet.
pub(crate) fn about_instance(id: &str) -> InstanceConstraint {
    InstanceConstraint {
        instance: id.into(),
        project: "p".into(),
        group: None,
        name: id.into(),
        max_interruption_time: None,
        migration_type: None,
        resource_mitigation: None,
        lead_time: None,
    }
}

/// The same of a group.
pub(crate) fn about_group(id: &str) -> GroupConstraint {
    GroupConstraint {
        group: id.into(),
        project: "p".into(),
        name: String::new(),
        anti_affinity: None,
        max_instances_per_host: None,
        max_impacted_members: None,
        recovery_time: None,
        resource_mitigation: None,
        busy: Vec::new(),
    }
}

pub(crate) fn plan_of(session: &mut Session) -> &mut Plan {
    Arc::make_mut(&mut session.plan)
}

pub(crate) fn stand(session: &mut Session, host: &str, stage: HostStage, fenced: bool) {
    let known = session.hosts.get(&host.into()).unwrap().clone();
    session.hosts.set(host.into(), HostWork { stage, fenced, ..known });
}

pub(crate) fn fence(session: &mut Session, host: &str) {
    stand(session, host, HostStage::Fenced, true);
}

pub(crate) fn stage(host: &'static str, stage: HostStage) -> impl FnOnce(&mut Scene) {
    move |scene| scene.session("s", |session| stand(session, host, stage, true))
}

/// A host no longer answers, and perhaps somebody knows that it is dead.
pub(crate) fn goes_down(id: &'static str, dead: bool) -> impl Fn(&mut Scene) {
    move |scene| {
        let seen = scene.state.inventory.host(&id.into()).unwrap().clone();
        scene.see(Change::Host(Host { up: false, dead, ..seen }));
    }
}
