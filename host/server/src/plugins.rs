//! The plug-ins that a session may name.

use std::collections::{BTreeMap, BTreeSet};

use fenix_core::id::Digest;
use fenix_core::session::Pin;
use fenix_core::standing::{Attached, PluginKind};

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
