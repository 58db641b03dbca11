//! The codec over records of every kind, and over damage of every kind.

mod samples;

use std::collections::BTreeSet;

use fenix_core::record::{Body, Record};
use fenix_core::time::Time;
use fenix_store::codec::{MAX_SEQ, decode, encode};
use fenix_store::kind::{form_of, kinds};
use proptest::prelude::*;

#[test]
fn the_samples_have_every_kind() {
    let sampled: BTreeSet<_> = samples::records().iter().map(|record| form_of(&record.body).kind).collect();
    assert_eq!(sampled, kinds().collect());
}

#[test]
fn every_kind_is_named_by_the_tag_of_its_json() {
    for record in samples::records() {
        let json = serde_json::to_value(&record.body).unwrap();
        let tag = json.as_str().or_else(|| json.as_object()?.keys().next().map(String::as_str));
        assert_eq!((tag, record.body.name()), (Some(form_of(&record.body).kind), form_of(&record.body).kind));
    }
}

#[test]
fn every_sample_comes_back() {
    for record in samples::records() {
        assert_eq!(decode(&encode(&record).unwrap()).unwrap(), record);
    }
}

#[test]
fn every_flipped_bit_of_every_sample_is_noticed() {
    for record in samples::records() {
        let frame = encode(&record).unwrap();
        for bit in 0..frame.len() * 8 {
            let mut damaged = frame.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let noticed = decode(&damaged).unwrap_err();
            assert!(!noticed.is_newer(), "bit {bit} of record {}: {noticed}", record.seq);
        }
    }
}

#[test]
fn every_cut_off_end_is_noticed() {
    for record in samples::records() {
        let frame = encode(&record).unwrap();
        for len in 0..frame.len() {
            decode(&frame[..len]).unwrap_err();
        }
    }
}

fn any_record() -> impl Strategy<Value = Record> {
    let samples = samples::records();
    let sampled = (0..samples.len()).prop_map(move |at| samples[at].body.clone());
    let noted =
        (any::<String>(), any::<Option<String>>()).prop_map(|(key, value)| Body::Noted { key, value });
    let undecided = any::<String>().prop_map(|why| Body::Undecided { why });
    let body = prop_oneof![sampled, noted, undecided];
    (0..=MAX_SEQ, any::<u64>(), proptest::option::of("\\PC{0,60}"), body).prop_map(
        |(seq, at, session, body)| Record { seq, at: Time(at), session: session.map(Into::into), body },
    )
}

proptest! {
    #[test]
    fn any_record_comes_back(record in any_record()) {
        prop_assert_eq!(decode(&encode(&record).unwrap()).unwrap(), record);
    }

    #[test]
    fn two_records_never_have_one_frame(one in any_record(), other in any_record()) {
        prop_assert_eq!(one == other, encode(&one).unwrap() == encode(&other).unwrap());
    }

    #[test]
    fn any_short_burst_of_damage_is_noticed(record in any_record(), at in any::<prop::sample::Index>(), burst in 1u32..) {
        let mut frame = encode(&record).unwrap();
        let start = at.index(frame.len() - 3);
        for (byte, change) in frame[start..].iter_mut().zip(burst.to_be_bytes()) {
            *byte ^= change;
        }
        prop_assert!(decode(&frame).is_err());
    }

    #[test]
    fn any_bytes_are_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(decode(&bytes).is_err());
    }
}
