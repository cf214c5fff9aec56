//! A real cluster under faults: `mongod`s and servers as processes, each on a host of its own in a network that this
//! program owns, and clients that record what they were told. Checkers that know nothing of the servers judge the record.
//!
//! Everything that is drawn by lot comes from one seed.

pub mod fault;
pub mod history;
pub mod network;
pub mod plan;
pub mod timeline;
pub mod world;
