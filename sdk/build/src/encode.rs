//! Makes a component of a core module that `wit-bindgen` described.

use wasmparser::{Parser, Payload, Validator, WasmFeatures};
use wit_component::ComponentEncoder;

/// The custom section in which a plug-in says what it is; written by the SDK's macros.
const SECTION: &str = "fenix:plugin";

/// Encodes a module; returns the plug-in's name and the component, which was validated.
///
/// # Errors
/// What keeps the module from being a plug-in, in a sentence.
pub(crate) fn encode(module: &[u8]) -> Result<(String, Vec<u8>), String> {
    let name = name(module)?;
    let component = ComponentEncoder::default()
        .module(module)
        .map_err(chain)?
        .encode()
        .map_err(|error| format!("it cannot be encoded as a component: {}", chain(error)))?;
    Validator::new_with_features(WasmFeatures::default())
        .validate_all(&component)
        .map_err(|error| format!("the encoded component is not valid: {error}"))?;
    Ok((name, component))
}

fn chain(error: impl Into<Box<dyn std::error::Error>>) -> String {
    format!("{:#}", error.into())
}

/// The name in the module's manifest section.
fn name(module: &[u8]) -> Result<String, String> {
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload.map_err(|error| error.to_string())?;
        if let Payload::CustomSection(section) = payload
            && section.name() == SECTION
        {
            let manifest: serde_json::Value = serde_json::from_slice(section.data())
                .map_err(|error| format!("its section {SECTION} cannot be read: {error}"))?;
            let name = manifest["name"].as_str();
            return name.map(str::to_owned).ok_or_else(|| format!("its section {SECTION} has no name"));
        }
    }
    Err(format!("it has no section {SECTION}; use fenix_sdk::workflow! or fenix_sdk::action!"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_without_a_manifest_is_told_what_to_use() {
        let empty_module = b"\0asm\x01\0\0\0";
        let error = encode(empty_module).unwrap_err();
        assert!(error.contains("fenix_sdk::workflow!"), "{error}");
    }

    #[test]
    fn what_is_no_module_is_refused() {
        assert!(encode(b"hello").is_err());
        assert!(encode(b"").is_err());
    }
}
