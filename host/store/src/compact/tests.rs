//! Compaction keeps what it must, and can be cut off anywhere.

use fenix_core::effect::{Effect, EffectKind, Outcome};
use fenix_core::id::{EffectId, GroupId, HostId, InstanceId};
use fenix_core::inventory::{
    Change, Group, Host, HostKind, Instance, InstanceState, Movable, Resources, Service,
};
use fenix_core::policy::Terms;
use fenix_core::record::Body;
use fenix_core::session::{HostStage, HostWork, Pin, Plan};
use fenix_engine::ports::Journal;
use proptest::prelude::*;

use super::*;
use crate::{Reader, SledJournal};

const NONE: Resources = Resources::of(1, 1, 1);

/// What may happen, in numbers: of which kind, in which session, on which host and instance, how.
type Happening = (u8, u8, u8, u8, u8);

fn host_id(host: u8) -> HostId {
    format!("h{}", host % 3).into()
}

fn instance_id(instance: u8) -> InstanceId {
    format!("i{}", instance % 3).into()
}

fn group_id(how: u8) -> GroupId {
    format!("g{}", how % 2).into()
}

/// The record body that a happening makes, and whose it is.
fn body(happening: Happening, effect: u32) -> (Option<SessionId>, Body) {
    let (what, session, host, instance, how) = happening;
    match what % 17 {
        0..=7 => (None, Body::Observed { change: look(what % 17, host, instance, how) }),
        16 => (None, Body::QuarantineCleared { host: host_id(host) }),
        what => (Some(format!("s{}", session % 4).into()), deed(what, host, instance, how, effect)),
    }
}

fn look(what: u8, host: u8, instance: u8, how: u8) -> Change {
    match what {
        0 | 1 => Change::Host(Host {
            id: host_id(host),
            kind: HostKind::Compute,
            zone: "z".into(),
            capacity: NONE,
            service: Service::Enabled,
            up: how.is_multiple_of(2),
            boot: format!("boot-{how}"),
            dead: false,
        }),
        2 => Change::HostGone(host_id(host)),
        3..=5 => Change::Instance(Instance {
            id: instance_id(instance),
            name: format!("name {how}"),
            project: "p".into(),
            group: (!how.is_multiple_of(5)).then(|| group_id(how)),
            host: host_id(host),
            resources: NONE,
            state: if how.is_multiple_of(3) { InstanceState::Moving } else { InstanceState::Active },
            other_end: None,
            movable: Movable::Any,
            progress: None,
        }),
        6 => Change::InstanceGone(instance_id(instance)),
        _ if how.is_multiple_of(2) => Change::Group(Group {
            id: group_id(how / 2),
            project: "p".into(),
            name: format!("name {how}"),
            anti_affinity: false,
            max_instances_per_host: 0,
            max_impacted_members: 1,
            recovery_time: Millis(1),
        }),
        _ => Change::GroupGone(group_id(how / 2)),
    }
}

fn deed(what: u8, host: u8, instance: u8, how: u8, effect: u32) -> Body {
    match what {
        8 => Body::Opened { plan: plan(), rules: 1 },
        9 => Body::HostJoined {
            host: host_id(host),
            work: HostWork {
                kind: HostKind::Compute,
                found: Service::Enabled,
                stage: HostStage::Waiting,
                since: Time(1),
                fenced: false,
            },
        },
        10 | 11 => {
            let stage = match how % 4 {
                0 => HostStage::Maintained,
                1 => HostStage::Quarantined { why: format!("why {how}"), begun: true },
                2 => HostStage::Waiting,
                _ => HostStage::Working,
            };
            Body::HostMoved { host: host_id(host), stage, fenced: false }
        }
        12 => Body::Admitted { effect: moving(effect, instance_id(instance), host_id(host)) },
        13 => {
            let outcome = match how / 8 % 5 {
                0 => Outcome::Failed { why: "no".into() },
                1 => Outcome::Unknown { why: "nobody knows".into() },
                _ => Outcome::Done,
            };
            Body::EffectEnded { effect: EffectId(u32::from(how) % 8), outcome }
        }
        14 => Body::Noted { key: format!("k{how}"), value: Some("v".repeat(usize::from(how) * 40)) },
        _ => Body::Removed,
    }
}

fn plan() -> Plan {
    Plan {
        maintenance_at: Time(1),
        window_end: None,
        metadata: "{}".into(),
        workflow: Pin { name: "default".into(), version: "1".into(), digest: "ab".into(), undoes: false },
        actions: Vec::new(),
        terms: Terms::default(),
        own_host: None,
    }
}

fn moving(id: u32, instance: InstanceId, to: HostId) -> Effect {
    let how = fenix_core::ask::MoveHow::LiveMigrate;
    Effect {
        id: EffectId(id),
        kind: EffectKind::Move { instance, from: "h0".into(), to, how, ask: None },
        reason: "because".into(),
        admitted_at: Time(1),
        deadline: Time(2),
        unclear_at: None,
        unknown: None,
    }
}

/// The records that these happenings make, a second each; those that cannot follow are left out.
fn history(happenings: &[Happening]) -> Vec<Record> {
    let mut state = State::default();
    let mut records: Vec<Record> = Vec::new();
    for (at, happening) in (1..).zip(happenings) {
        let (session, body) = body(*happening, records.len() as u32 % 8);
        // After its end a session does not come back: its id is its own.
        let removed = |record: &Record| matches!(record.body, Body::Removed) && record.session == session;
        if session.is_some() && records.iter().any(removed) {
            continue;
        }
        if matches!(body, Body::Removed) && session.as_ref().is_none_or(|id| state.session(id).is_none()) {
            continue;
        }
        let record = Record { seq: records.len() as u64 + 1, at: Time(at * 1000), session, body };
        let mut next = state.clone();
        if next.apply(&record).is_ok() {
            state = next;
            records.push(record);
        }
    }
    records
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_is_kept_means_the_same_as_everything(
        happenings in prop::collection::vec(any::<Happening>(), 0..150),
        retention in 0u64..100,
    ) {
        check(&history(&happenings), retention);
    }
}

/// Compaction of these records, with a retention in seconds, changes no fold and takes nothing of a session too early.
fn check(records: &[Record], retention: u64) {
    let state = fold(records).unwrap();
    let mut one_by_one = State::default();
    records.iter().for_each(|record| one_by_one.apply(record).unwrap());
    assert_eq!(one_by_one, state);
    let now = Time(records.last().map_or(0, |record| record.at.0) + 1000);
    let Kept { records: kept, sessions } = kept(records, &state, Millis(retention * 1000), now);
    assert_eq!(fold(&kept).unwrap(), state);
    assert!(kept.iter().all(|record| records[record.seq as usize - 1] == *record));
    for session in sessions {
        assert!(!records.iter().any(|record| record.session.as_ref() == Some(&session)
            && matches!(record.body, Body::Removed)
            && now.since(record.at) < Millis(retention * 1000)));
    }
}

#[test]
fn a_move_whose_id_is_used_again_is_kept_with_its_own_instance() {
    let done: Happening = (13, 0, 0, 0, 18);
    let first = [(3, 0, 0, 0, 1), (8, 0, 0, 0, 0), (12, 0, 0, 0, 0), done];
    // After eight records more the next effect has the number of the first: of an instance that is not there any more.
    let looks = (0..6).map(|how| (0, 0, 0, 0, how));
    let another = [(12, 0, 0, 1, 0), done, (6, 0, 0, 1, 0), (15, 0, 0, 0, 0), (0, 0, 0, 0, 0)];
    let happenings: Vec<Happening> = first.into_iter().chain(looks).chain(another).collect();
    let records = history(&happenings);
    let ended = records.iter().filter(|record| matches!(record.body, Body::EffectEnded { .. }));
    assert_eq!((records.len(), ended.count()), (happenings.len(), 2));
    check(&records, 0);
}

/// A journal in which a session ended long ago, another one goes on, and everything was looked at often.
fn old_journal() -> Vec<Record> {
    let mut happenings: Vec<Happening> = Vec::new();
    let looks = |n: u8| (0..n).flat_map(|how| [(0, 0, how, 0, how), (3, 0, how, how, how)]);
    for session in [0, 1] {
        happenings.extend(looks(40));
        happenings.push((8, session, 0, 0, 0));
        happenings.extend((0..3).map(|host| (9, session, host, 0, 0)));
        happenings.extend((0..60).map(|how| (14, session, 0, 0, how)));
        happenings.extend((0..3).map(|host| (10, session, host, 0, 0)));
    }
    happenings.push((15, 0, 0, 0, 0));
    happenings.extend(looks(40));
    history(&happenings)
}

fn filled(records: &[Record]) -> tempfile::TempDir {
    let scratch = tempfile::tempdir().unwrap();
    let (mut journal, _) = SledJournal::open(scratch.path()).unwrap();
    for batch in records.chunks(50) {
        journal.append(batch).unwrap();
    }
    scratch
}

fn open(path: &Path) -> (SledJournal, Vec<Record>) {
    let (journal, opened) = SledJournal::open(path).unwrap();
    assert_eq!(opened.damage, []);
    (journal, opened.records)
}

fn stream(reader: &Reader, session: &str) -> Vec<u64> {
    reader.records_of(&session.into(), 0, 1000).unwrap().iter().map(|record| record.seq).collect()
}

const LATER: Time = Time(10_000_000);

#[test]
fn a_compacted_journal_is_smaller_means_the_same_and_goes_on() {
    let all = old_journal();
    let scratch = filled(&all);
    let path = scratch.path();
    let planned = compact(path, Millis(1000), LATER, true).unwrap();
    assert_eq!(open(path).1, all);

    let done = compact(path, Millis(1000), LATER, false).unwrap();
    assert_eq!((done.before, done.after), (planned.before, planned.after));
    assert!(done.after < done.before / 2, "{done:?}");
    assert_eq!(done.sessions, ["s0".into()]);
    let (mut journal, kept) = open(path);
    assert_eq!(kept.len() as u64, done.after);
    assert_eq!(fold(&kept).unwrap(), fold(&all).unwrap());
    assert!(!path.join("sled.old").exists() && !path.join("sled.new").exists());

    // The other session is whole, and the numbers go on.
    let of_s1 = all.iter().filter(|record| record.session == Some("s1".into()));
    assert_eq!(stream(&journal.reader(), "s1"), of_s1.map(|record| record.seq).collect::<Vec<_>>());
    let next = Record { seq: all.len() as u64 + 1, at: LATER, ..all.last().unwrap().clone() };
    journal.append(std::slice::from_ref(&next)).unwrap();
    drop(journal);
    assert_eq!(open(path).1.last(), Some(&next));

    // What was left out is in the archive, whole.
    let text = fs::read_to_string(path.join("archive/s0.jsonl")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let of_s0: Vec<&Record> = all.iter().filter(|record| record.session == Some("s0".into())).collect();
    let archived: Vec<Record> =
        lines[..lines.len() - 1].iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(archived.iter().collect::<Vec<_>>(), of_s0);
    let end: serde_json::Value = serde_json::from_str(lines[lines.len() - 1]).unwrap();
    assert_eq!(end["records"], of_s0.len());

    // There is nothing more to do, and what stays out on purpose does not hide what is lost.
    let again = compact(path, Millis(1000), LATER, false).unwrap();
    assert!(again.before - again.after <= 1, "{again:?}");
    let (_, kept) = open(path);
    let lost = kept[kept.len() - 2].seq;
    let raw = sled::Config::new().path(path.join("sled")).flush_every_ms(None).open().unwrap();
    raw.remove([b"r".as_slice(), &lost.to_be_bytes()].concat()).unwrap();
    raw.flush().unwrap();
    drop(raw);
    let refused = SledJournal::open(path).err().unwrap();
    assert!(matches!(refused, OpenError::Gap { .. }), "{refused}");
}

#[test]
fn nothing_is_lost_wherever_it_is_cut_off() {
    let all = old_journal();
    let steps =
        [Step::Planned, Step::Archived, Step::HalfWritten, Step::Written, Step::SetAside, Step::Swapped];
    for step in steps {
        let scratch = filled(&all);
        let path = scratch.path();
        compact_until(path, Millis(1000), LATER, step).unwrap();
        let (journal, found) = open(path);
        assert_eq!(fold(&found).unwrap(), fold(&all).unwrap(), "{step:?}");
        assert_eq!(found == all, step != Step::Swapped, "{step:?}");
        drop(journal);
        compact(path, Millis(1000), LATER, false).unwrap();
        assert_eq!(fold(&open(path).1).unwrap(), fold(&all).unwrap(), "{step:?}");
        // What a cut-off left goes with the next one that has something to do.
        let text = fs::read_to_string(path.join("archive/s0.jsonl")).unwrap_or_default();
        assert_eq!(
            text.lines().count() as u64,
            1 + all.iter().filter(|r| r.session == Some("s0".into())).count() as u64
        );
    }
}

#[test]
fn a_hurt_journal_is_checked_and_not_compacted() {
    let all = old_journal();
    let scratch = filled(&all);
    let path = scratch.path();
    let beside = tempfile::tempdir().unwrap();
    let copy = beside.path().join("copy");
    let checked = crate::check(path, &copy).unwrap();
    assert!(checked.is_whole());
    assert_eq!(
        (checked.records, checked.last_seq, checked.sessions),
        (all.len() as u64, all.len() as u64, 1)
    );

    let hurt = all.iter().find(|record| record.session == Some("s1".into())).unwrap().seq + 5;
    let raw = sled::Config::new().path(path.join("sled")).flush_every_ms(None).open().unwrap();
    raw.insert([b"r".as_slice(), &hurt.to_be_bytes()].concat(), b"nonsense").unwrap();
    raw.flush().unwrap();
    drop(raw);
    let before = fs::read(path.join("sled/db")).unwrap();
    let checked = crate::check(path, &copy).unwrap();
    assert_eq!((checked.damage.len(), checked.damage[0].seq), (1, hurt));
    assert!(!copy.exists());
    assert_eq!(fs::read(path.join("sled/db")).unwrap(), before);
    let refused = compact(path, Millis(1000), LATER, false).unwrap_err();
    assert!(refused.to_string().contains(&format!("session s1 is hurt from record {hurt}")), "{refused}");

    let _held = DataDir::take(path).unwrap();
    assert!(matches!(crate::check(path, &copy).unwrap_err(), OpenError::Locked { .. }));
}
