//! What is noted of a command that somebody had carried out: enough to tell later who did what.

use fenix_core::ask::Reply;
use fenix_core::caller::Deed;
use fenix_core::constraint::Constrained;
use fenix_core::grant::words;
use fenix_core::id::{Digest, InstanceId, ProjectId};

use crate::command::Command;

impl Command {
    /// The command as it stands in the audit.
    pub fn deed(&self) -> Deed {
        let (command, session, about) = match self {
            Command::Open { id, plan, hosts, packages } => {
                let hosts = match hosts.as_slice() {
                    [] => "every free host".to_owned(),
                    [host] => format!("host {host}"),
                    several => format!("{} hosts", several.len()),
                };
                let brings = match packages.len() {
                    0 => String::new(),
                    1 => ", brings 1 package".to_owned(),
                    several => format!(", brings {several} packages"),
                };
                ("open", Some(id), format!("workflow {}, {hosts}{brings}", plan.workflow.name))
            }
            Command::Continue { session } => ("continue", Some(session), String::new()),
            Command::Pause { session } => ("pause", Some(session), String::new()),
            Command::Delete { session } => ("delete", Some(session), String::new()),
            Command::Reply { session, project, instance, reply }
            | Command::ReplyTo { session, project, instance, reply, ask: _ } => {
                ("reply", Some(session), said(project, instance.as_ref(), reply))
            }
            Command::Constrain { constraint } => ("constrain", None, subject(&constraint.about())),
            Command::Unconstrain { about } => ("unconstrain", None, subject(about)),
            Command::AttachPlugin { plugin } => {
                let pin = &plugin.pin;
                ("attach-plugin", None, format!("{} {} {}", pin.name, pin.version, pin.digest))
            }
            Command::DetachPlugin { name } => ("detach-plugin", None, name.clone()),
            Command::Grant { grant, name } => {
                ("grant", None, format!("{} to {}", words(&grant.rights), component(name, &grant.digest)))
            }
            Command::Revoke { digest, name } => ("revoke", None, component(name, digest)),
            Command::KeepPackage { package } => ("keep-package", None, package.digest.to_string()),
            Command::DropPackage { digest } => ("drop-package", None, digest.to_string()),
            Command::KeepValue { session, plugin, key, value: _ } => {
                ("keep-value", Some(session), format!("{key} of {plugin}"))
            }
            Command::SaveTemplate { template } => ("save-template", None, template.name.clone()),
            Command::RemoveTemplate { name } => ("remove-template", None, name.clone()),
            Command::ClearQuarantine { host } => ("clear-quarantine", None, host.to_string()),
            Command::Subscribe { subscription } => {
                let (id, project, url) = (&subscription.id, &subscription.project, &subscription.url);
                // What stands behind the path may be a secret of the receiver's.
                let url = url.split('?').next().unwrap_or_default();
                ("subscribe", None, format!("{id} of project {project} to {url}"))
            }
            Command::Unsubscribe { id } => ("unsubscribe", None, id.to_string()),
        };
        Deed { command: command.to_owned(), session: session.cloned(), about }
    }
}

fn said(project: &ProjectId, instance: Option<&InstanceId>, reply: &Reply) -> String {
    let word = if reply.agrees { "ACK" } else { "NACK" };
    let of = instance.map(|id| format!(", instance {id}")).unwrap_or_default();
    format!("{word}_{} for project {project}{of}", reply.kind.wire())
}

/// A component by the name that it goes by, if there is one, and by its digest.
fn component(name: &str, digest: &Digest) -> String {
    if name.is_empty() { digest.to_string() } else { format!("{name} {digest}") }
}

fn subject(about: &Constrained) -> String {
    match about {
        Constrained::Instance(id) => format!("instance {id}"),
        Constrained::Group(id) => format!("group {id}"),
    }
}
