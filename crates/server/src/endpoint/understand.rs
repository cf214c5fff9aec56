//! Parses the messages of clients: a long message on a separate thread, a short one at once.

use core::time::Duration;
use std::sync::Arc;

use bellwether_protocol::{
    ClientFrame, CommandId, DEFAULT_DEADLINE, ErrorFrame, FrameError, MAX_DEADLINE, OutcomeQuery, Token,
};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::Context;
use super::site::Site;
use crate::access::Identity;
use crate::command::ParsedCommand;
use crate::server_state::ServerState;

/// Size limit in bytes for messages that are parsed at once. Parsing takes less than a millisecond,
/// and another thread would cost the client more than it saves the others.
const SHORT: usize = 16 * 1024;

/// A message and the time of its arrival.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) text: Utf8Bytes,
    pub(super) at: Instant,
}

/// The parsed content of a message.
#[derive(Debug)]
pub(super) enum Understood {
    Hello,
    /// A command, or the reason why it cannot be executed.
    Command {
        id: CommandId,
        deadline: Instant,
        command: Result<ParsedCommand, ErrorFrame>,
    },
    Outcome {
        id: CommandId,
        deadline: Instant,
        /// The reason why the server does not answer it.
        refusal: Option<ErrorFrame>,
    },
    /// A token that the server must check.
    Token(Token),
    /// A token that the server has checked.
    Checked(Result<Identity, ErrorFrame>),
    /// A frame with a fault that concerns only the command or question with this id.
    Refused {
        id: CommandId,
        error: FrameError,
    },
    /// An invalid message without an id.
    Wrong(FrameError),
}

/// Parses a message. Returns a future for the result. With a refusal, the server executes no
/// command of the connection, and does not parse it.
pub(super) fn understand(
    context: &Context,
    site: &Arc<Site>,
    message: Arrived,
    refusal: Option<ErrorFrame>,
) -> BoxFuture<'static, Understood> {
    let server = Arc::clone(&context.server);
    if message.text.len() <= SHORT {
        return ready(read(&server, &message, refusal)).boxed();
    }
    let (workers, site) = (Arc::clone(&context.workers), Arc::clone(site));
    async move { workers.run(&site, move || read(&server, &message, refusal)).await }.boxed()
}

/// Parses the frame in a message.
pub(super) async fn parse(
    context: &Context,
    site: &Site,
    text: Utf8Bytes,
) -> Result<ClientFrame, FrameError> {
    if text.len() <= SHORT {
        return ClientFrame::parse(&text);
    }
    context.workers.run(site, move || ClientFrame::parse(&text)).await
}

fn read(server: &ServerState, message: &Arrived, refusal: Option<ErrorFrame>) -> Understood {
    let deadline = |asked_ms: Option<u64>| {
        let asked = asked_ms.map_or(DEFAULT_DEADLINE, Duration::from_millis);
        message.at + asked.min(MAX_DEADLINE)
    };
    match ClientFrame::parse(&message.text) {
        Ok(ClientFrame::Command(command)) => Understood::Command {
            id: command.id,
            deadline: deadline(command.deadline_ms),
            // Another server may allow the command.
            command: match refusal.or_else(|| server.refusal()) {
                Some(refusal) => Err(refusal),
                None => ParsedCommand::parse(&command.command, &server.config.allowed_commands()),
            },
        },
        Ok(ClientFrame::Outcome(OutcomeQuery { id, deadline_ms })) => Understood::Outcome {
            id,
            deadline: deadline(deadline_ms),
            refusal,
        },
        Ok(ClientFrame::Hello(_)) => Understood::Hello,
        Ok(ClientFrame::Token(token)) => Understood::Token(token),
        // This server knows every frame of its own protocol.
        Ok(_) => Understood::Wrong(FrameError::UnknownType(String::new())),
        Err(error) => match error.id() {
            Some(id) => Understood::Refused { id, error },
            None => Understood::Wrong(error),
        },
    }
}
