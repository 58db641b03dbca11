//! The interface `cloud`: the host of the assignment, and nothing else.

use fenix_core::grant::Right;
use fenix_core::id::HostId;
use fenix_engine::ports::{CloudCall, CloudReply};

use crate::action::Acting;
use crate::bindings::action::fenix::plugin::cloud as wit;
use crate::convert;
use crate::limits;
use crate::text::clean;

impl Acting {
    /// The host that was asked for, if the action may use the cloud, and it is the one that may be touched.
    fn granted(&self, id: &str, what: &str) -> Result<HostId, wit::Error> {
        self.gate.open(&Right::Cloud, what).map_err(wit::Error::NotGranted)?;
        match &self.host {
            Some(host) if host.as_str() == id => Ok(host.clone()),
            _ => Err(wit::Error::NotGranted(self.gate.refused(format!(
                "cloud.{what} of host {}: it is not the host of this assignment",
                clean(id, limits::ID_BYTES)
            )))),
        }
    }

    /// Restarts the host, if that boot runs on it.
    fn restart(&mut self, id: &str, boot: Option<String>) -> wasmtime::Result<Result<(), wit::Error>> {
        let host = match self.granted(id, "reboot") {
            Ok(host) => host,
            Err(error) => return Ok(Err(error)),
        };
        Ok(match self.ask(|lent| lent.cloud(CloudCall::Reboot { host, boot }))? {
            Ok(CloudReply::Accepted) => Ok(()),
            Ok(CloudReply::All { .. } | CloudReply::Host { .. } | CloudReply::Instance(_)) => Err(odd()),
            Err(error) => Err(convert::cloud_error(error)),
        })
    }
}

/// An answer that does not belong to the question.
fn odd() -> wit::Error {
    wit::Error::Unclear("the cloud answered something else".to_owned())
}

impl wit::Host for Acting {
    fn host(&mut self, id: String) -> wasmtime::Result<Result<wit::HostStatus, wit::Error>> {
        self.count()?;
        let host = match self.granted(&id, "host") {
            Ok(host) => host,
            Err(error) => return Ok(Err(error)),
        };
        Ok(match self.ask(|lent| lent.cloud(CloudCall::ReadHost { host }))? {
            Ok(CloudReply::Host { host: Some(host), .. }) => Ok(convert::host_status(host)),
            Ok(CloudReply::Host { host: None, .. }) => Err(wit::Error::NotFound(format!("host {id}"))),
            Ok(CloudReply::All { .. } | CloudReply::Instance(_) | CloudReply::Accepted) => Err(odd()),
            Err(error) => Err(convert::cloud_error(error)),
        })
    }

    fn reboot(&mut self, id: String) -> wasmtime::Result<Result<(), wit::Error>> {
        self.count()?;
        self.restart(&id, None)
    }

    fn end_boot(&mut self, id: String, boot: String) -> wasmtime::Result<Result<(), wit::Error>> {
        self.count()?;
        if boot.len() > limits::ID_BYTES {
            let why = format!("no boot has a name of more than {} bytes", limits::ID_BYTES);
            return Ok(Err(wit::Error::Refused(why)));
        }
        self.restart(&id, Some(boot))
    }
}
