//! The one-shot client of a Bellwether cluster.
//!
//! A client holds the list of all servers and one command. It passes the command to each server in
//! turn until one executes it, or the list is exhausted and the time is up. [`OneShot`] does that,
//! once for every platform: what differs between a program and a web page (sockets, clock,
//! randomness) is a [`Platform`].
//!
//! Servers that are slow to greet do not hold up the others: after 250 ms the next one is greeted
//! as well, and the first that says that it is the coordinator is sent the command. The command
//! itself is with one server at a time. If that one falls silent, the others are greeted again, and
//! if one of them has become coordinator in a later epoch, in which the silent server can commit
//! nothing any more, it is sent the command.
//!
//! The command keeps one id through all tries, and the servers remember ids, so passing it to
//! several servers never executes it twice. What the client reports is therefore always one of
//! three [`Outcome`]s, and it is careful with them: a try that sent the command and heard nothing
//! is `unknown`, and only an answer that settles earlier tries turns that into anything else.
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
mod race;
pub mod readable;
mod server_list;
mod tries;

pub use bellwether_protocol::{
    CommandId, ErrorCode, ErrorFrame, HelloOk, MongoError, MongoErrorDetails, Outcome, RawJson,
};

pub use attempt::Reply;
pub use command::{CommandText, NotACommand};
pub use event::Event;
pub use failure::{Failure, Stop};
pub use one_shot::{Answered, Executed, OneShot, OutcomeResult};
pub use platform::{Closed, ConnectError, Connection, Platform};
pub use race::Request;
pub use server_list::{BadServer, ServerList, ServerUrl};
pub use tries::{Lost, Try, TryEnd};
