//! Sends every command with the outcome `executed` once more, after the run, with its id: the
//! servers must remember it.

use std::collections::HashMap;

use anyhow::{Context, Result, bail};
use bellwether_client::{CommandId, Outcome};
use bellwether_protocol::{ServerFrame, WhatNext};
use bellwether_testkit::Connection;

use crate::history::{Entry, Workload};
use crate::workload::{Asked, command};

/// Number of commands that are sent before the first answer is awaited.
const AT_ONCE: usize = 32;

/// The answer to an executed command that was sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replay {
    /// Its id.
    pub id: CommandId,
    /// The received reply, its epoch, and `true` if it was the stored one; or another answer.
    pub answer: Result<(String, u64, bool), String>,
}

/// Sends the executed commands of a history to this server, which must be the coordinator of a
/// cluster without faults. If there are more than `most`, sends only every second, third and so on.
///
/// # Errors
/// If the connection fails, or the server cannot execute commands now. Call it again then: it
/// changes nothing.
pub async fn replay(entries: &[Entry], coordinator: &str, most: usize) -> Result<Vec<Replay>> {
    let mut executed: HashMap<CommandId, (Workload, Asked)> = HashMap::new();
    for entry in entries.iter().filter(|entry| entry.outcome == Outcome::Executed) {
        let asked: Asked = serde_json::from_value(entry.asked.clone()).context("what a client asked")?;
        // Reads are not recorded: one that is sent again reads anew.
        if let (Some(id), Some(_)) = (entry.id, &asked.token) {
            executed.insert(id, (entry.workload, asked));
        }
    }
    let mut ids: Vec<CommandId> = executed.keys().copied().collect();
    ids.sort_unstable();
    let step = ids.len().div_ceil(most.max(1)).max(1);
    let ids: Vec<CommandId> = ids.into_iter().step_by(step).collect();

    let (mut connection, _) = Connection::greeted(coordinator).await?;
    let mut replays = Vec::new();
    for some in ids.chunks(AT_ONCE) {
        for id in some {
            let (workload, asked) = &executed[id];
            connection.command(*id, &command(*workload, asked)).await?;
        }
        for _ in some {
            replays.push(match connection.receive().await? {
                ServerFrame::Result(result) => Replay {
                    id: result.id,
                    answer: Ok((result.result.as_str().to_owned(), result.epoch, result.replayed)),
                },
                ServerFrame::Error(error) if error.code.what_next() == WhatNext::GiveUp => Replay {
                    id: error.id.context("an error without an id")?,
                    answer: Err(format!("{}: {}", error.code, error.message)),
                },
                other => bail!("a command is answered with {other:?}"),
            });
        }
    }
    Ok(replays)
}
