//! The file of tokens: refused by name and without telling a token, or so many holders as there are entries.

use fenix_core::time::Time;
use fenix_server::auth::Tokens;

/// What a token begins with.
const BEGINNING: &str = "fenix_";

/// Letters and digits behind it that make a text a token; as many as no word has.
const SECRET: usize = 24;

/// Reads it.
pub fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    match Tokens::parse(text) {
        Ok(tokens) => {
            assert!(!tokens.is_empty());
            let names: Vec<&str> = tokens.holders().map(|(holder, _)| holder.name.as_str()).collect();
            assert_eq!(names.len(), tokens.len());
            assert!(names.windows(2).all(|pair| pair[0] < pair[1]), "{names:?}");
            assert_eq!(tokens.holder(b"", Time(0)), None, "nobody holds no token");
        }
        Err(why) => {
            super::is_told(&why, text.len());
            for token in secrets(text) {
                assert!(!why.contains(token), "{why}");
            }
        }
    }
}

/// What looks like a token in a text.
fn secrets(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices(BEGINNING).filter_map(move |(at, _)| {
        let rest = &text[at + BEGINNING.len()..];
        let len = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        (len >= SECRET).then(|| &rest[..len])
    })
}
