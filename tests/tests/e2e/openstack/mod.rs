//! Fenix with a real OpenStack, as `make test-openstack` brings one up (tests/openstack).

mod conformance;
mod door;
mod faults;
mod fenix;
mod listener;
mod services;
mod sessions;
mod stack;
