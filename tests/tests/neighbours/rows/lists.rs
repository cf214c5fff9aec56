//! Lists of commands of which one fails.

use bson::doc;

use crate::row::Expected::{self, Mongo, Refused};
use crate::row::Row;
use bellwether_protocol::ErrorCode::{BadCommand, CommandNotAllowed};

pub(crate) fn rows() -> Vec<Row> {
    let row = |name: &str, command: &str, expected: Expected| {
        Row::new(name, vec![(command, expected); 4]).document(doc! { "_id": 1, "a": 1, "text": "word" })
    };
    vec![
        row(
            "the_second_insert_fails",
            r#"{"transaction":[{"insert":"BAD","documents":[{"_id":2}]},{"insert":"BAD","documents":[{"_id":1}]}]}"#,
            Mongo(11000, "DuplicateKey"),
        ),
        row(
            "the_read_in_it_fails",
            r#"{"transaction":[{"insert":"BAD","documents":[{"_id":2}]},{"find":"BAD","filter":{"$expr":{"$divide":[1,{"$subtract":["$_id","$_id"]}]}}}]}"#,
            Mongo(2, "BadValue"),
        ),
        row(
            "all_of_it_reads_and_one_fails",
            r#"{"transaction":[{"count":"BAD"},{"aggregate":"BAD","pipeline":[{"$set":{"x":{"$toInt":"$text"}}}]}]}"#,
            Mongo(241, "ConversionFailure"),
        ),
        row(
            "the_update_in_it_fails",
            r#"{"transaction":[{"delete":"BAD","deletes":[{"q":{"_id":9},"limit":1}]},{"update":"BAD","updates":[{"q":{"_id":1},"u":{"$inc":{"text":1}}}]}]}"#,
            Mongo(14, "TypeMismatch"),
        ),
        row(
            "the_find_and_modify_in_it_fails",
            r#"{"transaction":[{"findAndModify":"BAD","query":{"_id":1},"update":{"$set":{"_id":3}}},{"count":"BAD"}]}"#,
            Mongo(66, "ImmutableField"),
        ),
        row(
            "a_list_in_a_list",
            r#"{"transaction":[{"transaction":[]}]}"#,
            Refused(CommandNotAllowed),
        ),
        row(
            "a_drop_in_a_list",
            r#"{"transaction":[{"drop":"BAD"}]}"#,
            Refused(CommandNotAllowed),
        ),
        row(
            "a_union_in_a_list_that_writes",
            r#"{"transaction":[{"insert":"BAD","documents":[{}]},{"aggregate":"BAD","pipeline":[{"$unionWith":"BAD"}]}]}"#,
            Refused(CommandNotAllowed),
        ),
        Row::new(
            "a_hundred_and_one_commands",
            vec![
                (
                    format!(
                        r#"{{"transaction":[{}]}}"#,
                        vec![r#"{"count":"BAD"}"#; 101].join(",")
                    ),
                    Refused(CommandNotAllowed)
                );
                4
            ],
        ),
        Row::new(
            "the_last_of_a_hundred_fails",
            vec![(hundred(), Mongo(11000, "DuplicateKey")); 2],
        )
        .document(doc! { "_id": 1 }),
        Row::new(
            "a_comment_too_long",
            vec![(
                format!(
                    r#"{{"transaction":[{{"count":"BAD"}}],"comment":"{}"}}"#,
                    "x".repeat(2000)
                ),
                Refused(CommandNotAllowed),
            )],
        ),
        row("no_list", r#"{"transaction":{}}"#, Refused(BadCommand)),
    ]
}

fn hundred() -> String {
    let mut commands = vec![r#"{"update":"BAD","updates":[{"q":{"_id":1},"u":{"$inc":{"n":1}}}]}"#; 99];
    commands.push(r#"{"insert":"BAD","documents":[{"_id":1}]}"#);
    format!(r#"{{"transaction":[{}]}}"#, commands.join(","))
}
