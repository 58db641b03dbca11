//! Who answers for a package: signatures in the format of minisign (Ed25519 over BLAKE2b-512 of the content).

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use minisign_verify::{PublicKey, Signature};

/// Largest signature in bytes; a real one has some three hundred.
pub const MAX_SIGNATURE: usize = 4096;

/// Bytes of a package that are read at a time.
const CHUNK: usize = 1 << 16;

/// The keys whose signatures count.
#[derive(Clone, Debug, Default)]
pub struct Keys(Vec<PublicKey>);

/// Why a signature does not count.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    /// It is none.
    #[error("its signature is none of minisign's: {0}")]
    Unreadable(String),
    /// Nobody who counts made it, or not for this content.
    #[error("its signature was made with none of the server's keys, or for something else")]
    Foreign,
    /// The package cannot be read.
    #[error("it cannot be read")]
    Io(#[from] io::Error),
}

impl Keys {
    /// Reads keys: of each the second line of a file that minisign makes.
    ///
    /// # Errors
    /// The number, from 1, of the first one that is none, and why.
    pub fn read(lines: &[String]) -> Result<Keys, (usize, String)> {
        let key = |(at, line): (usize, &String)| {
            PublicKey::from_base64(line.trim()).map_err(|error| (at + 1, error.to_string()))
        };
        Ok(Keys(lines.iter().enumerate().map(key).collect::<Result<_, _>>()?))
    }

    /// True if nobody's signature counts.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Makes sure that one of the keys signed what is in a file.
    ///
    /// # Errors
    /// None did, or the file cannot be read.
    pub fn verify(&self, signature: &str, file: &Path) -> Result<(), SignatureError> {
        let unreadable = |error: minisign_verify::Error| SignatureError::Unreadable(error.to_string());
        let signature = Signature::decode(signature).map_err(unreadable)?;
        // A stream is verified by the key whose number stands in the signature; all others refuse it at once.
        let mut streams: Vec<_> =
            self.0.iter().filter_map(|key| key.verify_stream(&signature).ok()).collect();
        if streams.is_empty() {
            return Err(SignatureError::Foreign);
        }
        let mut file = File::open(file)?;
        let mut chunk = vec![0; CHUNK];
        loop {
            let read = file.read(&mut chunk)?;
            if read == 0 {
                break;
            }
            streams.iter_mut().for_each(|stream| stream.update(&chunk[..read]));
        }
        let is_right = streams.iter_mut().any(|stream| stream.finalize().is_ok());
        if is_right { Ok(()) } else { Err(SignatureError::Foreign) }
    }
}
