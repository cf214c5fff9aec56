//! An `insert` names the `_id`s that the server has made, and always the same ones.

use anyhow::{Context, Result};
use bellwether_server::SourceId;
use bellwether_testkit::ReplicaSet;
use bson::oid::ObjectId;
use bson::{Document, doc};
use futures_util::TryStreamExt;
use serde_json::Value;

use crate::coordinator::{Coordinator, in_a_while, new_id};

/// Returns the places and ids in a reply.
fn ids(reply: &Value) -> Result<Vec<(usize, ObjectId)>> {
    let entries = reply["insertedIds"].as_array().context("insertedIds")?;
    let entry = |entry: &Value| -> Result<(usize, ObjectId)> {
        let place = entry["index"]["$numberInt"].as_str().context("index")?;
        let id = entry["_id"]["$oid"].as_str().context("_id")?;
        Ok((place.parse()?, ObjectId::parse_str(id)?))
    };
    entries.iter().map(entry).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ids_are_those_of_the_documents() -> Result<()> {
    let set = ReplicaSet::start(1).await?;
    let s1 = Coordinator::start(&set, "app_ids").await?;
    let users = set.client().database("app_ids");
    let collection = users.collection::<Document>("c");

    let reply = s1
        .reply(r#"{"insert":"c","documents":[{"n":0},{"n":1,"_id":"own"},{"n":2},{"n":3,"_id":null}]}"#)
        .await?;
    let told = ids(&reply)?;
    assert_eq!(told.iter().map(|(place, _)| *place).collect::<Vec<_>>(), [0, 2]);
    assert!(told[0].1 < told[1].1);
    for (place, id) in &told {
        let found = collection
            .find_one(doc! { "_id": id })
            .await?
            .context("the document")?;
        assert_eq!(found, doc! { "_id": id, "n": i32::try_from(*place)? });
    }
    // If every document has its own id, the reply is MongoDB's.
    let own = s1.reply(r#"{"insert":"c","documents":[{"_id":9}]}"#).await?;
    assert_eq!(
        own.to_string(),
        r#"{"n":{"$numberInt":"1"},"ok":{"$numberDouble":"1.0"}}"#
    );

    // The server sends the inserts of one batch to MongoDB together, and each client gets its own
    // ids.
    let together: Vec<String> = (0..20)
        .map(|n| format!(r#"{{"insert":"together","documents":[{{"n":{n}}},{{"n":{n},"second":true}}]}}"#))
        .collect();
    let mut all = Vec::new();
    for (n, answer) in s1.send_together(&together).await?.into_iter().enumerate() {
        let told = ids(&serde_json::from_str(answer?.result.as_str())?)?;
        for (place, id) in told {
            let mut expected = doc! { "_id": id, "n": i32::try_from(n)? };
            if place == 1 {
                expected.insert("second", true);
            }
            all.push(expected);
        }
    }
    let together = users.collection::<Document>("together");
    let found = together.find(doc! {}).sort(doc! { "_id": 1 }).await?;
    assert_eq!(found.try_collect::<Vec<_>>().await?, all);

    let listed = s1
        .reply(r#"{"transaction":[{"insert":"c","documents":[{"n":7}]},{"find":"c","filter":{"n":7}}]}"#)
        .await?;
    let (_, id) = ids(&listed["results"][0])?[0];
    assert_eq!(
        listed["results"][1]["cursor"]["firstBatch"][0]["_id"]["$oid"],
        id.to_hex()
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_coordinator_names_the_same_ids() -> Result<()> {
    let set = ReplicaSet::start(1).await?;
    let s1 = Coordinator::start(&set, "app_ids_again").await?;
    // Many more than would fit a record one by one.
    let many = vec![r#"{"n":1}"#; 5_000].join(",");
    let many = format!(r#"{{"insert":"c","documents":[{many}]}}"#);
    let list = r#"{"transaction":[{"insert":"c","documents":[{},{"_id":1}]},{"count":"c"}]}"#;
    for command in [many.as_str(), list] {
        let id = new_id();
        let first = s1.send(id, command).await?;
        let s2 = Coordinator::start(&set, "app_ids_again").await?;
        let again = s2.send(id, command).await?;
        assert!(again.replayed);
        assert_eq!(again.result.as_str(), first.result.as_str());
        let asked = s2.pipeline.outcome(SourceId::new(), id, in_a_while())?;
        let outcome_result = asked.await??;
        assert_eq!(
            outcome_result.result.map(|reply| reply.as_str().to_owned()),
            Some(first.result.as_str().to_owned())
        );
        s1.pipeline.lead(s1.fence.claim("s1", "1").await?).await?;
    }
    Ok(())
}
