//! The ledger's history has every change once, even if the watched connection fails.

use anyhow::Result;
use bellwether_chaos::ledger::{Line, Watcher};
use bellwether_testkit::{FailPoint, ReplicaSet};
use bson::{Document, doc};
use mongodb::Collection;
use tempfile::TempDir;

/// The driver resumes a change stream by itself. If the first try fails, the second try forgets the
/// driver's position in the stream, and all changes come once more.
#[tokio::test]
async fn what_is_seen_twice_is_told_once() -> Result<()> {
    let set = ReplicaSet::start(1).await?;
    let ledger = set.client().database("app_bellwether").collection("ledger");
    let dir = TempDir::new()?;
    let path = dir.path().join("ledger.jsonl");
    let watcher = Watcher::start(set.client(), &path).await?;

    grant(&ledger, 1).await?;
    hold(&ledger).await?;
    grant(&ledger, 2).await?;
    // A cursor that asks for more has received something.
    let asked = doc! { "failCommands": ["getMore"], "blockConnection": true, "blockTimeMS": 1 };
    let asked = FailPoint::times(set.client(), "failCommand", 1, asked).await?;
    asked.entered().await?;

    let resumed_twice = doc! { "failCommands": ["getMore", "aggregate"], "closeConnection": true };
    let resumed_twice = FailPoint::times(set.client(), "failCommand", 2, resumed_twice).await?;
    resumed_twice.entered_by(2).await?;
    hold(&ledger).await?;
    grant(&ledger, 3).await?;

    let history = watcher.finish().await?;
    let granted = |epoch, seq| Line::Granted {
        epoch,
        holder: "s1".into(),
        number: "7".into(),
        seq,
    };
    let held = |seq| Line::Held {
        seq,
        transaction: None,
    };
    let expected = [
        Line::From { fence: None },
        granted(1, Some(0)),
        held(1),
        granted(2, None),
        held(2),
        granted(3, None),
    ];
    assert_eq!(history.lines, expected);
    Ok(())
}

async fn grant(ledger: &Collection<Document>, epoch: i64) -> Result<()> {
    let granted = doc! {
        "$set": { "epoch": epoch, "holder": "s1", "number": "7" }, "$setOnInsert": { "seq": 0_i64 },
    };
    ledger
        .update_one(doc! { "_id": "fence" }, granted)
        .upsert(true)
        .await?;
    Ok(())
}

async fn hold(ledger: &Collection<Document>) -> Result<()> {
    ledger
        .update_one(doc! { "_id": "fence" }, doc! { "$inc": { "seq": 1_i64 } })
        .await?;
    Ok(())
}
