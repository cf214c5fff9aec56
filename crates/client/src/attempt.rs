//! One try at one server: connect, say hello, hand the command over, wait for its answer.

use core::time::Duration;

use bellwether_protocol::{
    ClientFrame, Command, CommandFate, CommandId, CommandResult, FrameError, Hello, HelloOk, OutcomeQuery,
    RoleName, ServerFrame, WhatNext,
};

use crate::clock::{Clock, TimedOut};
use crate::progress::Progress;
use crate::{Closed, CommandText, ConnectError, Connection, Event, Lost, OneShot, Platform, TryEnd};

/// Saying goodbye is a courtesy; nobody waits for it longer than this.
const GOODBYE: Duration = Duration::from_millis(100);

/// How much earlier than the client the server shall stop, so that its last word still arrives: a tenth of
/// the time, at most this.
const WAY_BACK: Duration = Duration::from_millis(250);

/// A command or a question on its way along the list.
pub(crate) struct Run<'a, P, F> {
    pub(crate) shot: &'a OneShot<P>,
    pub(crate) request: Request<'a>,
    pub(crate) clock: Clock<'a, P>,
    pub(crate) progress: Progress,
    pub(crate) on_event: F,
}

/// What a server is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Request<'a> {
    /// To execute this command.
    Execute(&'a CommandText),
    /// What became of a command.
    Outcome,
}

/// What a server answers.
#[derive(Debug)]
pub(crate) enum Reply {
    /// To a command.
    Result(CommandResult),
    /// To the question what became of one.
    Fate(CommandFate),
}

impl<P: Platform, F: FnMut(Event<'_>)> Run<'_, P, F> {
    /// Tries the server and records how it went.
    pub(crate) async fn try_server(&mut self, server: usize, hinted: bool) -> Result<Reply, TryEnd> {
        let url = &self.shot.servers[server];
        self.progress.begin(server, url.clone(), hinted, self.clock.now());
        (self.on_event)(Event::Trying { server, url });
        let end = match self.connect(server).await {
            Ok(mut connection) => {
                let end = self.converse(server, &mut connection).await;
                self.ended(end.as_ref().err());
                let _ = self.clock.within(GOODBYE, connection.close()).await;
                return end;
            }
            Err(end) => end,
        };
        self.ended(Some(&end));
        Err(end)
    }

    /// Records that the current try is over: with an answer, or for this reason without one.
    pub(crate) fn ended(&mut self, end: Option<&TryEnd>) {
        let answered = match self.request {
            Request::Execute(_) => TryEnd::Executed,
            Request::Outcome => TryEnd::Answered,
        };
        let end = end.cloned().unwrap_or(answered);
        if let Some((server, tried)) = self.progress.end(end, self.clock.now()) {
            (self.on_event)(Event::Ended { server, tried });
        }
    }

    async fn connect(&mut self, server: usize) -> Result<P::Connection, TryEnd> {
        let connecting = self.shot.platform.connect(&self.shot.servers[server]);
        match self.clock.within(self.shot.connect_timeout, connecting).await {
            Ok(Ok(connection)) => {
                (self.on_event)(Event::Connected { server });
                Ok(connection)
            }
            Ok(Err(ConnectError::Unreachable(detail))) => Err(TryEnd::Unreachable(detail)),
            Ok(Err(ConnectError::BadEndpoint(detail))) => Err(TryEnd::BadEndpoint(detail)),
            Err(TimedOut) => Err(TryEnd::ConnectTimeout),
        }
    }

    async fn converse(&mut self, server: usize, connection: &mut P::Connection) -> Result<Reply, TryEnd> {
        let hello = Hello {
            client: self.shot.client.clone(),
            cluster: self.shot.cluster.clone(),
        };
        let greeting = greet(connection, hello);
        let hello = match self.clock.within(self.shot.hello_timeout, greeting).await {
            Ok(answer) => answer?,
            Err(TimedOut) => return Err(TryEnd::HelloTimeout),
        };
        self.progress.greeted(&hello.server);
        (self.on_event)(Event::Greeted {
            server,
            hello: &hello,
        });

        if self
            .shot
            .cluster
            .as_ref()
            .is_some_and(|cluster| *cluster != hello.cluster)
        {
            return Err(TryEnd::WrongCluster { found: hello.cluster });
        }
        let random = || self.shot.platform.random();
        let id = self
            .progress
            .id_or_mint(Duration::from_millis(hello.server_time_ms), random);
        if hello.role != RoleName::Coordinator {
            return Err(TryEnd::NotCoordinator {
                role: hello.role,
                coordinator: hello.coordinator,
            });
        }
        self.hand_over(server, connection, &hello, id).await
    }

    async fn hand_over(
        &mut self,
        server: usize,
        connection: &mut P::Connection,
        hello: &HelloOk,
        id: CommandId,
    ) -> Result<Reply, TryEnd> {
        let limit = self.shot.answer_limit().min(self.clock.remaining());
        let deadline_ms = Some(deadline_ms(limit));
        let message = match self.request {
            Request::Execute(command) => ClientFrame::Command(Command {
                id,
                deadline_ms,
                command: command.json().clone(),
            }),
            Request::Outcome => ClientFrame::Outcome(OutcomeQuery { id, deadline_ms }),
        }
        .to_json();
        if u64::try_from(message.len()).is_ok_and(|bytes| bytes > hello.limits.max_message_bytes) {
            return Err(TryEnd::TooLarge {
                bytes: message.len(),
                limit: hello.limits.max_message_bytes,
            });
        }
        if let Request::Execute(_) = self.request {
            // From here on the command may arrive, whatever `send` and the connection say.
            self.progress.sent();
            (self.on_event)(Event::Sent { server, id });
        }
        match self.clock.within(limit, ask(connection, message, id)).await {
            Ok(answer) => answer,
            Err(TimedOut) => Err(TryEnd::Lost(Lost::Silence)),
        }
    }
}

/// The time the server is given, so that its answer is here before the client's own `limit` is over.
fn deadline_ms(limit: Duration) -> u64 {
    let deadline = limit - (limit / 10).min(WAY_BACK);
    u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX).max(1)
}

async fn greet(connection: &mut impl Connection, hello: Hello) -> Result<HelloOk, TryEnd> {
    let hello = ClientFrame::Hello(hello).to_json();
    connection.send(hello).await.map_err(TryEnd::Closed)?;
    loop {
        let message = connection.recv().await.map_err(TryEnd::Closed)?;
        match ServerFrame::parse(&message) {
            Ok(ServerFrame::HelloOk(hello)) => return Ok(hello),
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
fn answers(frame: &bellwether_protocol::ErrorFrame, id: CommandId) -> bool {
    match frame.id {
        Some(of) => of == id,
        None => frame.code.what_next() == WhatNext::GiveUp,
    }
}
