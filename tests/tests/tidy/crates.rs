//! What holds for the crates: what each may depend on, and which settings all of them share.
//!
//! The tables here are the architecture's picture of arrows. A new edge needs a line here and one in
//! `docs/ARCHITECTURE.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use crate::{files, none, root};

/// Which crates of the workspace each one may depend on, directly or not. Tests may use more.
const MAY_USE: &[(&str, &[&str])] = &[
    ("fenix-core", &[]),
    ("fenix-engine", &["fenix-core"]),
    // Records alone: what it says of the rules must not come from them.
    ("fenix-verify", &["fenix-core"]),
    ("fenix-store", &["fenix-core", "fenix-engine"]),
    ("fenix-wasm", &["fenix-core", "fenix-engine"]),
    ("fenix-cloud", &["fenix-core", "fenix-engine"]),
    // What it fetches nobody reads before it is checked: neither the sandbox nor the engine.
    ("fenix-packages", &["fenix-core"]),
    // What a host is told. Neither the sandbox nor the engine has a part in how it gets there.
    ("fenix-remote", &["fenix-core"]),
    ("fenix-sdk", &[]),
    ("fenix-plugin-build", &[]),
    ("fenix-shipped", &["fenix-plugin-build"]),
    ("fenix-sim", &BELOW_THE_SHELLS),
    ("fenix", &BELOW_THE_SERVER),
    ("fenix-tests", &[]),
    ("fenix-fuzz", &[]),
];

/// Tests of everything, which may reach everything.
const TESTS: [&str; 2] = ["fenix-tests", "fenix-fuzz"];

/// What the server puts together: packages come over a network that virtual time does not have.
const BELOW_THE_SERVER: [&str; 10] = [
    "fenix-core",
    "fenix-verify",
    "fenix-engine",
    "fenix-store",
    "fenix-wasm",
    "fenix-cloud",
    "fenix-packages",
    "fenix-remote",
    "fenix-shipped",
    "fenix-plugin-build",
];

/// What the two drivers of the engine, the server and virtual time, put together.
const BELOW_THE_SHELLS: [&str; 8] = [
    "fenix-core",
    "fenix-verify",
    "fenix-engine",
    "fenix-store",
    "fenix-wasm",
    "fenix-cloud",
    "fenix-shipped",
    "fenix-plugin-build",
];

/// Which crates of the workspace may have a foreign crate among their dependencies, directly or not. No other may.
const MAY_REACH: &[(&str, &[&str])] = &[
    ("wasmtime", &["fenix-wasm", "fenix-sim", "fenix"]),
    ("sled", &["fenix-store", "fenix-sim", "fenix"]),
    ("tokio", &["fenix-cloud", "fenix-packages", "fenix-remote", "fenix-sim", "fenix"]),
    ("rand", &["fenix-cloud", "fenix-sim", "fenix"]),
    ("axum", &["fenix"]),
    ("clap", &["fenix"]),
    ("anyhow", &["fenix-wasm", "fenix-sim", "fenix", "fenix-shipped", "fenix-plugin-build", "fenix-sdk"]),
];

/// Foreign crates that are named in one `Cargo.toml` only; others may have them through that crate.
const ONE_OWNER: &[(&str, &str)] = &[
    ("wasmtime", "fenix-wasm"),
    ("sled", "fenix-store"),
    ("axum", "fenix"),
    // It has a client in it, which asks wherever it is sent.
    ("oci-client", "fenix-packages"),
];

/// The dependencies of the workspace on this platform, as cargo resolves them.
struct Graph {
    /// Names by package id.
    names: BTreeMap<String, String>,
    /// Of each package, what it is built from: its dependencies but for tests.
    uses: BTreeMap<String, Vec<String>>,
    members: Vec<String>,
}

impl Graph {
    fn read() -> Graph {
        let metadata = metadata();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let packages = metadata["packages"].as_array().unwrap();
        let nodes = metadata["resolve"]["nodes"].as_array().unwrap();
        let built_from = |node: &Value| {
            let deps = node["deps"].as_array().unwrap().iter();
            let kinds =
                |dep: &&Value| dep["dep_kinds"].as_array().unwrap().iter().any(|kind| kind["kind"] != "dev");
            deps.filter(kinds).map(|dep| text(&dep["pkg"])).collect()
        };
        Graph {
            names: packages.iter().map(|package| (text(&package["id"]), text(&package["name"]))).collect(),
            uses: nodes.iter().map(|node| (text(&node["id"]), built_from(node))).collect(),
            members: metadata["workspace_members"].as_array().unwrap().iter().map(text).collect(),
        }
    }

    /// The names of everything that a package is built from, directly or not.
    fn reach(&self, id: &str) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        let mut open = vec![id];
        while let Some(next) = open.pop() {
            for used in &self.uses[next] {
                if found.insert(used.as_str()) {
                    open.push(used);
                }
            }
        }
        found.into_iter().map(|id| self.names[id].as_str()).collect()
    }

    /// The members of the workspace with what they reach, but for [`TESTS`].
    fn members(&self) -> impl Iterator<Item = (&str, BTreeSet<&str>)> {
        let members = self.members.iter().map(|id| (self.names[id].as_str(), self.reach(id)));
        members.filter(|(name, _)| !TESTS.contains(name))
    }
}

fn metadata() -> Value {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let rustc = Command::new("rustc").arg("-vV").output().unwrap();
    let version = String::from_utf8(rustc.stdout).unwrap();
    let platform = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let args = ["metadata", "--format-version", "1", "--locked", "--filter-platform", platform];
    let output = Command::new(cargo).args(args).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn every_crate_depends_only_on_what_is_below_it() {
    let graph = Graph::read();
    let ours: BTreeSet<_> = graph.members.iter().map(|id| graph.names[id].as_str()).collect();
    let known: BTreeSet<_> = MAY_USE.iter().map(|(name, _)| *name).collect();
    let mut complaints: Vec<_> = ours
        .symmetric_difference(&known)
        .map(|name| format!("{name}: not in both the workspace and MAY_USE"))
        .collect();
    for (name, reached) in graph.members() {
        let allowed =
            MAY_USE.iter().find(|(known, _)| *known == name).map_or(&[][..], |(_, allowed)| *allowed);
        let wrong = reached.intersection(&ours).filter(|used| !allowed.contains(used));
        complaints.extend(wrong.map(|used| format!("{name} must not depend on {used}")));
    }
    none(complaints);
}

#[test]
fn clocks_io_and_sandboxes_stay_in_the_crates_that_are_made_for_them() {
    let graph = Graph::read();
    let mut complaints = Vec::new();
    for (name, reached) in graph.members() {
        for (foreign, allowed) in MAY_REACH {
            if reached.contains(foreign) && !allowed.contains(&name) {
                complaints.push(format!("{name} must not have {foreign} among its dependencies"));
            }
        }
    }
    none(complaints);
}

#[test]
fn what_has_one_owner_is_named_by_it_alone() {
    let graph = Graph::read();
    let mut complaints = Vec::new();
    for id in &graph.members {
        let name = graph.names[id].as_str();
        for (foreign, owner) in ONE_OWNER {
            if name != *owner && graph.uses[id].iter().any(|used| graph.names[used] == *foreign) {
                complaints.push(format!("{name} must not name {foreign}: that is what {owner} is for"));
            }
        }
    }
    none(complaints);
}

#[test]
fn every_crate_has_the_lints_of_its_workspace() {
    let mut complaints = Vec::new();
    for file in files("Cargo.toml") {
        let manifest: toml::Table = file.text.parse().unwrap();
        let is_crate = manifest.contains_key("package");
        let inherits = manifest.get("lints").and_then(|lints| lints.get("workspace"));
        if is_crate && inherits.and_then(toml::Value::as_bool) != Some(true) {
            complaints.push(format!("{}: [lints] workspace = true is missing", file.path));
        }
    }
    none(complaints);
}

#[test]
fn every_clippy_toml_has_the_settings_of_the_first() {
    let mut complaints = Vec::new();
    let parsed = |text: &str| -> toml::Table { text.parse().unwrap() };
    let all = files("clippy.toml");
    let first = all.iter().find(|file| file.path == "clippy.toml").map(|file| parsed(&file.text)).unwrap();
    for file in &all {
        let own = parsed(&file.text);
        let missing = first.iter().filter(|(key, value)| own.get(*key) != Some(value));
        complaints.extend(missing.map(|(key, value)| format!("{}: {key} = {value} is missing", file.path)));
    }
    none(complaints);
}
