//! The test replica set itself: it must be reliable before other tests use it.

use anyhow::Result;
use bellwether_testkit::ReplicaSet;
use bson::{Document, doc};

#[tokio::test]
async fn survives_the_loss_of_its_primary() -> Result<()> {
    let mut set = ReplicaSet::start_quick(3).await?;
    let notes = set.client().database("app").collection::<Document>("notes");
    notes.insert_one(doc! { "_id": 1 }).await?;

    let killed = set.wait_for_primary().await?;
    set.members[killed].process.kill()?;
    let next = set.wait_for_primary().await?;
    assert_ne!(next, killed);
    notes.insert_one(doc! { "_id": 2 }).await?;

    set.members[killed].process.restart()?;
    let stepped_down = set.step_down_primary().await?;
    assert_eq!(stepped_down, next);
    set.wait_for_primary().await?;
    notes.insert_one(doc! { "_id": 3 }).await?;
    assert_eq!(notes.count_documents(doc! {}).await?, 3);
    Ok(())
}
