//! The connection of one client.
//!
//! The session parses messages one after another, in the order of their arrival. The session does
//! not read the connection while it parses a message, or while a message waits because too many
//! answers are unsent.

use core::future::pending;
use core::ops::ControlFlow;
use core::time::Duration;
use std::sync::Arc;
use std::time::SystemTime;

use bellwether_protocol::{
    ClientFrame, CloseCode, Command, CommandId, ErrorCode, ErrorFrame, Hello, HelloOk, Limits, MAX_DEADLINE,
    MAX_DEPTH, MAX_RESULT_BYTES, Outcome, OutcomeQuery, SUBPROTOCOL, ServerFrame, close_reason,
};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};
use tracing::debug;

use super::Context;
use super::answer::{Answer, answer, id_of, refused_frame};
use super::authentication::Authentication;
use super::ending::{End, Ending, bad_frame, text_of};
use super::replies::Replies;
use super::site::Site;
use super::socket::{Event, Socket};
use super::understand::{Arrived, Understood, parse, understand};
use crate::command::{Kind, ParsedCommand};
use crate::pipeline::{RETENTION, SourceId};
use crate::server_state::unix_ms;

pub(super) struct Session {
    socket: Socket<TokioIo<Upgraded>>,
    context: Context,
    source: SourceId,
    /// The source to which the shares of this connection count.
    site: Arc<Site>,
    authentication: Authentication,
    /// The last message, if it waits.
    next: Option<Arrived>,
    /// The message that is being parsed.
    understanding: Option<BoxFuture<'static, Understood>>,
    outstanding: FuturesUnordered<BoxFuture<'static, Answer>>,
    /// Room for the answers.
    replies: Replies,
}

impl Session {
    pub(super) fn new(socket: Socket<TokioIo<Upgraded>>, context: Context, site: Arc<Site>) -> Self {
        let replies = Replies::new(&context.replies, site.group());
        let authentication = Authentication::new(context.server.access.as_ref());
        Self {
            socket,
            context,
            source: SourceId::in_group(site.group()),
            site,
            authentication,
            next: None,
            understanding: None,
            outstanding: FuturesUnordered::new(),
            replies,
        }
    }

    pub(super) async fn run(mut self, has_subprotocol: bool) {
        let end = match self.greet(has_subprotocol).await {
            ControlFlow::Continue(()) => self.converse().await,
            ControlFlow::Break(end) => end,
        };
        if let Some(Ending { code, reason, error }) = end {
            if self.settle(code).await.is_break() {
                return debug!("dropping a client that takes no answers any more");
            }
            debug!(%code, reason, "closing a client's connection");
            if let Some(error) = error {
                self.send(&ServerFrame::Error(error));
            }
            self.socket.close(CloseFrame {
                code: code.code().into(),
                reason: close_reason(reason).into(),
            });
            // If the client is gone, it does not receive the reason.
            self.socket.flush().await;
        } else {
            self.socket.answer_close().await;
        }
    }

    /// Waits for `hello` and answers it.
    async fn greet(&mut self, has_subprotocol: bool) -> ControlFlow<End> {
        if !has_subprotocol {
            let reason = format!("this server speaks the subprotocol {SUBPROTOCOL}");
            return ControlFlow::Break(Ending::because(CloseCode::UnsupportedProtocol, reason));
        }
        let limit = self.context.server.config.limits.hello_timeout;
        let deadline = Instant::now() + limit;
        let text = loop {
            match timeout_at(deadline, self.socket.next(true)).await {
                Err(_) => {
                    let reason = format!("no hello within {limit:?}");
                    return ControlFlow::Break(Ending::because(CloseCode::Timeout, reason));
                }
                Ok(Event::Received(received)) => {
                    if let Some(text) = text_of(received)? {
                        break text;
                    }
                }
                Ok(Event::Taken) => {}
                Ok(Event::Lost) => return ControlFlow::Break(None),
            }
        };
        match parse(&self.context, &self.site, text).await {
            Ok(ClientFrame::Hello(hello)) => self.welcome(&hello).await,
            Ok(ClientFrame::Command(Command { id, .. }) | ClientFrame::Outcome(OutcomeQuery { id, .. })) => {
                let mut error = bad_frame("hello comes first");
                error.id = Some(id);
                ControlFlow::Break(Ending::with_error(
                    CloseCode::HelloRequired,
                    "send hello first",
                    error,
                ))
            }
            Ok(_) => {
                let error = bad_frame("hello comes first");
                let code = CloseCode::HelloRequired;
                ControlFlow::Break(Ending::with_error(code, "send hello first", error))
            }
            Err(error) => ControlFlow::Break(Ending::for_bad_frame(&error)),
        }
    }

    async fn welcome(&mut self, hello: &Hello) -> ControlFlow<End> {
        let server = &self.context.server;
        if let Some(expected) = &hello.cluster
            && *expected != server.config.cluster
        {
            // A cluster's name has at most 64 characters, but the client's text may be longer.
            let expected: String = expected.chars().take(64).collect();
            let message = format!("this is cluster {:?}, not {expected:?}", server.config.cluster);
            let error = ErrorFrame::new(ErrorCode::WrongCluster, Outcome::NotExecuted, message)
                .with_hint("check the list of servers");
            let code = CloseCode::WrongCluster;
            return ControlFlow::Break(Ending::with_error(code, "another cluster", error));
        }
        // A server without an access file ignores the token, as a server of an older version does.
        let checked = match (&server.access, &hello.token) {
            (Some(access), Some(token)) => {
                let checks = &self.context.credential_checks;
                Some(checks.check(Some(access), token, self.site.group()).await)
            }
            _ => None,
        };
        let (identity, refusal) = match checked {
            Some(Ok(identity)) => (Some(self.authentication.begin(identity)), None),
            Some(Err(error)) => (None, Some(error)),
            None => (None, None),
        };
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let ok = HelloOk {
            cluster: server.config.cluster.clone(),
            server: server.config.id.to_string(),
            role: server.role_name(),
            epoch: server.epoch(),
            coordinator: server.coordinator_hint(),
            server_time_ms: unix_ms(SystemTime::now()),
            limits: Limits {
                max_message_bytes: server.config.limits.message_bytes as u64,
                max_depth: MAX_DEPTH as u64,
                max_result_bytes: MAX_RESULT_BYTES as u64,
                max_deadline_ms: millis(MAX_DEADLINE),
                retention_ms: millis(RETENTION),
            },
            identity,
        };
        self.send(&ServerFrame::HelloOk(ok));
        if let Some(error) = refusal {
            self.send(&ServerFrame::Error(error));
        }
        ControlFlow::Continue(())
    }

    async fn converse(&mut self) -> End {
        let server = Arc::clone(&self.context.server);
        let limits = &server.config.limits;
        let mut ping = interval(limits.ping_every);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ping.tick().await;
        let mut heard = Instant::now();
        let mut stopped = self.context.stopped.clone();
        loop {
            let leaving = *stopped.borrow_and_update();
            if leaving && !self.is_working() && !self.socket.is_sending() {
                return Ending::because(CloseCode::Restart, "the server is shutting down");
            }
            if self.socket.unsent() > 0 {
                // The client then shows that it is alive by reading, which the socket checks.
                heard = Instant::now();
            }
            if self.understanding.is_none()
                && self.has_room()
                && let Some(message) = self.next.take()
            {
                self.understanding = Some(understand(
                    &self.context,
                    &self.site,
                    message,
                    self.authentication.refusal(),
                ));
            }
            // If a client sends faster than the server works, or faster than it reads, the server
            // does not read its connection.
            let reading = !leaving && self.next.is_none() && self.understanding.is_none();
            let step = tokio::select! {
                event = self.socket.next(reading) => match event {
                    Event::Received(received) => {
                        heard = Instant::now();
                        let step = self.on_received(received);
                        // Many connections that send as much as they may must not delay the others.
                        tokio::task::yield_now().await;
                        step
                    }
                    Event::Taken => ControlFlow::Continue(()),
                    Event::Lost => {
                        debug!("dropping a client that does not take what it is sent");
                        ControlFlow::Break(None)
                    }
                },
                understood = understood(&mut self.understanding) => {
                    self.understanding = None;
                    self.on_understood(understood)
                }
                Some(answer) = self.outstanding.next() => {
                    self.send_answer(answer);
                    ControlFlow::Continue(())
                }
                _ = stopped.changed(), if !leaving => ControlFlow::Continue(()),
                _ = ping.tick(), if !self.socket.is_sending() => {
                    if heard.elapsed() > limits.idle_timeout && !self.is_working() {
                        let reason = format!("nothing heard for {:?}", limits.idle_timeout);
                        return Ending::because(CloseCode::Timeout, reason);
                    }
                    if self.authentication.is_over(Instant::now()) {
                        let reason = "no valid token for a minute";
                        return Ending::because(CloseCode::Unauthenticated, reason);
                    }
                    self.socket.ping();
                    ControlFlow::Continue(())
                }
            };
            if let ControlFlow::Break(end) = step {
                return end;
            }
        }
    }

    /// Returns `true` if the server owes the client an answer.
    fn is_working(&self) -> bool {
        !self.outstanding.is_empty() || self.understanding.is_some() || self.next.is_some()
    }

    /// Returns `true` if another command of this connection may begin.
    fn has_room(&self) -> bool {
        let limits = &self.context.server.config.limits;
        self.outstanding.len() < limits.outstanding
            && self.socket.unsent() + self.replies.expected() <= limits.connection_reply_bytes
    }

    fn on_received(&mut self, received: Option<Result<Message, Error>>) -> ControlFlow<End> {
        if let Some(text) = text_of(received)? {
            let at = Instant::now();
            self.next = Some(Arrived { text, at });
        }
        ControlFlow::Continue(())
    }

    fn on_understood(&mut self, understood: Understood) -> ControlFlow<End> {
        let answer = match understood {
            Understood::Command {
                id,
                deadline,
                command,
            } => self.submit(id, command, deadline),
            Understood::Outcome {
                id,
                deadline,
                refusal,
            } => self.ask(id, deadline, refusal),
            Understood::Token(token) => {
                // Later frames wait, because they are judged by the identity of this token.
                let context = self.context.clone();
                let group = self.site.group();
                let checked = async move {
                    let access = context.server.access.as_deref();
                    Understood::Checked(context.credential_checks.check(access, &token, group).await)
                };
                self.understanding = Some(checked.boxed());
                return ControlFlow::Continue(());
            }
            Understood::Checked(checked) => {
                let frame = self.authentication.refresh(checked);
                self.send(&frame);
                return ControlFlow::Continue(());
            }
            Understood::Refused { id, error } => refused_frame(id, &error),
            Understood::Hello => {
                return ControlFlow::Break(Ending::because(CloseCode::TooMany, "hello is sent once"));
            }
            Understood::Wrong(error) => return ControlFlow::Break(Ending::for_bad_frame(&error)),
        };
        self.outstanding.push(answer);
        ControlFlow::Continue(())
    }

    /// Submits a command. Returns a future for its answer.
    fn submit(
        &mut self,
        id: CommandId,
        command: Result<ParsedCommand, ErrorFrame>,
        deadline: Instant,
    ) -> BoxFuture<'static, Answer> {
        let reads = command.as_ref().is_ok_and(|command| command.kind() == Kind::Read);
        let done = if reads {
            Outcome::NotExecuted
        } else {
            Outcome::Executed
        };
        let unsent = self.socket.unsent();
        let subject = self.authentication.subject();
        let taken = command.and_then(|command| {
            // The replies to other commands are short.
            let expected = reads.then(|| self.replies.expect(unsent)).transpose()?;
            Ok((command.of_subject(subject), expected))
        });
        let (queued, expected) = match taken {
            Ok((command, expected)) => {
                let pipeline = &self.context.server.pipeline;
                (pipeline.submit(self.source, id, command, deadline), expected)
            }
            Err(refusal) => (Err(refusal), None),
        };
        let answer = answer(queued);
        let server = Arc::clone(&self.context.server);
        async move {
            let answer = match answer.await {
                Ok(result) => Answer::new(ServerFrame::Result(result), done),
                Err(error) => Answer::error(server.explained(error).for_command(id)),
            };
            Answer { expected, ..answer }
        }
        .boxed()
    }

    /// Asks for an outcome. Returns a future for the answer.
    fn ask(
        &self,
        id: CommandId,
        deadline: Instant,
        refusal: Option<ErrorFrame>,
    ) -> BoxFuture<'static, Answer> {
        let server = &self.context.server;
        let asked = match refusal.or_else(|| server.refusal()) {
            Some(refusal) => Err(refusal),
            None => {
                let subject = self.authentication.subject();
                server.pipeline.outcome_for(self.source, id, deadline, subject)
            }
        };
        let answer = answer(asked);
        async move {
            match answer.await {
                Ok(outcome_result) => {
                    let outcome = outcome_result.outcome;
                    Answer::new(ServerFrame::OutcomeResult(outcome_result), outcome)
                }
                Err(mut error) => {
                    // Only the question has no answer, which says nothing about the command.
                    error.outcome = Outcome::Unknown;
                    Answer::error(error.for_command(id))
                }
            }
        }
        .boxed()
    }

    /// Sends the answers to all accepted commands and questions. No command may take longer than
    /// its deadline, so this ends. Breaks if the client does not read the answers, or leaves.
    async fn settle(&mut self, code: CloseCode) -> ControlFlow<()> {
        // After these codes the rest of the connection cannot be read.
        let is_broken = matches!(
            code,
            CloseCode::ProtocolError | CloseCode::TooBig | CloseCode::InvalidUtf8
        );
        while !self.outstanding.is_empty() {
            tokio::select! {
                event = self.socket.next(!is_broken) => match event {
                    Event::Received(None | Some(Ok(Message::Close(_)) | Err(_))) | Event::Lost => {
                        return ControlFlow::Break(());
                    }
                    Event::Received(Some(Ok(_))) | Event::Taken => {}
                },
                Some(answer) = self.outstanding.next() => self.send_answer(answer),
            }
        }
        ControlFlow::Continue(())
    }

    fn send_answer(&mut self, answer: Answer) {
        let text = answer.frame.to_json();
        let (size, unsent) = (text.len(), self.socket.unsent());
        let held = match answer.expected {
            Some(expected) => {
                if matches!(answer.frame, ServerFrame::Result(_)) {
                    self.replies.learn(size);
                }
                self.replies.settle(expected, size, unsent)
            }
            None => self.replies.hold(size, unsent),
        };
        if held.is_some() {
            self.socket.put(text, held);
        } else {
            let mut error = self.replies.no_room(size, answer.outcome);
            error.id = id_of(&answer.frame);
            self.send(&ServerFrame::Error(error));
        }
    }

    fn send(&mut self, frame: &ServerFrame) {
        self.socket.put(frame.to_json(), None);
    }
}

/// Returns the parsed message. Waits without end if no message is being parsed.
async fn understood(message: &mut Option<BoxFuture<'static, Understood>>) -> Understood {
    match message {
        Some(message) => message.await,
        None => pending().await,
    }
}
