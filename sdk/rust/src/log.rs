//! Lines for whoever looks for the cause of something.
//!
//! In a component they go to the host. Natively they are kept for the thread, for tests: [`take`].

use std::cell::RefCell;

pub use crate::bindings::workflow::fenix::plugin::log::Level;

thread_local! {
    static LINES: RefCell<Vec<(Level, String)>> = const { RefCell::new(Vec::new()) };
}

/// Writes one line.
pub fn write(level: Level, message: &str) {
    if cfg!(target_arch = "wasm32") {
        crate::bindings::workflow::fenix::plugin::log::write(level, message);
    } else {
        LINES.with_borrow_mut(|lines| lines.push((level, message.to_owned())));
    }
}

/// Writes one line for the author of the plug-in.
pub fn debug(message: &str) {
    write(Level::Debug, message);
}

/// Writes one line that is worth knowing.
pub fn info(message: &str) {
    write(Level::Info, message);
}

/// Writes one line that somebody should look at.
pub fn warn(message: &str) {
    write(Level::Warn, message);
}

/// Writes one line about something broken.
pub fn error(message: &str) {
    write(Level::Error, message);
}

/// Takes the lines that this thread wrote since the last time. Always empty in a component.
pub fn take() -> Vec<(Level, String)> {
    LINES.take()
}

/// Sends the text of a panic to the log: the sandbox sees only that the plug-in ended.
#[doc(hidden)]
pub fn log_panics() {
    std::panic::set_hook(Box::new(|panic| error(&panic.to_string())));
}
