//! The one-shot client of a Bellwether cluster for web pages, and for Node.js, Deno and Bun.
//!
//! The logic is in [`bellwether-client`](../bellwether_client/index.html). This crate adds the
//! sockets, clock and randomness that browsers and these runtimes have in common. `cargo xtask web`
//! builds it, together with the JavaScript in `npm/`, into the npm package `bellwether-web-client`:
//!
//! ```js
//! import { execute } from "bellwether-web-client";
//! const { id, result } = await execute(["127.0.0.1:7001"], { insert: "notes", documents: [{ text: "hi" }] });
//! ```
//!
//! This documentation describes the functions that this JavaScript calls; `npm/index.d.ts`
//! describes the package.
//!
//! On other targets than wasm32 the crate is empty.

#![deny(missing_docs)]

/// An allocator with a third of the code of the standard allocator.
#[cfg(target_arch = "wasm32")]
#[global_allocator]
static ALLOCATOR: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();

#[cfg(target_arch = "wasm32")]
mod browser;
#[cfg(target_arch = "wasm32")]
mod events;
#[cfg(target_arch = "wasm32")]
mod execute;
#[cfg(target_arch = "wasm32")]
mod timer;
#[cfg(target_arch = "wasm32")]
mod values;

#[cfg(target_arch = "wasm32")]
pub use browser::{Browser, BrowserConnection};
#[cfg(target_arch = "wasm32")]
pub use execute::{parse_servers, start};
