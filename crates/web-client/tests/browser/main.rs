//! Tests of the browser's own parts, in a browser. `cargo xtask browser-tests` runs them in a page
//! and in a worker. The crate `bellwether-client` tests the parts that all platforms share.

#![cfg(target_arch = "wasm32")]
#![expect(clippy::unwrap_used, reason = "a test that fails should end there")]

mod connection;
mod one_shot;
mod surroundings;

use bellwether_client::ServerUrl;
use js_sys::Reflect;
use wasm_bindgen_test::wasm_bindgen_test_configure;

wasm_bindgen_test_configure!(run_in_browser);

/// The URL of the server that does what the path says: see `xtask/src/browser_tests/server.rs`.
fn server(path: &str) -> ServerUrl {
    url("scripted", path)
}

/// A server that accepts connections and never answers.
fn deaf() -> ServerUrl {
    url("deaf", "/v1")
}

/// No server.
fn nobody() -> ServerUrl {
    url("nobody", "/v1")
}

fn url(name: &str, path: &str) -> ServerUrl {
    let ports = Reflect::get(&js_sys::global(), &"TEST_SERVERS".into()).unwrap();
    assert!(
        ports.is_object(),
        "run these tests with `cargo xtask browser-tests`"
    );
    let port = Reflect::get(&ports, &name.into()).unwrap().as_string().unwrap();
    format!("ws://127.0.0.1:{port}{path}").parse().unwrap()
}
