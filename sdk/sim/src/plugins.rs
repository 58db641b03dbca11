//! Workflows and actions, as a simulation runs them: at once, whatever virtual time they are said to take.

use fenix_core::id::{Digest, HostId};
use fenix_core::inventory::Host;
use fenix_core::session::Pin;
use fenix_core::view::{Verdict, View, Wakeup};
use fenix_engine::ports::{ActionError, Assignment, CloudError, Progress, WorkflowError, Workflows};

/// What an action may do to the cloud while it is called.
pub trait Hand {
    /// Looks at a host.
    ///
    /// # Errors
    /// `NotFound`, or `Unclear` if the answer is lost.
    fn host(&mut self, host: &HostId) -> Result<Host, CloudError>;

    /// Restarts a host. Not idempotent.
    ///
    /// # Errors
    /// As the cloud says; after `Unclear` it may have been done or not.
    fn reboot(&mut self, host: &HostId) -> Result<(), CloudError>;
}

/// The plug-ins of a simulation. Calls must be functions of their arguments: the same seed is the same run.
pub trait Plugins {
    /// Finds a plug-in by the name that a session asks for.
    fn pin(&self, name: &str) -> Option<Pin>;

    /// One decision of a workflow.
    ///
    /// # Errors
    /// As [`Workflows::decide`].
    fn decide(&self, plugin: &Digest, view: &View, wakeup: &Wakeup) -> Result<Verdict, WorkflowError>;

    /// One call of an action.
    ///
    /// # Errors
    /// The action failed, was ended, or cannot run.
    fn act(&self, assignment: &Assignment, hand: &mut dyn Hand) -> Result<Progress, ActionError>;
}

/// Plug-ins as the engine's port.
pub(crate) struct AsWorkflows<'a>(pub(crate) &'a dyn Plugins);

impl Workflows for AsWorkflows<'_> {
    fn decide(&self, plugin: &Digest, view: &View, wakeup: &Wakeup) -> Result<Verdict, WorkflowError> {
        self.0.decide(plugin, view, wakeup)
    }
}
