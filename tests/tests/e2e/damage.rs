//! A journal that lost a record of one session: that session is parked and says why, the others go on.

use std::fs;
use std::path::Path;

use fenix_core::record::Body;
use fenix_engine::ports::Journal;
use fenix_server::demo::truth::judge;
use fenix_store::SledJournal;
use serde_json::json;

use crate::http::{call, get};
use crate::process::run;
use crate::rig::{Rig, sample_body, small_cloud, wait_for, wait_for_end};

/// Makes the journal again with the same records but for a session's last one, which is too large for the database
/// and lies in a file; and loses that file. Returns its number.
fn lose_a_record(data: &str, session: &str) -> u64 {
    let kept = format!("{data}.kept");
    fs::rename(data, &kept).unwrap();
    let (old, opened) = SledJournal::open(Path::new(&kept)).unwrap();
    drop(old);
    let mut records = opened.records;
    let of_session = |id: &fenix_core::id::SessionId| id.as_str() == session;
    let lost = records.iter().rposition(|record| record.session.as_ref().is_some_and(of_session)).unwrap();
    records[lost].body = Body::Undecided { why: "w".repeat(20_000) };
    let (mut new, _) = SledJournal::open(Path::new(data)).unwrap();
    records.chunks(100).for_each(|batch| new.append(batch).unwrap());
    let bodies: Vec<_> = fs::read_dir(format!("{data}/bodies")).unwrap().collect();
    assert_eq!(bodies.len(), 1);
    bodies.into_iter().for_each(|body| fs::remove_file(body.unwrap().path()).unwrap());
    records[lost].seq
}

#[track_caller]
fn check(data: &str, code: i32, expected: &str) {
    let output = run(&["store", "check", "--data-dir", data]);
    let told = [output.stdout, output.stderr].concat();
    let told = String::from_utf8(told).unwrap();
    assert_eq!(output.status.code(), Some(code), "{told}");
    assert!(told.contains(expected), "{expected:?} is not in {told}");
}

#[test]
fn a_session_that_lost_a_record_is_parked_and_another_one_goes_on() {
    let mut rig = Rig::start(&small_cloud());
    let _manager = rig.manager(&[]);
    let mut later = sample_body(&["controller-1"]);
    later["maintenance_at"] = json!("2090-01-01 00:00:00");
    let hurt = rig.begin(&later);
    let other = rig.begin(&sample_body(&["compute-1", "compute-2"]));
    wait_for(&other, |news| {
        let lines = news["lines"].as_array().unwrap();
        lines.iter().any(|line| line["what"].as_str().unwrap().contains("working"))
    });
    rig.kill_server();
    let data = rig.path("data");
    let id = hurt.rsplit('/').next().unwrap();
    let lost = lose_a_record(&data, id);
    check(&data, 1, &format!("session {id} from record {lost} on: the body"));

    rig.start_again();
    wait_for(&hurt, |news| news["condition"] == "parked");
    let blockers = get(&format!("{hurt}/blockers")).good();
    let why = blockers["blockers"][0].to_string();
    assert!(why.contains("its journal is damaged") && why.contains(&format!("record {lost} ")), "{blockers}");
    assert_eq!(wait_for_end(&other)["state"], "MAINTENANCE_DONE");
    // It judges all hosts; those that are not of the other session were not touched.
    let mut problems = judge(&rig.trace()).problems;
    problems.retain(|problem| !problem.ends_with("was restarted 0 times instead of once"));
    assert_eq!(problems, Vec::<String>::new());

    // What happens to the hurt one from now on counts: it is removed, and stays so.
    call("DELETE", &hurt, b"").good();
    rig.kill_server();
    check(&data, 0, &format!("session {id} lost records from {lost} on before, and was parked"));
    rig.start_again();
    assert_eq!(get(&hurt).status, 404);
    assert_eq!(get(&other).good()["state"], "MAINTENANCE_DONE");
}
