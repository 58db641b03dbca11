//! TLS: the certificate that the server shows, and whom its own calls believe. rustls with ring, no other library.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_platform_verifier::BuilderVerifierExt;

/// What the server speaks inside TLS.
const HTTP1: &[u8] = b"http/1.1";

/// The files of a server's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The certificate and those between it and its authority, in PEM.
    pub certificate: PathBuf,
    /// Its private key, in PEM.
    pub key: PathBuf,
}

/// Whose certificates a client believes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// Nobody's: it makes no TLS connections.
    #[default]
    Nobody,
    /// Those of the authorities that the system knows.
    System,
    /// Those of the authorities in this PEM file, and no others.
    File(PathBuf),
}

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or is no PEM.
    #[error("{path} cannot be used: {why}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// Certificate and key do not go together, or are of a kind that is not spoken.
    #[error("the certificate {certificate} with the key {key} cannot be used")]
    Pair {
        /// The certificate.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
        /// Why not.
        #[source]
        source: rustls::Error,
    },
    /// The system's authorities cannot be read.
    #[error("TLS cannot be set up")]
    System(#[source] rustls::Error),
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// What the server needs to show its certificate.
///
/// # Errors
/// A file cannot be used, or the two do not go together.
pub fn server(files: &Files) -> Result<Arc<ServerConfig>, TlsError> {
    let Files { certificate, key } = files;
    let pair = |source| TlsError::Pair { certificate: certificate.clone(), key: key.clone(), source };
    let chain = certificates(certificate)?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(key, &error, "private key"))?;
    let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let mut config =
        builder.map_err(pair)?.with_no_client_auth().with_single_cert(chain, private).map_err(pair)?;
    config.alpn_protocols = vec![HTTP1.to_vec()];
    Ok(Arc::new(config))
}

/// What a client needs to believe whom it should.
///
/// # Errors
/// The authorities cannot be read.
pub fn client(trust: &Trust) -> Result<ClientConfig, TlsError> {
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let builder = builder.map_err(TlsError::System)?;
    let builder = match trust {
        Trust::Nobody => builder.with_root_certificates(RootCertStore::empty()),
        Trust::System => builder.with_platform_verifier().map_err(TlsError::System)?,
        Trust::File(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path)? {
                let refused =
                    |error: rustls::Error| TlsError::File { path: path.clone(), why: error.to_string() };
                roots.add(certificate).map_err(refused)?;
            }
            builder.with_root_certificates(roots)
        }
    };
    Ok(builder.with_no_client_auth())
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = |error: pem::Error| unusable(path, &error, "certificate");
    let all = CertificateDer::pem_file_iter(path).map_err(read)?;
    let all = all.collect::<Result<Vec<_>, _>>().map_err(read)?;
    if all.is_empty() {
        return Err(unusable(path, &pem::Error::NoItemsFound, "certificate"));
    }
    Ok(all)
}

fn unusable(path: &Path, error: &pem::Error, what: &str) -> TlsError {
    let why = match error {
        pem::Error::Io(error) => error.to_string(),
        pem::Error::NoItemsFound => format!("it holds no {what} in PEM"),
        other => other.to_string(),
    };
    TlsError::File { path: path.to_owned(), why }
}
