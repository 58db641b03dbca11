//! Who may make which call. The call table names an [`Access`] for each; it is enforced here, before the call's
//! handler sees anything.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{FromRequestParts, RawPathParams, Request, State};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use fenix_core::caller::{Caller, Role};
use fenix_core::id::ProjectId;

use super::Api;
use super::body::unreadable;
use super::error::ApiError;
use crate::auth::Refusal;

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
    /// path, or what the call's handler asks [`By::may_touch`] about.
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

/// Lets a call pass whose caller may make it, and notes who that is.
pub(super) async fn admit(
    State((api, access)): State<(Arc<Api>, Access)>,
    path: Result<RawPathParams, RawPathParamsRejection>,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    if access == Access::Anybody {
        return Ok(next.run(request).await);
    }
    let from = request.extensions().get::<Peer>().map(|peer| peer.0);
    let caller = api.door.who(request.headers(), from, api.clock.now())?;
    let path = path.map_err(|error| unreadable(&error))?;
    let project = path.iter().find(|(name, _)| *name == "project").map(|(_, value)| value);
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if !access.allows(&caller.role, reads, project) {
        let (method, path) = (request.method(), request.uri().path());
        tracing::warn!(by = caller.name, role = caller.role.word(), %method, path, "refused");
        return Err(forbidden(&caller));
    }
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
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
    /// Lets what belongs to that project be touched by its owner and by administrators.
    pub(super) fn may_touch(&self, project: &ProjectId) -> Result<(), ApiError> {
        if self.0.role.owns(project) { Ok(()) } else { Err(forbidden(&self.0)) }
    }

    /// Lets what belongs to that project be looked at by whoever may touch it, and by readers.
    pub(super) fn may_see(&self, project: &ProjectId) -> Result<(), ApiError> {
        match self.0.role {
            Role::Reader => Ok(()),
            Role::Administrator | Role::Project(_) => self.may_touch(project),
        }
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
