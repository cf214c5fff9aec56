//! Values of every BSON type, as text to MongoDB and as text back.

use anyhow::Result;
use bellwether_testkit::ReplicaSet;

use crate::coordinator::Coordinator;

/// Returns values in canonical Extended JSON, the edges of each type's range among them.
fn values() -> Vec<String> {
    let written = [
        r#"{"$numberDouble":"0.1"}"#,
        r#"{"$numberDouble":"-0.0"}"#,
        r#"{"$numberDouble":"5E-324"}"#,
        r#"{"$numberDouble":"-1.7976931348623157E+308"}"#,
        r#"{"$numberDouble":"9007199254740992.0"}"#,
        r#"{"$numberDouble":"NaN"}"#,
        r#"{"$numberDouble":"Infinity"}"#,
        r#"{"$numberDouble":"-Infinity"}"#,
        r#"{"$numberDecimal":"0.10"}"#,
        r#"{"$numberDecimal":"-0E-6176"}"#,
        r#"{"$numberDecimal":"9.999999999999999999999999999999999E+6144"}"#,
        r#"{"$numberDecimal":"1E-6176"}"#,
        r#"{"$numberDecimal":"NaN"}"#,
        r#"{"$numberDecimal":"-Infinity"}"#,
        r#"{"$numberInt":"-2147483648"}"#,
        r#"{"$numberInt":"2147483647"}"#,
        r#"{"$numberLong":"1"}"#,
        r#"{"$numberLong":"9223372036854775807"}"#,
        r#"{"$numberLong":"-9223372036854775808"}"#,
        r#""""#,
        r#""é \u0000 😀""#,
        r#"{"$oid":"5f3e2d1c0b0a090807060504"}"#,
        r#"{"$date":{"$numberLong":"-1"}}"#,
        r#"{"$date":{"$numberLong":"-9223372036854775808"}}"#,
        r#"{"$date":{"$numberLong":"253402300800000"}}"#,
        r#"{"$date":{"$numberLong":"9223372036854775807"}}"#,
        r#"{"$timestamp":{"t":4294967295,"i":4294967295}}"#,
        // MongoDB replaces 0, 0 in a field of the document itself by the time of the insert.
        r#"{"$timestamp":{"t":0,"i":1}}"#,
        r#"{"$regularExpression":{"pattern":"^a/\\d","options":"imsux"}}"#,
        r#"{"$regularExpression":{"pattern":"","options":""}}"#,
        r#"{"$minKey":1}"#,
        r#"{"$maxKey":1}"#,
        r#"{"$code":"function() { return 1; }"}"#,
        r#"{"$code":"x","$scope":{"x":{"$numberInt":"1"},"y":{"$code":"z","$scope":{}}}}"#,
        r#"{"$symbol":"s"}"#,
        r#"{"$dbPointer":{"$ref":"c","$id":{"$oid":"5f3e2d1c0b0a090807060504"}}}"#,
        r#"{"$undefined":true}"#,
        "null",
        "true",
        "false",
        r#"[{"$numberInt":"1"},[],[[null]],{}]"#,
        r#"{"z":null,"10":{"$numberInt":"1"},"2":{},"a":[]}"#,
        r#"{"$ref":"c","$id":{"$numberInt":"1"},"$db":"d"}"#,
        r#"{"$where":"data","$out":{"$function":{"$regex":"data"}},"":{"a.b":true}}"#,
    ];
    // 16 bytes are of the right length for every subtype that has one. MongoDB 6.0.27 refuses
    // subtype 7, a compressed column, if the bytes are no such column.
    let subtypes = (0..=255_u8).filter(|subtype| *subtype != 7);
    let binaries = subtypes.map(|subtype| {
        format!(r#"{{"$binary":{{"base64":"AAECAwQFBgcICQoLDA0ODw==","subType":"{subtype:02x}"}}}}"#)
    });
    written.map(str::to_owned).into_iter().chain(binaries).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_survives_mongodb() -> Result<()> {
    let set = ReplicaSet::start(1).await?;
    let s1 = Coordinator::start(&set, "app_types").await?;
    let values = values();
    let document = |id: usize, value: &String| {
        format!(r#"{{"_id":{{"$numberInt":"{id}"}},"v":{value},"w":{{"list":[{value}]}}}}"#)
    };
    let documents: Vec<String> = values
        .iter()
        .enumerate()
        .map(|(id, value)| document(id, value))
        .collect();

    s1.reply(&format!(
        r#"{{"insert":"inserted","documents":[{}]}}"#,
        documents.join(",")
    ))
    .await?;
    let updates: Vec<String> = values
        .iter()
        .enumerate()
        .map(|(id, value)| {
            format!(
                r#"{{"q":{{"_id":{id}}},"u":{{"$set":{{"v":{value},"w":{{"list":[{value}]}}}}}},"upsert":true}}"#
            )
        })
        .collect();
    s1.reply(&format!(
        r#"{{"update":"updated","updates":[{}]}}"#,
        updates.join(",")
    ))
    .await?;
    for command in [
        r#"{"find":"inserted","sort":{"_id":1}}"#,
        r#"{"aggregate":"inserted","pipeline":[{"$sort":{"_id":1}}]}"#,
        r#"{"find":"updated","sort":{"_id":1}}"#,
    ] {
        let found = s1.reply(command).await?;
        let found = found["cursor"]["firstBatch"].as_array().expect("a batch");
        assert_eq!(found.len(), documents.len());
        for (found, sent) in found.iter().zip(&documents) {
            assert_eq!(found.to_string(), *sent, "{command}");
        }
    }

    // Read again from the stored reply of a command that was repeated.
    let id = crate::coordinator::new_id();
    let take = r#"{"findAndModify":"inserted","query":{"_id":5},"update":{"$set":{"x":1}}}"#;
    let first = s1.send(id, take).await?;
    let again = s1.send(id, take).await?;
    assert!(again.replayed);
    assert_eq!(first.result.as_str(), again.result.as_str());
    assert!(
        first.result.as_str().contains(&documents[5]),
        "{}",
        first.result.as_str()
    );
    Ok(())
}
