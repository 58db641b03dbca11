#!/usr/bin/env bash
# The long run: `make fuzz [TARGET=name] [SECONDS_EACH=600]`. Builds with the compiler's coverage counters, and has
# libFuzzer try each target for that long. What it learns stays in target/fuzz/NAME; an input that fails is kept
# there, and named in the end.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
chosen=${1:-}
seconds=${2:-600}
folder=${CARGO_TARGET_DIR:-target}/fuzz
names=$(sed -n 's/^    Target { name: "\([a-z]*\)".*/\1/p' "$here/src/targets/mod.rs")
export CARGO_INCREMENTAL=0
# With a test beside it, the dependencies have the features that they have for tests, and are not built twice.
RUSTC_WORKSPACE_WRAPPER=$here/instrument.sh \
  "${CARGO:-cargo}" build --locked --workspace --features fenix-fuzz/coverage --bin fuzz --test short
program=${CARGO_TARGET_DIR:-target}/debug/fuzz
# Where targets put what they sync: in memory, if the system has a place there.
scratch=$(mktemp -d -p "$([ -d /dev/shm ] && echo /dev/shm || echo "${TMPDIR:-/tmp}")")
trap 'rm -rf "$scratch"' EXIT
export FENIX_FUZZ_SCRATCH=$scratch
failed=
for name in ${chosen:-$names}; do
  mkdir -p "$folder/$name"
  # Long inputs only take longer: what is read is made of short parts. The largest limit of what may be held is an
  # archive's entry, of 33 MiB; a component is compiled in some hundred.
  if FENIX_FUZZ=$name FENIX_FUZZ_DIR=$folder/$name "$program" "$folder/$name/corpus" "-dict=$folder/$name/dict" \
    "-artifact_prefix=$folder/$name/" "-max_total_time=$seconds" -max_len=16384 -timeout=60 -rss_limit_mb=2048 \
    -print_final_stats=1 2>"$folder/$name/log"; then
    outcome=held
  else
    outcome=FAILED
    failed="$failed $name"
  fi
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$folder/$name/log")
  last=$(grep -o 'cov: [0-9]* ft: [0-9]* corp: [0-9]*' "$folder/$name/log" | tail -n 1)
  first=$(grep -o 'INITED cov: [0-9]*' "$folder/$name/log" | head -n 1)
  echo "$name: $outcome; ${runs:-?} inputs; $last; at the beginning $first"
done
if [ -n "$failed" ]; then
  echo "failed:$failed (see the end of $folder/NAME/log, and the input beside it)" >&2
  exit 1
fi
