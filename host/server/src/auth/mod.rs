//! Who calls: the door of the HTTP API.
//!
//! [`Door`] turns the headers of a call into a [`Caller`], or into a [`Refusal`]. What a caller may do is not known
//! here: the call table says it for each call.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, header};
use fenix_core::caller::{Caller, Role};
use fenix_core::time::Time;
use tokio::sync::watch;

mod keystone;
mod pace;
mod tokens;

pub use keystone::{Keystone, KeystoneSettings};
use pace::Pace;
pub use pace::Rate;
pub use tokens::{MAX_LIFE_DAYS, Tokens, TokensError, mint};

/// The header of OpenStack's clients, beside `Authorization: Bearer`.
pub const X_AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");

/// The name of everybody as long as there are no tokens.
pub const OPEN: &str = "open";

/// Why a caller is not let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no token, or more than one.
    NoToken,
    /// The token is none that is known, or its time is over.
    UnknownToken,
    /// Too many calls; the next one is taken after that time.
    TooFast(Duration),
    /// Keystone cannot be asked whose the token is, for this reason.
    CannotTell(String),
}

/// The door.
pub struct Door {
    guard: Option<Guard>,
    changes: watch::Sender<()>,
}

struct Guard {
    /// The file of tokens, and what it held when it was last read; `None` if only Keystone's count.
    own: Option<(PathBuf, RwLock<Arc<Tokens>>)>,
    keystone: Option<Keystone>,
    /// How fast a token's holder may call.
    calls: Pace<String>,
    /// How fast an address may try tokens that nobody has.
    failures: Pace<IpAddr>,
}

impl Door {
    /// A door without a lock: everybody who reaches it is an administrator.
    pub fn open() -> Door {
        Door { guard: None, changes: watch::Sender::new(()) }
    }

    /// A door for the holders of the tokens in that file and of Keystone's, who may call at that rate; open without
    /// either.
    ///
    /// # Errors
    /// The file cannot be used.
    pub fn new(file: Option<PathBuf>, keystone: Option<Keystone>, rate: Rate) -> Result<Door, TokensError> {
        if file.is_none() && keystone.is_none() {
            return Ok(Door::open());
        }
        let read = |file: PathBuf| {
            let tokens = Tokens::read(&file)?;
            Ok((file, RwLock::new(Arc::new(tokens))))
        };
        let own = file.map(read).transpose()?;
        let (calls, failures) = (Pace::new(rate), Pace::new(Rate::FAILURES));
        Ok(Door { guard: Some(Guard { own, keystone, calls, failures }), changes: watch::Sender::new(()) })
    }

    /// True if nobody needs a token.
    pub fn is_open(&self) -> bool {
        self.guard.is_none()
    }

    /// Reads the file anew; tells how many tokens it has. When it cannot be used, those from before stay in force.
    ///
    /// # Errors
    /// The file cannot be used.
    pub fn reload(&self) -> Result<usize, TokensError> {
        let Some((file, kept)) = self.guard.as_ref().and_then(|guard| guard.own.as_ref()) else {
            return Ok(0);
        };
        let tokens = Tokens::read(file)?;
        let count = tokens.len();
        *kept.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(tokens);
        self.changes.send_replace(());
        Ok(count)
    }

    /// Tells when the tokens were read again: some may be worth nothing any more.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Who sends a call with these headers from that address.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub async fn who(&self, headers: &HeaderMap, from: Option<IpAddr>, now: Time) -> Result<Caller, Refusal> {
        let shown = from.map(|ip| ip.to_string());
        let Some(guard) = &self.guard else {
            return Ok(Caller { name: OPEN.to_owned(), role: Role::Administrator, from: shown });
        };
        let token = token(headers).ok_or(Refusal::NoToken)?;
        let Some((name, role)) = guard.holder(token, now).await? else {
            if let Some(from) = from {
                guard.failures.take(&from).map_err(Refusal::TooFast)?;
            }
            return Err(Refusal::UnknownToken);
        };
        guard.calls.take(&name).map_err(Refusal::TooFast)?;
        Ok(Caller { name, role, from: shown })
    }
}

impl Guard {
    /// The name and role of a token's holder.
    async fn holder(&self, token: &[u8], now: Time) -> Result<Option<(String, Role)>, Refusal> {
        if let Some((_, tokens)) = &self.own {
            let tokens = tokens.read().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some(holder) = tokens.holder(token, now) {
                return Ok(Some((holder.name.clone(), holder.role.clone())));
            }
        }
        match &self.keystone {
            Some(keystone) => keystone.who(token, now).await.map_err(Refusal::CannotTell),
            None => Ok(None),
        }
    }
}

/// The one token that the headers hold; `None` if there is none, or if they differ.
fn token(headers: &HeaderMap) -> Option<&[u8]> {
    let bearer = headers.get_all(header::AUTHORIZATION).iter().map(|value| {
        let (scheme, token) = value.as_bytes().split_at_checked(BEARER.len())?;
        scheme.eq_ignore_ascii_case(BEARER).then(|| token.trim_ascii())
    });
    let plain = headers.get_all(X_AUTH_TOKEN).iter().map(|value| Some(value.as_bytes().trim_ascii()));
    let mut found = bearer.chain(plain);
    let first = found.next()?.filter(|token| !token.is_empty())?;
    found.all(|other| other == Some(first)).then_some(first)
}

const BEARER: &[u8] = b"Bearer ";

#[cfg(test)]
mod tests {
    use super::*;

    fn check(headers: &[(&str, &str)], expected: Option<&str>) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        assert_eq!(token(&map), expected.map(str::as_bytes), "{headers:?}");
    }

    #[test]
    fn a_token_stands_in_either_header() {
        check(&[], None);
        check(&[("authorization", "Bearer abc")], Some("abc"));
        check(&[("authorization", "bearer  abc ")], Some("abc"));
        check(&[("x-auth-token", "abc")], Some("abc"));
        check(&[("x-auth-token", "abc"), ("authorization", "Bearer abc")], Some("abc"));
        check(&[("authorization", "Basic abc")], None);
        check(&[("authorization", "Bear")], None);
        check(&[("authorization", "Bearer ")], None);
        check(&[("x-auth-token", "")], None);
        check(&[("x-auth-token", "abc"), ("authorization", "Bearer other")], None);
        check(&[("x-auth-token", "abc"), ("x-auth-token", "other")], None);
    }
}
