//! Artifacts in OCI registries: how they are named, and what a manifest says is in one.
//!
//! A package is the one layer of an artifact: a component as the CNCF's form for Wasm has it
//! (<https://tag-runtime.cncf.io/wgs/wasm/deliverables/wasm-oci-artifact/>), or an archive. Nothing here does I/O.

use std::fmt;
use std::str::FromStr;

use fenix_core::id::Digest;
use oci_client::Reference;
use oci_client::manifest::{
    IMAGE_MANIFEST_LIST_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE,
    OCI_IMAGE_MEDIA_TYPE, OciImageManifest,
};
use reqwest::Url;
use serde::Deserialize;
use serde::de::IgnoredAny;
use sha2::{Digest as _, Sha256};

use crate::source::SourceError;

/// Largest manifest in bytes that is read: what registries should take at least, so that larger ones do not travel (OCI
/// distribution spec 1.1, "Pushing Manifests").
pub const MAX_MANIFEST: usize = 4 << 20;

/// What a registry is asked for where a manifest is. Indexes too: what is one is to be called so.
pub(crate) const MANIFESTS: [&str; 4] = [
    OCI_IMAGE_MEDIA_TYPE,
    IMAGE_MANIFEST_MEDIA_TYPE,
    OCI_IMAGE_INDEX_MEDIA_TYPE,
    IMAGE_MANIFEST_LIST_MEDIA_TYPE,
];

/// The layer of a manifest that must have one and means none (OCI image spec 1.1, "Guidance for an Empty Descriptor").
const EMPTY: &str = "application/vnd.oci.empty.v1+json";

/// Why there is no package in an artifact.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OciError {
    /// The registry has no such thing.
    #[error("the registry has no {0}, or has it not for everybody: see the tag and `packages.accounts`")]
    Unknown(String),
    /// Nobody sends one so large.
    #[error("its manifest is larger than {MAX_MANIFEST} bytes, the most that is read")]
    LargeManifest,
    /// It is another manifest than the one that was named.
    #[error("its manifest has the digest {found}, not {expected}")]
    WrongManifest {
        /// What it must be.
        expected: Digest,
        /// What it is.
        found: Digest,
    },
    /// It names several manifests.
    #[error(
        "it is an index of several artifacts; name one of them by its digest: `oci://REGISTRY/REPOSITORY@sha256:..`"
    )]
    Index,
    /// Nobody knows what is in it.
    #[error("its manifest is none of OCI's: {0}")]
    NotAManifest(String),
    /// Nobody knows which layer is the package.
    #[error("it has {0} layers; push the package as the only one")]
    Layers(usize),
    /// Its content is not in the registry.
    #[error("its layer is said to be elsewhere (`urls`); push it into the registry")]
    Elsewhere,
    /// Nobody can say whether it is the right one.
    #[error("its layer is named by {0:?}, which is no `sha256:` with 64 digits from 0 to f")]
    NotSha256(String),
    /// A layer goes on after its end.
    #[error("its layer {digest} is longer than the {expected} bytes of its manifest")]
    TooLong {
        /// Which one.
        digest: Digest,
        /// Bytes that it must have.
        expected: u64,
    },
    /// A layer is cut off.
    #[error("its layer {digest} ends after {found} bytes of the {expected} of its manifest")]
    TooShort {
        /// Which one.
        digest: Digest,
        /// Bytes that it must have.
        expected: u64,
        /// Bytes that were sent.
        found: u64,
    },
    /// Nobody knows how to get in.
    #[error("the registry asks for an account in a way that is not understood: {0}")]
    Challenge(String),
    /// Where an account is to be sent, nothing may be sent.
    #[error(
        "the registry sends for a token to {0}, which is neither on it nor below a place of `packages.allow`"
    )]
    ForeignRealm(String),
    /// What gives tokens gave none.
    #[error("{0} gives no token that a registry takes")]
    NoToken(Url),
    /// It serves no stranger.
    #[error("the registry wants an account; the server's `packages.accounts` has none for {0}")]
    NoAccount(String),
    /// It serves others.
    #[error(
        "the registry does not serve whom `packages.accounts` names for {0}, or a stranger if it names nobody"
    )]
    WrongAccount(String),
}

/// An artifact in a registry: `oci://REGISTRY/REPOSITORY:TAG` or `..@sha256:DIGEST`, and `oci+http:` for a registry
/// without TLS, so that nobody gets one without having asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    reference: Reference,
    /// The digest of its manifest.
    pinned: Option<Digest>,
    registry: Registry,
}

impl FromStr for Artifact {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Artifact, SourceError> {
        let (registry, path) = Registry::before(text)?;
        // Hosts are the same in capitals, repositories are not.
        let (authority, wrong) = (registry.authority.clone(), SourceError::Reference);
        let written = format!("{authority}/{path}");
        let reference: Reference =
            written.parse().map_err(|error: oci_client::ParseError| wrong(error.to_string()))?;
        // Where something is left out, others take Docker's registry, or `latest`.
        if reference.to_string() != written {
            return Err(wrong(format!("others would read it as {reference}")));
        }
        let pinned =
            reference.digest().map(|text| sha256(text).ok_or_else(|| wrong(format!("{text} is no SHA-256"))));
        Ok(Artifact { pinned: pinned.transpose()?, reference, registry })
    }
}

impl fmt::Display for Artifact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.registry.scheme(), self.reference)
    }
}

impl Artifact {
    /// Where it is.
    pub(crate) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// What it is one version of: the last part of its repository.
    pub fn name(&self) -> &str {
        self.reference.repository().rsplit('/').next().unwrap_or_default()
    }

    /// The repository that it is in, without the registry.
    pub(crate) fn repository(&self) -> &str {
        self.reference.repository()
    }

    /// The digest that its manifest must have, if it is named by it. It pins its content too, which the manifest names by
    /// digest.
    pub fn pinned(&self) -> Option<&Digest> {
        self.pinned.as_ref()
    }

    /// Below this address a registry has what is in the repository (OCI distribution spec 1.1, "Pull").
    pub(crate) fn home(&self) -> Url {
        self.registry.url(&format!("/v2/{}/", self.repository()))
    }

    /// Where its manifest is. A digest counts more than a tag.
    pub(crate) fn manifest_url(&self) -> Url {
        let version = self.reference.digest().or(self.reference.tag()).unwrap_or_default();
        self.registry.url(&format!("/v2/{}/manifests/{version}", self.repository()))
    }

    /// Where the content with that digest is.
    pub(crate) fn blob_url(&self, digest: &Digest) -> Url {
        self.registry.url(&format!("/v2/{}/blobs/sha256:{digest}", self.repository()))
    }
}

/// A registry: how it is spoken to, its host and its port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Registry {
    /// The address of its root: `https://HOST[:PORT]/` or the same with `http`.
    root: Url,
    /// `HOST[:PORT]` as it is written, in small letters.
    authority: String,
}

impl Registry {
    /// True if an address is to be read here.
    pub(crate) fn is_meant_by(text: &str) -> bool {
        let scheme = text.split(':').next().unwrap_or_default().to_ascii_lowercase();
        matches!(scheme.as_str(), "oci" | "oci+http")
    }

    /// The registry at the begin of an address, and what follows its `/`.
    pub(crate) fn before(text: &str) -> Result<(Registry, &str), SourceError> {
        let wrong = |why: &str| SourceError::Reference(why.to_owned());
        let (scheme, rest) = text.split_once("://").ok_or_else(|| wrong("there is no //"))?;
        let (authority, path) =
            rest.split_once('/').ok_or_else(|| wrong("no repository follows the registry"))?;
        if authority.contains('@') {
            return Err(SourceError::Account);
        }
        let web = if scheme.eq_ignore_ascii_case("oci") { "https" } else { "http" };
        let authority = authority.to_ascii_lowercase();
        let root = Url::parse(&format!("{web}://{authority}/"))
            .map_err(|error| SourceError::NotAnAddress(error.to_string()))?;
        Ok((Registry { root, authority }, path))
    }

    /// True if both are the same, however they are written.
    pub(crate) fn is(&self, other: &Registry) -> bool {
        self.root == other.root
    }

    /// `oci` or `oci+http`.
    pub(crate) fn scheme(&self) -> &'static str {
        if self.root.scheme() == "https" { "oci" } else { "oci+http" }
    }

    /// An address on it. The path is one that [`Reference`] has read: of letters and digits, and nothing that leads up.
    pub(crate) fn url(&self, path: &str) -> Url {
        let mut url = self.root.clone();
        url.set_path(path);
        url
    }

    /// By what accounts may know it: `HOST:PORT`, and with TLS and its usual port `HOST` alone too.
    pub(crate) fn names(&self) -> Vec<String> {
        let host = self.root.host_str().unwrap_or_default().to_owned();
        let port = self.root.port_or_known_default().unwrap_or_default();
        let mut names = vec![format!("{host}:{port}")];
        if self.root.port().is_none() && self.root.scheme() == "https" {
            names.push(host);
        }
        names
    }
}

impl fmt::Display for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.authority)
    }
}

/// The layer that is a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layer {
    /// The digest of its content.
    pub(crate) digest: Digest,
    /// Its size.
    pub(crate) bytes: u64,
}

/// What tells the kinds of manifests from each other.
#[derive(Deserialize)]
struct Kind {
    manifests: Option<IgnoredAny>,
}

impl Layer {
    /// The only layer of a manifest that has one of these digests, each if there is one.
    ///
    /// Its text alone says what it means, never how it was sent: the digest stands for the text.
    ///
    /// # Errors
    /// It is another manifest, or none with one layer that the registry has.
    pub(crate) fn of(manifest: &[u8], expected: &[&Digest]) -> Result<Layer, OciError> {
        let found = Digest::from(hex::encode(Sha256::digest(manifest)));
        if let Some(expected) = expected.iter().find(|expected| ***expected != found) {
            return Err(OciError::WrongManifest { expected: (*expected).clone(), found });
        }
        let unread = |error: serde_json::Error| OciError::NotAManifest(error.to_string());
        // What has both could be read in two ways (CVE-2021-41190).
        if serde_json::from_slice::<Kind>(manifest).map_err(unread)?.manifests.is_some() {
            return Err(OciError::Index);
        }
        let manifest: OciImageManifest = serde_json::from_slice(manifest).map_err(unread)?;
        let kind = manifest.media_type.as_deref().unwrap_or(OCI_IMAGE_MEDIA_TYPE);
        if manifest.schema_version != 2 || !matches!(kind, OCI_IMAGE_MEDIA_TYPE | IMAGE_MANIFEST_MEDIA_TYPE) {
            let version = manifest.schema_version;
            return Err(OciError::NotAManifest(format!("{kind:?} of version {version}")));
        }
        let layers: Vec<_> = manifest.layers.into_iter().filter(|layer| layer.media_type != EMPTY).collect();
        let [layer] = layers.as_slice() else { return Err(OciError::Layers(layers.len())) };
        if layer.urls.as_ref().is_some_and(|urls| !urls.is_empty()) {
            return Err(OciError::Elsewhere);
        }
        let digest = sha256(&layer.digest)
            .ok_or_else(|| OciError::NotSha256(layer.digest.chars().take(200).collect()))?;
        let size = u64::try_from(layer.size);
        let bytes =
            size.map_err(|_| OciError::NotAManifest(format!("its layer has {} bytes", layer.size)))?;
        Ok(Layer { digest, bytes })
    }
}

/// The digest behind `sha256:` (OCI image spec 1.1, "Digests"): 64 small letters and digits.
pub(crate) fn sha256(text: &str) -> Option<Digest> {
    let digits = text.strip_prefix("sha256:")?;
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (digits.len() == 64 && digits.bytes().all(is_digit)).then(|| Digest::from(digits))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pinned() -> String {
        "ab".repeat(32)
    }

    #[test]
    fn addresses_lead_to_manifests() {
        let check = |text: &str, shown: &str, name: &str, url: &str, accounts: &[&str]| {
            let artifact: Artifact = text.parse().unwrap();
            assert_eq!((artifact.to_string().as_str(), artifact.name()), (shown, name));
            assert_eq!(artifact.manifest_url().as_str(), url);
            assert_eq!(artifact.registry().names(), accounts);
        };
        let at = format!("registry.example/team/upgrade@sha256:{}", pinned());
        check(
            "OCI://Registry.Example/team/upgrade:1.2",
            "oci://registry.example/team/upgrade:1.2",
            "upgrade",
            "https://registry.example/v2/team/upgrade/manifests/1.2",
            &["registry.example:443", "registry.example"],
        );
        check(
            &format!("oci://{at}"),
            &format!("oci://{at}"),
            "upgrade",
            &format!("https://registry.example/v2/team/upgrade/manifests/sha256:{}", pinned()),
            &["registry.example:443", "registry.example"],
        );
        check(
            "oci+http://127.0.0.1:5000/upgrade:1",
            "oci+http://127.0.0.1:5000/upgrade:1",
            "upgrade",
            "http://127.0.0.1:5000/v2/upgrade/manifests/1",
            &["127.0.0.1:5000"],
        );
    }

    #[test]
    fn what_leaves_something_to_guess_is_no_address() {
        let check = |text: &str, expected: &str| {
            let why = text.parse::<Artifact>().unwrap_err().to_string();
            assert!(why.contains(expected), "{text}: {why}");
        };
        check("oci:registry.example/x:1", "there is no //");
        check("oci://registry.example", "no repository follows");
        check("oci://registry.example/", "invalid reference format");
        check("oci://registry.example/team/upgrade", "as registry.example/team/upgrade:latest");
        check("oci://team/upgrade:1.2", "as docker.io/team/upgrade:1.2");
        check("oci://docker.io/upgrade:1.2", "as docker.io/library/upgrade:1.2");
        check("oci://me:secret@registry.example/x:1", "it has an account in it");
        check("oci://registry.example/../x:1", "invalid reference format");
        check("oci://registry.example/a//x:1", "invalid reference format");
        check("oci://registry.example/x:1?y", "invalid reference format");
        check("oci://registry.example/Team/x:1", "invalid reference format");
        check(&format!("oci://registry.example/x@sha512:{}", "a".repeat(128)), "is no SHA-256");
        check(&format!("oci://registry.example/x@sha256:{}", "AB".repeat(32)), "is no SHA-256");
        check("oci://registry.example/x@sha256:abcd", "invalid reference format");
        check("oci://regi stry.example/x:1", "no address");
    }

    /// A manifest with one layer, changed.
    fn manifest(change: impl FnOnce(&mut Value)) -> Vec<u8> {
        let mut manifest = json!({
            "schemaVersion": 2,
            "mediaType": OCI_IMAGE_MEDIA_TYPE,
            "config": { "mediaType": "application/vnd.wasm.config.v0+json", "digest": "sha256:00", "size": 2 },
            "layers": [{ "mediaType": "application/wasm", "digest": format!("sha256:{}", pinned()), "size": 7 }],
        });
        change(&mut manifest);
        serde_json::to_vec(&manifest).unwrap()
    }

    #[test]
    fn the_only_layer_is_the_package() {
        let check = |change: fn(&mut Value)| {
            let expected = Layer { digest: pinned().into(), bytes: 7 };
            assert_eq!(Layer::of(&manifest(change), &[]), Ok(expected));
        };
        check(|_| {});
        check(|manifest| {
            manifest["layers"][0]["mediaType"] = json!("application/vnd.oci.image.layer.v1.tar+gzip")
        });
        check(|manifest| manifest["layers"][0]["urls"] = json!([]));
        check(|manifest| manifest["mediaType"] = json!(IMAGE_MANIFEST_MEDIA_TYPE));
        check(|manifest| {
            manifest.as_object_mut().unwrap().remove("mediaType");
        });
    }

    #[test]
    fn what_is_no_package_is_said() {
        let check = |change: fn(&mut Value), expected: &str| {
            let why = Layer::of(&manifest(change), &[]).unwrap_err().to_string();
            assert!(why.contains(expected), "{why}");
        };
        check(|manifest| manifest["layers"] = json!([]), "it has 0 layers");
        check(|manifest| manifest["layers"][0]["mediaType"] = json!(EMPTY), "it has 0 layers");
        check(
            |manifest| manifest["layers"] = json!([manifest["layers"][0], manifest["layers"][0]]),
            "it has 2 layers",
        );
        check(|manifest| manifest["manifests"] = json!([]), "it is an index");
        check(|manifest| *manifest = json!({"schemaVersion": 2, "manifests": []}), "it is an index");
        check(|manifest| manifest["layers"][0]["urls"] = json!(["https://x/"]), "is said to be elsewhere");
        check(|manifest| manifest["layers"][0]["digest"] = json!("sha512:ab"), "is named by \"sha512:ab\"");
        check(|manifest| manifest["layers"][0]["digest"] = json!("sha256:AB"), "is named by \"sha256:AB\"");
        check(|manifest| manifest["layers"][0]["size"] = json!(-1), "none of OCI's: its layer has -1 bytes");
        check(|manifest| manifest["schemaVersion"] = json!(1), "of version 1");
        check(|manifest| manifest["mediaType"] = json!("text/plain"), "none of OCI's: \"text/plain\"");
        check(|manifest| *manifest = json!([]), "none of OCI's");
        check(|manifest| *manifest = json!({"fsLayers": []}), "none of OCI's: missing field");
    }

    #[test]
    fn a_manifest_is_the_one_that_was_named() {
        let text = manifest(|_| {});
        let right = Digest::from(hex::encode(Sha256::digest(&text)));
        let wrong = Digest::from(pinned());
        assert!(Layer::of(&text, &[&right, &right]).is_ok());
        for expected in [[&wrong, &right], [&right, &wrong]] {
            let error = OciError::WrongManifest { expected: wrong.clone(), found: right.clone() };
            assert_eq!(Layer::of(&text, &expected), Err(error));
        }
    }
}
