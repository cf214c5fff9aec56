//! The steps of one attempt at one server: connect, say hello, send the command and wait for its
//! answer.

use core::pin::pin;
use core::time::Duration;
use std::sync::Arc;

use bellwether_protocol::{
    CommandId, CommandResult, ErrorFrame, FrameError, HelloOk, OutcomeResult, ServerFrame, WhatNext,
};
use futures_util::future::{Either, pending, select};

use crate::clock::Clock;
use crate::{AttemptEnd, Closed, Connection, Lost, OneShot, Platform};

/// Time limit for closing a connection. The close frame is a courtesy, so the client waits no
/// longer.
pub(crate) const CLOSE_LIMIT: Duration = Duration::from_millis(100);

/// Longest time by which the server's deadline is earlier than the client's. The server gets a
/// tenth of the time less than the client, but at most this less. At the end of its time the server
/// ends its transaction. A round trip around the world takes a third of a second.
pub(crate) const WAY_BACK: Duration = Duration::from_millis(500);

/// The reason why the client does not trust a server that says nothing about the client's token.
#[cfg(feature = "tokens")]
const UNCONFIRMED: &str = "it did not confirm the identity that the token proves: start it with --access";

/// The reason why the client does not connect to a server.
const NO_TOKEN_IN_CLEAR: &str = "others could read the token on its way: use a wss:// URL";

/// An action with a time limit.
pub(crate) struct Task<C> {
    /// The server of the action. Closing a connection and waiting have no server.
    pub(crate) server: Option<usize>,
    /// The connection to the server, once it exists.
    pub(crate) connection: Option<C>,
    pub(crate) action: Action,
    /// The time limit, which never exceeds the deadline.
    pub(crate) limit: Duration,
}

pub(crate) enum Action {
    /// Let time pass. A connection stays open, unless the server closes it.
    Wait,
    /// Open a connection to the server at this position.
    Connect(usize),
    /// Open a connection to the server at this position, send it this hello, and wait for its
    /// answer.
    Greet(usize, String),
    /// Send this message and wait for its answer. With an id, the message is a command or a
    /// question, and without an id a hello.
    Ask(String, Option<CommandId>),
    /// Close the connection.
    Close,
}

/// The result of a [`Task`].
pub(crate) struct Happened<C> {
    pub(crate) server: Option<usize>,
    pub(crate) connection: Option<C>,
    /// `None` if the time limit has passed.
    pub(crate) end: Option<Result<Done, AttemptEnd>>,
}

pub(crate) enum Done {
    Connected,
    Greeted(Box<HelloOk>),
    Replied(Box<Reply>),
    Closed,
}

/// The answer of a server.
#[derive(Clone, Debug)]
pub enum Reply {
    /// The answer to a command.
    Result(CommandResult),
    /// The answer to the question for an outcome.
    OutcomeResult(OutcomeResult),
}

/// Performs a task. All tasks use this one function, so their futures have the same type. They can
/// then be polled together without a name for the type, and are `Send` if the platform's futures
/// are.
pub(crate) async fn perform<'a, P: Platform>(
    shot: &'a OneShot<P>,
    clock: Clock<'a, P>,
    task: Task<P::Connection>,
) -> Happened<P::Connection> {
    let mut connection = task.connection;
    // Set if the server greets the client without a word about its token.
    let mut is_unconfirmed = false;
    let end = {
        let doing = pin!(act(shot, &mut connection, &mut is_unconfirmed, task.action));
        let time = pin!(clock.sleep(task.limit));
        match select(doing, time).await {
            Either::Left((end, _)) => Some(end),
            Either::Right(_) => None,
        }
    };
    #[cfg(feature = "tokens")]
    let end = end.or_else(|| is_unconfirmed.then(|| Err(AttemptEnd::NotProven(UNCONFIRMED.into()))));
    Happened {
        server: task.server,
        connection,
        end,
    }
}

/// Performs the action, without a time limit. There is one place each that connects, sends and
/// receives, because these futures are long, and a page should load them only once.
async fn act<P: Platform>(
    shot: &OneShot<P>,
    connection: &mut Option<P::Connection>,
    is_unconfirmed: &mut bool,
    action: Action,
) -> Result<Done, AttemptEnd> {
    if let Action::Connect(server) | Action::Greet(server, _) = &action {
        let url = &shot.servers[*server];
        if shot.has_token() && !url.keeps_secrets() {
            return Err(AttemptEnd::NotProven(NO_TOKEN_IN_CLEAR.into()));
        }
        *connection = Some(shot.platform.connect(url).await?);
    }
    let (message, id) = match action {
        Action::Connect(_) => return Ok(Done::Connected),
        Action::Close => {
            if let Some(connection) = connection.take() {
                connection.close().await;
            }
            return Ok(Done::Closed);
        }
        Action::Greet(_, hello) => (Some(hello), None),
        Action::Ask(message, id) => (Some(message), id),
        Action::Wait => (None, None),
    };
    let waits = message.is_none();
    let lost = |closed: Closed| match id {
        Some(_) => AttemptEnd::Lost(Lost::Closed(closed)),
        None => AttemptEnd::Closed(closed),
    };
    if let (Some(message), Some(open)) = (message, connection.as_mut()) {
        open.send(message).await.map_err(lost)?;
    }
    while let Some(open) = connection {
        match open.recv().await {
            Ok(_) if waits => {}
            Ok(message) => {
                if let Some(answer) = answer(&message, id) {
                    if lacks_identity(shot, &answer) {
                        // The reason follows, if the server asks for tokens at all.
                        *is_unconfirmed = true;
                        continue;
                    }
                    return answer;
                }
            }
            Err(_) if waits => *connection = None,
            Err(closed) => return Err(lost(closed)),
        }
    }
    pending().await
}

/// Returns `true` if the client has sent a token, and the server's greeting names no subject.
fn lacks_identity<P: Platform>(shot: &OneShot<P>, answer: &Result<Done, AttemptEnd>) -> bool {
    shot.has_token() && matches!(answer, Ok(Done::Greeted(hello)) if hello.identity.is_none())
}

/// Returns the deadline for the server in milliseconds. This deadline is early enough that the
/// server's answer arrives within the client's own `limit`.
pub(crate) fn deadline_ms(limit: Duration) -> u64 {
    let deadline = limit - (limit / 10).min(WAY_BACK);
    let millis = deadline.as_secs().saturating_mul(1000);
    // A part of a millisecond counts as a whole one. The time left after it is the way back.
    let part = deadline.subsec_nanos().div_ceil(1_000_000);
    millis.saturating_add(part.into()).max(1)
}

/// Returns the answer in this message, or `None` if the message is no answer to the command,
/// question or hello. The client must ignore frames of a later version of the protocol.
fn answer(message: &str, id: Option<CommandId>) -> Option<Result<Done, AttemptEnd>> {
    let done = match ServerFrame::parse(message) {
        Ok(ServerFrame::HelloOk(hello)) if id.is_none() => Done::Greeted(Box::new(hello)),
        Ok(ServerFrame::Result(result)) if id == Some(result.id) => {
            Done::Replied(Box::new(Reply::Result(result)))
        }
        Ok(ServerFrame::OutcomeResult(outcome_result)) if id == Some(outcome_result.id) => {
            Done::Replied(Box::new(Reply::OutcomeResult(outcome_result)))
        }
        Ok(ServerFrame::Error(frame)) if answers(&frame, id) => {
            let frame = Arc::new(frame);
            return Some(Err(match id {
                Some(_) => AttemptEnd::Refused(frame),
                None => AttemptEnd::HelloRefused(frame),
            }));
        }
        Ok(_) | Err(FrameError::UnknownType(_)) => return None,
        Err(error) => {
            let detail = error.text();
            return Some(Err(match id {
                Some(_) => AttemptEnd::Lost(Lost::Unreadable(detail)),
                None => AttemptEnd::BadEndpoint(detail),
            }));
        }
    };
    Some(Ok(done))
}

/// Returns `true` if the error concerns this command. An error without an id concerns the
/// connection. Such an error says nothing about a command that may be executing now, unless it says
/// that the frame was invalid.
fn answers(frame: &ErrorFrame, id: Option<CommandId>) -> bool {
    id.is_none()
        || match frame.id {
            Some(_) => frame.id == id,
            None => frame.code.what_next() == WhatNext::GiveUp,
        }
}
