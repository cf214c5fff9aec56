//! The Bellwether server: takes commands from clients and executes them, one after another, on
//! MongoDB.
//!
//! The program `bellwether-server` is little more than [`Server`] with options and a log. This
//! library is for programs that want to embed the same server. There are two ways:
//!
//! - **The whole server**: [`Config`], [`Server::start`], [`Server::run`]. This server elects a
//!   coordinator with its peers, and listens for clients. The coordinator also takes commands from
//!   the program that embeds it, through [`Server::pipeline`]. The example `embedded_server` does
//!   all that.
//! - **The pipeline alone**: [`Database`], [`Fence`], [`Pipeline`]. The pipeline has no network
//!   connections except those to MongoDB, and no election: the program itself decides when to claim
//!   an epoch. The example `embedded_pipeline` does that.
//!
//! Both give the same guarantees, because these come from the pipeline and the fence:
//!
//! - A command has its effect once for each id, however often it is submitted.
//! - An answer follows the majority commit.
//! - From the moment a later epoch is granted, nothing commits under an earlier epoch.
//!
//! # The whole server
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use bellwether_server::{Config, Server};
//!
//! let mut config = Config::new("s1".parse()?, "mongodb://m1,m2,m3/?replicaSet=rs0");
//! config.peers.insert("s2".parse()?, "10.0.0.2:7101".to_owned());
//! config.peers.insert("s3".parse()?, "10.0.0.3:7101".to_owned());
//! config.peer_listen = "10.0.0.1:7101".parse()?;
//! config.peer_secrets = Some(std::fs::read_to_string("/run/secrets/peers")?.parse()?);
//!
//! let server = Server::start(config).await?;
//! server.run(async { /* ends when it is time to leave */ }).await;
//! # Ok(())
//! # }
//! ```
//!
//! # The pipeline alone
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::{Duration, SystemTime, UNIX_EPOCH};
//!
//! use bellwether_server::protocol::{CommandId, RawJson};
//! use bellwether_server::{Database, Fence, ParsedCommand, Pipeline, Settings, SourceId, AllowedCommands};
//! use bson::{Bson, doc};
//! use tokio::time::Instant;
//!
//! let database = Database::connect("mongodb://m1,m2,m3/?replicaSet=rs0", "app").await?;
//! let fence = Fence::new(database.clone());
//! let pipeline = Pipeline::start(database, fence.clone(), Settings::default());
//! pipeline.lead(fence.claim("my program", "1").await?).await?;
//!
//! // Commands are read from Extended JSON, as clients send them.
//! let insert = Bson::from(doc! { "insert": "notes", "documents": [{ "text": "hi" }] });
//! let insert = RawJson::object(&insert.into_canonical_extjson().to_string())?;
//! let insert = ParsedCommand::parse(&insert, &AllowedCommands::default())?;
//!
//! let id = CommandId::mint(SystemTime::now().duration_since(UNIX_EPOCH)?, rand::random());
//! let deadline = Instant::now() + Duration::from_secs(10);
//! let answer = pipeline.submit(SourceId::new(), id, insert, deadline)?.await??;
//! println!("{} in epoch {}", answer.result, answer.epoch);
//!
//! pipeline.retire().await;
//! # Ok(())
//! # }
//! ```
//!
//! # What to know
//!
//! - Everything runs on tokio, and starts its own tasks: call it from within a runtime.
//! - A [`Server`] has one additional thread, for the election and the links to its peers. The
//!   server therefore remains coordinator even if all threads of the caller's runtime are busy.
//!   Commands are executed on the caller's runtime.
//! - The error of a command is an [`ErrorFrame`](protocol::ErrorFrame). Its `outcome` says whether
//!   the command was executed, and its `code` names the problem. A receiver that ends without an
//!   answer means `unknown`.
//! - The structs of settings ([`Config`], [`ClientLimits`], [`Settings`]) will get further fields.
//!   Take the defaults and change single fields.
//! - The library reports its progress through [`tracing`](https://docs.rs/tracing). The library
//!   installs no subscriber.
//! - Only the feature `cli` is for the program. Libraries leave it out with `default-features =
//!   false`.

#![deny(missing_docs)]

mod access;
mod assistant;
mod backoff;
mod client_url;
mod command;
mod config;
mod database;
mod endpoint;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod log_throttle;
mod own_thread;
mod peer;
mod pending_connections;
mod pipeline;
mod refusal_pace;
mod retry_times;

mod server;
mod server_state;
mod subject;
mod tls;

/// The election crate, whose types appear in [`Config`].
pub use bellwether_election as election;
/// The ids, answers and errors that servers and clients exchange.
pub use bellwether_protocol as protocol;

pub use access::{AccessError, AccessFileError, NewApiKey};
pub use command::{
    AllowedCommands, CommandName, Fingerprint, Kind, MAX_OPERATIONS, Operation, ParsedCommand,
};
pub use config::{
    AddressRange, AllowedOrigin, ClientLimits, Config, ConfigError, InvalidAddressRange, InvalidOrigin,
};
pub use database::{ClaimError, ConnectError, Database, Fence, Health, Trouble};
pub use peer::{PeerSecrets, PeerSecretsError};
pub use pipeline::{Answer, MAX_STORED_REPLY, NotClaimed, Pipeline, RETENTION, Settings, SourceId};
pub use server::{Server, StartError};
pub use tls::{CertificateReload, TlsError, TlsFiles};
