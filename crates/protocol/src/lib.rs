//! The language between Bellwether clients and servers.
//!
//! This crate holds the frames of the WebSocket subprotocol [`SUBPROTOCOL`], the error codes, the
//! three outcomes of a command, and the limits. It does no I/O, so the server, the native client
//! and the browser client share it.
//!
//! `docs/protocol.md` in the repository describes the same protocol for authors of clients in other
//! languages. A test parses every example of that document with this crate.
//!
//! [`RawJson`] carries commands and results as text, so the user's text reaches the server
//! unchanged. Clients in other languages therefore keep the order of fields and the digits of
//! 64-bit integers, even if their own JSON parser would lose them.
//!
//! A server reads and writes frames with serde_json. A client uses the small code of [`json`],
//! because every page has to load it. Each side reads the frames of the other, and tests compare
//! the two.

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
mod token;

pub use close::{CloseCode, close_reason};
pub use error::{ErrorCode, Outcome, WhatNext};
pub use frame::{
    ClientFrame, Command, CommandResult, CoordinatorHint, ErrorFrame, FrameError, Hello, HelloOk, Identity,
    Limits, MongoError, MongoErrorDetails, OutcomeQuery, OutcomeResult, RoleName, ServerFrame,
};
pub use id::{CommandId, InvalidCommandId};
pub use limits::{
    DEFAULT_DEADLINE, HELLO_TIMEOUT, MAX_DEADLINE, MAX_DEPTH, MAX_MESSAGE_BYTES, MAX_RESULT_BYTES,
    MAX_TOKEN_BYTES,
};
pub use raw_json::RawJson;
pub use status::{CommandCounts, ConnectionCounts, DatabaseStatus, PeerStatus, Status, TlsStatus};
pub use token::Token;

/// The WebSocket subprotocol that a client must offer and a server selects.
pub const SUBPROTOCOL: &str = "bellwether.v1";
