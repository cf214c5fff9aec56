//! Errors of MongoDB reach the client with everything about its own command, and with nothing else.

use anyhow::{Context, Result};
use bellwether_protocol::{ErrorCode, ErrorFrame, MongoErrorDetails, Outcome, RawJson, ServerFrame};
use bellwether_testkit::ReplicaSet;
use serde_json::{Value, json};

use crate::coordinator::{Coordinator, new_id};

#[tokio::test(flavor = "multi_thread")]
async fn mongodbs_details_are_kept() -> Result<()> {
    let set = ReplicaSet::start(1).await?;
    let s1 = Coordinator::start(&set, "app_errors").await?;
    s1.reply(r#"{"create":"c","validator":{"$jsonSchema":{"required":["name"]}}}"#)
        .await?;
    let index = r#"{"createIndexes":"c","indexes":[{"key":{"a":1,"b":-1},"name":"ab","unique":true}]}"#;
    s1.reply(index).await?;
    s1.reply(r#"{"insert":"c","documents":[{"_id":1,"name":"n","a":1,"b":2}]}"#)
        .await?;

    for invalid in [
        r#"{"insert":"c","documents":[{"_id":7,"name":"n"},{"_id":8}]}"#,
        r#"{"update":"c","updates":[{"q":{"_id":0},"u":{"$set":{"a":3}}},{"q":{"_id":1},"u":{"$unset":{"name":1}}}]}"#,
        r#"{"findAndModify":"c","query":{"_id":1},"update":{"$unset":{"name":1}}}"#,
    ] {
        let (error, details) = details(s1.error(invalid).await)?;
        let why = json(details.err_info.as_ref())?;
        assert_eq!(
            why["details"]["schemaRulesNotSatisfied"][0]["missingProperties"],
            json!(["name"]),
            "{invalid}"
        );
        same_in_write_errors(&error, &details, 121)?;
    }

    for taken in [
        r#"{"insert":"c","documents":[{"_id":7,"name":"n"},{"_id":8,"name":"n","a":1,"b":2}]}"#,
        r#"{"update":"c","updates":[{"q":{"_id":9},"u":{"$set":{"name":"n","a":1,"b":2}},"upsert":true}]}"#,
        r#"{"findAndModify":"c","query":{"_id":9},"update":{"name":"n","a":1,"b":2},"upsert":true}"#,
        r#"{"transaction":[{"find":"c"},{"insert":"c","documents":[{"_id":9,"name":"n","a":1,"b":2}]}]}"#,
    ] {
        let (error, details) = details(s1.error(taken).await)?;
        let number = |value: i32| json!({ "$numberInt": value.to_string() });
        assert_eq!(
            json(details.key_pattern.as_ref())?,
            json!({ "a": number(1), "b": number(-1) }),
            "{taken}"
        );
        assert_eq!(
            json(details.key_value.as_ref())?,
            json!({ "a": number(1), "b": number(2) }),
            "{taken}"
        );
        same_in_write_errors(&error, &details, 11000)?;
    }
    Ok(())
}

/// The statements of several clients are sent to MongoDB as one command, which counts them all.
#[tokio::test(flavor = "multi_thread")]
async fn merged_commands_have_errors_of_their_own() -> Result<()> {
    let set = ReplicaSet::start(1).await?;
    let s1 = Coordinator::start(&set, "app_merged_errors").await?;
    s1.reply(r#"{"insert":"c","documents":[{"_id":5}]}"#).await?;
    let inserts: Vec<String> = (0..10)
        .map(|id| {
            format!(
                r#"{{"insert":"c","documents":[{{"_id":{}}},{{"_id":{id}}}]}}"#,
                100 + id
            )
        })
        .collect();
    let mut errors = 0;
    for (id, answer) in s1.send_together(&inserts).await?.into_iter().enumerate() {
        if let Err(error) = answer {
            let (error, details) = details(error)?;
            assert_eq!(
                (id, error.mongo.as_ref().and_then(|mongo| mongo.index)),
                (5, Some(1))
            );
            assert_eq!(
                json(details.key_value.as_ref())?,
                json!({ "_id": { "$numberInt": "5" } })
            );
            same_in_write_errors(&error, &details, 11000)?;
            errors += 1;
        }
    }
    assert_eq!(errors, 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_mongodb_refuses_are_the_clients_fault() -> Result<()> {
    let set = ReplicaSet::start(1).await?;
    let s1 = Coordinator::start(&set, "app_names").await?;
    let long = "x".repeat(300);
    for name in [
        ".x",
        ".",
        "..",
        "a.",
        "a..b",
        "a.system.b",
        "a/b",
        "a b",
        "\\u0001",
        "ä😀",
        &long,
    ] {
        for command in [
            format!(r#"{{"create":"{name}"}}"#),
            format!(r#"{{"create":"view","viewOn":"{name}","pipeline":[]}}"#),
            format!(r#"{{"createIndexes":"{name}","indexes":[{{"key":{{"a":1}},"name":"a"}}]}}"#),
            format!(r#"{{"listIndexes":"{name}"}}"#),
            format!(r#"{{"dropIndexes":"{name}","index":"a"}}"#),
            format!(r#"{{"drop":"{name}"}}"#),
            r#"{"drop":"view"}"#.to_owned(),
            format!(r#"{{"insert":"{name}","documents":[{{"a":1}}]}}"#),
            format!(r#"{{"find":"{name}"}}"#),
            format!(
                r#"{{"aggregate":"c","pipeline":[{{"$lookup":{{"from":"{name}","as":"x","pipeline":[]}}}}]}}"#
            ),
        ] {
            let Err(error) = s1.send(new_id(), &command).await else {
                continue;
            };
            assert!(
                [ErrorCode::BadCommand, ErrorCode::Mongo].contains(&error.code),
                "{command:.80}: {error:?}"
            );
            assert_eq!(error.outcome, Outcome::NotExecuted, "{command:.80}: {error:?}");
        }
        if name.starts_with('.') {
            let error = s1.error(&format!(r#"{{"drop":"{name}"}}"#)).await;
            assert_eq!(error.code, ErrorCode::BadCommand, "{error:?}");
        }
    }
    Ok(())
}

/// Returns the details, as they come through a frame.
fn details(error: ErrorFrame) -> Result<(ErrorFrame, MongoErrorDetails)> {
    let text = ServerFrame::Error(error).to_json();
    let ServerFrame::Error(error) = ServerFrame::parse(&text)? else {
        anyhow::bail!("{text}");
    };
    let mongo = error.mongo.as_ref().with_context(|| format!("{error:?}"))?;
    let details = mongo.details.as_deref().cloned();
    let details = details.with_context(|| format!("{error:?}"))?;
    Ok((error, details))
}

/// Checks that an error of one statement is in `writeErrors`, too.
fn same_in_write_errors(error: &ErrorFrame, details: &MongoErrorDetails, code: i32) -> Result<()> {
    let mongo = error.mongo.as_ref().context("MongoDB's own error")?;
    assert_eq!(mongo.code, code);
    let Some(index) = mongo.index else {
        assert_eq!(details.write_errors, None);
        return Ok(());
    };
    let write_errors = json(details.write_errors.as_ref())?;
    let first = &write_errors[0];
    assert_eq!(first["index"], json!({ "$numberInt": index.to_string() }));
    assert_eq!(first["code"], json!({ "$numberInt": code.to_string() }));
    for (field, detail) in [
        ("errInfo", &details.err_info),
        ("keyPattern", &details.key_pattern),
        ("keyValue", &details.key_value),
    ] {
        let detail = detail
            .as_ref()
            .map_or(Ok(Value::Null), |detail| json(Some(detail)))?;
        assert_eq!(first[field], detail);
    }
    Ok(())
}

fn json(text: Option<&RawJson>) -> Result<Value> {
    Ok(serde_json::from_str(text.context("a detail")?.as_str())?)
}
