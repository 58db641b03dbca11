//! Many who follow a session, some of them dead or slow: nobody waits for them. `make bench-load` measures the same with
//! hundreds.

use std::net::TcpListener;
use std::sync::mpsc;

use crate::alarm::{Traits, receive};
use crate::events::Reader;
use crate::http::get;
use crate::port::Port;
use crate::process::PATIENCE;
use crate::rig::{Rig, sample_body, small_cloud, wait_for_end};

const READERS: usize = 20;

/// A URL where connections are taken and nothing is ever answered.
fn silent() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/maintenance", listener.local_addr().unwrap());
    std::thread::spawn(move || listener.incoming().collect::<Vec<_>>());
    url
}

/// A receiver that answers nothing before the other end of `gate` is dropped, and its messages.
fn slow() -> (String, mpsc::Sender<()>, mpsc::Receiver<Traits>) {
    let (open, gate) = mpsc::channel();
    let (sender, messages) = mpsc::channel();
    let url = receive(move |message| {
        // Until then nothing comes, and then it fails at once.
        assert!(gate.recv().is_err());
        drop(sender.send(message));
    });
    (url, open, messages)
}

/// What a receiver got, until it was told that the session was done. The last message may have come more than once.
fn all(messages: &mpsc::Receiver<Traits>) -> Vec<String> {
    let mut told: Vec<String> = Vec::new();
    while told.last().is_none_or(|last| !last.contains("MAINTENANCE_DONE")) {
        let message = messages.recv_timeout(PATIENCE).unwrap();
        let fields = ["state", "host", "percent_done"].map(|name| message.get(name).map(ToString::to_string));
        told.push(fields.into_iter().flatten().collect::<Vec<_>>().join(" "));
        told.dedup();
    }
    told
}

#[test]
fn nobody_waits_for_subscribers_that_are_dead_or_slow_nor_for_a_reader_that_does_not_read() {
    let rig = Rig::start(&small_cloud());
    let _manager = rig.manager(&[]);
    let well: Vec<mpsc::Receiver<Traits>> = (0..6)
        .map(|number| {
            let (sender, messages) = mpsc::channel();
            let url = receive(move |message| drop(sender.send(message)));
            rig.listen_as("watchers", &format!("well-{number}"), "maintenance.*", &url);
            messages
        })
        .collect();
    let slow: Vec<_> = (0..2).map(|_| slow()).collect();
    for (number, (url, _, _)) in slow.iter().enumerate() {
        rig.listen_as("watchers", &format!("slow-{number}"), "maintenance.*", url);
    }
    let refusing = Port::new();
    rig.listen_as(
        "watchers",
        "refusing",
        "maintenance.*",
        &format!("http://{}/maintenance", refusing.address()),
    );
    rig.listen_as("watchers", "silent", "maintenance.*", &silent());
    let mut idle = Reader::open(&rig, "", None);
    let readers: Vec<Reader> = (1..READERS).map(|_| Reader::open(&rig, "", None)).collect();

    let session = rig.begin(&sample_body(&["compute-1", "compute-2", "compute-3"]));
    let readers: Vec<_> =
        readers.into_iter().map(|mut reader| std::thread::spawn(move || reader.until("ended"))).collect();
    let told: Vec<Vec<String>> = well.iter().map(all).collect();
    assert_eq!(wait_for_end(&session)["state"], "MAINTENANCE_DONE");

    assert!(told[0].len() > 6, "each host went and came back: {:?}", told[0]);
    assert!(told.iter().all(|each| *each == told[0]), "{told:?}");
    let heard: Vec<_> = readers.into_iter().map(|reader| reader.join().unwrap()).collect();
    assert!(heard.iter().all(|each| *each == heard[0]));
    assert!(heard[0].windows(2).all(|pair| pair[0].id < pair[1].id));
    // Who comes late gets the rest; and who never read hears all of it now, or that it missed something.
    for (_, open, messages) in slow {
        drop(open);
        assert_eq!(all(&messages), told[0]);
    }
    let late = idle.until("ended");
    assert!(late == heard[0] || late[0].kind == "missed", "{late:?}");
    for dead in ["refusing", "silent"] {
        let order = get(&rig.at(&format!("/v1/subscriptions/{dead}"))).good();
        assert_eq!(order["waiting"], told[0].len(), "{order}");
    }
}
