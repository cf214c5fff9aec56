//! The Bellwether server: takes commands from clients and executes them, one after another, on MongoDB.

#![deny(missing_docs)]

mod command;
mod config;
mod database;
mod endpoint;
mod peer;
mod pipeline;
mod server;

pub use command::{CommandName, Fingerprint, Kind, MAX_PARTS, ParsedCommand, Part, Vocabulary};
pub use config::{ClientLimits, Config, ConfigError};
pub use database::{ClaimError, ConnectError, Database, Fence, Health, Tenure};
pub use pipeline::{Answer, MAX_STORED_REPLY, NotClaimed, Pipeline, RETENTION, Settings, SourceId};
pub use server::{Server, StartError};
