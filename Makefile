# Everything a newcomer needs. Each target installs what a fresh machine lacks.
#   make demo    a whole maintenance session on a simulated cloud, in about a minute
#   make test    every test
#   make seeds   ten thousand bad days, and the page docs/COVERAGE.md: [SEEDS=1000]
#   make bench   the table of benchmarks; ONLY=name measures one of them
#   make bench-plan  how well `vnf` plans, and the page docs/EFFICIENCY.md; ONLY="words" measures the scenes that have them
#   make bench-load  the same for many readers and subscribers
#   make test-upgrade  the previous build and this one take over from each other; needs the history
#   make test-openstack  against a real OpenStack, which it installs and starts (tests/openstack)
#   make fuzz    inputs that nobody would write, for ten minutes each: [TARGET=name] [SECONDS_EACH=600]
#   make dist    the release archive, in target/dist
#   make lint    format, clippy, documentation, tidy rules

CARGO ?= cargo
WASM_TARGET := wasm32-unknown-unknown

.PHONY: demo test test-upgrade test-openstack seeds fuzz bench bench-plan bench-load lint build deps browser strace registry sshd dist

build: deps
	$(CARGO) build --locked

demo: deps
	$(CARGO) run --locked --quiet --bin fenix -- demo $(DEMO_FLAGS)

test: deps browser strace registry sshd
	$(CARGO) nextest --version >/dev/null 2>&1 || $(CARGO) install --locked cargo-nextest
	$(CARGO) nextest run --locked --workspace
	$(CARGO) test --locked --workspace --doc
	$(CARGO) test --locked --manifest-path plugins/Cargo.toml

test-upgrade: deps
	tests/upgrade.sh

test-openstack: deps
	CARGO="$(CARGO)" tests/openstack/run.sh

seeds: deps
	$(CARGO) run --locked --example coverage -- docs/COVERAGE.md $(SEEDS)

bench: deps
	$(CARGO) run --locked --release --package fenix-tests --example bench -- $(ONLY)

bench-plan: deps
	$(CARGO) run --locked --release --package fenix-sim --example plan -- docs/EFFICIENCY.md $(ONLY)

bench-load: deps
	$(CARGO) run --locked --release --package fenix-tests --example load

fuzz: deps
	@command -v c++ >/dev/null || { apt-get update && apt-get install --yes --no-install-recommends g++; }
	CARGO="$(CARGO)" nice tests/fuzz/run.sh "$(TARGET)" "$(or $(SECONDS_EACH),600)"

lint: deps
	$(CARGO) fmt --all --check
	$(CARGO) fmt --manifest-path plugins/Cargo.toml --all --check
	$(CARGO) clippy --locked --workspace --all-targets --features fenix-tests/openstack -- -D warnings
	$(CARGO) clippy --locked --manifest-path plugins/Cargo.toml --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps

dist: deps
	$(CARGO) build --locked --release --bin fenix
	host/deploy/dist.sh "$${CARGO_TARGET_DIR:-target}/release/fenix" "$${CARGO_TARGET_DIR:-target}/dist"

# The browser that the page is tested in.
browser:
	@for name in chromium-headless-shell chromium chromium-browser google-chrome; do \
	  command -v $$name >/dev/null && exit 0; done; \
	apt-get update && apt-get install --yes --no-install-recommends chromium-headless-shell

# What shows the order of the calls that the server makes.
strace:
	@command -v strace >/dev/null || { apt-get update && apt-get install --yes --no-install-recommends strace; }

# The registry that artifacts are fetched from. The tests start it themselves: as a service it is not to run.
registry:
	@command -v docker-registry >/dev/null || { \
	  if test -d /run/systemd/system; then systemctl mask docker-registry.service; fi; \
	  apt-get update && apt-get install --yes --no-install-recommends docker-registry; }

# The host that commands are run on. The tests start it themselves: as a service it is not to run.
sshd:
	@test -x /usr/sbin/sshd && command -v ssh >/dev/null || { \
	  if test -d /run/systemd/system; then systemctl mask ssh.service ssh.socket; fi; \
	  apt-get update && apt-get install --yes --no-install-recommends openssh-server openssh-client; }

# The target that plug-ins are compiled to.
deps:
	@rustc --print target-libdir --target $(WASM_TARGET) 2>/dev/null | xargs -r test -d \
	  || rustup target add $(WASM_TARGET)
