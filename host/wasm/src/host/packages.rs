//! The interface `packages`: what the session brought.

use fenix_core::grant::Right;
use fenix_core::package::Package;

use crate::action::Acting;
use crate::bindings::action::fenix::plugin::packages as wit;
use crate::limits;
use crate::text::clean;

impl Acting {
    fn may_have_packages(&self, what: &str) -> Result<(), wit::Error> {
        self.gate.open(&Right::Packages, what).map_err(wit::Error::NotGranted)
    }

    fn signed(&mut self, name: &str) -> wasmtime::Result<Result<String, wit::Error>> {
        if let Err(error) = self.may_have_packages("address") {
            return Ok(Err(error));
        }
        let Some(host) = self.host.clone() else {
            let why = "packages.address: the assignment has no host that could fetch anything".to_owned();
            return Ok(Err(wit::Error::NotGranted(self.gate.refused(why))));
        };
        let Some(package) = self.packages.iter().find(|package| package.name == name) else {
            let why = format!("package {}", clean(name, limits::ID_BYTES));
            return Ok(Err(wit::Error::NotFound(why)));
        };
        let digest = package.digest.clone();
        Ok(Ok(self.ask(move |lent| lent.address(&digest, &host))?))
    }
}

fn shown(package: &Package) -> wit::Package {
    wit::Package {
        name: package.name.clone(),
        sha256: package.digest.to_string(),
        kib: u32::try_from(package.bytes.div_ceil(1024)).unwrap_or(u32::MAX),
    }
}

impl wit::Host for Acting {
    fn list(&mut self) -> wasmtime::Result<Result<Vec<wit::Package>, wit::Error>> {
        self.count()?;
        Ok(self.may_have_packages("list").map(|()| self.packages.iter().map(shown).collect()))
    }

    fn address(&mut self, name: String) -> wasmtime::Result<Result<String, wit::Error>> {
        self.count()?;
        self.signed(&name)
    }
}
