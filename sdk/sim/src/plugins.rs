//! Workflows and actions, as a simulation runs them: at once, whatever virtual time they are said to take.

use std::cell::RefCell;

use fenix_core::id::{Digest, HostId};
use fenix_core::remote::{RemoteCall, RemoteError, RemoteState};
use fenix_core::session::Pin;
use fenix_core::view::{View, Wakeup};
use fenix_engine::ports::{
    ActionError, Assignment, CloudCall, CloudError, CloudReply, Progress, Said, Workflows,
};
use fenix_wasm::http::{HttpError, HttpRequest, HttpResponse};
use fenix_wasm::{ActionRunner, AttachError, Capabilities, Level, SetUpError, ValueError};

use crate::dice::Dice;

/// What an action may do to the cloud while it is called.
pub trait Hand {
    /// Carries out one call: [`CloudCall::ReadHost`] or [`CloudCall::Reboot`] of the assignment's host.
    ///
    /// # Errors
    /// As the cloud says; `Unclear` if the call or its answer is lost.
    fn cloud(&mut self, call: &CloudCall) -> Result<CloudReply, CloudError>;
}

/// The plug-ins of a simulation. Calls must be functions of their arguments: the same seed is the same run.
pub trait Plugins {
    /// Finds a plug-in by the name that a session asks for.
    fn pin(&self, name: &str) -> Option<Pin>;

    /// One decision of a workflow.
    ///
    /// # Errors
    /// As [`Workflows::decide`].
    fn decide(&self, plugin: &Digest, view: &View, wakeup: &Wakeup) -> Said;

    /// One call of an action.
    ///
    /// # Errors
    /// The action failed, was ended, or cannot run.
    fn act(&self, assignment: &Assignment, hand: &mut dyn Hand) -> Result<Progress, ActionError>;
}

/// Plug-ins as components in their sandbox: what sessions really run.
#[derive(Clone)]
pub struct Components {
    plugins: fenix_wasm::Plugins,
    actions: ActionRunner,
}

/// Why components cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum ComponentsError {
    /// There is no sandbox on this machine.
    #[error("there is no sandbox for plug-ins on this machine")]
    SetUp(#[from] SetUpError),
    /// A component is none of a plug-in.
    #[error("plug-in {name} cannot be attached")]
    Attach {
        /// Its name.
        name: String,
        /// Why not.
        #[source]
        source: AttachError,
    },
}

impl Components {
    /// The plug-ins that come with Fenix. Compiles them: make it once, and share it.
    ///
    /// # Errors
    /// This machine cannot run them.
    pub fn shipped() -> Result<Components, ComponentsError> {
        let plugins = fenix_wasm::Plugins::new(None)?;
        let components = Components { actions: ActionRunner::new(&plugins), plugins };
        for shipped in fenix_shipped::SHIPPED {
            components.attach(shipped.name, shipped.bytes)?;
        }
        Ok(components)
    }

    /// Adds one of your own; it is found by the name that it gives itself.
    ///
    /// # Errors
    /// It is no plug-in; `name` stands in the error.
    pub fn attach(&self, name: &str, component: &[u8]) -> Result<Pin, ComponentsError> {
        let attached = self.plugins.attach(component);
        let attached =
            attached.map_err(|source| ComponentsError::Attach { name: name.to_owned(), source })?;
        Ok(attached.pin())
    }
}

impl Plugins for Components {
    fn pin(&self, name: &str) -> Option<Pin> {
        self.plugins.named(name).map(|info| info.pin())
    }

    fn decide(&self, plugin: &Digest, view: &View, wakeup: &Wakeup) -> Said {
        self.plugins.decide(plugin, view, wakeup)
    }

    fn act(&self, assignment: &Assignment, hand: &mut dyn Hand) -> Result<Progress, ActionError> {
        // Who asks for what, and who grants it, is no matter of time or chance.
        let granted = self.plugins.info(&assignment.plugin).map(|info| info.asks).unwrap_or_default();
        self.actions.run(&Assignment { granted, ..assignment.clone() }, &mut Grip(hand))
    }
}

/// A simulation's hand in a component's reach.
struct Grip<'a>(&'a mut dyn Hand);

impl Capabilities for Grip<'_> {
    fn cloud(&mut self, call: CloudCall) -> Result<CloudReply, CloudError> {
        self.0.cloud(&call)
    }

    fn address(&mut self, package: &Digest, host: &HostId) -> String {
        format!("http://127.0.0.1/{package}?host={host}")
    }

    fn http(&mut self, _: HttpRequest) -> Result<HttpResponse, HttpError> {
        Err(HttpError::Unreachable("nobody is out there in virtual time".to_owned()))
    }

    fn remote(&mut self, _: &HostId, _: RemoteCall) -> Result<RemoteState, RemoteError> {
        Err(RemoteError::Refused("no command runs in virtual time".to_owned()))
    }

    fn value(&mut self, _: &str, _: &str) -> Option<String> {
        None
    }

    fn keep_value(&mut self, _: &str, _: &str, _: Option<String>) -> Result<(), ValueError> {
        Err(ValueError::Invalid("nothing is kept in virtual time".to_owned()))
    }

    fn log(&mut self, _: Level, _: &str) {}
}

/// Plug-ins as the engine's port.
pub(crate) struct AsWorkflows<'a> {
    pub(crate) plugins: &'a dyn Plugins,
    pub(crate) thinking: RefCell<&'a mut Dice>,
    /// How many decisions of a thousand take long.
    pub(crate) slow: u32,
}

impl Workflows for AsWorkflows<'_> {
    fn decide(&self, plugin: &Digest, view: &View, wakeup: &Wakeup) -> Said {
        self.plugins.decide(plugin, view, wakeup)
    }

    fn decide_at_once(&self, plugin: &Digest, view: &View, wakeup: &Wakeup) -> Option<Said> {
        let is_slow = self.thinking.borrow_mut().chance(self.slow);
        (!is_slow).then(|| self.decide(plugin, view, wakeup))
    }
}
