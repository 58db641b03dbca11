//! Reads what a component says about itself and what it asks for, without running or compiling it.

use fenix_core::grant::Right;
use fenix_core::http_rule::HttpRule;
use fenix_core::remote::RemoteRule;
use std::fmt;

use serde::Deserialize;
use wasmparser::{Encoding, Parser, Payload};

/// The custom section that the SDK writes; it stands in the component's main module.
const SECTION: &str = "fenix:plugin";

/// The package of the contract.
const PACKAGE: &str = "fenix:plugin/";

/// The version of the contract that this host speaks, as major, minor and patch. Within a minor version a component made
/// for an earlier patch runs on a later one.
const CONTRACT: [u32; 3] = [0, 1, 0];

/// Longest name and version of a plug-in in bytes: they stand in keys, file names and messages.
const MAX_NAME: usize = 64;

/// Most rules of a kind in a manifest: people read them before they grant them.
const MAX_RULES: usize = 16;

/// What a plug-in is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// It decides what happens next.
    Workflow,
    /// It works on a host.
    Action,
}

impl Kind {
    /// What a plug-in of this kind is called.
    fn word(self) -> &'static str {
        match self {
            Kind::Workflow => "workflow",
            Kind::Action => "action",
        }
    }

    /// The interfaces of which it exports one at least.
    fn exports(self) -> &'static [&'static str] {
        match self {
            Kind::Workflow => &["workflow"],
            Kind::Action => &["action", "assessment", "gate"],
        }
    }

    /// The interfaces that it may import.
    fn imports(self) -> &'static [&'static str] {
        match self {
            Kind::Workflow => &["types", "view", "plan", "log"],
            Kind::Action => &["assignments", "cloud", "http", "kv", "log", "packages", "remote"],
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What an action can do, by the interfaces that it exports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Does {
    /// Work, on a host or before and after all.
    pub run: bool,
    /// Say whether a host is to be worked on.
    pub assess: bool,
    /// Say whether the session may go on.
    pub gate: bool,
    /// Take back what its work did.
    pub undo: bool,
}

/// What a component says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Manifest {
    /// The name by which sessions ask for it: 1 to 64 of `a-z`, `0-9` and `-`.
    pub name: String,
    /// Its version, for people.
    pub version: String,
    /// What it is for.
    pub kind: Kind,
    /// The version of the contract that it was made for.
    pub contract: String,
    /// What it asks for. It is not written there: to import a capability is to ask for it, and no second place could say
    /// something else.
    #[serde(skip)]
    pub asks: Vec<Right>,
    /// What it can do, if it is an action; read off its exports.
    #[serde(skip)]
    pub does: Does,
    /// The calls over HTTP that it wants to make; an import alone would ask for anything.
    #[serde(default)]
    http: Vec<HttpRule>,
    /// The commands that it wants to run on a host, likewise.
    #[serde(default)]
    remote: Vec<RemoteRule>,
}

/// Why a component is not a plug-in that this host runs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// The bytes are no component at all, or not all of it.
    #[error("it is not a whole WebAssembly component: {0}")]
    NotAComponent(String),
    /// A core module.
    #[error("it is a core module; encode it as a component first, as fenix-plugin-build does")]
    CoreModule,
    /// There is no manifest in it.
    #[error("it has no section {SECTION}; make it with fenix_sdk::workflow! or fenix_sdk::action!")]
    Missing,
    /// There are several in it.
    #[error("it has several sections {SECTION}; a component is one plug-in")]
    Several,
    /// The manifest cannot be understood.
    #[error("its section {SECTION} cannot be understood: {0}")]
    Unreadable(String),
    /// It was made for another contract.
    #[error("it was made for version {found} of the contract; this host speaks {}.{}.{}", CONTRACT[0], CONTRACT[1], CONTRACT[2])]
    WrongContract {
        /// The version that it was made for.
        found: String,
    },
    /// It asks for something that its kind does not get.
    #[error("it imports {import}, which a plug-in of kind {kind} does not get")]
    ForeignImport {
        /// The import's name.
        import: String,
        /// The kind.
        kind: Kind,
    },
    /// It wants to make calls or run commands, and nobody knows which.
    #[error("it imports {0} and its manifest does not say for what; list it as `{0}` of fenix_sdk::action!")]
    Anything(&'static str),
    /// It does not do what its kind is for.
    #[error("it says that it is of kind {kind} and exports none of {PACKAGE}{{{}}}", kind.exports().join(", "))]
    MissingExport {
        /// The kind.
        kind: Kind,
    },
}

/// What was found on the way through a component.
#[derive(Default)]
struct Found {
    manifests: Vec<Vec<u8>>,
    imports: Vec<String>,
    exports: Vec<String>,
}

/// Reads a component's manifest and what it asks for, and makes sure that it imports only what its kind gets.
///
/// The component need not be valid in all its parts: that is seen when it is compiled.
///
/// # Errors
/// What keeps it from being a plug-in that this host runs.
pub fn inspect(component: &[u8]) -> Result<Manifest, ManifestError> {
    let found = walk(component)?;
    let mut manifests = found.manifests.iter();
    let text = manifests.next().ok_or(ManifestError::Missing)?;
    if manifests.next().is_some() {
        return Err(ManifestError::Several);
    }
    let manifest = parse(text)?;
    if !speaks(&manifest.contract) {
        return Err(ManifestError::WrongContract { found: crate::text::clean(&manifest.contract, MAX_NAME) });
    }
    let kind = manifest.kind;
    let foreign = |import: &&String| interface(import).is_none_or(|name| !kind.imports().contains(&name));
    if let Some(import) = found.imports.iter().find(foreign) {
        return Err(ManifestError::ForeignImport { import: crate::text::clean(import, 200), kind });
    }
    let exports = |word: &str| found.exports.iter().any(|export| interface(export) == Some(word));
    if !kind.exports().iter().any(|word| exports(word)) {
        return Err(ManifestError::MissingExport { kind });
    }
    let [run, assess, gate] = ["action", "assessment", "gate"].map(exports);
    let does = Does { run, assess, gate, undo: run && exports("undo") };
    let imports = |word: &str| found.imports.iter().any(|import| interface(import) == Some(word));
    for (word, is_empty) in [("http", manifest.http.is_empty()), ("remote", manifest.remote.is_empty())] {
        if is_empty && imports(word) {
            return Err(ManifestError::Anything(word));
        }
    }
    let calls = manifest.http.iter().cloned().map(Right::Http);
    let commands = manifest.remote.iter().cloned().map(Right::Remote);
    let asks = Right::PLAIN.into_iter().chain(calls).chain(commands).filter(|right| imports(right.word()));
    Ok(Manifest { asks: asks.collect(), does, ..manifest })
}

/// Collects the component's own imports and exports, and the manifests at any depth.
fn walk(component: &[u8]) -> Result<Found, ManifestError> {
    let broken = |error: wasmparser::BinaryReaderError| {
        ManifestError::NotAComponent(crate::text::clean(&error.to_string(), 200))
    };
    let mut found = Found::default();
    // Sections of a nested module or component come between its header and its `End`.
    let mut depth = 0u32;
    let mut ended = false;
    for payload in Parser::new(0).parse_all(component) {
        match payload.map_err(broken)? {
            Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => {
                return Err(ManifestError::CoreModule);
            }
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) if depth == 0 => ended = true,
            Payload::End(_) => depth -= 1,
            Payload::ComponentImportSection(imports) if depth == 0 => {
                for import in imports {
                    found.imports.push(import.map_err(broken)?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(exports) if depth == 0 => {
                for export in exports {
                    found.exports.push(export.map_err(broken)?.name.name.to_owned());
                }
            }
            Payload::CustomSection(section) if section.name() == SECTION => {
                found.manifests.push(section.data().to_owned());
            }
            _ => {}
        }
    }
    if ended { Ok(found) } else { Err(ManifestError::NotAComponent("it has no end".to_owned())) }
}

fn parse(text: &[u8]) -> Result<Manifest, ManifestError> {
    let unreadable = |why: String| ManifestError::Unreadable(crate::text::clean(&why, 200));
    let manifest: Manifest = serde_json::from_slice(text).map_err(|error| unreadable(error.to_string()))?;
    let is_plain = |text: &str, also: &[char]| {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || also.contains(&c);
        !text.is_empty() && text.len() <= MAX_NAME && text.chars().all(plain)
    };
    if !is_plain(&manifest.name, &[]) {
        return Err(unreadable(format!("{:?} is no name: 1 to {MAX_NAME} of a-z, 0-9 and -", manifest.name)));
    }
    for (word, rules) in [("http", manifest.http.len()), ("remote", manifest.remote.len())] {
        if rules > MAX_RULES {
            return Err(unreadable(format!("`{word}` has more than {MAX_RULES} rules")));
        }
    }
    if !is_plain(&manifest.version, &['.', '+']) {
        return Err(unreadable(format!("{:?} is no version", manifest.version)));
    }
    Ok(manifest)
}

/// True if this host runs plug-ins made for that version of the contract.
fn speaks(contract: &str) -> bool {
    let mut numbers = contract.split('.').map(|number| number.parse::<u32>().ok());
    let version = [numbers.next(), numbers.next(), numbers.next()].map(Option::flatten);
    let [Some(major), Some(minor), Some(patch)] = version else { return false };
    numbers.next().is_none() && [major, minor] == CONTRACT[..2] && patch <= CONTRACT[2]
}

/// The interface of our contract that a name means: `view` for `fenix:plugin/view@0.1.0`.
fn interface(name: &str) -> Option<&str> {
    let (interface, version) = name.strip_prefix(PACKAGE)?.split_once('@')?;
    speaks(version).then_some(interface)
}
