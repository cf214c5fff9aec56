//! The history of the servers' ledger: the fence and the records of executed commands. The watcher
//! reads it from a majority of MongoDB during the run, in the order of the commits, without a
//! server.

mod event;
mod watcher;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use bellwether_client::CommandId;
use bson::{Bson, Document, Timestamp, doc};
use futures_util::TryStreamExt;
use mongodb::Collection;
use mongodb::options::ReadConcern;
use serde::{Deserialize, Serialize};

use crate::history::lines;
use event::{epoch, ids};

pub use watcher::Watcher;

const DATABASE: &str = "app_bellwether";
const COLLECTION: &str = "ledger";
const FENCE: &str = "fence";

/// The history of the ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Every change, in the order of the commits.
    pub lines: Vec<Line>,
}

/// A change of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "kebab-case")]
pub enum Line {
    /// The fence when the watching began, or began anew.
    From {
        /// The fence at that time, if there was one.
        fence: Option<Fence>,
    },
    /// An epoch was granted.
    Granted {
        /// The epoch.
        epoch: u64,
        /// The server it was granted to.
        holder: String,
        /// The number this server had drawn at its start.
        number: String,
        /// New value of the fence's count. Only the very first grant sets it.
        seq: Option<i64>,
    },
    /// A transaction wrote the fence.
    Held {
        /// Value of the fence's count from then on.
        seq: i64,
        /// The transaction, if it was one.
        transaction: Option<String>,
    },
    /// Commands were recorded.
    Recorded {
        /// The epoch in the record.
        epoch: u64,
        /// The commands.
        ids: Vec<CommandId>,
        /// In which transaction, if it was one.
        transaction: Option<String>,
    },
    /// Something was deleted or replaced. No server does that during a run.
    Removed {
        /// Description, for people.
        what: String,
    },
    /// Some of the history was not seen.
    Lost {
        /// The reason, for people.
        why: String,
    },
}

/// The fence at some moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fence {
    /// The newest epoch.
    pub epoch: u64,
    /// The server it was granted to.
    pub holder: String,
    /// The number this server had drawn at its start.
    pub number: String,
    /// Number of writes of the fence.
    pub seq: i64,
}

impl Ledger {
    /// Reads a history from disk.
    ///
    /// # Errors
    /// If the file cannot be read, with the line.
    pub fn read(path: &Path) -> Result<Self> {
        Ok(Self { lines: lines(path)? })
    }
}

fn ledger(client: &mongodb::Client) -> Collection<Document> {
    client.database(DATABASE).collection(COLLECTION)
}

/// Returns the fence at one moment, and the moment.
async fn snapshot(ledger: &Collection<Document>) -> Result<(Option<Fence>, Timestamp)> {
    let database = ledger.client().database(DATABASE);
    let before = database.run_command(doc! { "ping": 1 }).await?;
    let find = doc! {
        "find": COLLECTION,
        "filter": { "_id": FENCE },
        "readConcern": { "level": "snapshot" },
    };
    let reply = database.run_command(find).await.context("reading the fence")?;
    let cursor = reply.get_document("cursor")?;
    let found = cursor
        .get_array("firstBatch")?
        .first()
        .and_then(Bson::as_document);
    let fence = found.map(|found| {
        Ok::<_, anyhow::Error>(Fence {
            epoch: epoch(found)?,
            holder: found.get_str("holder")?.to_owned(),
            number: found.get_str("number")?.to_owned(),
            seq: found.get_i64("seq")?,
        })
    });
    // If there is no such collection yet, MongoDB's answer has no `atClusterTime`.
    let at = match cursor.get_timestamp("atClusterTime") {
        Ok(at) => at,
        Err(_) => before
            .get_timestamp("operationTime")
            .context("the time of a reply")?,
    };
    Ok((fence.transpose()?, at))
}

/// Returns the present records, with their epochs.
pub(crate) async fn records(client: &mongodb::Client) -> Result<BTreeMap<CommandId, u64>> {
    let mut found = ledger(client)
        .find(doc! { "commands": { "$exists": true } })
        .projection(doc! { "epoch": 1, "commands.id": 1 })
        .read_concern(ReadConcern::snapshot())
        .await
        .context("reading the records")?;
    let mut records = BTreeMap::new();
    while let Some(record) = found.try_next().await.context("reading the records")? {
        let epoch = epoch(&record)?;
        records.extend(ids(&record)?.into_iter().map(|id| (id, epoch)));
    }
    Ok(records)
}
