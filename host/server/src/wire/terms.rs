//! The terms of a session as people write them: in a session's body, and as defaults in the configuration.
//!
//! Everything is optional and stands for "as the default says"; spans are whole seconds, as in the earlier Fenix'
//! options.

use fenix_core::inventory::Resources;
use fenix_core::policy::{Ceilings, Policies, Policy, SlowLive, Terms};
use fenix_core::time::Millis;
use serde::Deserialize;

/// Longest span in seconds that a term may name: a month. Anything longer is a slip of units.
pub const MAX_SPAN_SECS: u64 = 31 * 24 * 3600;

/// Most times that a term may let something be repeated: more only hides a fault.
pub const MAX_ROUNDS: u32 = 100;

/// What to do when things go wrong; each is one of `retry`, `wait`, `skip`, `stop`, `force`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PoliciesText {
    /// A manager did not answer in time.
    pub silence: Option<Policy>,
    /// A manager said no.
    pub nack: Option<Policy>,
    /// A project on the hosts has no manager.
    pub unmanaged: Option<Policy>,
    /// An instance could not be moved.
    pub failed_move: Option<Policy>,
    /// An action failed.
    pub failed_action: Option<Policy>,
    /// A live move takes longer than its instance bears: `abort` or `complete`.
    pub slow_live: Option<SlowLive>,
}

/// Capacity that must stay free.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HeadroomText {
    /// Virtual CPUs.
    pub vcpus: u32,
    /// Memory in MiB.
    pub memory_mb: u32,
    /// Disk in GB.
    pub disk_gb: u32,
}

/// How far constraints are followed; spans in seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CeilingsText {
    /// Longest lead time.
    pub lead_time: Option<u64>,
    /// Longest recovery time.
    pub recovery_time: Option<u64>,
    /// Members that may be out of any group.
    pub least_impacted: Option<u32>,
}

/// Terms as written. Spans are in seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TermsText {
    /// Most hosts out of service at once.
    pub hosts_at_once: Option<u32>,
    /// Most hosts out of service at once in one failure domain.
    pub hosts_at_once_per_zone: Option<u32>,
    /// Capacity that must stay free on the hosts in service.
    pub headroom: Option<HeadroomText>,
    /// Failed effects after which the session halts by itself.
    pub failure_budget: Option<u32>,
    /// Most times that one thing is tried, or one question asked.
    pub rounds: Option<u32>,
    /// Most rounds of SCALE_IN.
    pub scale_in_rounds: Option<u32>,
    /// Time to answer MAINTENANCE, PREPARE and PLANNED.
    pub maintenance_reply: Option<u64>,
    /// Time to answer SCALE_IN and COMPLETE.
    pub scale_in_reply: Option<u64>,
    /// Least time that a manager gets.
    pub min_reply: Option<u64>,
    /// Time in which a question must have reached its manager.
    pub deliver_within: Option<u64>,
    /// How long an unclear answer of the cloud is looked after.
    pub settle_time: Option<u64>,
    /// Time that one move may take.
    pub move_within: Option<u64>,
    /// Time that fencing or giving back a host may take.
    pub service_within: Option<u64>,
    /// Time that one action may take on one host.
    pub action_within: Option<u64>,
    /// Time that a manager has to move an instance by itself.
    pub own_action_within: Option<u64>,
    /// True to ask managers about each instance by itself.
    pub ask_per_instance: Option<bool>,
    /// Most vcpus that managers are asked to give back.
    pub scale_in_max: Option<u32>,
    /// True if the host that Fenix itself runs on may be maintained.
    pub own_host: Option<bool>,
    /// What to do when things go wrong.
    pub policies: PoliciesText,
    /// How far constraints are followed.
    pub ceilings: CeilingsText,
}

impl PoliciesText {
    /// These policies where they say something, else `base`.
    pub fn over(&self, base: Policies) -> Policies {
        let Self { silence, nack, unmanaged, failed_move, failed_action, slow_live } = self;
        Policies {
            silence: silence.unwrap_or(base.silence),
            nack: nack.unwrap_or(base.nack),
            unmanaged: unmanaged.unwrap_or(base.unmanaged),
            failed_move: failed_move.unwrap_or(base.failed_move),
            failed_action: failed_action.unwrap_or(base.failed_action),
            slow_live: slow_live.unwrap_or(base.slow_live),
        }
    }

    /// True if one of them is `force`, which may never be a default.
    pub fn forces(&self) -> bool {
        let Self { silence, nack, unmanaged, failed_move, failed_action, slow_live: _ } = self;
        [silence, nack, unmanaged, failed_move, failed_action].contains(&&Some(Policy::Force))
    }
}

impl TermsText {
    /// These terms where they say something, else `base`.
    ///
    /// # Errors
    /// A term is out of its range; the sentence names it and the range.
    pub fn over(&self, base: &Terms) -> Result<Terms, String> {
        let span = |name: &str, secs: Option<u64>, base: Millis| match secs {
            None => Ok(base),
            Some(secs) if (1..=MAX_SPAN_SECS).contains(&secs) => Ok(Millis::from_secs(secs)),
            Some(secs) => {
                Err(format!("terms.{name} is {secs} seconds; it must be from 1 to {MAX_SPAN_SECS} (a month)"))
            }
        };
        let count = |name: &str, value: Option<u32>, most: u32, base: u32| match value {
            None => Ok(base),
            Some(value) if (1..=most).contains(&value) => Ok(value),
            Some(value) => Err(format!("terms.{name} is {value}; it must be from 1 to {most}")),
        };
        let at_once = count("hosts_at_once", self.hosts_at_once, u32::MAX, base.hosts_at_once)?;
        Ok(Terms {
            policies: self.policies.over(base.policies),
            hosts_at_once: at_once,
            hosts_at_once_per_zone: count(
                "hosts_at_once_per_zone",
                self.hosts_at_once_per_zone,
                u32::MAX,
                // Whoever raises only the one limit means it: zones get their own limit only by name.
                self.hosts_at_once.unwrap_or(base.hosts_at_once_per_zone),
            )?,
            headroom: self.headroom.as_ref().map_or_else(|| base.headroom.clone(), HeadroomText::resources),
            failure_budget: count("failure_budget", self.failure_budget, u32::MAX, base.failure_budget)?,
            rounds: count("rounds", self.rounds, MAX_ROUNDS, base.rounds)?,
            scale_in_rounds: count(
                "scale_in_rounds",
                self.scale_in_rounds,
                MAX_ROUNDS,
                base.scale_in_rounds,
            )?,
            maintenance_reply: span("maintenance_reply", self.maintenance_reply, base.maintenance_reply)?,
            scale_in_reply: span("scale_in_reply", self.scale_in_reply, base.scale_in_reply)?,
            min_reply: span("min_reply", self.min_reply, base.min_reply)?,
            deliver_within: span("deliver_within", self.deliver_within, base.deliver_within)?,
            settle_time: span("settle_time", self.settle_time, base.settle_time)?,
            move_within: span("move_within", self.move_within, base.move_within)?,
            service_within: span("service_within", self.service_within, base.service_within)?,
            action_within: span("action_within", self.action_within, base.action_within)?,
            own_action_within: span("own_action_within", self.own_action_within, base.own_action_within)?,
            ask_per_instance: self.ask_per_instance.unwrap_or(base.ask_per_instance),
            scale_in_max: self.scale_in_max.or(base.scale_in_max),
            own_host: self.own_host.unwrap_or(base.own_host),
            ceilings: self.ceilings.over(base.ceilings)?,
        })
    }
}

impl CeilingsText {
    /// Unlike other spans these may be 0: the constraint is not followed then.
    fn over(&self, base: Ceilings) -> Result<Ceilings, String> {
        let span = |name: &str, given: Option<u64>, base: Millis| match given {
            Some(secs) if secs > MAX_SPAN_SECS => Err(format!(
                "terms.ceilings.{name} is {secs} seconds; it must be from 0 to {MAX_SPAN_SECS} (a month)"
            )),
            Some(secs) => Ok(Millis::from_secs(secs)),
            None => Ok(base),
        };
        Ok(Ceilings {
            lead_time: span("lead_time", self.lead_time, base.lead_time)?,
            recovery_time: span("recovery_time", self.recovery_time, base.recovery_time)?,
            least_impacted: self.least_impacted.unwrap_or(base.least_impacted),
        })
    }
}

impl HeadroomText {
    fn resources(&self) -> Resources {
        let Self { vcpus, memory_mb, disk_gb } = *self;
        Resources::of(vcpus, memory_mb, disk_gb)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn over(text: serde_json::Value) -> Result<Terms, String> {
        let text: TermsText = serde_json::from_value(text).map_err(|error| error.to_string())?;
        text.over(&Terms::default())
    }

    #[test]
    fn what_is_not_said_stays_as_it_was() {
        assert_eq!(over(json!({})), Ok(Terms::default()));
        let terms = over(
            json!({"rounds": 2, "move_within": 90, "policies": {"silence": "skip"}, "hosts_at_once": 4}),
        )
        .unwrap();
        assert_eq!(
            (terms.rounds, terms.move_within, terms.policies.silence),
            (2, Millis(90_000), Policy::Skip)
        );
        assert_eq!((terms.hosts_at_once, terms.hosts_at_once_per_zone), (4, 4));
        assert_eq!(terms.policies.nack, Terms::default().policies.nack);
        let ceilings = over(json!({"ceilings": {"lead_time": 0}})).unwrap().ceilings;
        assert_eq!(ceilings, Ceilings { lead_time: Millis::ZERO, ..Ceilings::default() });
    }

    #[test]
    fn terms_out_of_range_are_refused_by_name() {
        let check = |text: serde_json::Value, expected: &str| {
            let error = over(text).expect_err(expected);
            assert!(error.contains(expected), "{error}");
        };
        check(json!({"rounds": 0}), "terms.rounds is 0");
        check(json!({"rounds": 101}), "from 1 to 100");
        check(json!({"move_within": 99_999_999}), "terms.move_within");
        check(json!({"move_in": 1}), "unknown field `move_in`");
        check(json!({"policies": {"silence": "shout"}}), "shout");
        check(json!({"rounds": -1}), "-1");
        check(json!({"ceilings": {"lead_time": 99_999_999}}), "terms.ceilings.lead_time is 99999999 seconds");
    }
}
