//! What a caller may have done. The door knows the roles too and refuses early; this is the last word, on the very
//! state on which it is done: two callers at once cannot both get what only one may have.

use fenix_core::caller::{Caller, Role};
use fenix_core::id::{ProjectId, SubscriptionId};

use crate::Engine;
use crate::command::{Command, CommandError};

impl Engine {
    /// Lets administrators have anything done, and a project what concerns its own: its answers, its statements, its
    /// orders for messages.
    pub(crate) fn permit(&self, by: &Caller, command: &Command) -> Result<(), CommandError> {
        let own = match &by.role {
            Role::Administrator => return Ok(()),
            Role::Project(own) => own,
            Role::Reader => return Err(CommandError::Foreign(by.name.clone())),
        };
        let is_own = |project: &ProjectId| project == own;
        let orderer = |id: &SubscriptionId| self.state.subscriptions.get(id).map(|order| &order.project);
        let permitted = match command {
            Command::Reply { project, .. } | Command::ReplyTo { project, .. } => is_own(project),
            Command::Constrain { constraint } => {
                is_own(constraint.project()) && self.state.owner(&constraint.about()).is_none_or(is_own)
            }
            Command::Unconstrain { about } => self.state.owner(about).is_none_or(is_own),
            Command::Subscribe { subscription } => {
                is_own(&subscription.project) && orderer(&subscription.id).is_none_or(is_own)
            }
            Command::Unsubscribe { id } => orderer(id).is_none_or(is_own),
            Command::Open { .. }
            | Command::Continue { .. }
            | Command::Pause { .. }
            | Command::Delete { .. }
            | Command::AttachPlugin { .. }
            | Command::DetachPlugin { .. }
            | Command::Grant { .. }
            | Command::Revoke { .. }
            | Command::KeepPackage { .. }
            | Command::DropPackage { .. }
            | Command::KeepValue { .. }
            | Command::SaveTemplate { .. }
            | Command::RemoveTemplate { .. }
            | Command::ClearQuarantine { .. } => false,
        };
        if permitted { Ok(()) } else { Err(CommandError::Foreign(by.name.clone())) }
    }
}
