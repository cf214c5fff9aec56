//! A real cluster on one machine: `mongod` and `bellwether-server` as child processes that can be
//! killed, paused and started again.
//!
//! The integration tests in `tests/`, the chaos suite, `cargo xtask demo` and `cargo xtask bench`
//! all use this crate.
//! It needs a `mongod`, which [`find_mongod`] finds. Nothing here panics: every error names the
//! next step.

mod agreement;
mod black_hole;
#[cfg(feature = "browser")]
mod browser;
mod cluster;
mod code_blocks;
mod connection;
#[cfg(feature = "browser")]
mod console;
mod containers;
mod fail_point;
mod false_server;
mod file_server;
mod gate;
mod host;
mod http;
mod journal;
mod load;
pub mod markdown;
#[cfg(feature = "browser")]
mod page;
mod path_proxy;
mod ports;
mod process;
mod program;
mod raw_socket;
mod replica_set;
mod reply_cutter;
mod stage;
mod stall;
mod traced_load;
mod wait;

pub use agreement::Agreement;
pub use bellwether_programs::{
    find_mongod, find_node, installed_faketime, is_free, node_packages, npm, on_path, python_packages,
    target_dir,
};
pub use black_hole::{BlackHole, DeafServer};
#[cfg(feature = "browser")]
pub use browser::Browser;
pub use cluster::{Cluster, ClusterOptions, PeerSecretFiles, Server};
pub use code_blocks::{CodeBlock, code_blocks};
pub use connection::{Connection, mint, request};
#[cfg(feature = "browser")]
pub use console::ConsoleLine;
pub use containers::{Compose, docker, docker_logs};
pub use fail_point::FailPoint;
pub use false_server::FalseServer;
pub use file_server::FileServer;
pub use gate::Gate;
pub use host::Host;
pub use http::{HttpAnswer, http_get};
pub use journal::Journal;
pub use load::{Load, LoadReport, execute, execute_within};
#[cfg(feature = "browser")]
pub use page::{Page, Row, Shown};
pub use path_proxy::PathProxy;
pub use ports::free_ports;
pub use process::{Process, Recipe};
pub use program::{client_program, page_dir, server_example, server_program};
pub use raw_socket::{Length, RawFrame, RawSocket, Received, command_text, handshake, opcode};
pub use replica_set::{Failover, Member, ReplicaSet, ReplicaSetOptions};
pub use reply_cutter::ReplyCutter;
pub use stage::{Case, Stage, play, play_rows};
pub use stall::unless_stalled;
pub use traced_load::{Effects, INSERTS, Tally, TracedLoad, TracedReport, UPDATES};
pub use wait::{PATIENCE, wait_until};
