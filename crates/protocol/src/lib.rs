//! What a Bellwether client and server say to each other.
//!
//! This crate holds the frames of the WebSocket subprotocol [`SUBPROTOCOL`], the error codes, the three
//! outcomes a command can have, and the limits. It does no I/O, so the server, the native client and the
//! browser client share it. `docs/protocol.md` in the repository describes the same protocol for people who
//! write a client in another language; a test parses every example there with this crate.
//!
//! Commands and results are carried as [`RawJson`]: the text a user typed reaches the server unchanged, so the
//! order of fields and the digits of 64-bit integers survive clients written in languages whose own JSON parser
//! would lose them.
//!
//! A server reads and writes frames with serde_json. A client does so with the small code of [`json`], as every
//! page has to load it; each side reads what the other wrote, so the tests hold the two against each other.

#![deny(missing_docs)]

mod close;
mod error;
mod frame;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod id;
pub mod json;
mod limits;
mod raw_json;
mod status;

pub use close::{CloseCode, close_reason};
pub use error::{ErrorCode, Outcome, WhatNext};
pub use frame::{
    ClientFrame, Command, CommandResult, CoordinatorHint, ErrorFrame, FrameError, Hello, HelloOk, Limits,
    MongoError, MongoErrorDetails, OutcomeQuery, OutcomeResult, RoleName, ServerFrame,
};
pub use id::{CommandId, InvalidCommandId};
pub use limits::{
    DEFAULT_DEADLINE, HELLO_TIMEOUT, MAX_DEADLINE, MAX_DEPTH, MAX_MESSAGE_BYTES, MAX_RESULT_BYTES,
};
pub use raw_json::RawJson;
pub use status::{CommandCounts, ConnectionCounts, DatabaseStatus, PeerStatus, Status};

/// The WebSocket subprotocol a client must offer and a server selects.
pub const SUBPROTOCOL: &str = "bellwether.v1";
