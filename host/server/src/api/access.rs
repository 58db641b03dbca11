//! Who may make which call. The call table names an [`Access`] for each; it is enforced here, before the call's
//! handler sees anything.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{FromRequestParts, RawPathParams, Request, State};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use fenix_core::caller::{Caller, Role};
use fenix_core::id::ProjectId;

use super::Api;
use super::body::unreadable;
use super::error::ApiError;
use crate::auth::Refusal;

/// Most characters of a path in the log: those of the API are shorter.
const MAX_SHOWN: usize = 256;

/// The address that a call comes from; the listener notes it with each request.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

/// Who may make a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody, without a token.
    Anybody,
    /// Everybody who has a token.
    Holders,
    /// Administrators and readers.
    Viewers,
    /// Administrators.
    Administrators,
    /// Administrators, readers if they change nothing, and a project for what is its own: the `{project}` in the
    /// path, or what the engine finds to be its own.
    Owners,
}

impl Access {
    /// The roles in words, for the description of the API; `None` = anybody.
    pub(super) fn roles(self, method: &str) -> Option<&'static [&'static str]> {
        match (self, method) {
            (Access::Anybody, _) => None,
            (Access::Holders, _) | (Access::Owners, "get") => Some(&["administrator", "project", "reader"]),
            (Access::Viewers, _) => Some(&["administrator", "reader"]),
            (Access::Administrators, _) => Some(&["administrator"]),
            (Access::Owners, _) => Some(&["administrator", "project"]),
        }
    }

    fn allows(self, role: &Role, reads: bool, project: Option<&str>) -> bool {
        match (self, role) {
            (Access::Anybody | Access::Holders, _) | (_, Role::Administrator) => true,
            (Access::Viewers, Role::Reader) => true,
            (Access::Owners, Role::Reader) => reads,
            (Access::Owners, Role::Project(own)) => project.is_none_or(|project| project == own.as_str()),
            (Access::Viewers, Role::Project(_)) | (Access::Administrators, _) => false,
        }
    }
}

/// Lets a call pass whose caller may make it, and notes who that is. Who is refused stands in the log.
pub(super) async fn admit(
    State((api, access)): State<(Arc<Api>, Access)>,
    path: Result<RawPathParams, RawPathParamsRejection>,
    mut request: Request,
    next: Next,
) -> Response {
    if access == Access::Anybody {
        return next.run(request).await;
    }
    let from = request.extensions().get::<Peer>().map(|peer| peer.0);
    let method = request.method().clone();
    let shown: String = request.uri().path().chars().take(MAX_SHOWN).collect();
    let caller = match api.door.who(request.headers(), from, api.clock.now()).await {
        Ok(caller) => caller,
        Err(refusal) => {
            // Who goes on trying is slowed down, so these lines are few; a call without a token is no attempt.
            if refusal == Refusal::UnknownToken {
                tracing::warn!(?from, %method, path = shown, "wrong token");
            }
            return ApiError::from(refusal).into_response();
        }
    };
    let (by, role) = (caller.name.clone(), caller.role.word());
    let response = match allow(access, &caller, &method, path) {
        Ok(()) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(refused) => refused.into_response(),
    };
    if response.status() == StatusCode::FORBIDDEN {
        tracing::warn!(by, role, ?from, %method, path = shown, "refused");
    }
    response
}

fn allow(
    access: Access,
    caller: &Caller,
    method: &Method,
    path: Result<RawPathParams, RawPathParamsRejection>,
) -> Result<(), ApiError> {
    let path = path.map_err(|error| unreadable(&error))?;
    // `//` leads to where an id is expected. Nothing has an empty one, so that nobody needs to ask whose it is.
    if path.iter().any(|(_, id)| id.is_empty()) {
        return Err(ApiError::not_found("a part of the path is empty, where an id is expected")
            .hint("GET /openapi.json describes what there is"));
    }
    let project = path.iter().find(|(name, _)| *name == "project").map(|(_, value)| value);
    let reads = matches!(*method, Method::GET | Method::HEAD);
    if access.allows(&caller.role, reads, project) { Ok(()) } else { Err(forbidden(caller)) }
}

fn forbidden(caller: &Caller) -> ApiError {
    let message = match &caller.role {
        Role::Project(project) => {
            format!("{} may see and change what belongs to project {project} only", caller.name)
        }
        Role::Reader => format!("{} may look, and change nothing", caller.name),
        Role::Administrator => format!("{} may not do that", caller.name),
    };
    ApiError::new(StatusCode::FORBIDDEN, message).hint("use the token of somebody who may")
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let unknown = |message: &str| ApiError::new(StatusCode::UNAUTHORIZED, message);
        match refusal {
            Refusal::NoToken => unknown("this call needs a token")
                .hint("send it as `Authorization: Bearer TOKEN` or as `X-Auth-Token: TOKEN`"),
            Refusal::UnknownToken => unknown("this token is not known, or its time is over")
                .hint("`fenix token new` makes one; the server reads its tokens again on SIGHUP"),
            Refusal::CannotTell(why) => {
                tracing::warn!(why, "a caller's token cannot be looked at");
                let message = "Keystone cannot be asked whose this token is";
                ApiError::new(StatusCode::SERVICE_UNAVAILABLE, message).hint("try again in a moment")
            }
            Refusal::TooFast(wait) => {
                let wait = wait.as_secs() + 1;
                let message = format!("too many calls; try again in {wait} s");
                ApiError { wait: Some(wait), ..ApiError::new(StatusCode::TOO_MANY_REQUESTS, message) }
            }
        }
    }
}

/// Who makes the call; in the handlers of all calls that are not for anybody.
#[derive(Clone, Debug)]
pub(super) struct By(pub(super) Caller);

impl By {
    /// Lets what belongs to that project be looked at by itself, by administrators and by readers. Whether it may be
    /// changed the engine says, on the state on which it is done.
    pub(super) fn may_see(&self, project: &ProjectId) -> Result<(), ApiError> {
        let foreign = matches!(&self.0.role, Role::Project(own) if own != project);
        if foreign { Err(forbidden(&self.0)) } else { Ok(()) }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for By {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let nobody = || ApiError::new(StatusCode::UNAUTHORIZED, "nobody is known to make this call");
        parts.extensions.get().cloned().map(By).ok_or_else(nobody)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_gets_what_it_may() {
        let blue = || Role::Project("blue".into());
        let check = |access: Access, role: Role, reads: bool, project: Option<&str>, expected: bool| {
            assert_eq!(
                access.allows(&role, reads, project),
                expected,
                "{access:?} {role:?} {reads} {project:?}"
            );
        };
        for access in [Access::Holders, Access::Viewers, Access::Administrators, Access::Owners] {
            check(access, Role::Administrator, false, Some("red"), true);
        }
        check(Access::Holders, blue(), true, None, true);
        check(Access::Viewers, Role::Reader, true, None, true);
        check(Access::Viewers, blue(), true, None, false);
        check(Access::Administrators, Role::Reader, true, None, false);
        check(Access::Administrators, blue(), true, None, false);
        check(Access::Owners, Role::Reader, true, Some("red"), true);
        check(Access::Owners, Role::Reader, false, Some("red"), false);
        check(Access::Owners, blue(), false, Some("blue"), true);
        check(Access::Owners, blue(), false, Some("red"), false);
        check(Access::Owners, blue(), false, None, true);
    }
}
