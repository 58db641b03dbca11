//! The driver against what the engine relies on.

use std::time::Duration;

use fenix_cloud::conformance::{Site, run};
use fenix_cloud::openstack::account::{Account, Search};
use fenix_cloud::openstack::{self, OpenStack};
use fenix_server::tls::{self, Trust};
use serde_json::json;
use tokio::runtime::Runtime;

use super::stack::{Stack, clouds_file};

/// A driver with the account of the rig's Fenix.
fn driver() -> OpenStack {
    let search = Search { cloud: Some("fenix".to_owned()), file: Some(clouds_file()) };
    let account = Account::find(&search, |_| None).unwrap();
    OpenStack::new(account, openstack::Site::default(), tls::client(&Trust::Nobody).unwrap()).unwrap()
}

#[test]
fn the_driver_holds_what_the_engine_relies_on() {
    let stack = Stack::clean();
    Stack::of("demo").boot(6, "small", &json!({}));
    let site = Site {
        cold: true,
        live: true,
        reboot: false,
        lifecycle: false,
        within: Duration::from_secs(60),
        look_every: Duration::from_millis(300),
    };
    let failures = Runtime::new().unwrap().block_on(run(&site, async || driver()));
    assert!(failures.is_empty(), "{failures:#?}");
    assert_eq!(stack.misheld(), Vec::<String>::new());
}
