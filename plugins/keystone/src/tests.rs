use fenix_sdk::action::{Failure, Header, HttpError, KvError, Response};
use fenix_sdk::testing::FakeHost;
use serde_json::{Value, json};

use super::*;

const TOKEN: &str = "gAAAAAB-a_token-of-ours";

fn auth(metadata: &Value) -> Auth {
    let auth: Auth = serde_json::from_value(metadata.clone()).unwrap();
    auth.check().unwrap();
    auth
}

fn user() -> Value {
    json!({ "url": "https://keystone.example/v3/", "user": "fenix", "project": "admin", "password": "{{secret:pw}}" })
}

fn with(field: &str, value: Value) -> Value {
    let mut metadata = user();
    metadata[field] = value;
    metadata
}

fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Response {
    let header =
        |(name, value): &(&str, &str)| Header { name: (*name).to_owned(), value: (*value).to_owned() };
    Response { status, headers: headers.iter().map(header).collect(), body: body.into() }
}

fn catalog() -> Value {
    let endpoint = |interface: &str, region: &str, url: &str| {
        let mut endpoint = json!({ "interface": interface, "region": region, "url": url });
        endpoint["region_id"] = json!(region);
        endpoint
    };
    json!({ "token": { "catalog": [
        { "type": "compute", "endpoints": [endpoint("public", "one", "https://nova.example")] },
        { "type": "instance-ha", "endpoints": [
            endpoint("internal", "one", "http://10.0.0.1/ha/v1"),
            endpoint("public", "one", "https://one.example/ha/"),
            endpoint("public", "two", "https://two.example/v1/PROJECT"),
        ] },
    ] } })
}

/// Logs in against that answer, and says where a service is.
fn check_endpoint(metadata: &Value, body: &Value, url: Option<&str>, expected: Result<&str, &str>) {
    let mut host = FakeHost::new("x", &[]);
    host.answers.push_back(Ok(answer(201, &[("X-Subject-Token", TOKEN)], &body.to_string())));
    let access = login(&mut host, &auth(metadata)).ok().unwrap();
    match (access.endpoint(url, "instance-ha", "v1"), expected) {
        (Ok(found), Ok(expected)) => assert_eq!(found, expected),
        (Err(Failure::Failed(why)), Err(part)) => assert!(why.contains(part), "{why}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn keystone_is_told_who_asks_and_placeholders_go_along_as_they_are() {
    let check = |metadata: &Value, expected: Value| {
        let mut host = FakeHost::new("x", &[]);
        host.answers.push_back(Ok(answer(201, &[("x-subject-token", TOKEN)], "{}")));
        assert!(login(&mut host, &auth(metadata)).is_ok());
        assert_eq!(host.sent[0].url, "https://keystone.example/v3/auth/tokens");
        let body: Value = serde_json::from_slice(&host.sent[0].body).unwrap();
        assert_eq!(body["auth"], expected);
    };
    let of_user = |user_domain: &str, project_domain: &str| {
        json!({
            "identity": {
                "methods": ["password"],
                "password": { "user": {
                    "name": "fenix", "domain": { "name": user_domain }, "password": "{{secret:pw}}"
                } },
            },
            "scope": { "project": { "name": "admin", "domain": { "name": project_domain } } },
        })
    };
    check(&user(), of_user("Default", "Default"));
    check(&with("user_domain", json!("a")), of_user("a", "a"));
    check(&with("project_domain", json!("b")), of_user("Default", "b"));
    let credential = json!({ "id": "7", "secret": "{{secret:c}}" });
    check(
        &json!({ "url": "https://keystone.example/v3", "application_credential": credential }),
        json!({ "identity": { "methods": ["application_credential"], "application_credential": credential } }),
    );
}

#[test]
fn an_account_that_makes_no_sense_is_refused_by_field() {
    let check = |metadata: Value, expected: &str| {
        let read: Result<Auth, _> = serde_json::from_value(metadata);
        let why = match read {
            Ok(auth) => auth.check().unwrap_err(),
            Err(error) => error.to_string(),
        };
        assert!(why.contains(expected), "{why}");
        assert!(!why.contains("tiger"), "{why}");
    };
    check(json!({}), "missing field `url`");
    check(with("hosts", json!([])), "unknown field `hosts`");
    check(with("url", json!("keystone.example/v3")), "auth.url is an address");
    check(with("url", json!("https://keystone.example/v3?x")), "auth.url is an address");
    check(with("url", json!("https://keystone.example/v2.0")), "auth.url is the base of Keystone's API");
    check(with("user", Value::Null), "auth.user is missing");
    check(with("project", Value::Null), "auth.project is missing");
    check(with("password", Value::Null), "auth.password is missing");
    for password in ["tiger", "{{secret:}}", "{{secret:tiger}}{{secret:b}}", "tiger{{secret:b}}"] {
        check(with("password", json!(password)), "auth.password is written as {{secret:NAME}}");
    }
    check(with("interface", json!("any")), "auth.interface is public, internal or admin");
    let credential = json!({ "id": "7", "secret": "tiger" });
    check(with("application_credential", credential.clone()), "stands without user");
    check(
        json!({ "url": "https://k/v3", "application_credential": credential }),
        "auth.application_credential.secret is written as",
    );
}

#[test]
fn the_catalog_says_where_a_service_is_unless_the_metadata_does() {
    let (user, whole) = (user(), catalog());
    check_endpoint(&user, &whole, None, Ok("https://one.example/ha/v1"));
    check_endpoint(&with("region", json!("two")), &whole, None, Ok("https://two.example/v1/PROJECT"));
    check_endpoint(&with("interface", json!("internal")), &whole, None, Ok("http://10.0.0.1/ha/v1"));
    check_endpoint(&user, &whole, Some("https://here.example"), Ok("https://here.example/v1"));
    check_endpoint(&user, &json!({}), Some("https://here.example/v1/"), Ok("https://here.example/v1"));
    check_endpoint(
        &with("region", json!("three")),
        &whole,
        None,
        Err("no public endpoint of type instance-ha in region three; `url` can say where it is"),
    );
    let listed = |catalog: Value| json!({ "token": { "catalog": catalog } });
    let endpoint = |url: Value| {
        listed(json!([{ "type": "instance-ha", "endpoints": [{ "interface": "public", "url": url }] }]))
    };
    let none = Err("no public endpoint of type instance-ha;");
    for body in [
        json!({}),
        json!([]),
        json!({ "token": 7 }),
        listed(json!([])),
        listed(json!("instance-ha")),
        listed(json!([7, null, { "type": "instance-ha" }, { "type": "instance-ha", "endpoints": [1, {}] }])),
        endpoint(json!(7)),
    ] {
        check_endpoint(&user, &body, None, none);
    }
    check_endpoint(
        &user,
        &endpoint(json!("file:///etc")),
        None,
        Err("the endpoint of type instance-ha is an address"),
    );
}

#[test]
fn a_token_that_is_not_given_is_no_token() {
    let check = |answer: Result<Response, HttpError>, expected: &str| {
        let mut host = FakeHost::new("x", &[]);
        host.answers.push_back(answer);
        let Err(Trouble::Final(Failure::Failed(why)) | Trouble::Passing { why, .. }) =
            login(&mut host, &auth(&user()))
        else {
            panic!("{expected}")
        };
        assert!(why.contains(expected), "{why}");
        assert!(!why.contains(TOKEN), "{why}");
    };
    let token = [("x-subject-token", TOKEN)];
    check(Ok(answer(401, &token, &format!("no: {TOKEN}"))), "/v3/auth/tokens answers 401: no: (a token)");
    check(Ok(answer(503, &token, TOKEN)), "answers 503: (a token)");
    check(Ok(answer(300, &[], "{}")), "answers 300");
    check(Ok(answer(201, &[], "{}")), "answers without a token");
    check(Ok(answer(201, &[("x-subject-token", "a b")], "{}")), "answers without a token");
    check(Ok(answer(201, &[("x-subject-token", &"a".repeat(20_000))], "{}")), "answers without a token");
    check(Ok(answer(201, &token, &format!("<{TOKEN}>"))), "what is no JSON: <(a token)>");
    check(Err(HttpError::NotGranted("http.send".to_owned())), "not granted: http.send");
    check(Err(HttpError::Invalid("no".to_owned())), "auth/tokens: no");
    check(Err(HttpError::Unclear("cut off".to_owned())), "auth/tokens: cut off");
}

#[test]
fn calls_carry_the_token_and_nothing_that_comes_back_has_it() {
    let mut host = FakeHost::new("x", &[]);
    let date = [("x-subject-token", TOKEN), ("Date", "Sun")];
    host.answers.push_back(Ok(answer(201, &date, "{}")));
    let access = login(&mut host, &auth(&user())).ok().unwrap();
    assert_eq!(access.date(), Some("Sun"));
    let call = request("PUT", "https://x/".to_owned(), Some(&json!({ "a": 1 })));
    let mut check = |answer: Result<Response, HttpError>, expected: Result<Value, Trouble>| {
        host.answers.push_back(answer);
        assert_eq!(access.read(&mut host, &call), expected);
        let mut sent = host.sent.pop().unwrap();
        let token = sent.headers.pop().unwrap();
        assert_eq!((token.name.as_str(), token.value.as_str()), ("x-auth-token", TOKEN));
        assert_eq!(sent, call);
    };
    let failed = |why: &str| Err(Trouble::Final(Failure::Failed(why.to_owned())));
    let passing = |why: &str, sent: bool| Err(Trouble::Passing { why: why.to_owned(), sent });
    let told = format!(r#"["{TOKEN}"]"#);
    check(Ok(answer(200, &[], &told)), Ok(json!(["(a token)"])));
    check(Ok(answer(403, &[], &told)), failed(r#"PUT https://x/ answers 403: ["(a token)"]"#));
    check(Ok(answer(302, &[], "")), failed("PUT https://x/ answers 302: "));
    check(Ok(answer(200, &[], "<html>")), failed("PUT https://x/ answers with what is no JSON: <html>"));
    for status in [408, 425, 429, 502, 503, 504] {
        let why = format!(r#"PUT https://x/ answers {status}: ["(a token)"]"#);
        check(Ok(answer(status, &[], &told)), passing(&why, true));
    }
    check(Err(HttpError::Invalid(TOKEN.to_owned())), failed("https://x/: (a token)"));
    check(Err(HttpError::Unreachable(TOKEN.to_owned())), passing("https://x/: (a token)", false));
    check(Err(HttpError::Unclear("slow".to_owned())), passing("https://x/: slow", true));
    check(Err(HttpError::NotGranted("this".to_owned())), failed("not granted: this"));
    assert!(fenix_sdk::log::take().is_empty());
}

#[test]
fn what_may_pass_is_tried_again_after_longer_and_longer_pauses() {
    let trouble = || Trouble::from(KvError::Unclear("the disk is full".to_owned()));
    let mut pauses = Vec::new();
    let mut tries = 0;
    let end = loop {
        match trouble().retry(tries) {
            Ok(retry) => {
                pauses.push(retry.after_ms);
                tries = retry.tries;
            }
            Err(failure) => break failure,
        }
    };
    assert_eq!(pauses[..3], [1_000, 1_500, 2_250]);
    assert_eq!((pauses.len(), pauses[16]), (17, LONGEST_WAIT_MS));
    assert_eq!(end, Failure::Failed("18 attempts, the last one: the disk is full".to_owned()));
    assert!(trouble().retry(u32::MAX).is_err());
    assert_eq!(fenix_sdk::log::take().len(), 17);
    let refused = Failure::Failed("no".to_owned());
    assert_eq!(Trouble::from(refused.clone()).retry(0), Err(refused));
    let not = Trouble::from(KvError::NotGranted("kv.get".to_owned())).retry(0);
    assert_eq!(not, Err(Failure::Failed("not granted: kv.get".to_owned())));
    assert_eq!(
        Trouble::from(KvError::Invalid("long".to_owned())).retry(0),
        Err(Failure::Failed("long".to_owned()))
    );
}

#[test]
fn a_version_is_added_where_none_is_named() {
    let check = |endpoint: &str, expected: &str| assert_eq!(versioned(endpoint, "v1"), expected);
    check("https://x", "https://x/v1");
    check("https://x/", "https://x/v1");
    check("https://x/v1", "https://x/v1");
    check("https://x/v1/7/", "https://x/v1/7");
    check("https://x/v10", "https://x/v10/v1");
    assert_eq!(versioned("http://x:9000/api/v1.0", "api/v1.0"), "http://x:9000/api/v1.0");
}
