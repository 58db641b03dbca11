//! What an action is told and can do; see `wit/action.wit` and `wit/cloud.wit`.

use crate::bindings::action::fenix::plugin::cloud;

pub use crate::bindings::action::exports::fenix::plugin::action::{Again, Assignment, Failure, Progress};
pub use crate::bindings::action::fenix::plugin::cloud::{Error as CloudError, HostStatus};

/// Makes the crate an action.
///
/// ```
/// use fenix_sdk::action::{Assignment, Cloud, Failure, Progress};
///
/// fenix_sdk::action! { name: "hello", run: run }
///
/// fn run(_: &mut dyn Cloud, assignment: &Assignment, _: Option<&str>) -> Result<Progress, Failure> {
///     Ok(Progress::Done(format!("hello, {}", assignment.host.as_deref().unwrap_or("all"))))
/// }
/// # fn main() {}
/// ```
///
/// The version is the crate's. The name is 1 to 64 of `a-z`, `0-9` and `-`.
#[macro_export]
macro_rules! action {
    (name: $name:literal, run: $run:path $(,)?) => {
        const _: $crate::action::Run = $run;
        const _: () = ::core::assert!(
            $crate::manifest::is_name($name),
            "a plug-in's name is 1 to 64 of a-z, 0-9 and -"
        );

        #[cfg(target_arch = "wasm32")]
        const _: () = {
            struct Component;
            impl $crate::bindings::action::exports::fenix::plugin::action::Guest for Component {
                fn run(
                    assignment: $crate::action::Assignment,
                    checkpoint: ::core::option::Option<::std::string::String>,
                ) -> ::core::result::Result<$crate::action::Progress, $crate::action::Failure> {
                    $crate::log::log_panics();
                    $run(&mut $crate::action::Imports, &assignment, checkpoint.as_deref())
                }
            }
    $crate::bindings::action::export_action!(Component with_types_in $crate::bindings::action);
            $crate::__manifest!($name, "action");
        };
    };
}

/// The one function of an action: what it may touch, what it is told, and what it returned with its last `again`.
pub type Run = fn(&mut dyn Cloud, &Assignment, Option<&str>) -> Result<Progress, Failure>;

/// The infrastructure, as far as an action may touch it; documented in `wit/cloud.wit`.
pub trait Cloud {
    /// Looks at a host.
    ///
    /// # Errors
    /// It is not the assignment's, not there, or did not show itself.
    fn host(&mut self, id: &str) -> Result<HostStatus, CloudError>;

    /// Restarts a host if that boot still runs on it. Idempotent: given again, or late, it never ends another boot.
    ///
    /// # Errors
    /// On `unclear` it may have been done, may still be done, or never.
    fn reboot(&mut self, id: &str, boot: &str) -> Result<(), CloudError>;
}

/// The host's own functions. They exist in a component only; natively each of them panics.
#[derive(Clone, Copy, Debug)]
pub struct Imports;

impl Cloud for Imports {
    fn host(&mut self, id: &str) -> Result<HostStatus, CloudError> {
        cloud::host(id)
    }
    fn reboot(&mut self, id: &str, boot: &str) -> Result<(), CloudError> {
        cloud::end_boot(id, boot)
    }
}
