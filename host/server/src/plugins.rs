//! The plug-ins that a session may name.

use std::collections::{BTreeMap, BTreeSet};

use fenix_core::id::Digest;
use fenix_core::session::Pin;
use fenix_core::standing::{Attached, PluginKind};
use semver::{Version, VersionReq};

/// A plug-in as a session names it: `upgrade`, or `upgrade@>=1.2, <2`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    name: String,
    versions: Option<VersionReq>,
}

impl Wish {
    /// Reads a name, with a requirement on its version behind an `@`, as Cargo writes them.
    ///
    /// # Errors
    /// The requirement is none.
    pub fn read(text: &str) -> Result<Wish, String> {
        match text.split_once('@') {
            None => Ok(Wish { name: text.to_owned(), versions: None }),
            Some((name, versions)) => Wish::new(name, versions),
        }
    }

    /// What was only named yet.
    ///
    /// # Errors
    /// What stands there for its version is no requirement.
    pub fn of(named: &Pin) -> Result<Wish, String> {
        match named.version.as_str() {
            "" => Ok(Wish { name: named.name.clone(), versions: None }),
            versions => Wish::new(&named.name, versions),
        }
    }

    fn new(name: &str, versions: &str) -> Result<Wish, String> {
        let parsed = VersionReq::parse(versions);
        let parsed = parsed.map_err(|error| {
            let shown: String = versions.chars().take(64).collect();
            format!("{shown:?} says nothing about versions, as `^1.2` or `>=1.2, <2` do: {error}")
        })?;
        Ok(Wish { name: name.to_owned(), versions: Some(parsed) })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same as a session writes it down until it knows more.
    pub fn named(&self) -> Pin {
        let versions = self.versions.as_ref().map(VersionReq::to_string).unwrap_or_default();
        Pin::named(&self.name, &versions)
    }

    /// Whether a plug-in of that name has a version that is wanted.
    ///
    /// # Errors
    /// Says which it has.
    pub fn check(&self, found: &Pin) -> Result<(), String> {
        let Some(wanted) = &self.versions else { return Ok(()) };
        match Version::parse(&found.version) {
            Ok(version) if wanted.matches(&version) => Ok(()),
            Ok(_) | Err(_) => {
                Err(format!("{} is there in version {}, and {wanted} is wanted", self.name, found.version))
            }
        }
    }
}

/// Every workflow and action that a new session may name, by name. A session pins digests, so that another catalogue
/// changes nothing for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalogue {
    workflows: BTreeMap<String, Pin>,
    actions: BTreeMap<String, Pin>,
    /// Those of them that came out of the configured folder.
    from_folder: BTreeSet<Digest>,
}

/// Where a plug-in comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It came with Fenix.
    Shipped,
    /// It lies in the configured folder.
    Folder,
    /// It was attached while the server ran.
    Attached,
}

impl Origin {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Origin::Shipped => "shipped",
            Origin::Folder => "folder",
            Origin::Attached => "attached",
        }
    }
}

impl Catalogue {
    /// A catalogue of these. Of two with one name the later one counts.
    pub fn new(workflows: impl IntoIterator<Item = Pin>, actions: impl IntoIterator<Item = Pin>) -> Self {
        let by_name = |pin: Pin| (pin.name.clone(), pin);
        Self {
            workflows: workflows.into_iter().map(by_name).collect(),
            actions: actions.into_iter().map(by_name).collect(),
            from_folder: BTreeSet::new(),
        }
    }

    /// The same catalogue, which knows of these that they came out of the configured folder.
    #[must_use]
    pub fn from_folder(self, digests: impl IntoIterator<Item = Digest>) -> Self {
        Self { from_folder: digests.into_iter().collect(), ..self }
    }

    /// The same catalogue with what was attached since; it goes before what has the same name.
    #[must_use]
    pub fn with(&self, attached: &BTreeMap<String, Attached>) -> Self {
        let mut all = self.clone();
        for Attached { pin, kind } in attached.values() {
            let named = match kind {
                PluginKind::Workflow => &mut all.workflows,
                PluginKind::Action => &mut all.actions,
            };
            named.insert(pin.name.clone(), pin.clone());
        }
        all
    }

    /// The workflows, by name.
    pub fn workflows(&self) -> &BTreeMap<String, Pin> {
        &self.workflows
    }

    /// The actions, by name.
    pub fn actions(&self) -> &BTreeMap<String, Pin> {
        &self.actions
    }

    /// All of them, with what each is for.
    pub fn all(&self) -> impl Iterator<Item = (PluginKind, &Pin)> {
        let workflows = self.workflows.values().map(|pin| (PluginKind::Workflow, pin));
        workflows.chain(self.actions.values().map(|pin| (PluginKind::Action, pin)))
    }

    /// Where one of them came from when the server started.
    pub fn origin(&self, digest: &Digest) -> Origin {
        if self.from_folder.contains(digest) { Origin::Folder } else { Origin::Shipped }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_is_for_a_name_and_perhaps_for_versions() {
        let check = |text: &str, version: &str, expected: Result<(), &str>| {
            let found = Pin { version: version.into(), digest: "d".into(), ..Pin::named("upgrade", "") };
            let wish = Wish::read(text);
            let again = wish.as_ref().map(|wish| Wish::of(&wish.named()));
            assert!(again.is_err() || again == Ok(wish.clone()), "it is written down as it was read");
            match (wish.and_then(|wish| wish.check(&found)), expected) {
                (Ok(()), Ok(())) => {}
                (Err(why), Err(part)) => assert!(why.contains(part), "{why}"),
                other => panic!("{text}: {other:?}"),
            }
        };
        check("upgrade", "1.2.0", Ok(()));
        check("upgrade", "anything", Ok(()));
        check("upgrade@1.2", "1.9.0", Ok(()));
        check("upgrade@>=1.2, <2", "1.2.0", Ok(()));
        check("upgrade@=1.2.0", "1.2.1", Err("upgrade is there in version 1.2.1, and =1.2.0 is wanted"));
        check("upgrade@^2", "1.9.0", Err("and ^2 is wanted"));
        check("upgrade@^1", "anything", Err("in version anything"));
        check("upgrade@", "1.0.0", Err("says nothing about versions"));
        check("upgrade@new", "1.0.0", Err("\"new\" says nothing about versions"));
    }
}
