//! Packages on their way to a site without a network: one file with all of them.
//!
//! It is a tar archive. Its first file says what is in it, as a session's `download` says it; each further one is a package
//! under the SHA-256 of its content. Whoever reads it believes none of it: what a package is shows when it is taken in.

use std::io::{self, Read, Write};
use std::path::Path;

use fenix_core::id::Digest;
use fenix_core::package::PackageSpec;

/// What the first file is called.
const LIST: &str = "download.json";

/// Where packages stand in it.
const PLACE: &str = "packages/";

/// Largest list in bytes: some thousand packages.
const MAX_LIST: u64 = 1 << 20;

/// Why something is no bundle.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// It does not begin as one.
    #[error("its first file must be {LIST}")]
    NoList,
    /// Its list means nothing.
    #[error("its {LIST} cannot be understood: {0}")]
    List(String),
    /// Something else is in it.
    #[error("it holds {0:?}, which is no package of a bundle")]
    Foreign(String),
    /// It cannot be read to its end.
    #[error("it cannot be read")]
    Io(#[from] io::Error),
}

/// Writes a bundle: the list, then each package from its file. Packages of one content are written once.
///
/// # Errors
/// A file cannot be read, or nothing written; what was written is no bundle then.
pub fn write(out: impl Write, packages: &[(PackageSpec, &Path)]) -> io::Result<()> {
    let mut archive = tar::Builder::new(out);
    let list: Vec<&PackageSpec> = packages.iter().map(|(spec, _)| spec).collect();
    let list = serde_json::to_vec_pretty(&list)?;
    archive.append_data(&mut header(list.len() as u64), LIST, list.as_slice())?;
    let mut written = std::collections::BTreeSet::new();
    for (spec, path) in packages {
        let Some(digest) = spec.sha256.as_ref().filter(|digest| written.insert(*digest)) else { continue };
        let file = std::fs::File::open(path)?;
        let mut header = header(file.metadata()?.len());
        archive.append_data(&mut header, format!("{PLACE}{digest}"), file)?;
    }
    archive.into_inner()?.flush()
}

/// The same for everybody who writes the same.
fn header(bytes: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes);
    header.set_mode(0o644);
    header
}

/// Reads a bundle: hands over its list, and then each package, to be read before the next one.
///
/// # Errors
/// It is none, or what `take` says.
pub fn read<E: From<BundleError>>(
    file: impl Read,
    mut take: impl FnMut(&Digest, u64, &mut dyn Read) -> Result<(), E>,
) -> Result<Vec<PackageSpec>, E> {
    let io = |error: io::Error| E::from(BundleError::Io(error));
    let mut archive = tar::Archive::new(file);
    let mut list = None;
    for entry in archive.entries().map_err(io)? {
        let mut entry = entry.map_err(io)?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let is_file = entry.header().entry_type().is_file();
        match (&list, name.strip_prefix(PLACE)) {
            (None, _) if name == LIST && is_file && entry.size() <= MAX_LIST => {
                list = Some(read_list(&mut entry)?);
            }
            (None, _) => return Err(BundleError::NoList.into()),
            (Some(_), Some(digest)) if is_file && is_digest(digest) => {
                let bytes = entry.size();
                take(&digest.into(), bytes, &mut entry)?;
            }
            (Some(_), _) => {
                return Err(BundleError::Foreign(name.chars().take(128).collect()).into());
            }
        }
    }
    list.ok_or_else(|| BundleError::NoList.into())
}

fn read_list(entry: &mut impl Read) -> Result<Vec<PackageSpec>, BundleError> {
    let mut text = Vec::new();
    entry.read_to_end(&mut text)?;
    serde_json::from_slice(&text).map_err(|error| BundleError::List(error.to_string()))
}

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(name: &str, digest: &str) -> PackageSpec {
        let url = format!("https://repo.example/{name}");
        PackageSpec { name: name.into(), url, sha256: Some(digest.repeat(64).into()), signature: None }
    }

    /// The list of a bundle, and its packages by digest.
    type Whole = (Vec<PackageSpec>, Vec<(String, Vec<u8>)>);

    fn packages(bytes: &[u8]) -> Result<Whole, BundleError> {
        let mut found = Vec::new();
        let take = |digest: &Digest, bytes: u64, content: &mut dyn Read| {
            let mut whole = Vec::new();
            content.read_to_end(&mut whole)?;
            assert_eq!(whole.len() as u64, bytes);
            found.push((digest.to_string(), whole));
            Ok::<(), BundleError>(())
        };
        let list = read(bytes, take)?;
        Ok((list, found))
    }

    #[test]
    fn what_was_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, "upgrade").unwrap();
        let specs = [spec("one", "a"), spec("two", "b"), spec("three", "a")];
        let written: Vec<(PackageSpec, &Path)> = specs.iter().map(|spec| (spec.clone(), &*path)).collect();
        let mut bytes = Vec::new();
        write(&mut bytes, &written).unwrap();
        let (list, found) = packages(&bytes).unwrap();
        assert_eq!(list, specs);
        let expected = ["a", "b"].map(|digest| (digest.repeat(64), b"upgrade".to_vec()));
        assert_eq!(found, expected, "the same content once");
        for cut in [0, 100, 512, 1500, bytes.len() - 1800] {
            packages(&bytes[..cut]).unwrap_err();
        }
    }

    #[test]
    fn what_is_none_is_said() {
        let archive = |entries: &[(&str, &[u8], tar::EntryType)]| {
            let mut archive = tar::Builder::new(Vec::new());
            for (name, content, kind) in entries {
                let mut header = header(content.len() as u64);
                header.set_entry_type(*kind);
                // As it is: the library's own way refuses names that lead out.
                header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
                header.set_cksum();
                archive.append(&header, *content).unwrap();
            }
            archive.into_inner().unwrap()
        };
        let check = |entries: &[(&str, &[u8], tar::EntryType)], expected: &str| {
            let why = packages(&archive(entries)).unwrap_err().to_string();
            assert!(why.contains(expected), "{why}");
        };
        let file = tar::EntryType::Regular;
        let digest = format!("packages/{}", "a".repeat(64));
        check(&[], "its first file must be download.json");
        check(&[("plugin.toml", b"", file)], "its first file must be download.json");
        check(&[(&digest, b"x", file), (LIST, b"[]", file)], "its first file must be");
        check(&[(LIST, b"[]", tar::EntryType::Symlink)], "its first file must be");
        check(&[(LIST, b"{}", file)], "cannot be understood");
        check(&[(LIST, b"[]", file), ("packages/../../x", b"", file)], "which is no package");
        check(&[(LIST, b"[]", file), (&digest, b"", tar::EntryType::Link)], "which is no package");
        check(&[(LIST, b"[]", file), (LIST, b"[]", file)], "which is no package");
    }
}
