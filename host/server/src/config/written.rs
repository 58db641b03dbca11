//! What stands in a configuration file, key by key: on which line, and everything that is wrong with it.
//!
//! Reading ends at the first fault; this finds them all, so that whoever wrote the file mends it once.

use std::collections::BTreeMap;

use toml::Value;
use toml::de::{DeTable, DeValue};

use super::{ConfigError, Settings};

/// Something wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1, if it is known.
    pub line: Option<usize>,
    /// The key, with those of the tables around it; empty if the file is no TOML there.
    pub key: String,
    /// What is wrong, and what may stand there.
    pub why: String,
}

/// The lines, from 1, on which keys stand, by the key with those of the tables around it.
pub type Lines = BTreeMap<String, usize>;

/// Where each key stands, and everything that is wrong with the text.
pub fn written(text: &str) -> (Lines, Vec<Problem>) {
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        let mut unplaced = 0;
        let problem = |error: &toml::de::Error| {
            let (line, why) = match error.span() {
                Some(span) => (Some(line_of(text, span.start)), error.message().to_owned()),
                None => {
                    unplaced += 1;
                    (
                        line_of_unplaced(text, unplaced),
                        format!("a key has too many parts: {}", error.message()),
                    )
                }
            };
            Problem { line, key: String::new(), why }
        };
        return (Lines::new(), errors.iter().map(problem).collect());
    }
    let mut lines = Lines::new();
    collect(text, "", table.get_ref(), &mut lines);
    let whole: Value = match toml::from_str(text) {
        Ok(whole) => whole,
        Err(error) => return (lines, vec![of_whole(text, &error)]),
    };
    let mut problems: Vec<Problem> = Vec::new();
    let mut seen = Vec::new();
    for (key, line) in &lines {
        if let Some(why) = wrong(&whole, key)
            && !seen.contains(&why)
        {
            problems.push(Problem { line: Some(*line), key: key.clone(), why: why.clone() });
            seen.push(why);
        }
    }
    if problems.is_empty() {
        // Keys may be right one by one and wrong together.
        problems.extend(toml::from_str::<Settings>(text).err().map(|error| of_whole(text, &error)));
    }
    problems.sort_by_key(|problem| problem.line);
    (lines, problems)
}

fn of_whole(text: &str, error: &toml::de::Error) -> Problem {
    let line = error.span().map(|span| line_of(text, span.start));
    Problem { line, key: String::new(), why: error.message().to_owned() }
}

/// The line, from 1, of a place in the text.
fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1
}

/// The line of the `nth` fault, from 1, that the parser gives no place for (a key of too many parts): the first line up
/// to which the text has so many of them.
fn line_of_unplaced(text: &str, nth: usize) -> Option<usize> {
    let ends: Vec<usize> = text.match_indices('\n').map(|(at, _)| at + 1).chain([text.len()]).collect();
    let fewer = |end: &usize| {
        let (_, errors) = DeTable::parse_recoverable(&text[..*end]);
        errors.iter().filter(|error| error.span().is_none()).count() < nth
    };
    let before = ends.partition_point(fewer);
    (before < ends.len()).then_some(before + 1)
}

/// Notes where every key with a value stands. Tables count by what is in them, arrays as one value.
fn collect(text: &str, prefix: &str, table: &DeTable<'_>, lines: &mut Lines) {
    for (name, value) in table {
        let key = join(prefix, name.get_ref());
        match value.get_ref() {
            DeValue::Table(inner) => collect(text, &key, inner, lines),
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_) => drop(lines.insert(key, line_of(text, name.span().start))),
        }
    }
}

fn join(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") }
}

/// What is wrong with one key by itself.
fn wrong(whole: &Value, key: &str) -> Option<String> {
    let mut value = whole;
    for name in key.split('.') {
        value = value.get(name)?;
    }
    let alone = key
        .rsplit('.')
        .fold(value.clone(), |inner, name| Value::Table(std::iter::once((name.to_owned(), inner)).collect()));
    match alone.try_into::<Settings>() {
        // Whether something is missing beside it shows only in the whole.
        Err(error) if error.message().starts_with("missing field") => None,
        Err(error) => Some(error.message().trim().to_owned()),
        // Whether it goes with other keys and with flags shows only in the whole.
        Ok(settings) => match settings.resolve() {
            Err(error @ (ConfigError::Terms(_) | ConfigError::Force)) => Some(error.to_string()),
            Err(_) | Ok(_) => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_found_with_its_line() {
        let check = |text: &str, expected: &[(usize, &str, &str)]| {
            let (_, problems) = written(text);
            assert_eq!(problems.len(), expected.len(), "{problems:?}");
            for (problem, (line, key, why)) in problems.iter().zip(expected) {
                assert_eq!((problem.line, problem.key.as_str()), (Some(*line), *key), "{problem:?}");
                assert!(problem.why.contains(why), "{problem:?}");
            }
        };
        check("", &[]);
        check("listen = \"127.0.0.1:1\"\n[terms]\nrounds = 2\n", &[]);
        check(
            "listne = 1\nlisten = \"localhost\"\n",
            &[
                (1, "listne", "unknown field `listne`, expected one of `listen`"),
                (2, "listen", "invalid socket address"),
            ],
        );
        check(
            "[terms]\nrounds = 0\nmin_reply = 0\n[terms.policies]\nnack = \"force\"\nsilence = \"no\"\n",
            &[
                (2, "terms.rounds", "from 1 to 100"),
                (3, "terms.min_reply", "from 1 to"),
                (5, "terms.policies.nack", "never a default"),
                (6, "terms.policies.silence", "unknown variant `no`"),
            ],
        );
        check("listen = \"127.0.0.1:1\"\ncloud = \"x\n", &[(2, "", "invalid basic string")]);
        check("listen = \"192.0.2.1:1\"\ntokens = \"t\"\nplain_http = true", &[]);
        check("terms = 3", &[(1, "terms", "invalid type")]);
        let deep = vec!["a"; 100].join(".");
        check(&format!("{deep} = 1"), &[(1, "", "too many parts: recursion limit")]);
        check(
            &format!("listen = \"\"\"\nx\"\"\"\nterms = {{ {deep} = 1 }}\n\n[log]\n{deep} = 1\n"),
            &[(3, "", "recursion limit"), (6, "", "recursion limit")],
        );
    }

    #[test]
    fn keys_are_found_on_their_lines() {
        let (lines, _) =
            written("# nothing\ncloud = \"127.0.0.1:1\"\n\n[terms]\npolicies = { nack = \"stop\" }\n");
        let expected = [("cloud".to_owned(), 2), ("terms.policies.nack".to_owned(), 5)];
        assert_eq!(lines.into_iter().collect::<Vec<_>>(), expected);
    }
}
