//! Every way in which MongoDB refuses a statement whose options are right.

use bson::doc;

use crate::row::Expected::{self, Executed, Mongo};
use crate::row::Row;

pub(crate) fn rows() -> Vec<Row> {
    let row = |name: &str, command: &str, expected: Expected| {
        Row::new(name, vec![(command, expected); 4])
            .document(doc! { "_id": 1, "a": 1, "text": "word", "list": [1, "two"], "below": { "b": 1 } })
            .document(doc! { "_id": 2, "a": 2, "text": "words" })
    };
    let duplicate = Mongo(11000, "DuplicateKey");
    let unique = r#"{"createIndexes":"BAD","indexes":[{"key":{"a":1},"name":"a","unique":true}]}"#;
    let valid = r#"{"collMod":"BAD","validator":{"a":{"$lt":100}}}"#;
    let view = r#"{"create":"BAD_view","viewOn":"BAD","pipeline":[{"$set":{"x":{"$divide":["$a",0]}}}]}"#;
    vec![
        row(
            "insert_duplicate_id",
            r#"{"insert":"BAD","documents":[{"_id":9},{"_id":1}]}"#,
            duplicate.clone(),
        ),
        row(
            "insert_duplicate_unordered",
            r#"{"insert":"BAD","documents":[{"_id":1},{"_id":8}],"ordered":false}"#,
            Executed,
        ),
        row(
            "insert_twice_the_same",
            r#"{"insert":"BAD","documents":[{"_id":7},{"_id":7}]}"#,
            duplicate.clone(),
        ),
        row(
            "insert_array_id",
            r#"{"insert":"BAD","documents":[{"_id":[1]}]}"#,
            Mongo(53, "InvalidIdField"),
        ),
        row(
            "insert_regex_id",
            r#"{"insert":"BAD","documents":[{"_id":{"$regularExpression":{"pattern":"a","options":""}}}]}"#,
            Mongo(53, "InvalidIdField"),
        ),
        row(
            "insert_dollar_id",
            r#"{"insert":"BAD","documents":[{"_id":{"$a":1}}]}"#,
            Mongo(52, "DollarPrefixedFieldName"),
        ),
        row(
            "insert_not_valid",
            r#"{"insert":"BAD","documents":[{"a":1000}]}"#,
            Mongo(121, "DocumentValidationFailure"),
        )
        .before(valid),
        row(
            "insert_not_unique",
            r#"{"insert":"BAD","documents":[{"a":1}]}"#,
            duplicate.clone(),
        )
        .before(unique),
        row(
            "insert_into_a_view",
            r#"{"insert":"BAD_view","documents":[{"a":1}]}"#,
            Mongo(166, "CommandNotSupportedOnView"),
        )
        .before(view),
        row(
            "update_not_unique",
            r#"{"update":"BAD","updates":[{"q":{"_id":1},"u":{"$set":{"a":2}}}]}"#,
            duplicate.clone(),
        )
        .before(unique),
        row(
            "upsert_not_unique",
            r#"{"update":"BAD","updates":[{"q":{"_id":5},"u":{"$set":{"a":2}},"upsert":true}]}"#,
            duplicate.clone(),
        )
        .before(unique),
        row(
            "update_not_valid",
            r#"{"update":"BAD","updates":[{"q":{"_id":1},"u":{"$set":{"a":2000}}}]}"#,
            Mongo(121, "DocumentValidationFailure"),
        )
        .before(valid),
        row(
            "update_inc_of_a_text",
            r#"{"update":"BAD","updates":[{"q":{"_id":1},"u":{"$inc":{"text":1}}}]}"#,
            Mongo(14, "TypeMismatch"),
        ),
        row(
            "update_inc_by_a_text",
            r#"{"update":"BAD","updates":[{"q":{"_id":1},"u":{"$inc":{"a":"x"}}}]}"#,
            Mongo(14, "TypeMismatch"),
        ),
        row(
            "update_overflow",
            r#"{"update":"BAD","updates":[{"q":{"_id":1},"u":{"$mul":{"a":{"$numberLong":"9223372036854775807"}}}},{"q":{"_id":1},"u":{"$mul":{"a":{"$numberLong":"9223372036854775807"}}}}]}"#,
            Mongo(2, "BadValue"),
        ),
        row(
            "update_below_a_text",
            r#"{"update":"BAD","updates":[{"q":{"_id":1},"u":{"$set":{"text.x":1}}}]}"#,
            Mongo(28, "PathNotViable"),
        ),
        row(
            "update_changes_id",
            r#"{"update":"BAD","updates":[{"q":{"_id":1},"u":{"$set":{"_id":3}}}]}"#,
            Mongo(66, "ImmutableField"),
        ),
        row(
            "update_replaces_id",
            r#"{"update":"BAD","updates":[{"q":{"_id":1},"u":{"_id":3}}]}"#,
            Mongo(66, "ImmutableField"),
        ),
        row(
            "update_push_to_a_number",
            r#"{"update":"BAD","updates":[{"q":{"_id":1},"u":{"$push":{"a":1}}}]}"#,
            Mongo(2, "BadValue"),
        ),
        row(
            "update_conflicting_paths",
            r#"{"update":"BAD","updates":[{"q":{"_id":1},"u":{"$set":{"a":1},"$inc":{"a":1}}}]}"#,
            Mongo(40, "ConflictingUpdateOperators"),
        ),
        row(
            "update_empty_path",
            r#"{"update":"BAD","updates":[{"q":{"_id":1},"u":{"$set":{"a..b":1}}}]}"#,
            Mongo(56, "EmptyFieldName"),
        ),
        row(
            "update_array_filter_missing",
            r#"{"update":"BAD","updates":[{"q":{"_id":1},"u":{"$set":{"list.$[x]":1}}}]}"#,
            Mongo(2, "BadValue"),
        ),
        row(
            "update_position_without_match",
            r#"{"update":"BAD","updates":[{"q":{"_id":1},"u":{"$set":{"list.$":1}}}]}"#,
            Mongo(2, "BadValue"),
        ),
        row(
            "update_pipeline_divides_by_zero",
            r#"{"update":"BAD","updates":[{"q":{"_id":1},"u":[{"$set":{"a":{"$divide":[1,{"$subtract":["$a","$a"]}]}}}]}]}"#,
            Mongo(2, "BadValue"),
        ),
        row(
            "update_pipeline_mod_zero",
            r#"{"update":"BAD","updates":[{"q":{"_id":1},"u":[{"$set":{"a":{"$mod":["$a",{"$subtract":["$a","$a"]}]}}}]}]}"#,
            Mongo(16610, "Location16610"),
        ),
        row(
            "update_pipeline_bad_convert",
            r#"{"update":"BAD","updates":[{"q":{"_id":1},"u":[{"$set":{"a":{"$toInt":"$text"}}}]}]}"#,
            Mongo(241, "ConversionFailure"),
        ),
        row(
            "update_pipeline_bad_stage",
            r#"{"update":"BAD","updates":[{"q":{"_id":1},"u":[{"$match":{"a":1}}]}]}"#,
            Mongo(72, "InvalidOptions"),
        ),
        row(
            "update_bad_regex",
            r#"{"update":"BAD","updates":[{"q":{"text":{"$regex":"("}},"u":{"$set":{"a":1}}}]}"#,
            Mongo(51091, "Location51091"),
        ),
        row(
            "update_the_second_statement",
            r#"{"update":"BAD","updates":[{"q":{"_id":2},"u":{"$set":{"b":1}}},{"q":{"_id":1},"u":{"$inc":{"text":1}}}]}"#,
            Mongo(14, "TypeMismatch"),
        ),
        row(
            "update_upsert_conflict",
            r#"{"update":"BAD","updates":[{"q":{"_id":77,"a":1},"u":{"$set":{"a.b":1}},"upsert":true}]}"#,
            Mongo(28, "PathNotViable"),
        ),
        row(
            "delete_bad_query",
            r#"{"delete":"BAD","deletes":[{"q":{"a":{"$in":5}},"limit":0}]}"#,
            Mongo(2, "BadValue"),
        ),
        row(
            "delete_expression_fails",
            r#"{"delete":"BAD","deletes":[{"q":{"_id":1,"$expr":{"$divide":[1,{"$subtract":["$a","$a"]}]}},"limit":1}]}"#,
            Mongo(2, "BadValue"),
        ),
        row(
            "delete_from_a_view",
            r#"{"delete":"BAD_view","deletes":[{"q":{},"limit":1}]}"#,
            Mongo(166, "CommandNotSupportedOnView"),
        )
        .before(view),
        row(
            "find_and_modify_not_unique",
            r#"{"findAndModify":"BAD","query":{"_id":1},"update":{"$set":{"a":2}}}"#,
            duplicate.clone(),
        )
        .before(unique),
        row(
            "find_and_modify_upsert_not_unique",
            r#"{"findAndModify":"BAD","query":{"_id":6},"update":{"$set":{"a":2}},"upsert":true}"#,
            duplicate,
        )
        .before(unique),
        row(
            "find_and_modify_changes_id",
            r#"{"findAndModify":"BAD","query":{"_id":1},"update":{"$set":{"_id":3}}}"#,
            Mongo(66, "ImmutableField"),
        ),
        row(
            "find_and_modify_inc_of_a_text",
            r#"{"findAndModify":"BAD","query":{"_id":1},"update":{"$inc":{"text":1}}}"#,
            Mongo(14, "TypeMismatch"),
        ),
        row(
            "find_and_modify_bad_projection",
            r#"{"findAndModify":"BAD","query":{"_id":1},"update":{"$set":{"b":1}},"fields":{"a":1,"b":0}}"#,
            Mongo(31254, "Location31254"),
        ),
        row(
            "find_and_modify_not_valid",
            r#"{"findAndModify":"BAD","query":{"_id":1},"update":{"$set":{"a":500}}}"#,
            Mongo(121, "DocumentValidationFailure"),
        )
        .before(valid),
        row(
            "find_divides_by_zero",
            r#"{"find":"BAD","filter":{"$expr":{"$divide":[1,{"$subtract":["$a","$a"]}]}}}"#,
            Mongo(2, "BadValue"),
        ),
        row(
            "find_slice_of_a_text",
            r#"{"find":"BAD","projection":{"text":{"$slice":"x"}}}"#,
            Mongo(28667, "Location28667"),
        ),
        row(
            "find_bad_regex",
            r#"{"find":"BAD","filter":{"text":{"$regex":"("}}}"#,
            Mongo(51091, "Location51091"),
        ),
        row(
            "find_text_without_an_index",
            r#"{"find":"BAD","filter":{"$text":{"$search":"word"}}}"#,
            Mongo(27, "IndexNotFound"),
        ),
        row(
            "find_near_without_an_index",
            r#"{"find":"BAD","filter":{"a":{"$near":[1,1]}}}"#,
            Mongo(291, "NoQueryExecutionPlans"),
        ),
        row(
            "find_in_a_failing_view",
            r#"{"find":"BAD_view"}"#,
            Mongo(2, "BadValue"),
        )
        .before(view),
        row(
            "aggregate_fails_late",
            r#"{"aggregate":"BAD","pipeline":[{"$sort":{"_id":1}},{"$set":{"x":{"$divide":[1,{"$subtract":["$a",2]}]}}}]}"#,
            Mongo(2, "BadValue"),
        ),
        row(
            "aggregate_bad_convert",
            r#"{"aggregate":"BAD","pipeline":[{"$set":{"x":{"$toDate":"$text"}}}]}"#,
            Mongo(241, "ConversionFailure"),
        ),
        row(
            "aggregate_bad_lookup",
            r#"{"aggregate":"BAD","pipeline":[{"$lookup":{"from":"BAD","as":"x"}}]}"#,
            Mongo(9, "FailedToParse"),
        ),
        row(
            "aggregate_facet_in_facet",
            r#"{"aggregate":"BAD","pipeline":[{"$facet":{"x":[{"$facet":{"y":[]}}]}}]}"#,
            Mongo(40600, "Location40600"),
        ),
        row(
            "count_divides_by_zero",
            r#"{"count":"BAD","query":{"$expr":{"$divide":[1,{"$subtract":["$a","$a"]}]}}}"#,
            Mongo(2, "BadValue"),
        ),
        row(
            "distinct_divides_by_zero",
            r#"{"distinct":"BAD","key":"a","query":{"$expr":{"$divide":[1,{"$subtract":["$a","$a"]}]}}}"#,
            Mongo(2, "BadValue"),
        ),
    ]
}
