//! Every option of the allow-list reaches MongoDB and has its documented effect there; all others
//! are refused before.

use anyhow::{Context, Result};
use bellwether_protocol::{ErrorCode, Outcome};
use bellwether_testkit::ReplicaSet;
use serde_json::Value;

use crate::coordinator::{Coordinator, parse};

#[tokio::test(flavor = "multi_thread")]
async fn the_options_do_what_they_say() -> Result<()> {
    let set = ReplicaSet::start(1).await?;
    let s1 = Coordinator::start(&set, "app_options").await?;
    s1.reply(r#"{"createIndexes":"c","indexes":[{"key":{"n":1},"name":"by_n"},{"key":{"text":"text"},"name":"words"}]}"#)
        .await?;
    s1.reply(r#"{"insert":"c","documents":[{"_id":1,"n":1,"text":"a b","list":[1,5,9]},{"_id":2,"n":2,"text":"B c","list":[]},{"_id":3,"n":3,"text":"é","list":[7]}],"ordered":true,"comment":"x","maxTimeMS":5000}"#)
        .await?;

    let finds = [
        (
            r#""filter":{"n":{"$gt":1}},"sort":{"n":-1},"skip":1,"limit":1,"hint":"by_n""#,
            r#"[2]"#,
        ),
        (
            r#""filter":{"text":"b C"},"collation":{"locale":"en","strength":2}"#,
            "[2]",
        ),
        (
            r#""filter":{"$expr":{"$eq":["$n","$$wanted"]}},"let":{"wanted":3}"#,
            "[3]",
        ),
        (
            r#""hint":{"n":1},"min":{"n":2},"max":{"n":3},"sort":{"n":1}"#,
            "[2]",
        ),
        (
            r#""filter":{"$text":{"$search":"b"}},"sort":{"_id":1},"allowDiskUse":true"#,
            "[1,2]",
        ),
        (
            r#""filter":{"list":{"$elemMatch":{"$gt":4,"$lt":6}}},"showRecordId":false,"returnKey":false"#,
            "[1]",
        ),
    ];
    for (options, expected) in finds {
        let found = s1.reply(&format!(r#"{{"find":"c",{options}}}"#)).await?;
        assert_eq!(ids(&found), expected, "{options}");
        // The same among writes, where it runs in the transaction.
        let listed = s1
            .reply(&format!(
                r#"{{"transaction":[{{"insert":"d","documents":[{{}}]}},{{"find":"c",{options}}}]}}"#
            ))
            .await?;
        assert_eq!(ids(&listed["results"][1]), expected, "{options}");
    }
    let keys = s1
        .reply(r#"{"find":"c","hint":"by_n","returnKey":true,"sort":{"n":1},"limit":1}"#)
        .await?;
    assert_eq!(
        keys["cursor"]["firstBatch"][0].to_string(),
        r#"{"n":{"$numberInt":"1"}}"#
    );

    for (options, n) in [
        (r#""query":{"n":{"$gte":2}},"hint":"by_n""#, "2"),
        (
            r#""query":{"text":"B C"},"collation":{"locale":"en","strength":2}"#,
            "1",
        ),
        (r#""skip":1,"limit":1"#, "1"),
    ] {
        let counted = s1.reply(&format!(r#"{{"count":"c",{options}}}"#)).await?;
        assert_eq!(counted["n"]["$numberInt"], n, "{options}");
    }
    let distinct = r#"{"distinct":"c","key":"n","query":{"text":"b c"},"collation":{"locale":"en","strength":2},"comment":1}"#;
    assert_eq!(
        s1.reply(distinct).await?["values"].to_string(),
        r#"[{"$numberInt":"2"}]"#
    );
    let aggregated = s1
        .reply(r#"{"aggregate":"c","pipeline":[{"$match":{"n":{"$gte":1}}},{"$lookup":{"from":"c","let":{"x":"$n"},"pipeline":[{"$match":{"$expr":{"$lt":["$n","$$x"]}}}],"as":"less"}},{"$set":{"_id":{"$add":["$_id","$$ten"]},"n":{"$size":"$less"}}},{"$sort":{"n":1}}],"cursor":{},"allowDiskUse":true,"hint":"by_n","let":{"ten":10},"collation":{"locale":"en"}}"#)
        .await?;
    assert_eq!(ids(&aggregated), "[11,12,13]");

    for (update, expected) in [
        (
            r#"{"q":{"_id":1},"u":{"$set":{"list.$[big]":0}},"arrayFilters":[{"big":{"$gt":4}}]}"#,
            r#"{"n":1,"nModified":1}"#,
        ),
        (
            r#"{"q":{"text":"b C"},"u":{"$inc":{"n":10}},"multi":true,"collation":{"locale":"en","strength":2},"hint":"by_n"}"#,
            r#"{"n":1,"nModified":1}"#,
        ),
        (
            r#"{"q":{"$expr":{"$eq":["$_id","$$three"]}},"u":[{"$set":{"n":"$$three"}},{"$unset":"list"}]}"#,
            r#"{"n":1,"nModified":1}"#,
        ),
        (
            r#"{"q":{"_id":9},"u":{"n":9},"upsert":true}"#,
            r#"{"n":1,"nModified":0}"#,
        ),
    ] {
        let updated = s1
            .reply(&format!(
                r#"{{"update":"c","updates":[{update}],"let":{{"three":3}},"ordered":false}}"#
            ))
            .await?;
        assert_eq!(
            format!(
                r#"{{"n":{},"nModified":{}}}"#,
                int(&updated["n"]),
                int(&updated["nModified"])
            ),
            expected,
            "{update}"
        );
    }
    let modified = s1
        .reply(r#"{"findAndModify":"c","query":{"n":{"$lt":50}},"sort":{"n":-1},"update":[{"$set":{"n":"$$k"}}],"let":{"k":99},"new":true,"fields":{"n":1},"hint":"by_n","collation":{"locale":"simple"}}"#)
        .await?;
    assert_eq!(
        modified["value"].to_string(),
        r#"{"_id":{"$numberInt":"2"},"n":{"$numberInt":"99"}}"#
    );
    let modified = s1
        .reply(r#"{"findAndModify":"c","query":{"_id":1},"update":{"$set":{"list.$[zero]":4}},"arrayFilters":[{"zero":0}],"upsert":false}"#)
        .await?;
    assert_eq!(modified["lastErrorObject"]["updatedExisting"], true);
    let deleted = s1
        .reply(r#"{"delete":"c","deletes":[{"q":{"$expr":{"$gt":["$n","$$k"]}},"limit":0,"hint":"by_n"},{"q":{"text":"É"},"limit":1,"collation":{"locale":"en","strength":1}}],"let":{"k":50},"ordered":true}"#)
        .await?;
    assert_eq!(int(&deleted["n"]), "2");
    let left = s1.reply(r#"{"find":"c","sort":{"_id":1}}"#).await?;
    assert_eq!(ids(&left), "[1,9]");
    Ok(())
}

/// A list has its effect as a whole or not at all.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_atomic() -> Result<()> {
    let set = ReplicaSet::start(1).await?;
    let s1 = Coordinator::start(&set, "app_list").await?;
    s1.reply(r#"{"insert":"c","documents":[{"_id":1,"n":0}]}"#)
        .await?;
    let done = s1
        .reply(r#"{"transaction":[{"insert":"c","documents":[{"_id":2}]},{"update":"c","updates":[{"q":{"_id":2},"u":{"$set":{"n":5}}}]},{"find":"c","filter":{"_id":2}},{"delete":"c","deletes":[{"q":{"_id":2},"limit":1}]},{"count":"c"}]}"#)
        .await?;
    let results = done["results"].as_array().context("the results")?;
    assert_eq!(results.len(), 5);
    assert_eq!(results[2]["cursor"]["firstBatch"][0]["n"]["$numberInt"], "5");
    assert_eq!((int(&results[3]["n"]), int(&results[4]["n"])), ("1", "1"));

    let error = s1
        .error(r#"{"transaction":[{"update":"c","updates":[{"q":{"_id":1},"u":{"$inc":{"n":1}}}]},{"insert":"c","documents":[{"_id":3},{"_id":1}]},{"insert":"c","documents":[{"_id":4}]}]}"#)
        .await;
    assert_eq!(
        (error.code, error.outcome),
        (ErrorCode::Mongo, Outcome::NotExecuted)
    );
    let mongo = error.mongo.context("MongoDB's own error")?;
    assert_eq!(
        (mongo.code, mongo.command, mongo.index),
        (11000, Some(1), Some(1))
    );
    let left = s1.reply(r#"{"find":"c"}"#).await?;
    assert_eq!(ids(&left), "[1]");
    assert_eq!(left["cursor"]["firstBatch"][0]["n"]["$numberInt"], "0");

    let refused = parse(
        r#"{"transaction":[{"insert":"c","documents":[{"_id":3}]},{"find":"c","filter":{"$where":"1"}}]}"#,
    );
    assert_eq!(
        refused.expect_err("JavaScript").code,
        ErrorCode::CommandNotAllowed
    );
    Ok(())
}

fn ids(reply: &Value) -> String {
    let batch = reply["cursor"]["firstBatch"].as_array();
    let documents = batch.map(Vec::as_slice).unwrap_or_default();
    let ids: Vec<_> = documents.iter().map(|document| int(&document["_id"])).collect();
    format!("[{}]", ids.join(","))
}

fn int(value: &Value) -> &str {
    value["$numberInt"].as_str().unwrap_or("no integer")
}
