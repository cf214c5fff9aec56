//! The one-shot client of a Bellwether cluster.
//!
//! A client holds the list of all servers and one command. The client passes the command to each
//! server in turn until one executes it, or the time is over. [`OneShot`] does that for every
//! platform. A [`Platform`] provides the parts that differ between a program and a web page:
//! sockets, clock, randomness.
//!
//! Servers that are slow to greet do not delay the others. After 250 ms the client greets the next
//! server, too. The first server that says that it is the coordinator receives the command. Only
//! one server at a time has the command. If that server falls silent, the client greets the others
//! again. One of them may have become coordinator in a later epoch. In that epoch the silent server
//! can commit nothing any more, so the client sends the command to the new coordinator.
//!
//! The command keeps one id through all attempts. The servers remember ids, so they never execute
//! the command twice. The client therefore always reports one of three [`Outcome`]s. The client is
//! careful with them: the outcome is `unknown` after an attempt that sent the command and received
//! no answer. Only an answer that settles earlier attempts changes that.
//!
//! ```no_run
//! # #[cfg(feature = "native")]
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use bellwether_client::{CommandText, OneShot, ServerList, native::Native};
//!
//! let servers: ServerList = "127.0.0.1:7001, 127.0.0.1:7002".parse()?;
//! let command: CommandText = r#"{"insert":"notes","documents":[{"text":"hi"}]}"#.parse()?;
//! let executed = OneShot::new(Native::new(), servers).execute(&command, |_event| {}).await?;
//! println!("{}", executed.result);
//! # Ok(())
//! # }
//! ```

#![deny(missing_docs)]

mod attempt;
mod cause;
mod clock;
mod command;
mod dispatch;
mod event;
mod failure;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(feature = "native")]
pub mod native;
mod one_shot;
mod platform;
mod progress;
mod server_list;
mod step;

/// The frames of the protocol, for programs that read a [`Reply`] or an [`Attempt`].
pub use bellwether_protocol as protocol;
pub use bellwether_protocol::{
    CommandId, ErrorCode, ErrorFrame, HelloOk, MongoError, MongoErrorDetails, Outcome, RawJson,
};

pub use attempt::{Attempt, AttemptEnd, Lost};
#[cfg(feature = "tokens")]
pub use bellwether_protocol::Token;
pub use command::{CommandText, NotACommand};
pub use dispatch::Request;
pub use event::Event;
pub use failure::{Failure, Stop};
pub use one_shot::{Answered, Executed, OneShot, OutcomeResult};
pub use platform::{Closed, ConnectError, Connection, Keepalive, Platform};
pub use server_list::{BadServer, ServerList, ServerUrl};
pub use step::Reply;
