use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bellwether_client::native::Native;
use bellwether_client::{CommandText, Executed, Failure, OneShot, Outcome, ServerList};
use bson::{Document, doc};
use futures_util::TryStreamExt;
use mongodb::Client;
use tokio::task::JoinHandle;

/// Passes one command to the servers, as a client with default settings does.
///
/// # Errors
/// If the command or an address is invalid. The inner result is the client's report.
pub async fn execute(servers: &[String], command: &str) -> Result<Result<Executed, Failure>> {
    let command: CommandText = command.parse()?;
    Ok(one_shot(servers)?.execute(&command, |_| {}).await)
}

/// Does the same as [`execute`], with a client that gives up after this time.
///
/// # Errors
/// As for [`execute`].
pub async fn execute_within(
    deadline: Duration,
    servers: &[String],
    command: &str,
) -> Result<Result<Executed, Failure>> {
    let command: CommandText = command.parse()?;
    Ok(one_shot(servers)?
        .deadline(deadline)
        .execute(&command, |_| {})
        .await)
}

pub(crate) fn one_shot(servers: &[String]) -> Result<OneShot<Native>> {
    let servers: ServerList = servers.join(",").parse()?;
    Ok(OneShot::new(Native::new(), servers))
}

/// Several clients that insert one document after another, each command a one-shot of its own.
///
/// The documents have no `_id`, so a command that was executed twice leaves two of them.
#[derive(Debug)]
pub struct Load {
    collection: String,
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Result<Vec<Insert>>>>,
}

#[derive(Debug)]
struct Insert {
    key: String,
    ended: Result<Executed, Failure>,
}

/// The results of a [`Load`].
#[derive(Debug)]
pub struct LoadReport {
    collection: String,
    inserts: Vec<Insert>,
}

impl Load {
    /// Starts clients that insert into this collection of the database `app`.
    ///
    /// # Errors
    /// If an address is none.
    pub fn start(servers: &[String], clients: usize, collection: &str) -> Result<Self> {
        Ok(Self::start_with(&one_shot(servers)?, clients, collection))
    }

    /// Does the same as [`Load::start`], with clients like this one.
    pub fn start_with(one_shot: &OneShot<Native>, clients: usize, collection: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let clients = (0..clients)
            .map(|client| {
                tokio::spawn(insert_until(
                    Arc::clone(&stop),
                    one_shot.clone(),
                    client,
                    collection.to_owned(),
                ))
            })
            .collect();
        Self {
            collection: collection.to_owned(),
            stop,
            clients,
        }
    }

    /// Lets every client finish its command in progress, and gathers the outcomes.
    ///
    /// # Errors
    /// If a client failed in a way that is none of the protocol's.
    pub async fn finish(self) -> Result<LoadReport> {
        self.stop.store(true, Ordering::SeqCst);
        let mut inserts = Vec::new();
        for client in self.clients {
            inserts.extend(client.await.context("a client panicked")??);
        }
        Ok(LoadReport {
            collection: self.collection,
            inserts,
        })
    }
}

async fn insert_until(
    stop: Arc<AtomicBool>,
    one_shot: OneShot<Native>,
    client: usize,
    collection: String,
) -> Result<Vec<Insert>> {
    let mut inserts = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        let key = format!("{client}-{}", inserts.len());
        let command: CommandText =
            format!(r#"{{"insert":"{collection}","documents":[{{"key":"{key}"}}]}}"#).parse()?;
        let ended = one_shot.execute(&command, |_| {}).await;
        inserts.push(Insert { key, ended });
    }
    Ok(inserts)
}

impl LoadReport {
    /// Returns the number of acknowledged commands.
    pub fn executed(&self) -> usize {
        self.inserts.iter().filter(|insert| insert.ended.is_ok()).count()
    }

    /// Returns the commands that were not acknowledged, in words.
    pub fn failures(&self) -> Vec<String> {
        let failed = self
            .inserts
            .iter()
            .filter_map(|insert| Some((&insert.key, insert.ended.as_ref().err()?)));
        failed
            .map(|(key, failure)| format!("{key}: {failure} {:?}", failure.attempts))
            .collect()
    }

    /// Compares the outcomes with the data: executed means once, not executed means not at all,
    /// unknown means once or not at all.
    ///
    /// # Errors
    /// If an outcome contradicts the data, or if nothing was executed at all.
    pub async fn check(&self, client: &Client) -> Result<()> {
        ensure!(
            self.executed() > 0,
            "no insert was executed: {:?}",
            self.failures()
        );
        let collection = client.database("app").collection::<Document>(&self.collection);
        let mut found: HashMap<String, usize> = HashMap::new();
        let mut documents = collection.find(doc! {}).await?;
        while let Some(document) = documents.try_next().await? {
            *found.entry(document.get_str("key")?.to_owned()).or_default() += 1;
        }
        for Insert { key, ended } in &self.inserts {
            let count = found.remove(key).unwrap_or(0);
            let (told, right) = match ended.as_ref().map_err(|failure| failure.outcome) {
                Ok(_) | Err(Outcome::Executed) => (Outcome::Executed, count == 1),
                Err(Outcome::NotExecuted) => (Outcome::NotExecuted, count == 0),
                Err(Outcome::Unknown) => (Outcome::Unknown, count <= 1),
            };
            ensure!(
                right,
                "the client of insert {key} was told {told}, and it is there {count} times: {ended:?}"
            );
        }
        ensure!(found.is_empty(), "documents nobody inserted: {:?}", found.keys());
        Ok(())
    }
}
