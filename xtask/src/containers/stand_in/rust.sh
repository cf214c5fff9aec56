# Puts the host's Rust, and the crates it has downloaded, where the official image has them.
set -eu
mkdir -p /usr/local/rustup/lib/rustlib /usr/local/cargo/registry
cp -r /host/rust/bin /usr/local/rustup/
cp -r /host/rust/lib/*.so* /usr/local/rustup/lib/
for part in "$(uname -m)-unknown-linux-gnu" "$(uname -m)-unknown-linux-musl" wasm32-unknown-unknown src; do
	cp -r "/host/rust/lib/rustlib/$part" /usr/local/rustup/lib/rustlib/
done
for part in cache index; do
	cp -r "/host/registry/$part" /usr/local/cargo/registry/
done
/usr/local/rustup/bin/rustc --version > /dev/null
