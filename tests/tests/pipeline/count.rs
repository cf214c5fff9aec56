//! `count` has the same answer as MongoDB's to the same command.

use anyhow::{Result, ensure};
use bellwether_testkit::ReplicaSet;
use bson::{Bson, Document, doc};

use crate::coordinator::{Coordinator, new_id};

/// Documents, a view, and indexes to count by.
async fn fill(set: &ReplicaSet, database: &str) -> Result<()> {
    let users = set.client().database(database);
    let names = ["e", "é", "E"];
    let documents = (0..20_i32).zip(names.iter().cycle()).map(|(number, name)| {
        let loc = vec![f64::from(number), f64::from(number % 5)];
        let text = format!("Word{number}");
        doc! { "_id": number, "a": number % 4, "text": text, "name": *name, "loc": loc }
    });
    users.collection::<Document>("c").insert_many(documents).await?;
    let geo =
        [[0.0, 0.0], [1.0, 1.0], [2.0, 2.0], [-3.0, 4.0], [170.0, 80.0]].map(|point| doc! { "loc": point });
    users.collection::<Document>("geo").insert_many(geo).await?;
    for (collection, indexes) in [
        (
            "geo",
            vec![doc! { "key": { "loc": "2dsphere" }, "name": "sphere" }],
        ),
        (
            "c",
            vec![
                doc! { "key": { "a": 1 }, "name": "a_1" },
                doc! { "key": { "text": "text" }, "name": "text" },
                doc! { "key": { "loc": "2d" }, "name": "flat" },
                doc! { "key": { "b": 1 }, "name": "b_sparse", "sparse": true },
            ],
        ),
    ] {
        users
            .run_command(doc! { "createIndexes": collection, "indexes": indexes })
            .await?;
    }
    let view = vec![doc! { "$match": { "a": { "$gt": 1 } } }];
    users
        .run_command(doc! { "create": "view", "viewOn": "c", "pipeline": view })
        .await?;
    users.run_command(doc! { "create": "empty" }).await?;
    Ok(())
}

/// Commands without their outermost braces.
const COUNTS: &[&str] = &[
    r#""count":"c""#,
    r#""count":"empty""#,
    r#""count":"missing""#,
    r#""count":"missing","query":{"loc":{"$geoWithin":{"$centerSphere":[[0,0],1]}}}"#,
    r#""count":"view""#,
    r#""count":"c","query":{}"#,
    r#""count":"c","query":null"#,
    r#""count":"c","query":{"$undefined":true}"#,
    r#""count":"c","query":{"a":1}"#,
    r#""count":"c","query":{"a":null}"#,
    r#""count":"c","query":{"b":null}"#,
    r#""count":"c","query":{"$and":[{"a":{"$in":[1,2]}},{"_id":{"$lt":10}}]}"#,
    r#""count":"c","query":{"$expr":{"$eq":["$a",{"$mod":["$_id",4]}]}}"#,
    r#""count":"c","query":{"$text":{"$search":"word3 word4"}}"#,
    r#""count":"c","query":{"$text":{"$search":"word3"},"a":3}"#,
    r#""count":"c","query":{"text":{"$regex":"^word1","$options":"i"}}"#,
    r#""count":"c","query":{"$jsonSchema":{"required":["a"]}}"#,
    r#""count":"c","query":{"$comment":"x","$nor":[{"a":1}]}"#,
    // By distance, on a plane and on a sphere.
    r#""count":"geo","query":{"loc":{"$nearSphere":[0,0]}}"#,
    r#""count":"geo","query":{"loc":{"$nearSphere":[0,0],"$maxDistance":0.05}}"#,
    r#""count":"geo","query":{"loc":{"$near":{"$geometry":{"type":"Point","coordinates":[0,0]},"$maxDistance":400000}}}"#,
    r#""count":"geo","query":{"$and":[{"loc":{"$nearSphere":[0,0]}},{"_id":{"$exists":true}}]}"#,
    r#""count":"geo","query":{"loc":{"$nearSphere":[0,0]}},"limit":2"#,
    r#""count":"geo","query":{"loc":{"$nearSphere":[0,0]}},"limit":-2.0,"skip":1.9"#,
    r#""count":"geo","query":{"loc":{"$nearSphere":[0,0]}},"skip":4"#,
    r#""count":"geo","query":{"loc":{"$nearSphere":[0,0]}},"skip":40"#,
    r#""count":"geo","query":{"loc":{"$nearSphere":[0,0]}},"hint":"sphere""#,
    r#""count":"geo","query":{"loc":{"$geoWithin":{"$centerSphere":[[0,0],0.1]}}}"#,
    r#""count":"geo","query":{"loc":{"$geoIntersects":{"$geometry":{"type":"Point","coordinates":[1,1]}}}}"#,
    r#""count":"geo","query":{"$or":[{"loc":{"$nearSphere":[0,0]}},{"a":1}]}"#,
    r#""count":"geo","query":{"other":{"$nearSphere":[0,0]}}"#,
    r#""count":"missing","query":{"loc":{"$nearSphere":[0,0]}}"#,
    r#""count":"view","query":{"loc":{"$near":[0,0]}}"#,
    r#""count":"c","query":{"loc":{"$near":[3,3]}}"#,
    r#""count":"c","query":{"loc":{"$near":[3,3],"$maxDistance":2}}"#,
    r#""count":"c","query":{"loc":{"$near":[3,3]},"a":2}"#,
    // Limits and skips.
    r#""count":"c","limit":0"#,
    r#""count":"c","limit":0.0"#,
    r#""count":"c","limit":-0.0"#,
    r#""count":"c","limit":0.5"#,
    r#""count":"c","limit":3"#,
    r#""count":"c","limit":-2"#,
    r#""count":"c","limit":-2.0"#,
    r#""count":"c","limit":2.9"#,
    r#""count":"c","limit":-2.9"#,
    r#""count":"c","limit":1e300"#,
    r#""count":"c","limit":null"#,
    r#""count":"c","limit":{"$undefined":true}"#,
    r#""count":"c","limit":{"$numberLong":"9223372036854775807"}"#,
    r#""count":"c","limit":{"$numberLong":"-9223372036854775807"}"#,
    r#""count":"c","limit":{"$numberLong":"-9223372036854775808"}"#,
    r#""count":"c","limit":{"$numberDouble":"NaN"}"#,
    r#""count":"c","limit":{"$numberDouble":"Infinity"}"#,
    r#""count":"c","limit":{"$numberDouble":"-Infinity"}"#,
    r#""count":"c","limit":{"$numberDecimal":"2.5"}"#,
    r#""count":"c","limit":{"$numberDecimal":"-3.5"}"#,
    r#""count":"c","limit":{"$numberDecimal":"1E+3"}"#,
    r#""count":"c","limit":{"$numberDecimal":"3.0"}"#,
    r#""count":"c","limit":{"$numberDecimal":"9223372036854775808"}"#,
    r#""count":"c","limit":-9223372036854775809"#,
    r#""count":"c","limit":9223372036854774784.0"#,
    r#""count":"c","limit":{"$numberDecimal":"NaN"}"#,
    r#""count":"c","limit":"3""#,
    r#""count":"c","limit":true"#,
    r#""count":"c","limit":{}"#,
    r#""count":"c","skip":0"#,
    r#""count":"c","skip":2"#,
    r#""count":"c","skip":2.5"#,
    r#""count":"c","skip":-0.5"#,
    r#""count":"c","skip":1e300"#,
    r#""count":"c","skip":100"#,
    r#""count":"c","skip":null"#,
    r#""count":"c","skip":-1"#,
    r#""count":"c","skip":-1.5"#,
    r#""count":"c","skip":"2""#,
    r#""count":"c","skip":false"#,
    r#""count":"c","skip":{"$numberDecimal":"3.5"}"#,
    r#""count":"c","skip":{"$numberDecimal":"4.5"}"#,
    r#""count":"c","skip":15,"limit":3"#,
    r#""count":"c","skip":18,"limit":3"#,
    r#""count":"c","query":{"a":1},"skip":2,"limit":-1"#,
    r#""count":"empty","skip":1,"limit":1"#,
    r#""count":"view","skip":3,"limit":4"#,
    // Hints and collations.
    r#""count":"c","hint":"a_1""#,
    r#""count":"c","hint":{"a":1},"query":{"a":2}"#,
    r#""count":"c","hint":{"$natural":1}"#,
    r#""count":"c","hint":{"$natural":-1},"query":{"a":2}"#,
    r#""count":"c","hint":"b_sparse""#,
    r#""count":"c","hint":"b_sparse","query":{}"#,
    r#""count":"c","hint":"nothing""#,
    r#""count":"c","hint":{"nothing":1}"#,
    r#""count":"c","hint":null"#,
    r#""count":"c","hint":{}"#,
    r#""count":"c","hint":1"#,
    r#""count":"missing","hint":"a_1""#,
    r#""count":"view","hint":{"a":1}"#,
    r#""count":"c","query":{"name":"e"}"#,
    r#""count":"c","query":{"name":"e"},"collation":{"locale":"en","strength":1}"#,
    r#""count":"c","query":{"name":"e"},"collation":{"locale":"en","strength":2}"#,
    r#""count":"c","query":{"name":"e"},"collation":{}"#,
    r#""count":"c","query":{"name":"e"},"collation":null"#,
    r#""count":"c","query":{"name":"e"},"collation":{"locale":"nowhere"}"#,
    r#""count":"view","query":{"name":"e"},"collation":{"locale":"en","strength":1}"#,
    // Values that are no query.
    r#""count":"c","query":"x""#,
    r#""count":"c","query":[]"#,
    r#""count":"c","query":1"#,
    r#""count":"c","query":{"$nonsense":1}"#,
    r#""count":"c","query":{"a":{"$nonsense":1}}"#,
    r#""count":"c","query":{"a":{"$in":1}}"#,
];

#[tokio::test(flavor = "multi_thread")]
async fn a_count_is_what_mongodb_counts() -> Result<()> {
    let set = ReplicaSet::start(1).await?;
    let database = "app_count";
    let s1 = Coordinator::start(&set, database).await?;
    fill(&set, database).await?;
    let users = set.client().database(database);
    let mut different = Vec::new();
    for count in COUNTS {
        let text = format!("{{{count}}}");
        let json: serde_json::Value = serde_json::from_str(&text)?;
        let Bson::Document(command) = Bson::try_from(json)? else {
            anyhow::bail!("{text} is no document");
        };
        let theirs = users.run_command(command).await;
        let theirs = theirs
            .map(|reply| reply.get("n").cloned())
            .map_err(|error| error.to_string());
        let alone = s1
            .send(new_id(), &text)
            .await
            .map(|result| result.result.as_str().to_owned());
        // With a write in the same list, the read is executed in a transaction.
        let listed = format!(r#"{{"transaction":[{{"insert":"other","documents":[{{}}]}},{text}]}}"#);
        let listed = s1
            .send(new_id(), &listed)
            .await
            .map(|result| result.result.as_str().to_owned());
        let is_same = match &theirs {
            Ok(Some(n)) => {
                let reply = format!(r#"{{"n":{{"$numberInt":"{n}"}},"ok":{{"$numberDouble":"1.0"}}}}"#);
                alone.as_ref() == Ok(&reply) && listed.as_ref().is_ok_and(|listed| listed.contains(&reply))
            }
            _ => alone.is_err() && listed.is_err(),
        };
        if !is_same {
            different.push(format!(
                "{text}: MongoDB {theirs:?}, here {alone:?}, in a list {listed:?}"
            ));
        }
    }
    ensure!(different.is_empty(), "{}", different.join("\n"));
    Ok(())
}
