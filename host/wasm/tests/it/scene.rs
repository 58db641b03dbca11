//! A session over the computes `a` and `b`, with one instance each; `x` is a compute of nobody.

use std::sync::Arc;

use fenix_core::id::HostId;
use fenix_core::inventory::{Change, Host, HostKind, Instance, InstanceState, Movable, Resources, Service};
use fenix_core::policy::{Policies, Policy, Terms};
use fenix_core::record::{Body, Record};
use fenix_core::session::{HostStage, HostWork, Pin, Plan};
use fenix_core::state::State;
use fenix_core::time::Time;
use fenix_core::view::{Trigger, View, Wakeup};

pub(crate) const NOW: Time = Time(1_700_000_000_999);

pub(crate) const WAKEUP: Wakeup = Wakeup { trigger: Trigger::Started, now: NOW };

fn host(id: &str) -> Change {
    Change::Host(Host {
        id: id.into(),
        kind: HostKind::Compute,
        zone: "z".into(),
        capacity: Resources::of(4, 4096, 40),
        service: Service::Enabled,
        up: true,
        boot: "boot-1".into(),
        dead: false,
    })
}

fn instance(id: &str, on: &str) -> Change {
    Change::Instance(Instance {
        id: id.into(),
        name: id.into(),
        project: "p".into(),
        group: None,
        host: on.into(),
        resources: Resources::of(2, 1024, 10),
        state: InstanceState::Active,
        other_end: None,
        movable: Movable::Any,
        progress: None,
    })
}

fn plan() -> Plan {
    let policies = Policies { unmanaged: Policy::Force, ..Policies::default() };
    Plan {
        maintenance_at: NOW,
        window_end: None,
        metadata: "{}".into(),
        workflow: Pin { name: "guest".into(), version: "1.2.3".into(), digest: "d".into(), undoes: false },
        actions: Vec::new(),
        terms: Terms { policies, ..Terms::default() },
        own_host: None,
    }
}

/// The session's view at [`NOW`].
pub(crate) fn view() -> View {
    let mut state = State::default();
    let mut record = |session: Option<&str>, body| {
        let record = Record { seq: state.seq + 1, at: NOW, session: session.map(Into::into), body };
        state.apply(&record).unwrap();
    };
    for change in [host("a"), host("b"), host("x"), instance("i1", "a"), instance("i2", "b")] {
        record(None, Body::Observed { change });
    }
    record(Some("s"), Body::Opened { plan: plan(), rules: 1 });
    for id in ["a", "b"] {
        let work = HostWork {
            kind: HostKind::Compute,
            found: Service::Enabled,
            stage: HostStage::Waiting,
            since: NOW,
            fenced: false,
        };
        record(Some("s"), Body::HostJoined { host: HostId::from(id), work });
    }
    record(Some("s"), Body::ProjectJoined { project: "p".into(), managed: false });
    View { state: Arc::new(state), session: "s".into(), now: NOW }
}
