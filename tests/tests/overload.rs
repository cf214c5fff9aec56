//! More commands, and slower readers, than the server has room for.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use bellwether_protocol::{ErrorCode, ErrorFrame, Outcome, RoleName, ServerFrame};
use bellwether_server::{ClientLimits, Config, Server};
use bellwether_testkit::{Cluster, ClusterOptions, Connection, ReplicaSet, mint, wait_until};
use bson::doc;
use tokio::time::sleep;
use tokio_tungstenite::tungstenite::Message;

const SMALL: &str = r#"{"find":"small"}"#;
const LARGE: &str = r#"{"find":"large"}"#;

#[tokio::test(flavor = "multi_thread")]
async fn greedy_connections_do_not_shut_out_a_modest_one() -> Result<()> {
    let set = ReplicaSet::start(1).await?;
    let mut options = ClusterOptions::steady(set.uri());
    options.servers = 1;
    let cluster = Cluster::start_with(options).await?;
    let url = cluster.servers[0].url();
    // Every batch takes long enough for the queue to fill.
    let admin = set.client().database("admin");
    let slow = doc! {
        "configureFailPoint": "failCommand",
        "mode": "alwaysOn",
        "data": {
            "failCommands": ["commitTransaction"],
            "appName": "bellwether",
            "blockConnection": true,
            "blockTimeMS": 200,
        },
    };
    admin.run_command(slow).await?;

    let done = Arc::new(AtomicBool::new(false));
    let refused = Arc::new(AtomicUsize::new(0));
    let greedy: Vec<_> = (0..40)
        .map(|_| tokio::spawn(be_greedy(url.clone(), Arc::clone(&done), Arc::clone(&refused))))
        .collect();
    wait_until("the queue to be full", async || {
        ensure!(refused.load(Ordering::SeqCst) > 0, "nobody was refused");
        Ok(())
    })
    .await?;
    let (mut modest, hello) = Connection::greeted(&url).await?;
    for n in 0..5 {
        let before = refused.load(Ordering::SeqCst);
        let insert = format!(r#"{{"insert":"modest","documents":[{{"_id":{n}}}]}}"#);
        modest.command(mint(hello.server_time_ms), &insert).await?;
        let answer = modest.receive().await?;
        ensure!(matches!(answer, ServerFrame::Result(_)), "{n}: {answer:?}");
        // The others are still too many.
        wait_until("another to be refused", async || {
            ensure!(refused.load(Ordering::SeqCst) > before, "nobody was refused");
            Ok(())
        })
        .await?;
    }
    done.store(true, Ordering::SeqCst);
    for connection in greedy {
        connection.await??;
    }
    Ok(())
}

/// Keeps as many commands waiting as it may, and ignores the server's requests to wait.
async fn be_greedy(url: String, done: Arc<AtomicBool>, refused: Arc<AtomicUsize>) -> Result<()> {
    let (mut connection, hello) = Connection::greeted(&url).await?;
    let insert = r#"{"insert":"greedy","documents":[{}]}"#;
    for _ in 0..64 {
        connection.command(mint(hello.server_time_ms), insert).await?;
    }
    while !done.load(Ordering::SeqCst) {
        if let ServerFrame::Error(error) = connection.receive().await? {
            ensure!(error.code == ErrorCode::Overloaded, "{error:?}");
            ensure!(error.outcome == Outcome::NotExecuted, "{error:?}");
            let retry_after = error.retry_after_ms.unwrap_or_default();
            ensure!((20..=5_000).contains(&retry_after), "{error:?}");
            refused.fetch_add(1, Ordering::SeqCst);
            sleep(Duration::from_millis(20)).await;
        }
        connection.command(mint(hello.server_time_ms), insert).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_nothing_is_dropped_and_others_are_served() -> Result<()> {
    let set = ReplicaSet::start(1).await?;
    let url = serve(&set, |limits| limits.send_timeout = Duration::from_secs(1)).await?;
    fill(&set).await?;
    let (mut slow, hello) = Connection::greeted(&url).await?;
    for _ in 0..40 {
        slow.command(mint(hello.server_time_ms), LARGE).await?;
    }
    let (mut other, _) = Connection::greeted(&url).await?;
    wait_until("the slow one to be dropped", async || {
        other.command(mint(hello.server_time_ms), SMALL).await?;
        let answer = other.receive().await?;
        ensure!(matches!(answer, ServerFrame::Result(_)), "{answer:?}");
        let sent = slow.send(Message::Ping(Vec::new().into())).await;
        ensure!(sent.is_err(), "it is still connected");
        Ok(())
    })
    .await
}

/// MongoDB's reply to a client waits in the server until the client takes it.
#[tokio::test(flavor = "multi_thread")]
async fn no_read_begins_for_a_client_that_takes_no_replies() -> Result<()> {
    let set = ReplicaSet::start(1).await?;
    let url = serve(&set, |limits| limits.send_timeout = Duration::from_secs(1)).await?;
    fill(&set).await?;
    let database = set.client().database("app");
    database.run_command(doc! { "profile": 2 }).await?;
    let (mut slow, hello) = Connection::greeted(&url).await?;
    for _ in 0..60 {
        slow.command(mint(hello.server_time_ms), LARGE).await?;
    }
    wait_until("the slow one to be dropped", async || {
        let sent = slow.send(Message::Ping(Vec::new().into())).await;
        ensure!(sent.is_err(), "it is still connected");
        Ok(())
    })
    .await?;
    let profile = database.collection::<bson::Document>("system.profile");
    let finds = profile
        .count_documents(doc! { "ns": "app.large", "op": "query" })
        .await?;
    // Some go into the buffers of the sockets, and a few begin before the server knows how large
    // the replies are.
    ensure!((1..=15).contains(&finds), "{finds} of 60 reads began");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_beyond_the_budget_are_refused_and_can_be_had_later() -> Result<()> {
    let set = ReplicaSet::start(1).await?;
    let url = serve(&set, |limits| {
        // One large reply, and nothing of 50 KB in addition.
        limits.reply_bytes = 3_630_000;
        limits.send_timeout = Duration::from_secs(600);
    })
    .await?;
    fill(&set).await?;
    let (mut slow, hello) = Connection::greeted(&url).await?;
    let (mut other, _) = Connection::greeted(&url).await?;
    // Once it takes no more, the reply that waits uses the budget up.
    let mut asked = 0;
    let refused = wait_until("the budget to be used up", async || {
        slow.command(mint(hello.server_time_ms), LARGE).await?;
        asked += 1;
        other.command(mint(hello.server_time_ms), LARGE).await?;
        overloaded(other.receive().await?)
    })
    .await?;
    assert_eq!(refused.outcome, Outcome::NotExecuted);
    // A reply as long as the last one is expected once more, and not a second time.
    wait_until("small ones to find room", async || {
        other.command(mint(hello.server_time_ms), SMALL).await?;
        let answer = other.receive().await?;
        ensure!(matches!(answer, ServerFrame::Result(_)), "{answer:?}");
        Ok(())
    })
    .await?;
    // A write has had its effect, and a repeat can ask for its reply.
    let count = r#"{"findAndModify":"middle","query":{"_id":1},"update":{"$inc":{"n":1}}}"#;
    let (id, refused) = wait_until("a write's reply to find no room", async || {
        slow.command(mint(hello.server_time_ms), LARGE).await?;
        asked += 1;
        let id = mint(hello.server_time_ms);
        other.command(id, count).await?;
        Ok((id, overloaded(other.receive().await?)?))
    })
    .await?;
    assert_eq!((refused.outcome, refused.id), (Outcome::Executed, Some(id)));

    let mut results = 0;
    for _ in 0..asked {
        match slow.receive().await? {
            ServerFrame::Result(_) => results += 1,
            other => {
                let refused = overloaded(other)?;
                assert_eq!(refused.outcome, Outcome::NotExecuted);
            }
        }
    }
    ensure!(results > 0, "{results} of {asked}");
    other.command(id, count).await?;
    let ServerFrame::Result(again) = other.receive().await? else {
        bail!("there is room now");
    };
    assert!(again.replayed);
    Ok(())
}

fn overloaded(frame: ServerFrame) -> Result<ErrorFrame> {
    match frame {
        ServerFrame::Error(error) if error.code == ErrorCode::Overloaded => {
            ensure!(error.retry_after_ms.is_some(), "{error:?}");
            Ok(error)
        }
        ServerFrame::Error(error) => bail!("{error:?}"),
        _ => bail!("it was not refused"),
    }
}

/// Starts a server in this process, and waits until it is coordinator.
async fn serve(set: &ReplicaSet, change: impl FnOnce(&mut ClientLimits)) -> Result<String> {
    let mut config = Config::new("s1".parse()?, set.uri());
    config.listen = "127.0.0.1:0".parse()?;
    config.peer_listen = "127.0.0.1:0".parse()?;
    // A busy machine should cause no election.
    config.election.timeout = Duration::from_secs(10);
    change(&mut config.limits);
    let server = Server::start(config).await?;
    let url = format!("ws://{}/v1", server.client_address());
    tokio::spawn(server.run(pending()));
    wait_until("the server to be coordinator", async || {
        let (_, hello) = Connection::greeted(&url).await?;
        ensure!(hello.role == RoleName::Coordinator, "it is {:?}", hello.role);
        Ok(())
    })
    .await?;
    Ok(url)
}

/// Documents for a reply of about 3.5 MB, for one of 50 KB, and for one of less than 1 KiB.
async fn fill(set: &ReplicaSet) -> Result<()> {
    let database = set.client().database("app");
    let document = |id: i32, bytes: usize| doc! { "_id": id, "text": "x".repeat(bytes) };
    let large = (0..4).map(|id| document(id, 900_000));
    database.collection("large").insert_many(large).await?;
    database
        .collection("middle")
        .insert_one(document(1, 50_000))
        .await?;
    database.collection("small").insert_one(document(1, 10)).await?;
    Ok(())
}
