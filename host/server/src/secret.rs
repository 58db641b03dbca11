//! Secrets of the server's own: a file with each, so that none stands in a configuration.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Largest secret in bytes. Tokens of registries and of Keystone, which are passwords too, have some thousand.
const MAX_SECRET: u64 = 1 << 14;

/// Reads a secret, which stands alone in its file; a line break at its end is none of it.
///
/// # Errors
/// It cannot be read, is no text, or there is none; the path is not said, and nothing of the content.
pub(crate) fn read(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(MAX_SECRET + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if text.len() as u64 > MAX_SECRET {
        return Err(format!("it has more than {MAX_SECRET} bytes"));
    }
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err("it is empty".to_owned()),
        secret => Ok(secret.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_stands_alone_in_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let check = |content: &[u8], expected: Result<&str, &str>| {
            std::fs::write(&path, content).unwrap();
            match (read(&path), expected) {
                (Ok(secret), Ok(expected)) => assert_eq!(secret, expected),
                (Err(why), Err(part)) => assert!(why.contains(part), "{why}"),
                other => panic!("{other:?}"),
            }
        };
        check(b"tiger", Ok("tiger"));
        check(b" tiger \r\n", Ok(" tiger "));
        check(b"\n", Err("it is empty"));
        check(b"\xff", Err("UTF-8"));
        check(&[b'x'; 20_000], Err("more than 16384 bytes"));
        std::fs::remove_file(&path).unwrap();
        assert!(read(&path).unwrap_err().contains("No such file"));
    }
}
