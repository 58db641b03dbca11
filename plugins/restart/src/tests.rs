use fenix_sdk::testing::FakeCloud;

use super::*;

fn assignment(host: Option<&str>) -> Assignment {
    Assignment {
        key: "s/1/reboot".to_owned(),
        session: "s".to_owned(),
        stage: "host".to_owned(),
        host: host.map(str::to_owned),
        metadata: String::new(),
    }
}

/// Runs it to its end, and makes each call twice in those of its calls that `repeats` names: the first result is lost.
fn check(cloud: &mut FakeCloud, repeats: &[usize]) -> Result<String, Failure> {
    let mut checkpoint: Option<String> = None;
    for call in 0.. {
        if repeats.contains(&call) {
            let _lost = run(cloud, &assignment(Some("compute-1")), checkpoint.as_deref());
        }
        match run(cloud, &assignment(Some("compute-1")), checkpoint.as_deref())? {
            Progress::Done(report) => return Ok(report),
            Progress::Again(again) => {
                if call > 3 {
                    cloud.host.up = true;
                }
                checkpoint = Some(again.checkpoint);
            }
        }
    }
    unreachable!("the loop has no other end");
}

#[test]
fn it_restarts_the_host_once_however_calls_are_repeated() {
    for repeats in [&[][..], &[0], &[1], &[2], &[0, 1, 2], &[3, 4]] {
        for slow in [false, true] {
            let mut cloud = FakeCloud::new("compute-1");
            cloud.slow = slow;
            let report = check(&mut cloud, repeats);
            assert_eq!(
                report,
                Ok("restarted compute-1: boot boot-0 ended, boot-1 runs".to_owned()),
                "{repeats:?} {slow}"
            );
            assert_eq!(cloud.reboots, 1, "{repeats:?} {slow}");
        }
    }
}

#[test]
fn the_first_call_orders_nothing() {
    let mut cloud = FakeCloud::new("compute-1");
    let first = run(&mut cloud, &assignment(Some("compute-1")), None);
    assert_eq!(first, Ok(again(0, 5, "seen 0 boot-0".to_owned())));
    assert_eq!(cloud.reboots, 0);
}

#[test]
fn an_order_without_an_answer_is_given_again_and_restarts_the_host_once_all_the_same() {
    for applied in [true, false] {
        for slow in [false, true] {
            let mut cloud = FakeCloud::new("compute-1");
            (cloud.applied_when_unclear, cloud.slow) = (applied, slow);
            // The looks of the first and second call, then the order; and the same once more.
            let lost = || Some(CloudError::Unclear("timeout".to_owned()));
            cloud.errors = [None, None, lost(), None, lost()].into();
            check(&mut cloud, &[]).unwrap();
            assert_eq!(cloud.late.len(), if applied { 0 } else { 2 });
            cloud.arrive_late();
            assert_eq!(cloud.reboots, 1, "{applied} {slow}");
        }
    }
}

#[test]
fn an_order_that_comes_late_beside_another_one_is_no_failure() {
    let mut cloud = FakeCloud::new("compute-1");
    // Refused, because the one before it arrived in this moment: another boot runs when it is looked at again.
    cloud.errors = [None, Some(CloudError::Refused("being restarted already".to_owned()))].into();
    let moment = run(&mut Arriving(cloud), &assignment(Some("compute-1")), Some("seen 1 boot-0"));
    assert_eq!(moment, Ok(again(FIRST_WAIT_MS, 20, "ordered 0 boot-0".to_owned())));
}

/// A cloud in which an earlier order arrives while another one is refused.
struct Arriving(FakeCloud);

impl Cloud for Arriving {
    fn host(&mut self, id: &str) -> Result<HostStatus, CloudError> {
        self.0.host(id)
    }

    fn reboot(&mut self, id: &str, boot: &str) -> Result<(), CloudError> {
        let refused = self.0.reboot(id, boot);
        self.0.late.push(boot.to_owned());
        self.0.arrive_late();
        refused
    }
}

#[test]
fn a_cloud_that_is_away_for_a_while_is_waited_for() {
    for silent in [&[0][..], &[1], &[2], &[0, 1, 2, 3, 4], &[3, 4, 5]] {
        let mut cloud = FakeCloud::new("compute-1");
        cloud.errors = (0..8)
            .map(|call| silent.contains(&call).then(|| CloudError::Unclear("timeout".to_owned())))
            .collect();
        check(&mut cloud, &[]).unwrap();
        assert_eq!(cloud.reboots, 1, "{silent:?}");
    }
}

#[test]
fn a_cloud_that_never_answers_is_given_up() {
    let mut cloud = FakeCloud::new("compute-1");
    let lost = (0..2 * LOOKS + 4)
        .map(|call| (call >= 2 && call % 2 == 0).then(|| CloudError::Unclear("timeout".into())));
    cloud.errors = lost.collect();
    match check(&mut cloud, &[]) {
        Err(Failure::Failed(why)) => assert!(why.contains("no answer from the cloud: timeout"), "{why}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_cannot_be_done_says_why() {
    let refused = || CloudError::Refused("locked by an operator".to_owned());
    for (host, errors, checkpoint, names) in [
        (None, vec![], None, "no host to restart"),
        (Some("compute-2"), vec![], None, "not granted: host compute-2"),
        (Some("compute-1"), vec![Some(refused())], None, "locked by an operator"),
        (Some("compute-1"), vec![None, Some(refused())], Some("seen 0 boot-0"), "locked by an operator"),
        (Some("compute-1"), vec![], Some("what?"), "not one of a restart's"),
    ] {
        let mut cloud = FakeCloud::new("compute-1");
        cloud.errors = errors.into();
        match run(&mut cloud, &assignment(host), checkpoint) {
            Err(Failure::Failed(why)) => assert!(why.contains(names), "{names}: {why}"),
            other => panic!("{names}: {other:?}"),
        }
        assert_eq!(cloud.reboots, 0, "{names}");
    }
}

#[test]
fn waits_grow_to_the_longest_one() {
    assert_eq!([0, 1, 2, 20].map(wait), [500, 750, 1125, LONGEST_WAIT_MS]);
}
