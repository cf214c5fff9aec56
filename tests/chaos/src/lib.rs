//! A real cluster under faults: `mongod`s and servers as processes, each on a host of its own in a
//! network that this program owns, and clients that record what they were told. Checkers that know
//! nothing of the servers judge the record.
//!
//! Everything that is drawn by lot comes from one seed.

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
