//! A real cluster under faults, and clients that record their calls. The `mongod`s and servers are
//! processes, each on a host of its own in a network that this program owns. Checkers that do not
//! depend on the servers' code judge the record.
//!
//! All random choices come from one seed.

pub mod bystanders;
pub mod check;
pub mod converges;
pub mod fault;
pub mod final_state;
pub mod history;
pub mod ledger;
pub mod network;
pub mod options;
pub mod plan;
pub mod replay;
pub mod report;
pub mod run;
pub mod timeline;
pub mod workload;
pub mod world;
