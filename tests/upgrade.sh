#!/usr/bin/env bash
# Builds the previous build of Fenix out of the history, and lets it and this one take over from each other.
# `tests/previous` names the commit or tag.
set -euo pipefail
cd "$(dirname "$0")/.."

previous=$(cat tests/previous)
if ! git cat-file -e "$previous^{commit}" 2>/dev/null; then
  echo "test-upgrade: NOT RUN: this clone does not have $previous; fetch the whole history for it" >&2
  exit 0
fi

target=${CARGO_TARGET_DIR:-target}
mkdir -p "$target/previous"
target=$(cd "$target" && pwd)
binary=$target/previous/fenix-$previous

# Builds it in a target directory of its own: in a shared one cargo takes crates of the same name and version for the same.
build() {
  local source=$target/previous/source own=$target/previous/target
  rm -rf "$source" "$own"
  mkdir -p "$source" "$own/debug"
  git archive "$previous" | tar -x -C "$source"
  # Crates of others are the same in both, and wasmtime alone takes minutes. What does not fit, cargo builds again.
  if [ -d "$target/debug/.fingerprint" ]; then
    (
      cd "$target/debug"
      find .fingerprint build deps -type f \
        ! -path '*fenix*' \( ! -path 'deps/*' -o -name '*.rlib' -o -name '*.rmeta' -o -name '*.so' -o -name '*.d' \) -print0 \
        | tar -c --null --files-from=- | tar -x -C "$own/debug"
    )
  fi
  # The smallest test that comes with the binary, so that features are those of what was copied.
  (cd "$source" && CARGO_TARGET_DIR=$own CARGO_INCREMENTAL=0 cargo test --locked --workspace --test tidy --no-run)
  cp "$own/debug/fenix-under-test" "$binary.new"
  mv "$binary.new" "$binary"
  rm -rf "$source" "$own"
}

[ -x "$binary" ] || build

"$binary" --version
# With the features of the tests on OpenStack, though these are others: those may run meanwhile, and cargo would put another
# binary where they start theirs from.
FENIX_PREVIOUS=$binary cargo nextest run --locked --workspace --features fenix-tests/openstack --test e2e -E 'test(upgrade::)' --no-fail-fast
