//! The page "write your first action", done to the letter: its files, its commands, its session.

use std::path::{Path, PathBuf};

use fenix_plugin_build::{Build, build};
use serde_json::json;

use crate::http::{call, get};
use crate::rig::{Rig, sample_body, small_cloud, wait_for_end};

const PAGE: &str = include_str!("../../../docs/howto/first-action.md");

/// The text of the file of that name in the page.
fn file(name: &str) -> &'static str {
    let (_, behind) = PAGE.split_once(&format!("`{name}`:\n\n```")).unwrap_or_else(|| panic!("no {name}"));
    let (_, text) = behind.split_once('\n').unwrap();
    text.split_once("```").unwrap().0
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

#[test]
fn the_action_of_the_page_greets_a_host_in_a_session() {
    // Kept from run to run: compiling the SDK anew takes a minute.
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("my-plugins");
    std::fs::create_dir_all(folder.join("hello/src")).unwrap();
    let repository = repository();
    let sdk = repository.join("sdk/rust");
    let manifest = file("my-plugins/hello/Cargo.toml").replace("../../fenix/sdk/rust", sdk.to_str().unwrap());
    std::fs::write(folder.join("Cargo.toml"), file("my-plugins/Cargo.toml")).unwrap();
    std::fs::write(folder.join("hello/Cargo.toml"), manifest).unwrap();
    std::fs::write(folder.join("hello/src/lib.rs"), file("my-plugins/hello/src/lib.rs")).unwrap();
    // So that nothing has to be looked up: the plug-ins of the repository use the same SDK.
    std::fs::copy(repository.join("plugins/Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    let out = folder.join("out");
    let components =
        build(&Build { workspace: folder, watched: Vec::new(), out: out.clone(), remap: Vec::new() });
    assert_eq!(components.unwrap()[0].path, out.join("hello.component.wasm"));

    let config = tempfile::NamedTempFile::new().unwrap();
    let text = PAGE.split_once("```toml\nplugin_dir = ").unwrap().1.split_once("```").unwrap().0;
    assert_eq!(text.trim(), r#""../my-plugins/out""#, "what follows puts this test's folder there");
    std::fs::write(config.path(), format!("plugin_dir = {:?}", out.to_str().unwrap())).unwrap();
    let rig = Rig::start_with(&small_cloud(), &["--config", config.path().to_str().unwrap()]);
    assert!(PAGE.contains("$ fenix plugin grant hello"));
    call("PUT", &rig.at("/v1/plugins/hello/grant"), b"").good();
    let mut body = sample_body(&["controller-1"]);
    body["actions"] = json!([{ "plugin": "hello", "type": "host" }]);
    let session = rig.begin(&body);
    assert_eq!(wait_for_end(&session)["state"], "MAINTENANCE_DONE");
    let runs = get(&format!("{session}/detail")).good()["action_plugin_instances"].clone();
    assert_eq!(runs[0]["report"], "controller-1 runs boot controller-1-boot-1", "{runs}");
}
