//! The interface `kv`: what the actions of a plug-in keep for each other.

use fenix_core::grant::Right;
use fenix_core::values::{MAX_KEY, MAX_VALUE};

use crate::action::{Acting, ValueError};
use crate::bindings::action::fenix::plugin::kv as wit;

impl Acting {
    /// Makes sure that a value may be used, and is one.
    fn value_is_allowed(&self, what: &str, key: &str, value: Option<&str>) -> Result<(), wit::Error> {
        self.gate.open(&Right::Kv, what).map_err(wit::Error::NotGranted)?;
        if key.is_empty() || key.len() > MAX_KEY || value.is_some_and(|value| value.len() > MAX_VALUE) {
            let why = format!("kv.{what}: a key has 1 to {MAX_KEY} bytes, a value at most {MAX_VALUE}");
            return Err(wit::Error::Invalid(why));
        }
        Ok(())
    }
}

impl wit::Host for Acting {
    fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<String>, wit::Error>> {
        self.count()?;
        if let Err(error) = self.value_is_allowed("get", &key, None) {
            return Ok(Err(error));
        }
        let plugin = self.plugin.clone();
        Ok(Ok(self.ask(move |lent| lent.value(&plugin, &key))?))
    }

    fn set(&mut self, key: String, value: Option<String>) -> wasmtime::Result<Result<(), wit::Error>> {
        self.count()?;
        if let Err(error) = self.value_is_allowed("set", &key, value.as_deref()) {
            return Ok(Err(error));
        }
        let plugin = self.plugin.clone();
        Ok(self.ask(move |lent| lent.keep_value(&plugin, &key, value))?.map_err(|error| match error {
            ValueError::Invalid(why) => wit::Error::Invalid(why),
            ValueError::Unclear(why) => wit::Error::Unclear(why),
        }))
    }
}
