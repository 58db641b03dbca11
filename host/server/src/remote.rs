//! Commands that actions run on hosts: how they get there.

use std::path::{Path, PathBuf};

use fenix_remote::Way;
use serde::Deserialize;

/// The folder in the data directory with commands of ways that stay on this machine.
const FOLDER: &str = "commands";

/// Seconds that a command takes in a simulation if nothing else is said.
const SIM_SECONDS: u32 = 2;

/// The ways, as they are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WayName {
    /// No commands.
    #[default]
    Off,
    /// By OpenSSH's client.
    Ssh,
    /// On this machine.
    Local,
    /// Nothing is run.
    Sim,
}

/// What is written about commands on hosts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RemoteSettings {
    /// How hosts are reached.
    pub way: WayName,
    /// With `ssh`: OpenSSH's configuration, which says who logs in where, with which key, and whose keys are believed.
    pub ssh_config: Option<PathBuf>,
    /// With `sim`: seconds that each command takes.
    pub seconds: Option<u32>,
}

impl RemoteSettings {
    /// Whether all of it means something.
    ///
    /// # Errors
    /// Names what does not.
    pub fn check(&self) -> Result<(), String> {
        if self.ssh_config.is_some() && self.way != WayName::Ssh {
            return Err("`remote.ssh_config` goes with `way = \"ssh\"`".to_owned());
        }
        if self.seconds.is_some() && self.way != WayName::Sim {
            return Err("`remote.seconds` goes with `way = \"sim\"`".to_owned());
        }
        Ok(())
    }

    /// The way, for a server with that data directory.
    pub fn way(&self, data_dir: &Path) -> Way {
        // A shell is told the path, wherever it is started.
        let folder = || std::path::absolute(data_dir).unwrap_or_else(|_| data_dir.to_owned()).join(FOLDER);
        match self.way {
            WayName::Off => Way::Off,
            WayName::Ssh => Way::Ssh { config: self.ssh_config.clone() },
            WayName::Local => Way::Local { folder: folder() },
            WayName::Sim => Way::Sim { folder: folder(), seconds: self.seconds.unwrap_or(SIM_SECONDS) },
        }
    }
}

impl WayName {
    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            WayName::Off => "off",
            WayName::Ssh => "ssh",
            WayName::Local => "local",
            WayName::Sim => "sim",
        }
    }
}
