//! The workloads, and the clients that run them.

mod append;
mod asked;
mod bank;
mod client;
mod counter;
mod keys;
mod load;
pub(crate) mod neighbours;
mod register;
pub(crate) mod reply;
mod set;

use anyhow::{Context, Result};
use bson::{Bson, Document, doc};
use mongodb::options::WriteConcern;
use rand::rngs::SmallRng;

use crate::history::Workload;

pub use asked::{ACCOUNTS, Asked, Told, What};
pub(crate) use bank::account;
pub use client::Client;
pub use load::{Load, Options};
pub use neighbours::Misdeed;

/// The users' database of the cluster.
pub const DATABASE: &str = "app";

/// Makes the collections, past the servers and before the first command, with an index for the
/// readers of sets.
///
/// # Errors
/// If MongoDB refuses.
pub async fn prepare(client: &mongodb::Client) -> Result<()> {
    let database = client.database(DATABASE);
    for name in [
        register::COLLECTION,
        append::COLLECTION,
        set::COLLECTION,
        bank::COLLECTION,
        counter::COLLECTION,
        counter::DUPLICATES,
        neighbours::COLLECTION,
    ] {
        let made = database
            .create_collection(name)
            .write_concern(WriteConcern::majority());
        made.await
            .with_context(|| format!("making the collection {name}"))?;
    }
    let index = doc! {
        "createIndexes": set::COLLECTION,
        "indexes": [{ "key": { "set": 1 }, "name": "set" }],
        "writeConcern": { "w": "majority" },
    };
    database
        .run_command(index)
        .await
        .context("making the sets' index")?;
    neighbours::prepare(&database).await
}

/// Returns the collection of a workload's objects.
pub(crate) fn collection(workload: Workload) -> &'static str {
    match workload {
        Workload::Register => register::COLLECTION,
        Workload::Append => append::COLLECTION,
        Workload::Set => set::COLLECTION,
        Workload::Bank => bank::COLLECTION,
        Workload::Counter => counter::COLLECTION,
        Workload::Duplicates => counter::DUPLICATES,
        Workload::BadNeighbours => neighbours::COLLECTION,
    }
}

/// Returns the command for this operation.
pub fn command(workload: Workload, asked: &Asked) -> String {
    match workload {
        Workload::Register => register::command(asked),
        Workload::Append => append::command(asked),
        Workload::Set => set::command(asked),
        Workload::Bank => bank::command(asked),
        Workload::Counter | Workload::Duplicates => counter::command(collection(workload), asked),
        Workload::BadNeighbours => neighbours::command(asked),
    }
}

/// Returns the content of a reply in canonical Extended JSON, for this operation.
pub fn told(workload: Workload, asked: &Asked, reply: &str) -> Told {
    let told = document(reply).and_then(|reply| match workload {
        Workload::Register => register::told(asked, &reply),
        Workload::Append => append::told(asked, &reply),
        Workload::Set => set::told(asked, &reply),
        Workload::Bank => bank::told(asked, &reply),
        Workload::Counter | Workload::Duplicates => counter::told(asked, &reply),
        Workload::BadNeighbours => neighbours::told(asked, &reply),
    });
    told.unwrap_or_else(|| Told::Nonsense(reply.to_owned()))
}

fn document(reply: &str) -> Option<Document> {
    let json: serde_json::Value = serde_json::from_str(reply).ok()?;
    match Bson::try_from(json).ok()? {
        Bson::Document(document) => Some(document),
        _ => None,
    }
}

/// Draws the next operation of a client. `seen` is the newest value of this register that the
/// client knows of.
pub(crate) fn draw(
    workload: Workload,
    rng: &mut SmallRng,
    key: String,
    token: String,
    seen: Option<&str>,
) -> Asked {
    match workload {
        Workload::Register => register::draw(rng, key, token, seen),
        Workload::Append => append::draw(rng, key, token),
        Workload::Set => set::draw(rng, key, token),
        Workload::Bank => bank::draw(rng, key, token),
        Workload::Counter => counter::draw(rng, key, token),
        Workload::Duplicates => counter::draw_duplicate(rng, key, token),
        Workload::BadNeighbours => neighbours::draw(rng, token),
    }
}

#[cfg(test)]
mod tests;
