#!/bin/sh
# The compiler, called by cargo for each crate of the workspace (RUSTC_WORKSPACE_WRAPPER): the crates whose way
# libFuzzer shall see count where they come. Everything else is compiled as always, so that nothing else is compiled
# anew.
set -eu
name=
previous=
for argument; do
  if [ "$previous" = --crate-name ]; then name=$argument; fi
  previous=$argument
done
case $name in
  fenix_core | fenix_engine | fenix_store | fenix_wasm | fenix_cloud | fenix_server)
    # What cargo-fuzz passes for `--sanitizer none`.
    exec "$@" -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
      -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
      -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1
    ;;
  *) exec "$@" ;;
esac
