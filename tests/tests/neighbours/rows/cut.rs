//! MongoDB cuts values in its messages at 150 bytes, also inside a character. The message then is
//! not UTF-8.

use bson::doc;

use crate::row::Expected::{self, Mongo};
use crate::row::Row;

/// Characters of two, three and four bytes.
const CHARACTERS: [(char, &str); 3] = [('é', "two"), ('日', "three"), ('🦀', "four")];

/// A command that makes MongoDB quote a text, and the error.
struct Kind {
    name: &'static str,
    /// `TEXT` is a placeholder for the text.
    command: &'static str,
    expected: Expected,
    stored: Stored,
}

/// The documents that have the text before the command comes.
#[derive(Clone, Copy, PartialEq)]
enum Stored {
    No,
    AsId,
    InOne,
    InOneUnique,
    InTwo,
}

fn kinds() -> Vec<Kind> {
    let kind = |name, stored, command, expected| Kind {
        name,
        command,
        expected,
        stored,
    };
    let duplicate = || Mongo(11000, "DuplicateKey");
    let set =
        r#"{"update":"BAD","updates":[{"q":{"_id":"NUMBER b"},"u":{"$set":{"t":"TEXT"}},"upsert":true}]}"#;
    vec![
        kind(
            "insert_duplicate",
            Stored::InOneUnique,
            r#"{"insert":"BAD","documents":[{"t":"TEXT"}]}"#,
            duplicate(),
        ),
        kind(
            "insert_duplicate_id",
            Stored::No,
            r#"{"insert":"BAD","documents":[{"_id":"TEXT"},{"_id":"TEXT"}]}"#,
            duplicate(),
        ),
        kind("upsert_duplicate", Stored::InOneUnique, set, duplicate()),
        kind(
            "update_duplicate",
            Stored::InOneUnique,
            r#"{"update":"BAD","updates":[{"q":{"_id":"other"},"u":{"$set":{"t":"TEXT"}}}]}"#,
            duplicate(),
        ),
        kind(
            "find_and_modify_duplicate",
            Stored::InOneUnique,
            r#"{"findAndModify":"BAD","query":{"_id":"other"},"update":{"$set":{"t":"TEXT"}}}"#,
            duplicate(),
        ),
        kind(
            "list_duplicate",
            Stored::InOneUnique,
            r#"{"transaction":[{"count":"BAD"},{"insert":"BAD","documents":[{"t":"TEXT"}]}]}"#,
            duplicate(),
        ),
        kind(
            "create_index_over_duplicates",
            Stored::InTwo,
            r#"{"createIndexes":"BAD","indexes":[{"key":{"t":1},"name":"unique","unique":true,"partialFilterExpression":{"t":"TEXT"}}]}"#,
            duplicate(),
        ),
        kind(
            "update_inc_of_a_text",
            Stored::AsId,
            r#"{"update":"BAD","updates":[{"q":{"_id":"TEXT"},"u":{"$inc":{"t":1}}}]}"#,
            Mongo(14, "TypeMismatch"),
        ),
        kind(
            "update_inc_by_a_text",
            Stored::InOne,
            r#"{"update":"BAD","updates":[{"q":{"_id":"NUMBER"},"u":{"$inc":{"n":"TEXT"}}}]}"#,
            Mongo(14, "TypeMismatch"),
        ),
        kind(
            "find_and_modify_inc_of_a_text",
            Stored::AsId,
            r#"{"findAndModify":"BAD","query":{"_id":"TEXT"},"update":{"$inc":{"t":1}}}"#,
            Mongo(14, "TypeMismatch"),
        ),
        kind(
            "update_below_a_text",
            Stored::InOne,
            r#"{"update":"BAD","updates":[{"q":{"_id":"NUMBER"},"u":{"$set":{"t.x":1}}}]}"#,
            Mongo(28, "PathNotViable"),
        ),
        kind(
            "find_and_modify_below_a_text",
            Stored::InOne,
            r#"{"findAndModify":"BAD","query":{"_id":"NUMBER"},"update":{"$set":{"t.x":1}}}"#,
            Mongo(28, "PathNotViable"),
        ),
        kind(
            "find_and_modify_replaces_id",
            Stored::InOne,
            r#"{"findAndModify":"BAD","query":{"_id":"NUMBER"},"update":{"_id":"TEXT"}}"#,
            Mongo(66, "ImmutableField"),
        ),
        kind(
            "update_replaces_id",
            Stored::InOne,
            r#"{"update":"BAD","updates":[{"q":{"_id":"NUMBER"},"u":{"_id":"TEXT"}}]}"#,
            Mongo(66, "ImmutableField"),
        ),
        kind(
            "update_date_from_string",
            Stored::InOne,
            r#"{"update":"BAD","updates":[{"q":{"_id":"NUMBER"},"u":[{"$set":{"d":{"$dateFromString":{"dateString":"$t"}}}}]}]}"#,
            Mongo(241, "ConversionFailure"),
        ),
        kind(
            "find_and_modify_date_from_string",
            Stored::InOne,
            r#"{"findAndModify":"BAD","query":{"_id":"NUMBER"},"update":[{"$set":{"d":{"$dateFromString":{"dateString":"$t"}}}}]}"#,
            Mongo(241, "ConversionFailure"),
        ),
        kind(
            "delete_date_from_string",
            Stored::InOne,
            r#"{"delete":"BAD","deletes":[{"q":{"_id":"NUMBER","$expr":{"$dateFromString":{"dateString":"$t"}}},"limit":1}]}"#,
            Mongo(241, "ConversionFailure"),
        ),
        kind(
            "count_date_from_string",
            Stored::InOne,
            r#"{"count":"BAD","query":{"_id":"NUMBER","$expr":{"$dateFromString":{"dateString":"$t"}}}}"#,
            Mongo(241, "ConversionFailure"),
        ),
        kind(
            "distinct_date_from_string",
            Stored::InOne,
            r#"{"distinct":"BAD","key":"n","query":{"_id":"NUMBER","$expr":{"$dateFromString":{"dateString":"$t"}}}}"#,
            Mongo(241, "ConversionFailure"),
        ),
        kind(
            "aggregate_convert_to_date",
            Stored::InOne,
            r#"{"aggregate":"BAD","pipeline":[{"$match":{"_id":"NUMBER"}},{"$set":{"d":{"$convert":{"input":"$t","to":"date"}}}}]}"#,
            Mongo(241, "ConversionFailure"),
        ),
        kind(
            "find_date_from_string",
            Stored::InOne,
            r#"{"find":"BAD","filter":{"_id":"NUMBER"},"projection":{"d":{"$dateFromString":{"dateString":"$t"}}}}"#,
            Mongo(241, "ConversionFailure"),
        ),
        kind(
            "aggregate_date_from_string",
            Stored::InOne,
            r#"{"aggregate":"BAD","pipeline":[{"$match":{"_id":"NUMBER"}},{"$set":{"d":{"$dateFromString":{"dateString":"$t"}}}}]}"#,
            Mongo(241, "ConversionFailure"),
        ),
    ]
}

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for kind in kinds() {
        for (character, bytes) in CHARACTERS {
            rows.push(row(&kind, character, bytes));
        }
    }
    rows
}

/// Makes one kind with a text for every place inside the character at which the cut may fall.
fn row(kind: &Kind, character: char, bytes: &str) -> Row {
    let texts: Vec<String> = (0..character.len_utf8())
        .map(|phase| format!("{}{}", "x".repeat(phase), character.to_string().repeat(100)))
        .collect();
    let commands = texts.iter().enumerate().map(|(number, text)| {
        let command = kind.command.replace("NUMBER", &number.to_string());
        (command.replace("TEXT", text), kind.expected.clone())
    });
    let mut row =
        Row::new(format!("{}_{bytes}_bytes", kind.name), commands).document(doc! { "_id": "other", "n": 1 });
    if kind.stored == Stored::AsId {
        row = row.documents(texts.iter().map(|text| doc! { "_id": text, "t": "a text" }));
    } else if kind.stored != Stored::No {
        for (number, text) in texts.iter().enumerate() {
            row = row.document(doc! { "_id": number.to_string(), "t": text, "n": 1 });
            if kind.stored == Stored::InTwo {
                row = row.document(doc! { "_id": format!("{number} too"), "t": text });
            }
        }
    }
    if kind.stored == Stored::InOneUnique {
        row = row.before(
            r#"{"createIndexes":"BAD","indexes":[{"key":{"t":1},"name":"t","unique":true,"sparse":true}]}"#,
        );
    }
    row
}
