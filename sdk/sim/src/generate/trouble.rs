//! What goes wrong: in the cloud, on the way to it, to Fenix, and by everybody else.

use fenix_cloud::sim::spec::{Failures, Others, Span, Wire};
use fenix_core::time::Millis;

use super::Profile;
use crate::dice::Dice;
use crate::scenario::{Command, Faults, Freeze, Kill, Operator, Order, Point, Scenario, When};

/// When a simulation ends at the latest: a day after everything has calmed down, and what `default` gives each host before
/// it is left out, which is four hours.
pub(super) fn end_at(scenario: &Scenario) -> Millis {
    let hours = 24 + 5 * scenario.cloud.host.len() as u64;
    scenario.calm_at + Millis::from_secs(hours * 3600)
}

pub(super) fn trouble(scenario: &mut Scenario, profile: &Profile, dice: &mut Dice) {
    let calm_at = dice.span(300_000, 1_800_000);
    scenario.calm_at = calm_at;
    scenario.end_at = end_at(scenario);
    scenario.operator = Operator { continues: dice.below(4) as u32, deletes: dice.chance(500) };
    let scale = |most: u64, dice: &mut Dice| dice.below(most + 1) as f64 * f64::from(profile.trouble) / 1e6;
    if dice.chance(700) {
        scenario.cloud.wire = Wire {
            lost: scale(40, dice),
            reply_lost: scale(40, dice),
            late: scale(30, dice),
            doubled: scale(30, dice),
            // A second copy of a call that was answered is not to be told from a new call: it has to be quick.
            late_ms: 2_000,
            answer_ms: Span::Between { min: 5, max: 200 },
            timeout_ms: dice.between(1_000, 10_000),
            ..Wire::default()
        };
    }
    if dice.chance(600) {
        scenario.cloud.failures = Failures {
            cold_breaks: scale(30, dice),
            cold_stays: scale(60, dice),
            cold_hangs: scale(10, dice),
            live_breaks: scale(30, dice),
            live_stays: scale(100, dice),
            live_hangs: scale(10, dice),
            confirm_refused: scale(200, dice),
            resize_breaks: scale(50, dice),
            boot_breaks: scale(50, dice),
            reboot_stays_down: scale(70, dice),
            guests_resume: dice.chance(500),
            ..Failures::default()
        };
    }
    if profile.others && dice.chance(700) {
        let per_hour = |most: u64, dice: &mut Dice| dice.below(most + 1) as u32;
        scenario.cloud.others = Others {
            boot_per_hour: per_hour(30, dice),
            delete_per_hour: per_hour(30, dice),
            resize_per_hour: per_hour(20, dice),
            move_per_hour: per_hour(30, dice),
            stop_per_hour: per_hour(20, dice),
            disable_per_hour: per_hour(6, dice),
            enable_per_hour: per_hour(10, dice),
            crash_per_hour: per_hour(3, dice),
            projects: Vec::new(),
        };
    }
    faults(scenario, profile, calm_at, dice);
    if profile.meddling && dice.chance(400) {
        for _ in 0..dice.between(1, 5) {
            let session = dice.below(scenario.sessions.len() as u64) as usize;
            let what = dice.weighted(&[(5, Command::Pause), (5, Command::Continue), (1, Command::Delete)]);
            scenario.orders.push(Order { at: dice.span(10_000, calm_at.0), session, what });
        }
    }
}

fn faults(scenario: &mut Scenario, profile: &Profile, calm_at: Millis, dice: &mut Dice) {
    let scale = |most: u64, dice: &mut Dice| (dice.below(most + 1) as u32) * profile.trouble / 1000;
    if dice.chance(500) {
        scenario.faults = Faults {
            message_lost: scale(150, dice),
            message_unclear: scale(100, dice),
            message_doubled: scale(150, dice),
            action_call_lost: scale(50, dice),
            action_call_unclear: scale(50, dice),
            ..Faults::default()
        };
    }
    if profile.trouble > 0 && dice.chance(500) {
        for _ in 0..dice.between(1, 5) {
            let point = match dice.below(5) {
                0 => Point::BeforeAppend,
                1 => Point::AppendLost,
                2 => Point::AppendStored,
                _ => Point::AfterOrders(dice.below(4) as u32),
            };
            let down = if dice.chance(700) { dice.span(100, 10_000) } else { dice.span(10_000, 300_000) };
            scenario.faults.kills.push(Kill { when: When::After(dice.span(1_000, calm_at.0)), point, down });
        }
    }
    if profile.trouble > 0 && dice.chance(150) {
        let (at, span) = (dice.span(10_000, calm_at.0), dice.span(1_000, 200_000));
        scenario.faults.freezes.push(Freeze { at, span });
    }
}
