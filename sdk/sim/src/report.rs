//! What a simulation came to.

use std::fmt;

use fenix_core::blocker;
use fenix_core::session::{Condition, HostStage, Phase, Session};
use fenix_core::state::State;
use fenix_core::time::Time;
use fenix_verify::Finding;

use crate::checkers::Violation;
use crate::coverage::Tally;
use crate::scenario::session_id;
use crate::truth::{Entry, Truth};

/// What a simulation came to.
#[derive(Debug)]
pub struct Report {
    /// The scenario's seed.
    pub seed: u64,
    /// What should never have happened; empty if all is well.
    pub violations: Vec<Violation>,
    /// What happened.
    pub truth: Vec<Entry>,
    /// The journal's bytes, a frame per record. Two runs that have the same are the same run.
    pub journal: Vec<Vec<u8>>,
    /// How it ended.
    pub ending: Ending,
    /// What Fenix handled, over all its lives, starts included.
    pub commits: Vec<Commit>,
    /// For each call that changes the cloud, those of actions with them: how many commits there were when it set out.
    pub calls: Vec<u64>,
    /// How much there was of it.
    pub stats: Stats,
    /// What went wrong, was refused, was in the way and came about, each counted.
    pub tally: Tally,
}

/// What came of one thing that Fenix handled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Commit {
    /// Records that went to the journal.
    pub records: u32,
    /// Orders that left once they were there.
    pub orders: u32,
}

/// How a simulation ended.
#[derive(Debug, Default)]
pub struct Ending {
    /// What Fenix knows.
    pub state: State,
    /// When.
    pub now: Time,
    /// What the cloud itself holds to be wrong.
    pub problems: Vec<String>,
    /// Why the journal's bytes do not fold to what Fenix knows; `None` if they do.
    pub refold: Option<String>,
    /// The rules that the journal itself shows as broken.
    pub verified: Vec<Finding>,
    /// True if all sessions were over before the scenario's end.
    pub finished: bool,
}

/// How much there was of a simulation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Things that happened.
    pub events: u64,
    /// Calls that change the cloud.
    pub calls: u64,
    /// Messages sent.
    pub messages: u64,
    /// Calls of actions.
    pub actions: u64,
    /// Deaths of Fenix.
    pub kills: u64,
    /// Times that Fenix stood still.
    pub freezes: u64,
    /// When it ended.
    pub ended_at: Time,
}

/// What became of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It ended well.
    Done,
    /// It failed, for a reason.
    Failed(String),
    /// It was halted, for a reason.
    Parked(String),
    /// An administrator holds it.
    Paused,
    /// It is being closed.
    Closing,
    /// It still goes on.
    Running,
    /// It was removed, or never made.
    Absent,
}

impl Fate {
    /// The fate in a word, without its reason.
    pub fn name(&self) -> &'static str {
        match self {
            Fate::Done => "done",
            Fate::Failed(_) => "failed",
            Fate::Parked(_) => "parked",
            Fate::Paused => "paused",
            Fate::Closing => "closing",
            Fate::Running => "running",
            Fate::Absent => "absent",
        }
    }
}

impl Report {
    /// What became of a session, by its place in the scenario.
    pub fn fate(&self, session: usize) -> Fate {
        let Some(session) = self.ending.state.session(&session_id(session)) else { return Fate::Absent };
        match (&session.condition, session.phase) {
            (Condition::Ended, Phase::MaintenanceDone) => Fate::Done,
            (Condition::Ended, _) => Fate::Failed(session.failure.clone().unwrap_or_default()),
            (Condition::Parked { why }, _) => Fate::Parked(why.clone()),
            (Condition::Paused, _) => Fate::Paused,
            (Condition::Closing { .. }, _) => Fate::Closing,
            (Condition::Running, _) => Fate::Running,
        }
    }

    /// Everything that people may want to know about it: what happened, second by second, then how it ended.
    ///
    /// Claims are left out: they follow from moves.
    pub fn timeline(&self) -> String {
        let mut text = String::new();
        for entry in self.truth.iter().filter(|entry| is_told(entry)) {
            push_line(&mut text, entry);
        }
        for session in self.ending.state.sessions.values() {
            self.tell_session(&mut text, session);
        }
        text.push_str(&self.to_string());
        text
    }

    fn tell_session(&self, text: &mut String, session: &Session) {
        push_line(
            text,
            format_args!("\nsession {}: {} {:?}", session.id, session.phase.wire(), session.condition),
        );
        for line in &session.history {
            let why = if line.why.is_empty() { String::new() } else { format!(": {}", line.why) };
            push_line(text, format_args!("{:>9.3}  {}{why}", line.at.0 as f64 / 1000.0, line.what));
        }
        for (host, work) in session.hosts.iter() {
            let why = match &work.stage {
                HostStage::Quarantined { why, .. } => format!(": {why}"),
                HostStage::Waiting
                | HostStage::Fenced
                | HostStage::Working
                | HostStage::Worked
                | HostStage::Maintained => String::new(),
            };
            push_line(text, format_args!("host {host} is {}{why}", work.stage.name()));
        }
        for blocker in blocker::blockers(&self.ending.state, &session.id, self.ending.now) {
            push_line(text, format_args!("blocker {:?} on {}: {}", blocker.what, blocker.on, blocker.detail));
        }
    }
}

fn push_line(text: &mut String, line: impl fmt::Display) {
    text.push_str(&format!("{line}\n"));
}

fn is_told(entry: &Entry) -> bool {
    use fenix_cloud::sim::trace::Happening;
    !matches!(&entry.what, Truth::Cloud(Happening::ClaimTaken { .. } | Happening::ClaimFreed { .. }, _))
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Stats { events, calls, messages, actions, kills, freezes, ended_at } = self.stats;
        writeln!(
            f,
            "seed {}: {events} events in {} s of virtual time; {calls} calls, {messages} messages, {actions} calls \
             of actions, {kills} kills, {freezes} freezes; {} records",
            self.seed,
            ended_at.0 / 1000,
            self.journal.len()
        )?;
        for violation in &self.violations {
            writeln!(f, "{violation}")?;
        }
        Ok(())
    }
}
