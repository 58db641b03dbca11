//! What names of receivers stand for, looked up and checked when a connection is made.
//!
//! A connection is made to one of the addresses that were checked: nothing looks the name up a second time, so nobody
//! can have it stand for something else in between.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::receivers::Receivers;

/// A lookup under way.
pub(crate) type Looking = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// How names are looked up.
pub(crate) type Lookup = fn(String) -> Looking;

/// As the system does.
pub(crate) fn system(name: String) -> Looking {
    Box::pin(async move {
        let found = tokio::net::lookup_host((name, 0)).await?;
        Ok(found.map(|address| address.ip()).collect())
    })
}

/// Finds the addresses of receivers, those only that may be called.
#[derive(Clone, Debug)]
pub(crate) struct Checked {
    pub(crate) receivers: Receivers,
    pub(crate) lookup: Lookup,
}

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let (receivers, looking) = (self.receivers.clone(), (self.lookup)(name.as_str().to_owned()));
        Box::pin(async move {
            let good = receivers.callable(name.as_str(), looking.await?)?;
            if good.is_empty() {
                return Err(format!("{} stands for no address", name.as_str()).into());
            }
            // The port is the URL's.
            let addresses: Addrs = Box::new(good.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(addresses)
        })
    }
}
