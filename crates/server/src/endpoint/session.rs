//! One client's connection.

use core::ops::ControlFlow;
use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use bellwether_protocol::{
    ClientFrame, CloseCode, Command, CommandId, DEFAULT_DEADLINE, ErrorCode, ErrorFrame, Hello, HelloOk,
    Limits, MAX_DEADLINE, MAX_DEPTH, MAX_RESULT_BYTES, Outcome, OutcomeQuery, SUBPROTOCOL, ServerFrame,
    close_reason,
};
use core::time::Duration;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_tungstenite::tungstenite;
use tracing::debug;

use super::{Cluster, Context, unix_ms};
use crate::command::ParsedCommand;
use crate::pipeline::{RETENTION, SourceId};

pub(super) async fn upgrade(State(context): State<Context>, upgrade: WebSocketUpgrade) -> Response {
    let max = context.cluster.config.limits.message_bytes;
    upgrade
        .protocols([SUBPROTOCOL])
        .max_message_size(max)
        .max_frame_size(max)
        .write_buffer_size(0)
        // One reply of the largest size, in Extended JSON, which is several times as long as BSON.
        .max_write_buffer_size(16 * MAX_RESULT_BYTES)
        .on_upgrade(move |socket| async move {
            let Context { cluster, stopped } = context;
            let session = Session {
                socket,
                cluster,
                stopped,
                source: SourceId::new(),
                outstanding: FuturesUnordered::new(),
            };
            session.run().await;
        })
}

struct Session {
    socket: WebSocket,
    cluster: Arc<Cluster>,
    stopped: watch::Receiver<bool>,
    source: SourceId,
    outstanding: FuturesUnordered<BoxFuture<'static, ServerFrame>>,
}

/// Why a session ends: what the client is told, or nothing if it is gone.
type End = Option<(CloseCode, String)>;

impl Session {
    async fn run(mut self) {
        let end = match self.greet().await {
            ControlFlow::Continue(()) => self.converse().await,
            ControlFlow::Break(end) => end,
        };
        if let Some((code, reason)) = end {
            debug!(%code, reason, "closing a client's connection");
            self.close(code, reason).await;
        }
    }

    /// Waits for `hello` and answers it.
    async fn greet(&mut self) -> ControlFlow<End> {
        if self.socket.protocol().is_none() {
            let reason = format!("this server speaks the subprotocol {SUBPROTOCOL}");
            return ControlFlow::Break(Some((CloseCode::UnsupportedProtocol, reason)));
        }
        let limit = self.cluster.config.limits.hello_timeout;
        let deadline = Instant::now() + limit;
        let text = loop {
            match tokio::time::timeout_at(deadline, self.socket.recv()).await {
                Err(_) => {
                    let reason = format!("no hello within {limit:?}");
                    return ControlFlow::Break(Some((CloseCode::Timeout, reason)));
                }
                Ok(received) => {
                    if let Some(text) = text_of(received)? {
                        break text;
                    }
                }
            }
        };
        match ClientFrame::parse(&text) {
            Ok(ClientFrame::Hello(hello)) => self.welcome(&hello).await,
            Ok(ClientFrame::Command(Command { id, .. }) | ClientFrame::Outcome(OutcomeQuery { id, .. })) => {
                let error = bad_frame("hello comes first").for_command(id);
                self.send(ServerFrame::Error(error)).await?;
                ControlFlow::Break(Some((CloseCode::HelloRequired, "send hello first".to_owned())))
            }
            Err(error) => self.refuse_frame(error.to_string()).await,
        }
    }

    async fn welcome(&mut self, hello: &Hello) -> ControlFlow<End> {
        let cluster = &self.cluster;
        if let Some(expected) = &hello.cluster
            && *expected != cluster.config.cluster
        {
            let message = format!(
                "this is cluster {:?}, not {expected:.64?}",
                cluster.config.cluster
            );
            let error = ErrorFrame::new(ErrorCode::WrongCluster, Outcome::NotExecuted, message)
                .with_hint("check the list of servers");
            self.send(ServerFrame::Error(error)).await?;
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
        self.send(ServerFrame::HelloOk(ok)).await
    }

    async fn converse(&mut self) -> End {
        let limits = self.cluster.config.limits.clone();
        let mut ping = interval(limits.ping_every);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ping.tick().await;
        let mut heard = Instant::now();
        let mut stopped = self.stopped.clone();
        loop {
            let leaving = *stopped.borrow_and_update();
            if leaving && self.outstanding.is_empty() {
                return Some((CloseCode::Restart, "the server is shutting down".to_owned()));
            }
            // A client that sends faster than it is served waits, by not being read.
            let reading = !leaving && self.outstanding.len() < limits.outstanding;
            let step = tokio::select! {
                received = self.socket.recv(), if reading => {
                    heard = Instant::now();
                    self.on_received(received).await
                }
                Some(answer) = self.outstanding.next() => self.send(answer).await,
                _ = stopped.changed(), if !leaving => ControlFlow::Continue(()),
                _ = ping.tick() => {
                    if heard.elapsed() > limits.idle_timeout && self.outstanding.is_empty() {
                        let reason = format!("nothing heard for {:?}", limits.idle_timeout);
                        return Some((CloseCode::Timeout, reason));
                    }
                    self.put(Message::Ping(Vec::new().into())).await
                }
            };
            if let ControlFlow::Break(end) = step {
                return end;
            }
        }
    }

    async fn on_received(&mut self, received: Option<Result<Message, axum::Error>>) -> ControlFlow<End> {
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
            Err(error) => self.refuse_frame(error.to_string()).await,
        }
    }

    /// The answer to a command, as soon as there is one.
    fn submit(&self, command: Command) -> BoxFuture<'static, ServerFrame> {
        let id = command.id;
        let deadline = deadline(command.deadline_ms);
        let queued = match self.cluster.refusal() {
            Some(refusal) => Err(refusal),
            None => ParsedCommand::parse(&command.command, &self.cluster.config.vocabulary())
                .and_then(|parsed| self.cluster.pipeline.submit(self.source, id, parsed, deadline)),
        };
        answer(id, queued, ServerFrame::Result)
    }

    /// The answer to a question, as soon as there is one.
    fn ask(&self, query: OutcomeQuery) -> BoxFuture<'static, ServerFrame> {
        let OutcomeQuery { id, deadline_ms } = query;
        let asked = match self.cluster.refusal() {
            // Whether the command was executed is not known here.
            Some(refusal) => Err(refusal),
            None => self
                .cluster
                .pipeline
                .outcome(self.source, id, deadline(deadline_ms)),
        };
        answer(id, asked, ServerFrame::Fate)
    }

    /// Says what is wrong with a frame, for people, and ends the session.
    async fn refuse_frame(&mut self, reason: String) -> ControlFlow<End> {
        self.send(ServerFrame::Error(bad_frame(&reason))).await?;
        ControlFlow::Break(Some((CloseCode::BadFrame, reason)))
    }

    async fn send(&mut self, frame: ServerFrame) -> ControlFlow<End> {
        self.put(Message::Text(frame.to_json().into())).await
    }

    /// A client that does not take a frame in time is dropped, so that it does not hold memory for ever.
    async fn put(&mut self, message: Message) -> ControlFlow<End> {
        let limit = self.cluster.config.limits.send_timeout;
        match timeout(limit, self.socket.send(message)).await {
            Ok(Ok(())) => ControlFlow::Continue(()),
            Ok(Err(_)) | Err(_) => ControlFlow::Break(None),
        }
    }

    async fn close(mut self, code: CloseCode, reason: String) {
        let frame = CloseFrame {
            code: code.code(),
            reason: close_reason(reason).into(),
        };
        // A client that is gone is not told.
        let _ = self.put(Message::Close(Some(frame))).await;
    }
}

fn deadline(asked_ms: Option<u64>) -> Instant {
    let asked = asked_ms.map_or(DEFAULT_DEADLINE, Duration::from_millis);
    Instant::now() + asked.min(MAX_DEADLINE)
}

/// What the pipeline says, or will say, as a frame.
fn answer<T: Send + 'static>(
    id: CommandId,
    taken: Result<oneshot::Receiver<Result<T, ErrorFrame>>, ErrorFrame>,
    frame: fn(T) -> ServerFrame,
) -> BoxFuture<'static, ServerFrame> {
    let error = move |error: ErrorFrame| ServerFrame::Error(error.for_command(id));
    match taken {
        Err(refusal) => core::future::ready(error(refusal)).boxed(),
        Ok(receiver) => async move {
            match receiver.await {
                Ok(Ok(answer)) => frame(answer),
                Ok(Err(refusal)) => error(refusal),
                Err(_) => {
                    let message = "the server failed while it worked on the command";
                    let failed = ErrorFrame::new(ErrorCode::Internal, Outcome::Unknown, message)
                        .with_hint("send it again with the same id: it is executed once at most");
                    error(failed)
                }
            }
        }
        .boxed(),
    }
}

fn bad_frame(reason: &str) -> ErrorFrame {
    ErrorFrame::new(ErrorCode::BadFrame, Outcome::NotExecuted, reason).with_hint(format!(
        "see the description of {SUBPROTOCOL}; the connection is closed"
    ))
}

/// The text in a message; nothing if it carries none; or why the session ends.
fn text_of(received: Option<Result<Message, axum::Error>>) -> ControlFlow<End, Option<Utf8Bytes>> {
    match received {
        None | Some(Ok(Message::Close(_))) => ControlFlow::Break(None),
        Some(Ok(Message::Text(text))) => ControlFlow::Continue(Some(text)),
        Some(Ok(Message::Ping(_) | Message::Pong(_))) => ControlFlow::Continue(None),
        Some(Ok(Message::Binary(_))) => ControlFlow::Break(Some((
            CloseCode::UnsupportedData,
            "every frame is text".to_owned(),
        ))),
        Some(Err(error)) => ControlFlow::Break(end_of(&error)),
    }
}

fn end_of(error: &axum::Error) -> End {
    let mut source: Option<&(dyn core::error::Error + 'static)> = Some(error);
    while let Some(current) = source {
        match current.downcast_ref::<tungstenite::Error>() {
            Some(tungstenite::Error::Capacity(error)) => return Some((CloseCode::TooBig, error.to_string())),
            Some(tungstenite::Error::Utf8(error)) => return Some((CloseCode::InvalidUtf8, error.clone())),
            Some(tungstenite::Error::Protocol(error)) => {
                return Some((CloseCode::ProtocolError, error.to_string()));
            }
            _ => source = current.source(),
        }
    }
    None
}
