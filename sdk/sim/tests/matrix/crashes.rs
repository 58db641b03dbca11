//! Every way to crash in a session, from how it went without a crash.

use std::fmt;

use fenix_core::time::Millis;
use fenix_sim::dice::{Dice, Purpose};
use fenix_sim::report::Report;
use fenix_sim::scenario::{CallFate, CallFault, Faults, Kill, Point, When};

/// One way to crash.
#[derive(Clone, Debug)]
pub(crate) struct Crash {
    /// What happens to a call to the cloud, if something does.
    pub(crate) call: Option<CallFault>,
    /// The deaths of Fenix.
    pub(crate) kills: Vec<Kill>,
}

/// What can happen to a call on its way: lost either way, or done after its sender, or the next one, has started.
const FATES: [CallFate; 4] =
    [CallFate::Lost, CallFate::AnswerLost, CallFate::Late(Millis(2500)), CallFate::Late(Millis(9500))];

/// Of a thousand crashes of Fenix so many are followed by another one shortly after the restart.
const AGAIN: u32 = 333;

/// All ways to crash: before and after each record and order, with and without the journal's part in it, at each call
/// that changes the cloud, and both at once. Down times and second deaths follow from the seed.
pub(crate) fn all(plain: &Report, seed: u64) -> Vec<Crash> {
    let mut dice = Dice::new(seed, Purpose::Crashes);
    let mut crashes = Vec::new();
    for (number, commit) in (1..).zip(&plain.commits) {
        let mut points = Vec::new();
        if commit.records > 0 {
            points.push(Point::AppendLost);
            points.push(Point::AppendStored);
        }
        if commit.records + commit.orders > 0 {
            points.push(Point::BeforeAppend);
            points.extend((0..=commit.orders).map(Point::AfterOrders));
        }
        for point in points {
            crashes.push(Crash { call: None, kills: deaths(number, point, &mut dice) });
        }
    }
    for (call, commits) in (1..).zip(&plain.calls) {
        for fate in FATES {
            let fault = Some(CallFault { call, fate });
            crashes.push(Crash { call: fault, kills: Vec::new() });
            // Dead before anything came back, and dead after the next thing that has nothing to do with it.
            for point in [Point::BeforeAppend, Point::AfterOrders(u32::MAX)] {
                crashes.push(Crash { call: fault, kills: deaths(commits + 1, point, &mut dice) });
            }
        }
    }
    crashes
}

/// A death at that commit, and for some another one within the next ten.
fn deaths(commit: u64, point: Point, dice: &mut Dice) -> Vec<Kill> {
    let mut kills = vec![Kill { when: When::Commit(commit), point, down: down(dice) }];
    if dice.chance(AGAIN) {
        let again = commit + dice.between(1, 10);
        let points =
            [Point::BeforeAppend, Point::AfterOrders(0), Point::AfterOrders(1), Point::AfterOrders(9)];
        let point = dice.pick(&points).copied().unwrap_or(Point::BeforeAppend);
        kills.push(Kill { when: When::Commit(again), point, down: down(dice) });
    }
    kills
}

/// At once, as under an init system; or after a while.
fn down(dice: &mut Dice) -> Millis {
    dice.weighted(&[(3, Millis(200)), (1, Millis(3000)), (1, Millis(40_000))])
}

impl Crash {
    pub(crate) fn faults(&self) -> Faults {
        Faults { calls: self.call.into_iter().collect(), kills: self.kills.clone(), ..Faults::default() }
    }
}

impl fmt::Display for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(CallFault { call, fate }) = self.call {
            write!(f, "call {call} {fate:?} ")?;
        }
        for Kill { when, point, down } in &self.kills {
            write!(f, "killed at {when:?} {point:?} for {down} ")?;
        }
        Ok(())
    }
}
