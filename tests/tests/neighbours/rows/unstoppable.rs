//! Commands that MongoDB cannot stop, or that it does not survive. Each has a replica set of its
//! own, whose members are killed afterwards.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bellwether_protocol::{ErrorCode, ErrorFrame, Outcome, ServerFrame, WhatNext};
use bellwether_testkit::{
    Agreement, Cluster, ClusterOptions, Failover, Host, ReplicaSet, ReplicaSetOptions, execute_within,
    http_get, wait_until,
};
use bson::doc;
use serde_json::Value;
use tokio::time::sleep;

use crate::caller::Caller;
use crate::row::{Row, shown};

/// Address space of a member, in KiB: enough for all it needs, and not for an array of 2^29
/// numbers.
const ADDRESS_SPACE: &str = "4500000";

/// The command's own deadline.
const DEADLINE_MS: u64 = 1000;

pub(crate) fn rows() -> Vec<Row> {
    vec![
        Row::alone("an_update", || Box::pin(update())),
        Row::alone("reads_of_thirty_two_connections", || Box::pin(reads())),
        Row::alone("a_read_that_uses_up_the_memory", || Box::pin(memory())),
    ]
}

/// Returns four nested loops: one expression, so that MongoDB handles no interruption until it is
/// done.
fn endless() -> String {
    let mut expression = "1".to_owned();
    for _ in 0..4 {
        expression = format!(
            r#"{{"$reduce":{{"input":{{"$range":[0,1000]}},"initialValue":0,"in":{{"$add":["$$value",{expression}]}}}}}}"#
        );
    }
    expression
}

/// A replica set and servers that the test may damage.
struct Ground {
    // Dropped in this order.
    cluster: Cluster,
    set: ReplicaSet,
    before: Agreement,
}

impl Ground {
    async fn prepare(launcher: &[&str]) -> Result<Self> {
        let host = Host {
            launcher: launcher.iter().map(Into::into).collect(),
            ..Host::default()
        };
        let set = ReplicaSet::start_with(ReplicaSetOptions {
            hosts: vec![host; 3],
            test_commands: false,
            failover: Failover::Quick,
            ..ReplicaSetOptions::default()
        })
        .await?;
        let mut cluster = Cluster::start_with(ClusterOptions {
            args: ["--timeout-ms", "2000", "--assist-failover"]
                .map(Into::into)
                .to_vec(),
            ..ClusterOptions::new(set.uri())
        })
        .await?;
        let before = cluster.all_agree().await?;
        let app = set.client().database("app");
        app.collection("burn").insert_one(doc! { "_id": 1 }).await?;
        Ok(Self { cluster, set, before })
    }

    fn coordinator(&self) -> (String, u16) {
        let server = &self.cluster.servers[self.before.coordinator];
        (server.url(), server.port)
    }

    /// Clients with the list of all servers have their commands executed.
    async fn others_execute(&mut self) -> Result<()> {
        for (number, command) in [
            r#"{"insert":"fine","documents":[{"a":1}]}"#,
            r#"{"update":"fine","updates":[{"q":{"a":1},"u":{"$inc":{"n":1}}}]}"#,
            r#"{"find":"fine","filter":{"a":1}}"#,
            r#"{"count":"fine"}"#,
        ]
        .iter()
        .enumerate()
        {
            let executed = execute_within(Duration::from_secs(30), &self.cluster.urls(), command).await?;
            executed.with_context(|| format!("command {number} of another client"))?;
        }
        Ok(())
    }

    /// Checks that every server ends after `SIGTERM`, even if MongoDB still works on a command.
    async fn all_leave(&mut self) -> Result<()> {
        for server in &self.cluster.servers {
            server.process.terminate()?;
        }
        for server in &mut self.cluster.servers {
            server.process.ended().await?;
        }
        Ok(())
    }

    /// Checks that no server has logged an error for a client's action.
    fn no_errors(&self) -> Result<()> {
        for server in &self.cluster.servers {
            let text = server.process.log_text();
            let error = text.lines().find(|line| line.contains(" ERROR "));
            ensure!(error.is_none(), "{}: {error:?}", server.id);
        }
        Ok(())
    }
}

fn error_of(answer: ServerFrame) -> Result<ErrorFrame> {
    match answer {
        ServerFrame::Error(error) => Ok(error),
        other => bail!("no error but {}", shown(&other)),
    }
}

/// Checks that the command ran too long.
fn is_overdue(error: &ErrorFrame) -> Result<()> {
    ensure!(
        error.code == ErrorCode::Deadline && error.outcome != Outcome::Executed,
        "{error:?}"
    );
    Ok(())
}

/// Checks that the command is refused for a while, on any server.
fn is_refused(error: &ErrorFrame) -> Result<()> {
    let come_back = [ErrorCode::Deadline, ErrorCode::Internal, ErrorCode::NoCoordinator];
    ensure!(
        error.outcome == Outcome::NotExecuted
            && !come_back.contains(&error.code)
            && (error.code.what_next() == WhatNext::GiveUp || error.retry_after_ms.is_some()),
        "{error:?}"
    );
    Ok(())
}

async fn update() -> Result<()> {
    let mut ground = Ground::prepare(&[]).await?;
    let (url, port) = ground.coordinator();
    let burn = format!(
        r#"{{"update":"burn","updates":[{{"q":{{"_id":1}},"u":[{{"$set":{{"x":{}}}}}]}}]}}"#,
        endless()
    );
    let mut bad = Caller::open(&url).await?;
    let id = bad.send(&burn, Some(DEADLINE_MS)).await?;
    // Another client waits behind it.
    let mut waiting = Caller::open(&url).await?;
    waiting
        .send(r#"{"insert":"fine","documents":[{"a":0}]}"#, Some(30_000))
        .await?;
    let told = async {
        let long = wait_until("/status to tell of a long batch", async || {
            let status: Value = serde_json::from_str(&http_get(port, "/status", &[]).await?.body)?;
            ensure!(tells_of_batch(&status), "it says {status}");
            Ok(())
        });
        let not_ready = wait_until("/readyz to say that nothing is executed", async || {
            let ready = http_get(port, "/readyz", &[]).await?;
            ensure!(
                ready.status == 503 && !ready.body.is_empty(),
                "it says {}",
                ready.status
            );
            Ok(())
        });
        tokio::try_join!(long, not_ready)
    };
    let (told, answer) = tokio::join!(told, bad.answer(id));
    is_overdue(&error_of(answer?)?)?;
    ground.others_execute().await?;
    let after = ground.cluster.agreement().await?;
    // The coordinator steps down. Where another server is faster, the one with the larger number
    // takes over once more.
    ensure!(
        after.epoch <= ground.before.epoch + 2,
        "epoch {} has become {}",
        ground.before.epoch,
        after.epoch
    );
    told?;
    // The coordinator may be another one.
    let url = ground.cluster.servers[after.coordinator].url();
    for _ in 0..3 {
        let again = Caller::open(&url).await?.ask(&burn).await?;
        is_refused(&error_of(again)?)?;
    }
    ground.others_execute().await?;
    ensure!(ground.cluster.agreement().await? == after, "another epoch");
    ground.no_errors()?;
    ground.all_leave().await
}

/// Returns `true` if a field with `batch` in its name is a number above 0.
fn tells_of_batch(status: &Value) -> bool {
    match status {
        Value::Object(fields) => fields.iter().any(|(name, value)| {
            name.contains("batch") && value.as_u64().is_some_and(|time| time > 0) || tells_of_batch(value)
        }),
        Value::Array(items) => items.iter().any(tells_of_batch),
        _ => false,
    }
}

async fn reads() -> Result<()> {
    let mut ground = Ground::prepare(&["nice"]).await?;
    let (url, _) = ground.coordinator();
    let mut innocent = Caller::open(&url).await?;
    let known = innocent.new_id();
    innocent
        .reply_as(known, r#"{"insert":"fine","documents":[{"a":1}]}"#)
        .await?;
    let mut bad = Vec::new();
    for number in 0..32 {
        // Each differs, so that none is refused for another one.
        let burn = format!(
            r#"{{"aggregate":"burn","pipeline":[{{"$match":{{"_id":1}}}},{{"$set":{{"x{number}":{}}}}}]}}"#,
            endless()
        );
        let mut caller = Caller::open(&url).await?;
        let id = caller.send(&burn, Some(DEADLINE_MS)).await?;
        bad.push((caller, id));
    }
    wait_until("MongoDB to work on one of them", async || {
        let current = doc! { "currentOp": 1, "command.aggregate": "burn" };
        let found = ground.set.client().database("admin").run_command(current).await?;
        ensure!(!found.get_array("inprog")?.is_empty(), "it works on none");
        Ok(())
    })
    .await?;
    for _ in 0..30 {
        innocent.reply(r#"{"find":"fine","filter":{"a":1}}"#).await?;
        let outcome_result = innocent.outcome_result(known).await?;
        ensure!(
            matches!(&outcome_result, ServerFrame::OutcomeResult(outcome_result) if outcome_result.outcome == Outcome::Executed),
            "{}",
            shown(&outcome_result)
        );
    }
    for (mut caller, id) in bad {
        let error = error_of(caller.answer(id).await?)?;
        let right = [ErrorCode::Deadline, ErrorCode::Overloaded].contains(&error.code);
        ensure!(right && error.outcome == Outcome::NotExecuted, "{error:?}");
    }
    ground.others_execute().await?;
    ground.no_errors()?;
    ground.all_leave().await
}

async fn memory() -> Result<()> {
    let limit = format!("ulimit -v {ADDRESS_SPACE} && exec \"$@\"");
    let mut ground = Ground::prepare(&["sh", "-c", &limit, "sh"]).await?;
    let bomb = r#"{"aggregate":"burn","pipeline":[{"$set":{"x":{"$size":{"$reduce":{"input":{"$range":[0,29]},"initialValue":[1],"in":{"$concatArrays":["$$value","$$value"]}}}}}}]}"#;
    let urls = ground.cluster.urls();
    let mut lost = 0;
    let refused = {
        let sent = execute_within(Duration::from_secs(55), &urls, bomb);
        let revived = revive(&mut ground.set, &mut lost);
        tokio::select! {
            sent = sent => sent?,
            error = revived => bail!(error?),
        }
    };
    let failure = match refused {
        Ok(executed) => bail!("it was executed: {executed:?}"),
        Err(failure) => failure,
    };
    ensure!(failure.outcome != Outcome::Executed, "{failure:?}");
    let told = failure.code();
    ensure!(
        !["internal", "deadline"].contains(&told),
        "after it had taken {lost} members with it, it was answered {told}: {failure}"
    );
    // Members that died last are brought back, too.
    let settled = async { sleep(Duration::from_secs(2)).await };
    tokio::select! {
        () = settled => {}
        error = revive(&mut ground.set, &mut lost) => bail!(error?),
    }
    ground.set.all_follow().await?;
    ensure!((1..=2).contains(&lost), "it took {lost} members with it");
    ground.others_execute().await?;
    for _ in 0..3 {
        let again = execute_within(Duration::from_secs(20), &urls, bomb).await?;
        ensure!(again.is_err(), "it was executed: {again:?}");
    }
    for member in &mut ground.set.members {
        ensure!(member.process.is_running(), "another member died");
    }
    ground.others_execute().await?;
    ground.all_leave().await
}

/// Starts members again that have died, as an operator's service manager does. Ends only with an
/// error.
async fn revive(set: &mut ReplicaSet, lost: &mut usize) -> Result<String> {
    loop {
        for member in &mut set.members {
            if !member.process.is_running() {
                *lost += 1;
                member.process.restart()?;
            }
        }
        sleep(Duration::from_millis(100)).await;
    }
}
