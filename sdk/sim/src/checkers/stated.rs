//! What managers state, and what of it may have been in force when.

use std::collections::BTreeMap;

use fenix_core::constraint::{Constrained, Constraint, GroupConstraint, InstanceConstraint};
use fenix_core::id::{GroupId, InstanceId, ProjectId};
use fenix_core::time::Time;

use crate::scenario::Stated;

/// One statement about something, or that nothing is stated about it any more.
#[derive(Clone, Debug)]
struct Word {
    said: Option<Constraint>,
    /// When it was sent first.
    sent: Time,
    /// From when on Fenix knew it: it said so.
    known: Option<Time>,
}

/// All statements.
#[derive(Clone, Debug, Default)]
pub(super) struct Statements {
    /// By what they are about, in the order in which they were sent.
    words: BTreeMap<Constrained, Vec<Word>>,
}

impl Statements {
    /// It is on its way to Fenix.
    pub(super) fn sent(&mut self, at: Time, stated: &Stated) {
        let (about, said) = parts(stated);
        self.words.entry(about).or_default().push(Word { said, sent: at, known: None });
    }

    /// Fenix said that it knows it.
    pub(super) fn known(&mut self, at: Time, stated: &Stated) {
        let (about, said) = parts(stated);
        let words = self.words.get_mut(&about).into_iter().flatten();
        if let Some(word) = words.filter(|word| word.said == said && word.known.is_none()).last() {
            word.known = Some(at);
        }
    }

    /// Everything that may have been in force about something at some moment since then; `None` stands for nothing.
    fn possible(&self, about: &Constrained, since: Time) -> Vec<Option<&Constraint>> {
        let words = self.words.get(about).map_or(&[][..], Vec::as_slice);
        let is_known = |word: &Word| word.known.is_some_and(|known| known <= since);
        // One is surely replaced by another that was sent when it was known, and known by then. Of two that were on their
        // way at the same time, sent again and again while Fenix was away, either may have come last.
        let is_replaced = |word: &Word| {
            let by = |other: &Word| word.known.is_some_and(|known| known <= other.sent) && is_known(other);
            words.iter().any(by)
        };
        let mut possible: Vec<_> =
            words.iter().rev().filter(|word| !is_replaced(word)).map(|word| word.said.as_ref()).collect();
        if !words.iter().any(is_known) {
            possible.push(None);
        }
        possible
    }

    /// True if a project has anything stated now, as Fenix said itself.
    pub(super) fn has_any_of(&self, project: &ProjectId) -> bool {
        let last = self.words.values().filter_map(|words| words.iter().rfind(|word| word.known.is_some()));
        last.filter_map(|word| word.said.as_ref()).any(|said| said.project() == project)
    }

    /// Everything that may have been in force about an instance.
    pub(super) fn of_instance(&self, id: &InstanceId, since: Time) -> Vec<Option<&InstanceConstraint>> {
        let all = self.possible(&Constrained::Instance(id.clone()), since).into_iter();
        all.map(|said| match said {
            Some(Constraint::Instance(stated)) => Some(stated),
            Some(Constraint::Group(_)) | None => None,
        })
        .collect()
    }

    /// Everything that may have been in force about a group.
    pub(super) fn of_group(&self, id: &GroupId, since: Time) -> Vec<Option<&GroupConstraint>> {
        let all = self.possible(&Constrained::Group(id.clone()), since).into_iter();
        all.map(|said| match said {
            Some(Constraint::Group(stated)) => Some(stated),
            Some(Constraint::Instance(_)) | None => None,
        })
        .collect()
    }

    /// The group that an instance was stated to back up all the time since then, whatever else was stated about it.
    pub(super) fn surely_in(&self, id: &InstanceId, since: Time) -> Option<&GroupId> {
        let mut groups = self.of_instance(id, since).into_iter().map(|said| said?.group.as_ref());
        let first = groups.next()??;
        groups.all(|group| group == Some(first)).then_some(first)
    }
}

fn parts(stated: &Stated) -> (Constrained, Option<Constraint>) {
    match stated {
        Stated::That(constraint) => (constraint.about(), Some(constraint.clone())),
        Stated::NoLonger(about) => (about.clone(), None),
    }
}

#[cfg(test)]
mod tests {
    use fenix_core::time::Millis;

    use super::*;

    fn about(lead: u64) -> Stated {
        Stated::That(Constraint::Instance(InstanceConstraint {
            instance: "i".into(),
            project: "p".into(),
            group: (lead > 0).then(|| "g".into()),
            name: String::new(),
            max_interruption_time: None,
            migration_type: None,
            resource_mitigation: None,
            lead_time: Some(Millis(lead)),
        }))
    }

    #[test]
    fn what_may_have_been_in_force_is_all_that_was_not_surely_replaced() {
        let mut all = Statements::default();
        let leads = |all: &Statements, since: u64| -> Vec<Option<u64>> {
            let of = all.of_instance(&"i".into(), Time(since));
            of.iter().map(|said| said.and_then(|said| said.lead_time).map(|lead| lead.0)).collect()
        };
        assert_eq!(leads(&all, 0), [None]);
        all.sent(Time(10), &about(1));
        assert_eq!(leads(&all, 20), [Some(1), None]);
        assert_eq!(all.surely_in(&"i".into(), Time(20)), None);
        all.known(Time(15), &about(1));
        assert_eq!(leads(&all, 15), [Some(1)]);
        assert_eq!(leads(&all, 14), [Some(1), None]);
        assert_eq!(all.surely_in(&"i".into(), Time(15)), Some(&"g".into()));
        all.sent(Time(16), &about(0));
        all.known(Time(31), &about(0));
        assert_eq!(leads(&all, 30), [Some(0), Some(1)]);
        assert_eq!(leads(&all, 31), [Some(0)]);
        assert_eq!(all.surely_in(&"i".into(), Time(30)), None);
        all.sent(Time(40), &Stated::NoLonger(Constrained::Instance("i".into())));
        all.known(Time(41), &Stated::NoLonger(Constrained::Instance("i".into())));
        assert_eq!(leads(&all, 41), [None]);
        // Two at once: nobody knows which one came last.
        all.sent(Time(50), &about(2));
        all.sent(Time(51), &about(3));
        all.known(Time(60), &about(3));
        all.known(Time(61), &about(2));
        assert_eq!(leads(&all, 61), [Some(3), Some(2)]);
    }
}
