//! Resources that all clients share, and that one of them uses too much.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bellwether_protocol::{ErrorCode, Outcome, ServerFrame};
use bson::{Document, doc};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::caller::{Caller, Spot};
use crate::row::{Row, shown};

/// A read that MongoDB works on until its time is up, and stops at a request.
const SLOW: &str = r#"{"aggregate":"BAD","pipeline":[{"$set":{"x":{"$range":[0,30000]}}},{"$unwind":"$x"},{"$set":{"y":{"$range":[0,30000]}}},{"$unwind":"$y"},{"$count":"n"}]}"#;

pub(crate) fn rows() -> Vec<Row> {
    let row = |name: &str, program| Row::program(name, program).document(doc! { "_id": 1, "n": 0 });
    vec![
        row("thirty_two_slow_reads_of_one_connection", |spot| {
            Box::pin(slow_reads(spot, 32))
        }),
        row("sixty_four_slow_reads_of_one_connection", |spot| {
            Box::pin(slow_reads(spot, 64))
        }),
        row("slow_reads_whose_clients_have_left", |spot| {
            Box::pin(left_behind(spot))
        }),
        row("a_file_compressed_for_sixteen", |spot| Box::pin(compressed(spot))),
        row("a_document_that_another_program_writes_to", |spot| {
            Box::pin(conflicts(spot))
        }),
        row("a_document_that_another_program_holds", |spot| {
            Box::pin(held(spot))
        }),
        row("sixty_four_writes_that_fail", |spot| {
            Box::pin(failing_writes(spot))
        }),
    ]
}

/// Sends slow reads. They take longer than any client waits, and other clients read at the same
/// time. Then the client leaves, and MongoDB must stop all work for which no client waits.
async fn slow_reads(spot: Spot, count: usize) -> Result<()> {
    let mut slow = Caller::open(&spot.url).await?;
    for _ in 0..count {
        slow.send(&spot.own(SLOW), Some(60_000)).await?;
    }
    at_work(&spot).await?;
    others_read(&spot).await?;
    drop(slow);
    none_left(&spot).await
}

async fn left_behind(spot: Spot) -> Result<()> {
    for _ in 0..70 {
        let mut caller = Caller::open(&spot.url).await?;
        caller.send(&spot.own(SLOW), Some(60_000)).await?;
    }
    others_read(&spot).await?;
    none_left(&spot).await
}

async fn others_read(spot: &Spot) -> Result<()> {
    let mut other = Caller::open(&spot.url).await?;
    for _ in 0..20 {
        other
            .reply(&spot.own(r#"{"find":"BAD","filter":{"n":0}}"#))
            .await?;
    }
    Ok(())
}

/// Waits until MongoDB works on some of them.
async fn at_work(spot: &Spot) -> Result<()> {
    bellwether_testkit::wait_until("slow reads to begin", async || {
        ensure!(under_way(spot).await? > 0, "MongoDB works on none");
        Ok(())
    })
    .await
}

/// Waits until MongoDB works on none of them any more, though each has most of a minute left.
async fn none_left(spot: &Spot) -> Result<()> {
    for _ in 0..100 {
        if under_way(spot).await? == 0 {
            return Ok(());
        }
        others_read(spot).await?;
    }
    bail!("MongoDB still works on {} of them", under_way(spot).await?)
}

async fn under_way(spot: &Spot) -> Result<usize> {
    let current = doc! { "currentOp": 1, "command.aggregate": &spot.collection };
    let found = spot.mongodb.database("admin").run_command(current).await?;
    Ok(found.get_array("inprog")?.len())
}

async fn compressed(spot: Spot) -> Result<()> {
    let mut clients = JoinSet::new();
    for _ in 0..16 {
        let port = spot.port;
        clients.spawn(async move {
            for _ in 0..3 {
                fetch(port).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(client) = clients.join_next().await {
        client??;
    }
    Ok(())
}

async fn fetch(port: u16) -> Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let request =
        format!("GET /large.wasm HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\nAccept-Encoding: gzip\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    ensure!(
        answer.starts_with(b"HTTP/1.") && answer.len() > 10_000,
        "{} bytes came",
        answer.len()
    );
    Ok(())
}

/// Runs another program whose writes all conflict with the client's; one of the client's is
/// executed in the end.
async fn conflicts(spot: Spot) -> Result<()> {
    let collection = spot
        .mongodb
        .database("app")
        .collection::<Document>(&spot.collection);
    let mut others = JoinSet::new();
    for _ in 0..4 {
        let collection = collection.clone();
        others.spawn(async move {
            loop {
                // It meets conflicts, too.
                let _ = collection
                    .update_one(doc! { "_id": 1 }, doc! { "$inc": { "n": 1 } })
                    .await;
            }
        });
    }
    let mut caller = Caller::open(&spot.url).await?;
    for _ in 0..10 {
        let update = r#"{"update":"BAD","updates":[{"q":{"_id":1},"u":{"$inc":{"mine":1}}}]}"#;
        let answer = caller.ask(&spot.own(update)).await?;
        let right = match &answer {
            ServerFrame::Result(_) => true,
            ServerFrame::Error(error) => {
                error.code == ErrorCode::Deadline && error.outcome == Outcome::NotExecuted
            }
            _ => false,
        };
        ensure!(right, "{}", shown(&answer));
    }
    Ok(())
}

/// Runs another program that has the document in a transaction that it does not end.
async fn held(spot: Spot) -> Result<()> {
    let app = spot.mongodb.database("app");
    let mut session = spot.mongodb.start_session().await?;
    session.start_transaction().await?;
    app.collection::<Document>(&spot.collection)
        .update_one(doc! { "_id": 1 }, doc! { "$inc": { "n": 1 } })
        .session(&mut session)
        .await?;
    let mut caller = Caller::open(&spot.url).await?;
    let update = spot.own(r#"{"update":"BAD","updates":[{"q":{"_id":1},"u":{"$inc":{"mine":1}}}]}"#);
    let id = caller.send(&update, Some(2000)).await?;
    let answer = caller.answer(id).await?;
    session.abort_transaction().await?;
    ensure!(
        matches!(&answer, ServerFrame::Error(error) if error.code == ErrorCode::Deadline && error.outcome == Outcome::NotExecuted),
        "{}",
        shown(&answer)
    );
    caller
        .reply(&update)
        .await
        .context("after it was let go")
        .map(drop)
}

/// Sends commands that fail on a connection, as many at a time as it may.
async fn failing_writes(spot: Spot) -> Result<()> {
    let mut caller = Caller::open(&spot.url).await?;
    let insert = spot.own(r#"{"insert":"BAD","documents":[{"_id":1}]}"#);
    let mut waiting = std::collections::VecDeque::new();
    for sent in 0..300 {
        if sent >= 60
            && let Some(id) = waiting.pop_front()
        {
            duplicate(&caller.answer(id).await?)?;
        }
        waiting.push_back(caller.send(&insert, None).await?);
        if sent % 100 == 0 {
            sleep(Duration::from_millis(1)).await;
        }
    }
    for id in waiting {
        duplicate(&caller.answer(id).await?)?;
    }
    Ok(())
}

fn duplicate(answer: &ServerFrame) -> Result<()> {
    let mongo = match answer {
        ServerFrame::Error(error) => error.mongo.as_ref(),
        _ => None,
    };
    ensure!(
        mongo.is_some_and(|mongo| mongo.code == 11000),
        "{}",
        shown(answer)
    );
    Ok(())
}
