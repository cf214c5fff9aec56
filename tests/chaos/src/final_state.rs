//! The data after the run, read directly from MongoDB.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, Result};
use bellwether_client::CommandId;
use bson::{Document, doc};
use futures_util::TryStreamExt;
use mongodb::options::ReadConcern;
use serde::{Deserialize, Serialize};

use crate::history::Workload;
use crate::ledger;
use crate::workload::{ACCOUNTS, DATABASE, account, collection, reply};

/// The data after the run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FinalState {
    /// The registers' values.
    pub registers: BTreeMap<String, String>,
    /// The lists.
    pub lists: BTreeMap<String, Vec<String>>,
    /// The sets' members, each as many times as it is in the data.
    pub sets: BTreeMap<String, Vec<String>>,
    /// The accounts, by their `_id`.
    pub accounts: BTreeMap<String, Tallied>,
    /// The counters.
    pub counters: BTreeMap<String, Tallied>,
    /// The counters whose commands were sent by two clients.
    pub duplicates: BTreeMap<String, Tallied>,
    /// The tokens that bad neighbours have left, each as many times as it is in the data.
    pub neighbours: Vec<String>,
    /// The records of the executed commands, with their epochs.
    pub records: BTreeMap<CommandId, u64>,
}

/// A sum and its additions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tallied {
    /// The sum.
    pub sum: i64,
    /// The amounts added, each with its token, in the order of the execution.
    pub log: Vec<(String, i64)>,
}

impl FinalState {
    /// Reads the data with majority read concern, each collection at one moment. No client should
    /// be writing any more.
    ///
    /// # Errors
    /// If MongoDB cannot be read, or the data contains something that no workload writes.
    pub async fn read(client: &mongodb::Client) -> Result<Self> {
        let mut state = Self::default();
        for document in documents(client, Workload::Register).await? {
            state
                .registers
                .insert(text(&document, "_id")?, text(&document, "v")?);
        }
        for document in documents(client, Workload::Append).await? {
            let items = document
                .get_array("items")?
                .iter()
                .map(|item| Ok(item.as_str().context("no text")?.to_owned()));
            state
                .lists
                .insert(text(&document, "_id")?, items.collect::<Result<_>>()?);
        }
        for document in documents(client, Workload::Set).await? {
            let set = state.sets.entry(text(&document, "set")?).or_default();
            set.push(text(&document, "item")?);
        }
        state.accounts = tallied(client, Workload::Bank, "balance", "log").await?;
        state.counters = tallied(client, Workload::Counter, "n", "by").await?;
        state.duplicates = tallied(client, Workload::Duplicates, "n", "by").await?;
        state.neighbours = neighbours(client).await?;
        state.records = ledger::records(client).await?;
        Ok(state)
    }

    /// Counts the tokens of a workload in the data. Registers keep no trace.
    pub(crate) fn effects(&self, workload: Workload) -> HashMap<&str, usize> {
        let tokens: Box<dyn Iterator<Item = &String>> = match workload {
            Workload::Register => Box::new(std::iter::empty()),
            Workload::Append => Box::new(self.lists.values().flatten()),
            Workload::Set => Box::new(self.sets.values().flatten()),
            Workload::Bank => Box::new(logged(&self.accounts)),
            Workload::Counter => Box::new(logged(&self.counters)),
            Workload::Duplicates => Box::new(logged(&self.duplicates)),
            Workload::BadNeighbours => Box::new(self.neighbours.iter()),
        };
        let mut effects = HashMap::new();
        for token in tokens {
            *effects.entry(token.as_str()).or_default() += 1;
        }
        effects
    }

    /// Returns the accounts of a bank by number.
    pub(crate) fn bank(&self, key: &str) -> Vec<Tallied> {
        let accounts = (0..ACCOUNTS).map(|number| {
            self.accounts
                .get(&account(key, number))
                .cloned()
                .unwrap_or_default()
        });
        accounts.collect()
    }
}

fn logged(all: &BTreeMap<String, Tallied>) -> impl Iterator<Item = &String> {
    all.values()
        .flat_map(|one| one.log.iter().map(|(token, _)| token))
}

/// Reads only the tokens: the other fields hold text that is not UTF-8.
async fn neighbours(client: &mongodb::Client) -> Result<Vec<String>> {
    let left = matching(
        client,
        Workload::BadNeighbours,
        doc! { "by": { "$exists": true } },
        doc! { "by": 1 },
    );
    left.await?.iter().map(|document| text(document, "by")).collect()
}

async fn documents(client: &mongodb::Client, workload: Workload) -> Result<Vec<Document>> {
    matching(client, workload, doc! {}, doc! {}).await
}

async fn matching(
    client: &mongodb::Client,
    workload: Workload,
    filter: Document,
    fields: Document,
) -> Result<Vec<Document>> {
    let name = collection(workload);
    let found = client
        .database(DATABASE)
        .collection::<Document>(name)
        .find(filter)
        .projection(fields)
        .read_concern(ReadConcern::snapshot())
        .await;
    let reading = || format!("reading the collection {name}");
    found
        .with_context(reading)?
        .try_collect()
        .await
        .with_context(reading)
}

async fn tallied(
    client: &mongodb::Client,
    workload: Workload,
    sum: &str,
    log: &str,
) -> Result<BTreeMap<String, Tallied>> {
    let mut all = BTreeMap::new();
    for document in documents(client, workload).await? {
        let entries = document.get_array(log)?.iter().map(|entry| {
            let entry = entry.as_document().context("no document")?;
            Ok((text(entry, "t")?, whole(entry, "a")?))
        });
        let tallied = Tallied {
            sum: whole(&document, sum)?,
            log: entries.collect::<Result<_>>()?,
        };
        all.insert(text(&document, "_id")?, tallied);
    }
    Ok(all)
}

fn text(document: &Document, field: &str) -> Result<String> {
    Ok(document
        .get_str(field)
        .with_context(|| format!("in {document}"))?
        .to_owned())
}

fn whole(document: &Document, field: &str) -> Result<i64> {
    let number = document.get(field).and_then(reply::whole);
    number.with_context(|| format!("{field} is no whole number in {document}"))
}
