//! What is written down: the only truth about what was asked, answered, decided and done.
//!
//! Each variant's serialized form is a stored format: a change to it needs a new kind version, an upcast and a
//! fixture in `fenix-store`.

use crate::grant::Grant;
use serde::{Deserialize, Serialize};

use crate::ask::{Ask, AskStatus, MoveHow, Reply};
use crate::caller::{Caller, Deed};
use crate::constraint::{Constrained, Constraint};
use crate::decision::{Planned, Waiting};
use crate::effect::{Effect, Outcome};
use crate::id::{
    AskId, Digest, EffectId, HostId, InstanceId, MessageId, ProjectId, SessionId, SubscriptionId,
};
use crate::inventory::Change;
use crate::message::{Delivery, Message, Subscription};
use crate::package::{KeptPackage, Package, PackageSpec};
use crate::rules::Refusal;
use crate::session::{ActionRun, Condition, HostStage, HostWork, Phase, Pin, Plan, Target};
use crate::standing::{Attached, Template};
use crate::time::Time;

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its number; follows the last one without a gap.
    pub seq: u64,
    /// When; never earlier than the record before.
    pub at: Time,
    /// Whose: a session's, or the installation's.
    pub session: Option<SessionId>,
    /// What.
    pub body: Body,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// The infrastructure was seen to differ from what was known. Of the installation.
    Observed {
        /// How.
        change: Change,
    },
    /// Somebody wants messages. Of the installation.
    Subscribed {
        /// Who, which, where to.
        subscription: Subscription,
    },
    /// Somebody wants no messages any more. Of the installation.
    Unsubscribed {
        /// Which order ended.
        id: SubscriptionId,
    },
    /// A manager stated what it wants respected. Of the installation.
    Constrained {
        /// What.
        constraint: Constraint,
    },
    /// A manager took a statement back. Of the installation.
    Unconstrained {
        /// What it was about.
        about: Constrained,
    },
    /// A plug-in was attached: new sessions may name it. Of the installation.
    PluginAttached {
        /// Which.
        plugin: Attached,
    },
    /// A plug-in was detached: new sessions may no longer name it. Of the installation.
    PluginDetached {
        /// Its name.
        name: String,
    },
    /// An administrator lets a component use something, and nothing else. Of the installation.
    Granted {
        /// What.
        grant: Grant,
    },
    /// What a component was let use it may use no longer. Of the installation.
    Revoked {
        /// Which.
        digest: Digest,
    },
    /// A package is here to stay, whoever brings it. Of the installation.
    PackageKept {
        /// Which.
        package: KeptPackage,
    },
    /// A package stays no longer than sessions bring it. Of the installation.
    PackageDropped {
        /// Its content.
        digest: Digest,
    },
    /// A template was saved. Of the installation.
    TemplateSaved {
        /// Which.
        template: Template,
    },
    /// A template was removed. Of the installation.
    TemplateRemoved {
        /// Its name.
        name: String,
    },
    /// Somebody looked at a host that a session, which is removed since, had left out. Of the installation.
    QuarantineCleared {
        /// Which.
        host: HostId,
    },
    /// Somebody had something done; it stands before this in the same batch. Of the installation, whatever it is
    /// about: the audit is one list.
    Commanded {
        /// Who.
        by: Caller,
        /// What.
        did: Deed,
    },
    /// A session was made. Its hosts follow as `HostJoined`, one record each, so that records stay small.
    Opened {
        /// What was asked for.
        plan: Plan,
        /// The version of the rules that it is held to.
        rules: u32,
    },
    /// The session brings a package: until all that it brings is here, its plan names plug-ins without pinning them.
    PackageWanted {
        /// Which.
        package: PackageSpec,
    },
    /// A package that the session brings is here. Those of all of them stand in one batch, with `PluginsPinned` behind them.
    PackageFetched {
        /// What it is.
        package: Package,
    },
    /// What the session's plan names was found, in its own packages or among what is attached.
    PluginsPinned {
        /// Its workflow.
        workflow: Pin,
        /// Its actions, in the order of the plan.
        actions: Vec<Pin>,
    },
    /// A host belongs to the session.
    HostJoined {
        /// Which.
        host: HostId,
        /// As found.
        work: HostWork,
    },
    /// A project has instances on the session's hosts.
    ProjectJoined {
        /// Which.
        project: ProjectId,
        /// Whether it has a manager.
        managed: bool,
    },
    /// The workflow gave a verdict; what was admitted of it stands before it in the same batch.
    Decided {
        /// What it waits for.
        waiting: Waiting,
        /// What it wanted and was not given.
        refused: Vec<(Planned, Refusal)>,
    },
    /// The workflow gave no verdict.
    Undecided {
        /// Why.
        why: String,
    },
    /// A phase was entered.
    Entered {
        /// Which.
        phase: Phase,
        /// Why.
        reason: String,
    },
    /// The session goes on, is held, is parked, is being closed, or has ended.
    ConditionSet {
        /// How it is from now on.
        condition: Condition,
        /// Why.
        reason: String,
    },
    /// The session failed.
    Failed {
        /// Why.
        reason: String,
    },
    /// An administrator let a failed or parked session go on.
    Continued {
        /// The phase in which it goes on.
        phase: Phase,
    },
    /// A question was decided.
    Asked {
        /// The question.
        ask: Ask,
        /// Why.
        reason: String,
    },
    /// A question reached its manager.
    AskDelivered {
        /// Which.
        ask: AskId,
        /// The last moment to answer.
        reply_by: Time,
    },
    /// The last moment to answer was moved: the engine was down meanwhile.
    AskExtended {
        /// Which.
        ask: AskId,
        /// The last moment to answer.
        reply_by: Time,
    },
    /// A manager answered.
    Replied {
        /// Whose.
        project: ProjectId,
        /// The question that it answers; `None` if it is an idle repeat or answers nothing that is open.
        ask: Option<AskId>,
        /// What it said.
        reply: Reply,
    },
    /// A manager answered about one instance of a question; others are still open.
    PartlyReplied {
        /// The question.
        ask: AskId,
        /// The instance.
        instance: InstanceId,
        /// What shall happen to it.
        how: MoveHow,
    },
    /// A question ended without an answer.
    AskEnded {
        /// Which.
        ask: AskId,
        /// How.
        status: AskStatus,
    },
    /// A decision was admitted and will be carried out.
    Admitted {
        /// What.
        effect: Effect,
    },
    /// A call for an effect got no clear answer: it may have been done, may still be done, or never.
    EffectUnclear {
        /// Which.
        effect: EffectId,
    },
    /// An effect ended.
    EffectEnded {
        /// Which.
        effect: EffectId,
        /// How.
        outcome: Outcome,
    },
    /// A host entered another stage.
    HostMoved {
        /// Which.
        host: HostId,
        /// Its stage from now on.
        stage: HostStage,
        /// Whether it is kept out of service by this session from now on.
        fenced: bool,
    },
    /// An action was called and returned.
    ActionCalled {
        /// On what.
        target: Target,
        /// How it stands.
        run: ActionRun,
    },
    /// A note was written.
    Noted {
        /// Its key.
        key: String,
        /// Its value; `None` = forgotten.
        value: Option<String>,
    },
    /// An action keeps a value.
    ValueKept {
        /// The name of its plug-in.
        plugin: String,
        /// Its key.
        key: String,
        /// The value; `None` = forgotten.
        value: Option<String>,
    },
    /// A message is to be delivered.
    Queued {
        /// Which.
        message: Message,
    },
    /// A message ended.
    MessageEnded {
        /// Which.
        message: MessageId,
        /// How.
        delivery: Delivery,
    },
    /// The session is gone; its records stay until their retention ends.
    Removed,
}

impl Body {
    /// The kind's stable name, as it is stored.
    pub fn name(&self) -> &'static str {
        match self {
            Body::Observed { .. } => "observed",
            Body::Subscribed { .. } => "subscribed",
            Body::Unsubscribed { .. } => "unsubscribed",
            Body::Constrained { .. } => "constrained",
            Body::Unconstrained { .. } => "unconstrained",
            Body::PluginAttached { .. } => "plugin_attached",
            Body::PluginDetached { .. } => "plugin_detached",
            Body::Granted { .. } => "granted",
            Body::Revoked { .. } => "revoked",
            Body::PackageKept { .. } => "package_kept",
            Body::PackageDropped { .. } => "package_dropped",
            Body::TemplateSaved { .. } => "template_saved",
            Body::TemplateRemoved { .. } => "template_removed",
            Body::QuarantineCleared { .. } => "quarantine_cleared",
            Body::Commanded { .. } => "commanded",
            Body::Opened { .. } => "opened",
            Body::PackageWanted { .. } => "package_wanted",
            Body::PackageFetched { .. } => "package_fetched",
            Body::PluginsPinned { .. } => "plugins_pinned",
            Body::HostJoined { .. } => "host_joined",
            Body::ProjectJoined { .. } => "project_joined",
            Body::Decided { .. } => "decided",
            Body::Undecided { .. } => "undecided",
            Body::Entered { .. } => "entered",
            Body::ConditionSet { .. } => "condition_set",
            Body::Failed { .. } => "failed",
            Body::Continued { .. } => "continued",
            Body::Asked { .. } => "asked",
            Body::AskDelivered { .. } => "ask_delivered",
            Body::AskExtended { .. } => "ask_extended",
            Body::Replied { .. } => "replied",
            Body::PartlyReplied { .. } => "partly_replied",
            Body::AskEnded { .. } => "ask_ended",
            Body::Admitted { .. } => "admitted",
            Body::EffectUnclear { .. } => "effect_unclear",
            Body::EffectEnded { .. } => "effect_ended",
            Body::HostMoved { .. } => "host_moved",
            Body::ActionCalled { .. } => "action_called",
            Body::Noted { .. } => "noted",
            Body::ValueKept { .. } => "value_kept",
            Body::Queued { .. } => "queued",
            Body::MessageEnded { .. } => "message_ended",
            Body::Removed => "removed",
        }
    }
}
