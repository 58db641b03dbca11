//! The interface `view`: questions go to the core's view, answers come back translated.

use fenix_core::id::{AskId, HostId, InstanceId, ProjectId};

use crate::bindings::workflow::fenix::plugin::{types, view as wit};
use crate::convert;
use crate::workflow::Deciding;

impl types::Host for Deciding {}

impl wit::Host for Deciding {
    fn session(&mut self) -> wasmtime::Result<wit::SessionInfo> {
        self.count()?;
        let condition = self.view.state.session(&self.view.session).map(|session| &session.condition);
        Ok(convert::session_info(&self.session, condition))
    }

    fn terms(&mut self) -> wasmtime::Result<wit::SessionTerms> {
        self.count()?;
        Ok(self.view.terms().map(convert::terms).unwrap_or_else(|| convert::terms(&Default::default())))
    }

    fn hosts(
        &mut self,
        stage: Option<types::HostStage>,
        after: Option<String>,
        limit: u32,
    ) -> wasmtime::Result<Vec<wit::HostInfo>> {
        self.count()?;
        let after = after.map(HostId::from);
        let hosts = self.view.hosts(stage.map(convert::stage_name), after.as_ref(), limit as usize);
        Ok(hosts.into_iter().map(convert::host_info).collect())
    }

    fn host(&mut self, id: String) -> wasmtime::Result<Option<wit::HostInfo>> {
        self.count()?;
        Ok(self.view.host(&HostId::from(id)).map(convert::host_info))
    }

    fn instances(
        &mut self,
        host: String,
        after: Option<String>,
        limit: u32,
    ) -> wasmtime::Result<Vec<wit::InstanceInfo>> {
        self.count()?;
        let after = after.map(InstanceId::from);
        let instances = self.view.instances(&HostId::from(host), after.as_ref(), limit as usize);
        Ok(instances.into_iter().map(convert::instance_info).collect())
    }

    fn instance(&mut self, id: String) -> wasmtime::Result<Option<wit::InstanceInfo>> {
        self.count()?;
        Ok(self.view.instance(&InstanceId::from(id)).map(convert::instance_info))
    }

    fn projects(&mut self, after: Option<String>, limit: u32) -> wasmtime::Result<Vec<wit::ProjectInfo>> {
        self.count()?;
        let after = after.map(ProjectId::from);
        let projects = self.view.projects(after.as_ref(), limit as usize);
        Ok(projects.into_iter().map(convert::project_info).collect())
    }

    fn last_ask(
        &mut self,
        project: String,
        kind: types::AskKind,
        host: Option<String>,
    ) -> wasmtime::Result<Option<wit::AskInfo>> {
        self.count()?;
        let host = host.map(HostId::from);
        let ask = self.view.latest_ask(&ProjectId::from(project), convert::ask_kind(kind), host.as_ref());
        Ok(ask.map(convert::ask_info))
    }

    fn consent(&mut self, ask: u32, instance: String) -> wasmtime::Result<Option<types::MoveHow>> {
        self.count()?;
        Ok(self.view.consent(AskId(ask), &InstanceId::from(instance)).map(convert::move_how_out))
    }

    fn in_flight(&mut self, subject: types::Subject) -> wasmtime::Result<Option<wit::EffectInfo>> {
        self.count()?;
        Ok(self.view.in_flight(&convert::subject(subject)).map(convert::effect_info))
    }

    fn work(&mut self, target: types::Target) -> wasmtime::Result<wit::WorkState> {
        self.count()?;
        Ok(convert::work_state(self.view.work(&convert::target(target))))
    }

    fn candidates(&mut self, limit: u32) -> wasmtime::Result<Vec<wit::Candidate>> {
        self.count()?;
        Ok(self.view.candidates(limit as usize).into_iter().map(convert::candidate).collect())
    }

    fn place(&mut self, host: String) -> wasmtime::Result<Result<Vec<wit::Placement>, String>> {
        self.count()?;
        let places = self.view.place(&HostId::from(host));
        Ok(places.map(|places| places.into_iter().map(convert::placement).collect()))
    }

    fn check(&mut self, decision: types::Decision) -> wasmtime::Result<Result<(), types::Refusal>> {
        self.count()?;
        Ok(self.view.check(&convert::decision(decision)).map_err(convert::refusal))
    }

    fn attr(&mut self, subject: types::Subject, key: String) -> wasmtime::Result<Option<String>> {
        self.count()?;
        Ok(self.view.attr(&convert::subject(subject), &key))
    }

    fn session_attr(&mut self, key: String) -> wasmtime::Result<Option<String>> {
        self.count()?;
        Ok(self.view.session_attr(&key))
    }

    fn project_attr(&mut self, project: String, key: String) -> wasmtime::Result<Option<String>> {
        self.count()?;
        Ok(self.view.project_attr(&ProjectId::from(project), &key))
    }

    fn note(&mut self, key: String) -> wasmtime::Result<Option<String>> {
        self.count()?;
        Ok(self.view.note(&key).map(str::to_owned))
    }
}
