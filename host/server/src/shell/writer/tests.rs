//! The writer with a journal in memory, a cloud with nothing in it, and no plug-ins.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use fenix_cloud::{Answering, Cloud};
use fenix_core::message::{Format, Subscription};
use fenix_core::record::Record;
use fenix_core::view::{Verdict, View, Wakeup};
use fenix_engine::Settings;
use fenix_engine::command::{Command, CommandError};
use fenix_engine::event::Wanted;
use fenix_engine::ports::{ActionError, Assignment, CloudCall, CloudReply, Progress, WorkflowError};
use fenix_store::{Failure, MemJournal, OpenError, Opened};
use tokio::sync::Semaphore;

use super::*;
use crate::receivers::Receivers;
use crate::shell::clock::WallClock;
use crate::shell::courier::Courier;
use crate::shell::desk::ANSWER_WITHIN;
use crate::shell::hands::{ActionPort, Bringing, PackagePort};
use crate::tls::{self, Trust};
use crate::wire::payload::Base;

/// A cloud with nothing in it, and plug-ins that nobody calls.
struct Nothing;

impl Cloud for Nothing {
    fn call<'a>(&'a self, _: &'a CloudCall) -> Answering<'a> {
        let empty = CloudReply::All { hosts: Vec::new(), instances: Vec::new(), groups: Vec::new() };
        Box::pin(async { Ok(empty) })
    }
}

impl Workflows for Nothing {
    fn decide(&self, _: &fenix_core::id::Digest, _: &View, _: &Wakeup) -> Result<Verdict, WorkflowError> {
        Err(WorkflowError::Unusable("there is none".into()))
    }
}

impl PackagePort for Nothing {
    fn bring<'a>(&'a self, _: &'a Wanted) -> Bringing<'a> {
        Box::pin(async { Err("nothing is brought".to_owned()) })
    }
}

impl ActionPort for Nothing {
    fn run(&self, _: &Assignment) -> Result<Progress, ActionError> {
        Err(ActionError::Unusable("there is none".into()))
    }
}

/// A cloud with nothing in it, that answers once it may.
struct Slow(Semaphore);

impl Cloud for Slow {
    fn call<'a>(&'a self, call: &'a CloudCall) -> Answering<'a> {
        Box::pin(async {
            drop(self.0.acquire().await);
            Nothing.call(call).await
        })
    }
}

/// What else happens while the journal takes records.
type Meanwhile = Box<dyn FnOnce() + Send>;

/// A journal in memory that is opened again, and a disk that is as full as a test says.
#[derive(Clone)]
struct Shelf {
    journal: Arc<Mutex<MemJournal>>,
    reserve: Arc<Mutex<Reserve>>,
    /// How often it cannot be opened.
    refusals: Arc<AtomicU32>,
    meanwhile: Arc<Mutex<Option<Meanwhile>>>,
}

impl Shelf {
    fn new(journal: MemJournal) -> Shelf {
        Shelf {
            journal: Arc::new(Mutex::new(journal)),
            reserve: Arc::new(Mutex::new(Reserve::Held)),
            refusals: Arc::default(),
            meanwhile: Arc::default(),
        }
    }
}

impl Journal for Shelf {
    fn append(&mut self, records: &[Record]) -> Result<(), JournalError> {
        if let Some(happens) = self.meanwhile.lock().unwrap().take() {
            happens();
        }
        self.journal.lock().unwrap().append(records)
    }
}

impl Reopen for Shelf {
    fn reopen(&mut self) -> Result<Opened, OpenError> {
        let left = self.refusals.load(Ordering::Relaxed);
        if left > 0 {
            self.refusals.store(left - 1, Ordering::Relaxed);
            return Err(OpenError::NotOurs { path: "shelf".into() });
        }
        let mut journal = self.journal.lock().unwrap();
        *journal = journal.reopened();
        Ok(Opened {
            records: journal.records().unwrap(),
            last_seq: journal.last_seq(),
            damage: Vec::new(),
            mended: None,
            reserve: *self.reserve.lock().unwrap(),
        })
    }

    fn hold_reserve(&mut self) -> std::io::Result<Reserve> {
        Ok(*self.reserve.lock().unwrap())
    }
}

fn start(shelf: &Shelf) -> (Writer, Desk) {
    start_over(shelf, Arc::new(Nothing))
}

fn start_over(shelf: &Shelf, cloud: Arc<dyn Cloud>) -> (Writer, Desk) {
    let clock = Arc::new(WallClock::default());
    let parts = Parts {
        engine: Engine::new(Settings::default(), clock.now()),
        journal: Box::new(shelf.clone()),
        store: Box::new(shelf.clone()),
        reserve: *shelf.reserve.lock().unwrap(),
        workflows: Arc::new(Nothing),
        clock,
    };
    let base = Base::new("http://127.0.0.1:1").unwrap();
    let tls = tls::client(&Trust::Nobody).unwrap();
    let courier = Courier::new(base, Receivers::default(), tls).unwrap();
    let runtime = Handle::current();
    let hands_runtime = runtime.clone();
    let nothing = Arc::new(Nothing);
    let hands = move |desk| Hands::new(hands_runtime, desk, cloud, nothing.clone(), nothing, courier);
    Writer::start(parts, hands, runtime).unwrap()
}

fn subscribe(id: &str) -> Command {
    let subscription = Subscription {
        id: id.into(),
        project: "p".into(),
        event_type: "*".into(),
        url: "http://127.0.0.1:1/".into(),
        format: Format::Aodh,
    };
    Command::Subscribe { subscription }
}

#[tokio::test]
async fn a_command_is_answered_and_shown_once_it_is_on_disk() {
    let (writer, desk) = start(&Shelf::new(MemJournal::new()));
    assert_eq!(desk.command(None, subscribe("a")).await, Ok(Answer::Done));
    assert_eq!(desk.command(None, subscribe("a")).await, Ok(Answer::Idle));
    assert_eq!(desk.state().subscriptions.len(), 1);
    desk.until_health(|health| *health == Health::Ready).await;
    writer.stop().await;
    assert_eq!(desk.health(), Health::Stopping);
    assert_eq!(desk.command(None, subscribe("b")).await, Err(Refused::Stopping));
}

/// A writer whose journal fails at the second append.
fn failing(how: Failure, kind: std::io::ErrorKind) -> Shelf {
    let mut journal = MemJournal::new();
    journal.fail_at(2, how);
    journal.fail_as(kind);
    Shelf::new(journal)
}

#[tokio::test]
async fn what_the_journal_does_not_take_is_neither_shown_nor_answered_nor_anything_after_it() {
    let shelf = failing(Failure::Stored, std::io::ErrorKind::Other);
    shelf.refusals.store(u32::MAX, Ordering::Relaxed);
    let (writer, desk) = start(&shelf);
    assert_eq!(desk.command(None, subscribe("a")).await, Ok(Answer::Done));
    for id in ["b", "c"] {
        let refused = desk.command(None, subscribe(id)).await;
        assert!(matches!(refused, Err(Refused::Broken(_))), "{refused:?}");
    }
    assert_eq!(desk.state().subscriptions.len(), 1);
    let health = desk.health();
    assert!(matches!(&health, Health::Broken(why) if why.contains("journal")), "{health:?}");
    writer.stop().await;
}

/// Has the journal fail, and returns how the server stands when it was opened again, and the subscriptions in it.
async fn after(shelf: &Shelf) -> (Health, usize) {
    let (writer, desk) = start(shelf);
    assert_eq!(desk.command(None, subscribe("a")).await, Ok(Answer::Done));
    let refused = desk.command(None, subscribe("b")).await;
    assert!(matches!(refused, Err(Refused::Broken(_))), "{refused:?}");
    desk.until_health(|health| matches!(health, Health::Held(_) | Health::Ready)).await;
    let health = desk.health();
    let refused = desk.command(None, subscribe("c")).await;
    match &health {
        Health::Held(why) => {
            assert_eq!(refused, Err(Refused::Command(CommandError::Held(why.clone()))));
            let gone = Command::Unsubscribe { id: "a".into() };
            assert_eq!(desk.command(None, gone).await, Ok(Answer::Done), "closings are possible");
        }
        _ => assert_eq!(refused, Ok(Answer::Done)),
    }
    let there = desk.state().subscriptions.len();
    writer.stop().await;
    (health, there)
}

#[tokio::test]
async fn a_journal_that_failed_is_opened_again_and_holds_everything_until_a_restart() {
    for (how, there) in [(Failure::Lost, 0), (Failure::Stored, 1)] {
        let (health, left) = after(&failing(how, std::io::ErrorKind::Other)).await;
        assert!(matches!(&health, Health::Held(why) if why.contains("start the server again")), "{health:?}");
        assert_eq!(left, there, "{how:?}");
    }
}

#[tokio::test]
async fn it_is_tried_again_until_it_can_be_opened() {
    let shelf = failing(Failure::Lost, std::io::ErrorKind::Other);
    shelf.refusals.store(2, Ordering::Relaxed);
    assert!(matches!(after(&shelf).await, (Health::Held(_), 0)));
}

#[tokio::test]
async fn what_comes_back_while_the_journal_fails_is_not_waited_for() {
    let shelf = failing(Failure::Lost, std::io::ErrorKind::StorageFull);
    let cloud = Arc::new(Slow(Semaphore::new(0)));
    let (writer, desk) = start_over(&shelf, cloud.clone());
    assert_eq!(desk.command(None, subscribe("a")).await, Ok(Answer::Done));
    let late = desk.clone();
    let come_back = move || {
        cloud.0.add_permits(1);
        while late.waiting() == 0 {
            std::thread::yield_now();
        }
    };
    *shelf.meanwhile.lock().unwrap() = Some(Box::new(come_back));
    desk.command(None, subscribe("b")).await.unwrap_err();
    let ready = desk.until_health(|health| *health == Health::Ready);
    tokio::time::timeout(ANSWER_WITHIN, ready).await.unwrap();
    writer.stop().await;
}

#[tokio::test]
async fn a_disk_that_was_full_and_has_room_again_is_no_reason_to_wait() {
    let (health, left) = after(&failing(Failure::Lost, std::io::ErrorKind::StorageFull)).await;
    assert_eq!((health, left), (Health::Ready, 2));
}

#[tokio::test]
async fn on_a_disk_that_stays_full_everything_is_held_from_the_start_and_after_a_failure() {
    let shelf = failing(Failure::Lost, std::io::ErrorKind::StorageFull);
    let (writer, desk) = start(&shelf);
    assert_eq!(desk.command(None, subscribe("a")).await, Ok(Answer::Done));
    *shelf.reserve.lock().unwrap() = Reserve::Spent;
    desk.command(None, subscribe("b")).await.unwrap_err();
    desk.until_health(|health| matches!(health, Health::Held(why) if why.contains("nearly full"))).await;
    writer.stop().await;

    let (writer, desk) = start(&shelf);
    desk.until_health(|health| matches!(health, Health::Held(_))).await;
    assert!(desk.state().held.is_some(), "everybody can see it");
    writer.stop().await;
}
