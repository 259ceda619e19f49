# The workshop. Every target gets what it needs of Rust by itself; what `e2e` needs beyond it, tests/install brings.
.PHONY: demo run test lint fmt release image e2e guests-target
CONFIG ?= vedette.yaml
# Static, so that it runs in an image without anything else; one build serves the image and the tests with everything real.
STATIC := x86_64-unknown-linux-gnu
# A static binary finds no getrandom(2) by name and would read /dev/urandom, which a container need not have.
RANDOM := --cfg getrandom_backend="linux_getrandom"
# Functions that are alike share one body, and relocations are packed.
SMALLER := -C link-arg=-Wl,--icf=all -C link-arg=-Wl,-z,pack-relative-relocs
RELEASE := target/$(STATIC)/dist/vedette

# A few local targets with the agent watching them.
demo: guests-target
	cargo run --release -p vedette -- demo

run: guests-target
	cargo run --release -p vedette -- run -c $(CONFIG)

# Everything that needs Rust alone. The binary that the tests of tests/ start is built on the way.
test: guests-target
	cargo test --workspace --locked

lint: guests-target
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --all-features --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items --locked

fmt:
	cargo fmt --all

release: guests-target
	RUSTFLAGS='-C target-feature=+crt-static $(RANDOM)' cargo rustc --profile dist --locked -p vedette --bin vedette --target $(STATIC) -- $(SMALLER)
	@ls -lh $(RELEASE)

# The container image `vedette`, with buildah or docker.
image: release
	deploy/image $(RELEASE)

# A real collector, a real image, a real browser. The same features as `test`, so that little is compiled again.
e2e: release
	tests/install
	VEDETTE_BIN="$(CURDIR)/$(RELEASE)" cargo test --workspace --locked --features e2e/collector,e2e/image,e2e/page \
		--test collector --test image --test page

# The target that plugins are compiled for; a no-op where it is installed.
guests-target:
	@rustup target list --installed | grep -qx wasm32-unknown-unknown || rustup target add wasm32-unknown-unknown
