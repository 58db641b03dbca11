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
if [ ! -x "$binary" ]; then
  source=$target/previous/source
  rm -rf "$source"
  mkdir "$source"
  git archive "$previous" | tar -x -C "$source"
  # In the same target directory and with the same features, so that dependencies are not compiled again.
  (cd "$source" && CARGO_TARGET_DIR=$target cargo test --locked --workspace --test e2e --no-run)
  cp "$target/debug/fenix-under-test" "$binary"
fi

"$binary" --version
FENIX_PREVIOUS=$binary cargo nextest run --locked --workspace --test e2e -E 'test(upgrade::)'
