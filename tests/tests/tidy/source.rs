//! What holds for every Rust file.

use crate::{File, files, none};

/// Lines without tests above which a file is worth a look: it may hold more than one idea.
const LONG: usize = 500;

/// Lines without tests above which a file holds more than one idea.
const TOO_LONG: usize = 800;

/// A Rust file, without what compilers skip.
struct Source {
    path: String,
    /// The text with comments and the insides of literals blanked; lines stay where they are.
    code: String,
    /// The line, from 0, with which its tests begin; past its end if it has none.
    tests_from: usize,
}

impl Source {
    fn of(file: File) -> Source {
        let code = blanked(&file.text);
        let stands_in = |names: &[&str]| file.path.split('/').any(|part| names.contains(&part));
        // Benches are programs: what is slow on purpose there is what they measure.
        let all_test = stands_in(&["tests", "tests.rs"]) && !stands_in(&["examples"]);
        // By convention a file's tests are its last module.
        let tests = || code.lines().position(|line| line.trim() == "#[cfg(test)]");
        let tests_from = if all_test { 0 } else { tests().unwrap_or(usize::MAX) };
        Source { path: file.path, code, tests_from }
    }

    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code.lines().enumerate()
    }
}

fn sources() -> Vec<Source> {
    files(".rs").into_iter().map(Source::of).collect()
}

/// Complains about each line for which `wrong` has a complaint.
fn check_lines(wrong: impl Fn(&Source, usize, &str) -> Option<String>) {
    let mut complaints = Vec::new();
    for source in sources() {
        for (at, line) in source.lines() {
            if let Some(complaint) = wrong(&source, at, line) {
                complaints.push(format!("{}:{}: {complaint}", source.path, at + 1));
            }
        }
    }
    none(complaints);
}

#[test]
fn no_file_is_too_long() {
    let mut complaints = Vec::new();
    for source in sources() {
        let len = source.code.lines().count().min(source.tests_from);
        if len > TOO_LONG {
            complaints
                .push(format!("{}: {len} lines without tests, more than {TOO_LONG}: split it", source.path));
        } else if len > LONG {
            eprintln!("{}: {len} lines without tests, more than {LONG}: consider to split it", source.path);
        }
    }
    none(complaints);
}

#[test]
fn no_test_is_left_out() {
    check_lines(|_, _, line| {
        line.contains("#[ignore").then(|| "a test is run or removed, never ignored".into())
    });
}

/// The one place of the tests in which real time passes: that of a real cloud.
const HAS_REAL_TIME: &str = "tests/tests/e2e/openstack/stack.rs";

#[test]
fn no_test_sleeps() {
    check_lines(|source, at, line| {
        let is_test = at >= source.tests_from && source.path != HAS_REAL_TIME;
        let sleeps = is_test && words(line).any(|word| word == "sleep" || word == "sleep_until");
        sleeps.then(|| "a test that sleeps is slow or flaky: wait for a state, or use virtual time".into())
    });
}

#[test]
fn no_pattern_is_matched_for_nothing() {
    let mut complaints = Vec::new();
    for source in sources() {
        for at in idle_matches(&source.code) {
            let line = source.code[..at].lines().count();
            complaints.push(format!("{}:{line}: matches! alone checks nothing: assert it", source.path));
        }
    }
    none(complaints);
}

#[test]
fn tests_are_named_by_what_they_say() {
    check_lines(|_, _, line| {
        let name = words(line).skip_while(|word| *word != "fn").nth(1)?;
        name.starts_with("test_")
            .then(|| format!("{name}: the attribute says that it is a test; say what holds"))
    });
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// Where `matches!(..);` stands as a statement.
fn idle_matches(code: &str) -> Vec<usize> {
    let is_idle = |&at: &usize| {
        let begins = code[..at].trim_end().ends_with([';', '{', '}']);
        let mut depth = 0;
        let end = code[at..].char_indices().find(|(_, c)| {
            depth += i32::from(*c == '(') - i32::from(*c == ')');
            *c == ')' && depth == 0
        });
        begins && end.is_some_and(|(end, _)| code[at + end + 1..].trim_start().starts_with(';'))
    };
    code.match_indices("matches!").map(|(at, _)| at).filter(is_idle).collect()
}

/// The text with comments, and what is inside of string and character literals, replaced by blanks.
fn blanked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let after_word = out.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let len = skipped(rest, after_word);
        if len == 0 {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            out.extend(rest[..len].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            rest = &rest[len..];
        }
    }
    out
}

/// How many bytes of the text's beginning are a comment or a literal.
fn skipped(text: &str, after_word: bool) -> usize {
    let until =
        |end: &str, from: usize| text[from..].find(end).map_or(text.len(), |at| from + at + end.len());
    let raw = text.strip_prefix("br").or_else(|| text.strip_prefix('r')).filter(|_| !after_word);
    if let Some(raw) = raw {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if raw[hashes..].starts_with('"') {
            return until(&format!("\"{}", "#".repeat(hashes)), text.len() - raw.len() + hashes + 1);
        }
    }
    match text.as_bytes() {
        [b'/', b'/', ..] => text.find('\n').unwrap_or(text.len()),
        [b'/', b'*', ..] => block_comment(text),
        [b'"', ..] => quoted(text),
        [b'\'', b'\\', ..] => until("'", 3.min(text.len())),
        // Not a lifetime: a quote follows the one character.
        [b'\'', ..] => {
            let len = text[1..].chars().next().map_or(0, char::len_utf8);
            if text[1 + len..].starts_with('\'') { len + 2 } else { 0 }
        }
        _ => 0,
    }
}

fn block_comment(text: &str) -> usize {
    let mut depth = 0;
    for at in 0..text.len() {
        match text.as_bytes()[at..] {
            [b'/', b'*', ..] => depth += 1,
            [b'*', b'/', ..] => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 2;
        }
    }
    text.len()
}

fn quoted(text: &str) -> usize {
    let mut escaped = false;
    let end = text.char_indices().skip(1).find(|(_, c)| {
        let ends = *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        ends
    });
    end.map_or(text.len(), |(at, _)| at + 1)
}

#[test]
fn comments_and_literals_do_not_count() {
    let check = |text: &str, wanted: &str| assert_eq!(blanked(text), wanted, "{text}");
    check("a // b\nc", "a     \nc");
    check("a /* b /* c */ d */ e", "a                   e");
    check(r#"f("x \" y", b"z")"#, r#"f(        , b   )"#);
    check("f(r#\"x \" y\"#, 1)", "f(          , 1)");
    check("br\"x\" var\"y\"", "      var   ");
    check(r"f('x', '\'', '\u{1F525}', 'a: &'a str)", "f(   ,     ,            , 'a: &'a str)");
    check("\"a\nb\" c", "  \n   c");
}

#[test]
fn only_a_match_that_nobody_uses_is_idle() {
    let check = |code: &str, idle: usize| assert_eq!(idle_matches(code).len(), idle, "{code}");
    check("{ matches!(a, Some((1, _))); }", 1);
    check("f();\n    matches!(\n a,\n b);", 1);
    check("{ assert!(matches!(a, b)); }", 0);
    check("{ let x = matches!(a, b); }", 0);
    check("{ matches!(a, b) }", 0);
    check("{ matches!(a, b) && c; }", 0);
}
