//! What the session's list of actions says to it.

use fenix_sdk::action::{Assignment, Failure};
use serde::Deserialize;

/// What to do on each host.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Metadata {
    /// A package of the session, by name.
    pub(crate) package: Option<String>,
    /// Where it is put; from the home of whoever logs in, if it does not begin with `/`.
    pub(crate) to: Option<String>,
    /// What installs it: a program and its arguments.
    pub(crate) install: Vec<String>,
    /// Whether the host is restarted then.
    pub(crate) reboot: bool,
    /// What says at the end, by its status, whether all is well.
    pub(crate) verify: Vec<String>,
    /// What takes it back.
    pub(crate) undo: Vec<String>,
    /// Under the type `assess`: what says, by its status 0, that there is nothing to do.
    pub(crate) unless: Vec<String>,
}

impl Metadata {
    /// Reads it.
    pub(crate) fn read(text: &str) -> Result<Metadata, Failure> {
        let bad = |why: String| Failure::BadMetadata(format!("ssh-upgrade: {why}"));
        let metadata: Metadata = serde_json::from_str(text).map_err(|error| bad(error.to_string()))?;
        if metadata.to.is_some() && metadata.package.is_none() {
            return Err(bad("`to` says where a `package` is put, and there is none".to_owned()));
        }
        Ok(metadata)
    }

    /// What a name stands for: `{{host}}`, `{{session}}`, and with a package `{{file}}`, `{{package}}` and `{{sha256}}`.
    pub(crate) fn value(
        &self,
        assignment: &Assignment,
        sha256: Option<&str>,
        name: &str,
    ) -> Result<String, Failure> {
        let of_package = |value: Option<&str>| {
            let none = || Failure::BadMetadata(format!("ssh-upgrade: {{{{{name}}}}} goes with a `package`"));
            value.map(str::to_owned).ok_or_else(none)
        };
        match name {
            "host" => Ok(assignment.host.clone().unwrap_or_default()),
            "session" => Ok(assignment.session.clone()),
            "package" => of_package(self.package.as_deref()),
            "sha256" => of_package(sha256),
            "file" => {
                let sha256 = of_package(sha256)?;
                let package = of_package(self.package.as_deref())?;
                // Installers want the name, by whose end they know what it is.
                let to = self.to.as_deref().unwrap_or("./fenix-packages/{{sha256}}/{{package}}");
                Ok(to.replace("{{sha256}}", &sha256).replace("{{package}}", &package))
            }
            _ => Err(Failure::BadMetadata(format!(
                "ssh-upgrade: {{{{{name}}}}} stands for nothing; there are host, session, package, file and sha256"
            ))),
        }
    }

    /// What was done, in a sentence for people.
    pub(crate) fn report(&self, assignment: &Assignment) -> String {
        let host = assignment.host.as_deref().unwrap_or_default();
        let mut done = Vec::new();
        if let Some(package) = &self.package {
            done.push(format!("{package} brought"));
        }
        if let Some(program) = self.install.first() {
            done.push(format!("{program} run"));
        }
        if self.reboot {
            done.push("restarted".to_owned());
        }
        if let Some(program) = self.verify.first() {
            done.push(format!("{program} says that all is well"));
        }
        format!("{host}: {}", done.join(", "))
    }
}
