//! What an instance needs and a host offers.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// What an instance needs, or a host offers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// Virtual CPUs.
    pub vcpus: u32,
    /// Memory in MiB.
    pub memory_mb: u32,
    /// Disk in GB.
    pub disk_gb: u32,
    /// Whatever else there is to count.
    #[serde(default, skip_serializing_if = "Amounts::is_none")]
    pub other: Amounts,
}

impl Resources {
    /// Virtual CPUs, memory in MiB and disk in GB, and nothing else.
    pub const fn of(vcpus: u32, memory_mb: u32, disk_gb: u32) -> Resources {
        Resources { vcpus, memory_mb, disk_gb, other: Amounts(None) }
    }

    /// True if `self` has room for `need` in every dimension.
    pub fn fits(&self, need: &Resources) -> bool {
        need.vcpus <= self.vcpus
            && need.memory_mb <= self.memory_mb
            && need.disk_gb <= self.disk_gb
            && need.other.iter().all(|(class, amount)| amount <= self.other.get(class))
    }

    /// `self` with `other` added, in every dimension.
    #[must_use]
    pub fn plus(&self, other: &Resources) -> Resources {
        Resources {
            vcpus: self.vcpus.saturating_add(other.vcpus),
            memory_mb: self.memory_mb.saturating_add(other.memory_mb),
            disk_gb: self.disk_gb.saturating_add(other.disk_gb),
            other: self.other.changed_by(&other.other, u32::saturating_add),
        }
    }

    /// `self` with `other` taken away; never below zero.
    #[must_use]
    pub fn minus(&self, other: &Resources) -> Resources {
        Resources {
            vcpus: self.vcpus.saturating_sub(other.vcpus),
            memory_mb: self.memory_mb.saturating_sub(other.memory_mb),
            disk_gb: self.disk_gb.saturating_sub(other.disk_gb),
            other: self.other.changed_by(&other.other, u32::saturating_sub),
        }
    }

    /// The larger of both, in every dimension.
    #[must_use]
    pub fn larger(&self, other: &Resources) -> Resources {
        Resources {
            vcpus: self.vcpus.max(other.vcpus),
            memory_mb: self.memory_mb.max(other.memory_mb),
            disk_gb: self.disk_gb.max(other.disk_gb),
            other: self.other.changed_by(&other.other, u32::max),
        }
    }

    /// In words, what there is of it beside what is wanted: disk and further classes only where something is missing.
    pub fn beside(&self, need: &Resources) -> (String, String) {
        let mut sides = (
            format!("{} vcpus and {} MiB", self.vcpus, self.memory_mb),
            format!("{} and {}", need.vcpus, need.memory_mb),
        );
        let disk = ("GB of disk", self.disk_gb, need.disk_gb);
        let other = need.other.iter().map(|(class, amount)| (class, self.other.get(class), amount));
        for (class, has, wants) in std::iter::once(disk).chain(other).filter(|(_, has, wants)| has < wants) {
            sides.0 += &format!(" and {has} {class}");
            sides.1 += &format!(" and {wants}");
        }
        sides
    }
}

impl fmt::Display for Resources {
    /// For people: virtual CPUs, memory, and every further class; disk is seldom what is in the way.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} vcpus, {} MiB", self.vcpus, self.memory_mb)?;
        self.other.iter().try_for_each(|(class, amount)| write!(f, ", {amount} {class}"))
    }
}

/// How much there is of each further class of resources, by the name that the infrastructure gives it: pinned CPUs,
/// graphics cards, whatever its operators count. A class of which there is nothing is not in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "BTreeMap<String, u32>")]
pub struct Amounts(Option<Arc<BTreeMap<String, u32>>>);

impl Amounts {
    /// True if there is nothing of any class.
    pub fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// How much there is of a class; 0 if nobody speaks of it.
    pub fn get(&self, class: &str) -> u32 {
        self.0.as_ref().and_then(|amounts| amounts.get(class)).copied().unwrap_or(0)
    }

    /// Every class, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u32)> {
        self.0.iter().flat_map(|amounts| amounts.iter()).map(|(class, amount)| (class.as_str(), *amount))
    }

    /// The amounts of both, taken together; most clouds have none, and pay nothing for it.
    fn changed_by(&self, other: &Amounts, how: fn(u32, u32) -> u32) -> Amounts {
        if other.is_none() {
            return self.clone();
        }
        let classes = self.iter().chain(other.iter()).map(|(class, _)| class);
        classes.map(|class| (class.to_owned(), how(self.get(class), other.get(class)))).collect()
    }
}

impl From<BTreeMap<String, u32>> for Amounts {
    fn from(amounts: BTreeMap<String, u32>) -> Self {
        amounts.into_iter().collect()
    }
}

impl FromIterator<(String, u32)> for Amounts {
    fn from_iter<I: IntoIterator<Item = (String, u32)>>(amounts: I) -> Self {
        let amounts: BTreeMap<String, u32> = amounts.into_iter().filter(|(_, amount)| *amount > 0).collect();
        Amounts((!amounts.is_empty()).then(|| Arc::new(amounts)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(vcpus: u32, other: &[(&str, u32)]) -> Resources {
        let other = other.iter().map(|(class, amount)| ((*class).to_owned(), *amount)).collect();
        Resources { other, ..Resources::of(vcpus, 1024, 10) }
    }

    #[test]
    fn every_class_has_to_fit() {
        let check = |free: &[(&str, u32)], need: &[(&str, u32)], fits: bool| {
            assert_eq!(with(4, free).fits(&with(2, need)), fits, "{free:?} {need:?}");
        };
        check(&[], &[], true);
        check(&[("FPGA", 1)], &[], true);
        check(&[("FPGA", 1)], &[("FPGA", 1)], true);
        check(&[("FPGA", 1)], &[("FPGA", 2)], false);
        check(&[], &[("FPGA", 1)], false);
        check(&[("FPGA", 9)], &[("FPGA", 1), ("VGPU", 1)], false);
    }

    #[test]
    fn what_was_added_can_be_taken_away() {
        let (host, guest) = (with(4, &[("FPGA", 2)]), with(1, &[("FPGA", 1), ("VGPU", 1)]));
        let both = host.plus(&guest);
        assert_eq!((both.other.get("FPGA"), both.other.get("VGPU")), (3, 1));
        assert_eq!(both.minus(&guest), host);
        // Never below zero, and nothing is as good as not spoken of.
        assert_eq!(with(1, &[]).minus(&guest).other, Amounts::default());
    }

    #[test]
    fn clouds_without_further_classes_store_nothing_of_them() {
        let plain = serde_json::to_value(Resources::of(1, 2, 3)).unwrap();
        assert_eq!(plain, serde_json::json!({"vcpus": 1, "memory_mb": 2, "disk_gb": 3}));
        let with = with(1, &[("FPGA", 2)]);
        let back: Resources = serde_json::from_value(serde_json::to_value(&with).unwrap()).unwrap();
        assert_eq!(back, with);
    }

    #[test]
    fn what_is_missing_is_named() {
        let (has, wants) = with(4, &[("FPGA", 1)]).beside(&with(2, &[("FPGA", 2), ("VGPU", 1)]));
        assert_eq!(has, "4 vcpus and 1024 MiB and 1 FPGA and 0 VGPU");
        assert_eq!(wants, "2 and 1024 and 2 and 1");
        assert_eq!(with(2, &[("FPGA", 2)]).to_string(), "2 vcpus, 1024 MiB, 2 FPGA");
    }
}
