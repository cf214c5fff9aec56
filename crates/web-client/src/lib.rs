//! The one-shot client of a Bellwether cluster for web pages.
//!
//! The logic is [`bellwether-client`](../bellwether_client/index.html)'s; this crate brings the browser's
//! sockets, clock and randomness, and functions for JavaScript:
//!
//! ```js
//! import init, { execute } from "./pkg/bellwether_web_client.js";
//! await init();
//! const { id, result } = await execute(["127.0.0.1:7001"], '{"insert":"notes","documents":[{"text":"hi"}]}');
//! ```
//!
//! Command and result are text on purpose: JavaScript's own JSON reorders fields named like numbers and
//! rounds integers beyond 2^53.
//!
//! On anything but wasm32 the crate is empty.

#![deny(missing_docs)]

#[cfg(target_arch = "wasm32")]
mod browser;
#[cfg(target_arch = "wasm32")]
mod execute;
#[cfg(target_arch = "wasm32")]
mod text;
#[cfg(target_arch = "wasm32")]
mod values;

#[cfg(target_arch = "wasm32")]
pub use browser::{Browser, BrowserConnection};
#[cfg(target_arch = "wasm32")]
pub use execute::{Options, execute, outcome};
#[cfg(target_arch = "wasm32")]
pub use text::{parse_servers, pretty, pretty_relaxed};
