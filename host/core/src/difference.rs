//! How what was seen of everything differs from what is known.

use std::cmp::Ordering;

use crate::inventory::{Change, Group, Host, Instance, Inventory};

impl Inventory {
    /// What a look at everything changes: what is new or different, then what is gone, in the order of the ids
    /// however the infrastructure lists them. Of something listed twice the last entry counts.
    ///
    /// One walk over both sides: most looks find next to nothing, and there are many of them.
    pub fn differences(&self, hosts: &[Host], instances: &[Instance], groups: &[Group]) -> Vec<Change> {
        let hosts = Compared::new(self.hosts(), hosts, |host| &host.id);
        let instances = Compared::new(self.instances(), instances, |instance| &instance.id);
        let groups = Compared::new(self.groups(), groups, |group| &group.id);
        let mut changes = Vec::new();
        changes.extend(groups.differs.into_iter().cloned().map(Change::Group));
        changes.extend(hosts.differs.into_iter().cloned().map(Change::Host));
        changes.extend(instances.differs.into_iter().cloned().map(Change::Instance));
        changes.extend(instances.gone.into_iter().cloned().map(Change::InstanceGone));
        changes.extend(hosts.gone.into_iter().cloned().map(Change::HostGone));
        changes.extend(groups.gone.into_iter().cloned().map(Change::GroupGone));
        changes
    }
}

/// What is known of one kind of subjects against what was seen of them.
struct Compared<'a, T, K> {
    differs: Vec<&'a T>,
    gone: Vec<&'a K>,
}

impl<'a, T: PartialEq, K: Ord> Compared<'a, T, K> {
    /// `known` comes in the order of the ids.
    fn new(known: impl Iterator<Item = &'a T>, seen: &'a [T], id: fn(&T) -> &K) -> Self {
        let mut listed: Vec<&T> = seen.iter().collect();
        listed.sort_by(|a, b| id(a).cmp(id(b)));
        let mut compared = Compared { differs: Vec::new(), gone: Vec::new() };
        let mut known = known.peekable();
        for (at, seen) in listed.iter().copied().enumerate() {
            if listed.get(at + 1).is_some_and(|next| id(next) == id(seen)) {
                continue;
            }
            let mut same = None;
            while let Some(next) = known.peek() {
                match id(next).cmp(id(seen)) {
                    Ordering::Less => compared.gone.push(id(next)),
                    Ordering::Equal => same = Some(*next),
                    Ordering::Greater => break,
                }
                known.next();
            }
            if same != Some(seen) {
                compared.differs.push(seen);
            }
        }
        compared.gone.extend(known.map(id));
        compared
    }
}
