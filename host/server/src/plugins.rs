//! The plug-ins that a session may name.

use std::collections::BTreeMap;

use fenix_core::session::Pin;

/// Every workflow and action there is, by name. Fixed from start to end of the server: a session pins digests, so
/// that a later start with other plug-ins changes nothing for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalogue {
    workflows: BTreeMap<String, Pin>,
    actions: BTreeMap<String, Pin>,
}

impl Catalogue {
    /// A catalogue of these. Of two with one name the later one counts.
    pub fn new(workflows: impl IntoIterator<Item = Pin>, actions: impl IntoIterator<Item = Pin>) -> Self {
        let by_name = |pin: Pin| (pin.name.clone(), pin);
        Self {
            workflows: workflows.into_iter().map(by_name).collect(),
            actions: actions.into_iter().map(by_name).collect(),
        }
    }

    /// The workflows, by name.
    pub fn workflows(&self) -> &BTreeMap<String, Pin> {
        &self.workflows
    }

    /// The actions, by name.
    pub fn actions(&self) -> &BTreeMap<String, Pin> {
        &self.actions
    }
}
