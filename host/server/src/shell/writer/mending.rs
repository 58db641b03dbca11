//! What the writer does when its journal has failed: it waits, opens it again, and goes on or holds everything.

use std::time::{Duration, Instant};

use fenix_core::id::SessionId;
use fenix_engine::Engine;
use fenix_engine::ports::JournalError;
use fenix_store::{Damaged, Mended, Opened, Reserve, is_full};

use super::{MAX_BATCH, Room, whole};
use crate::shell::desk::{Health, Refused};

/// Pause before a journal that failed is opened again: what the disk could not take a moment ago it may take now.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// Longest such pause. Each is twice the one before until the journal has taken records for as long as this.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Pause before the first look whether a disk that was full has room again: whoever sees it full clears it at once.
const FIRST_ROOM_LOOK: Duration = Duration::from_secs(2);

/// Longest pause between two such looks, each twice the one before. Each look fills the disk for a moment.
const LONGEST_ROOM_LOOK: Duration = Duration::from_secs(60);

/// Why everything is held that waits for room on the disk.
const NO_ROOM: &str =
    "the disk of the data directory is nearly full; it goes on by itself when there is room";

/// Tells what is damaged; returns the sessions that are to be parked, and why.
pub(crate) fn damage(opened: &Opened) -> Vec<(SessionId, String)> {
    if let Some(Mended { holes, kept }) = &opened.mended {
        let (places, kept) = (holes.len(), kept.display());
        tracing::warn!(places, %kept, "the database was damaged, and made again of all that could be read");
    }
    let reason = |hurt: &Damaged| {
        let why =
            format!("record {} cannot be used, and those after it do not count: {}", hurt.seq, hurt.why);
        tracing::error!(session = hurt.session.as_str(), why, "a session lost records, and is parked");
        (hurt.session.clone(), why)
    };
    opened.damage.iter().map(reason).collect()
}

impl Room {
    /// Nothing that only memory knows may be shown, answered or carried out: opens the journal again and goes on with
    /// what it holds. False if the writer shall stop before that succeeds.
    pub(super) fn mend(&mut self, error: &JournalError, mut why: String) -> bool {
        let full = matches!(error, JournalError::Write(error) if is_full(error));
        loop {
            self.backroom.health.send_replace(Health::Broken(why.clone()));
            let refused = Refused::Broken(why.clone());
            self.refuse_rest(&refused);
            if !self.stand_by(&refused) {
                return false;
            }
            match self.reopen() {
                Ok(Reserve::Spent) => self.hold_for_room(),
                Ok(Reserve::Held) if full => tracing::info!("the disk has room again"),
                Ok(Reserve::Held) => {
                    let why = format!("{why}; when the cause is mended, start the server again");
                    self.parts.engine.hold(Some(&why));
                }
                Err(error) => {
                    tracing::error!(why = %error, "the journal cannot be opened again");
                    why = error;
                    continue;
                }
            }
            return true;
        }
    }

    /// Waits until the pause is over and nothing that was ordered is under way: an action that is called again must
    /// not meet itself. False if the writer shall stop.
    fn stand_by(&mut self, refused: &Refused) -> bool {
        let until = Instant::now() + self.next_pause();
        let mut inputs = Vec::new();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() && self.under_way == 0 {
                return true;
            }
            let runtime = self.runtime.clone();
            let inbox = &mut self.backroom.inbox;
            let stopped = &mut self.stopped;
            let goes_on = runtime.block_on(async {
                tokio::select! {
                    biased;
                    _ = stopped.wait_for(|stopped| *stopped) => false,
                    count = inbox.recv_many(&mut inputs, MAX_BATCH) => count > 0,
                    () = tokio::time::sleep(left), if !left.is_zero() => true,
                }
            });
            if !goes_on {
                return false;
            }
            for input in inputs.drain(..) {
                self.turn_away(input, refused);
            }
        }
    }

    /// Twice the pause before, unless the journal was well for a while.
    fn next_pause(&mut self) -> Duration {
        let now = Instant::now();
        let before = self.failed.filter(|(at, pause)| now.duration_since(*at) < *pause + LONGEST_PAUSE);
        let pause = before.map_or(FIRST_PAUSE, |(_, pause)| (pause * 2).min(LONGEST_PAUSE));
        self.failed = Some((now, pause));
        pause
    }

    /// Opens the journal and makes a new engine of it; says why it cannot.
    fn reopen(&mut self) -> Result<Reserve, String> {
        let opened = self.parts.store.reopen().map_err(|error| whole(&error))?;
        let damaged = damage(&opened);
        let Opened { records, last_seq, reserve, .. } = opened;
        let (settings, now) = (self.parts.engine.settings().clone(), self.parts.clock.now());
        let mut engine =
            Engine::recover(settings, &records, last_seq, damaged, now).map_err(|error| whole(&error))?;
        engine.number_after(&self.parts.engine);
        self.parts.engine = engine;
        self.room_look = None;
        tracing::info!(records = last_seq, "the journal was opened again");
        Ok(reserve)
    }

    pub(super) fn hold_for_room(&mut self) {
        tracing::error!(why = NO_ROOM, "nothing new is begun");
        self.parts.engine.hold(Some(NO_ROOM));
        self.room_look = Some((Instant::now() + FIRST_ROOM_LOOK, FIRST_ROOM_LOOK));
    }

    /// If everything waits for room on the disk, and there is some again, lets everything go on.
    pub(super) fn look_for_room(&mut self) {
        let Some((_, pause)) = self.room_look.filter(|(at, _)| *at <= Instant::now()) else { return };
        match self.parts.store.hold_reserve() {
            Ok(Reserve::Held) => {
                tracing::info!("the disk has room again");
                self.room_look = None;
                self.parts.engine.hold(None);
                return;
            }
            Ok(Reserve::Spent) => {}
            Err(error) => tracing::warn!(%error, "whether the disk has room cannot be seen"),
        }
        let pause = (pause * 2).min(LONGEST_ROOM_LOOK);
        self.room_look = Some((Instant::now() + pause, pause));
    }
}
