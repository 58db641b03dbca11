//! Restarts the host, once, and makes sure that it came back.

fenix_sdk::action! { name: "reboot", run: fenix_restart::run }
