//! Functions to run other programs, and to find them, for the project's own commands and its tests.
//!
//! This crate has few dependencies. So `cargo xtask` is compiled quickly, and a container can build
//! the page.

mod faketime;
mod key;
mod manifest;
mod mongod;
mod npm;
mod place;
mod port;
mod python;
mod rust;
mod signals;
mod step;

pub use faketime::installed_faketime;
pub use manifest::{Dependency, ELECTION, Manifest};
pub use mongod::{find_mongod, installed_mongod, provisioned_mongod};
pub use npm::{find_node, node_packages, npm};
pub use place::{on_path, root, target_dir};
pub use port::is_free;
pub use python::python_packages;
pub use rust::{Missing, rust_src, target, toolchain, wasm_target};
pub use signals::asked_to_end;
pub use step::{cargo, cargo_of, command, output, run, run_and_read, say, show};
