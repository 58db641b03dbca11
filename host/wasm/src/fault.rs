//! Why a call was ended, in words: which limit, or which trap, and in which of the plug-in's functions.

use wasmtime::{Error, ResourceLimiter, Trap, WasmBacktrace};

use crate::limits;
use crate::text::{Lines, clean};

/// A limit that a plug-in ran into.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Breach {
    #[error("it wanted more than {} MiB of memory", limits::MEMORY_BYTES / 1024 / 1024)]
    Memory,
    #[error("it wanted a table of more than {} elements", limits::TABLE_ELEMENTS)]
    Table,
    #[error("it took longer than {seconds} s")]
    Time { seconds: u64 },
    #[error("it called the host more than {} times", limits::HOST_CALLS)]
    Calls,
    #[error("it called others more often than {} times in a second", limits::CALLS_PER_SECOND)]
    Pace,
    #[error("it planned more than {} decisions", limits::PLANNED)]
    Planned,
    #[error("it passed {bytes} bytes as {what}; at most {most} are taken")]
    TooLong { what: &'static str, bytes: usize, most: usize },
    #[error("it passed an empty text as {what}")]
    Empty { what: &'static str },
    #[error("its caller is gone")]
    CallerGone,
}

/// Counts an instance's memory over all its memories.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    used: usize,
}

impl ResourceLimiter for Memory {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // A module that asks for more than it declared gets a plain no from its own declaration.
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let used = self.used + desired.saturating_sub(current);
        if used > limits::MEMORY_BYTES {
            return Err(Breach::Memory.into());
        }
        self.used = used;
        Ok(true)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        if desired > limits::TABLE_ELEMENTS { Err(Breach::Table.into()) } else { Ok(true) }
    }

    fn instances(&self) -> usize {
        limits::PARTS
    }

    fn tables(&self) -> usize {
        limits::PARTS
    }

    fn memories(&self) -> usize {
        limits::PARTS
    }
}

/// True if a call was ended for computing too long, and not for what it did.
pub(crate) fn is_slowness(error: &Error) -> bool {
    matches!(error.downcast_ref::<Trap>(), Some(Trap::OutOfFuel))
        || matches!(error.downcast_ref::<Breach>(), Some(Breach::Time { .. }))
}

/// Says why a call was ended, in one line.
pub(crate) fn describe(error: &Error, log: &Lines) -> String {
    let mut words = match (error.downcast_ref::<Breach>(), error.downcast_ref::<Trap>()) {
        (Some(breach), _) => breach.to_string(),
        (None, Some(Trap::OutOfFuel)) => {
            "it computed for too long: an endless loop, or too much looked at in one call".to_owned()
        }
        (None, Some(Trap::StackOverflow)) => "its functions called each other too deeply".to_owned(),
        (None, Some(Trap::UnreachableCodeReached)) => match log.last_error() {
            Some(text) => format!("it gave up: {text}"),
            None => "it gave up, without saying why".to_owned(),
        },
        (None, Some(trap)) => trap.to_string(),
        (None, None) => error.root_cause().to_string(),
    };
    if let Some(functions) = error.downcast_ref::<WasmBacktrace>().and_then(functions) {
        words.push_str("; in ");
        words.push_str(&functions);
    }
    clean(&words, limits::REPORT_BYTES)
}

/// The plug-in's functions that were being run, the innermost first; `None` if it kept no names.
fn functions(backtrace: &WasmBacktrace) -> Option<String> {
    let names = backtrace.frames().iter().filter_map(|frame| frame.func_name());
    // Without the hashes that compilers append.
    let names: Vec<String> = names.map(|name| format!("{:#}", rustc_demangle::demangle(name))).collect();
    let own: Vec<&String> = names.iter().filter(|name| !is_runtime(name)).collect();
    let shown = if own.is_empty() { names.iter().collect() } else { own };
    let shown: Vec<String> =
        shown.into_iter().take(limits::FRAMES).map(|name| clean(name, limits::FRAME_BYTES)).collect();
    (!shown.is_empty()).then(|| shown.join(" < "))
}

/// True for functions of a language's own machinery, or of the SDK's, which say nothing about the plug-in.
fn is_runtime(name: &str) -> bool {
    let roots =
        ["std::", "core::", "alloc::", "<std::", "<core::", "<alloc::", "__rust", "rust_", "fenix_sdk::"];
    roots.iter().any(|root| name.starts_with(root)) || name.contains(" as fenix_sdk::bindings::")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtimes_own_functions_are_told_from_the_plugins() {
        for (name, runtime) in [
            ("__rustc::rust_begin_unwind", true),
            ("core::panicking::panic_fmt", true),
            ("<alloc::vec::Vec<u8> as core::ops::Index>::index", true),
            ("<x::_::Component as fenix_sdk::bindings::workflow::Guest>::decide", true),
            ("fenix_default::drain::next", false),
            ("spin", false),
        ] {
            assert_eq!(is_runtime(name), runtime, "{name}");
        }
    }
}
