//! What a session does when things do not go its way, and how much it may do at once.
//!
//! All of it is written into the session's first record: a session ends under the terms it began with.

use serde::{Deserialize, Serialize};

use crate::inventory::Resources;
use crate::time::Millis;

/// What happens at the end of a wait or after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// Try again, at most [`Terms::rounds`] times in all, then stop.
    Retry,
    /// Wait without end; the blocker says for what.
    Wait,
    /// Leave the host out, quarantined with the reason, and go on with the others.
    Skip,
    /// Fail the session with the reason.
    Stop,
    /// Go on as if the answer had been yes. Never a default, and never past R2.
    Force,
}

/// What becomes of a live move that has taken as long as its instance bears.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SlowLive {
    /// It is given up; the instance stays on its host, and is moved another way.
    #[default]
    Abort,
    /// It ends at once: the instance stands still until it has arrived. If that does not help, it is given up.
    Complete,
}

/// One policy per kind of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policies {
    /// A manager did not answer in time.
    pub silence: Policy,
    /// A manager said no.
    pub nack: Policy,
    /// A project with instances on the hosts has no manager to ask.
    pub unmanaged: Policy,
    /// An instance could not be moved.
    pub failed_move: Policy,
    /// An action on a host failed.
    pub failed_action: Policy,
    /// A live move takes too long.
    #[serde(skip_serializing_if = "is_default")]
    pub slow_live: SlowLive,
}

impl Default for Policies {
    /// The first Fenix failed on all of these at once; sending again before giving up is its later patch 4fec501.
    fn default() -> Self {
        Self {
            silence: Policy::Retry,
            nack: Policy::Stop,
            unmanaged: Policy::Stop,
            failed_move: Policy::Retry,
            failed_action: Policy::Stop,
            slow_live: SlowLive::Abort,
        }
    }
}

/// How far managers' constraints are followed: what they state beyond that is kept and shown as they stated it, and applied
/// only as far as this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ceilings {
    /// Longest lead time (R3).
    pub lead_time: Millis,
    /// Longest recovery time (R2).
    pub recovery_time: Millis,
    /// Members that may be out of any group, even of one that bears fewer (R2). Every group bears as many as it
    /// states where this is 0.
    pub least_impacted: u32,
}

impl Default for Ceilings {
    /// An hour each: what the clients of the first Fenix state is 2 to 120 s (contract 1.3), and a night has to be enough for a
    /// rack.
    fn default() -> Self {
        Self { lead_time: Millis::from_secs(3600), recovery_time: Millis::from_secs(3600), least_impacted: 0 }
    }
}

/// Everything with a number in it that a session is held to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Terms {
    /// What to do when things go wrong.
    pub policies: Policies,
    /// Most hosts out of service at once (R6).
    pub hosts_at_once: u32,
    /// Most hosts out of service at once in one failure domain (R6).
    pub hosts_at_once_per_zone: u32,
    /// Capacity that must stay free on the hosts in service (R5).
    pub headroom: Resources,
    /// Failed effects after which the session halts by itself (R9).
    pub failure_budget: u32,
    /// Most times that one thing is tried, or one question asked: the first time and two more (4fec501).
    pub rounds: u32,
    /// Most rounds of SCALE_IN: an application that never gives enough back must not keep us asking for ever.
    pub scale_in_rounds: u32,
    /// Time to answer MAINTENANCE, PREPARE and PLANNED (`project_maintenance_reply`).
    pub maintenance_reply: Millis,
    /// Time to answer SCALE_IN and COMPLETE (`project_scale_in_reply`).
    pub scale_in_reply: Millis,
    /// Least time that a manager gets, whatever else presses; also given anew after a restart.
    pub min_reply: Millis,
    /// Time in which a question must have reached its manager.
    pub deliver_within: Millis,
    /// How long an unclear answer of the cloud is looked after before the outcome counts as unknown.
    pub settle_time: Millis,
    /// Time that one move may take.
    pub move_within: Millis,
    /// Time that fencing or giving back a host may take.
    pub service_within: Millis,
    /// Time that one action may take on one host.
    pub action_within: Millis,
    /// Time that a manager has to move an instance by itself (OWN_ACTION).
    pub own_action_within: Millis,
    /// True if managers are asked about each instance by itself, as the first Fenix' `vnf` workflow did, instead of
    /// about all of a host (contract rule 11).
    #[serde(skip_serializing_if = "is_default")]
    pub ask_per_instance: bool,
    /// Most vcpus that managers are asked to give back, all in all, by a workflow that asks for what is missing; `None` =
    /// those of the largest compute of the session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale_in_max: Option<u32>,
    /// True if the host that Fenix itself runs on may be maintained, too: as the last one (R6).
    #[serde(skip_serializing_if = "is_default")]
    pub own_host: bool,
    /// How far constraints are followed.
    #[serde(skip_serializing_if = "is_default")]
    pub ceilings: Ceilings,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            policies: Policies::default(),
            hosts_at_once: 1,
            hosts_at_once_per_zone: 1,
            headroom: Resources::default(),
            failure_budget: 5,
            rounds: 3,
            scale_in_rounds: 10,
            maintenance_reply: Millis::from_secs(40),
            scale_in_reply: Millis::from_secs(60),
            min_reply: Millis::from_secs(20),
            deliver_within: Millis::from_secs(120),
            settle_time: Millis::from_secs(60),
            move_within: Millis::from_secs(600),
            service_within: Millis::from_secs(180),
            action_within: Millis::from_secs(3600),
            own_action_within: Millis::from_secs(600),
            ask_per_instance: false,
            scale_in_max: None,
            own_host: false,
            ceilings: Ceilings::default(),
        }
    }
}

/// What older builds do not know is not written down unless it says something.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
