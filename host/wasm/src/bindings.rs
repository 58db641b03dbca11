//! What `wasmtime` makes of `wit/`: one module per world. Nothing here is written by hand.
//!
//! Every host function can fail: that is how the limits end a call.

/// The world of workflows.
#[allow(missing_docs, unreachable_pub, reason = "generated; the documentation is in wit/")]
pub(crate) mod workflow {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "workflow-plugin",
        imports: { default: trappable },
    });
}

/// The world of actions.
#[allow(missing_docs, unreachable_pub, reason = "generated; the documentation is in wit/")]
pub(crate) mod action {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "action-plugin",
        imports: { default: trappable },
        with: { "fenix:plugin/log": crate::bindings::workflow::fenix::plugin::log },
    });
}

/// The part of an action that says whether a host is to be worked on.
#[allow(missing_docs, unreachable_pub, reason = "generated; the documentation is in wit/")]
pub(crate) mod assess {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "assess-plugin",
        imports: { default: trappable },
        with: { "fenix:plugin/assignments": crate::bindings::action::fenix::plugin::assignments },
    });
}

/// The part of an action that says whether the session may go on.
#[allow(missing_docs, unreachable_pub, reason = "generated; the documentation is in wit/")]
pub(crate) mod gate {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "gate-plugin",
        imports: { default: trappable },
        with: { "fenix:plugin/assignments": crate::bindings::action::fenix::plugin::assignments },
    });
}

/// The part of an action that takes back what it did.
#[allow(missing_docs, unreachable_pub, reason = "generated; the documentation is in wit/")]
pub(crate) mod undo {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "undo-plugin",
        imports: { default: trappable },
        with: { "fenix:plugin/assignments": crate::bindings::action::fenix::plugin::assignments },
    });
}
