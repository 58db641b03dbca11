//! What the installation decides, as opposed to what a session's terms say.

use fenix_core::id::HostId;
use fenix_core::rules::Rule;
use fenix_core::time::Millis;

/// The installation's limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Most sessions that are not removed. The first Fenix allowed 3; nothing here costs more with a hundred.
    pub max_sessions: usize,
    /// How often everything in the cloud is read again. Stretched for large clouds so that never more than two
    /// hosts a second are read for this.
    pub resync: Millis,
    /// How often a host that is being emptied is read.
    pub watch: Millis,
    /// How often a move under way is looked at.
    pub poll: Millis,
    /// How long a move that the cloud accepted may stay invisible before it counts as refused: a scheduler and a
    /// message bus lie between the answer and the first sign.
    pub start_grace: Millis,
    /// How long an instance that was on its way has to be seen at rest on its source before its move counts as failed: a
    /// migration may show as completed some seconds before its instance's record says where it is.
    pub doubt: Millis,
    /// How long a message may be tried in vain before its next attempt, at most.
    pub max_backoff: Millis,
    /// How long after an answer the next round of the same question is held back, so that a repeat of that answer
    /// is not taken for one to the next round (Tacker sends each reply twice).
    pub quiet: Millis,
    /// How long a message that is no question stays worth delivering.
    pub message_valid: Millis,
    /// The host that Fenix itself runs on, as the cloud names it; `None` if it runs on none of them.
    pub own_host: Option<HostId>,
    /// One rule that is not enforced: only ever set by the tests that show that the checkers of `fenix-sim` notice.
    pub switched_off: Option<Rule>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_sessions: 128,
            resync: Millis::from_secs(60),
            watch: Millis::from_secs(5),
            poll: Millis(1000),
            start_grace: Millis::from_secs(15),
            doubt: Millis::from_secs(10),
            max_backoff: Millis::from_secs(30),
            quiet: Millis::from_secs(2),
            message_valid: Millis::from_secs(24 * 3600),
            own_host: None,
            switched_off: None,
        }
    }
}
