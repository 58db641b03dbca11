//! The interface `plan`: writes down what is wanted, within the limits.

use fenix_core::decision::{Decision, Planned};
use fenix_core::id::{AskId, HostId, InstanceId, ProjectId};

use crate::bindings::workflow::fenix::plugin::{plan as wit, types};
use crate::convert;
use crate::fault::Breach;
use crate::limits;
use crate::text::clean;
use crate::workflow::Deciding;

/// A text that is not longer than it may be.
fn within(what: &'static str, text: &str, most: usize) -> Result<(), Breach> {
    match text.len() {
        bytes if bytes > most => Err(Breach::TooLong { what, bytes, most }),
        _ => Ok(()),
    }
}

/// Makes sure that an id is not empty, and not longer than any infrastructure makes one.
fn plain(what: &'static str, id: &str) -> Result<(), Breach> {
    if id.is_empty() {
        return Err(Breach::Empty { what });
    }
    within(what, id, limits::ID_BYTES)
}

/// An id of the core's.
fn id<Id: for<'a> From<&'a str>>(what: &'static str, text: &str) -> Result<Id, Breach> {
    plain(what, text)?;
    Ok(Id::from(text))
}

impl Deciding {
    fn plan(&mut self, decision: Decision, reason: &str) -> wasmtime::Result<()> {
        if self.planned.len() >= limits::PLANNED {
            return Err(Breach::Planned.into());
        }
        within("a reason", reason, limits::REASON_BYTES)?;
        let reason = clean(reason, limits::REASON_BYTES);
        self.planned.push(Planned { decision, reason, group: self.group });
        Ok(())
    }
}

impl wit::Host for Deciding {
    fn ask(
        &mut self,
        project: String,
        kind: types::AskKind,
        host: Option<String>,
        reason: String,
    ) -> wasmtime::Result<()> {
        self.count()?;
        let project: ProjectId = id("a project", &project)?;
        let host: Option<HostId> = host.map(|host| id("a host", &host)).transpose()?;
        self.plan(Decision::Ask { project, kind: convert::ask_kind(kind), host }, &reason)
    }

    fn fence(&mut self, host: String, reason: String) -> wasmtime::Result<()> {
        self.count()?;
        let host: HostId = id("a host", &host)?;
        self.plan(Decision::Fence { host }, &reason)
    }

    fn release(&mut self, host: String, reason: String) -> wasmtime::Result<()> {
        self.count()?;
        let host: HostId = id("a host", &host)?;
        self.plan(Decision::Release { host }, &reason)
    }

    fn move_instance(
        &mut self,
        instance: String,
        to: String,
        how: types::MoveHow,
        ask: Option<u32>,
        reason: String,
    ) -> wasmtime::Result<()> {
        self.count()?;
        let instance: InstanceId = id("an instance", &instance)?;
        let to: HostId = id("a host", &to)?;
        let (how, ask) = (convert::move_how(how), ask.map(AskId));
        self.plan(Decision::Move { instance, to, how, ask }, &reason)
    }

    fn work(&mut self, target: types::Target, reason: String) -> wasmtime::Result<()> {
        self.count()?;
        if let types::Target::Host(host) = &target {
            plain("a host", host)?;
        }
        self.plan(Decision::Work { target: convert::target(target) }, &reason)
    }

    fn enter(&mut self, phase: types::Phase, reason: String) -> wasmtime::Result<()> {
        self.count()?;
        self.plan(Decision::Enter { phase: convert::phase(phase) }, &reason)
    }

    fn quarantine(&mut self, host: String, reason: String) -> wasmtime::Result<()> {
        self.count()?;
        let host: HostId = id("a host", &host)?;
        self.plan(Decision::Quarantine { host }, &reason)
    }

    fn fail(&mut self, reason: String) -> wasmtime::Result<()> {
        self.count()?;
        self.plan(Decision::Fail, &reason)
    }

    fn note(&mut self, key: String, value: Option<String>, reason: String) -> wasmtime::Result<()> {
        self.count()?;
        if key.is_empty() {
            return Err(Breach::Empty { what: "a note's key" }.into());
        }
        within("a note's key", &key, limits::NOTE_KEY_BYTES)?;
        within("a note", value.as_deref().unwrap_or_default(), limits::NOTE_BYTES)?;
        self.plan(Decision::Note { key, value }, &reason)
    }

    fn together_begin(&mut self) -> wasmtime::Result<()> {
        self.count()?;
        self.groups += 1;
        self.group = self.groups;
        Ok(())
    }

    fn together_end(&mut self) -> wasmtime::Result<()> {
        self.count()?;
        self.group = 0;
        Ok(())
    }
}
