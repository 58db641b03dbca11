use fenix_sdk::action::{Header, HttpError, Request, Response};
use fenix_sdk::testing::FakeHost;
use serde_json::json;

use super::*;

const TOKEN: &str = "gAAAAAB-token";
const DATE: &str = "Fri, 27 Nov 2026 12:00:00 GMT";
const HOSTS: &str = "https://blazar.example/v1/os-hosts";

fn assignment(metadata: &Value) -> Assignment {
    Assignment { stage: "assess".to_owned(), ..fenix_sdk::testing::assignment(metadata) }
}

fn with(field: &str, value: Value) -> Value {
    let credential = json!({ "id": "7", "secret": "{{secret:blazar}}" });
    let auth = json!({ "url": "https://keystone.example/v3", "application_credential": credential });
    let mut metadata = json!({ "auth": auth });
    metadata[field] = value;
    metadata
}

fn plain() -> Value {
    with("hours", json!(4))
}

/// What Keystone answers, with that time.
fn token(date: Option<&str>) -> Response {
    let endpoints = json!([{ "interface": "public", "url": "https://blazar.example/v1" }]);
    let body = json!({ "token": { "catalog": [{ "type": "reservation", "endpoints": endpoints }] } });
    let headers = [("x-subject-token", Some(TOKEN)), ("date", date)];
    let header = |(name, value): (&str, Option<&str>)| {
        value.map(|value| Header { name: name.to_owned(), value: value.to_owned() })
    };
    let headers = headers.into_iter().filter_map(header).collect();
    Response { status: 201, headers, body: body.to_string().into_bytes() }
}

/// What one call of the action is told by Blazar: an answer after the other, `None` for one that got lost.
type Told = Vec<Option<(u16, String)>>;

fn says(answers: &[Value]) -> Told {
    answers.iter().map(|answer| Some((200, answer.to_string()))).collect()
}

/// One host as Blazar lists it, among others.
fn hosts() -> Value {
    json!({ "hosts": [
        { "id": "1", "hypervisor_hostname": "compute-10", "service_name": "compute-10" },
        { "id": "2", "hypervisor_hostname": "compute-1", "service_name": "compute-1" },
    ] })
}

fn allocation(reservations: &[(&str, &str, &str)]) -> Value {
    let reservation = |(lease, start, end): &(&str, &str, &str)| json!({ "id": "r", "lease_id": lease, "start_date": start, "end_date": end });
    let reservations: Vec<Value> = reservations.iter().map(reservation).collect();
    json!({ "allocation": { "resource_id": "2", "reservations": reservations } })
}

/// What came of calling it to its end.
struct Came {
    end: Result<Assessment, Failure>,
    pauses: Vec<u32>,
    /// Addresses at Blazar that were read, by the last call.
    read: Vec<String>,
}

/// Calls it to its end, and each call twice, as after a crash: Keystone gives a token each time, with that time, and Blazar says
/// this in each call, the last of it again and again. Nothing that is written down has the token in it.
#[track_caller]
fn check(metadata: &Value, date: Option<&str>, calls: &[Told]) -> Came {
    let mut host = FakeHost::new("compute-1", &[]);
    let (assignment, mut pauses, mut checkpoint) = (assignment(metadata), Vec::new(), None::<String>);
    let end = loop {
        let mut call = || {
            host.sent.clear();
            host.answers = [Ok(token(date))].into();
            let told = calls.get(pauses.len()).or(calls.last());
            host.answers.extend(told.into_iter().flatten().map(|answer| match answer {
                Some((status, body)) => {
                    Ok(Response { status: *status, headers: Vec::new(), body: body.clone().into_bytes() })
                }
                None => Err(HttpError::Unclear("cut off".to_owned())),
            }));
            assess(&mut host, &assignment, checkpoint.as_deref())
        };
        let first = call();
        assert_eq!(call(), first, "a repeat");
        match first {
            Ok(Assessment::Again(again)) => {
                pauses.push(again.after_ms);
                checkpoint = Some(again.checkpoint);
            }
            end => break end,
        }
    };
    let written = format!("{end:?} {checkpoint:?} {:?}", fenix_sdk::log::take());
    assert!(!written.contains(TOKEN), "{written}");
    let is_read = |sent: &&Request| {
        let is_login = sent.url.ends_with("/auth/tokens");
        assert_eq!(sent.method, if is_login { "POST" } else { "GET" });
        !is_login
    };
    Came { end, pauses, read: host.sent.iter().filter(is_read).map(|sent| sent.url.clone()).collect() }
}

/// A host with these reservations, at noon on that day and with four hours to be free, is needed, or it is blocked.
#[track_caller]
fn reserved(reservations: &[(&str, &str, &str)], expected: Result<(), &str>) {
    let came = check(&plain(), Some(DATE), &[says(&[hosts(), allocation(reservations)])]);
    match (&came.end, expected) {
        (Ok(Assessment::Needed(why)), Ok(())) => {
            assert_eq!(why, "nobody has reserved compute-1 in Blazar before 2026-11-27T16:00:00 UTC");
        }
        (Ok(Assessment::Blocked(why)), Err(expected)) => {
            assert_eq!(why, &format!("compute-1 is reserved in Blazar by lease {expected}"));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(came.read, [HOSTS.to_owned(), format!("{HOSTS}/2/allocation")]);
}

/// It fails, and says this.
#[track_caller]
fn fails(date: Option<&str>, calls: &[Told], expected: &str) -> Came {
    let came = check(&plain(), date, calls);
    assert!(matches!(&came.end, Err(Failure::Failed(why)) if why.contains(expected)), "{:?}", came.end);
    came
}

#[test]
fn a_host_that_is_reserved_now_or_soon_is_blocked() {
    let (past, far) = ("2026-11-20T12:00:00.000000", "2026-12-01 12:00");
    reserved(&[], Ok(()));
    reserved(&[("a", past, "2026-11-27T11:59:59.000000")], Ok(()));
    reserved(&[("a", past, "2026-11-27T12:00:00.000000")], Ok(()));
    reserved(&[("a", "2026-11-27 16:00", far)], Ok(()));
    let now = "which began at 2026-11-20T12:00:00 UTC and ends at 2026-11-27T12:00:01 UTC";
    reserved(&[("a", past, "2026-11-27T12:00:01.000000")], Err(&format!("a, {now}")));
    let began = "a, which began at 2026-11-27T12:00:00 UTC and ends at 2026-12-01T12:00:00 UTC";
    reserved(&[("a", "2026-11-27 12:00", far)], Err(began));
    let soon = "which begins at 2026-11-27T15:59:00 UTC, in less than 4 hours";
    reserved(&[("a", "2026-11-27 15:59", far)], Err(&format!("a, {soon}")));
    // The first one is named, whatever the order.
    let several =
        [("c", far, "2027-01-01 00:00"), ("b", "2026-11-27T15:59:30", far), ("a", "2026-11-27T15:59", far)];
    reserved(&several, Err(&format!("a, {soon}")));
    reserved(&[several[2], several[1]], Err(&format!("a, {soon}")));
    let within_a_day = check(
        &with("hours", json!(24)),
        Some(DATE),
        &[says(&[hosts(), allocation(&[("a", "2026-11-28 11:59", far)])])],
    );
    assert!(matches!(within_a_day.end, Ok(Assessment::Blocked(why)) if why.contains("less than 24 hours")));
}

#[test]
fn a_host_is_known_by_any_of_its_names_and_one_that_is_not_known_is_free() {
    let check = |listed: Value, answers: usize, expected: &[&str]| {
        let mut told = vec![json!({ "hosts": listed })];
        told.extend((0..answers).map(|_| allocation(&[])));
        let came = check(&plain(), Some(DATE), &[says(&told)]);
        let expected: Vec<String> = expected.iter().map(|id| format!("{HOSTS}/{id}/allocation")).collect();
        assert_eq!(came.read[1..], expected);
        let Ok(Assessment::Needed(why)) = came.end else { panic!("{:?}", came.end) };
        why
    };
    let unknown = "Blazar does not know compute-1: nobody can have reserved it";
    assert_eq!(check(json!([]), 0, &[]), unknown);
    assert_eq!(check(json!([7, null, {}, { "id": "3", "name": "compute-11" }]), 0, &[]), unknown);
    let domain =
        json!([{ "id": "3", "hypervisor_hostname": "compute-1.example", "service_name": "compute-1" }]);
    check(domain, 1, &["3"]);
    check(json!([{ "id": 4, "name": "compute-1" }]), 1, &["4"]);
    let nodes = json!([
        { "id": "5", "hypervisor_hostname": "node-a", "service_name": "compute-1" },
        { "id": "6", "hypervisor_hostname": "node-b", "service_name": "compute-1" },
    ]);
    check(nodes, 2, &["5", "6"]);
    let many: Vec<Value> = (0..4).map(|id| json!({ "id": id, "service_name": "compute-1" })).collect();
    fails(
        Some(DATE),
        &[says(&[json!({ "hosts": many })])],
        "compute-1 is 4 hosts in Blazar, and 3 are looked at",
    );
}

#[test]
fn where_the_metadata_says_it_is_it_is_asked() {
    let metadata = with("url", json!("http://here/reservation/"));
    let came = check(&metadata, Some(DATE), &[says(&[hosts(), allocation(&[])])]);
    assert_eq!(came.read[1], "http://here/reservation/v1/os-hosts/2/allocation");
    assert!(matches!(came.end, Ok(Assessment::Needed(_))));
}

#[test]
fn an_answer_that_cannot_be_read_is_no_free_host() {
    let with_hosts = |answer: Value| [says(&[hosts(), answer])];
    for answer in
        [json!(null), json!([]), json!({}), json!({ "hosts": 7 }), json!({ "hosts": { "id": "1" } })]
    {
        fails(Some(DATE), &[says(&[answer])], "os-hosts answers without a list of hosts");
    }
    for id in [
        json!(null),
        json!(""),
        json!("../x"),
        json!("a/b"),
        json!("-"),
        json!(-1),
        json!(1.5),
        json!("é"),
        json!("a".repeat(65)),
    ] {
        let listed = json!({ "hosts": [{ "id": id, "hypervisor_hostname": "compute-1" }] });
        fails(Some(DATE), &[says(&[listed])], "answers with an id of a host that is none");
    }
    for answer in [
        json!([]),
        json!({ "allocation": [] }),
        json!({ "allocation": { "reservations": {} } }),
        json!({ "reservations": [] }),
    ] {
        fails(Some(DATE), &with_hosts(answer), "/2/allocation answers without a list of reservations");
    }
    let good = "2026-11-20 12:00";
    for (start, end, expected) in [
        ("soon", good, "with a start_date of lease a that is no time: \"soon\""),
        (good, "", "with a end_date of lease a that is no time: \"\""),
        (good, "2026-11-19 12:00", "says of lease a that it ends at 2026-11-19T12:00:00, and begins at"),
    ] {
        fails(Some(DATE), &with_hosts(allocation(&[("a", start, end)])), expected);
    }
    let odd = json!({ "allocation": { "reservations": [{ "start_date": 7 }] } });
    fails(Some(DATE), &with_hosts(odd), "with a start_date of lease without an id that is no time: 7");
    let odd = json!({ "allocation": { "reservations": [7] } });
    fails(Some(DATE), &with_hosts(odd), "that is no time: null");
    let long = "x\u{1b}".repeat(10_000);
    let came = fails(Some(DATE), &with_hosts(allocation(&[(&long, &long, good)])), "of lease x x x");
    assert!(format!("{:?}", came.end).len() < 400);
}

#[test]
fn what_may_pass_is_tried_again_and_what_will_not_is_not() {
    let told = |status: u16, body: &str| vec![Some((status, body.to_owned()))];
    let well = says(&[hosts(), allocation(&[])]);
    let half = vec![well[0].clone(), None];
    let came = check(&plain(), Some(DATE), &[vec![None], told(503, "soon"), half, well]);
    assert_eq!((came.pauses, came.end.is_ok()), (vec![1_000, 1_500, 2_250], true));
    assert_eq!(fails(Some(DATE), &[], "18 attempts, the last one: ").pauses.len(), 17);
    for (status, body, expected) in [
        (401, TOKEN, "os-hosts answers 401: (a token)"),
        (403, "no", "os-hosts answers 403: no"),
        (404, "lost", "os-hosts answers 404: lost"),
        (200, "<html>", "answers with what is no JSON: <html>"),
    ] {
        assert!(fails(Some(DATE), &[told(status, body)], expected).pauses.is_empty());
    }
    // An old Blazar that knows no allocations does not say that there are none.
    let gone = vec![says(&[hosts()])[0].clone(), Some((404, "gone".to_owned()))];
    fails(Some(DATE), &[gone], "os-hosts/2/allocation answers 404: gone");
    for date in [None, Some("now"), Some("Tue, 31 Jun 2026 12:30:01 GMT")] {
        let came = fails(date, &[], "/auth/tokens answers without the time, by which a reservation is near");
        assert!(came.read.is_empty());
    }
}

#[test]
fn metadata_that_makes_no_sense_is_refused_by_name() {
    let check = |assignment: &Assignment, checkpoint: Option<&str>, expected: &str| {
        let mut host = FakeHost::new("compute-1", &[]);
        match assess(&mut host, assignment, checkpoint) {
            Err(Failure::BadMetadata(why) | Failure::Failed(why)) => assert!(why.contains(expected), "{why}"),
            other => panic!("{other:?}"),
        }
        assert!(host.sent.is_empty());
    };
    check(&assignment(&json!({})), None, "blazar: missing field `auth`");
    check(&assignment(&with("hosts", json!([]))), None, "unknown field `hosts`");
    check(&assignment(&with("hours", json!(0))), None, "hours is 1 to 8784");
    check(&assignment(&with("hours", json!(8_785))), None, "hours is 1 to 8784");
    check(&assignment(&with("hours", json!(-1))), None, "invalid value");
    check(&assignment(&with("url", json!("here"))), None, "url is an address");
    check(&assignment(&with("auth", json!({ "url": "https://k/v2" }))), None, "ends with /v3");
    let nowhere = Assignment { host: None, stage: "pre".to_owned(), ..assignment(&plain()) };
    check(&nowhere, None, "there is no host in stage pre");
    for odd in ["", "odd", "looking", "looking x", "looking -1"] {
        check(&assignment(&plain()), Some(odd), "the checkpoint is not one of blazar's");
    }
}
