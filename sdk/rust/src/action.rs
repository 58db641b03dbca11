//! What an action is told and can do; see `wit/action.wit`, and `wit/cloud.wit`, `packages.wit`, `http.wit`, `remote.wit` and
//! `kv.wit` for the capabilities.

use crate::bindings::action::fenix::plugin::{cloud, http, kv, packages, remote};

pub use crate::bindings::action::fenix::plugin::assignments::{Again, Assignment, Failure, Progress};
pub use crate::bindings::action::fenix::plugin::cloud::{Error as CloudError, HostStatus};
pub use crate::bindings::action::fenix::plugin::http::{Error as HttpError, Header, Request, Response};
pub use crate::bindings::action::fenix::plugin::kv::Error as KvError;
pub use crate::bindings::action::fenix::plugin::packages::{Error as PackageError, Package};
pub use crate::bindings::action::fenix::plugin::remote::{
    Ending, Error as RemoteError, State as CommandState,
};
pub use crate::bindings::assess::exports::fenix::plugin::assessment::Verdict as Assessment;
pub use crate::bindings::gate::exports::fenix::plugin::gate::{Pause, Verdict as Opening};

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
/// What it takes first is what it may use: `&mut dyn Cloud`, `&mut dyn Packages`, `&mut dyn Http`, `&mut dyn Remote`, `&mut dyn
/// Kv`, or `&mut dyn Host` for all of them. A component asks for what its code calls, and an administrator grants it, or not
/// (`fenix plugin grant`). Calls over HTTP and commands are asked for by rules, of which a grant may be a part: `http: ["GET,POST
/// https://*/*"]`, `remote: ["apt-get install --yes *"]`.
///
/// `run` does the work. Beside it or instead of it there may be `assess` and `gate`, for which a session lists the action under
/// types of these names, and `undo`, which takes back what `run` did:
///
/// ```
/// use fenix_sdk::action::{Assessment, Assignment, Cloud, Failure, Progress};
///
/// fenix_sdk::action! { name: "hello", run: run, assess: assess, undo: undo }
///
/// fn run(_: &mut dyn Cloud, _: &Assignment, _: Option<&str>) -> Result<Progress, Failure> {
///     Ok(Progress::Done("hello".to_owned()))
/// }
/// fn assess(_: &mut dyn Cloud, _: &Assignment, _: Option<&str>) -> Result<Assessment, Failure> {
///     Ok(Assessment::NotNeeded("it was greeted before".to_owned()))
/// }
/// fn undo(
///     _: &mut dyn Cloud, _: &Assignment, _: Option<&str>, _forward: Option<&str>,
/// ) -> Result<Progress, Failure> {
///     Ok(Progress::Done("goodbye".to_owned()))
/// }
/// # fn main() {}
/// ```
///
/// The version is the crate's. The name is 1 to 64 of `a-z`, `0-9` and `-`.
#[macro_export]
macro_rules! action {
    (
        name: $name:literal
        $(, run: $run:path)? $(, assess: $assess:path)? $(, gate: $gate:path)? $(, undo: $undo:path)?
        $(, http: [$($http:literal),* $(,)?])? $(, remote: [$($remote:literal),* $(,)?])? $(,)?
    ) => {
        $($crate::__part!(run, $run, (assignment: &$crate::action::Assignment, checkpoint: ::core::option::Option<&str>) -> $crate::action::Progress);)?
        $($crate::__part!(assess, $assess, (assignment: &$crate::action::Assignment, checkpoint: ::core::option::Option<&str>) -> $crate::action::Assessment);)?
        $($crate::__part!(gate, $gate, (assignment: &$crate::action::Assignment, checkpoint: ::core::option::Option<&str>) -> $crate::action::Opening);)?
        $($crate::__part!(undo, $undo, (assignment: &$crate::action::Assignment, checkpoint: ::core::option::Option<&str>, forward: ::core::option::Option<&str>) -> $crate::action::Progress);)?
        const _: () = ::core::assert!(
            $crate::manifest::is_name($name),
            "a plug-in's name is 1 to 64 of a-z, 0-9 and -"
        );
        #[cfg(target_arch = "wasm32")]
        $crate::__manifest!($name, "action" $(, http: [$($http),*])? $(, remote: [$($remote),*])?);
    };
}

/// Exports one function of an action, and makes sure of its type also where nothing is exported.
#[doc(hidden)]
#[macro_export]
macro_rules! __part {
    (@export run, $function:path) => {
        impl $crate::bindings::action::exports::fenix::plugin::action::Guest for Component {
            fn run(
                assignment: $crate::action::Assignment,
                checkpoint: ::core::option::Option<::std::string::String>,
            ) -> ::core::result::Result<$crate::action::Progress, $crate::action::Failure> {
                $crate::log::log_panics();
                $function(&mut $crate::action::Imports, &assignment, checkpoint.as_deref())
            }
        }
        $crate::bindings::action::export_action!(Component with_types_in $crate::bindings::action);
    };
    (@export assess, $function:path) => {
        impl $crate::bindings::assess::exports::fenix::plugin::assessment::Guest for Component {
            fn assess(
                assignment: $crate::action::Assignment,
                checkpoint: ::core::option::Option<::std::string::String>,
            ) -> ::core::result::Result<$crate::action::Assessment, $crate::action::Failure> {
                $crate::log::log_panics();
                $function(&mut $crate::action::Imports, &assignment, checkpoint.as_deref())
            }
        }
        $crate::bindings::assess::export_assess!(Component with_types_in $crate::bindings::assess);
    };
    (@export gate, $function:path) => {
        impl $crate::bindings::gate::exports::fenix::plugin::gate::Guest for Component {
            fn ask(
                assignment: $crate::action::Assignment,
                checkpoint: ::core::option::Option<::std::string::String>,
            ) -> ::core::result::Result<$crate::action::Opening, $crate::action::Failure> {
                $crate::log::log_panics();
                $function(&mut $crate::action::Imports, &assignment, checkpoint.as_deref())
            }
        }
        $crate::bindings::gate::export_gate!(Component with_types_in $crate::bindings::gate);
    };
    (@export undo, $function:path) => {
        impl $crate::bindings::undo::exports::fenix::plugin::undo::Guest for Component {
            fn undo(
                assignment: $crate::action::Assignment,
                checkpoint: ::core::option::Option<::std::string::String>,
                forward: ::core::option::Option<::std::string::String>,
            ) -> ::core::result::Result<$crate::action::Progress, $crate::action::Failure> {
                $crate::log::log_panics();
                let (checkpoint, forward) = (checkpoint.as_deref(), forward.as_deref());
                $function(&mut $crate::action::Imports, &assignment, checkpoint, forward)
            }
        }
        $crate::bindings::undo::export_undo!(Component with_types_in $crate::bindings::undo);
    };
    ($part:ident, $function:path, ($($argument:ident: $type:ty),*) -> $answer:ty) => {
        const _: fn($($type),*) -> ::core::result::Result<$answer, $crate::action::Failure> =
            |$($argument),*| $function(&mut $crate::action::Imports, $($argument),*);
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            struct Component;
            $crate::__part!(@export $part, $function);
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

/// Commands on the host of the assignment; documented in `wit/remote.wit`.
pub trait Remote {
    /// Starts a command, unless one was started or killed under that name.
    ///
    /// # Errors
    /// On `unclear` it may have been started: call again.
    fn start(&mut self, name: &str, argv: &[String], stdin: &str) -> Result<(), RemoteError>;

    /// Looks how a command stands.
    ///
    /// # Errors
    /// The host did not say.
    fn poll(&mut self, name: &str) -> Result<CommandState, RemoteError>;

    /// Ends a command; one that was not started never will be.
    ///
    /// # Errors
    /// On `unclear` it may have been killed: call again.
    fn kill(&mut self, name: &str) -> Result<(), RemoteError>;
}

/// Values that the actions of one plug-in keep for each other in a session; documented in `wit/kv.wit`.
pub trait Kv {
    /// Reads a value.
    ///
    /// # Errors
    /// It was not granted, or the key is none.
    fn get(&mut self, key: &str) -> Result<Option<String>, KvError>;

    /// Keeps a value, or forgets it; on return it is on disk.
    ///
    /// # Errors
    /// On `unclear` it may have been kept: call again.
    fn set(&mut self, key: &str, value: Option<&str>) -> Result<(), KvError>;
}

/// All capabilities.
pub trait Host: Cloud + Packages + Http + Remote + Kv {}

impl<T: Cloud + Packages + Http + Remote + Kv> Host for T {}

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

impl Remote for Imports {
    fn start(&mut self, name: &str, argv: &[String], stdin: &str) -> Result<(), RemoteError> {
        remote::start(name, argv, stdin)
    }
    fn poll(&mut self, name: &str) -> Result<CommandState, RemoteError> {
        remote::poll(name)
    }
    fn kill(&mut self, name: &str) -> Result<(), RemoteError> {
        remote::kill(name)
    }
}

impl Kv for Imports {
    fn get(&mut self, key: &str) -> Result<Option<String>, KvError> {
        kv::get(key)
    }
    fn set(&mut self, key: &str, value: Option<&str>) -> Result<(), KvError> {
        kv::set(key, value)
    }
}
