//! Seen from outside, by the calls that the server makes: nothing is said or sent before it is on the disk.

use fenix_tests::syscalls::{Ports, check, events};

use crate::rig::{Place, Rig, sample_body, small_cloud, wait_for_end};

/// Every thread, with descriptors as files and connections; texts as long as the journal's writes.
const STRACE: &[&str] = &[
    "strace",
    "-f",
    "-qq",
    "-yy",
    "-s",
    "100000",
    "-o",
    "trace",
    "-e",
    "trace=pwrite64,writev,sendto,sendmsg,recvfrom,fsync,fdatasync",
];

/// The port at the end of an address, or before its path.
fn port(address: &str) -> u16 {
    let address = address.strip_prefix("http://").unwrap_or(address);
    address.split('/').next().unwrap().rsplit(':').next().unwrap().parse().unwrap()
}

#[test]
fn nothing_is_answered_ordered_or_told_before_it_is_on_the_disk() {
    let through = STRACE.iter().map(|arg| (*arg).to_owned()).collect();
    let mut rig = Rig::start_in(&small_cloud(), &[], Place { through, ..Place::default() });
    let manager = rig.manager(&[]);
    let end = wait_for_end(&rig.begin(&sample_body(&["compute-1"])));
    assert_eq!(end["state"], "MAINTENANCE_DONE", "{end}");
    let ports =
        Ports { server: port(&rig.url), cloud: port(&rig.cloud.address), manager: port(&manager.address) };
    rig.stop_server();
    let trace = std::fs::read(rig.path("trace")).unwrap();
    let judged = check(&events(&String::from_utf8_lossy(&trace), &ports));
    let seen = judged.unwrap_or_else(|wrong| panic!("{}", wrong.join("\n")));
    assert!(seen.answers >= 5 && seen.orders >= 5 && seen.messages >= 5, "{seen:?}");
}
