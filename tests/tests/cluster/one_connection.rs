//! Several commands on one connection: a fault in one frame concerns one command, and a connection
//! that the server ends has its commands answered first.

use std::collections::HashMap;

use anyhow::{Context, Result, bail, ensure};
use bellwether_protocol::{
    ClientFrame, CloseCode, CommandId, ErrorCode, MAX_MESSAGE_BYTES, Outcome, OutcomeQuery, ServerFrame,
};
use bellwether_testkit::{Cluster, ClusterOptions, Connection, FailPoint, ReplicaSet, mint};
use bson::doc;
use tokio_tungstenite::tungstenite::Message;

const INSERT: &str = r#"{"insert":"notes","documents":[{"text":"hi"}]}"#;

#[tokio::test(flavor = "multi_thread")]
async fn outstanding_commands_are_answered_whatever_else_is_sent() -> Result<()> {
    let set = ReplicaSet::start(1).await?;
    let options = ClusterOptions {
        servers: 1,
        ..ClusterOptions::steady(set.uri())
    };
    let cluster = Cluster::start_with(options).await?;
    let url = cluster.servers[0].url();

    // Commits take a while, so that the commands are outstanding when the next frame comes.
    let slow = doc! { "failCommands": ["commitTransaction"], "blockConnection": true, "blockTimeMS": 300 };
    let slow = FailPoint::on(set.client(), "failCommand", slow).await?;
    one_fault_is_one_commands(&url).await?;
    for (text, code) in [
        (Message::text("not JSON"), CloseCode::BadFrame),
        (Message::text(r#"{"type":"dance"}"#), CloseCode::BadFrame),
        (
            Message::text(r#"{"type":"command","command":{}}"#),
            CloseCode::BadFrame,
        ),
        (
            Message::text(r#"{"type":"command","id":"x","command":{}}"#),
            CloseCode::BadFrame,
        ),
        (Message::text(r#"{"type":"hello"}"#), CloseCode::TooMany),
        (
            Message::text("x".repeat(MAX_MESSAGE_BYTES + 1)),
            CloseCode::TooBig,
        ),
        (Message::binary(vec![1_u8]), CloseCode::UnsupportedData),
    ] {
        an_end_comes_after_the_answers(&url, &text, code)
            .await
            .with_context(|| format!("{code}: {:.60}", text.to_string()))?;
    }
    slow.off().await?;
    Ok(())
}

/// Frames with one bad field, among good commands.
async fn one_fault_is_one_commands(url: &str) -> Result<()> {
    let (mut connection, hello) = Connection::greeted(url).await?;
    let mut expected = HashMap::new();
    for deadline in ["1000.0", "\"1000\"", "-1", "true", "1e3", "[]"] {
        let good = mint(hello.server_time_ms);
        connection.command(good, INSERT).await?;
        expected.insert(good, None);
        let bad = mint(hello.server_time_ms);
        let text =
            format!(r#"{{"type":"command","id":"{bad}","deadline_ms":{deadline},"command":{INSERT}}}"#);
        connection.send_text(text).await?;
        expected.insert(bad, Some(Outcome::NotExecuted));
        let question = mint(hello.server_time_ms);
        let text = format!(r#"{{"type":"outcome","id":"{question}","deadline_ms":{deadline}}}"#);
        connection.send_text(text).await?;
        expected.insert(question, Some(Outcome::Unknown));
    }
    let without_command = mint(hello.server_time_ms);
    connection
        .send_text(format!(r#"{{"type":"command","id":"{without_command}"}}"#))
        .await?;
    expected.insert(without_command, Some(Outcome::NotExecuted));
    for deadline in ["60001", "9223372036854775807", "99999999999999999999999", "null"] {
        let long = mint(hello.server_time_ms);
        let text =
            format!(r#"{{"type":"command","id":"{long}","deadline_ms":{deadline},"command":{INSERT}}}"#);
        connection.send_text(text).await?;
        expected.insert(long, None);
    }
    while !expected.is_empty() {
        match connection.receive().await? {
            ServerFrame::Result(result) => {
                ensure!(expected.remove(&result.id) == Some(None), "{result:?}");
            }
            ServerFrame::Error(error) => {
                let id = error.id.context("an id")?;
                ensure!(expected.remove(&id) == Some(Some(error.outcome)), "{error:?}");
                ensure!(error.code == ErrorCode::BadFrame, "{error:?}");
            }
            other => bail!("{other:?}"),
        }
    }
    Ok(())
}

async fn an_end_comes_after_the_answers(url: &str, message: &Message, code: CloseCode) -> Result<()> {
    let (mut connection, hello) = Connection::greeted(url).await?;
    let ids: Vec<CommandId> = (0..5).map(|_| mint(hello.server_time_ms)).collect();
    for id in &ids {
        connection.command(*id, INSERT).await?;
    }
    connection.send(message.clone()).await?;
    let (closed, mut frames) = connection.closed().await?;
    assert_eq!(closed, code.code());
    if code == CloseCode::BadFrame {
        let last = frames.pop();
        ensure!(
            matches!(&last, Some(ServerFrame::Error(error)) if error.code == ErrorCode::BadFrame && error.id.is_none()),
            "{last:?}"
        );
    }
    let answered = frames.iter().filter_map(|frame| match frame {
        ServerFrame::Result(result) => Some(result.id),
        _ => None,
    });
    let answered: Vec<CommandId> = answered.collect();
    ensure!(
        answered.len() == ids.len() && ids.iter().all(|id| answered.contains(id)),
        "{frames:?}"
    );
    Ok(())
}

/// A client compares the text of an answer's id with the text that it has sent.
#[tokio::test(flavor = "multi_thread")]
async fn an_id_is_answered_as_it_was_sent() -> Result<()> {
    let set = ReplicaSet::start(1).await?;
    let options = ClusterOptions {
        servers: 1,
        ..ClusterOptions::steady(set.uri())
    };
    let cluster = Cluster::start_with(options).await?;
    let (mut connection, hello) = Connection::greeted(&cluster.servers[0].url()).await?;
    let small = mint(hello.server_time_ms);
    let capital: CommandId = small.text().to_uppercase().parse()?;
    for (id, command, replayed) in [
        (capital, INSERT, false),
        (small, INSERT, true),
        (capital, INSERT, true),
    ] {
        connection.command(id, command).await?;
        let ServerFrame::Result(result) = connection.receive().await? else {
            bail!("expected a result");
        };
        assert_eq!((result.id.text(), result.replayed), (id.text(), replayed));
    }
    let other = r#"{"delete":"notes","deletes":[{"q":{},"limit":0}]}"#;
    connection.command(capital, other).await?;
    let ServerFrame::Error(error) = connection.receive().await? else {
        bail!("expected an error");
    };
    assert_eq!(error.id.context("an id")?.text(), capital.text());
    let query = OutcomeQuery {
        id: capital,
        deadline_ms: None,
    };
    connection
        .send_text(ClientFrame::Outcome(query).to_json())
        .await?;
    let ServerFrame::OutcomeResult(outcome_result) = connection.receive().await? else {
        bail!("expected an outcome_result");
    };
    assert_eq!(
        (outcome_result.id.text(), outcome_result.outcome),
        (capital.text(), Outcome::Executed)
    );
    Ok(())
}
