//! The plug-ins that come with Fenix, as components: built from `plugins/` by this crate's build script, so that a
//! plain `cargo build` builds them too.

/// A plug-in that comes with Fenix.
#[derive(Clone, Copy, Debug)]
pub struct Shipped {
    /// Its name, as a session asks for it.
    pub name: &'static str,
    /// Its component.
    pub bytes: &'static [u8],
}

/// All of them, sorted by name.
pub static SHIPPED: &[Shipped] = include!(concat!(env!("OUT_DIR"), "/shipped.rs"));

/// The component of that name.
pub fn component(name: &str) -> Option<&'static [u8]> {
    SHIPPED.iter().find(|shipped| shipped.name == name).map(|shipped| shipped.bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_components_carry_no_path_of_the_building_machine() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
        let root = std::fs::canonicalize(root).unwrap();
        let home = std::env::home_dir().unwrap();
        for path in [root, home] {
            let path = path.to_str().unwrap().as_bytes();
            for Shipped { name, bytes } in SHIPPED {
                assert!(!bytes.windows(path.len()).any(|window| window == path), "{name}");
            }
        }
    }

    #[test]
    fn the_actions_are_there() {
        for name in ["noop", "reboot", "webhook"] {
            assert!(component(name).is_some(), "{name}");
        }
    }
}
