//! Every option of the commands on collections and indexes with a value that MongoDB refuses, or
//! that changes nothing.

use bellwether_protocol::ErrorCode::{BadCommand, CommandNotAllowed};
use bson::doc;

use super::options::TYPE;
use crate::row::Expected::{Executed, Mongo, Refused};
use crate::row::{Expected, Row};

pub(crate) fn rows() -> Vec<Row> {
    let row = |name: &str, commands: Vec<(&str, Expected)>| {
        Row::new(name, commands).document(doc! { "_id": 1, "a": 1, "text": "words" })
    };
    vec![
        row("list_collections", list_collections()),
        row("list_indexes", list_indexes()),
        row("create", create()),
        row("create_indexes", create_indexes()),
        row("index", index()),
        row("drop", drop()),
        row("drop_indexes", drop_indexes()),
    ]
}

fn list_collections() -> Vec<(&'static str, Expected)> {
    vec![
        (r#"{"listCollections":"BAD"}"#, Refused(BadCommand)),
        (r#"{"listCollections":1,"filter":5}"#, TYPE),
        (
            r#"{"listCollections":1,"filter":{"$no":1}}"#,
            Mongo(2, "BadValue"),
        ),
        (r#"{"listCollections":1,"nameOnly":"yes"}"#, TYPE),
        (
            r#"{"listCollections":1,"cursor":{"batchSize":1}}"#,
            Refused(CommandNotAllowed),
        ),
        (r#"{"listCollections":1,"comment":"x"}"#, Executed),
        (r#"{"listCollections":1,"maxTimeMS":-5}"#, Refused(BadCommand)),
    ]
}

fn list_indexes() -> Vec<(&'static str, Expected)> {
    vec![
        (
            r#"{"listIndexes":"no_such_collection"}"#,
            Mongo(26, "NamespaceNotFound"),
        ),
        (
            r#"{"listIndexes":"BAD","cursor":{"batchSize":1}}"#,
            Refused(CommandNotAllowed),
        ),
        (r#"{"listIndexes":"BAD","comment":"x"}"#, Executed),
        (r#"{"listIndexes":"BAD","maxTimeMS":-5}"#, Refused(BadCommand)),
    ]
}

fn create() -> Vec<(&'static str, Expected)> {
    vec![
        (
            r#"{"create":"BAD_new","collation":{"locale":"xx-yy"}}"#,
            Mongo(2, "BadValue"),
        ),
        (r#"{"create":"BAD_new","validator":5}"#, TYPE),
        (
            r#"{"create":"BAD_new","validator":{"$no":1}}"#,
            Mongo(2, "BadValue"),
        ),
        (
            r#"{"create":"BAD_new","validationLevel":"much"}"#,
            Mongo(2, "BadValue"),
        ),
        (
            r#"{"create":"BAD_new","validationAction":"sigh"}"#,
            Mongo(2, "BadValue"),
        ),
        (r#"{"create":"BAD_new","viewOn":"BAD","pipeline":5}"#, TYPE),
        (
            r#"{"create":"BAD_new","viewOn":"BAD","pipeline":[{"$no":1}]}"#,
            Mongo(40324, "Location40324"),
        ),
        (r#"{"create":"BAD_new","viewOn":5}"#, Refused(BadCommand)),
        (
            r#"{"create":"BAD_new","pipeline":[]}"#,
            Mongo(72, "InvalidOptions"),
        ),
        (
            r#"{"create":"BAD_new","clusteredIndex":{"key":{"a":1},"unique":true}}"#,
            Mongo(197, "InvalidIndexSpecificationOption"),
        ),
        (r#"{"create":"BAD_new","expireAfterSeconds":"soon"}"#, TYPE),
        (r#"{"create":"BAD_new","changeStreamPreAndPostImages":5}"#, TYPE),
        (
            r#"{"create":"BAD_new","capped":true,"size":1000}"#,
            Refused(CommandNotAllowed),
        ),
        (r#"{"create":"BAD_new","maxTimeMS":-5}"#, Refused(BadCommand)),
        (r#"{"create":"BAD_new","comment":"x","collation":5}"#, TYPE),
    ]
}

fn create_indexes() -> Vec<(&'static str, Expected)> {
    vec![
        (r#"{"createIndexes":"BAD","indexes":5}"#, Refused(BadCommand)),
        (r#"{"createIndexes":"BAD","indexes":[]}"#, Mongo(2, "BadValue")),
        (r#"{"createIndexes":"BAD","indexes":[5]}"#, TYPE),
        (
            r#"{"createIndexes":"BAD","indexes":[{"key":{"a":1},"name":"a"}],"comment":"x"}"#,
            Executed,
        ),
        (
            r#"{"createIndexes":"BAD","indexes":[{"key":{"a":1},"name":"a"}],"maxTimeMS":-5}"#,
            Refused(BadCommand),
        ),
    ]
}

fn index() -> Vec<(&'static str, Expected)> {
    vec![
        (
            r#"{"createIndexes":"BAD","indexes":[{"key":{"a":0},"name":"x"}]}"#,
            Mongo(67, "CannotCreateIndex"),
        ),
        (
            r#"{"createIndexes":"BAD","indexes":[{"key":{"a":1},"name":5}]}"#,
            TYPE,
        ),
        (
            r#"{"createIndexes":"BAD","indexes":[{"key":{"a":1},"name":"x","unique":"yes"}]}"#,
            TYPE,
        ),
        (
            r#"{"createIndexes":"BAD","indexes":[{"key":{"a":1},"name":"x","sparse":"yes"}]}"#,
            TYPE,
        ),
        (
            r#"{"createIndexes":"BAD","indexes":[{"key":{"a":1},"name":"x","hidden":"yes"}]}"#,
            TYPE,
        ),
        (
            r#"{"createIndexes":"BAD","indexes":[{"key":{"a":1},"name":"x","collation":{"locale":"xx-yy"}}]}"#,
            Mongo(2, "BadValue"),
        ),
        (
            r#"{"createIndexes":"BAD","indexes":[{"key":{"a":1},"name":"x","expireAfterSeconds":"soon"}]}"#,
            Mongo(67, "CannotCreateIndex"),
        ),
        (
            r#"{"createIndexes":"BAD","indexes":[{"key":{"a":1},"name":"x","partialFilterExpression":5}]}"#,
            TYPE,
        ),
        (
            r#"{"createIndexes":"BAD","indexes":[{"key":{"a":1},"name":"x","wildcardProjection":{"a":1}}]}"#,
            Mongo(2, "BadValue"),
        ),
        (
            r#"{"createIndexes":"BAD","indexes":[{"key":{"text":"text"},"name":"x","weights":{"text":-1}}]}"#,
            Mongo(67, "CannotCreateIndex"),
        ),
        (
            r#"{"createIndexes":"BAD","indexes":[{"key":{"text":"text"},"name":"x","default_language":"klingon"}]}"#,
            Mongo(67, "CannotCreateIndex"),
        ),
        (
            r#"{"createIndexes":"BAD","indexes":[{"key":{"text":"text"},"name":"x","language_override":5}]}"#,
            TYPE,
        ),
        (
            r#"{"createIndexes":"BAD","indexes":[{"key":{"text":"text"},"name":"x","textIndexVersion":99}]}"#,
            Mongo(67, "CannotCreateIndex"),
        ),
        (
            r#"{"createIndexes":"BAD","indexes":[{"key":{"a":"2dsphere"},"name":"x","2dsphereIndexVersion":99}]}"#,
            Mongo(67, "CannotCreateIndex"),
        ),
        (
            r#"{"createIndexes":"BAD","indexes":[{"key":{"a":"2d"},"name":"x","bits":99}]}"#,
            Mongo(72, "InvalidOptions"),
        ),
        (
            r#"{"createIndexes":"BAD","indexes":[{"key":{"a":"2d"},"name":"x","min":9,"max":1}]}"#,
            Mongo(72, "InvalidOptions"),
        ),
        (
            r#"{"createIndexes":"BAD","indexes":[{"key":{"a":1},"name":"x","storageEngine":{}}]}"#,
            Refused(CommandNotAllowed),
        ),
        (
            r#"{"createIndexes":"BAD","indexes":[{"key":{"a":"2dsphere"},"name":"x"}]}"#,
            Mongo(16755, "Location16755"),
        ),
    ]
}

fn drop() -> Vec<(&'static str, Expected)> {
    vec![
        (r#"{"drop":5}"#, Refused(BadCommand)),
        (
            r#"{"drop":"no_such_collection","comment":"x"}"#,
            Mongo(26, "NamespaceNotFound"),
        ),
        (r#"{"drop":"system.users"}"#, Refused(CommandNotAllowed)),
        (
            r#"{"drop":"no_such_collection","maxTimeMS":-5}"#,
            Refused(BadCommand),
        ),
    ]
}

fn drop_indexes() -> Vec<(&'static str, Expected)> {
    vec![
        (
            r#"{"dropIndexes":"BAD","index":"no_such_index"}"#,
            Mongo(27, "IndexNotFound"),
        ),
        (r#"{"dropIndexes":"BAD","index":5}"#, TYPE),
        (
            r#"{"dropIndexes":"BAD","index":"_id_"}"#,
            Mongo(72, "InvalidOptions"),
        ),
        (
            r#"{"dropIndexes":"no_such_collection","index":"*","comment":"x"}"#,
            Mongo(26, "NamespaceNotFound"),
        ),
        (
            r#"{"dropIndexes":"BAD","index":"*","maxTimeMS":-5}"#,
            Refused(BadCommand),
        ),
    ]
}
