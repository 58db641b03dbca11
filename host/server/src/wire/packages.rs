//! What a session brings (contract 1.1 `download`): addresses as the first Fenix took them, or objects that say more.

use std::collections::BTreeSet;

use fenix_core::id::Digest;
use fenix_core::package::PackageSpec;
use fenix_packages::policy::Policy;
use fenix_packages::signature::MAX_SIGNATURE;
use serde::Deserialize;
use serde_json::Value;

use super::session::Invalid;

/// Most packages of a session: an upgrade, its workflow and its actions are some few.
pub const MAX_PACKAGES: usize = 16;

/// Longest name of a package in bytes: it stands in paths and messages.
const MAX_NAME: usize = 128;

/// A package as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    url: String,
    sha256: Option<String>,
    signature: Option<String>,
    name: Option<String>,
}

/// Reads the list. What the installation would not take is refused here, before there is a session.
///
/// # Errors
/// The first entry that is wrong, and how.
pub fn read(items: &[Value], policy: &Policy) -> Result<Vec<PackageSpec>, Invalid> {
    if items.len() > MAX_PACKAGES {
        let count = items.len();
        return Err(Invalid::new(format!(
            "`download` has {count} entries, which is more than {MAX_PACKAGES}"
        )));
    }
    let mut names = BTreeSet::new();
    let mut packages = Vec::with_capacity(items.len());
    for (at, item) in items.iter().enumerate() {
        let wrong = |why: String| Invalid::new(format!("`download[{at}]`: {why}"));
        let package = read_one(item, policy).map_err(wrong)?;
        if !names.insert(package.name.clone()) {
            let why =
                format!("{:?} is the name of two packages; give one of them another `name`", package.name);
            return Err(wrong(why));
        }
        packages.push(package);
    }
    Ok(packages)
}

fn read_one(item: &Value, policy: &Policy) -> Result<PackageSpec, String> {
    let Written { url, sha256, signature, name } = match item {
        Value::String(url) => Written { url: url.clone(), sha256: None, signature: None, name: None },
        Value::Object(_) => Written::deserialize(item).map_err(|error| error.to_string())?,
        _ => return Err("must be an address, or an object with `url`".to_owned()),
    };
    let sha256 = sha256.map(|text| read_digest(&text)).transpose()?;
    if signature.as_ref().is_some_and(|signature| signature.len() > MAX_SIGNATURE) {
        return Err(format!("`signature` is longer than {MAX_SIGNATURE} bytes"));
    }
    let mut spec = PackageSpec { name: String::new(), url, sha256, signature };
    let source = policy.source(&spec).map_err(|why| why.to_string())?;
    let name = name.unwrap_or_else(|| source.file_name().to_owned());
    if !is_name(&name) {
        let shown: String = name.chars().take(MAX_NAME).collect();
        return Err(format!(
            "{shown:?} is no name of a package: 1 to {MAX_NAME} of letters, digits, ., _, + and -, the first no .; give it a `name`"
        ));
    }
    spec.name = name;
    Ok(spec)
}

/// Reads the digest of a package.
///
/// # Errors
/// It is none.
pub fn read_digest(text: &str) -> Result<Digest, String> {
    let digest = text.strip_prefix("sha256:").unwrap_or(text).to_ascii_lowercase();
    if digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(Digest::from(digest))
    } else {
        Err("`sha256` is no SHA-256: 64 digits from 0 to f".to_owned())
    }
}

fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '+' | '-');
    !name.is_empty() && name.len() <= MAX_NAME && !name.starts_with('.') && name.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use fenix_packages::policy::Proof;
    use serde_json::json;

    use super::*;

    fn read_all(items: &Value) -> Result<Vec<PackageSpec>, String> {
        let allow = vec!["https://repo.example/fenix/".parse().unwrap()];
        let policy = Policy { allow, proof: Proof::None, ..Policy::default() };
        read(items.as_array().unwrap(), &policy).map_err(|invalid| invalid.message)
    }

    #[test]
    fn both_forms_are_read() {
        let digest = "AB".repeat(32);
        let items = json!([
            "https://repo.example/fenix/upgrade.tar.gz",
            {"url": "https://repo.example/fenix/x?v=2", "sha256": format!("sha256:{digest}"), "name": "theirs"},
        ]);
        let url = "https://repo.example/fenix/upgrade.tar.gz".to_owned();
        let first = PackageSpec { name: "upgrade.tar.gz".into(), url, sha256: None, signature: None };
        let packages = read_all(&items).unwrap();
        assert_eq!(packages[0], first);
        assert_eq!(packages[1].name, "theirs");
        assert_eq!(packages[1].sha256, Some(digest.to_lowercase().into()));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let check = |items: Value, expected: &str| {
            let why = read_all(&items).unwrap_err();
            assert!(why.contains(expected), "{why}");
        };
        let at = |rest: &str| format!("https://repo.example/fenix/{rest}");
        check(json!([1]), "`download[0]`: must be an address");
        check(json!([{"sha256": "x"}]), "missing field `url`");
        check(json!([{"url": at("x"), "sha512": "x"}]), "unknown field `sha512`");
        check(json!([{"url": at("x"), "sha256": "x"}]), "`sha256` is no SHA-256");
        check(json!([{"url": at("x"), "signature": "x".repeat(5000)}]), "`signature` is longer");
        check(json!([{"url": at("x"), "signature": "x"}]), "no key to verify it with");
        check(json!([at("")]), "\"\" is no name of a package");
        check(json!([at("a%20b")]), "\"a%20b\" is no name of a package");
        check(json!([{"url": at("x"), "name": "../x"}]), "\"../x\" is no name");
        check(json!([at("a/x"), at("b/x")]), "`download[1]`: \"x\" is the name of two packages");
        check(json!(["https://evil.example/x"]), "`packages.allow` names https://repo.example/fenix/");
        check(json!(["upgrade"]), "it is no address");
        check(json!(["file:x"]), "`packages.folder` names no folder");
        check(json!(vec![at("x"); 17]), "more than 16");
    }
}
