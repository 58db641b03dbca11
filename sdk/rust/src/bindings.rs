//! What `wit-bindgen` makes of `wit/`: one module per world. Nothing here is written by hand.
//!
//! `pub_export_macro` keeps the worlds apart: the custom section that makes a component export a world is written
//! by the export macro, in the plug-in, so that a plug-in carries the exports of its own kind only.

/// The world of workflows.
#[allow(missing_docs, clippy::all, reason = "generated; the documentation is in wit/")]
pub mod workflow {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "workflow-plugin",
        pub_export_macro: true,
        export_macro_name: "export_workflow",
        default_bindings_module: "fenix_sdk::bindings::workflow",
        runtime_path: "fenix_sdk::wit_bindgen::rt",
        additional_derives: [PartialEq, Eq],
        generate_all,
    });
}

/// The world of actions.
#[allow(missing_docs, clippy::all, reason = "generated; the documentation is in wit/")]
pub mod action {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "action-plugin",
        pub_export_macro: true,
        export_macro_name: "export_action",
        default_bindings_module: "fenix_sdk::bindings::action",
        runtime_path: "fenix_sdk::wit_bindgen::rt",
        additional_derives: [PartialEq, Eq],
        with: { "fenix:plugin/log@0.1.0": crate::bindings::workflow::fenix::plugin::log },
    });
}

/// The part of an action that says whether a host is to be worked on.
#[allow(missing_docs, clippy::all, reason = "generated; the documentation is in wit/")]
pub mod assess {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "assess-plugin",
        pub_export_macro: true,
        export_macro_name: "export_assess",
        default_bindings_module: "fenix_sdk::bindings::assess",
        runtime_path: "fenix_sdk::wit_bindgen::rt",
        additional_derives: [PartialEq, Eq],
        with: { "fenix:plugin/assignments@0.1.0": crate::bindings::action::fenix::plugin::assignments },
    });
}

/// The part of an action that says whether the session may go on.
#[allow(missing_docs, clippy::all, reason = "generated; the documentation is in wit/")]
pub mod gate {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "gate-plugin",
        pub_export_macro: true,
        export_macro_name: "export_gate",
        default_bindings_module: "fenix_sdk::bindings::gate",
        runtime_path: "fenix_sdk::wit_bindgen::rt",
        additional_derives: [PartialEq, Eq],
        with: { "fenix:plugin/assignments@0.1.0": crate::bindings::action::fenix::plugin::assignments },
    });
}

/// The part of an action that takes back what it did.
#[allow(missing_docs, clippy::all, reason = "generated; the documentation is in wit/")]
pub mod undo {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "undo-plugin",
        pub_export_macro: true,
        export_macro_name: "export_undo",
        default_bindings_module: "fenix_sdk::bindings::undo",
        runtime_path: "fenix_sdk::wit_bindgen::rt",
        additional_derives: [PartialEq, Eq],
        with: { "fenix:plugin/assignments@0.1.0": crate::bindings::action::fenix::plugin::assignments },
    });
}
