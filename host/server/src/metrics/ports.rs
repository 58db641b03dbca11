//! Counts and times what goes out through the engine's other ports: the cloud, workflows and actions.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use fenix_cloud::{Answering, Cloud};
use fenix_core::id::Digest;
use fenix_core::view::{View, Wakeup};
use fenix_engine::ports::{
    ActionError, Assignment, CloudCall, CloudError, CloudReply, Progress, Said, WorkflowError, Workflows,
};
use fenix_wasm::Plugins;

use super::Metrics;
use crate::shell::hands::ActionPort;

/// A port whose calls are counted.
pub struct Counted<P> {
    port: P,
    plugins: Plugins,
    metrics: Arc<Metrics>,
}

impl<P> Counted<P> {
    /// Counts the calls of a port; `plugins` tells the names behind digests.
    pub fn new(port: P, plugins: &Plugins, metrics: &Arc<Metrics>) -> Counted<P> {
        Counted { port, plugins: plugins.clone(), metrics: metrics.clone() }
    }

    /// The name of a plug-in: one that is not there cannot run, and has none.
    fn name(&self, digest: &Digest) -> Cow<'static, str> {
        self.plugins.info(digest).map_or("unknown".into(), |info| info.name.into())
    }
}

impl<P: Cloud> Cloud for Counted<P> {
    fn call<'a>(&'a self, call: &'a CloudCall) -> Answering<'a> {
        Box::pin(async move {
            let mut pending =
                Pending { metrics: &self.metrics, call: name(call), begun: Instant::now(), ended: false };
            let result = self.port.call(call).await;
            pending.end(&result);
            result
        })
    }
}

/// A call to the cloud that has not answered. One that is given up answers never, and is counted when it is dropped.
struct Pending<'a> {
    metrics: &'a Metrics,
    call: &'static str,
    begun: Instant,
    ended: bool,
}

impl Pending<'_> {
    fn end(&mut self, result: &Result<CloudReply, CloudError>) {
        self.ended = true;
        let took = self.begun.elapsed().as_secs_f64();
        self.metrics.cloud_seconds.get_or_create(&vec![("call", self.call.into())]).observe(took);
        match result {
            Ok(_) => {}
            Err(CloudError::Refused(_)) => self.failed("refused"),
            Err(CloudError::NotFound(_)) => self.failed("not-found"),
            Err(CloudError::Unclear(_)) => self.failed("unclear"),
        }
    }

    fn failed(&self, error: &'static str) {
        let labels = vec![("call", self.call.into()), ("error", error.into())];
        self.metrics.cloud_errors.get_or_create(&labels).inc();
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.failed("unclear");
        }
    }
}

fn name(call: &CloudCall) -> &'static str {
    match call {
        CloudCall::ReadAll => "read-all",
        CloudCall::ReadHost { .. } => "read-host",
        CloudCall::ReadInstance { .. } => "read-instance",
        CloudCall::Disable { .. } => "disable",
        CloudCall::Enable { .. } => "enable",
        CloudCall::Migrate { .. } => "migrate",
        CloudCall::LiveMigrate { .. } => "live-migrate",
        CloudCall::Confirm { .. } => "confirm",
        CloudCall::Revert { .. } => "revert",
        CloudCall::AbortLive { .. } => "abort-live",
        CloudCall::CompleteLive { .. } => "complete-live",
        CloudCall::Evacuate { .. } => "evacuate",
        CloudCall::Reboot { .. } => "reboot",
        CloudCall::Boot { .. } => "boot",
        CloudCall::Delete { .. } => "delete",
        CloudCall::Resize { .. } => "resize",
    }
}

impl<P: Workflows> Workflows for Counted<P> {
    fn decide(&self, plugin: &Digest, view: &View, wakeup: &Wakeup) -> Said {
        let begun = Instant::now();
        let result = self.port.decide(plugin, view, wakeup);
        self.decided(plugin, begun, &result);
        result
    }

    fn decide_at_once(&self, plugin: &Digest, view: &View, wakeup: &Wakeup) -> Option<Said> {
        let begun = Instant::now();
        let result = self.port.decide_at_once(plugin, view, wakeup)?;
        self.decided(plugin, begun, &result);
        Some(result)
    }
}

impl<P> Counted<P> {
    /// Counts a decision that was begun then.
    fn decided(&self, plugin: &Digest, begun: Instant, result: &Said) {
        let labels = vec![("plugin", self.name(plugin))];
        self.metrics.workflow_seconds.get_or_create(&labels).observe(begun.elapsed().as_secs_f64());
        if let Err(error) = result {
            let why = match error {
                WorkflowError::GaveUp(_) => "gave-up",
                WorkflowError::Trapped(_) => "trapped",
                WorkflowError::Unusable(_) => "unusable",
            };
            self.metrics.workflow_errors.get_or_create(&[labels, vec![("why", why.into())]].concat()).inc();
        }
    }
}

impl<P: ActionPort> ActionPort for Counted<P> {
    fn run(&self, assignment: &Assignment) -> Result<Progress, ActionError> {
        let begun = Instant::now();
        let result = self.port.run(assignment);
        let labels = vec![("plugin", self.name(&assignment.plugin))];
        self.metrics.action_seconds.get_or_create(&labels).observe(begun.elapsed().as_secs_f64());
        if let Err(error) = &result {
            let why = match error {
                ActionError::Failed(_) => "failed",
                ActionError::Trapped(_) => "trapped",
                ActionError::Unusable(_) => "unusable",
            };
            self.metrics.action_errors.get_or_create(&[labels, vec![("why", why.into())]].concat()).inc();
        }
        result
    }
}
