//! A plug-in: any bytes are refused with a reason, or are a plug-in that does whatever it does within its limits.

use std::sync::{Mutex, PoisonError};

use fenix_core::id::HostId;
use fenix_core::inventory::{Change, Host, HostKind, Resources, Service};
use fenix_core::policy::Terms;
use fenix_core::record::{Body, Record};
use fenix_core::session::{HostStage, HostWork, Pin, Plan};
use fenix_core::state::State;
use fenix_core::time::Time;
use fenix_core::view::{Trigger, View, Wakeup};
use fenix_engine::ports::Workflows;
use fenix_wasm::{AttachError, Kind, Plugins, inspect};

use crate::input::Known;

#[path = "../../../../host/wasm/tests/it/guest.rs"]
#[allow(clippy::unwrap_used, reason = "what makes inputs may panic")]
pub(crate) mod guest;

/// Largest component that is compiled here: larger ones take seconds, and show nothing else.
const COMPILED: usize = 24 * 1024;

/// Components that one registry takes, before a new one is made: it keeps all of them.
const KEPT: u32 = 300;

/// Most bytes of a refusal or of why a plug-in was ended.
const MAX_REASON: usize = 2048;

/// The shipped ones, and small ones that do what they should not.
pub fn seeds() -> Vec<Known> {
    let shipped = fenix_shipped::SHIPPED.iter().map(|shipped| (shipped.name, shipped.bytes.to_vec()));
    let spin = "(func $spin (loop $again (br $again)))";
    let eat = "(loop $again (drop (memory.grow (i32.const 16))) (br $again))";
    let small = [
        ("a workflow", guest::workflow("", "")),
        ("a loop", guest::workflow("(call $spin)", spin)),
        ("an eater of memory", guest::workflow(eat, "")),
        ("a plan", guest::workflow("(call $fail (i32.const 16) (i32.const 13))", "")),
        ("an action", guest::action("", "")),
        ("a shell", guest::shell(&guest::manifest("workflow"), "")),
    ];
    shipped.chain(small).map(|(name, bytes)| Known { name: name.to_owned(), bytes }).collect()
}

struct Registry {
    plugins: Plugins,
    taken: u32,
}

static REGISTRY: Mutex<Option<Registry>> = Mutex::new(None);

/// A registry with room.
fn registry() -> Plugins {
    let mut registry = REGISTRY.lock().unwrap_or_else(PoisonError::into_inner);
    if registry.as_ref().is_none_or(|registry| registry.taken >= KEPT) {
        *registry = Some(Registry { plugins: Plugins::new(None).expect("the sandbox runs here"), taken: 0 });
    }
    let registry = registry.as_mut().expect("it was made above");
    registry.taken += 1;
    registry.plugins.clone()
}

/// Looks at it and, if it is small, attaches and runs it.
pub fn run(input: &[u8]) {
    let manifest = match inspect(input) {
        Ok(manifest) => manifest,
        Err(why) => {
            let refused = registry().attach(input).expect_err("what is no plug-in is not attached");
            assert_eq!(refused, AttachError::Refused(why));
            return is_reason(&refused.to_string());
        }
    };
    if input.len() > COMPILED {
        return;
    }
    let plugins = registry();
    let info = match plugins.attach(input) {
        Ok(info) => info,
        Err(refused) => return is_reason(&refused.to_string()),
    };
    assert_eq!((&info.name, &info.version, info.kind), (&manifest.name, &manifest.version, manifest.kind));
    assert_eq!(plugins.info(&info.digest).as_ref(), Some(&info));
    assert_eq!(plugins.attach(input), Ok(info.clone()), "the same bytes are the same plug-in");
    if info.kind == Kind::Workflow {
        let wakeup = Wakeup { trigger: Trigger::Started, now: NOW };
        if let Err(why) = plugins.decide(&info.digest, &view(), &wakeup) {
            is_reason(&format!("{why:?}"));
        }
    }
}

fn is_reason(why: &str) {
    assert!(!why.is_empty() && why.len() <= MAX_REASON, "a reason of {} bytes: {why}", why.len());
    assert!(!why.chars().any(char::is_control), "{why:?}");
}

const NOW: Time = Time(1_700_000_000_000);

/// A session over one empty host.
fn view() -> View {
    let mut state = State::default();
    let resources = Resources::of(4, 4096, 40);
    let host = Host {
        id: "a".into(),
        kind: HostKind::Compute,
        zone: "z".into(),
        capacity: resources,
        service: Service::Enabled,
        up: true,
        boot: "boot-1".into(),
        dead: false,
    };
    let plan = Plan {
        maintenance_at: NOW,
        window_end: None,
        metadata: "{}".into(),
        workflow: Pin { name: "guest".into(), version: "1.2.3".into(), digest: "d".into(), undoes: false },
        actions: Vec::new(),
        terms: Terms::default(),
        own_host: None,
    };
    let work = HostWork {
        kind: HostKind::Compute,
        found: Service::Enabled,
        stage: HostStage::Waiting,
        since: NOW,
        fenced: false,
    };
    let bodies = [
        (None, Body::Observed { change: Change::Host(host) }),
        (Some("s".into()), Body::Opened { plan, rules: 1 }),
        (Some("s".into()), Body::HostJoined { host: HostId::from("a"), work }),
    ];
    for ((session, body), seq) in bodies.into_iter().zip(1..) {
        state.apply(&Record { seq, at: NOW, session, body }).expect("each follows from those before");
    }
    View { state: state.into(), session: "s".into(), now: NOW }
}
