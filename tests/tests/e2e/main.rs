//! Fenix from end to end: the real binary in real processes, spoken to as its users speak to it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod alarm;
mod api;
mod browser;
mod cloud;
mod description;
#[path = "../../../host/wasm/tests/it/guest.rs"]
mod guest;
mod http;
mod messages;
mod process;
#[path = "../../../host/packages/tests/common/registry.rs"]
mod registry;
mod rig;

mod administration;
mod auth;
mod backup;
mod bad_input;
mod beside;
mod calls;
mod command_line;
mod commands;
mod configuration;
mod conformance;
mod constraints;
mod corpus;
mod crash;
mod damage;
mod demo;
mod deploy;
mod events;
mod figures;
mod hostile;
mod howto;
mod kept;
mod kills;
mod load;
mod logs;
mod managers;
#[cfg(feature = "openstack")]
mod openstack;
mod ordered;
mod own_host;
mod packages;
mod page;
mod port;
mod power;
mod rules;
mod sample_manager;
mod services;
mod tacker;
mod traces;
mod upgrade;
mod verify;
mod vnfm;
mod watching;
mod webhook;
