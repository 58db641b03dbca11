//! The interface `log`, for both kinds of plug-ins.

use crate::action::{Acting, Level};
use crate::bindings::workflow::fenix::plugin::log as wit;
use crate::workflow::Deciding;

impl From<wit::Level> for Level {
    fn from(level: wit::Level) -> Self {
        match level {
            wit::Level::Debug => Level::Debug,
            wit::Level::Info => Level::Info,
            wit::Level::Warn => Level::Warn,
            wit::Level::Error => Level::Error,
        }
    }
}

impl wit::Host for Deciding {
    fn write(&mut self, level: wit::Level, message: String) -> wasmtime::Result<()> {
        self.count()?;
        self.log.push(Level::from(level).name(), &message);
        Ok(())
    }
}

impl wit::Host for Acting {
    fn write(&mut self, level: wit::Level, message: String) -> wasmtime::Result<()> {
        self.count()?;
        Ok(self.say(Level::from(level), &message)?)
    }
}
