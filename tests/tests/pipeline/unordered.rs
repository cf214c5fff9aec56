//! `ordered: false`: the statements that fail are left out, the others are executed.

use anyhow::{Context, Result, ensure};
use bellwether_protocol::ErrorCode;
use bellwether_server::{Settings, SourceId};
use bellwether_testkit::ReplicaSet;
use bson::{Bson, Document, doc};
use serde_json::{Value, json};

use crate::coordinator::{Coordinator, in_a_while, new_id, parse};

/// One after another, on documents with the `_id`s 1, 2 and 3, of which `k` is unique and at least
/// 0.
const COMMANDS: &[&str] = &[
    r#"{"insert":"c","documents":[{"_id":4,"k":4},{"_id":5,"k":5}],"ordered":false}"#,
    r#"{"insert":"c","documents":[{"_id":1,"k":10},{"_id":6,"k":6},{"_id":2,"k":11},{"_id":7,"k":7}],"ordered":false}"#,
    r#"{"insert":"c","documents":[{"_id":8,"k":1}],"ordered":false}"#,
    r#"{"insert":"c","documents":[{"_id":1},{"_id":2},{"_id":3}],"ordered":false}"#,
    r#"{"insert":"c","documents":[{"_id":20,"k":20},{"_id":20,"k":21},{"_id":21,"k":20},{"_id":22,"k":22}],"ordered":false}"#,
    r#"{"insert":"c","documents":[{"_id":30,"k":-1},{"_id":[1]},{"_id":31,"k":31},{"_id":{"$regularExpression":{"pattern":"x","options":""}}}],"ordered":false}"#,
    r#"{"update":"c","updates":[{"q":{"_id":1},"u":{"$set":{"k":2}}},{"q":{"_id":1},"u":{"$set":{"k":100}}},{"q":{"_id":2},"u":{"$inc":{"k":"x"}}},{"q":{"_id":99},"u":{"$set":{"k":99}},"upsert":true}],"ordered":false}"#,
    r#"{"update":"c","updates":[{"q":{"_id":40},"u":{"$set":{"k":3}},"upsert":true},{"q":{"_id":41},"u":{"$set":{"k":41}},"upsert":true},{"q":{"_id":2},"u":{"$set":{"k":2}}}],"ordered":false}"#,
    r#"{"update":"c","updates":[{"q":{},"u":{"$set":{"k":-5}},"multi":true},{"q":{"k":{"$gte":3}},"u":{"$set":{"seen":true}},"multi":true},{"q":{"_id":3},"u":{"$set":{"_id":9}}}],"ordered":false}"#,
    r#"{"update":"c","updates":[{"q":{"_id":1},"u":{"$nonsense":{"k":2}}}],"ordered":false}"#,
    // The second makes room for the third, and the first fails before there is any.
    r#"{"update":"c","updates":[{"q":{"_id":4},"u":{"$set":{"k":5}}},{"q":{"_id":5},"u":{"$set":{"k":500}}},{"q":{"_id":6},"u":{"$set":{"k":5}}}],"ordered":false}"#,
    r#"{"delete":"c","deletes":[{"q":{"_id":1},"limit":1},{"q":{"$nonsense":1},"limit":1},{"q":{"k":{"$gte":20}},"limit":0},{"q":{"a":{"$in":5}},"limit":0}],"ordered":false}"#,
    r#"{"delete":"c","deletes":[{"q":{"$nonsense":1},"limit":1}],"ordered":false}"#,
    r#"{"insert":"c","documents":[],"ordered":false}"#,
    r#"{"update":"c","updates":[5],"ordered":false}"#,
    r#"{"delete":"c","deletes":[{"q":{},"limit":2}],"ordered":false}"#,
];

async fn fill(set: &ReplicaSet, database: &str) -> Result<()> {
    let users = set.client().database(database);
    users
        .run_command(doc! { "create": "c", "validator": { "$or": [{ "k": { "$gte": 0 } }, { "k": null }] } })
        .await?;
    let unique = doc! { "key": { "k": 1 }, "name": "k", "unique": true, "sparse": true };
    users
        .run_command(doc! { "createIndexes": "c", "indexes": [unique] })
        .await?;
    let documents = (1..=3).map(|id| doc! { "_id": id, "k": id });
    users.collection::<Document>("c").insert_many(documents).await?;
    Ok(())
}

/// Returns every document, as text.
async fn contents(s1: &Coordinator) -> Result<String> {
    Ok(s1.reply(r#"{"find":"c","sort":{"_id":1}}"#).await?["cursor"]["firstBatch"].to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_and_data_are_those_of_mongodb() -> Result<()> {
    let set = ReplicaSet::start(1).await?;
    let (ours, theirs) = ("app_ours", "app_other");
    let s1 = Coordinator::start(&set, ours).await?;
    let direct = Coordinator::start(&set, theirs).await?;
    fill(&set, ours).await?;
    fill(&set, theirs).await?;
    for command in COMMANDS {
        let json: Value = serde_json::from_str(command)?;
        let document = Document::try_from(json.as_object().context("an object")?.clone())?;
        let expected = set.client().database(theirs).run_command(document).await;
        let got = s1.send(new_id(), command).await;
        match (expected, got) {
            (Ok(expected), Ok(got)) => {
                let kept = ["n", "nModified", "upserted", "writeErrors", "ok"];
                let fields = expected
                    .into_iter()
                    .filter(|(field, _)| kept.contains(&field.as_str()));
                let expected: Document = fields.collect();
                let expected = Bson::Document(expected).into_canonical_extjson();
                let got: Value = serde_json::from_str(&got.result.as_str().replace(ours, theirs))?;
                assert_eq!(got, expected, "{command}");
            }
            (Err(_), Err(error)) => assert_eq!(error.code, ErrorCode::Mongo, "{command}"),
            (expected, got) => anyhow::bail!("{command}: MongoDB {expected:?}, here {got:?}"),
        }
        assert_eq!(contents(&s1).await?, contents(&direct).await?, "{command}");
    }
    Ok(())
}

const CLASH: &str = r#"{"insert":"c","documents":[{"_id":50},{"_id":1},{"k":51},{"_id":2}],"ordered":false}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_says_the_same() -> Result<()> {
    let set = ReplicaSet::start(1).await?;
    let s1 = Coordinator::start(&set, "app_repeat").await?;
    fill(&set, "app_repeat").await?;
    let id = new_id();
    let first = s1.send(id, CLASH).await?;
    let reply: Value = serde_json::from_str(first.result.as_str())?;
    assert_eq!(reply["n"]["$numberInt"], "2");
    let places = |field: &str| -> Vec<Value> {
        let entries = reply[field].as_array().expect("a list");
        entries
            .iter()
            .map(|entry| entry["index"]["$numberInt"].clone())
            .collect()
    };
    assert_eq!(places("writeErrors"), ["1", "3"]);
    assert_eq!(places("insertedIds"), ["2"]);
    // The document that it collides with is gone, which must make no difference.
    s1.reply(r#"{"delete":"c","deletes":[{"q":{"_id":1},"limit":1}]}"#)
        .await?;
    let before = contents(&s1).await?;
    let s2 = Coordinator::start(&set, "app_repeat").await?;
    for coordinator in [&s1, &s2] {
        let Ok(again) = coordinator.send(id, CLASH).await else {
            // The first one has been replaced.
            continue;
        };
        assert!(again.replayed);
        assert_eq!(again.result.as_str(), first.result.as_str());
    }
    assert_eq!(s2.send(id, CLASH).await?.result.as_str(), first.result.as_str());
    assert_eq!(contents(&s2).await?, before);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn other_commands_of_the_batch_are_executed_in_their_order() -> Result<()> {
    let set = ReplicaSet::start(1).await?;
    let s1 = Coordinator::start(&set, "app_batch").await?;
    fill(&set, "app_batch").await?;
    let answers = s1
        .send_together(&[
            r#"{"insert":"c","documents":[{"_id":60}]}"#,
            r#"{"insert":"c","documents":[{"_id":60},{"_id":61}],"ordered":false}"#,
            r#"{"insert":"c","documents":[{"_id":61}]}"#,
            r#"{"delete":"c","deletes":[{"q":{"_id":60},"limit":1}]}"#,
            r#"{"insert":"c","documents":[{"_id":60},{"_id":1},{"_id":62},{"_id":61}],"ordered":false}"#,
            r#"{"count":"c"}"#,
        ])
        .await?;
    let told: Vec<Value> = answers
        .iter()
        .map(|answer| match answer {
            Ok(result) => {
                let reply: Value = serde_json::from_str(result.result.as_str()).expect("JSON");
                let failed = reply["writeErrors"].as_array().into_iter().flatten();
                let failed = failed.map(|error| error["index"]["$numberInt"].clone());
                json!([reply["n"]["$numberInt"], failed.collect::<Vec<_>>()])
            }
            Err(error) => json!(error.code.as_str()),
        })
        .collect();
    let expected = json!([
        ["1", []],
        ["1", ["0"]],
        "mongo",
        ["1", []],
        ["2", ["1", "3"]],
        ["6", []]
    ]);
    assert_eq!(Value::Array(told), expected);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_refuses_it_by_name() -> Result<()> {
    let text = r#"{"transaction":[{"find":"c"},{"insert":"c","documents":[{}],"ordered":false}]}"#;
    let error = parse(text).expect_err("it is refused");
    assert_eq!(error.code, ErrorCode::CommandNotAllowed);
    assert!(
        error.message.starts_with("transaction[1].ordered: "),
        "{}",
        error.message
    );
    assert!(parse(&text.replace("false", "true")).is_ok());
    Ok(())
}

/// A command of which very many statements fail goes on in batches of its own, and others have
/// every other batch.
#[tokio::test(flavor = "multi_thread")]
async fn very_many_failures_do_not_starve_others() -> Result<()> {
    const FAILING: usize = 60;
    let set = ReplicaSet::start(1).await?;
    let mut settings = Settings::default();
    // Each batch finds out about one statement.
    settings.batch_time = std::time::Duration::ZERO;
    let s1 = Coordinator::start_with(&set, "app_many", settings).await?;
    fill(&set, "app_many").await?;
    let documents: Vec<String> = (0..2 * FAILING)
        .map(|place| {
            if place % 2 == 0 {
                r#"{"_id":1}"#.to_owned()
            } else {
                format!(r#"{{"_id":{}}}"#, 1_000 + place)
            }
        })
        .collect();
    let many = format!(
        r#"{{"insert":"c","documents":[{}],"ordered":false}}"#,
        documents.join(",")
    );
    let submit =
        |source: SourceId, text: &str| s1.pipeline.submit(source, new_id(), parse(text)?, in_a_while());
    let mut waiting = submit(SourceId::new(), &many)?;
    let bystander = SourceId::new();
    let mut meanwhile = 0;
    let answer = loop {
        let other = submit(
            bystander,
            r#"{"update":"other","updates":[{"q":{"_id":1},"u":{"$inc":{"n":1}},"upsert":true}]}"#,
        )?;
        other.await??;
        match waiting.try_recv() {
            Ok(answer) => break answer?,
            Err(_) => meanwhile += 1,
        }
    };
    let reply: Value = serde_json::from_str(answer.result.as_str())?;
    assert_eq!(reply["n"]["$numberInt"], FAILING.to_string());
    assert_eq!(reply["writeErrors"].as_array().map(Vec::len), Some(FAILING));
    ensure!(
        meanwhile >= FAILING / 2,
        "only {meanwhile} commands of another client were executed meanwhile"
    );
    Ok(())
}
