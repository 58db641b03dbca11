//! What the engine orders, carried out: each order on its own, its result brought back as an event.
//!
//! Nothing here repeats anything. An order whose result gets lost is looked after by the engine, which looks before
//! it acts again.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use fenix_cloud::Cloud;
use fenix_engine::event::{Basis, CALL_LIMIT_SECS, CallId, DeliveryError, Envelope, Event, Order, Wanted};
use fenix_engine::ports::{
    ActionError, Assignment, Brought, CloudCall, CloudError, Progress, WorkflowError, Workflows,
};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::courier::Courier;
use super::desk::Desk;
use super::lanes::Lanes;

/// Calls to the infrastructure at a time: a control plane answers some dozens in parallel without getting slower.
const MAX_CALLS: usize = 32;

/// Actions at work at a time; each holds a thread while it computes or calls.
const MAX_ACTIONS: usize = 16;

/// Decisions at a time that take long, each on a processor: half of them, so that the writer and those who call have the others.
fn most_decisions() -> usize {
    std::thread::available_parallelism().map_or(1, |all| all.get().div_ceil(2))
}

/// Runs action components.
pub trait ActionPort: Send + Sync {
    /// One call of an action; blocks until it returns, or is ended by its own limits.
    ///
    /// # Errors
    /// The action failed, was ended, or cannot run.
    fn run(&self, assignment: &Assignment) -> Result<Progress, ActionError>;
}

/// What is brought, once it is here.
pub type Bringing<'a> = Pin<Box<dyn Future<Output = Result<Brought, String>> + Send + 'a>>;

/// Has here what sessions bring.
pub trait PackagePort: Send + Sync {
    /// Everything that a session brings, and the plug-ins that it names. Takes as long as it takes.
    ///
    /// # Errors
    /// Says which package did not come, or which plug-in is in none, and why.
    fn bring<'a>(&'a self, wanted: &'a Wanted) -> Bringing<'a>;
}

/// Carries orders out.
pub struct Hands {
    runtime: Handle,
    desk: Desk,
    cloud: Arc<dyn Cloud>,
    actions: Arc<dyn ActionPort>,
    packages: Arc<dyn PackagePort>,
    courier: Arc<Courier>,
    calls: Arc<Semaphore>,
    lanes: Arc<Lanes>,
    at_work: Arc<Semaphore>,
    thinking: Arc<Semaphore>,
}

impl Hands {
    /// Hands that bring their results back to `desk`.
    pub fn new(
        runtime: Handle,
        desk: Desk,
        cloud: Arc<dyn Cloud>,
        actions: Arc<dyn ActionPort>,
        packages: Arc<dyn PackagePort>,
        courier: Courier,
    ) -> Hands {
        Hands {
            runtime,
            desk,
            cloud,
            actions,
            packages,
            courier: Arc::new(courier),
            calls: Arc::new(Semaphore::new(MAX_CALLS)),
            lanes: Arc::new(Lanes::new()),
            at_work: Arc::new(Semaphore::new(MAX_ACTIONS)),
            thinking: Arc::new(Semaphore::new(most_decisions())),
        }
    }

    /// Begins to carry an order out, and returns at once.
    pub(crate) fn carry_out(&self, order: Order) {
        match order {
            Order::Call { id, call } => self.call(id, call),
            Order::Deliver { id, envelope } => self.deliver(id, *envelope),
            Order::RunAction { id, assignment } => self.run_action(id, *assignment),
            Order::Fetch { id, wanted } => self.fetch(id, wanted),
            // The writer's own: it knows the workflows, and whom to answer.
            Order::Decide { .. } | Order::Answer { .. } => {}
        }
    }

    fn call(&self, id: CallId, call: CloudCall) {
        let (desk, cloud, calls) = (self.desk.clone(), self.cloud.clone(), self.calls.clone());
        self.runtime.spawn(async move {
            let _permit = calls.acquire_owned().await;
            let limit = Duration::from_secs(CALL_LIMIT_SECS);
            // A task of its own: a fault in a driver is an answer, too.
            let call = tokio::spawn(async move { tokio::time::timeout(limit, cloud.call(&call)).await });
            let unclear = |why| Err(CloudError::Unclear(why));
            let result = match call.await {
                Ok(Ok(result)) => result,
                Ok(Err(_elapsed)) => unclear(format!("nothing within {CALL_LIMIT_SECS} s")),
                Err(fault) => unclear(format!("the driver broke: {fault}")),
            };
            desk.bring_back(Event::CloudReturned(id, result)).await;
        });
    }

    fn deliver(&self, id: CallId, envelope: Envelope) {
        let (desk, courier, lanes) = (self.desk.clone(), self.courier.clone(), self.lanes.clone());
        self.runtime.spawn(async move {
            let to = envelope.subscription.id.clone();
            let _place = lanes.place(&to).await;
            // A fault in the courier is no answer of the receiver's: it is tried again, like any other.
            let delivery = tokio::spawn(async move { courier.deliver(&envelope).await });
            let result = delivery.await.unwrap_or_else(|fault| {
                Err(DeliveryError::Unreachable(format!("the courier broke: {fault}")))
            });
            lanes.note(&to, !matches!(result, Err(DeliveryError::Unreachable(_))));
            desk.bring_back(Event::Delivered(id, result)).await;
        });
    }

    fn run_action(&self, id: CallId, assignment: Assignment) {
        let (desk, actions, at_work) = (self.desk.clone(), self.actions.clone(), self.at_work.clone());
        self.runtime.spawn(async move {
            let _permit = at_work.acquire_owned().await;
            let run = tokio::task::spawn_blocking(move || actions.run(&assignment));
            let result = run.await.unwrap_or_else(|fault| Err(ActionError::Trapped(fault.to_string())));
            desk.bring_back(Event::ActionReturned(id, result)).await;
        });
    }

    /// Has a workflow decide, and returns at once.
    pub(crate) fn decide(&self, id: CallId, basis: Box<Basis>, workflows: Arc<dyn Workflows + Send + Sync>) {
        let (desk, thinking) = (self.desk.clone(), self.thinking.clone());
        self.runtime.spawn(async move {
            let _permit = thinking.acquire_owned().await;
            let decision = tokio::task::spawn_blocking(move || {
                let Basis { plugin, view, wakeup } = &*basis;
                workflows.decide(plugin, view, wakeup)
            });
            let said = decision.await.unwrap_or_else(|fault| Err(WorkflowError::Trapped(fault.to_string())));
            desk.bring_back(Event::Decided(id, said)).await;
        });
    }

    fn fetch(&self, id: CallId, wanted: Box<Wanted>) {
        let (desk, packages) = (self.desk.clone(), self.packages.clone());
        self.runtime.spawn(async move {
            let bringing = tokio::spawn(async move { packages.bring(&wanted).await });
            let result = bringing.await.unwrap_or_else(|fault| Err(format!("fetching broke: {fault}")));
            desk.bring_back(Event::Fetched(id, result)).await;
        });
    }
}

#[cfg(test)]
mod tests {
    use fenix_cloud::Answering;
    use fenix_core::state::State;

    use super::*;
    use crate::receivers::Receivers;
    use crate::shell::desk::Input;
    use crate::tls::{self, Trust};
    use crate::wire::payload::Base;

    /// A cloud and plug-ins that panic.
    struct Faulty;

    impl Cloud for Faulty {
        fn call<'a>(&'a self, _: &'a CloudCall) -> Answering<'a> {
            Box::pin(async { panic!("no such key") })
        }
    }

    impl ActionPort for Faulty {
        fn run(&self, _: &Assignment) -> Result<Progress, ActionError> {
            panic!("no such key")
        }
    }

    impl PackagePort for Faulty {
        fn bring<'a>(&'a self, _: &'a Wanted) -> Bringing<'a> {
            Box::pin(async { panic!("no such key") })
        }
    }

    #[tokio::test]
    async fn a_driver_that_panics_has_answered() {
        let (desk, mut backroom) = Desk::open(Arc::new(State::default()));
        let tls = tls::client(&Trust::Nobody).unwrap();
        let courier =
            Courier::new(Base::new("http://127.0.0.1:1").unwrap(), Receivers::default(), tls).unwrap();
        let faulty = Arc::new(Faulty);
        let hands = Hands::new(Handle::current(), desk, faulty.clone(), faulty.clone(), faulty, courier);
        hands.carry_out(Order::Call { id: CallId(7), call: CloudCall::ReadAll });
        match backroom.inbox.recv().await {
            Some(Input::Returned(Event::CloudReturned(CallId(7), Err(CloudError::Unclear(why))))) => {
                assert!(why.contains("no such key"), "{why}");
            }
            other => panic!("{other:?}"),
        }
    }
}
