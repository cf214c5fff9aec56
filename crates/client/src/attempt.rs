//! The steps of one try at one server: connect, say hello, hand the command over and wait for its answer.

use core::time::Duration;

use bellwether_protocol::{
    ClientFrame, CommandFate, CommandId, CommandResult, ErrorFrame, FrameError, Hello, HelloOk, ServerFrame,
    WhatNext,
};

use crate::clock::{Clock, TimedOut};
use crate::{Closed, ConnectError, Connection, Lost, OneShot, Platform, TryEnd};

/// Saying goodbye is a courtesy; nobody waits for it longer than this.
const GOODBYE: Duration = Duration::from_millis(100);

/// How much earlier than the client the server shall stop, so that its last word still arrives: a tenth of
/// the time, at most this.
const WAY_BACK: Duration = Duration::from_millis(250);

/// Something that takes time, and how long it may take.
pub(crate) enum Task<C> {
    /// Let time pass.
    Wait(Duration),
    /// Open a connection.
    Connect { server: usize, limit: Duration },
    /// Say hello on it.
    Greet { server: usize, connection: C },
    /// Hand a command or a question over.
    Ask {
        server: usize,
        connection: C,
        message: String,
        id: CommandId,
        limit: Duration,
    },
    /// Close the connection.
    Part(C),
}

/// What came of a [`Task`].
pub(crate) enum Happened<C> {
    TimePassed,
    Connected {
        server: usize,
        connection: C,
    },
    Greeted {
        server: usize,
        connection: C,
        hello: Box<HelloOk>,
    },
    /// The try is over.
    Ended {
        server: usize,
        connection: Option<C>,
        answer: Result<Reply, TryEnd>,
    },
    Parted,
}

/// What a server answers.
#[derive(Debug)]
pub(crate) enum Reply {
    /// To a command.
    Result(CommandResult),
    /// To the question what became of one.
    Fate(CommandFate),
}

/// Does what there is to do. One function for every task: the futures under way have one type, so they can be
/// driven together without naming it, and stay `Send` where the platform's are.
pub(crate) async fn perform<'a, P: Platform>(
    shot: &'a OneShot<P>,
    clock: Clock<'a, P>,
    task: Task<P::Connection>,
) -> Happened<P::Connection> {
    match task {
        Task::Wait(pause) => {
            clock.sleep(pause).await;
            Happened::TimePassed
        }
        Task::Connect { server, limit } => {
            let connecting = shot.platform.connect(&shot.servers[server]);
            let end = match clock.within(limit, connecting).await {
                Ok(Ok(connection)) => return Happened::Connected { server, connection },
                Ok(Err(ConnectError::Unreachable(detail))) => TryEnd::Unreachable(detail),
                Ok(Err(ConnectError::BadEndpoint(detail))) => TryEnd::BadEndpoint(detail),
                Err(TimedOut) => TryEnd::ConnectTimeout,
            };
            Happened::Ended {
                server,
                connection: None,
                answer: Err(end),
            }
        }
        Task::Greet {
            server,
            mut connection,
        } => {
            let hello = Hello {
                client: shot.client.clone(),
                cluster: shot.cluster.clone(),
            };
            let greeting = greet(&mut connection, hello);
            let end = match clock.within(shot.hello_timeout, greeting).await {
                Ok(Ok(hello)) => {
                    return Happened::Greeted {
                        server,
                        connection,
                        hello,
                    };
                }
                Ok(Err(end)) => end,
                Err(TimedOut) => TryEnd::HelloTimeout,
            };
            Happened::Ended {
                server,
                connection: Some(connection),
                answer: Err(end),
            }
        }
        Task::Ask {
            server,
            mut connection,
            message,
            id,
            limit,
        } => {
            let answer = clock.within(limit, ask(&mut connection, message, id)).await;
            Happened::Ended {
                server,
                connection: Some(connection),
                answer: answer.unwrap_or(Err(TryEnd::Lost(Lost::Silence))),
            }
        }
        Task::Part(connection) => {
            let _ = clock.within(GOODBYE, connection.close()).await;
            Happened::Parted
        }
    }
}

/// The time the server is given, so that its answer is here before the client's own `limit` is over.
pub(crate) fn deadline_ms(limit: Duration) -> u64 {
    let deadline = limit - (limit / 10).min(WAY_BACK);
    let millis = deadline.as_secs().saturating_mul(1000);
    millis.saturating_add(deadline.subsec_millis().into()).max(1)
}

async fn greet(connection: &mut impl Connection, hello: Hello) -> Result<Box<HelloOk>, TryEnd> {
    let hello = ClientFrame::Hello(hello).to_json();
    connection.send(hello).await.map_err(TryEnd::Closed)?;
    loop {
        let message = connection.recv().await.map_err(TryEnd::Closed)?;
        match ServerFrame::parse(&message) {
            Ok(ServerFrame::HelloOk(hello)) => return Ok(Box::new(hello)),
            Ok(ServerFrame::Error(frame)) => return Err(TryEnd::Refused(Box::new(frame))),
            // Frames of a later version of the protocol are to be ignored.
            Ok(ServerFrame::Result(_) | ServerFrame::Fate(_)) | Err(FrameError::UnknownType(_)) => {}
            Err(error) => return Err(TryEnd::BadEndpoint(error.to_string())),
        }
    }
}

async fn ask(connection: &mut impl Connection, message: String, id: CommandId) -> Result<Reply, TryEnd> {
    let lost = |closed: Closed| TryEnd::Lost(Lost::Closed(closed));
    connection.send(message).await.map_err(lost)?;
    loop {
        let message = connection.recv().await.map_err(lost)?;
        match ServerFrame::parse(&message) {
            Ok(ServerFrame::Result(result)) if result.id == id => return Ok(Reply::Result(result)),
            Ok(ServerFrame::Fate(fate)) if fate.id == id => return Ok(Reply::Fate(fate)),
            Ok(ServerFrame::Error(frame)) if answers(&frame, id) => {
                return Err(TryEnd::Refused(Box::new(frame)));
            }
            Ok(_) | Err(FrameError::UnknownType(_)) => {}
            Err(error) => return Err(TryEnd::Lost(Lost::Unreadable(error.to_string()))),
        }
    }
}

/// Whether the error is about this command. One without an id is about the connection, and says nothing
/// about a command that may be executing at this moment, unless it says that the frame was no good.
fn answers(frame: &ErrorFrame, id: CommandId) -> bool {
    match frame.id {
        Some(of) => of == id,
        None => frame.code.what_next() == WhatNext::GiveUp,
    }
}
