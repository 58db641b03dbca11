//! Every call of the API in one table: the routes and their description are made of the same lines.

use std::sync::Arc;

use axum::routing::{MethodRouter, delete, get, post, put};

use super::access::Access;
use super::{
    Api, audit, backup, constraint, feed, health, history, host, maintenance, metrics, openapi, package,
    plugin, project, subscription, template, watch,
};

/// One call.
pub(super) struct Call {
    /// Who may make it.
    pub(super) access: Access,
    /// `get`, `put`, `post` or `delete`.
    pub(super) method: &'static str,
    /// The path, with `{name}` for what stands in it.
    pub(super) path: &'static str,
    /// What it does, in a few words.
    pub(super) what: &'static str,
    /// The query parameters that it takes, by name, with their schema's type.
    pub(super) query: &'static [(&'static str, &'static str)],
    /// The schema of its body; `?` behind it if it may be left out.
    pub(super) body: Option<&'static str>,
    /// The schema of its answer.
    pub(super) answer: &'static str,
    /// The statuses beside 200 and [`ALWAYS`] with which it may be answered.
    pub(super) statuses: &'static [u16],
    /// Its handler.
    pub(super) route: fn() -> MethodRouter<Arc<Api>>,
}

/// Statuses with which any call may be answered: a path that cannot be read, a stranger's web page, and a server that
/// is at fault.
const ALWAYS: [u16; 3] = [400, 403, 500];

/// Statuses of calls that are not for anybody: no token, and too many calls with one.
const GUARDED: [u16; 2] = [401, 429];

/// Statuses of calls whose body is read.
const READS: [u16; 4] = [408, 413, 422, 503];

const NOT_THERE: &[u16] = &[404];
const COMMAND: &[u16] = &[503];
const NONE: &[u16] = &[];

macro_rules! call {
    ($access:ident $method:ident $path:literal, $what:literal, $handler:expr, $answer:literal, $statuses:expr) => {
        call!($access $method $path, $what, $handler, None, &[], $answer, $statuses)
    };
    ($access:ident $method:ident $path:literal, $what:literal, $handler:expr, $body:expr, $query:expr, $answer:literal,
        $statuses:expr) => {
        Call {
            access: Access::$access,
            method: stringify!($method),
            path: $path,
            what: $what,
            query: $query,
            body: $body,
            answer: $answer,
            statuses: $statuses,
            route: || $method($handler),
        }
    };
}

impl Call {
    /// Every status with which it may be answered beside 200, in order.
    pub(super) fn failures(&self) -> Vec<u16> {
        let reads = if self.body.is_some() { &READS[..] } else { &[] };
        let guarded = if self.access == Access::Anybody { &[] } else { &GUARDED[..] };
        let mut all = [&ALWAYS[..], self.statuses, reads, guarded].concat();
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// The calls.
pub(super) static CALLS: [Call; 52] = [
    call!(Viewers get "/v1/maintenance", "List sessions", maintenance::list, "SessionList", NONE),
    call!(Administrators post "/v1/maintenance", "Start a session", maintenance::start, Some("SessionStart"), &[],
        "SessionStarted", &[409, 509]),
    call!(Viewers get "/v1/maintenance/{session}", "Show a session in a few words", maintenance::show, "Session", NOT_THERE),
    call!(Administrators put "/v1/maintenance/{session}", "Let a session go on, or hold it", maintenance::change,
        Some("SessionChange?"), &[], "SessionChanged", &[404, 409]),
    call!(Administrators delete "/v1/maintenance/{session}", "Close a session, and remove it when it is safe",
        maintenance::delete, "Empty", COMMAND),
    call!(Viewers get "/v1/maintenance/{session}/detail", "Show everything about a session", maintenance::detail,
        "SessionDetail", NOT_THERE),
    call!(Viewers get "/v1/maintenance/{session}/decisions", "Read what was decided, asked, answered and done, and why",
        history::decisions, None, &[("from", "integer")], "Decisions", NOT_THERE),
    call!(Viewers get "/v1/maintenance/{session}/blockers", "Show what a session waits for", maintenance::blockers,
        "Blockers", NOT_THERE),
    call!(Viewers get "/v1/maintenance/{session}/constraints", "Show constraints that cannot be met",
        maintenance::constraints, "Unmet", NOT_THERE),
    call!(Viewers get "/v1/maintenance/{session}/events", "Wait for news of a session", watch::events, None,
        &[("from", "integer"), ("wait", "integer")], "SessionNews", NOT_THERE),
    call!(Owners get "/v1/maintenance/{session}/{project}", "Read which instances a question is about",
        project::instances, "ProjectInstances", NOT_THERE),
    call!(Owners put "/v1/maintenance/{session}/{project}", "Answer a question", project::reply,
        Some("ProjectReply"), &[], "ProjectReplyEcho", NOT_THERE),
    call!(Owners get "/v1/maintenance/{session}/{project}/{instance}", "Read whether a question is about an instance",
        project::instance, "ProjectInstances", NOT_THERE),
    call!(Owners put "/v1/maintenance/{session}/{project}/{instance}", "Answer a question about one instance",
        project::reply_for_instance, Some("ProjectReply"), &[], "ProjectReplyEcho", NOT_THERE),
    call!(Owners get "/v1/instance/{instance}", "Read what is stated about an instance", constraint::get_instance,
        "InstanceConstraint", NOT_THERE),
    call!(Owners put "/v1/instance/{instance}", "State what is to be respected about an instance",
        constraint::put_instance, Some("InstanceConstraintText"), &[], "InstanceConstraint", NONE),
    call!(Owners delete "/v1/instance/{instance}", "Take back what is stated about an instance",
        constraint::delete_instance, "Empty", COMMAND),
    call!(Owners get "/v1/instance_group/{group}", "Read what is stated about a group", constraint::get_group,
        "GroupConstraint", NOT_THERE),
    call!(Owners put "/v1/instance_group/{group}", "State what is to be respected about a group",
        constraint::put_group, Some("GroupConstraintText"), &[], "GroupConstraint", NONE),
    call!(Owners delete "/v1/instance_group/{group}", "Take back what is stated about a group",
        constraint::delete_group, "Empty", COMMAND),
    call!(Owners get "/v1/subscriptions", "List standing orders for messages", subscription::list, "Subscriptions", NONE),
    call!(Owners post "/v1/subscriptions", "Order messages under a new id", subscription::post,
        Some("SubscriptionText"), &[], "Subscription", NONE),
    call!(Owners get "/v1/subscriptions/{id}", "Show a standing order", subscription::get, "Subscription", NOT_THERE),
    call!(Owners put "/v1/subscriptions/{id}", "Order messages under this id", subscription::put,
        Some("SubscriptionText"), &[], "Subscription", NONE),
    call!(Owners delete "/v1/subscriptions/{id}", "End a standing order", subscription::delete, "Empty", COMMAND),
    call!(Viewers get "/v1/hosts", "List hosts with what became of them", host::list, "Hosts", NONE),
    call!(Viewers get "/v1/hosts/{host}", "Show a host and the instances on it", host::show, "HostDetail", NOT_THERE),
    call!(Administrators delete "/v1/hosts/{host}/quarantine", "Say that a host that was left out is right again", host::clear,
        "Host", &[404, 409, 503]),
    call!(Viewers get "/v1/plugins", "List plug-ins", plugin::list, "Plugins", NONE),
    call!(Administrators post "/v1/plugins", "Attach a component", plugin::attach, Some("Component"), &[], "Plugin", NONE),
    call!(Viewers get "/v1/plugins/{name}", "Show a plug-in, by name or digest", plugin::show, "Plugins", NOT_THERE),
    call!(Administrators delete "/v1/plugins/{name}", "Detach a plug-in", plugin::detach, "Empty", &[409, 503]),
    call!(Administrators put "/v1/plugins/{name}/grant", "Let a plug-in use what it asks for, or some of it", plugin::grant,
        Some("Rights?"), &[], "Granted", NOT_THERE),
    call!(Administrators delete "/v1/plugins/{name}/grant", "Let a plug-in use nothing any longer", plugin::revoke, "Empty",
        &[404, 503]),
    call!(Viewers get "/v1/packages", "List packages that are here", package::list, "Packages", NONE),
    call!(Administrators put "/v1/packages/{digest}", "Put a package here, to stay", package::put, Some("Content"), &[],
        "PackageHere", NONE),
    call!(Administrators delete "/v1/packages/{digest}", "Remove a package that was put here", package::delete, "Empty",
        &[409, 422, 503]),
    call!(Administrators post "/v1/packages/{digest}/address", "Sign an address under which a host can fetch a package",
        package::address, Some("PackageFor"), &[], "PackageAddress", NOT_THERE),
    call!(Anybody get "/v1/packages/{digest}/content", "Fetch a package, at an address that was signed",
        package::content, None, &[("until", "integer"), ("host", "string"), ("signature", "string")], "Content", &[404, 422]),
    call!(Viewers get "/v1/templates", "List templates of sessions", template::list, "Templates", NONE),
    call!(Viewers get "/v1/templates/{name}", "Show a template", template::show, "Template", NOT_THERE),
    call!(Administrators put "/v1/templates/{name}", "Save a template", template::put, Some("TemplateText"), &[], "Template", NONE),
    call!(Administrators post "/v1/templates/{name}", "Start a session from a template", template::start,
        Some("SessionChanges?"), &[], "SessionStarted", &[404, 409, 509]),
    call!(Administrators delete "/v1/templates/{name}", "Remove a template", template::delete, "Empty", COMMAND),
    call!(Administrators get "/v1/audit", "Read who had what done", audit::list, None,
        &[("from", "integer"), ("limit", "integer"), ("session", "string")], "Audit", NONE),
    call!(Viewers get "/v1/events", "Follow what happens, as server-sent events", feed::events, None,
        &[("from", "integer"), ("session", "string")], "EventStream", &[503]),
    call!(Administrators get "/v1/backup", "Read the whole journal, for `fenix restore`", backup::backup, "Archive",
        COMMAND),
    call!(Anybody get "/openapi.json", "Read this description", openapi::show, "Anything", NONE),
    call!(Anybody get "/healthz", "Ask whether the server lives", health::alive, "Health", NONE),
    call!(Anybody get "/readyz", "Ask whether the server can do its work", health::ready, "Health", &[503]),
    call!(Viewers get "/metrics", "Read figures for Prometheus, as OpenMetrics text", metrics::show, "Metrics", NONE),
    call!(Holders get "/v1", "Read where the calls are", openapi::index, "Index", NONE),
];
