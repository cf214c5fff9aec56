//! The steps of one try at one server: connect, say hello, hand the command over and wait for its
//! answer.

use core::pin::pin;
use core::time::Duration;
use std::sync::Arc;

use bellwether_protocol::{
    CommandId, CommandResult, ErrorFrame, FrameError, HelloOk, OutcomeResult, ServerFrame, WhatNext,
};
use futures_util::future::{Either, pending, select};

use crate::clock::Clock;
use crate::{Closed, Connection, Lost, OneShot, Platform, TryEnd};

/// Saying goodbye is a courtesy; nobody waits for it longer than this.
pub(crate) const GOODBYE: Duration = Duration::from_millis(100);

/// The server gets a tenth of the time less than the client has, and at most this less. Its answer
/// at the end of its time needs that to arrive: the server ends its transaction, and a way round
/// the world takes a third of a second.
pub(crate) const WAY_BACK: Duration = Duration::from_millis(500);

/// Something that takes time.
pub(crate) struct Task<C> {
    /// For which server; goodbyes and pauses are for none.
    pub(crate) server: Option<usize>,
    /// The connection to it, once there is one.
    pub(crate) connection: Option<C>,
    pub(crate) action: Action,
    /// How long it may take; never past the deadline.
    pub(crate) limit: Duration,
}

pub(crate) enum Action {
    /// Let time pass.
    Wait,
    /// Open a connection to the server at this position.
    Connect(usize),
    /// Open a connection to the server at this position, send it this hello and wait for its
    /// answer.
    Greet(usize, String),
    /// Send this message and wait for its answer: that to a command or question with this id, or to
    /// a hello.
    Ask(String, Option<CommandId>),
    /// Close the connection.
    Part,
}

/// What came of a [`Task`].
pub(crate) struct Happened<C> {
    pub(crate) server: Option<usize>,
    pub(crate) connection: Option<C>,
    /// `None` if the time is up.
    pub(crate) end: Option<Result<Done, TryEnd>>,
}

pub(crate) enum Done {
    Connected,
    Greeted(Box<HelloOk>),
    Replied(Box<Reply>),
    Parted,
}

/// What a server answers.
#[derive(Clone, Debug)]
pub enum Reply {
    /// To a command.
    Result(CommandResult),
    /// To the question what became of one.
    OutcomeResult(OutcomeResult),
}

/// Does what there is to do. One function for every task: the futures under way have one type, so
/// they can be driven together without naming it, and stay `Send` where the platform's are.
pub(crate) async fn perform<'a, P: Platform>(
    shot: &'a OneShot<P>,
    clock: Clock<'a, P>,
    task: Task<P::Connection>,
) -> Happened<P::Connection> {
    let mut connection = task.connection;
    let end = {
        let doing = pin!(act(shot, &mut connection, task.action));
        let time = pin!(clock.sleep(task.limit));
        match select(doing, time).await {
            Either::Left((end, _)) => Some(end),
            Either::Right(_) => None,
        }
    };
    Happened {
        server: task.server,
        connection,
        end,
    }
}

async fn act<P: Platform>(
    shot: &OneShot<P>,
    connection: &mut Option<P::Connection>,
    action: Action,
) -> Result<Done, TryEnd> {
    match (action, connection) {
        (action @ (Action::Connect(server) | Action::Greet(server, _)), connection) => {
            // One place that connects, for both: its future is long, and a page loads it once.
            let open = connection.insert(shot.platform.connect(&shot.servers[server]).await?);
            match action {
                Action::Greet(_, hello) => ask(open, hello, None).await,
                _ => Ok(Done::Connected),
            }
        }
        (Action::Ask(message, id), Some(connection)) => ask(connection, message, id).await,
        (Action::Part, connection) => {
            if let Some(connection) = connection.take() {
                connection.close().await;
            }
            Ok(Done::Parted)
        }
        (Action::Wait | Action::Ask(..), _) => pending().await,
    }
}

/// The time the server is given, so that its answer is here before the client's own `limit` is
/// over.
pub(crate) fn deadline_ms(limit: Duration) -> u64 {
    let deadline = limit - (limit / 10).min(WAY_BACK);
    let millis = deadline.as_secs().saturating_mul(1000);
    millis.saturating_add(deadline.subsec_millis().into()).max(1)
}

/// Says something and waits for the answer: with an id to a command or a question, without one to a
/// hello.
async fn ask(
    connection: &mut impl Connection,
    message: String,
    id: Option<CommandId>,
) -> Result<Done, TryEnd> {
    let lost = |closed: Closed| match id {
        Some(_) => TryEnd::Lost(Lost::Closed(closed)),
        None => TryEnd::Closed(closed),
    };
    connection.send(message).await.map_err(lost)?;
    loop {
        let message = connection.recv().await.map_err(lost)?;
        if let Some(answer) = answer(&message, id) {
            return answer;
        }
    }
}

/// What this message says to what was asked, if it says anything. Frames of a later version of the
/// protocol are to be ignored.
fn answer(message: &str, id: Option<CommandId>) -> Option<Result<Done, TryEnd>> {
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
                Some(_) => TryEnd::Refused(frame),
                None => TryEnd::HelloRefused(frame),
            }));
        }
        Ok(_) | Err(FrameError::UnknownType(_)) => return None,
        Err(error) => {
            let detail = error.text();
            return Some(Err(match id {
                Some(_) => TryEnd::Lost(Lost::Unreadable(detail)),
                None => TryEnd::BadEndpoint(detail),
            }));
        }
    };
    Some(Ok(done))
}

/// Whether the error is about this command. One without an id is about the connection, and says
/// nothing about a command that may be executing at this moment, unless it says that the frame was
/// no good.
fn answers(frame: &ErrorFrame, id: Option<CommandId>) -> bool {
    id.is_none()
        || match frame.id {
            Some(_) => frame.id == id,
            None => frame.code.what_next() == WhatNext::GiveUp,
        }
}
