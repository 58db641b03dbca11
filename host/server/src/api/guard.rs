//! Keeps web pages of others away: without tokens everybody on this machine is an administrator, and a browser on it
//! reaches loopback too.
//!
//! A page can send a request to any address without asking, and, by having its own name resolve to 127.0.0.1, even
//! read the answer. Both show: browsers say where a request comes from (`Origin`) and which name they asked for
//! (`Host`, which matters only without tokens: no page has one). No known client of Fenix sends `Origin`, and all use an address of this machine or the public one.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use super::Api;
use super::error::ApiError;
use crate::wire::payload::Base;

/// Refuses what comes from a page of another site, or under a name that is none of ours.
pub(super) async fn check(
    State(api): State<Arc<Api>>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    allow(&api.base, api.door.is_open(), request.headers())?;
    Ok(next.run(request).await)
}

fn allow(base: &Base, open: bool, headers: &HeaderMap) -> Result<(), ApiError> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("(no text)"));
    // Our own page may have been opened under any name of ours; which names those are is checked below.
    let from_itself = |origin: &str| {
        let authority = origin.split_once("://").map(|(_, rest)| rest);
        authority.is_some_and(|name| text(header::HOST).is_some_and(|host| host.eq_ignore_ascii_case(name)))
    };
    if let Some(origin) = text(header::ORIGIN)
        && !origin.eq_ignore_ascii_case(base.as_str())
        && !from_itself(origin)
    {
        let message = format!("calls from the web page of {} are not taken", shown(origin));
        return Err(ApiError::new(StatusCode::FORBIDDEN, message));
    }
    match text(header::HOST) {
        Some(host) if open && !is_ours(base, host) => {
            let message = format!("this server is not called {}", shown(host));
            let hint = "use 127.0.0.1, or set `public_url` to the name that others use";
            Err(ApiError::new(StatusCode::FORBIDDEN, message).hint(hint))
        }
        Some(_) | None => Ok(()),
    }
}

fn shown(text: &str) -> String {
    text.chars().take(128).collect()
}

/// True for names and addresses of this machine, and for the public one.
fn is_ours(base: &Base, host: &str) -> bool {
    let name = without_port(host);
    let public = base.as_str().split_once("://").map_or("", |(_, rest)| rest);
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || name.eq_ignore_ascii_case(without_port(public))
        || bare.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        Some(_) | None => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(headers: &[(&str, &str)], allowed: bool) {
        let base = Base::new("http://fenix.example:12347").unwrap();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(header::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        assert_eq!(allow(&base, true, &map).is_ok(), allowed, "{headers:?}");
    }

    #[test]
    fn known_clients_are_let_in() {
        check(&[], true);
        for host in [
            "127.0.0.1:12347",
            "localhost:1",
            "LOCALHOST",
            "[::1]:12347",
            "fenix.example:12347",
            "fenix.example",
        ] {
            check(&[("host", host)], true);
        }
        check(&[("host", "fenix.example"), ("origin", "http://fenix.example:12347")], true);
        check(&[("host", "localhost:12347"), ("origin", "http://localhost:12347")], true);
    }

    #[test]
    fn pages_of_other_sites_are_not() {
        check(&[("host", "127.0.0.1:12347"), ("origin", "http://evil.example")], false);
        check(&[("host", "127.0.0.1:12347"), ("origin", "null")], false);
        check(&[("host", "evil.example:12347")], false);
        check(&[("host", "evil.example"), ("origin", "http://evil.example")], false);
        check(&[("host", "127.0.0.1:12347"), ("origin", "http://127.0.0.1:8080")], false);
        check(&[("host", "127.0.0.1.evil.example")], false);
        check(&[("host", "")], false);
    }
}
