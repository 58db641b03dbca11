//! Commands on this machine, with real shells: started once, found again, ended.

#![expect(clippy::unwrap_used, reason = "a test says so by failing")]

use std::path::Path;

use fenix_core::id::HostId;
use fenix_core::remote::{Ending, RemoteCall, RemoteState};
use fenix_remote::{Remote, Way};

/// A host of its own, gone with the test.
struct Bench {
    remote: Remote,
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let remote = Remote::new(Way::Local { folder: folder.path().to_owned() });
        Bench { remote, folder }
    }

    async fn call(&self, call: RemoteCall) -> RemoteState {
        self.remote.call(&HostId::from("here"), call).await.unwrap()
    }

    async fn start(&self, id: &str, argv: &[&str], stdin: &str) {
        let argv = argv.iter().map(|&argument| argument.to_owned()).collect();
        let call = RemoteCall::Start { id: id.to_owned(), argv, stdin: stdin.to_owned() };
        assert_eq!(self.call(call).await, RemoteState::Running);
    }

    async fn poll(&self, id: &str) -> RemoteState {
        self.call(RemoteCall::Poll { id: id.to_owned() }).await
    }

    async fn kill(&self, id: &str) {
        assert_eq!(self.call(RemoteCall::Kill { id: id.to_owned() }).await, RemoteState::Killed);
    }

    /// Looks until it runs no longer.
    async fn end(&self, id: &str) -> RemoteState {
        loop {
            let state = self.poll(id).await;
            if state != RemoteState::Running {
                return state;
            }
        }
    }

    fn claim(&self, id: &str) -> Vec<String> {
        let claim = std::fs::read_to_string(self.folder.path().join("here").join(id).join("claim")).unwrap();
        claim.split_whitespace().map(str::to_owned).collect()
    }
}

fn ended(status: u8, output: &str) -> RemoteState {
    RemoteState::Ended(Ending { status, output: output.to_owned(), last: String::new() })
}

fn lines(path: &Path) -> usize {
    std::fs::read_to_string(path).unwrap_or_default().lines().count()
}

#[tokio::test]
async fn a_command_is_run_as_it_was_said() {
    let bench = Bench::new();
    let check = async |id: &str, argv: &[&str], stdin: &str, expected: RemoteState| {
        bench.start(id, argv, stdin).await;
        assert_eq!(bench.end(id).await, expected);
    };
    check("true", &["true"], "", ended(0, "")).await;
    check("status", &["sh", "-c", "echo out; echo err >&2; exit 7"], "", ended(7, "out\nerr\n")).await;
    check(
        "quotes",
        &["printf", "%s|", "a b", "", "'", "$HOME `id` \"\\"],
        "",
        ended(0, "a b||'|$HOME `id` \"\\|"),
    )
    .await;
    check("reads", &["cat"], "it's\n\"all\" $HOME\n", ended(0, "it's\n\"all\" $HOME\n")).await;
    check("binary", &["printf", "\\377a"], "", ended(0, "\u{fffd}a")).await;
    bench.start("signal", &["sh", "-c", "kill -9 $$"], "").await;
    assert!(matches!(bench.end("signal").await, RemoteState::Ended(Ending { status: 137, .. })));
    bench.start("missing", &["no-such-program"], "").await;
    match bench.end("missing").await {
        RemoteState::Ended(Ending { status: 127, output, .. }) => assert!(output.contains("no-such-program")),
        other => panic!("{other:?}"),
    }
    assert_eq!(bench.poll("never").await, RemoteState::None);
}

#[tokio::test]
async fn a_name_is_started_once() {
    let bench = Bench::new();
    let log = bench.folder.path().join("log");
    let count = format!("echo once >>'{}'", log.display());
    for _ in 0..3 {
        bench.start("x", &["sh", "-c", &count], "").await;
    }
    let argv = ["sh", "-c", &count];
    let start = || bench.start("y", &argv, "");
    tokio::join!(start(), start(), start(), start());
    assert_eq!(bench.end("x").await, ended(0, ""));
    assert_eq!(bench.end("y").await, ended(0, ""));
    bench.start("x", &["sh", "-c", &count], "").await;
    assert_eq!(bench.end("x").await, ended(0, ""));
    assert_eq!(lines(&log), 2);
}

#[tokio::test]
async fn what_it_writes_is_kept_from_both_ends() {
    let bench = Bench::new();
    bench.start("x", &["sh", "-c", "yes 1234567 | head -n 40000; echo end"], "").await;
    let RemoteState::Ended(Ending { status: 0, output, last }) = bench.end("x").await else { panic!() };
    assert_eq!((output.len(), last.len()), (64 * 1024, 16 * 1024));
    assert!(output.starts_with("1234567\n1234567\n") && last.ends_with("1234567\nend\n"));
}

#[tokio::test]
async fn what_it_leaves_behind_holds_nothing_up() {
    let bench = Bench::new();
    let log = bench.folder.path().join("pid");
    let leave = format!("sleep 600 & echo $! >'{}'; echo said", log.display());
    bench.start("x", &["sh", "-c", &leave], "").await;
    assert_eq!(bench.end("x").await, ended(0, "said\n"));
    let pid = std::fs::read_to_string(&log).unwrap();
    assert!(
        std::process::Command::new("kill").arg(pid.trim()).status().unwrap().success(),
        "it is still there"
    );
}

#[tokio::test]
async fn what_is_killed_ends_with_all_that_it_started() {
    let bench = Bench::new();
    let log = bench.folder.path().join("pid");
    let nest = format!("sh -c 'echo $$ >\"{}\"; trap \"\" TERM; sleep 600 & wait; sleep 600'", log.display());
    bench.start("x", &["sh", "-c", &nest], "").await;
    while lines(&log) == 0 {
        assert_eq!(bench.poll("x").await, RemoteState::Running);
    }
    bench.kill("x").await;
    assert_eq!(bench.end("x").await, RemoteState::Killed);
    let pid = std::fs::read_to_string(&log).unwrap();
    while Path::new("/proc").join(pid.trim()).exists() {
        bench.poll("x").await;
    }
    bench.kill("never").await;
    assert_eq!(bench.poll("never").await, RemoteState::Killed);
    bench.start("never", &["sh", "-c", &nest], "").await;
    assert_eq!(bench.poll("never").await, RemoteState::Killed, "not started any more");
    bench.start("done", &["true"], "").await;
    assert_eq!(bench.end("done").await, ended(0, ""));
    bench.kill("done").await;
    assert_eq!(bench.poll("done").await, ended(0, ""), "what has ended has ended");
}

#[tokio::test]
async fn what_ends_without_a_word_is_lost_and_another_process_of_that_number_is_not_it() {
    let bench = Bench::new();
    bench.start("x", &["sleep", "600"], "").await;
    let claim = bench.claim("x");
    let group = format!("-{}", claim[0]);
    assert!(std::process::Command::new("kill").args(["-KILL", "--", &group]).status().unwrap().success());
    assert_eq!(bench.end("x").await, RemoteState::Lost);
    bench.start("x", &["sleep", "600"], "").await;
    assert_eq!(bench.poll("x").await, RemoteState::Lost, "not started a second time");
    // A process that is there has the number, and began at another time, or in another boot.
    let path = bench.folder.path().join("here/x/claim");
    for (began, boot) in [("1", claim[2].as_str()), (claim[1].as_str(), "another")] {
        std::fs::write(&path, format!("{} {began} {boot}\n", std::process::id())).unwrap();
        assert_eq!(bench.poll("x").await, RemoteState::Lost);
    }
}

#[tokio::test]
async fn nothing_is_run_in_a_simulation_or_when_commands_are_off() {
    let folder = tempfile::tempdir().unwrap();
    let remote = Remote::new(Way::Sim { folder: folder.path().to_owned(), seconds: 0 });
    let bench = Bench { remote, folder };
    bench.start("x", &["touch", "/no-such-folder/x"], "").await;
    assert_eq!(bench.end("x").await, ended(0, "not run, as this is a simulation: touch /no-such-folder/x\n"));
    let off = Remote::new(Way::Off);
    let error = off.call(&HostId::from("here"), RemoteCall::Poll { id: "x".to_owned() }).await.unwrap_err();
    assert!(error.to_string().contains("`[remote]`"), "{error}");
}
