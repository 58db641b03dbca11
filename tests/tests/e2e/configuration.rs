//! `fenix config check`: what a configuration means, from where, and what is wrong with it.

use serde_json::Value;

use crate::process::{fenix, run};

#[test]
fn every_value_is_told_with_where_it_comes_from() {
    let dir = tempfile::TempDir::new().unwrap();
    let file = dir.path().join("fenix.toml");
    let file = file.to_str().unwrap();
    std::fs::write(file, "cloud = \"127.0.0.1:1\"\ndata_dir = \"x\"\n[terms]\nrounds = 2\n").unwrap();
    let data = dir.path().join("data");
    let args = ["config", "check", "--config", file, "--listen", "127.0.0.1:0"];
    let output = fenix(&args).env("FENIX_DATA_DIR", &data).output().unwrap();
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{out}{err}");
    let told = |key: &str, value: &str, from: &str| {
        let line = out.lines().find(|line| line.starts_with(&format!("{key} = {value}"))).unwrap_or_default();
        assert!(line.ends_with(&format!("# {from}")), "{key}: {line:?} in {out}");
    };
    told("listen", "\"127.0.0.1:0\"", "--listen");
    told("data_dir", &format!("\"{}\"", data.display()), "FENIX_DATA_DIR");
    told("cloud", "\"127.0.0.1:1\"", &format!("{file}:1"));
    told("rounds", "2", &format!("{file}:4"));
    told("min_reply", "20", "default");
    assert!(err.contains("is not there yet, and will be made"), "{err}");
    assert!(!data.exists());
}

#[test]
fn all_problems_are_told_at_once() {
    let dir = tempfile::TempDir::new().unwrap();
    let file = dir.path().join("fenix.toml");
    std::fs::write(&file, "listne = 1\n[terms]\nrounds = 0\n").unwrap();
    let file = file.to_str().unwrap();
    let output = run(&["config", "check", "--config", file]);
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{err}");
    for expected in ["2 problems", "line 1: listne: unknown field", "line 3: terms.rounds", "hint: "] {
        assert!(err.contains(expected), "{expected:?} is not in {err}");
    }
    let output = run(&["config", "check", "--config", file, "--output", "json"]);
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["problems"][1]["line"], 3);
}

#[test]
fn what_the_configuration_names_is_looked_at_too() {
    let dir = tempfile::TempDir::new().unwrap();
    let plugins = dir.path().join("plugins");
    std::fs::create_dir(&plugins).unwrap();
    std::fs::write(plugins.join("good.wasm"), crate::guest::action("", "")).unwrap();
    let diary = dir.path().join("diary");
    std::fs::create_dir(&diary).unwrap();
    std::fs::write(diary.join("diary.txt"), "dear diary").unwrap();
    let (plugins, diary) = (plugins.to_str().unwrap(), diary.to_str().unwrap());
    let check = |more: &[&str], code: i32, expected: &str| {
        let output = run(&[&["config", "check", "--listen", "127.0.0.1:0"], more].concat());
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{err}");
        assert!(err.contains(expected), "{expected:?} is not in {err}");
    };
    check(&["--plugin-dir", plugins], 0, "plug-in guest 1.2.3 in");
    std::fs::write(dir.path().join("plugins/bad.wasm"), "bad").unwrap();
    check(&["--plugin-dir", plugins], 2, "bad.wasm is refused");
    check(&["--data-dir", diary], 2, "no Fenix data directory");
    check(&["--plugin-dir", "/nowhere/at/all"], 2, "cannot use /nowhere/at/all");
    check(&["--public-url", "http://[::1]:1"], 2, "IPv6");
}
