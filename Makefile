# The workshop. Every target gets what it needs of Rust by itself.
.PHONY: test lint fmt guests-target

test: guests-target
	cargo test --workspace --locked

lint: guests-target
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

fmt:
	cargo fmt --all

# The target that plugins are compiled for; a no-op where it is installed.
guests-target:
	@rustup target list --installed | grep -qx wasm32-unknown-unknown || rustup target add wasm32-unknown-unknown
