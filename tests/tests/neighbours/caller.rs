//! A connection whose commands are answered in any order.

use std::collections::HashMap;

use anyhow::{Context, Result, bail, ensure};
use bellwether_protocol::{ClientFrame, Command, CommandId, HelloOk, ServerFrame};
use bellwether_testkit::{Connection, mint};
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::row::shown;

/// The fixture of a row.
#[derive(Clone)]
pub(crate) struct Spot {
    /// The coordinator, for clients.
    pub(crate) url: String,
    /// Its port.
    pub(crate) port: u16,
    /// The row's own collection.
    pub(crate) collection: String,
    /// A client of MongoDB's own.
    pub(crate) mongodb: mongodb::Client,
}

/// A client with one connection to the coordinator.
pub(crate) struct Caller {
    connection: Connection,
    hello: HelloOk,
    opened: Instant,
    early: HashMap<CommandId, ServerFrame>,
}

impl Caller {
    pub(crate) async fn open(url: &str) -> Result<Self> {
        let (connection, hello) = Connection::greeted(url).await?;
        Ok(Self {
            connection,
            hello,
            opened: Instant::now(),
            early: HashMap::new(),
        })
    }

    /// Sends a command under a new id.
    pub(crate) async fn send(&mut self, command: &str, deadline_ms: Option<u64>) -> Result<CommandId> {
        let id = self.new_id();
        self.send_as(id, command, deadline_ms).await?;
        Ok(id)
    }

    /// Sends a command under this id.
    pub(crate) async fn send_as(
        &mut self,
        id: CommandId,
        command: &str,
        deadline_ms: Option<u64>,
    ) -> Result<()> {
        let command: Box<RawValue> =
            serde_json::from_str(command).with_context(|| format!("{command:.200}"))?;
        let frame = ClientFrame::Command(Command {
            id,
            deadline_ms,
            command: command.into(),
        });
        self.connection.send_text(frame.to_json()).await
    }

    pub(crate) fn new_id(&self) -> CommandId {
        let since = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(0);
        mint(self.hello.server_time_ms + since)
    }

    /// Returns the answer to this command.
    pub(crate) async fn answer(&mut self, id: CommandId) -> Result<ServerFrame> {
        if let Some(answer) = self.early.remove(&id) {
            return Ok(answer);
        }
        loop {
            let answer = self.connection.receive().await?;
            let whose = match &answer {
                ServerFrame::Result(result) => Some(result.id),
                ServerFrame::OutcomeResult(outcome_result) => Some(outcome_result.id),
                ServerFrame::Error(error) => error.id,
                ServerFrame::HelloOk(_) | ServerFrame::TokenOk(_) => None,
            };
            match whose {
                Some(whose) if whose == id => return Ok(answer),
                Some(other) => drop(self.early.insert(other, answer)),
                None => bail!("an answer to no command: {}", shown(&answer)),
            }
        }
    }

    /// Sends a command and returns its answer.
    pub(crate) async fn ask(&mut self, command: &str) -> Result<ServerFrame> {
        let id = self.send(command, None).await?;
        self.answer(id).await
    }

    /// Sends a command that must be executed, and returns its reply.
    pub(crate) async fn reply(&mut self, command: &str) -> Result<serde_json::Value> {
        self.reply_as(self.new_id(), command).await
    }

    /// Does the same as [`reply`](Self::reply), under this id.
    pub(crate) async fn reply_as(&mut self, id: CommandId, command: &str) -> Result<serde_json::Value> {
        self.send_as(id, command, None).await?;
        match self.answer(id).await? {
            ServerFrame::Result(result) => {
                ensure!(!result.replayed, "{command} was answered from a record");
                Ok(serde_json::from_str(result.result.as_str())?)
            }
            other => bail!("{command} was answered {}", shown(&other)),
        }
    }

    /// Asks for the outcome of a command.
    pub(crate) async fn outcome_result(&mut self, id: CommandId) -> Result<ServerFrame> {
        self.connection.ask(id).await?;
        self.answer(id).await
    }

    /// Returns the connection itself.
    pub(crate) fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }
}
