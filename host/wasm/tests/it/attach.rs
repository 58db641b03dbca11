//! What is taken as a plug-in, and why the rest is not.

use fenix_wasm::{AttachError, Kind, ManifestError, Plugins};

use crate::guest::{manifest, quoted, shell, workflow};

fn refusal(component: &[u8]) -> String {
    Plugins::new(None).unwrap().attach(component).unwrap_err().to_string()
}

#[test]
fn the_shipped_plugins_are_taken_and_known_by_name_and_digest() {
    let plugins = Plugins::new(None).unwrap();
    for shipped in fenix_shipped::SHIPPED {
        let info = plugins.attach(shipped.bytes).unwrap();
        let kind = match shipped.name {
            "default" | "vnf" => Kind::Workflow,
            _ => Kind::Action,
        };
        assert_eq!((info.name.as_str(), info.kind, info.contract.as_str()), (shipped.name, kind, "0.1.0"));
        assert_eq!(info.digest.as_str().len(), 64);
        assert_eq!(plugins.info(&info.digest), Some(info.clone()));
        assert_eq!(plugins.named(shipped.name), Some(info.clone()));
        assert_eq!(info.pin().digest, info.digest);
    }
    assert_eq!(plugins.list().len(), fenix_shipped::SHIPPED.len());
    assert_eq!(plugins.named("nobody"), None);
}

#[test]
fn a_name_means_the_last_one_attached_and_a_digest_the_very_one() {
    let plugins = Plugins::new(None).unwrap();
    let first = plugins.attach(&workflow("", "")).unwrap();
    let second = plugins.attach(&workflow("(nop)", "")).unwrap();
    assert_ne!(first.digest, second.digest);
    assert_eq!(plugins.named("guest"), Some(second));
    assert!(plugins.info(&first.digest).is_some());
}

#[test]
fn what_is_no_plugin_is_refused_by_name() {
    let export = r#"(instance $i) (export "fenix:plugin/workflow@0.1.0" (instance $i))"#;
    let import = |name: &str| format!(r#"(import "{name}" (instance)) {export}"#);
    let of = |text: &str| shell(text, export);
    let good = manifest("workflow");
    let twice = format!(r#"(core module (@custom "fenix:plugin" "{}")) {export}"#, quoted(&good));
    for (component, names) in [
        (b"hello".to_vec(), "not a whole WebAssembly component"),
        (Vec::new(), "not a whole WebAssembly component"),
        (b"\0asm\x01\0\0\0".to_vec(), "core module"),
        (wat::parse_str("(component)").unwrap(), "no section fenix:plugin"),
        (shell(&good, &twice), "several sections"),
        (of("{"), "cannot be understood"),
        (of(&good.replace("guest", "../guest")), "../guest"),
        (of(&good.replace("guest", "\u{1b}[2J")), "cannot be understood"),
        (of(&good.replace("1.2.3", "")), "no version"),
        (of(&good.replace("workflow", "virus")), "virus"),
        (of(&good.replace("0.1.0", "0.2.0")), "version 0.2.0 of the contract; this host speaks 0.1.0"),
        (of(&good.replace("0.1.0", "0.1.7")), "version 0.1.7"),
        (of(&good.replace("0.1.0", "latest")), "version latest"),
        (shell(&good, &import("wasi:clocks/wall-clock@0.2.0")), "it imports wasi:clocks/wall-clock@0.2.0"),
        (shell(&good, &import("fenix:plugin/cloud@0.1.0")), "it imports fenix:plugin/cloud@0.1.0"),
        (shell(&good, &import("fenix:plugin/view@0.2.0")), "it imports fenix:plugin/view@0.2.0"),
        (shell(&good, &import("env")), "it imports env, which a plug-in of kind workflow does not get"),
        (shell(&good, ""), "exports none of fenix:plugin/{workflow}"),
        (shell(&manifest("action"), export), "exports none of fenix:plugin/{action, assessment, gate}"),
        (of(&good), "does not fit the contract"),
    ] {
        let refusal = refusal(&component);
        assert!(refusal.contains(names), "{names}: {refusal}");
        assert!(!refusal.contains('\u{1b}'));
    }
}

#[test]
fn a_truncated_component_is_refused_wherever_it_ends() {
    let plugins = Plugins::new(None).unwrap();
    let whole = workflow("", "");
    plugins.attach(&whole).unwrap();
    for end in (0..whole.len()).step_by(97) {
        assert!(plugins.attach(&whole[..end]).is_err(), "{end} of {}", whole.len());
    }
}

#[test]
fn invalid_code_behind_a_good_manifest_is_refused() {
    let mut component = workflow("", "");
    // The body of `decide` returns its address as an `i32.const`; any other opcode there makes no sense.
    let at = component.windows(3).rposition(|window| window == [0x41, 0x80, 0x08]).unwrap();
    component[at] = 0xff;
    let error = Plugins::new(None).unwrap().attach(&component).unwrap_err();
    assert!(matches!(error, AttachError::Invalid(_)), "{error}");
}

#[test]
fn a_component_that_is_too_large_is_not_even_looked_at() {
    let error = Plugins::new(None).unwrap().attach(&vec![0; 33 * 1024 * 1024]).unwrap_err();
    assert_eq!(error, AttachError::TooLarge { bytes: 33 * 1024 * 1024 });
    assert_eq!(fenix_wasm::inspect(b"\0asm\x01\0\0\0"), Err(ManifestError::CoreModule));
}

#[test]
fn compiled_code_is_trusted_only_with_its_checksum() {
    let folder = tempfile::tempdir().unwrap();
    let attach = || Plugins::new(Some(folder.path())).unwrap().attach(&workflow("", "")).unwrap();
    let files = || {
        let mut files: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().path()).collect();
        files.sort();
        files
    };
    let info = attach();
    let [code, sum] = <[_; 2]>::try_from(files()).unwrap();
    assert!(code.file_name().unwrap().to_str().unwrap().starts_with(info.digest.as_str()));
    let (good_code, good_sum) = (std::fs::read(&code).unwrap(), std::fs::read(&sum).unwrap());

    let changed = {
        let mut changed = good_code.clone();
        let middle = changed.len() / 2;
        changed[middle] ^= 1;
        changed
    };
    for (code_now, sum_now) in [
        (changed.as_slice(), good_sum.as_slice()),
        (&good_code[..100], &good_sum),
        (&[], &good_sum),
        (&good_code, b"not a checksum"),
        (&good_code, &good_sum),
    ] {
        std::fs::write(&code, code_now).unwrap();
        std::fs::write(&sum, sum_now).unwrap();
        assert_eq!(attach(), info);
        assert_eq!(std::fs::read(&sum).unwrap(), good_sum);
        assert_eq!(fenix_sum(&std::fs::read(&code).unwrap()), good_sum);
        assert_eq!(files().len(), 2, "no temporary file stays");
    }
}

fn fenix_sum(bytes: &[u8]) -> Vec<u8> {
    use sha2::Digest as _;
    hex::encode(sha2::Sha256::digest(bytes)).into_bytes()
}

#[test]
fn a_cache_that_cannot_be_written_costs_only_time() {
    let folder = tempfile::tempdir().unwrap();
    let plugins = Plugins::new(Some(folder.path())).unwrap();
    folder.close().unwrap();
    plugins.attach(&workflow("", "")).unwrap();
}

#[test]
fn what_comes_with_this_program_fits_and_an_action_of_it_is_compiled_when_it_is_used() {
    for shipped in fenix_shipped::SHIPPED {
        let folder = tempfile::tempdir().unwrap();
        let plugins = Plugins::new(Some(folder.path())).unwrap();
        let compiled = || std::fs::read_dir(folder.path()).unwrap().count() > 0;
        let info = plugins.attach_own(shipped.bytes).unwrap();
        assert_eq!(compiled(), info.kind == Kind::Workflow, "{}", shipped.name);
        assert_eq!(plugins.attach(shipped.bytes), Ok(info), "{}", shipped.name);
        assert!(compiled());
    }
}
