//! The disk of Fenix's machine, and what Fenix does when that is full.
//!
//! The server does it in its writer (`host/server/src/shell/writer/mending.rs`), with the same pauses: what memory alone
//! knows is given up, the journal is opened again once nothing is under way, and everything is held until there is room.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use fenix_core::record::Record;
use fenix_core::time::{Millis, Time};
use fenix_engine::Engine;
use fenix_engine::event;
use fenix_engine::ports::{Journal, JournalError};
use fenix_store::{MemJournal, Reserve};

use super::fenix::panic_text;
use super::{Event, Run};
use crate::coverage::Fault;
use crate::scenario::START;
use crate::truth::Truth;

/// Pause before a journal that failed is opened again.
const FIRST_PAUSE: Millis = Millis(100);

/// Longest such pause. Each is twice the one before until the journal has taken records for as long as this.
const LONGEST_PAUSE: Millis = Millis::from_secs(60);

/// How often Fenix looks whether there is room again.
const ROOM_LOOK: Millis = Millis::from_secs(60);

/// Why everything is held.
const NO_ROOM: &str = "the disk is nearly full";

/// The disk, and the space on it that Fenix holds back.
#[derive(Debug)]
pub(super) struct Disk {
    full_until: Time,
    reserve: Reserve,
    /// How many records the space takes that is held back, once it is given up.
    room: u64,
    /// The last time that the journal failed, and the pause after it.
    failed: Option<(Time, Millis)>,
}

/// What Fenix waits for before it opens its journal again.
pub(super) struct Mending {
    /// The engine whose records were not taken.
    before: Engine,
    /// Not before this.
    until: Time,
}

impl Disk {
    pub(super) fn new() -> Disk {
        Disk { full_until: START, reserve: Reserve::Held, room: 0, failed: None }
    }

    /// Nobody fills it any more, and what filled it is gone.
    pub(super) fn clear(&mut self, now: Time) {
        self.full_until = now;
    }

    fn is_full(&self, now: Time) -> bool {
        now < self.full_until
    }

    /// Holds space back for closings, if there is any.
    fn hold_reserve(&mut self, now: Time) -> Reserve {
        if !self.is_full(now) {
            self.reserve = Reserve::Held;
        }
        self.reserve
    }

    fn append(
        &mut self,
        journal: &mut MemJournal,
        records: &[Record],
        now: Time,
    ) -> Result<(), JournalError> {
        if self.is_full(now) {
            let room = match self.reserve {
                Reserve::Held => None,
                Reserve::Spent => self.room.checked_sub(records.len() as u64),
            };
            self.reserve = Reserve::Spent;
            let Some(left) = room else {
                let full = io::Error::new(io::ErrorKind::StorageFull, "the simulated disk is full");
                return Err(JournalError::Write(full));
            };
            self.room = left;
        }
        journal.append(records)
    }

    /// Twice the pause before, unless the journal was well for a while.
    fn next_pause(&mut self, now: Time) -> Millis {
        let before = self.failed.filter(|(at, pause)| now < *at + *pause + LONGEST_PAUSE);
        let pause = before.map_or(FIRST_PAUSE, |(_, pause)| Millis(pause.0 * 2).min(LONGEST_PAUSE));
        self.failed = Some((now, pause));
        pause
    }
}

/// The journal on its disk.
pub(super) struct OnDisk<'a> {
    pub(super) journal: &'a mut MemJournal,
    pub(super) disk: &'a mut Disk,
    pub(super) now: Time,
}

impl Journal for OnDisk<'_> {
    fn append(&mut self, records: &[Record]) -> Result<(), JournalError> {
        self.disk.append(self.journal, records, self.now)
    }
}

impl Run<'_> {
    /// Something fills the disk.
    pub(super) fn fill_disk(&mut self, number: usize) {
        if self.calm {
            return;
        }
        let spell = self.scenario.faults.full_disks[number];
        self.disk.full_until = self.disk.full_until.max(self.now + spell.span);
        if self.disk.reserve == Reserve::Held {
            self.disk.room = spell.room;
        }
    }

    /// The journal took nothing: nothing that only memory knows may be shown, answered or carried out.
    pub(super) fn journal_failed(&mut self, was_spent: bool) {
        let Some(before) = self.engine.take() else { return };
        self.count(if was_spent { Fault::ReserveFull } else { Fault::DiskFull });
        self.tell(Truth::JournalFailed);
        self.refuse_commands();
        let until = self.now + self.disk.next_pause(self.now);
        self.mending = Some(Mending { before, until });
        self.queue.push(until, Event::Reopen { life: self.life });
    }

    /// True if space that was held back is in use.
    pub(super) fn is_reserve_spent(&self) -> bool {
        self.disk.reserve == Reserve::Spent
    }

    /// Opens the journal again, if the pause is over and nothing that was ordered is under way: an action that is called
    /// again must not meet itself.
    pub(super) fn reopen(&mut self, life: u32) {
        let due = |mending: &mut Mending| mending.until <= self.now;
        if life != self.life || self.under_way > 0 {
            return;
        }
        let Some(Mending { before, .. }) = self.mending.take_if(due) else { return };
        self.journal = self.journal.reopened();
        let records = match self.journal.records() {
            Ok(records) => records,
            Err(error) => return self.breaks(format!("the journal is unreadable: {error}")),
        };
        let (settings, last) = (self.settings(), self.journal.last_seq());
        let now = self.clock.now(self.now);
        let recovered =
            catch_unwind(AssertUnwindSafe(|| Engine::recover(settings, &records, last, Vec::new(), now)));
        match recovered {
            Ok(Ok(mut engine)) => {
                engine.number_after(&before);
                self.engine = Some(engine);
            }
            Ok(Err(error)) => return self.breaks(format!("recovery: {error}")),
            Err(panic) => return self.breaks(panic_text(&*panic)),
        }
        self.tell(Truth::Reopened);
        self.hold_without_room();
        self.feed(event::Event::Tick);
    }

    /// Holds everything if space that was held back is in use and cannot be held back again.
    pub(super) fn hold_without_room(&mut self) {
        let reserve = self.disk.hold_reserve(self.now);
        let (Some(engine), Reserve::Spent) = (&mut self.engine, reserve) else { return };
        engine.hold(Some(NO_ROOM));
        self.tell(Truth::Held(true));
        self.looks += 1;
        self.queue.push(self.now + ROOM_LOOK, Event::RoomLook(self.looks));
    }

    /// If there is room again, lets everything go on.
    pub(super) fn look_for_room(&mut self, number: u64) {
        // What has opened its journal since has looked then.
        if number != self.looks || self.engine.is_none() {
            return;
        }
        if self.disk.hold_reserve(self.now) == Reserve::Spent {
            return self.queue.push(self.now + ROOM_LOOK, Event::RoomLook(number));
        }
        if let Some(engine) = &mut self.engine {
            engine.hold(None);
        }
        self.tell(Truth::Held(false));
        self.count(Fault::RoomAgain);
        self.feed(event::Event::Tick);
    }
}
