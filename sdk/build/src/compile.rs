//! Runs cargo on the plug-ins' workspace.
//!
//! It runs inside another cargo, most of the time, and must not inherit what that one was told about the host: its
//! flags, its lints' wrapper, its profile and its target.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::{Build, BuildError, STACK_BYTES, TARGET, program};

/// Environment of the outer build that would change the inner one. The jobserver stays: both share the processors.
const NOT_INHERITED: [&str; 8] = [
    "RUSTFLAGS",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_BUILD_TARGET_DIR",
    "CARGO_TARGET_DIR",
    "RUSTC_WORKSPACE_WRAPPER",
    "CLIPPY_ARGS",
    "CARGO_INCREMENTAL",
];

/// Makes sure that the compiler has a library for the target.
///
/// # Errors
/// It has not; the error names the one command that installs it.
pub(crate) fn require_target() -> Result<(), BuildError> {
    let rustc = program("RUSTC", "rustc");
    let mut ask = Command::new(&rustc);
    let found = run(ask.args(["--print", "target-libdir", "--target", TARGET]).stdin(Stdio::null()))?;
    let folder = String::from_utf8_lossy(&found.stdout);
    // The folder is named even if nobody put a library there.
    let core = std::fs::read_dir(folder.trim()).is_ok_and(|mut files| {
        files.any(|file| file.is_ok_and(|file| file.file_name().to_string_lossy().starts_with("libcore")))
    });
    if core { Ok(()) } else { Err(BuildError::TargetMissing { rustc: rustc.to_string_lossy().into_owned() }) }
}

/// Builds the workspace; returns the module of each library of type `cdylib`.
pub(crate) fn modules(build: &Build) -> Result<Vec<PathBuf>, BuildError> {
    // Cargo runs in the workspace and names whole paths: a relative one would mean another folder to it.
    let whole = |path: &Path| {
        std::fs::canonicalize(path).map_err(|source| BuildError::File { path: path.to_owned(), source })
    };
    std::fs::create_dir_all(&build.out)
        .map_err(|source| BuildError::File { path: build.out.clone(), source })?;
    let (workspace, out) = (whole(&build.workspace)?, whole(&build.out)?);
    let mut cargo = Command::new(program("CARGO", "cargo"));
    cargo
        .current_dir(&workspace)
        .args(["build", "--release", "--target", TARGET, "--message-format", "json-render-diagnostics"])
        .arg("--target-dir")
        .arg(out.join("target"))
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    for name in NOT_INHERITED {
        cargo.env_remove(name);
    }
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CARGO_PROFILE_") {
            cargo.env_remove(name);
        }
    }
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags(build, &workspace).join("\u{1f}"));
    let output = run(&mut cargo)?;
    if !output.status.success() {
        return Err(BuildError::Cargo { workspace: build.workspace.clone() });
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    Ok(messages.lines().filter_map(|line| module(line, &workspace)).collect())
}

/// Flags of the compiler: the stack, and no path of the building machine in the output.
fn flags(build: &Build, workspace: &Path) -> Vec<String> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::home_dir().map(|home| home.join(".cargo")));
    let remap = |path: &Path, name: &str| format!("--remap-path-prefix={}={name}", path.display());
    let mut flags = vec![format!("-Clink-arg=-zstack-size={STACK_BYTES}")];
    flags.extend(home.map(|home| remap(&home, "/cargo")));
    flags.extend(build.remap.iter().map(|(path, name)| remap(path, name)));
    flags.push(remap(workspace, "/plugins"));
    flags
}

/// The module that one of cargo's messages tells of, if it is a plug-in's of this workspace.
fn module(message: &str, workspace: &Path) -> Option<PathBuf> {
    let message: serde_json::Value = serde_json::from_str(message).ok()?;
    if message["reason"] != "compiler-artifact" {
        return None;
    }
    let manifest = Path::new(message["manifest_path"].as_str()?);
    let is_cdylib = message["target"]["kind"].as_array()?.iter().any(|kind| kind == "cdylib");
    if !is_cdylib || !manifest.starts_with(workspace) {
        return None;
    }
    let mut files = message["filenames"].as_array()?.iter().filter_map(|file| file.as_str());
    files.find(|file| file.ends_with(".wasm")).map(PathBuf::from)
}

fn run(command: &mut Command) -> Result<Output, BuildError> {
    command.output().map_err(|source| BuildError::Run {
        program: command.get_program().to_string_lossy().into_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_workspaces_own_modules_count() {
        let message = |manifest: &str, kind: &str, file: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","manifest_path":"{manifest}","target":{{"kind":["{kind}"]}},"filenames":["{file}"]}}"#
            )
        };
        for (message, module_of) in [
            (message("/p/noop/Cargo.toml", "cdylib", "/t/noop.wasm"), Some("/t/noop.wasm")),
            (message("/p/noop/Cargo.toml", "rlib", "/t/noop.rlib"), None),
            (message("/cargo/dep/Cargo.toml", "cdylib", "/t/dep.wasm"), None),
            (r#"{"reason":"build-finished","success":true}"#.to_owned(), None),
            ("warning: not JSON".to_owned(), None),
        ] {
            assert_eq!(module(&message, Path::new("/p")), module_of.map(PathBuf::from), "{message}");
        }
    }

    #[test]
    fn a_missing_target_names_the_one_command() {
        let error = BuildError::TargetMissing { rustc: "rustc".to_owned() };
        assert!(error.to_string().ends_with("run: rustup target add wasm32-unknown-unknown"));
    }
}
