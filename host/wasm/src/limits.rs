//! What a plug-in may use. Each limit ends the call, or refuses the component, with an error that names it.

use std::time::Duration;

/// Largest component in bytes. A Rust plug-in has 0.1 MB; one that carries a Python interpreter has 18 MB.
pub const COMPONENT_BYTES: usize = 32 * 1024 * 1024;

/// Instructions of one decision, roughly, whatever it is about: some 30 ms of computing.
const DECISION_FUEL: u64 = 30_000_000;

/// So many more for each host of the infrastructure: `default` takes less than a fifth of it in a session of a thousand.
const DECISION_FUEL_EACH: u64 = 100_000;

/// Instructions of one decision where there are so many hosts.
pub fn decision_fuel(hosts: usize) -> u64 {
    DECISION_FUEL + DECISION_FUEL_EACH * hosts as u64
}

/// Instructions of a decision for which everybody else waits; one that takes more is made beside. `default` takes some ten
/// thousand on average, over a hundred empty hosts.
pub const BRIEF_FUEL: u64 = 4_000_000;

/// Time of such a decision.
pub const BRIEF_TIME: Duration = Duration::from_millis(10);

/// Sessions that are remembered for taking longer.
pub(crate) const MOST_SLOW: usize = 1000;

/// Instructions of one call of an action, roughly. Waiting is done between calls, not in them.
pub const ACTION_FUEL: u64 = 1_000_000_000;

/// Memory of one instance in bytes, over all its memories. A decision reads pages, never the whole session.
pub const MEMORY_BYTES: usize = 64 * 1024 * 1024;

/// Elements of one table. An interpreter's table of functions has some ten thousand.
pub const TABLE_ELEMENTS: usize = 50_000;

/// Core instances, memories and tables in one component: encoders for other languages make up to 40 of them.
pub const PARTS: usize = 64;

/// Calls of plug-ins at a time, each with the most parts: the server runs 16 actions beside a decision.
pub const AT_ONCE: u32 = 32;

/// Bytes of a memory that are wiped and kept for the next instance; what is beyond them is given back. A Rust plug-in
/// writes some 0.1 MB.
pub const KEPT_BYTES: usize = 2 * 1024 * 1024;

/// Bytes that one call may carry between host and plug-in: 256 rows of the largest kind are a tenth of it.
pub const CROSSING_BYTES: usize = 4 * 1024 * 1024;

/// Calls of the host in one decision. A decision over 1 000 hosts with 20 instances each, all looked at one by one,
/// takes some 60 000.
pub const HOST_CALLS: u32 = 200_000;

/// Calls in a second of one component to others, over all that it works on: commands, calls over HTTP, the cloud, values. One
/// action on sixteen hosts at a time makes a tenth of them.
pub const CALLS_PER_SECOND: u32 = 200;

/// Calls of one component that may come at once.
pub const CALLS_AT_ONCE: u32 = 400;

/// Time of one decision. Fuel ends a loop much earlier; this bounds the host's own part.
pub const DECISION_TIME: Duration = Duration::from_secs(10);

/// Time of one call of an action, with the calls of the cloud that it makes: no such call may block over 10 s.
pub const ACTION_TIME: Duration = Duration::from_secs(60);

/// Decisions in one verdict. They are admitted serially, all sessions waiting.
pub const PLANNED: usize = 1024;

/// Bytes of a decision's reason, and of what a workflow says it waits for.
pub const REASON_BYTES: usize = 512;

/// Bytes of an id that a plug-in passes. Infrastructures name things with UUIDs and host names (255).
pub const ID_BYTES: usize = 255;

/// Bytes of a command's name.
pub const COMMAND_NAME_BYTES: usize = 64;

/// Bytes of a note's key: an id, and a word before it.
pub const NOTE_KEY_BYTES: usize = 320;

/// Bytes of a note: it is journaled each time it changes, and records stay small.
pub const NOTE_BYTES: usize = 1024;

/// Bytes of what an action reports, or of why a plug-in failed.
pub const REPORT_BYTES: usize = 1024;

/// Lines that are kept of what one call logs.
pub const LOG_LINES: usize = 64;

/// Bytes that are kept of one such line.
pub const LOG_LINE_BYTES: usize = 1024;

/// Functions that an error names when a plug-in was ended.
pub const FRAMES: usize = 8;

/// Bytes of a function's name in an error.
pub const FRAME_BYTES: usize = 120;
