//! One client's connection.

use core::ops::ControlFlow;
use core::time::Duration;
use std::sync::Arc;
use std::time::SystemTime;

use bellwether_protocol::{
    ClientFrame, CloseCode, Command, DEFAULT_DEADLINE, ErrorCode, ErrorFrame, Hello, HelloOk, Limits,
    MAX_DEADLINE, MAX_DEPTH, MAX_RESULT_BYTES, Outcome, OutcomeQuery, SUBPROTOCOL, ServerFrame, close_reason,
};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::sync::oneshot;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};
use tracing::debug;

use super::socket::{Event, Socket};
use super::{Context, unix_ms};
use crate::command::{Kind, ParsedCommand};
use crate::pipeline::{RETENTION, SourceId};

/// How long to stay away when too many replies wait to be taken: about as long as those who take theirs need.
const ROOM_AGAIN: Duration = Duration::from_secs(1);

pub(super) struct Session {
    socket: Socket<TokioIo<Upgraded>>,
    context: Context,
    source: SourceId,
    outstanding: FuturesUnordered<BoxFuture<'static, Answer>>,
}

/// A frame to send, and what became of its command, for the case that there is no room for the frame.
struct Answer {
    frame: ServerFrame,
    outcome: Outcome,
}

/// Why a session ends: what the client is told, or nothing if it is gone.
type End = Option<(CloseCode, String)>;

impl Session {
    pub(super) fn new(socket: Socket<TokioIo<Upgraded>>, context: Context) -> Self {
        Self {
            socket,
            context,
            source: SourceId::new(),
            outstanding: FuturesUnordered::new(),
        }
    }

    pub(super) async fn run(mut self, has_subprotocol: bool) {
        let end = match self.greet(has_subprotocol).await {
            ControlFlow::Continue(()) => self.converse().await,
            ControlFlow::Break(end) => end,
        };
        if let Some((code, reason)) = end {
            debug!(%code, reason, "closing a client's connection");
            self.socket.close(CloseFrame {
                code: code.code().into(),
                reason: close_reason(reason).into(),
            });
            // A client that is gone is not told.
            self.socket.flush().await;
        } else {
            self.socket.answer_close().await;
        }
    }

    /// Waits for `hello` and answers it.
    async fn greet(&mut self, has_subprotocol: bool) -> ControlFlow<End> {
        if !has_subprotocol {
            let reason = format!("this server speaks the subprotocol {SUBPROTOCOL}");
            return ControlFlow::Break(Some((CloseCode::UnsupportedProtocol, reason)));
        }
        let limit = self.context.cluster.config.limits.hello_timeout;
        let deadline = Instant::now() + limit;
        let text = loop {
            match timeout_at(deadline, self.socket.next(true)).await {
                Err(_) => {
                    let reason = format!("no hello within {limit:?}");
                    return ControlFlow::Break(Some((CloseCode::Timeout, reason)));
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
        match ClientFrame::parse(&text) {
            Ok(ClientFrame::Hello(hello)) => self.welcome(&hello),
            Ok(ClientFrame::Command(Command { id, .. }) | ClientFrame::Outcome(OutcomeQuery { id, .. })) => {
                let error = bad_frame("hello comes first").for_command(id);
                self.send(&ServerFrame::Error(error));
                ControlFlow::Break(Some((CloseCode::HelloRequired, "send hello first".to_owned())))
            }
            Err(error) => self.refuse_frame(error.to_string()),
        }
    }

    fn welcome(&mut self, hello: &Hello) -> ControlFlow<End> {
        let cluster = &self.context.cluster;
        if let Some(expected) = &hello.cluster
            && *expected != cluster.config.cluster
        {
            // A cluster's name is no longer than that; what a client sends may be.
            let expected: String = expected.chars().take(64).collect();
            let message = format!("this is cluster {:?}, not {expected:?}", cluster.config.cluster);
            let error = ErrorFrame::new(ErrorCode::WrongCluster, Outcome::NotExecuted, message)
                .with_hint("check the list of servers");
            self.send(&ServerFrame::Error(error));
            return ControlFlow::Break(Some((CloseCode::WrongCluster, "another cluster".to_owned())));
        }
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let ok = HelloOk {
            cluster: cluster.config.cluster.clone(),
            server: cluster.config.id.to_string(),
            role: cluster.role_name(),
            epoch: cluster.epoch(),
            coordinator: cluster.coordinator_hint(),
            server_time_ms: unix_ms(SystemTime::now()),
            limits: Limits {
                max_message_bytes: cluster.config.limits.message_bytes as u64,
                max_depth: MAX_DEPTH as u64,
                max_result_bytes: MAX_RESULT_BYTES as u64,
                max_deadline_ms: millis(MAX_DEADLINE),
                retention_ms: millis(RETENTION),
            },
        };
        self.send(&ServerFrame::HelloOk(ok));
        ControlFlow::Continue(())
    }

    async fn converse(&mut self) -> End {
        let cluster = Arc::clone(&self.context.cluster);
        let limits = &cluster.config.limits;
        let mut ping = interval(limits.ping_every);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ping.tick().await;
        let mut heard = Instant::now();
        let mut stopped = self.context.stopped.clone();
        loop {
            let leaving = *stopped.borrow_and_update();
            if leaving && self.outstanding.is_empty() && !self.socket.is_sending() {
                return Some((CloseCode::Restart, "the server is shutting down".to_owned()));
            }
            if self.socket.unsent() > 0 {
                // Then taking it is the sign of life, and the socket watches over that.
                heard = Instant::now();
            }
            // A client that sends faster than it is served, or than it reads, waits by not being read.
            let reading = !leaving
                && self.outstanding.len() < limits.outstanding
                && self.socket.unsent() <= limits.connection_reply_bytes;
            let step = tokio::select! {
                event = self.socket.next(reading) => match event {
                    Event::Received(received) => {
                        heard = Instant::now();
                        let step = self.on_received(received);
                        // Many connections that send all they may must not keep the election waiting.
                        tokio::task::yield_now().await;
                        step
                    }
                    Event::Taken => ControlFlow::Continue(()),
                    Event::Lost => {
                        debug!("dropping a client that does not take what it is sent");
                        ControlFlow::Break(None)
                    }
                },
                Some(answer) = self.outstanding.next() => {
                    self.send_answer(answer);
                    ControlFlow::Continue(())
                }
                _ = stopped.changed(), if !leaving => ControlFlow::Continue(()),
                _ = ping.tick(), if !self.socket.is_sending() => {
                    if heard.elapsed() > limits.idle_timeout && self.outstanding.is_empty() {
                        let reason = format!("nothing heard for {:?}", limits.idle_timeout);
                        return Some((CloseCode::Timeout, reason));
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

    fn on_received(&mut self, received: Option<Result<Message, Error>>) -> ControlFlow<End> {
        let Some(text) = text_of(received)? else {
            return ControlFlow::Continue(());
        };
        match ClientFrame::parse(&text) {
            Ok(ClientFrame::Command(command)) => {
                let answer = self.submit(command);
                self.outstanding.push(answer);
                ControlFlow::Continue(())
            }
            Ok(ClientFrame::Outcome(query)) => {
                let answer = self.ask(query);
                self.outstanding.push(answer);
                ControlFlow::Continue(())
            }
            Ok(ClientFrame::Hello(_)) => {
                ControlFlow::Break(Some((CloseCode::TooMany, "hello is sent once".to_owned())))
            }
            Err(error) => self.refuse_frame(error.to_string()),
        }
    }

    /// The answer to a command, as soon as there is one.
    fn submit(&self, command: Command) -> BoxFuture<'static, Answer> {
        let cluster = &self.context.cluster;
        let id = command.id;
        let deadline = deadline(command.deadline_ms);
        let mut done = Outcome::Executed;
        let queued = match cluster.refusal() {
            Some(refusal) => Err(refusal),
            None => ParsedCommand::parse(&command.command, &cluster.config.vocabulary()).and_then(|parsed| {
                if parsed.kind() == Kind::Read {
                    done = Outcome::NotExecuted;
                }
                cluster.pipeline.submit(self.source, id, parsed, deadline)
            }),
        };
        let answer = answer(queued);
        async move {
            match answer.await {
                Ok(result) => Answer {
                    frame: ServerFrame::Result(result),
                    outcome: done,
                },
                Err(error) => Answer::error(error.for_command(id)),
            }
        }
        .boxed()
    }

    /// The answer to a question, as soon as there is one.
    fn ask(&self, query: OutcomeQuery) -> BoxFuture<'static, Answer> {
        let OutcomeQuery { id, deadline_ms } = query;
        let cluster = &self.context.cluster;
        let asked = match cluster.refusal() {
            Some(refusal) => Err(refusal),
            None => cluster.pipeline.outcome(self.source, id, deadline(deadline_ms)),
        };
        let answer = answer(asked);
        async move {
            match answer.await {
                Ok(fate) => Answer {
                    outcome: fate.outcome,
                    frame: ServerFrame::Fate(fate),
                },
                Err(mut error) => {
                    // It was the question that was not answered; that says nothing about the command.
                    error.outcome = Outcome::Unknown;
                    Answer::error(error.for_command(id))
                }
            }
        }
        .boxed()
    }

    /// Says what is wrong with a frame, for people, and ends the session.
    fn refuse_frame(&mut self, reason: String) -> ControlFlow<End> {
        self.send(&ServerFrame::Error(bad_frame(&reason)));
        ControlFlow::Break(Some((CloseCode::BadFrame, reason)))
    }

    fn send_answer(&mut self, answer: Answer) {
        let text = answer.frame.to_json();
        match self.context.replies.hold(text.len(), self.socket.unsent()) {
            Some(held) => self.socket.put(text, Some(held)),
            None => self.send(&ServerFrame::Error(no_room(&answer))),
        }
    }

    fn send(&mut self, frame: &ServerFrame) {
        self.socket.put(frame.to_json(), None);
    }
}

impl Answer {
    fn error(error: ErrorFrame) -> Self {
        Self {
            outcome: error.outcome,
            frame: ServerFrame::Error(error),
        }
    }
}

fn deadline(asked_ms: Option<u64>) -> Instant {
    let asked = asked_ms.map_or(DEFAULT_DEADLINE, Duration::from_millis);
    Instant::now() + asked.min(MAX_DEADLINE)
}

/// What the pipeline says, or will say.
async fn answer<T>(
    taken: Result<oneshot::Receiver<Result<T, ErrorFrame>>, ErrorFrame>,
) -> Result<T, ErrorFrame> {
    taken?.await.unwrap_or_else(|_| {
        let message = "the server failed while it worked on the command";
        Err(ErrorFrame::new(ErrorCode::Internal, Outcome::Unknown, message)
            .with_hint("send it again with the same id: it is executed once at most"))
    })
}

/// What a client is told instead of a reply that finds no room. A read can be repeated, and a write's reply is
/// stored unless it is long.
fn no_room(answer: &Answer) -> ErrorFrame {
    let message = "too many replies wait to be taken by their clients";
    let hint = match answer.outcome {
        Outcome::Executed => {
            "the command is executed; send it again with the same id for its reply, which is kept unless it is long"
        }
        _ => "send it again with the same id",
    };
    let mut frame = ErrorFrame::new(ErrorCode::Overloaded, answer.outcome, message).with_hint(hint);
    frame.retry_after_ms = u64::try_from(ROOM_AGAIN.as_millis()).ok();
    frame.id = match &answer.frame {
        ServerFrame::Result(result) => Some(result.id),
        ServerFrame::Fate(fate) => Some(fate.id),
        ServerFrame::Error(error) => error.id,
        ServerFrame::HelloOk(_) => None,
    };
    frame
}

fn bad_frame(reason: &str) -> ErrorFrame {
    ErrorFrame::new(ErrorCode::BadFrame, Outcome::NotExecuted, reason).with_hint(format!(
        "see the description of {SUBPROTOCOL}; the connection is closed"
    ))
}

/// The text in a message; nothing if it carries none; or why the session ends.
fn text_of(received: Option<Result<Message, Error>>) -> ControlFlow<End, Option<Utf8Bytes>> {
    match received {
        None | Some(Ok(Message::Close(_))) => ControlFlow::Break(None),
        Some(Ok(Message::Text(text))) => ControlFlow::Continue(Some(text)),
        Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => ControlFlow::Continue(None),
        Some(Ok(Message::Binary(_))) => ControlFlow::Break(Some((
            CloseCode::UnsupportedData,
            "every frame is text".to_owned(),
        ))),
        Some(Err(error)) => ControlFlow::Break(match error {
            Error::Capacity(error) => Some((CloseCode::TooBig, error.to_string())),
            Error::Utf8(error) => Some((CloseCode::InvalidUtf8, error)),
            Error::Protocol(error) => Some((CloseCode::ProtocolError, error.to_string())),
            _ => None,
        }),
    }
}
