//! `fenix.toml`: refused with the line, or shown as a file that means the same.

use fenix_server::config::Settings;
use fenix_server::config::meaning::as_file;
use fenix_server::config::written::written;

use crate::input::Known;

/// The example with everything in it, in force as well as commented out.
pub fn seeds() -> Vec<Known> {
    let example = super::file("host/server/fenix.example.toml");
    let text = String::from_utf8(example.bytes.clone()).expect("the example is text");
    let used = |line: &str| match line.strip_prefix("# ").or_else(|| line.strip_prefix('#')) {
        Some(rest) if rest.contains(" = ") || rest.starts_with('[') => rest.to_owned(),
        _ => line.to_owned(),
    };
    let all = text.lines().map(used).collect::<Vec<_>>().join("\n");
    vec![example, Known { name: "the example, all of it in force".to_owned(), bytes: all.into_bytes() }]
}

/// Reads it twice: to the first fault, and for all of them.
pub fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (_, problems) = written(text);
    for problem in &problems {
        super::is_told(&problem.why, text.len());
        let lines = text.matches('\n').count() + 1;
        assert!(problem.line.is_none_or(|line| (1..=lines).contains(&line)), "{problem:?} of {lines} lines");
        assert!(problem.line.is_some() || !problem.key.is_empty(), "{problem:?} is nowhere");
    }
    let settings = match toml::from_str::<Settings>(text) {
        Ok(settings) => settings,
        Err(error) => return assert!(!problems.is_empty(), "no problem is found, and yet: {error}"),
    };
    let config = match settings.resolve() {
        Ok(config) => config,
        Err(error) => return super::is_told(&error.to_string(), text.len()),
    };
    assert!(problems.is_empty(), "{problems:?}, and yet it is taken");
    let shown =
        config.settings().into_iter().map(|setting| (setting, "a remark".to_owned())).collect::<Vec<_>>();
    let file = as_file(&shown).join("\n");
    let again = match toml::from_str::<Settings>(&file) {
        Ok(settings) => settings.resolve(),
        Err(error) => panic!("what is shown cannot be read: {error}\n{file}"),
    };
    let again = again.unwrap_or_else(|error| panic!("what is shown cannot be used: {error}\n{file}"));
    assert_eq!(again.settings(), config.settings(), "{file}");
}
