//! What an action is told and can do; see `wit/action.wit`, and `wit/cloud.wit`, `packages.wit` and `http.wit` for the
//! capabilities.

use crate::bindings::action::fenix::plugin::{cloud, http, packages};

pub use crate::bindings::action::exports::fenix::plugin::action::{Again, Assignment, Failure, Progress};
pub use crate::bindings::action::fenix::plugin::cloud::{Error as CloudError, HostStatus};
pub use crate::bindings::action::fenix::plugin::http::{Error as HttpError, Header, Request, Response};
pub use crate::bindings::action::fenix::plugin::packages::{Error as PackageError, Package};

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
/// What it takes first is what it may use: `&mut dyn Cloud`, `&mut dyn Packages`, `&mut dyn Http`, or `&mut dyn Host` for all of
/// them. A component asks for what its code calls, and an administrator grants it, or not (`fenix plugin grant`). Calls over HTTP
/// are asked for by rules, of which a grant may be a part: `http: ["GET,POST https://*/*"]`.
///
/// The version is the crate's. The name is 1 to 64 of `a-z`, `0-9` and `-`.
#[macro_export]
macro_rules! action {
    (name: $name:literal, run: $run:path $(, http: [$($rule:literal),* $(,)?])? $(,)?) => {
        const _: fn(
            &$crate::action::Assignment,
            ::core::option::Option<&str>,
        ) -> ::core::result::Result<$crate::action::Progress, $crate::action::Failure> =
            |assignment, checkpoint| $run(&mut $crate::action::Imports, assignment, checkpoint);
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
            $crate::__manifest!($name, "action" $(, http: [$($rule),*])?);
        };
    };
}

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

/// What the session brought, for the host of the assignment; documented in `wit/packages.wit`.
pub trait Packages {
    /// The session's packages, in the order in which it names them.
    ///
    /// # Errors
    /// It was not granted.
    fn packages(&mut self) -> Result<Vec<Package>, PackageError>;

    /// An address under which the host can fetch a package, for a download that begins within 15 minutes.
    ///
    /// # Errors
    /// It was not granted, or the session brought no such package.
    fn address(&mut self, name: &str) -> Result<String, PackageError>;
}

/// Calls to others over HTTP; documented in `wit/http.wit`.
pub trait Http {
    /// Makes a call, and waits for its answer, whatever its status.
    ///
    /// # Errors
    /// On `unclear` it may have been done, may still be done, or never.
    fn send(&mut self, request: &Request) -> Result<Response, HttpError>;
}

/// All capabilities.
pub trait Host: Cloud + Packages + Http {}

impl<T: Cloud + Packages + Http> Host for T {}

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

impl Packages for Imports {
    fn packages(&mut self) -> Result<Vec<Package>, PackageError> {
        packages::list()
    }
    fn address(&mut self, name: &str) -> Result<String, PackageError> {
        packages::address(name)
    }
}

impl Http for Imports {
    fn send(&mut self, request: &Request) -> Result<Response, HttpError> {
        http::send(request)
    }
}
