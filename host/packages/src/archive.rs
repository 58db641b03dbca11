//! What is in a package: one component, an archive of them, or something that Fenix does not read.
//!
//! An archive is a `tar.gz` whose first file is `plugin.toml`, which names its components. It is read from one end to the
//! other within a limit, and nothing of it is ever written to a disk: a bomb ends at the limit, and no name in it is a path
//! of anything.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path};

use fenix_core::id::Digest;
use flate2::read::GzDecoder;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tar::{Archive, Entry, EntryType};

/// What an archive begins with.
const MANIFEST: &str = "plugin.toml";

/// Most bytes of an archive once it is unpacked.
pub const MAX_UNPACKED: u64 = 128 << 20;

/// Most files and folders in an archive.
pub const MAX_ENTRIES: usize = 256;

/// Largest `plugin.toml` in bytes.
const MAX_MANIFEST: u64 = 64 << 10;

/// Longest part of a hostile text that is told.
const SHOWN: usize = 100;

/// What every WebAssembly file begins with.
const WASM: &[u8] = b"\0asm";

/// What every gzip file begins with.
const GZIP: &[u8] = &[0x1f, 0x8b];

/// What is in a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contents {
    /// Components, each to be attached.
    Components(Vec<Vec<u8>>),
    /// Something for the hosts.
    Other,
}

/// What an archive says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    /// For people.
    #[serde(rename = "name")]
    _name: String,
    /// For people.
    #[serde(rename = "version")]
    _version: String,
    /// The file with its licence.
    licence: Option<String>,
    /// Files for people.
    #[serde(default)]
    docs: Vec<String>,
    /// Its plug-ins.
    component: Vec<Named>,
}

/// One plug-in of an archive.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    /// Its file.
    file: String,
    /// What it must be.
    sha256: Option<Digest>,
}

/// Why an archive is refused. Nothing of it was used.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It is broken, or cut.
    #[error("it is no whole tar.gz: {0}")]
    Broken(String),
    /// It grows and grows.
    #[error("unpacked it has more than {MAX_UNPACKED} bytes")]
    Bomb,
    /// It has too many parts.
    #[error("it has more than {MAX_ENTRIES} files and folders")]
    TooMany,
    /// A link or a device.
    #[error("{0:?} in it is neither a file nor a folder")]
    Kind(String),
    /// A name that leads out of it.
    #[error("{0:?} in it leads out of it")]
    Name(String),
    /// Two files of one name.
    #[error("{0:?} is in it twice")]
    Twice(String),
    /// Its manifest cannot be understood.
    #[error("its {MANIFEST}: {0}")]
    Manifest(String),
    /// A file that its manifest names is not there.
    #[error("{0:?}, which its {MANIFEST} names, is not in it")]
    Missing(String),
    /// A component is not what its manifest says.
    #[error("{0:?} in it has another digest than its {MANIFEST} says")]
    Digest(String),
    /// It cannot be read.
    #[error("it cannot be read")]
    Io(#[from] io::Error),
}

/// Looks into a package. Takes as long as it takes to unpack [`MAX_UNPACKED`] bytes: keep it off the path of requests.
///
/// `most` is the size in bytes of the largest component.
///
/// # Errors
/// It is an archive, and is refused.
pub fn look(package: &Path, most: usize) -> Result<Contents, ArchiveError> {
    let mut file = File::open(package)?;
    let mut begin = Vec::new();
    file.by_ref().take(WASM.len() as u64).read_to_end(&mut begin)?;
    if begin == WASM {
        let mut component = begin;
        // One byte more shows whoever attaches it that it is too large.
        file.take(most as u64).read_to_end(&mut component)?;
        return Ok(Contents::Components(vec![component]));
    }
    if !begin.starts_with(GZIP) {
        return Ok(Contents::Other);
    }
    unpack(File::open(package)?)
}

fn unpack(gzip: impl Read) -> Result<Contents, ArchiveError> {
    let mut archive = Archive::new(GzDecoder::new(gzip).take(MAX_UNPACKED + 1));
    let mut files = BTreeMap::new();
    let mut names = BTreeSet::new();
    let mut manifest = None;
    let mut unpacked = 0;
    for entry in archive.entries()? {
        let mut entry = match entry {
            Ok(entry) => entry,
            // It is compressed, and need not be an archive.
            Err(_) if manifest.is_none() => return Ok(Contents::Other),
            Err(error) => return Err(broken(&error, unpacked)),
        };
        let name = name(&entry);
        if manifest.is_none() && name.as_deref().ok() != Some(MANIFEST) {
            return Ok(Contents::Other);
        }
        let name = name?;
        unpacked += entry.size();
        if unpacked > MAX_UNPACKED {
            return Err(ArchiveError::Bomb);
        }
        if names.len() == MAX_ENTRIES {
            return Err(ArchiveError::TooMany);
        }
        match entry.header().entry_type() {
            EntryType::Directory => continue,
            EntryType::Regular | EntryType::Continuous => {}
            _ => return Err(ArchiveError::Kind(name)),
        }
        if !names.insert(name.clone()) {
            return Err(ArchiveError::Twice(name));
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(|error| broken(&error, unpacked))?;
        if (bytes.len() as u64) < entry.size() {
            return Err(ArchiveError::Broken("it ends in the middle of a file".to_owned()));
        }
        if manifest.is_none() {
            manifest = Some(read_manifest(&bytes)?);
        } else {
            files.insert(name, bytes);
        }
    }
    let Some(manifest) = manifest else { return Ok(Contents::Other) };
    // Its checksum is at its end.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(|error| broken(&error, unpacked))?;
    components(&manifest, files)
}

fn broken(error: &io::Error, unpacked: u64) -> ArchiveError {
    if unpacked > MAX_UNPACKED { ArchiveError::Bomb } else { ArchiveError::Broken(shown(&error.to_string())) }
}

/// The name of an entry: parts between `/`, of which none leads anywhere else.
fn name(entry: &Entry<'_, impl Read>) -> Result<String, ArchiveError> {
    let raw = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
    let foreign = || ArchiveError::Name(shown(&raw));
    let mut parts = Vec::new();
    for part in Path::new(&raw).components() {
        match part {
            Component::Normal(part) => parts.push(part.to_str().ok_or_else(foreign)?),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return Err(foreign()),
        }
    }
    let is_plain = !raw.contains(['\\', '\0', '\u{fffd}']);
    if is_plain { Ok(parts.join("/")) } else { Err(foreign()) }
}

fn shown(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}

fn read_manifest(bytes: &[u8]) -> Result<Manifest, ArchiveError> {
    let wrong = |why: String| ArchiveError::Manifest(shown(&why));
    if bytes.len() as u64 > MAX_MANIFEST {
        return Err(wrong(format!("it is larger than {MAX_MANIFEST} bytes")));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| wrong(error.to_string()))?;
    let manifest: Manifest = toml::from_str(text).map_err(|error| wrong(error.message().to_owned()))?;
    if manifest.component.is_empty() {
        return Err(wrong("it names no component".to_owned()));
    }
    Ok(manifest)
}

fn components(manifest: &Manifest, mut files: BTreeMap<String, Vec<u8>>) -> Result<Contents, ArchiveError> {
    let others = manifest.licence.iter().chain(&manifest.docs);
    if let Some(missing) = others.into_iter().find(|name| !files.contains_key(*name)) {
        return Err(ArchiveError::Missing(shown(missing)));
    }
    let mut taken = Vec::new();
    for Named { file, sha256 } in &manifest.component {
        let bytes = files.remove(file).ok_or_else(|| ArchiveError::Missing(shown(file)))?;
        let found = Digest::from(hex::encode(Sha256::digest(&bytes)));
        if sha256.as_ref().is_some_and(|named| *named != found) {
            return Err(ArchiveError::Digest(shown(file)));
        }
        taken.push(bytes);
    }
    Ok(Contents::Components(taken))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use tar::{Builder, Header};

    use super::*;

    const GOOD: &str = "name = 'n'\nversion = '1'\n[[component]]\nfile = 'a.wasm'\n";

    /// An archive of these entries: kind, name and content. Names are written as they are.
    fn packed(entries: &[(EntryType, &str, &[u8])]) -> Vec<u8> {
        let mut builder = Builder::new(Vec::new());
        for (kind, name, bytes) in entries {
            let mut header = Header::new_ustar();
            header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(*kind);
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            header.set_cksum();
            builder.append(&header, *bytes).unwrap();
        }
        zipped(&builder.into_inner().unwrap())
    }

    fn zipped(bytes: &[u8]) -> Vec<u8> {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(bytes).unwrap();
        gzip.finish().unwrap()
    }

    fn look_at(bytes: &[u8]) -> Result<Contents, ArchiveError> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        look(file.path(), 100)
    }

    const FILE: EntryType = EntryType::Regular;

    #[track_caller]
    fn check_refused(entries: &[(EntryType, &str, &[u8])], expected: &str) {
        let mut all = vec![(FILE, "plugin.toml", GOOD.as_bytes()), (FILE, "a.wasm", b"x")];
        all.extend_from_slice(entries);
        let error = look_at(&packed(&all)).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn components_are_found_alone_and_in_archives() {
        assert_eq!(
            look_at(b"\0asm and more").unwrap(),
            Contents::Components(vec![b"\0asm and more".to_vec()])
        );
        let digest = hex::encode(Sha256::digest(b"two"));
        let manifest = format!(
            "name = 'n'\nversion = '1'\nlicence = 'LICENSE'\ndocs = ['docs/use.md']\n\
             [[component]]\nfile = 'a.wasm'\n[[component]]\nfile = 'b/b.wasm'\nsha256 = '{digest}'\n"
        );
        let archive = packed(&[
            (FILE, "./plugin.toml", manifest.as_bytes()),
            (FILE, "a.wasm", b"one"),
            (EntryType::Directory, "b/", b""),
            (FILE, "b/b.wasm", b"two"),
            (FILE, "LICENSE", b"free"),
            (FILE, "docs/use.md", b"so"),
        ]);
        assert_eq!(look_at(&archive).unwrap(), Contents::Components(vec![b"one".to_vec(), b"two".to_vec()]));
    }

    #[test]
    fn what_is_no_archive_is_for_the_hosts() {
        let check = |bytes: &[u8]| assert_eq!(look_at(bytes).unwrap(), Contents::Other);
        check(b"");
        check(b"\0as");
        check(b"#!/bin/sh\n");
        check(&zipped(b"no archive"));
        check(&zipped(&[7; 4096]));
        check(&packed(&[(FILE, "readme", b"x"), (FILE, "plugin.toml", GOOD.as_bytes())]));
        check(&packed(&[(EntryType::Symlink, "../x", b"")]));
        check(b"\x1f\x8bbroken");
    }

    #[test]
    fn a_component_that_is_too_large_is_seen_to_be() {
        let Contents::Components(components) = look_at(&[WASM, &[7; 200]].concat()).unwrap() else {
            panic!()
        };
        assert!(components[0].len() > 100);
    }

    #[test]
    fn hostile_archives_are_refused() {
        check_refused(&[(EntryType::Symlink, "link", b"")], "\"link\" in it is neither a file nor a folder");
        check_refused(&[(EntryType::Link, "link", b"")], "neither a file nor a folder");
        check_refused(&[(EntryType::Char, "device", b"")], "neither a file nor a folder");
        check_refused(&[(EntryType::Fifo, "pipe", b"")], "neither a file nor a folder");
        check_refused(&[(FILE, "../a", b"")], "\"../a\" in it leads out of it");
        check_refused(&[(FILE, "/etc/passwd", b"")], "leads out of it");
        check_refused(&[(FILE, "a/../../b", b"")], "leads out of it");
        check_refused(&[(FILE, "a\\..\\b", b"")], "leads out of it");
        check_refused(&[(FILE, "a.wasm", b"y")], "\"a.wasm\" is in it twice");
        check_refused(&[(FILE, "./plugin.toml", b"y")], "is in it twice");
        let many: Vec<String> = (0..MAX_ENTRIES).map(|at| format!("f{at}")).collect();
        let many: Vec<_> = many.iter().map(|name| (FILE, name.as_str(), &b""[..])).collect();
        check_refused(&many, "more than 256 files");
    }

    #[test]
    fn a_bomb_ends_at_the_limit() {
        let zeros = vec![0; usize::try_from(MAX_UNPACKED).unwrap()];
        let bomb = packed(&[(FILE, "plugin.toml", GOOD.as_bytes()), (FILE, "a.wasm", &zeros)]);
        assert!(bomb.len() < 1 << 20, "{}", bomb.len());
        assert!(matches!(look_at(&bomb), Err(ArchiveError::Bomb)));
        // A name, which is kept in memory, may be as long.
        let name = packed(&[(FILE, "plugin.toml", GOOD.as_bytes()), (EntryType::GNULongName, "n", &zeros)]);
        assert!(look_at(&name).is_err());
    }

    #[test]
    fn an_archive_that_is_cut_is_refused() {
        let whole = packed(&[(FILE, "plugin.toml", GOOD.as_bytes()), (FILE, "a.wasm", &[7; 3000])]);
        for end in (60..whole.len()).step_by(7) {
            let found = look_at(&whole[..end]);
            assert!(!matches!(found, Ok(Contents::Components(_))), "{end} of {}", whole.len());
        }
    }

    #[test]
    fn what_is_wrong_with_a_manifest_is_named() {
        let check = |manifest: &str, expected: &str| {
            let archive = packed(&[(FILE, "plugin.toml", manifest.as_bytes()), (FILE, "a.wasm", b"x")]);
            let error = look_at(&archive).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check("", "missing field");
        check("name = 'n'\nversion = '1'\ncomponent = []\n", "it names no component");
        check(&format!("{GOOD}unknown = 1\n"), "unknown field");
        check(
            &format!("licence = 'LICENSE'\n{GOOD}"),
            "\"LICENSE\", which its plugin.toml names, is not in it",
        );
        check(&GOOD.replace("a.wasm", "b.wasm"), "\"b.wasm\", which its plugin.toml names");
        check(&format!("{GOOD}sha256 = '00'\n"), "\"a.wasm\" in it has another digest");
        check(&"#".repeat(70_000), "it is larger than");
    }
}
