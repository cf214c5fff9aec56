//! The record of a command, and the ways to ask for it.

use anyhow::Result;
use bellwether_protocol::{CommandId, ErrorCode, ErrorFrame, Outcome, OutcomeResult};
use bellwether_server::{MAX_STORED_REPLY, RETENTION, SourceId};
use bellwether_testkit::ReplicaSet;

use crate::coordinator::{Coordinator, in_a_while, minted, new_id, now};

async fn outcome_result(server: &Coordinator, id: CommandId) -> Result<Result<OutcomeResult, ErrorFrame>> {
    Ok(match server.pipeline.outcome(SourceId::new(), id, in_a_while()) {
        Ok(answer) => answer.await?,
        Err(error) => Err(error),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_outcome_of_a_command_can_be_asked() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let s1 = Coordinator::start(&set, "app_outcome").await?;
    let id = new_id();
    let never = outcome_result(&s1, id).await??;
    assert_eq!(
        (never.outcome, never.result.is_none()),
        (Outcome::NotExecuted, true)
    );

    let first = s1.send(id, r#"{"insert":"c","documents":[{"_id":1}]}"#).await?;
    let refused = new_id();
    s1.send(refused, r#"{"insert":"c","documents":[{"_id":1}]}"#)
        .await
        .expect_err("the document is there");
    let read = new_id();
    s1.send(read, r#"{"count":"c"}"#).await?;

    // By a later coordinator as well.
    let s2 = Coordinator::start(&set, "app_outcome").await?;
    let executed = outcome_result(&s2, id).await??;
    assert_eq!(
        (executed.outcome, executed.epoch),
        (Outcome::Executed, Some(first.epoch))
    );
    let reply = executed.result.map(|reply| reply.as_str().to_owned());
    assert_eq!(reply.as_deref(), Some(first.result.as_str()));
    for id in [refused, read] {
        assert_eq!(outcome_result(&s2, id).await??.outcome, Outcome::NotExecuted);
    }

    // An error contains nothing about the command.
    let forgotten = outcome_result(&s2, minted(now() - 2 * RETENTION))
        .await?
        .expect_err("it is too old");
    assert_eq!(
        (forgotten.code, forgotten.outcome),
        (ErrorCode::IdExpired, Outcome::Unknown)
    );
    let fenced = outcome_result(&s1, id).await?.expect_err("it is fenced");
    assert_eq!(
        (fenced.code, fenced.outcome),
        (ErrorCode::Fenced, Outcome::Unknown)
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_reply_is_given_once() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let s1 = Coordinator::start(&set, "app_large").await?;
    let text = "x".repeat(MAX_STORED_REPLY);
    s1.reply(&format!(
        r#"{{"insert":"c","documents":[{{"_id":1,"n":0,"text":"{text}"}}]}}"#
    ))
    .await?;
    let take = r#"{"findAndModify":"c","query":{"_id":1},"update":{"$inc":{"n":1}},"new":true}"#;
    let id = new_id();
    let first = s1.send(id, take).await?;
    assert!(first.result.as_str().contains(&text), "the first answer is whole");
    let again = s1.send(id, take).await.expect_err("the reply was not kept");
    assert_eq!(
        (again.code, again.outcome),
        (ErrorCode::ReplyNotKept, Outcome::Executed)
    );
    let outcome_result = outcome_result(&s1, id).await??;
    assert_eq!(
        (outcome_result.outcome, outcome_result.result.is_none()),
        (Outcome::Executed, true)
    );
    let found = s1.reply(r#"{"find":"c","projection":{"n":1}}"#).await?;
    assert_eq!(found["cursor"]["firstBatch"][0]["n"]["$numberInt"], "1");
    Ok(())
}
