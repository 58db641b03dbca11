//! The settings of `wasmtime`: what code is compiled to, and where instances have their memory.

use wasmtime::{Config, Enabled, Engine, PoolingAllocationConfig, Strategy};

use crate::limits;

/// An engine whose instances find wiped memory in place, or have memory of their own where that cannot be.
///
/// A decision is over sooner than its memory is mapped and taken away again.
pub(crate) fn engine() -> wasmtime::Result<Engine> {
    pooled().map_or_else(with_own_memory, Ok)
}

/// Wiping needs a system that tells which pages were written (Linux 6.7), and the pool an address space with room for it.
fn pooled() -> Option<Engine> {
    let tells = PoolingAllocationConfig::is_pagemap_scan_available();
    tells.then(|| Engine::new(config().allocation_strategy(pool())).ok()).flatten()
}

fn with_own_memory() -> wasmtime::Result<Engine> {
    Engine::new(&config())
}

/// Room for whatever the limits let plug-ins have at a time. It is address space, of which only what is used costs memory.
fn pool() -> PoolingAllocationConfig {
    let parts = limits::PARTS as u32;
    let total = limits::AT_ONCE * parts;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(total)
        .total_core_instances(total)
        .total_memories(total)
        .total_tables(total)
        .max_core_instances_per_component(parts)
        .max_memories_per_component(parts)
        .max_memories_per_module(parts)
        .max_tables_per_component(parts)
        .max_tables_per_module(parts)
        .table_elements(limits::TABLE_ELEMENTS)
        .max_unused_warm_slots(limits::AT_ONCE)
        .linear_memory_keep_resident(limits::KEPT_BYTES)
        .table_keep_resident(limits::KEPT_BYTES)
        .pagemap_scan(Enabled::Yes);
    pool
}

/// The compiler's settings: the same input gives the same output on every machine, to the last bit of every number.
fn config() -> Config {
    let mut config = Config::new();
    config
        .strategy(Strategy::Cranelift)
        .consume_fuel(true)
        .cranelift_nan_canonicalization(true)
        .wasm_relaxed_simd(false)
        .relaxed_simd_deterministic(true)
        .wasm_memory64(false)
        .concurrency_support(false);
    config
}

#[cfg(test)]
mod tests {
    use wasmtime::Store;
    use wasmtime::component::{Component, Linker};

    use super::*;

    /// Makes as many instances of a component as there may be calls at a time, in memory of either kind.
    fn check(module: &str, instances: usize) {
        let instances = "(core instance (instantiate $m))".repeat(instances);
        let text = format!("(component (core module $m {module}) {instances})");
        let bytes = wat::parse_str(text).unwrap();
        for engine in [Some(with_own_memory().unwrap()), pooled()].into_iter().flatten() {
            let component = Component::new(&engine, &bytes).unwrap();
            let linked = Linker::<()>::new(&engine).instantiate_pre(&component).unwrap();
            let mut living = Vec::new();
            for _ in 0..limits::AT_ONCE {
                let mut store = Store::new(&engine, ());
                store.set_fuel(limits::ACTION_FUEL).unwrap();
                linked.instantiate(&mut store).unwrap();
                living.push(store);
            }
        }
    }

    #[test]
    fn what_the_limits_let_plug_ins_have_at_a_time_finds_room_in_either_kind_of_memory() {
        let table = format!("(table {} funcref)", limits::TABLE_ELEMENTS);
        check(&"(memory 1)".repeat(limits::PARTS), 1);
        check(&"(table 1 funcref)".repeat(limits::PARTS), 1);
        check(&format!("(memory 1) {table}"), limits::PARTS);
        check(&format!("(memory {})", limits::MEMORY_BYTES / 65_536), 1);
    }
}
