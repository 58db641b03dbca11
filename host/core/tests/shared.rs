//! Shared maps and sets against those of the standard library, and that copies do not see each other's changes.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use fenix_core::shared::{SharedMap, SharedSet};
use proptest::collection::vec;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Insert(u16),
    Remove(u16),
    Change(u16),
    InsertMissing(u16),
    /// Keeps a copy, which nothing that follows may change.
    Keep,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = 0..900u16;
    let step = prop_oneof![
        6 => key.clone().prop_map(Step::Insert),
        3 => key.clone().prop_map(Step::Remove),
        2 => key.clone().prop_map(Step::Change),
        1 => key.prop_map(Step::InsertMissing),
        1 => Just(Step::Keep),
    ];
    // What came in order lies in full chunks: the steps meet those, too.
    (0..900u16, vec(step, 0..1500))
        .prop_map(|(before, steps)| (0..before).map(|key| Step::Insert(key / 2 * 2)).chain(steps).collect())
}

fn same(map: &SharedMap<u16, usize>, wanted: &BTreeMap<u16, usize>) {
    assert_eq!((map.len(), map.is_empty()), (wanted.len(), wanted.is_empty()));
    assert!(map.iter().eq(wanted.iter()));
    assert!(map.keys().rev().eq(wanted.keys().rev()));
    assert!(map.values().eq(wanted.values()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_shared_map_is_a_map(steps in steps()) {
        let (mut map, mut wanted) = (SharedMap::new(), BTreeMap::new());
        let mut kept = Vec::new();
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Insert(key) => assert_eq!(map.insert(key, number), wanted.insert(key, number)),
                Step::Remove(key) => assert_eq!(map.remove(&key), wanted.remove(&key)),
                Step::Change(key) => {
                    let (one, other) = (map.get_mut(&key), wanted.get_mut(&key));
                    assert_eq!(one, other);
                    one.into_iter().chain(other).for_each(|value| *value += 1);
                }
                Step::InsertMissing(key) => {
                    *map.get_or_insert_with(key, || number) += 1;
                    *wanted.entry(key).or_insert(number) += 1;
                }
                Step::Keep => kept.push((map.clone(), wanted.clone())),
            }
        }
        kept.push((map.clone(), wanted.clone()));
        for (map, wanted) in &kept {
            same(map, wanted);
        }
        for key in (0..900).step_by(7) {
            assert_eq!(map.get(&key), wanted.get(&key));
            assert_eq!(map.get_key_value(&key), wanted.get_key_value(&key));
            assert_eq!(map.contains_key(&key), wanted.contains_key(&key));
            for bounds in [
                (Bound::Included(key), Bound::Unbounded),
                (Bound::Excluded(key), Bound::Included(key + 50)),
                (Bound::Unbounded, Bound::Excluded(key)),
            ] {
                assert!(map.range::<u16>(bounds).eq(wanted.range(bounds)));
            }
        }
        // Chunks of another past, the same map.
        let again: SharedMap<u16, usize> = wanted.iter().rev().map(|(key, value)| (*key, *value)).collect();
        assert_eq!(again, map);
        assert_eq!(format!("{map:?}"), format!("{wanted:?}"));
    }

    #[test]
    fn of_entries_in_any_order_the_last_of_a_key_counts(entries in vec((0..300u16, 0..9usize), 0..1000)) {
        let wanted: BTreeMap<u16, usize> = entries.iter().copied().collect();
        let mut map: SharedMap<u16, usize> = entries.iter().copied().collect();
        same(&map, &wanted);
        // It lies in chunks that a change finds its way in.
        for (key, value) in wanted.iter().rev() {
            assert_eq!(map.remove(key), Some(*value));
        }
        same(&map, &BTreeMap::new());
        let set: SharedSet<u16> = entries.iter().map(|(key, _)| *key).collect();
        assert!(set.iter().eq(wanted.keys()));
    }

    #[test]
    fn a_shared_set_is_a_set(changes in vec((any::<bool>(), 0..400u16), 0..1000), from in 0..400u16) {
        let (mut set, mut wanted) = (SharedSet::default(), BTreeSet::new());
        for (adds, one) in changes {
            match adds {
                true => assert_eq!(set.insert(one), wanted.insert(one)),
                false => assert_eq!(set.remove(&one), wanted.remove(&one)),
            }
            assert_eq!(set.contains(&one), wanted.contains(&one));
        }
        assert_eq!((set.len(), set.is_empty()), (wanted.len(), wanted.is_empty()));
        assert!(set.iter().eq(wanted.iter()));
        assert!(set.after(None::<&u16>).eq(wanted.iter()));
        assert!(set.after(Some(&from)).eq(wanted.range((Bound::Excluded(from), Bound::Unbounded))));
    }
}

#[test]
fn what_differs_is_not_equal() {
    let map = |entries: &[(u16, usize)]| entries.iter().copied().collect::<SharedMap<_, _>>();
    let check = |one: &[(u16, usize)], other: &[(u16, usize)]| assert_ne!(map(one), map(other));
    check(&[], &[(1, 1)]);
    check(&[(1, 1)], &[(1, 2)]);
    check(&[(1, 1)], &[(2, 1)]);
    check(&[(1, 1), (2, 2)], &[(1, 1)]);
}
