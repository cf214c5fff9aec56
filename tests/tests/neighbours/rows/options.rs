//! Every option of every command with a value that MongoDB refuses, or that changes nothing.

use bson::doc;

use crate::row::Expected::{Executed, ExecutedOrMongo, Mongo, Refused};
use crate::row::{ANY, Expected, Row};
use bellwether_protocol::ErrorCode::{BadCommand, CommandNotAllowed};

pub(super) const TYPE: Expected = Mongo(14, "TypeMismatch");

pub(crate) fn rows() -> Vec<Row> {
    let row = |name: &str, commands: Vec<(&str, Expected)>| {
        Row::new(name, commands).document(doc! { "_id": 1, "a": 1, "text": "words" })
    };
    vec![
        row("insert", insert()),
        row("find", find()),
        row("update", update()),
        row("delete", delete()),
        row("find_and_modify", find_and_modify()),
        row("aggregate", aggregate()),
        row("count", count()),
        row("distinct", distinct()),
        row("transaction", transaction()),
    ]
}

fn insert() -> Vec<(&'static str, Expected)> {
    vec![
        (r#"{"insert":"BAD","documents":5}"#, TYPE),
        (r#"{"insert":"BAD","documents":[5]}"#, TYPE),
        (r#"{"insert":"BAD","documents":[]}"#, Mongo(16, "InvalidLength")),
        (r#"{"insert":"BAD"}"#, Mongo(40414, ANY)),
        (r#"{"insert":"BAD","documents":[{}],"ordered":"no"}"#, TYPE),
        (
            r#"{"insert":"BAD","documents":[{}],"bypassEmptyTsReplacement":true}"#,
            ExecutedOrMongo(40415),
        ),
        (
            r#"{"insert":"BAD","documents":[{}],"comment":{"any":"thing"}}"#,
            Executed,
        ),
        (
            r#"{"insert":"BAD","documents":[{}],"maxTimeMS":-1}"#,
            Refused(BadCommand),
        ),
    ]
}

fn find() -> Vec<(&'static str, Expected)> {
    vec![
        (r#"{"find":"BAD","filter":5}"#, TYPE),
        (r#"{"find":"BAD","sort":5}"#, TYPE),
        (r#"{"find":"BAD","sort":{"a":7}}"#, Mongo(15975, "Location15975")),
        (r#"{"find":"BAD","projection":5}"#, TYPE),
        (
            r#"{"find":"BAD","projection":{"a":1,"b":0}}"#,
            Mongo(31254, "Location31254"),
        ),
        (r#"{"find":"BAD","hint":"no_such_index"}"#, Mongo(2, "BadValue")),
        (r#"{"find":"BAD","skip":-1}"#, Mongo(51024, "Location51024")),
        (r#"{"find":"BAD","limit":"all"}"#, TYPE),
        (
            r#"{"find":"BAD","collation":{"locale":"xx-yy"}}"#,
            Mongo(2, "BadValue"),
        ),
        (r#"{"find":"BAD","let":5}"#, TYPE),
        (r#"{"find":"BAD","min":{"a":1}}"#, Mongo(51173, "Location51173")),
        (r#"{"find":"BAD","max":{"a":1}}"#, Mongo(51173, "Location51173")),
        (r#"{"find":"BAD","returnKey":5}"#, TYPE),
        (r#"{"find":"BAD","showRecordId":"yes"}"#, TYPE),
        (r#"{"find":"BAD","allowDiskUse":"yes"}"#, TYPE),
        (r#"{"find":"BAD","comment":5}"#, Executed),
        (r#"{"find":"BAD","maxTimeMS":"soon"}"#, Refused(BadCommand)),
        (
            r#"{"aggregate":"BAD","pipeline":[{"$match":{"$expr":{"$gt":[{"$size":{"$range":[0,3000000]}},0]}}},{"$set":{"x":{"$range":[0,3000000]}}},{"$unwind":"$x"},{"$group":{"_id":"$x"}}],"maxTimeMS":1}"#,
            Mongo(50, "MaxTimeMSExpired"),
        ),
    ]
}

fn update() -> Vec<(&'static str, Expected)> {
    vec![
        (r#"{"update":"BAD","updates":5}"#, TYPE),
        (r#"{"update":"BAD","updates":[]}"#, Mongo(16, "InvalidLength")),
        (r#"{"update":"BAD","updates":[{"q":{}}]}"#, Mongo(40414, ANY)),
        (r#"{"update":"BAD","updates":[{"q":5,"u":{}}]}"#, TYPE),
        (
            r#"{"update":"BAD","updates":[{"q":{},"u":5}]}"#,
            Mongo(9, "FailedToParse"),
        ),
        (
            r#"{"update":"BAD","updates":[{"q":{},"u":{"$no":1}}]}"#,
            Mongo(9, "FailedToParse"),
        ),
        (
            r#"{"update":"BAD","updates":[{"q":{},"u":{"a":2},"multi":true}]}"#,
            Mongo(9, "FailedToParse"),
        ),
        (
            r#"{"update":"BAD","updates":[{"q":{},"u":{"$set":{"a":1}},"hint":"no_such_index"}]}"#,
            Mongo(2, "BadValue"),
        ),
        (
            r#"{"update":"BAD","updates":[{"q":{},"u":{"$set":{"a":1}},"collation":{"locale":"xx-yy"}}]}"#,
            Mongo(2, "BadValue"),
        ),
        (
            r#"{"update":"BAD","updates":[{"q":{},"u":{"$set":{"a.$[x]":1}},"arrayFilters":[{"y":1}]}]}"#,
            Mongo(2, "BadValue"),
        ),
        (
            r#"{"update":"BAD","updates":[{"q":{},"u":{"$set":{"a":1}}}],"ordered":5}"#,
            TYPE,
        ),
        (
            r#"{"update":"BAD","updates":[{"q":{},"u":{"$set":{"a":1}}}],"let":5}"#,
            TYPE,
        ),
        (
            r#"{"update":"BAD","updates":[{"q":{"_id":1},"u":{"$set":{"a":1}}}],"bypassEmptyTsReplacement":true}"#,
            ExecutedOrMongo(40415),
        ),
        (
            r#"{"update":"BAD","updates":[{"q":{"_id":1},"u":{"$set":{"a":1}}}],"comment":"x"}"#,
            Executed,
        ),
        (
            r#"{"update":"BAD","updates":[{"q":{},"u":{"$set":{"a":1}}}],"maxTimeMS":1.5}"#,
            Refused(BadCommand),
        ),
        (
            r#"{"update":"BAD","updates":[{"q":{},"u":{"$set":{"a":1}}}],"writeConcern":{"w":0}}"#,
            Refused(CommandNotAllowed),
        ),
    ]
}

fn delete() -> Vec<(&'static str, Expected)> {
    vec![
        (r#"{"delete":"BAD","deletes":5}"#, TYPE),
        (r#"{"delete":"BAD","deletes":[]}"#, Mongo(16, "InvalidLength")),
        (
            r#"{"delete":"BAD","deletes":[{"q":{"a":99}}]}"#,
            Mongo(40414, ANY),
        ),
        (
            r#"{"delete":"BAD","deletes":[{"q":{"a":99},"limit":2}]}"#,
            Mongo(9, "FailedToParse"),
        ),
        (
            r#"{"delete":"BAD","deletes":[{"q":{"$no":1},"limit":1}]}"#,
            Mongo(2, "BadValue"),
        ),
        (
            r#"{"delete":"BAD","deletes":[{"q":{"a":99},"limit":1,"hint":"no_such_index"}]}"#,
            Mongo(2, "BadValue"),
        ),
        (
            r#"{"delete":"BAD","deletes":[{"q":{"a":99},"limit":1}],"ordered":"no"}"#,
            TYPE,
        ),
        (
            r#"{"delete":"BAD","deletes":[{"q":{"a":99},"limit":1}],"let":[]}"#,
            TYPE,
        ),
        (
            r#"{"delete":"BAD","deletes":[{"q":{"a":99},"limit":1}],"comment":[1]}"#,
            Executed,
        ),
        (
            r#"{"delete":"BAD","deletes":[{"q":{"a":99},"limit":1}],"maxTimeMS":null}"#,
            Refused(BadCommand),
        ),
    ]
}

fn find_and_modify() -> Vec<(&'static str, Expected)> {
    vec![
        (r#"{"findAndModify":"BAD"}"#, Mongo(9, "FailedToParse")),
        (r#"{"findAndModify":"BAD","query":5,"remove":true}"#, TYPE),
        (
            r#"{"findAndModify":"BAD","query":{"a":99},"sort":5,"remove":true}"#,
            TYPE,
        ),
        (r#"{"findAndModify":"BAD","query":{"a":99},"remove":"yes"}"#, TYPE),
        (
            r#"{"findAndModify":"BAD","query":{"a":99},"remove":true,"update":{"a":1}}"#,
            Mongo(9, "FailedToParse"),
        ),
        (
            r#"{"findAndModify":"BAD","query":{"a":99},"remove":true,"new":true}"#,
            Mongo(9, "FailedToParse"),
        ),
        (
            r#"{"findAndModify":"BAD","query":{"_id":1},"update":{"a":1},"fields":5}"#,
            TYPE,
        ),
        (
            r#"{"findAndModify":"BAD","query":{"_id":1},"update":{"a":1},"upsert":"yes"}"#,
            TYPE,
        ),
        (
            r#"{"findAndModify":"BAD","query":{"_id":1},"update":{"a":1},"collation":{"locale":"xx-yy"}}"#,
            Mongo(2, "BadValue"),
        ),
        (
            r#"{"findAndModify":"BAD","query":{"_id":1},"update":{"$set":{"a":1}},"arrayFilters":[{"x":1}]}"#,
            Mongo(9, "FailedToParse"),
        ),
        (
            r#"{"findAndModify":"BAD","query":{"_id":1},"update":{"a":1},"hint":"no_such_index"}"#,
            Mongo(2, "BadValue"),
        ),
        (
            r#"{"findAndModify":"BAD","query":{"_id":1},"update":{"a":1},"let":5}"#,
            TYPE,
        ),
        (
            r#"{"findAndModify":"BAD","query":{"_id":1},"update":{"a":1},"bypassEmptyTsReplacement":true}"#,
            ExecutedOrMongo(40415),
        ),
        (
            r#"{"findAndModify":"BAD","query":{"_id":1},"update":{"$set":{"a":1}},"comment":1}"#,
            Executed,
        ),
        (
            r#"{"findandmodify":"BAD","query":{"_id":1},"update":{"$set":{"a":1}},"maxTimeMS":"1"}"#,
            Refused(BadCommand),
        ),
        (
            r#"{"findAndModify":"BAD","query":{"_id":1},"update":{"$set":{"a":1}},"maxTimeMS":"1"}"#,
            Refused(BadCommand),
        ),
    ]
}

fn aggregate() -> Vec<(&'static str, Expected)> {
    vec![
        (r#"{"aggregate":"BAD","pipeline":5}"#, TYPE),
        (r#"{"aggregate":"BAD","pipeline":[5]}"#, TYPE),
        (r#"{"aggregate":"BAD"}"#, Mongo(40414, ANY)),
        (
            r#"{"aggregate":"BAD","pipeline":[{"$no":1}]}"#,
            Mongo(40324, "Location40324"),
        ),
        (
            r#"{"aggregate":"BAD","pipeline":[{"$out":"other"}]}"#,
            Refused(CommandNotAllowed),
        ),
        (
            r#"{"aggregate":"BAD","pipeline":[],"cursor":{"batchSize":1}}"#,
            Refused(CommandNotAllowed),
        ),
        (r#"{"aggregate":"BAD","pipeline":[],"allowDiskUse":"yes"}"#, TYPE),
        (
            r#"{"aggregate":"BAD","pipeline":[],"collation":{"locale":"xx-yy"}}"#,
            Mongo(2, "BadValue"),
        ),
        (
            r#"{"aggregate":"BAD","pipeline":[],"hint":"no_such_index"}"#,
            Mongo(2, "BadValue"),
        ),
        (r#"{"aggregate":"BAD","pipeline":[],"let":5}"#, TYPE),
        (r#"{"aggregate":"BAD","pipeline":[],"comment":{"a":1}}"#, Executed),
        (
            r#"{"aggregate":"BAD","pipeline":[],"maxTimeMS":-5}"#,
            Refused(BadCommand),
        ),
    ]
}

fn count() -> Vec<(&'static str, Expected)> {
    vec![
        (r#"{"count":"BAD","query":5}"#, Refused(BadCommand)),
        (r#"{"count":"BAD","query":{"$no":1}}"#, Mongo(2, "BadValue")),
        (r#"{"count":"BAD","limit":"all"}"#, Refused(BadCommand)),
        (r#"{"count":"BAD","skip":-1}"#, Refused(BadCommand)),
        (r#"{"count":"BAD","hint":"no_such_index"}"#, Mongo(2, "BadValue")),
        (
            r#"{"count":"BAD","collation":{"locale":"xx-yy"}}"#,
            Mongo(2, "BadValue"),
        ),
        (r#"{"count":"BAD","comment":"x"}"#, Executed),
        (r#"{"count":"BAD","maxTimeMS":-5}"#, Refused(BadCommand)),
    ]
}

fn distinct() -> Vec<(&'static str, Expected)> {
    vec![
        (r#"{"distinct":"BAD"}"#, Mongo(40414, ANY)),
        (r#"{"distinct":"BAD","key":5}"#, TYPE),
        (r#"{"distinct":"BAD","key":"a","query":5}"#, TYPE),
        (
            r#"{"distinct":"BAD","key":"a","query":{"$no":1}}"#,
            Mongo(2, "BadValue"),
        ),
        (
            r#"{"distinct":"BAD","key":"a","collation":{"locale":"xx-yy"}}"#,
            Mongo(2, "BadValue"),
        ),
        (
            r#"{"distinct":"BAD","key":"a","hint":"no_such_index"}"#,
            Mongo(40415, ANY),
        ),
        (r#"{"distinct":"BAD","key":"a","comment":"x"}"#, Executed),
        (
            r#"{"distinct":"BAD","key":"a","maxTimeMS":-5}"#,
            Refused(BadCommand),
        ),
    ]
}

fn transaction() -> Vec<(&'static str, Expected)> {
    vec![
        (r#"{"transaction":5}"#, Refused(BadCommand)),
        (r#"{"transaction":[]}"#, Refused(BadCommand)),
        (r#"{"transaction":[5]}"#, Refused(BadCommand)),
        (
            r#"{"transaction":[{"count":"BAD"}],"ordered":true}"#,
            Refused(CommandNotAllowed),
        ),
        (r#"{"transaction":[{"count":"BAD"}],"comment":"x"}"#, Executed),
        (
            r#"{"transaction":[{"count":"BAD"}],"maxTimeMS":-5}"#,
            Refused(BadCommand),
        ),
    ]
}
