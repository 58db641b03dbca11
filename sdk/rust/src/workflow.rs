//! What a workflow reads and wants; see `wit/view.wit`, `wit/plan.wit` and `wit/workflow.wit`.

use crate::bindings::workflow::fenix::plugin::{plan, view};
use crate::types::{AskId, AskKind, Decision, HostStage, MoveHow, Phase, Refusal, Subject, Target};

pub use crate::bindings::workflow::exports::fenix::plugin::workflow::{Error, Trigger, Waiting, Wakeup};
pub use crate::bindings::workflow::fenix::plugin::view::{
    AskInfo, Candidate, EffectInfo, HostInfo, InstanceInfo, MovableKind, Placement, ProjectInfo, Readiness,
    SessionInfo, SessionTerms, WorkState,
};

/// Rows that the host returns in one page at most.
pub const PAGE: u32 = 256;

/// Makes the crate a workflow.
///
/// ```
/// use fenix_sdk::workflow::{Error, Plan, View, Waiting, Wakeup};
///
/// fenix_sdk::workflow! { name: "idle", decide: decide }
///
/// fn decide(view: &dyn View, _plan: &mut dyn Plan, wakeup: Wakeup) -> Result<Waiting, Error> {
///     let on = format!("nothing, with {} hosts", view.session().hosts);
///     Ok(Waiting { on, until: Some(wakeup.now + 60) })
/// }
/// # fn main() {}
/// ```
///
/// The version is the crate's. The name is 1 to 64 of `a-z`, `0-9` and `-`.
#[macro_export]
macro_rules! workflow {
    (name: $name:literal, decide: $decide:path $(,)?) => {
        const _: $crate::workflow::Decide = $decide;
        const _: () = ::core::assert!(
            $crate::manifest::is_name($name),
            "a plug-in's name is 1 to 64 of a-z, 0-9 and -"
        );

        #[cfg(target_arch = "wasm32")]
        const _: () = {
            struct Component;
            impl $crate::bindings::workflow::exports::fenix::plugin::workflow::Guest for Component {
                fn decide(
                    wakeup: $crate::workflow::Wakeup,
                ) -> ::core::result::Result<$crate::workflow::Waiting, $crate::workflow::Error> {
                    $crate::log::log_panics();
                    $decide(&$crate::workflow::Imports, &mut $crate::workflow::Imports, wakeup)
                }
            }
    $crate::bindings::workflow::export_workflow!(Component with_types_in $crate::bindings::workflow);
            $crate::__manifest!($name, "workflow");
        };
    };
}

/// The one function of a workflow.
pub type Decide = fn(&dyn View, &mut dyn Plan, Wakeup) -> Result<Waiting, Error>;

/// What can be read; documented in `wit/view.wit`.
pub trait View {
    /// The session as a whole.
    fn session(&self) -> SessionInfo;
    /// What the session is held to.
    fn terms(&self) -> SessionTerms;
    /// A page of the session's hosts.
    fn hosts(&self, stage: Option<HostStage>, after: Option<&str>, limit: u32) -> Vec<HostInfo>;
    /// One host of the session.
    fn host(&self, id: &str) -> Option<HostInfo>;
    /// A page of the instances that hold capacity on a host.
    fn instances(&self, host: &str, after: Option<&str>, limit: u32) -> Vec<InstanceInfo>;
    /// One instance.
    fn instance(&self, id: &str) -> Option<InstanceInfo>;
    /// A page of the session's projects.
    fn projects(&self, after: Option<&str>, limit: u32) -> Vec<ProjectInfo>;
    /// The latest question of that kind to a project about a host.
    fn last_ask(&self, project: &str, kind: AskKind, host: Option<&str>) -> Option<AskInfo>;
    /// What a manager chose for an instance.
    fn consent(&self, ask: AskId, instance: &str) -> Option<MoveHow>;
    /// What is in flight on a subject.
    fn in_flight(&self, subject: &Subject) -> Option<EffectInfo>;
    /// How the actions for a target stand.
    fn work(&self, target: &Target) -> WorkState;
    /// Waiting hosts that could be next, the best first.
    fn candidates(&self, limit: u32) -> Vec<Candidate>;
    /// Where everything on a host could go.
    ///
    /// # Errors
    /// A sentence that names what does not fit.
    fn place(&self, host: &str) -> Result<Vec<Placement>, String>;
    /// Asks the rules about a decision.
    ///
    /// # Errors
    /// The rule that says no, and why.
    fn check(&self, decision: &Decision) -> Result<(), Refusal>;
    /// A further fact about a subject.
    fn attr(&self, subject: &Subject, key: &str) -> Option<String>;
    /// A further fact about the session.
    fn session_attr(&self, key: &str) -> Option<String>;
    /// A further fact about one of the session's projects.
    fn project_attr(&self, project: &str, key: &str) -> Option<String>;
    /// A note of an earlier decision.
    fn note(&self, key: &str) -> Option<String>;

    /// All hosts of the session in a stage, page by page. Costs fuel for each of them.
    fn all_hosts(&self, stage: Option<HostStage>) -> Vec<HostInfo> {
        pages(|after| self.hosts(stage, after, PAGE), |host| &host.id)
    }

    /// All instances that hold capacity on a host, page by page.
    fn all_instances(&self, host: &str) -> Vec<InstanceInfo> {
        pages(|after| self.instances(host, after, PAGE), |instance| &instance.id)
    }

    /// All projects of the session, page by page.
    fn all_projects(&self) -> Vec<ProjectInfo> {
        pages(|after| self.projects(after, PAGE), |project| &project.id)
    }
}

fn pages<T>(page: impl Fn(Option<&str>) -> Vec<T>, id: impl Fn(&T) -> &String) -> Vec<T> {
    let mut all: Vec<T> = Vec::new();
    loop {
        let rows = page(all.last().map(|row| id(row).as_str()));
        let last = rows.len() < PAGE as usize;
        all.extend(rows);
        if last {
            return all;
        }
    }
}

/// What can be wanted; documented in `wit/plan.wit`. Each with its reason, a sentence for people.
pub trait Plan {
    /// Asks a project's manager.
    fn ask(&mut self, project: &str, kind: AskKind, host: Option<&str>, reason: &str);
    /// Lets no new instances come to a host.
    fn fence(&mut self, host: &str, reason: &str);
    /// Gives a host back as it was found.
    fn release(&mut self, host: &str, reason: &str);
    /// Moves an instance off its host.
    fn move_instance(&mut self, instance: &str, to: &str, how: MoveHow, ask: Option<AskId>, reason: &str);
    /// Runs the session's actions for a target.
    fn work(&mut self, target: &Target, reason: &str);
    /// Enters a state of the session.
    fn enter(&mut self, phase: Phase, reason: &str);
    /// Leaves a host out of this session.
    fn quarantine(&mut self, host: &str, reason: &str);
    /// Ends the session as failed.
    fn fail(&mut self, reason: &str);
    /// Remembers a note, or forgets it.
    fn note(&mut self, key: &str, value: Option<&str>, reason: &str);
    /// From here to `together_end` all or none.
    fn together_begin(&mut self);
    /// Ends a group.
    fn together_end(&mut self);
}

/// The host's own functions. They exist in a component only; natively each of them panics.
#[derive(Clone, Copy, Debug)]
pub struct Imports;

impl View for Imports {
    fn session(&self) -> SessionInfo {
        view::session()
    }
    fn terms(&self) -> SessionTerms {
        view::terms()
    }
    fn hosts(&self, stage: Option<HostStage>, after: Option<&str>, limit: u32) -> Vec<HostInfo> {
        view::hosts(stage, after, limit)
    }
    fn host(&self, id: &str) -> Option<HostInfo> {
        view::host(id)
    }
    fn instances(&self, host: &str, after: Option<&str>, limit: u32) -> Vec<InstanceInfo> {
        view::instances(host, after, limit)
    }
    fn instance(&self, id: &str) -> Option<InstanceInfo> {
        view::instance(id)
    }
    fn projects(&self, after: Option<&str>, limit: u32) -> Vec<ProjectInfo> {
        view::projects(after, limit)
    }
    fn last_ask(&self, project: &str, kind: AskKind, host: Option<&str>) -> Option<AskInfo> {
        view::last_ask(project, kind, host)
    }
    fn consent(&self, ask: AskId, instance: &str) -> Option<MoveHow> {
        view::consent(ask, instance)
    }
    fn in_flight(&self, subject: &Subject) -> Option<EffectInfo> {
        view::in_flight(subject)
    }
    fn work(&self, target: &Target) -> WorkState {
        view::work(target)
    }
    fn candidates(&self, limit: u32) -> Vec<Candidate> {
        view::candidates(limit)
    }
    fn place(&self, host: &str) -> Result<Vec<Placement>, String> {
        view::place(host)
    }
    fn check(&self, decision: &Decision) -> Result<(), Refusal> {
        view::check(decision)
    }
    fn attr(&self, subject: &Subject, key: &str) -> Option<String> {
        view::attr(subject, key)
    }
    fn session_attr(&self, key: &str) -> Option<String> {
        view::session_attr(key)
    }
    fn project_attr(&self, project: &str, key: &str) -> Option<String> {
        view::project_attr(project, key)
    }
    fn note(&self, key: &str) -> Option<String> {
        view::note(key)
    }
}

impl Plan for Imports {
    fn ask(&mut self, project: &str, kind: AskKind, host: Option<&str>, reason: &str) {
        plan::ask(project, kind, host, reason);
    }
    fn fence(&mut self, host: &str, reason: &str) {
        plan::fence(host, reason);
    }
    fn release(&mut self, host: &str, reason: &str) {
        plan::release(host, reason);
    }
    fn move_instance(&mut self, instance: &str, to: &str, how: MoveHow, ask: Option<AskId>, reason: &str) {
        plan::move_instance(instance, to, how, ask, reason);
    }
    fn work(&mut self, target: &Target, reason: &str) {
        plan::work(target, reason);
    }
    fn enter(&mut self, phase: Phase, reason: &str) {
        plan::enter(phase, reason);
    }
    fn quarantine(&mut self, host: &str, reason: &str) {
        plan::quarantine(host, reason);
    }
    fn fail(&mut self, reason: &str) {
        plan::fail(reason);
    }
    fn note(&mut self, key: &str, value: Option<&str>, reason: &str) {
        plan::note(key, value, reason);
    }
    fn together_begin(&mut self) {
        plan::together_begin();
    }
    fn together_end(&mut self) {
        plan::together_end();
    }
}
