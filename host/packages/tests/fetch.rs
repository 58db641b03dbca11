//! Packages from servers that do their work, that break off, and that lie: over real connections.

#![expect(clippy::unwrap_used, reason = "a test says so by failing")]

use std::io::Cursor;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use fenix_core::package::PackageSpec;
use fenix_packages::fetch::{FetchError, Progress};
use fenix_packages::policy::{Policy, Proof};
use fenix_packages::signature::Keys;
use minisign::KeyPair;

use crate::common::{CONTENT, Place, Server, answer, digest, good};

mod common;

impl Place {
    /// One that takes packages from this server.
    fn of(server: &Server) -> Place {
        let allowed = format!("http://{}/", server.at).parse().unwrap();
        Place::new(|policy, _| policy.allow = vec![allowed])
    }
}

fn spec(url: String) -> PackageSpec {
    PackageSpec { name: "p".into(), url, sha256: Some(digest(CONTENT)), signature: None }
}

fn on(server: &Server) -> PackageSpec {
    spec(format!("http://{}/p", server.at))
}

#[track_caller]
fn check_here(place: &Place, spec: &PackageSpec) {
    let fetched = place.fetch(spec).unwrap();
    assert_eq!(std::fs::read(&fetched.path).unwrap(), CONTENT);
    assert_eq!((fetched.bytes, &fetched.digest), (CONTENT.len() as u64, &digest(CONTENT)));
    assert_eq!(place.kept(), [digest(CONTENT).as_str()], "nothing else is left");
}

/// Nothing of a package that is refused stays.
#[track_caller]
fn check_refused(answers: Vec<Vec<u8>>, expected: &str) {
    let server = Server::of(answers);
    let place = Place::of(&server);
    let error = place.fetch(&on(&server)).unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
    assert_eq!(place.kept(), [""; 0]);
}

#[test]
fn a_package_is_fetched_once_and_told_how_far_it_is() {
    let server = Server::of(vec![good()]);
    let place = Place::of(&server);
    let told = Mutex::new(Vec::new());
    place.fetch_and_tell(&on(&server), &|progress| told.lock().unwrap().push(progress)).unwrap();
    let all = CONTENT.len() as u64;
    assert_eq!(told.lock().unwrap().last(), Some(&Progress { bytes: all, of: Some(all), attempt: 1 }));
    check_here(&place, &on(&server));
    // The same by another name, from a server that does not even exist.
    check_here(&place, &PackageSpec { url: format!("http://{}/q", server.at), ..on(&server) });
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn what_broke_off_goes_on_where_it_was() {
    let rest = |from: usize| {
        let all = CONTENT.len();
        answer(
            &format!("206 Partial Content\r\ncontent-range: bytes {from}-{}/{all}", all - 1),
            &CONTENT[from..],
            0,
        )
    };
    let begun = answer("200 OK\r\netag: \"1\"", CONTENT, 8);
    let server = Server::of(vec![begun, rest(CONTENT.len() - 8)]);
    check_here(&Place::of(&server), &on(&server));
    let asked = server.asked();
    assert!(!asked[0].contains("range:"), "{}", asked[0]);
    assert!(
        asked[1].contains("range: bytes=12-\r\n") && asked[1].contains("if-range: \"1\""),
        "{}",
        asked[1]
    );
}

#[test]
fn what_broke_off_goes_on_after_a_restart_too() {
    let begun = || answer("200 OK\r\netag: \"1\"", CONTENT, 8);
    let rest = answer("206 Partial Content\r\ncontent-range: bytes 12-19/20", &CONTENT[12..], 0);
    // The other attempts of the first life find nobody who sends more.
    let nothing = || answer("503 Service Unavailable", b"", 0);
    let server = Server::of(vec![begun(), nothing(), nothing(), rest]);
    let place = Place::of(&server);
    let error = place.fetch(&on(&server)).unwrap_err().to_string();
    assert_eq!(error, "3 attempts failed, the last one: the server answers 503 Service Unavailable");
    let allowed = format!("http://{}/", server.at).parse().unwrap();
    let fetcher = Place::fetcher(place.folder.path(), |policy, _| policy.allow = vec![allowed]);
    check_here(&Place { fetcher, folder: place.folder }, &on(&server));
    assert!(server.asked()[3].contains("range: bytes=12-"), "{:?}", server.asked());
}

#[test]
fn a_server_that_knows_no_parts_or_sends_the_wrong_one_begins_anew() {
    let begun = |tag: &str| answer(&format!("200 OK{tag}"), CONTENT, 8);
    let wrong = answer("206 Partial Content\r\ncontent-range: bytes 3-19/20", &CONTENT[3..], 0);
    let beyond = answer("416 Range Not Satisfiable", b"", 0);
    let changed = answer("206 Partial Content\r\ncontent-range: bytes 12-19/20", b"ANOTHER.", 0);
    for (tag, second) in [
        ("", good()),
        ("\r\netag: \"1\"", good()),
        ("\r\netag: W/\"1\"", good()),
        ("\r\netag: \"1\"", wrong),
        ("\r\netag: \"1\"", changed),
        ("\r\netag: \"1\"", beyond),
    ] {
        let server = Server::of(vec![begun(tag), second, good()]);
        check_here(&Place::of(&server), &on(&server));
    }
}

#[test]
fn a_server_that_is_being_started_gets_its_time() {
    let busy = |status: &str| answer(status, b"", 0);
    let server = Server::of(vec![busy("503 Service Unavailable"), busy("429 Too Many Requests"), good()]);
    check_here(&Place::of(&server), &on(&server));
}

#[test]
fn what_is_not_there_or_not_what_it_must_be_is_refused() {
    check_refused(vec![answer("404 Not Found", b"", 0)], "the server answers 404");
    check_refused(vec![answer("403 Forbidden", b"", 0)], "the server answers 403");
    check_refused(vec![answer("200 OK", b"something else", 0)], "has the digest f41f");
    check_refused(vec![vec![]; 3], "3 attempts failed");
    check_refused(vec![answer("200 OK", CONTENT, 1); 3], "3 attempts failed");
    check_refused(vec![b"no HTTP at all\r\n\r\n".to_vec(); 3], "3 attempts failed");
}

#[test]
fn a_package_without_end_ends_at_the_limit() {
    let endless = |head: &str| [head.as_bytes(), &[b'x'; 4096]].concat();
    let said = endless("HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n");
    let unsaid = endless("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n");
    for answer in [said, unsaid] {
        let server = Server::of(vec![answer]);
        let mut place = Place::of(&server);
        let allow = place.fetcher.policy().allow.clone();
        place.fetcher = Place::fetcher(place.folder.path(), |policy, _| {
            policy.allow = allow;
            policy.most_bytes = 1000;
        });
        assert!(matches!(place.fetch(&on(&server)), Err(FetchError::TooLarge(1000))));
        assert_eq!(place.kept(), [""; 0]);
    }
}

#[test]
fn a_server_that_says_nothing_is_not_waited_for_without_end() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let allowed = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let place = Place::new(|policy, _| {
        policy.allow = vec![allowed];
        policy.patience.silence = Duration::from_millis(20);
    });
    let spec = spec(format!("http://{}/p", listener.local_addr().unwrap()));
    let error = place.fetch(&spec).unwrap_err().to_string();
    assert_eq!(error, "3 attempts failed, the last one: the server sent nothing for 0 s");
}

#[test]
fn redirects_are_followed_only_where_packages_may_come_from() {
    let to = |place: &str| answer(&format!("302 Found\r\nlocation: {place}"), b"", 0);
    let server = Server::of(vec![to("/elsewhere"), good()]);
    check_here(&Place::of(&server), &on(&server));
    assert!(server.asked()[1].starts_with("get /elsewhere "));
    let other = Server::of(vec![good()]);
    let foreign = format!("http://{}/p", other.at);
    check_refused(vec![to(&foreign)], &format!("it leads to {foreign}, from where no package may come"));
    assert!(other.asked().is_empty());
    check_refused(vec![to("http://169.254.169.254/latest/meta-data/")], "from where no package may come");
    check_refused(vec![to("file:///etc/passwd")], "from where no package may come");
    check_refused(vec![to("/again"); 6], "from place to place");
    check_refused(vec![answer("302 Found", b"", 0)], "from place to place");
}

/// A folder with this content in the file `p`, beside it the store.
fn folder(change: impl FnOnce(&mut Policy, &Path)) -> (Place, PathBuf) {
    let place = Place::new(|policy, at| {
        let folder = at.join("folder");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("p"), CONTENT).unwrap();
        policy.folder = Some(folder);
        change(policy, at);
    });
    let folder = place.folder.path().join("folder");
    (place, folder)
}

#[test]
fn files_come_out_of_the_folder_and_from_nowhere_else() {
    let (place, folder) = folder(|_, _| {});
    check_here(&place, &spec("file:p".into()));
    let check = |name: &str, expected: &str| {
        let other = PackageSpec { sha256: Some("00".into()), ..spec(format!("file:{name}")) };
        let error = place.fetch(&other).unwrap_err().to_string();
        assert!(error.contains(expected), "{name}: {error}");
    };
    check("p", "has the digest");
    check("q", "there is no file of that name");
    check("../store", "is no name in a folder");
    std::os::unix::fs::symlink("/etc/passwd", folder.join("link")).unwrap();
    check("link", "it is no file in the server's folder");
    std::fs::create_dir(folder.join("d")).unwrap();
    check("d", "it is no file in the server's folder");
}

#[test]
fn signatures_are_verified() {
    let keys = |pair: &KeyPair| {
        let key = pair.pk.to_base64();
        Keys::read(&[key]).unwrap()
    };
    let sign = |pair: &KeyPair, content: &[u8]| {
        minisign::sign(None, &pair.sk, Cursor::new(content), None, None).unwrap().into_string()
    };
    let ours = KeyPair::generate_unencrypted_keypair().unwrap();
    let theirs = KeyPair::generate_unencrypted_keypair().unwrap();
    let right = sign(&ours, CONTENT);
    let check = |signature: Option<&str>, beside: Option<&str>, expected: Result<(), &str>| {
        let (place, folder) = folder(|policy, _| {
            policy.proof = Proof::Signed;
            policy.keys = keys(&ours);
        });
        if let Some(beside) = beside {
            std::fs::write(folder.join("p.minisig"), beside).unwrap();
        }
        let signed =
            PackageSpec { signature: signature.map(str::to_owned), sha256: None, ..spec("file:p".into()) };
        match (place.fetch(&signed), expected) {
            (Ok(_), Ok(())) => {}
            (Err(error), Err(expected)) => {
                assert!(error.to_string().contains(expected), "{error}");
                assert_eq!(place.kept(), [""; 0]);
            }
            (found, expected) => panic!("{found:?}, not {expected:?}"),
        }
    };
    check(Some(&right), None, Ok(()));
    check(None, Some(&right), Ok(()));
    check(None, None, Err("nor is there file:p.minisig"));
    check(
        Some(&sign(&ours, b"something else")),
        None,
        Err("none of the server's keys, or for something else"),
    );
    check(Some(&sign(&theirs, CONTENT)), Some(&right), Err("none of the server's keys"));
    check(Some("signed, me"), None, Err("its signature is none of minisign's"));
    // The comment that is signed with it is not to be changed either.
    let renamed = right.replace("trusted comment: ", "trusted comment: x");
    check(Some(&renamed), None, Err("none of the server's keys, or for something else"));
}

#[test]
fn what_nobody_needs_is_removed() {
    let (place, folder) = folder(|policy, _| policy.proof = Proof::None);
    std::fs::write(folder.join("q"), b"another").unwrap();
    for name in ["p", "q"] {
        place.fetch(&PackageSpec { sha256: None, ..spec(format!("file:{name}")) }).unwrap();
    }
    std::fs::write(place.folder.path().join("store/begun.part"), b"half").unwrap();
    let another = digest(b"another");
    place.fetcher.store().keep_only(&[another.clone()].into(), true);
    assert_eq!(place.kept().len(), 2, "what is on its way stays while somebody waits");
    place.fetcher.store().keep_only(&[another.clone()].into(), false);
    assert_eq!(place.kept(), [another.as_str()]);
}
