//! Commands that the server itself refuses, before they reach MongoDB.

use anyhow::{Result, ensure};
use bellwether_protocol::ErrorCode::{BadCommand, CommandNotAllowed, TooDeep};
use bellwether_protocol::{ErrorCode, MAX_DEPTH, MAX_MESSAGE_BYTES, ServerFrame};

use crate::caller::{Caller, Spot};
use crate::row::{Expected, Row, shown};

pub(crate) fn rows() -> Vec<Row> {
    let refused = |name: &str, command: String, code: ErrorCode| {
        Row::new(name, vec![(command, Expected::Refused(code)); 4]).rounds(1)
    };
    let plain = |name: &str, command: &str, code| refused(name, command.to_owned(), code);
    vec![
        plain("an_unknown_command", r#"{"shutdown":1}"#, CommandNotAllowed),
        plain("an_empty_command", "{}", BadCommand),
        plain(
            "a_repeated_field",
            r#"{"find":"BAD","filter":{"a":1,"a":2}}"#,
            BadCommand,
        ),
        plain(
            "a_number_too_large",
            r#"{"find":"BAD","filter":{"a":1e999}}"#,
            BadCommand,
        ),
        plain(
            "a_broken_extended_type",
            r#"{"find":"BAD","filter":{"a":{"$oid":"xyz"}}}"#,
            BadCommand,
        ),
        plain(
            "javascript",
            r#"{"find":"BAD","filter":{"$where":"while(true);"}}"#,
            CommandNotAllowed,
        ),
        plain(
            "another_database",
            r#"{"aggregate":"BAD","pipeline":[{"$lookup":{"from":{"db":"admin","coll":"x"},"as":"x","pipeline":[]}}]}"#,
            CommandNotAllowed,
        ),
        plain(
            "a_system_collection",
            r#"{"find":"system.profile"}"#,
            CommandNotAllowed,
        ),
        plain("a_collection_without_a_name", r#"{"find":""}"#, BadCommand),
        refused(
            "nested_too_deep",
            format!(
                r#"{{"find":"BAD","filter":{}1{}}}"#,
                r#"{"a":"#.repeat(MAX_DEPTH),
                "}".repeat(MAX_DEPTH)
            ),
            TooDeep,
        ),
        refused(
            "nested_much_too_deep",
            format!(
                r#"{{"find":"BAD","filter":{{"a":{}{}}}}}"#,
                "[".repeat(400_000),
                "]".repeat(400_000)
            ),
            TooDeep,
        ),
        refused(
            "a_mebibyte_of_empty_documents",
            mebibyte_of("{}", "shutdown"),
            CommandNotAllowed,
        ),
        refused(
            "a_mebibyte_of_numbers",
            mebibyte_of("1", "shutdown"),
            CommandNotAllowed,
        ),
        refused(
            "a_mebibyte_of_dates",
            mebibyte_of(r#"{"$date":"x"}"#, "find"),
            BadCommand,
        ),
        Row::program("a_message_too_long", |spot| Box::pin(too_long(spot))),
        Row::program("what_is_no_frame", |spot| Box::pin(no_frame(spot))),
        Row::program("binary_messages", |spot| Box::pin(binary(spot))),
        Row::program("an_id_used_for_another_command", |spot| Box::pin(reused(spot))),
    ]
}

/// Makes a command just below the longest message, made of these.
fn mebibyte_of(item: &str, command: &str) -> String {
    let count = (MAX_MESSAGE_BYTES - 500) / (item.len() + 1);
    format!(
        r#"{{"{command}":"BAD","filter":[{}]}}"#,
        vec![item; count].join(",")
    )
}

/// Checks that the server closes with 1009, and goes on.
async fn too_long(spot: Spot) -> Result<()> {
    for _ in 0..4 {
        let mut caller = Caller::open(&spot.url).await?;
        let text = format!(
            r#"{{"insert":"x","documents":[{{"a":"{}"}}]}}"#,
            "x".repeat(MAX_MESSAGE_BYTES)
        );
        // It may stop reading in the middle.
        if caller.send(&text, None).await.is_ok()
            && let Ok((code, _)) = caller.connection().closed().await
        {
            ensure!(code == 1009, "it closes with {code}");
        }
    }
    Ok(())
}

async fn no_frame(spot: Spot) -> Result<()> {
    for text in [
        "",
        "x",
        "[]",
        r#"{"type":"dance"}"#,
        r#"{"type":"command","id":5}"#,
        "\u{0}",
    ] {
        let mut caller = Caller::open(&spot.url).await?;
        caller.connection().send_text(text).await?;
        let (_, frames) = caller.connection().closed().await?;
        let told = frames
            .iter()
            .all(|frame| matches!(frame, ServerFrame::Error(error) if error.code == ErrorCode::BadFrame));
        ensure!(told && !frames.is_empty(), "{text:?}: {frames:?}");
    }
    Ok(())
}

async fn binary(spot: Spot) -> Result<()> {
    for _ in 0..4 {
        let mut caller = Caller::open(&spot.url).await?;
        let bytes = tokio_tungstenite::tungstenite::Message::binary(vec![0_u8; 100_000]);
        caller.connection().send(bytes).await?;
        caller.connection().closed().await?;
    }
    Ok(())
}

async fn reused(spot: Spot) -> Result<()> {
    let mut caller = Caller::open(&spot.url).await?;
    let id = caller.new_id();
    caller
        .reply_as(id, &spot.own(r#"{"insert":"BAD","documents":[{"_id":"first"}]}"#))
        .await?;
    for _ in 0..8 {
        caller
            .send_as(
                id,
                &spot.own(r#"{"insert":"BAD","documents":[{"_id":"second"}]}"#),
                None,
            )
            .await?;
        let answer = caller.answer(id).await?;
        ensure!(
            matches!(&answer, ServerFrame::Error(error) if error.code == ErrorCode::IdReused),
            "{}",
            shown(&answer)
        );
    }
    Ok(())
}
