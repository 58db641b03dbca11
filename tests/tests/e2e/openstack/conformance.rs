//! The driver against what the engine relies on.

use std::time::Duration;

use fenix_cloud::Cloud;
use fenix_cloud::conformance::{Site, run};
use fenix_cloud::openstack::account::{Account, Search};
use fenix_cloud::openstack::{self, OpenStack};
use fenix_engine::ports::{CloudCall, CloudError, CloudReply};
use fenix_server::tls::{self, Trust};
use serde_json::json;
use tokio::runtime::Runtime;

use super::stack::{Stack, clouds_file, kill, up};

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

#[test]
fn the_servers_of_a_dead_host_are_rebuilt_elsewhere() {
    let stack = Stack::clean();
    let id = Stack::of("demo").boot(1, "small", &json!({})).remove(0);
    let from = stack.host_of(&id);
    let to = stack.computes().into_keys().find(|host| *host != from).unwrap();
    let runtime = Runtime::new().unwrap();
    let driver = driver();
    let evacuate = CloudCall::Evacuate { instance: id.as_str().into(), to: to.as_str().into() };
    let order = || runtime.block_on(driver.call(&evacuate));
    let refused = order();
    assert!(matches!(&refused, Err(CloudError::Refused(why)) if why.contains("is up")), "{refused:?}");
    kill(&format!("nova-{from}"));
    stack.wait("the host to show as down", || stack.computes()[&from]["state"] == "down");
    assert_eq!(order(), Ok(CloudReply::Accepted));
    // Nobody starts anything on it any more that runs elsewhere.
    assert_eq!(stack.computes()[&from]["forced_down"], true);
    stack.wait("the server to run elsewhere", || {
        let server = stack.server(&id);
        server["OS-EXT-SRV-ATTR:host"] == to.as_str() && server["status"] == "ACTIVE"
    });
    up();
    stack.take_back(&from);
    assert_eq!(stack.misheld(), Vec::<String>::new());
}
