//! Functions to run other programs, and to find them, for the project's own commands and its tests.
//! It is a crate of its own, without the dependencies of the other commands. So the page can also
//! be built in a container.

mod key;
mod manifest;
mod npm;
mod place;
mod python;
mod rust;
mod step;

pub use manifest::{Dependency, ELECTION, Manifest};
pub use npm::{find_node, node_packages, npm};
pub use place::{on_path, root, target_dir};
pub use python::python_packages;
pub use rust::{Missing, rust_src, target, toolchain, wasm_target};
pub use step::{cargo, cargo_of, command, output, run, run_and_read, say, show};
