//! What a play found: which clauses of docs/MESSAGES.md were tried, and which are broken.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::cli::{Output, print, text::plain};

/// The clauses of docs/MESSAGES.md that a play can try, with what each asks for in a few words.
pub const CLAUSES: [(&str, bool, &str); 16] = [
    ("L1", true, "take each message with 2xx within 60 s"),
    ("L2", true, "take a message twice, and do nothing twice"),
    ("L3", true, "stay at work whatever is new"),
    ("L5", true, "call nobody because of a message that only informs"),
    ("L6", true, "refuse what is not signed"),
    ("M1", true, "answer each question, each round of it, in time"),
    ("M2", true, "PUT the answer, a JSON object, to reply_url"),
    ("M3", true, "answer with ACK_ or NACK_ and the state that was asked"),
    ("M4", true, "name an allowed action for each instance"),
    ("M5", false, "read instance_ids each time"),
    ("M6", true, "have made room before ACK_SCALE_IN"),
    ("M7", true, "move by itself what it said it would"),
    ("M8", true, "repeat an answer that was not taken, and say the same each time"),
    ("M9", false, "repeat ask_id"),
    ("M10", true, "answer nothing that was not asked"),
    ("M11", false, "be as large after the session as before"),
];

/// The name of a clause, as it stands in [`CLAUSES`].
pub type Clause = &'static str;

/// A broken clause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which.
    pub clause: Clause,
    /// During which part of the play.
    pub during: String,
    /// What was seen.
    pub what: String,
}

impl Finding {
    /// True if the clause says MUST; else it is advice.
    pub fn is_fault(&self) -> bool {
        CLAUSES.iter().any(|(name, must, _)| *name == self.clause && *must)
    }
}

/// What a play found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Clauses that were tried.
    pub tried: BTreeSet<Clause>,
    /// Those of them that are broken, in the order in which it was seen.
    pub findings: Vec<Finding>,
    /// Why the play ended before its end, if it did.
    pub ended_early: Option<String>,
}

impl Report {
    /// Notes that a clause is broken; the same once only.
    pub(super) fn find(&mut self, clause: Clause, during: &str, what: impl Into<String>) {
        let finding = Finding { clause, during: during.to_owned(), what: what.into() };
        self.tried.insert(clause);
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    /// True if everything was tried that could be, and nothing that MUST hold is broken.
    pub fn is_good(&self) -> bool {
        self.ended_early.is_none() && !self.findings.iter().any(Finding::is_fault)
    }

    /// Prints it.
    pub(super) fn print(&self, output: Output) {
        match output {
            Output::Json => print::json(&self.as_json()),
            Output::Text => self.print_text(),
        }
    }

    fn as_json(&self) -> Value {
        let findings = self.findings.iter().map(|finding| {
            json!({
                "clause": finding.clause,
                "severity": if finding.is_fault() { "fault" } else { "advice" },
                "during": finding.during,
                "what": finding.what,
            })
        });
        json!({
            "conforms": self.is_good(),
            "tried": self.tried,
            "findings": findings.collect::<Vec<_>>(),
            "ended_early": self.ended_early,
        })
    }

    /// How many clauses were tried, kept and broken, in one line.
    fn summary(&self) -> String {
        let of = |clause: Clause, fault: bool| {
            self.findings.iter().any(|found| found.clause == clause && found.is_fault() == fault)
        };
        let count = |fault| self.tried.iter().filter(|clause| of(clause, fault)).count();
        let (broken, advised) = (count(true), count(false));
        let kept = self.tried.len() - broken - advised;
        format!(
            "{kept} clauses kept, {broken} broken, {advised} where better could be done, {} not tried",
            CLAUSES.len() - self.tried.len()
        )
    }

    fn print_text(&self) {
        for (clause, must, what) in CLAUSES {
            let broken: Vec<&Finding> = self.findings.iter().filter(|found| found.clause == clause).collect();
            let word = match (self.tried.contains(clause), broken.is_empty(), must) {
                (false, ..) => "not tried",
                (true, true, _) => "good",
                (true, false, true) => "BROKEN",
                (true, false, false) => "advice",
            };
            let verb = if must { "MUST" } else { "SHOULD" };
            print::line(format!("{clause:<4} {word:<10} {verb} {what}"));
            for finding in broken {
                print::line(format!("     {}: {}", finding.during, plain(&finding.what)));
            }
        }
        print::line("");
        print::line(self.summary());
        if let Some(why) = &self.ended_early {
            print::line(format!("the play ended early: {}", plain(why)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_clause_stands_in_the_contract_with_its_verb() {
        let page = include_str!("../../../../docs/MESSAGES.md");
        for (clause, must, _) in CLAUSES {
            let line = page.lines().find(|line| line.starts_with(&format!("| **{clause}** |")));
            let line = line.unwrap_or_else(|| panic!("{clause} is not in MESSAGES.md"));
            assert!(line.contains(if must { "MUST" } else { "SHOULD" }), "{line}");
        }
    }

    #[test]
    fn advice_alone_breaks_nothing() {
        let mut report = Report::default();
        report.find("M9", "MAINTENANCE", "no ask_id");
        assert!(report.is_good());
        report.find("M1", "MAINTENANCE", "no answer");
        report.find("M1", "SCALE_IN", "no answer");
        report.tried.insert("L1");
        assert!(!report.is_good());
        let summary = "1 clauses kept, 1 broken, 1 where better could be done, 13 not tried";
        assert_eq!(report.summary(), summary);
    }
}
