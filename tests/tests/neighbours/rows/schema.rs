//! Commands on collections and indexes that MongoDB refuses.

use anyhow::Result;
use bson::doc;

use crate::caller::{Caller, Spot};
use crate::row::Expected::{self, Mongo};
use crate::row::Row;

pub(crate) fn rows() -> Vec<Row> {
    let row = |name: &str, command: &str, expected: Expected| {
        Row::new(name, vec![(command, expected); 2])
            .document(doc! { "_id": 1, "a": 1, "text": "word" })
            .document(doc! { "_id": 2, "a": 1, "text": "word" })
    };
    let index = r#"{"createIndexes":"BAD","indexes":[{"key":{"a":1},"name":"a"}]}"#;
    vec![
        row(
            "unique_index_over_duplicates",
            r#"{"createIndexes":"BAD","indexes":[{"key":{"a":1},"name":"a","unique":true}]}"#,
            Mongo(11000, "DuplicateKey"),
        ),
        row(
            "index_of_another_kind_exists",
            r#"{"createIndexes":"BAD","indexes":[{"key":{"a":1},"name":"a","sparse":true}]}"#,
            Mongo(86, "IndexKeySpecsConflict"),
        )
        .before(index),
        row(
            "index_of_another_name_exists",
            r#"{"createIndexes":"BAD","indexes":[{"key":{"a":1},"name":"b"}]}"#,
            Mongo(85, "IndexOptionsConflict"),
        )
        .before(index),
        row(
            "geo_index_over_numbers",
            r#"{"createIndexes":"BAD","indexes":[{"key":{"a":"2dsphere"},"name":"geo"}]}"#,
            Mongo(16755, "Location16755"),
        ),
        row(
            "index_on_a_view",
            r#"{"createIndexes":"BAD_view","indexes":[{"key":{"a":1},"name":"a"}]}"#,
            Mongo(166, "CommandNotSupportedOnView"),
        )
        .before(r#"{"create":"BAD_view","viewOn":"BAD","pipeline":[]}"#),
        row(
            "the_collection_exists_as_a_view",
            r#"{"create":"BAD","viewOn":"BAD_2","pipeline":[]}"#,
            Mongo(48, "NamespaceExists"),
        ),
        row(
            "the_collection_exists_otherwise",
            r#"{"create":"BAD","collation":{"locale":"de"}}"#,
            Mongo(48, "NamespaceExists"),
        ),
        row(
            "a_view_on_itself",
            r#"{"create":"BAD_self","viewOn":"BAD_self","pipeline":[]}"#,
            Mongo(5, "GraphContainsCycle"),
        ),
        row(
            "drop_of_an_index_that_is_not_there",
            r#"{"dropIndexes":"BAD","index":"b"}"#,
            Mongo(27, "IndexNotFound"),
        ),
        Row::program("collections_come_and_go", |spot| Box::pin(come_and_go(spot))),
    ]
}

/// Sends schema commands, which are not refused here. Each of these delays the others for a moment.
async fn come_and_go(spot: Spot) -> Result<()> {
    let mut caller = Caller::open(&spot.url).await?;
    for _ in 0..5 {
        for command in [
            r#"{"create":"BAD_made"}"#,
            r#"{"insert":"BAD_made","documents":[{"a":1}]}"#,
            r#"{"createIndexes":"BAD_made","indexes":[{"key":{"a":1},"name":"a"}]}"#,
            r#"{"dropIndexes":"BAD_made","index":"a"}"#,
            r#"{"drop":"BAD_made"}"#,
        ] {
            caller.reply(&spot.own(command)).await?;
        }
    }
    Ok(())
}
