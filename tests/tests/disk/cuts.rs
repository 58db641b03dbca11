//! Cuts in the middle of a running journal, and while it is opened and made.

use fenix_tests::disk::{Caching, Chance, Fault, Kind, Which};

use crate::journal::{Mounted, live};

/// Lives of one journal, one after the other, on what the cut before left.
const LIVES: u64 = 30;

/// Calls within which a life is cut: in the first of them the journal is being opened.
const CALLS: u64 = 250;

/// Lets one journal live again and again, each life ended by a cut; returns how many there were.
fn lives(first_seed: u64) -> u64 {
    let mut mounted = Mounted::new(Caching::None);
    let (mut acknowledged, mut given, mut cuts) = (0, 0, 0);
    for seed in first_seed..first_seed + LIVES {
        let mut chance = Chance::new(seed);
        let at = chance.below(CALLS) as usize;
        mounted.disk.fail(Which::At(at), Fault::Cut(seed));
        let life = live(&mounted.data(), acknowledged, given, &mut chance, CALLS);
        assert!(mounted.disk.is_cut(), "seed {seed}: it ended before the cut: {life:?}");
        (acknowledged, given) = (life.acknowledged, life.given.max(given));
        mounted.disk.restart(seed).unwrap();
        cuts += 1;
    }
    live(&mounted.data(), acknowledged, given, &mut Chance::new(0), 1).opened.unwrap();
    cuts
}

#[test]
fn nothing_that_was_acknowledged_is_lost_by_any_cut() {
    let cuts: u64 = (0..8).map(|journal| lives(1000 * journal)).sum();
    assert!(cuts >= 200, "{cuts}");
}

#[test]
fn a_cut_while_the_journal_is_made_leaves_one_that_can_be_opened() {
    let calls = {
        let mounted = Mounted::new(Caching::None);
        live(&mounted.data(), 0, 0, &mut Chance::new(0), 1).opened.unwrap();
        mounted.disk.calls()
    };
    // A cut while something is read is one before the next change.
    let changes = (0..).zip(&calls).filter(|(_, call)| !matches!(call.kind, Kind::Open | Kind::Read));
    for (at, _) in changes {
        for seed in 0..2 {
            let seed = at as u64 * 100 + seed;
            let mut mounted = Mounted::new(Caching::None);
            mounted.disk.fail(Which::At(at), Fault::Cut(seed));
            let life = live(&mounted.data(), 0, 0, &mut Chance::new(0), 1);
            mounted.disk.restart(seed).unwrap();
            let again = live(&mounted.data(), life.acknowledged, life.given, &mut Chance::new(1), 1);
            let call = &mounted.disk.calls();
            again.opened.unwrap_or_else(|error| panic!("cut at call {at}, seed {seed}: {error}: {call:?}"));
        }
    }
}

/// Shows that the cuts bite: with syncs that do nothing, records are lost.
#[test]
fn on_a_disk_that_lies_about_syncs_records_are_lost_and_that_is_told() {
    let mut told = 0;
    for seed in 0..20 {
        let mut mounted = Mounted::new(Caching::None);
        live(&mounted.data(), 0, 0, &mut Chance::new(seed), 5).opened.unwrap();
        mounted.disk.fail(Which::every(Kind::Sync, "sled/db"), Fault::Lie);
        let life = live(&mounted.data(), 0, u64::MAX, &mut Chance::new(seed), 20);
        mounted.disk.restart(seed).unwrap();
        match fenix_store::SledJournal::open(&mounted.data()) {
            Err(error) => told += usize::from(!error.to_string().is_empty()),
            Ok((_, opened)) => told += usize::from(opened.last_seq < life.acknowledged),
        }
    }
    assert!(told >= 10, "only {told} of 20 cuts were noticed");
}
