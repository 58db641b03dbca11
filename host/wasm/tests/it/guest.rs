//! Small components, written as WebAssembly text. The end-to-end tests use this file too.

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The manifest of a plug-in of that kind, named `guest`.
pub(crate) fn manifest(kind: &str) -> String {
    format!(r#"{{"name":"guest","version":"1.2.3","kind":"{kind}","contract":"0.1.0"}}"#)
}

/// The component under another name, as long as `guest`.
#[allow(dead_code, reason = "tests of whole servers have several")]
pub(crate) fn named(component: &[u8], name: &str) -> Vec<u8> {
    let old = b"\"name\":\"guest\"";
    let at = component.windows(old.len()).position(|window| window == old).unwrap();
    let mut renamed = component.to_vec();
    renamed[at + 8..at + 13].copy_from_slice(name.as_bytes());
    renamed
}

/// A text as a string of WebAssembly text.
pub(crate) fn quoted(text: &str) -> String {
    text.bytes().map(|byte| format!("\\{byte:02x}")).collect()
}

/// A component of a core module, with the types of a world of `wit/`.
fn encode(module: &str, world: &str) -> Vec<u8> {
    let mut module = wat::parse_str(module).unwrap();
    let mut resolve = Resolve::default();
    let above = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let wit =
        above.map(|folder| folder.join("wit")).find(|folder| folder.join("world.wit").is_file()).unwrap();
    let (package, _) = resolve.push_dir(wit).unwrap();
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).unwrap();
    ComponentEncoder::default().validate(true).module(&module).unwrap().encode().unwrap()
}

/// What both kinds have: some memory, a text, and an allocator that never frees.
const COMMON: &str = r#"
    (global $free (mut i32) (i32.const 65536))
    (func $cabi_realloc (export "cabi_realloc") (param i32 i32 i32) (param $size i32) (result i32)
        (local $at i32)
        (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
        (global.set $free (i32.add (local.get $at) (local.get $size)))
        (if (i32.gt_u (global.get $free) (i32.shl (memory.size) (i32.const 16)))
            (then (drop (memory.grow (i32.add (i32.shr_u (local.get $size) (i32.const 16)) (i32.const 1))))))
        (local.get $at))
    (data (i32.const 16) "no such thing")
"#;

/// A workflow that runs `body` and returns what is at address 1024: zeros there mean `ok`, waiting for nothing.
///
/// The text `no such thing`, 13 bytes, is at address 16. Some of the host's functions are imported; `more` adds fields of the
/// module.
pub(crate) fn workflow(body: &str, more: &str) -> Vec<u8> {
    let manifest = quoted(&manifest("workflow"));
    let memory = if more.contains("(memory") { "" } else { r#"(memory (export "memory") 2)"# };
    let module = format!(
        r#"(module $guest
            (@custom "fenix:plugin" "{manifest}")
            (import "fenix:plugin/log@0.1.0" "write" (func $log (param i32 i32 i32)))
            (import "fenix:plugin/plan@0.1.0" "fail" (func $fail (param i32 i32)))
            (import "fenix:plugin/plan@0.1.0" "fence" (func $fence (param i32 i32 i32 i32)))
            (import "fenix:plugin/plan@0.1.0" "note" (func $plan_note (param i32 i32 i32 i32 i32 i32 i32)))
            (import "fenix:plugin/plan@0.1.0" "together-begin" (func $begin))
            (import "fenix:plugin/plan@0.1.0" "together-end" (func $end))
            (import "fenix:plugin/view@0.1.0" "work" (func $work (param i32 i32 i32) (result i32)))
            (import "fenix:plugin/view@0.1.0" "host" (func $host (param i32 i32 i32)))
            (import "fenix:plugin/view@0.1.0" "instances" (func $instances (param i32 i32 i32 i32 i32 i32 i32)))
            (import "fenix:plugin/view@0.1.0" "place" (func $place (param i32 i32 i32)))
            (import "fenix:plugin/view@0.1.0" "note" (func $note (param i32 i32 i32)))
            {memory}
            {COMMON}
            {more}
            (func $decide (export "fenix:plugin/workflow@0.1.0#decide") (param $trigger i32) (param $now i32) (result i32)
                (local $i i32)
                {body}
                (i32.const 1024)))"#
    );
    encode(&module, "workflow-plugin")
}

/// An action that runs `body` and returns what is at address 1024: zeros there mean `done` with an empty report.
pub(crate) fn action(body: &str, more: &str) -> Vec<u8> {
    action_with("", body, more)
}

/// The same with further imports.
pub(crate) fn action_with(imports: &str, body: &str, more: &str) -> Vec<u8> {
    let manifest = quoted(&manifest("action"));
    let memory = if more.contains("(memory") { "" } else { r#"(memory (export "memory") 2)"# };
    let module = format!(
        r#"(module $guest
            (@custom "fenix:plugin" "{manifest}")
            (import "fenix:plugin/log@0.1.0" "write" (func $log (param i32 i32 i32)))
            (import "fenix:plugin/cloud@0.1.0" "host" (func $host (param i32 i32 i32)))
            (import "fenix:plugin/cloud@0.1.0" "end-boot" (func $reboot (param i32 i32 i32 i32 i32)))
            {imports}
            {memory}
            {COMMON}
            {more}
            (func $run (export "fenix:plugin/action@0.1.0#run")
                (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
                (local $i i32)
                {body}
                (i32.const 1024)))"#
    );
    encode(&module, "action-plugin")
}

/// A component that is nothing but its manifest, its imports and its exports.
pub(crate) fn shell(manifest: &str, fields: &str) -> Vec<u8> {
    let manifest = quoted(manifest);
    wat::parse_str(format!(r#"(component {fields} (core module (@custom "fenix:plugin" "{manifest}")))"#))
        .unwrap()
}
