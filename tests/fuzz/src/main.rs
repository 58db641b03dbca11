//! A target under libFuzzer, which keeps what comes to code that no input before came to. `make fuzz` calls it.
//!
//! `FENIX_FUZZ` names the target and `FENIX_FUZZ_DIR` a folder, in which `corpus/` and `dict` are made of what is
//! known. The rest is libFuzzer's: `fuzz DIR/corpus -dict=DIR/dict`.
#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use fenix_fuzz::{Target, input, target};
use sha2::{Digest, Sha256};

static CHOSEN: OnceLock<&'static Target> = OnceLock::new();

fn chosen() -> &'static Target {
    CHOSEN.get_or_init(|| {
        let name = std::env::var("FENIX_FUZZ").expect("FENIX_FUZZ names the target");
        target(&name).unwrap_or_else(|| panic!("there is no target {name}"))
    })
}

/// Writes what is known where libFuzzer looks for it.
fn prepare() {
    let target = chosen();
    let folder = PathBuf::from(std::env::var_os("FENIX_FUZZ_DIR").expect("FENIX_FUZZ_DIR names a folder"));
    let corpus = folder.join("corpus");
    fs::create_dir_all(&corpus).expect("the folder can be made");
    let made = (target.seeds)().into_iter();
    let known = made.chain(input::known("seeds", target.name)).chain(input::known("found", target.name));
    let known: Vec<Vec<u8>> = known.map(|known| known.bytes).collect();
    for bytes in &known {
        let name = hex::encode(Sha256::digest(bytes));
        fs::write(corpus.join(&name[..16]), bytes).expect("an input can be written");
    }
    let quoted = |word: Vec<u8>| word.iter().map(|byte| format!("\\x{byte:02x}")).collect::<String>();
    let lines: Vec<String> =
        input::words(&known).into_iter().map(|word| format!("\"{}\"\n", quoted(word))).collect();
    fs::write(folder.join("dict"), lines.concat()).expect("the dictionary can be written");
}

libfuzzer_sys::fuzz_target!(init: prepare(), |data: &[u8]| (chosen().run)(data));
