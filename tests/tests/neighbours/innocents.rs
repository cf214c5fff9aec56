//! Clients that do nothing wrong, and the checks of their answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::{Context, Result, ensure};
use bellwether_protocol::{Outcome, ServerFrame};
use bellwether_testkit::wait_until;
use bson::{Document, doc};
use futures_util::TryStreamExt;
use mongodb::Client;
use mongodb::options::{ReadConcern, SelectionCriteria};
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::caller::{Caller, Spot};
use crate::row::shown;

/// Number of innocent clients.
const CLIENTS: usize = 4;

/// Four clients, each with a connection and a collection of its own. Each repeats a cycle of six
/// commands, whose replies it knows beforehand, until it is stopped or a reply is another one.
pub(crate) struct Innocents {
    row: usize,
    stop: Arc<AtomicBool>,
    clients: Vec<Innocent>,
}

struct Innocent {
    cycles: Arc<AtomicUsize>,
    task: JoinHandle<Result<usize>>,
}

impl Innocents {
    /// Returns the collection of one of them.
    pub(crate) fn collection(client: usize) -> String {
        format!("innocent_{client}")
    }

    /// Returns the collections of all.
    pub(crate) fn collections() -> impl Iterator<Item = String> {
        (0..CLIENTS).map(Self::collection)
    }

    /// Starts them.
    pub(crate) async fn start(spot: &Spot, row: usize) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut clients = Vec::new();
        for client in 0..CLIENTS {
            let caller = Caller::open(&spot.url).await?;
            let cycles = Arc::new(AtomicUsize::new(0));
            let (stop, done) = (Arc::clone(&stop), Arc::clone(&cycles));
            let task = tokio::spawn(work(caller, client, row, stop, done));
            clients.push(Innocent { cycles, task });
        }
        Ok(Self { row, stop, clients })
    }

    /// Waits until each of them has finished `cycles` more cycles, or has ended, which
    /// [`finish`](Self::finish) explains.
    pub(crate) async fn go_on(&self, cycles: usize) -> Result<()> {
        let count = |client: &Innocent| client.cycles.load(Ordering::SeqCst);
        let aims: Vec<usize> = self.clients.iter().map(|client| count(client) + cycles).collect();
        wait_until("the innocents to go on", async || {
            for (number, (client, aim)) in self.clients.iter().zip(&aims).enumerate() {
                let there = client.task.is_finished() || count(client) >= *aim;
                ensure!(
                    there,
                    "innocent {number} has finished {} cycles of {aim}",
                    count(client)
                );
            }
            Ok(())
        })
        .await
    }

    /// Lets them finish the cycles they have begun, and compares MongoDB's data with their answers.
    pub(crate) async fn finish(self, mongodb: &Client) -> Result<()> {
        self.stop.store(true, Ordering::SeqCst);
        for (number, client) in self.clients.into_iter().enumerate() {
            let cycles = client.task.await.context("an innocent panicked")?;
            let cycles = cycles.with_context(|| format!("innocent {number}"))?;
            read_back(mongodb, number, self.row, cycles)
                .await
                .with_context(|| format!("what innocent {number} has written in {cycles} cycles"))?;
        }
        Ok(())
    }
}

async fn work(
    mut caller: Caller,
    client: usize,
    row: usize,
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
) -> Result<usize> {
    let mut cycle = 0;
    while !stop.load(Ordering::SeqCst) {
        turn(&mut caller, &Innocents::collection(client), row, cycle)
            .await
            .with_context(|| format!("cycle {cycle}"))?;
        cycle += 1;
        done.store(cycle, Ordering::SeqCst);
    }
    Ok(cycle)
}

/// Runs one cycle: every kind of request that a client can make, each with a known answer.
async fn turn(caller: &mut Caller, c: &str, row: usize, cycle: usize) -> Result<()> {
    let key = format!("{row}-{cycle}");
    let insert = format!(
        r#"{{"insert":"{c}","documents":[{{"_id":"{key}","row":{row},"cycle":{cycle},"text":"é"}}]}}"#
    );
    let id = caller.new_id();
    let reply = caller.reply_as(id, &insert).await?;
    expect(&insert, &reply, "/n/$numberInt", "1")?;

    let find = format!(r#"{{"find":"{c}","filter":{{"_id":"{key}"}}}}"#);
    let reply = caller.reply(&find).await?;
    let found = reply.pointer("/cursor/firstBatch").and_then(Value::as_array);
    ensure!(found.is_some_and(|found| found.len() == 1), "{find}: {reply}");
    expect(&find, &reply, "/cursor/firstBatch/0/_id", &key)?;
    expect(&find, &reply, "/cursor/firstBatch/0/text", "é")?;
    expect(
        &find,
        &reply,
        "/cursor/firstBatch/0/cycle/$numberInt",
        &cycle.to_string(),
    )?;

    let update =
        format!(r#"{{"update":"{c}","updates":[{{"q":{{"_id":"{key}"}},"u":{{"$set":{{"seen":true}}}}}}]}}"#);
    let reply = caller.reply(&update).await?;
    expect(&update, &reply, "/n/$numberInt", "1")?;
    expect(&update, &reply, "/nModified/$numberInt", "1")?;

    let next = (cycle + 1).to_string();
    let count = format!(
        r#"{{"findAndModify":"{c}","query":{{"_id":"counter {row}"}},"update":{{"$inc":{{"n":1}}}},"upsert":true,"new":true}}"#
    );
    let reply = caller.reply(&count).await?;
    expect(&count, &reply, "/value/n/$numberInt", &next)?;

    let count = format!(r#"{{"count":"{c}","query":{{"row":{row}}}}}"#);
    let reply = caller.reply(&count).await?;
    expect(&count, &reply, "/n/$numberInt", &next)?;

    match caller.outcome_result(id).await? {
        ServerFrame::OutcomeResult(outcome_result) if outcome_result.outcome == Outcome::Executed => Ok(()),
        other => anyhow::bail!("the outcome of an executed insert is {}", shown(&other)),
    }
}

fn expect(command: &str, reply: &Value, pointer: &str, value: &str) -> Result<()> {
    let found = reply.pointer(pointer).and_then(Value::as_str);
    ensure!(
        found == Some(value),
        "{command}: {pointer} is not {value} in {reply}"
    );
    Ok(())
}

async fn read_back(mongodb: &Client, client: usize, row: usize, cycles: usize) -> Result<()> {
    let collection = mongodb
        .database("app")
        .collection::<Document>(&Innocents::collection(client));
    let row = i32::try_from(row)?;
    let primary = SelectionCriteria::ReadPreference(mongodb::options::ReadPreference::Primary);
    let found = collection
        .find(doc! { "row": row })
        .read_concern(ReadConcern::majority())
        .selection_criteria(primary)
        .sort(doc! { "cycle": 1 });
    let found: Vec<Document> = found.await?.try_collect().await?;
    ensure!(found.len() == cycles, "{} documents are there", found.len());
    for (cycle, document) in found.iter().enumerate() {
        let right = document.get_i32("cycle").ok() == i32::try_from(cycle).ok()
            && document.get_bool("seen").is_ok_and(|seen| seen);
        ensure!(right, "in the place of cycle {cycle} is {document}");
    }
    let counter = collection
        .find_one(doc! { "_id": format!("counter {row}") })
        .await?;
    let counted = counter.map_or(0, |counter| counter.get_i32("n").unwrap_or(-1));
    ensure!(
        usize::try_from(counted).ok() == Some(cycles),
        "the counter says {counted}"
    );
    Ok(())
}
