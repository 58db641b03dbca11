//! Builds the plug-ins of `plugins/` and lists them for `src/lib.rs`.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use fenix_plugin_build::{Build, build, rerun_lines};

fn main() -> Result<(), Box<dyn Error>> {
    let here = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?);
    let root = here
        .parent()
        .and_then(Path::parent)
        .ok_or("host/shipped lies two folders below the project's root")?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    let shipped = Build {
        workspace: root.join("plugins"),
        watched: vec![root.join("sdk/rust"), root.join("wit")],
        out: out.clone(),
        remap: vec![(root.join("sdk/rust"), "/fenix-sdk".to_owned())],
    };
    for line in rerun_lines(&shipped)? {
        println!("{line}");
    }
    let mut list = String::from("&[\n");
    for component in build(&shipped)? {
        // By its place in the directory, and not by the directory: that may be moved, or be another machine's.
        let file = component.path.strip_prefix(&out)?;
        writeln!(
            list,
            "    Shipped {{ name: {:?}, bytes: include_bytes!(concat!(env!(\"OUT_DIR\"), \"/\", {file:?})) }},",
            component.name
        )?;
    }
    list.push_str("]\n");
    std::fs::write(out.join("shipped.rs"), list)?;
    Ok(())
}
