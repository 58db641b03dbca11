//! Artifacts from a real registry, and from registries that lie: over real connections.

#![expect(clippy::unwrap_used, reason = "a test says so by failing")]

use std::io::Cursor;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Mutex;

use fenix_core::id::Digest;
use fenix_core::package::PackageSpec;
use fenix_packages::fetch::{FetchError, Progress};
use fenix_packages::oci::MAX_MANIFEST;
use fenix_packages::policy::{Account, Policy, Proof};
use fenix_packages::signature::Keys;
use minisign::KeyPair;
use oci_client::manifest::{IMAGE_LAYER_GZIP_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE};
use serde_json::{Value, json};

use crate::common::{CONTENT, Place, Server, answer, digest, good};
use crate::registry::{Registry, Serves, WASM};

mod common;
#[path = "common/registry.rs"]
mod registry;

const NAME: &str = "team/upgrade:1.2";

/// A place that takes what is in a registry.
fn place(registry: &Registry, change: impl FnOnce(&mut Policy)) -> Place {
    let allowed = format!("oci+http://{}/team/", registry.at).parse().unwrap();
    Place::new(|policy, _| {
        policy.allow = vec![allowed];
        change(policy);
    })
}

fn spec(at: impl std::fmt::Display, version: &str, sha256: Option<Digest>) -> PackageSpec {
    let url = format!("oci+http://{at}/team/upgrade{version}");
    PackageSpec { name: "p".into(), url, sha256, signature: None }
}

/// A package is here, or it is not and nothing of it is.
#[track_caller]
fn check(place: &Place, spec: &PackageSpec, expected: Result<(), &str>) {
    match (place.fetch(spec), expected) {
        (Ok(fetched), Ok(())) => {
            assert_eq!(std::fs::read(&fetched.path).unwrap(), CONTENT);
            assert_eq!((fetched.bytes, &fetched.digest), (CONTENT.len() as u64, &digest(CONTENT)));
            assert_eq!(place.kept(), [digest(CONTENT).as_str()], "nothing else is left");
        }
        (Err(error), Err(expected)) => {
            assert!(error.to_string().contains(expected), "{error}, not {expected}");
            assert_eq!(place.kept(), [""; 0]);
        }
        (found, expected) => panic!("{found:?}, not {expected:?}"),
    }
}

#[test]
fn artifacts_come_from_a_registry_by_tag_and_by_digest() {
    let registry = Registry::start(&Serves::Everybody, None);
    for kind in [WASM, IMAGE_LAYER_GZIP_MEDIA_TYPE] {
        let pinned = format!("@{}", registry.push(NAME, kind, CONTENT));
        let check = |version: &str, sha256: Option<Digest>, expected: Result<(), &str>| {
            check(&place(&registry, |_| {}), &spec(&registry.at, version, sha256), expected);
        };
        check(":1.2", Some(digest(CONTENT)), Ok(()));
        check(&pinned, None, Ok(()));
        check(&pinned, Some(digest(CONTENT)), Ok(()));
        check(&format!(":1.2{pinned}"), None, Ok(()));
        check(":1.2", None, Err("`sha256` is missing"));
        check(":1.2", Some(digest(b"x")), Err("has the digest"));
        check(":1.3", Some(digest(CONTENT)), Err("the registry has no oci+http://"));
        check(&format!("@sha256:{}", digest(b"x")), None, Err("the registry has no oci+http://"));
    }
}

#[test]
fn a_registry_asks_for_an_account() {
    let registry = Registry::start(&Serves::Me, None);
    registry.push(NAME, WASM, CONTENT);
    let check = |account: Option<(&str, &str)>, expected: Result<(), &str>| {
        let place = place(&registry, |policy| {
            let made = account.map(|(user, password)| Account::new(user, password).unwrap());
            policy.accounts.extend(made.map(|made| (registry.at.clone(), made)));
        });
        check(&place, &spec(&registry.at, ":1.2", Some(digest(CONTENT))), expected);
    };
    check(Some(("me", "secret")), Ok(()));
    check(Some(("me", "wrong")), Err("does not serve whom `packages.accounts` names for 127.0.0.1:"));
    check(None, Err("`packages.accounts` has none for 127.0.0.1:"));
}

#[test]
fn a_registry_asks_for_a_token() {
    // One for each call of who pushes, and one for who fetches.
    let tokens = Server::of(vec![ok(br#"{"token": "good", "access_token": "good"}"#); 20]);
    let registry = Registry::start(&Serves::Tokens(format!("http://{}/token", tokens.at)), None);
    registry.push(NAME, WASM, CONTENT);
    let before = tokens.asked().len();
    let place =
        place(&registry, |policy| policy.allow.push(format!("http://{}/", tokens.at).parse().unwrap()));
    check(&place, &spec(&registry.at, ":1.2", Some(digest(CONTENT))), Ok(()));
    let asked = tokens.asked().split_off(before);
    assert_eq!(asked.len(), 1, "{asked:?}");
    let expected = "get /token?service=here&scope=repository%3ateam%2fupgrade%3apull ";
    assert!(asked[0].starts_with(expected), "{asked:?}");
}

/// A manifest with the content as its only layer, changed.
fn changed(change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut manifest = json!({
        "schemaVersion": 2,
        "mediaType": OCI_IMAGE_MEDIA_TYPE,
        "config": { "mediaType": "application/vnd.wasm.config.v0+json", "digest": "sha256:00", "size": 2 },
        "layers": [{ "mediaType": WASM, "digest": format!("sha256:{}", digest(CONTENT)), "size": CONTENT.len() }],
    });
    change(&mut manifest);
    serde_json::to_vec(&manifest).unwrap()
}

fn manifest() -> Vec<u8> {
    changed(|_| {})
}

fn ok(body: &[u8]) -> Vec<u8> {
    answer("200 OK", body, 0)
}

/// The good manifest, as an answer.
fn named() -> Vec<u8> {
    ok(&manifest())
}

fn pinned() -> String {
    format!("@sha256:{}", digest(&manifest()))
}

/// A place that takes what is in this registry, whatever is known of it.
fn place_of(server: &Server, change: impl FnOnce(&mut Policy, &Path)) -> Place {
    let allowed = format!("oci+http://{}/team/", server.at).parse().unwrap();
    Place::new(|policy, at| {
        policy.allow.push(allowed);
        policy.proof = Proof::None;
        change(policy, at);
    })
}

/// What comes of an artifact that a registry answers for like this. Returns what it was asked.
#[track_caller]
fn check_answers(version: &str, answers: Vec<Vec<u8>>, expected: Result<(), &str>) -> Vec<String> {
    let server = Server::of(answers);
    check(&place_of(&server, |_, _| {}), &spec(server.at, version, None), expected);
    server.asked()
}

#[test]
fn a_registry_is_asked_for_a_manifest_and_a_layer() {
    let asked = check_answers(":1.2", vec![named(), good()], Ok(()));
    assert!(asked[0].starts_with("get /v2/team/upgrade/manifests/1.2 "), "{}", asked[0]);
    assert!(asked[0].contains(&format!("accept: {OCI_IMAGE_MEDIA_TYPE}\r\n")), "{}", asked[0]);
    let blob = format!("get /v2/team/upgrade/blobs/sha256:{} ", digest(CONTENT));
    assert!(asked[1].starts_with(&blob), "{}", asked[1]);
    assert!(asked.iter().all(|request| !request.contains("authorization")), "{asked:?}");
    let asked = check_answers(&format!(":1.2{}", pinned()), vec![named(), good()], Ok(()));
    assert!(
        asked[0].starts_with(&format!("get /v2/team/upgrade/manifests/{} ", &pinned()[1..])),
        "{}",
        asked[0]
    );
    assert_eq!(asked.len(), 2);
}

#[test]
fn what_is_no_package_is_refused() {
    let two =
        |manifest: &mut Value| manifest["layers"] = json!([manifest["layers"][0], manifest["layers"][0]]);
    let index =
        json!({"schemaVersion": 2, "mediaType": OCI_IMAGE_INDEX_MEDIA_TYPE, "manifests": []}).to_string();
    let large = vec![b' '; MAX_MANIFEST + 1];
    let unsaid = [&b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n"[..], &large].concat();
    let other = answer(&format!("200 OK\r\ndocker-content-digest: sha256:{}", digest(b"x")), &manifest(), 0);
    let wrong = format!("its manifest has the digest {}, not ", digest(b"{}"));
    for (version, manifest, expected) in [
        (pinned().as_str(), ok(b"{}"), wrong.as_str()),
        (":1", other, "its manifest has the digest"),
        (":1", ok(index.as_bytes()), "it is an index of several artifacts; name one of them"),
        (":1", ok(&changed(two)), "it has 2 layers"),
        (":1", ok(&changed(|manifest| manifest["layers"] = json!([]))), "it has 0 layers"),
        (
            ":1",
            ok(&changed(|manifest| manifest["layers"][0]["urls"] = json!(["https://x/"]))),
            "elsewhere (`urls`)",
        ),
        (
            ":1",
            ok(&changed(|manifest| manifest["layers"][0]["digest"] = json!("sha512:00"))),
            "named by \"sha512:00\"",
        ),
        (
            ":1",
            ok(&changed(|manifest| manifest["layers"][0]["size"] = json!(u64::from(u32::MAX) << 2))),
            "the most that is taken",
        ),
        (":1", ok(&large), "its manifest is larger than 4194304 bytes"),
        (":1", unsaid, "its manifest is larger than 4194304 bytes"),
        (":1", ok(b"<html>"), "its manifest is none of OCI's"),
        (":1", answer("404 Not Found", b"", 0), "the registry has no oci+http://"),
        (":1", answer("403 Forbidden", b"", 0), "the server answers 403"),
    ] {
        let asked = check_answers(version, vec![manifest], Err(expected));
        assert_eq!(asked.len(), 1, "{asked:?}");
    }
}

#[test]
fn a_layer_is_what_the_manifest_says() {
    let check = |blob: Vec<u8>, expected: &str| {
        check_answers(":1", vec![named(), blob], Err(expected));
    };
    let found = digest(&CONTENT.to_ascii_uppercase());
    check(
        ok(&CONTENT.to_ascii_uppercase()),
        &format!("its content has the digest {found}, not {}", digest(CONTENT)),
    );
    let long = [CONTENT, b"!"].concat();
    let longer = format!("its layer {} is longer than the 20 bytes", digest(CONTENT));
    check(ok(&long), &longer);
    check([&b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n"[..], &long].concat(), &longer);
    check(answer("404 Not Found", b"", 0), &format!("the registry has no layer sha256:{}", digest(CONTENT)));
}

#[test]
fn what_is_named_is_not_replaced_by_what_a_tag_leads_to() {
    let server = Server::of(vec![named()]);
    let named = spec(server.at, ":1", Some(digest(b"x")));
    let expected = format!("its content has the digest {}, not {}", digest(CONTENT), digest(b"x"));
    check(&place_of(&server, |_, _| {}), &named, Err(&expected));
    assert_eq!(server.asked().len(), 1, "nothing of it is fetched");
}

#[test]
fn a_layer_that_broke_off_goes_on_where_it_was() {
    let rest = || answer("206 Partial Content\r\ncontent-range: bytes 12-19/20", &CONTENT[12..], 0);
    // One that breaks off, and one that is said to be whole. Neither server has names for versions.
    for begun in [answer("200 OK", CONTENT, 8), ok(&CONTENT[..12])] {
        let asked = check_answers(":1", vec![named(), begun, named(), rest()], Ok(()));
        assert!(!asked[1].contains("range:"), "{}", asked[1]);
        assert!(asked[3].contains("range: bytes=12-\r\n") && !asked[3].contains("if-range"), "{}", asked[3]);
    }
    // The tag leads to something else now: nothing of the one is added to the other.
    let other =
        changed(|manifest| manifest["layers"][0]["digest"] = json!(format!("sha256:{}", digest(&[7; 20]))));
    let asked = check_answers(":1", vec![ok(&other), answer("200 OK", &[7; 20], 8), named(), good()], Ok(()));
    assert!(!asked[3].contains("range:"), "{}", asked[3]);
}

#[test]
fn a_layer_that_stays_too_short_is_named() {
    let short = || ok(&CONTENT[..12]);
    let beyond = || answer("416 Range Not Satisfiable", b"", 0);
    let server = Server::of(vec![named(), short(), named(), beyond(), named(), short()]);
    let place = place_of(&server, |_, _| {});
    let error = place.fetch(&spec(server.at, ":1", None)).unwrap_err();
    let expected = format!("its layer {} ends after 12 bytes of the 20 of its manifest", digest(CONTENT));
    assert!(matches!(&error, FetchError::Unreachable { tries: 3, why } if *why == expected), "{error}");
}

#[test]
fn an_artifact_is_fetched_once_and_told_how_far_it_is() {
    let server = Server::of(vec![named(), good(), named()]);
    let place = place_of(&server, |policy, _| policy.proof = Proof::Digest);
    let told = Mutex::new(Vec::new());
    let pinned = spec(server.at, &pinned(), None);
    place.fetch_and_tell(&pinned, &|progress| told.lock().unwrap().push(progress)).unwrap();
    let all = CONTENT.len() as u64;
    assert_eq!(told.lock().unwrap().last(), Some(&Progress { bytes: all, of: Some(all), attempt: 1 }));
    // By the digest of its manifest: only that is read again. By its own: nothing is.
    check(&place, &pinned, Ok(()));
    check(&place, &spec(server.at, ":9", Some(digest(CONTENT))), Ok(()));
    assert_eq!(server.asked().len(), 3);
}

/// An answer that leads there.
fn to(place: &str) -> Vec<u8> {
    answer(&format!("307 Temporary Redirect\r\nlocation: {place}"), b"", 0)
}

/// An answer that sends for a token.
fn wants_token(realm: &str) -> Vec<u8> {
    let head = "401 Unauthorized\r\nwww-authenticate: Bearer";
    answer(&format!("{head} realm=\"{realm}\",service=\"here\",scope=\"repository:other:pull,push\""), b"", 0)
}

fn token() -> Vec<u8> {
    ok(br#"{"token": "good"}"#)
}

#[test]
fn a_layer_is_redirected_only_where_packages_may_come_from() {
    let other = Server::of(vec![good()]);
    let foreign = format!("http://{}/blob", other.at);
    let expected = format!("it leads to {foreign}, from where no package may come");
    check_answers(":1", vec![named(), to(&foreign)], Err(&expected));
    check_answers(":1", vec![named(), to("/private/blob")], Err("from where no package may come"));
    check_answers(":1", vec![named(), to("../../../other/blobs/x")], Err("from where no package may come"));
    check_answers(":1", vec![to("http://169.254.169.254/latest/")], Err("from where no package may come"));
    assert!(other.asked().is_empty());
    check_answers(":1", vec![named(), to("/v2/team/upgrade/stored"), good()], Ok(()));
    let server = Server::of(vec![named(), to(&foreign)]);
    let place =
        place_of(&server, |policy, _| policy.allow.push(format!("http://{}/", other.at).parse().unwrap()));
    check(&place, &spec(server.at, ":1", None), Ok(()));
    assert_eq!(other.asked().len(), 1);
}

/// A registry that wants a token, and something else on the way, with the account of `me`. Gets answers for an address of
/// its own and one of somebody else's, who is allowed to have packages or not.
struct Guarded {
    registry: Server,
    other: Server,
    place: Place,
}

impl Guarded {
    fn new(
        is_allowed: bool,
        others: Vec<Vec<u8>>,
        answers: impl FnOnce(&str, &str) -> Vec<Vec<u8>>,
    ) -> Guarded {
        let other = Server::of(others);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (own, foreign) =
            (format!("http://{}", listener.local_addr().unwrap()), format!("http://{}", other.at));
        let registry = Server::on(listener, answers(&own, &foreign));
        let place = place_of(&registry, |policy, _| {
            if is_allowed {
                policy.allow.push(format!("{foreign}/").parse().unwrap());
            }
            policy.accounts.insert(registry.at.to_string(), Account::new("me", "secret").unwrap());
        });
        Guarded { registry, other, place }
    }

    /// Whom each one was asked as: the part of each request that says it.
    #[track_caller]
    fn check(&self, expected: Result<(), &str>, registry: &[&str], other: &[&str]) {
        check(&self.place, &spec(self.registry.at, ":1", None), expected);
        let shown = |server: &Server| -> Vec<String> {
            let told = |request: &String| {
                let line = request.lines().find_map(|line| line.strip_prefix("authorization: "));
                line.unwrap_or_default().to_owned()
            };
            server.asked().iter().map(told).collect()
        };
        assert_eq!((shown(&self.registry), shown(&self.other)), (owned(registry), owned(other)));
    }
}

fn owned(all: &[&str]) -> Vec<String> {
    all.iter().map(|one| (*one).to_owned()).collect()
}

/// `me:secret`, in small letters as requests are shown.
const ME: &str = "basic bwu6c2vjcmv0";
const TOKEN: &str = "bearer good";

#[test]
fn a_token_is_fetched_where_the_registry_says_if_that_is_allowed() {
    let own = Guarded::new(false, vec![], |own, _| {
        vec![wants_token(&format!("{own}/token?x=y")), token(), named(), good()]
    });
    own.check(Ok(()), &["", ME, TOKEN, TOKEN], &[]);
    let asked = &own.registry.asked()[1];
    let expected = "get /token?x=y&service=here&scope=repository%3ateam%2fupgrade%3apull ";
    assert!(asked.starts_with(expected), "{asked}");
    let realm = |_: &str, foreign: &str| vec![wants_token(&format!("{foreign}/token")), named(), good()];
    Guarded::new(true, vec![token()], realm).check(Ok(()), &["", TOKEN, TOKEN], &[ME]);
    let expected = "which is neither on it nor below a place of `packages.allow`";
    Guarded::new(false, vec![token()], realm).check(Err(expected), &[""], &[]);
}

#[test]
fn who_asks_is_told_to_the_registry_alone() {
    // Along a redirect of the layer, and of what gives tokens.
    Guarded::new(true, vec![good()], |own, foreign| {
        vec![wants_token(&format!("{own}/token")), token(), named(), to(&format!("{foreign}/blob"))]
    })
    .check(Ok(()), &["", ME, TOKEN, TOKEN], &[""]);
    Guarded::new(true, vec![token()], |own, foreign| {
        vec![wants_token(&format!("{own}/token")), to(&format!("{foreign}/token")), named(), good()]
    })
    .check(Ok(()), &["", ME, TOKEN, TOKEN], &[""]);
    // On the registry itself it is told again.
    Guarded::new(true, vec![], |own, _| {
        let back = to("/v2/team/upgrade/stored");
        vec![wants_token(&format!("{own}/token")), token(), named(), back, good()]
    })
    .check(Ok(()), &["", ME, TOKEN, TOKEN, TOKEN], &[]);
    // A place that the registry leads to wants an account, and is no registry.
    let wants_me = || answer("401 Unauthorized\r\nwww-authenticate: Basic realm=\"x\"", b"", 0);
    Guarded::new(true, vec![wants_me()], |_, foreign| vec![named(), to(&format!("{foreign}/blob"))]).check(
        Err("the server answers 401"),
        &["", ""],
        &[""],
    );
}

#[test]
fn a_token_that_ran_out_is_renewed_once() {
    let realm = |own: &str| wants_token(&format!("{own}/token"));
    Guarded::new(false, vec![], |own, _| {
        vec![realm(own), token(), named(), realm(own), ok(br#"{"access_token": "next"}"#), good()]
    })
    .check(Ok(()), &["", ME, TOKEN, TOKEN, ME, "bearer next"], &[]);
    Guarded::new(false, vec![], |own, _| vec![realm(own), token(), realm(own)]).check(
        Err("does not serve whom `packages.accounts` names"),
        &["", ME, TOKEN],
        &[],
    );
}

#[test]
fn what_gives_no_token_is_named() {
    let check = |given: Vec<u8>, expected: &str| {
        Guarded::new(false, vec![], |own, _| vec![wants_token(&format!("{own}/token")), given]).check(
            Err(expected),
            &["", ME],
            &[],
        );
    };
    check(answer("401 Unauthorized", b"", 0), "does not serve whom `packages.accounts` names");
    check(answer("404 Not Found", br#"{"token": "good"}"#, 0), "/token gives no token");
    check(ok(b"{}"), "/token gives no token");
    check(ok(br#"{"token": "a b"}"#), "/token gives no token");
    check(ok(&[b' '; 100_000]), "/token gives no token");
    let check = |challenge: &str, expected: &str| {
        let refusal = answer(&format!("401 Unauthorized{challenge}"), b"", 0);
        Guarded::new(false, vec![], |_, _| vec![refusal]).check(Err(expected), &[""], &[]);
    };
    check("", "is not understood: it does not say how");
    check("\r\nwww-authenticate: Negotiate", "is not understood: Negotiate");
    check("\r\nwww-authenticate: Bearer realm=\"file:/etc/passwd\"", "is not understood: Bearer realm");
}

#[test]
fn a_signature_is_named_in_the_session() {
    let pair = KeyPair::generate_unencrypted_keypair().unwrap();
    let sign = |content: &[u8]| {
        minisign::sign(None, &pair.sk, Cursor::new(content), None, None).unwrap().into_string()
    };
    let check = |signature: Option<String>, asked: usize, expected: Result<(), &str>| {
        let server = Server::of(vec![named(), good()]);
        let place = place_of(&server, |policy, _| {
            policy.proof = Proof::Signed;
            policy.keys = Keys::read(&[pair.pk.to_base64()]).unwrap();
        });
        let signed = PackageSpec { signature, ..spec(server.at, &pinned(), None) };
        check(&place, &signed, expected);
        assert_eq!(server.asked().len(), asked);
    };
    check(Some(sign(CONTENT)), 2, Ok(()));
    check(Some(sign(b"x")), 2, Err("none of the server's keys, or for something else"));
    check(None, 0, Err("a signature cannot lie beside an artifact in a registry; name it in the session"));
}
