#!/usr/bin/env bash
# Brings OpenStack up, runs the tests that need it, and takes it down, however they end.
set -euo pipefail
cd "$(dirname "$0")/../.."
CARGO=${CARGO:-cargo}
# Compiled first: beside it OpenStack would start slowly.
$CARGO nextest --version >/dev/null 2>&1 || $CARGO install --locked cargo-nextest
tests=(nextest run --locked --workspace --features fenix-tests/openstack --test e2e -E 'test(/^openstack::/)')
$CARGO "${tests[@]}" --no-run
trap 'tests/openstack/down' EXIT
tests/openstack/up
$CARGO "${tests[@]}" --no-fail-fast "$@"
tests/openstack/status
