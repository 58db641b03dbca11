//! What a plug-in says about itself, in the custom section `fenix:plugin` of its module: JSON text with `name`,
//! `version`, `kind`, `http`, `remote` and `contract`, so that nobody has to run it to know what it is.

/// Longest name of a plug-in in bytes: it stands in keys, file names and messages.
pub const MAX_NAME: usize = 64;

/// True if a plug-in may have that name: 1 to 64 of `a-z`, `0-9` and `-`. Nothing in it needs escaping anywhere.
pub const fn is_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if !matches!(bytes[at], b'a'..=b'z' | b'0'..=b'9' | b'-') {
            return false;
        }
        at += 1;
    }
    !bytes.is_empty() && bytes.len() <= MAX_NAME
}

/// The bytes of a text whose length is known when compiling.
pub const fn bytes<const N: usize>(text: &str) -> [u8; N] {
    let mut bytes = [0; N];
    let mut at = 0;
    while at < N {
        bytes[at] = text.as_bytes()[at];
        at += 1;
    }
    bytes
}

/// Puts the custom section into the plug-in that expands it.
#[doc(hidden)]
#[macro_export]
macro_rules! __manifest {
    ($name:literal, $kind:literal $(, http: [$($http:literal),*])? $(, remote: [$($remote:literal),*])?) => {
        const _: () = {
            const TEXT: &str = ::core::concat!(
                "{\"name\":\"",
                $name,
                "\",\"version\":\"",
                ::core::env!("CARGO_PKG_VERSION"),
                "\",\"kind\":\"",
                $kind,
                "\",\"http\":[",
                $crate::__list!($($($http),*)?),
                "],\"remote\":[",
                $crate::__list!($($($remote),*)?),
                "],\"contract\":\"0.1.0\"}"
            );
            #[unsafe(link_section = "fenix:plugin")]
            #[used]
            static MANIFEST: [u8; TEXT.len()] = $crate::manifest::bytes(TEXT);
        };
    };
}

/// Texts that need no escaping, as they stand in a JSON list.
#[doc(hidden)]
#[macro_export]
macro_rules! __list {
    () => { "" };
    ($first:literal $(, $more:literal)*) => {
        ::core::concat!("\"", $first, "\"" $(, ",\"", $more, "\"")*)
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        let long = "x".repeat(MAX_NAME + 1);
        let cases = [
            ("noop", true),
            ("k8s-drain-2", true),
            ("", false),
            ("Noop", false),
            ("a b", false),
            ("ä", false),
        ];
        for (name, good) in cases.into_iter().chain([(long.as_str(), false), (&long[1..], true)]) {
            assert_eq!(is_name(name), good, "{name:?}");
        }
    }

    #[test]
    fn the_contract_version_is_the_one_of_the_wit_package() {
        let wit = include_str!("../../../wit/types.wit");
        assert!(wit.starts_with(&format!("package fenix:plugin@{};", crate::CONTRACT)));
        assert!(
            include_str!("manifest.rs").contains(&format!("contract\\\":\\\"{}\\\"}}\"", crate::CONTRACT))
        );
    }
}
