//! The file of tokens: who holds one, and what they may do.
//!
//! It keeps no token, only the SHA-256 of each. Tokens are drawn here and have 244 random bits, so that a fast hash is
//! enough: nobody can try them out, and what is compared is the hash of what came in.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use fenix_core::caller::Role;
use fenix_core::id::ProjectId;
use fenix_core::time::Time;
use jiff::Timestamp;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::OPEN;
use crate::wire::constraint::check_id;
use crate::wire::time::iso;

/// Largest file in bytes: some hundred bytes for each of [`MAX_TOKENS`].
const MAX_FILE: u64 = 4 * 1024 * 1024;

/// Most tokens: one for each project of a large cloud.
const MAX_TOKENS: usize = 10_000;

/// Longest life in days that [`mint`] gives.
pub const MAX_LIFE_DAYS: u32 = 3660;

/// Others may not write the file: whoever can is an administrator.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// What every token begins with, so that people and scanners for leaked secrets know it when they see it.
const BEGINNING: &str = "fenix_";

/// Why a file of tokens cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    /// It cannot be read.
    #[error("cannot read the tokens in {path}; `fenix token new` makes the file")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// Others may write it.
    #[error(
        "{path} may be written by others than its owner, so anybody could make a token; `chmod go-w {path}`"
    )]
    Writable {
        /// The file.
        path: PathBuf,
    },
    /// It is not understood.
    #[error("{path} cannot be understood: {why}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why not.
        why: String,
    },
}

/// Somebody who holds a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Their name, as the audit has it.
    pub name: String,
    /// What they may do.
    pub role: Role,
    expires: Option<Time>,
}

/// All tokens, by hash.
#[derive(Debug, Default)]
pub struct Tokens {
    holders: BTreeMap<[u8; 32], Holder>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    token: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    role: String,
    project: Option<String>,
    sha256: String,
    expires: Option<toml::value::Datetime>,
}

impl Tokens {
    /// Reads the file.
    ///
    /// # Errors
    /// See [`TokensError`].
    pub fn read(path: &Path) -> Result<Tokens, TokensError> {
        let unreadable = |source| TokensError::Read { path: path.to_owned(), source };
        let wrong = |why| TokensError::Parse { path: path.to_owned(), why };
        let meta = std::fs::metadata(path).map_err(unreadable)?;
        if !meta.is_file() {
            return Err(wrong("it is no file".to_owned()));
        }
        if meta.mode() & WRITABLE_BY_OTHERS != 0 {
            return Err(TokensError::Writable { path: path.to_owned() });
        }
        if meta.len() > MAX_FILE {
            return Err(wrong(format!("it is larger than {MAX_FILE} bytes")));
        }
        Tokens::parse(&std::fs::read_to_string(path).map_err(unreadable)?).map_err(wrong)
    }

    /// Reads the text of such a file.
    ///
    /// # Errors
    /// Says where and what is wrong, and nothing of what may be a token.
    pub fn parse(text: &str) -> Result<Tokens, String> {
        Tokens::of(text).map_err(|why| untold(&why, text))
    }

    fn of(text: &str) -> Result<Tokens, String> {
        let file: File = toml::from_str(text).map_err(|error| {
            // Without the line itself, which may hold a token that somebody put there by mistake.
            let before = error.span().map_or("", |span| text.get(..span.start).unwrap_or_default());
            format!("line {}: {}", before.matches('\n').count() + 1, error.message())
        })?;
        if file.token.is_empty() {
            return Err("it holds no token, so nobody could call; `fenix token new` makes one".into());
        }
        if file.token.len() > MAX_TOKENS {
            return Err(format!("it holds more than {MAX_TOKENS} tokens"));
        }
        let mut names = BTreeSet::new();
        let mut holders = BTreeMap::new();
        for (place, entry) in file.token.into_iter().enumerate() {
            let number = place + 1;
            check_id("its name", &entry.name).map_err(|why| format!("token {number}: {why}"))?;
            let name = entry.name.clone();
            if name == OPEN {
                return Err(format!(
                    "token {number}: {OPEN} is the name of everybody where there are no tokens"
                ));
            }
            if !names.insert(name.clone()) {
                return Err(format!("two tokens are called {name}"));
            }
            let (hash, holder) = entry.read().map_err(|why| format!("token {name}: {why}"))?;
            if holders.insert(hash, holder).is_some() {
                return Err(format!("token {name}: another one has the same `sha256`"));
            }
        }
        Ok(Tokens { holders })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.holders.len()
    }

    /// True if there are none: nobody is let in.
    pub fn is_empty(&self) -> bool {
        self.holders.is_empty()
    }

    /// Who holds that token, if its time is not over.
    pub fn holder(&self, token: &[u8], now: Time) -> Option<&Holder> {
        let holder = self.holders.get(&hash(token))?;
        holder.expires.is_none_or(|expires| now < expires).then_some(holder)
    }

    /// Everybody who holds one, by name, with the end of its time.
    pub fn holders(&self) -> impl Iterator<Item = (&Holder, Option<Time>)> {
        let mut all: Vec<&Holder> = self.holders.values().collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all.into_iter().map(|holder| (holder, holder.expires))
    }
}

impl Entry {
    fn read(self) -> Result<([u8; 32], Holder), String> {
        let role = role(&self.role, self.project.as_deref())?;
        let mut hash = [0; 32];
        hex::decode_to_slice(&self.sha256, &mut hash)
            .map_err(|_| "`sha256` must be 64 hexadecimal digits".to_owned())?;
        let expires = self.expires.map(|date| end(&date.to_string())).transpose()?;
        Ok((hash, Holder { name: self.name, role, expires }))
    }
}

fn end(text: &str) -> Result<Time, String> {
    let wrong = || "`expires` must be a time with a zone, like 2030-01-01T00:00:00Z".to_owned();
    let stamp: Timestamp = text.parse().map_err(|_| wrong())?;
    u64::try_from(stamp.as_millisecond()).map(Time).map_err(|_| wrong())
}

/// The role of that word; `project` goes with the role of that name and with no other.
fn role(word: &str, project: Option<&str>) -> Result<Role, String> {
    match (word, project) {
        ("administrator", None) => Ok(Role::Administrator),
        ("reader", None) => Ok(Role::Reader),
        ("project", Some(project)) => {
            check_id("`project`", project)?;
            Ok(Role::Project(ProjectId::from(project)))
        }
        ("project", None) => Err("`project` is missing: the id of the project that it is for".into()),
        ("administrator" | "reader", Some(_)) => Err("`project` goes with the role project only".into()),
        _ => Err(format!("`role` must be administrator, project or reader, not {word:?}")),
    }
}

/// Least length of what stands behind the beginning of a token and is hidden wherever else it stands.
const TELLING: usize = 16;

/// What is wrong with a file, without the tokens that somebody put where something else belongs.
fn untold(why: &str, file: &str) -> String {
    let secret = |part| str::split(part, |c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
    let mut parts = why.split(BEGINNING);
    let first = parts.next().unwrap_or_default().to_owned();
    let told = parts.fold(first, |told, part| {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_alphanumeric());
        format!("{told}{BEGINNING}…{rest}")
    });
    // What is a token somewhere in the file may stand here without its beginning.
    let mut telling: Vec<&str> =
        file.split(BEGINNING).skip(1).map(secret).filter(|secret| secret.len() >= TELLING).collect();
    // The longest first: of what begins like another one nothing shall be left.
    telling.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    telling.into_iter().fold(told, |told, secret| told.replace(secret, "…"))
}

fn hash(token: &[u8]) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// Draws a token; returns it with the entry for the file, which is all that is to be kept of it.
///
/// # Errors
/// The name, or the role with its project, cannot be.
pub fn mint(
    name: &str,
    word: &str,
    project: Option<&str>,
    expires: Option<Time>,
) -> Result<(String, String), String> {
    check_id("the token's name", name)?;
    role(word, project)?;
    let token = format!("{BEGINNING}{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
    let mut entry = format!("\n[[token]]\nname = {}\nrole = \"{word}\"\n", quoted(name));
    if let Some(project) = project {
        entry.push_str(&format!("project = {}\n", quoted(project)));
    }
    if let Some(expires) = expires {
        entry.push_str(&format!("expires = {}Z\n", iso(expires)));
    }
    entry.push_str(&format!("sha256 = \"{}\"\n", hex::encode(hash(token.as_bytes()))));
    Ok((token, entry))
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATER: Time = Time(4_102_444_800_000); // 2100-01-01

    #[test]
    fn a_token_is_known_by_its_hash_alone_until_its_time_is_over() {
        let (blue, first) = mint("blue", "project", Some("p-blue"), Some(LATER)).unwrap();
        let (alice, second) = mint("alice", "administrator", None, None).unwrap();
        let text = format!("{first}{second}");
        assert!(!text.contains(&blue) && !text.contains(&alice));
        let tokens = Tokens::parse(&text).unwrap();
        let check = |token: &str, now: Time, expected: Option<Role>| {
            let role = tokens.holder(token.as_bytes(), now).map(|holder| holder.role.clone());
            assert_eq!(role, expected);
        };
        check(&blue, Time(0), Some(Role::Project("p-blue".into())));
        check(&blue, Time(LATER.0 - 1), Some(Role::Project("p-blue".into())));
        check(&blue, LATER, None);
        check(&alice, LATER, Some(Role::Administrator));
        check(&alice.to_uppercase(), Time(0), None);
        check("", Time(0), None);
        let names: Vec<&str> = tokens.holders().map(|(holder, _)| holder.name.as_str()).collect();
        assert_eq!(names, ["alice", "blue"]);
    }

    #[test]
    fn no_secret_is_left_in_a_text() {
        let check = |text: &str, expected: &str| assert_eq!(untold(text, text), expected);
        check("no token here", "no token here");
        check("role fenix_abc, not one", "role fenix_…, not one");
        let (short, long) = ("0123456789abcdef", "0123456789abcdefBEEF");
        check(&format!("fenix_{short} of {short}"), "fenix_… of …");
        // One begins like the other: whichever stands first, nothing is left of the longer one.
        for (one, other) in [(short, long), (long, short)] {
            check(&format!("fenix_{one} fenix_{other} {long} {short}"), "fenix_… fenix_… … …");
        }
        // It is a token elsewhere in the file.
        assert_eq!(
            untold(&format!("unknown field feniy_{long}"), &format!("fenix_{long}")),
            "unknown field feniy_…"
        );
    }

    #[test]
    fn what_is_wrong_in_the_file_is_named() {
        let hash = "00".repeat(32);
        let check = |entry: &str, expected: &str| {
            let text = format!("[[token]]\n{}", entry.replace("HASH", &hash));
            let why = Tokens::parse(&text).expect_err(expected);
            assert!(why.contains(expected), "{why}");
        };
        check("name = \"a\"\nrole = \"root\"\nsha256 = \"HASH\"", "token a: `role` must be administrator");
        check("name = \"a\"\nrole = \"project\"\nsha256 = \"HASH\"", "token a: `project` is missing");
        check(
            "name = \"a\"\nrole = \"reader\"\nproject = \"p\"\nsha256 = \"HASH\"",
            "goes with the role project",
        );
        check("name = \"a\"\nrole = \"reader\"\nsha256 = \"abc\"", "token a: `sha256` must be 64");
        check(
            "name = \"open\"\nrole = \"reader\"\nsha256 = \"HASH\"",
            "token 1: open is the name of everybody",
        );
        check("name = \"\"\nrole = \"reader\"\nsha256 = \"HASH\"", "token 1: its name");
        check(
            "name = \"a\"\nrole = \"reader\"\ntoken = \"x\"\nsha256 = \"HASH\"",
            "line 4: unknown field `token`",
        );
        check("name = \"a\"\nrole = \"reader\"\nsha256 = \"HASH\"\nexpires = 2030-01-01", "with a zone");
        // What somebody put there by mistake is not told on.
        for text in [
            "[[token]]\nname = \"a\"\nrole = \"reader\"\ntoken = \"fenix_secret\"",
            "[[token]]\nname = \"a\"\nrole = \"fenix_secret\"\nsha256 = \"HASH\"",
            "token = \"fenix_secret\"",
        ] {
            let why = Tokens::parse(text).unwrap_err();
            assert!(!why.contains("secret"), "{why}");
        }
        assert!(Tokens::parse("").unwrap_err().contains("holds no token"));
        let twice = "name = \"a\"\nrole = \"reader\"\nsha256 = \"HASH\"\n[[token]]\nname = \"NAME\"\nrole = \"reader\"\nsha256 = \"HASH\"";
        check(&twice.replace("NAME", "a"), "two tokens are called a");
        check(&twice.replace("NAME", "b"), "token b: another one has the same");
    }
}
