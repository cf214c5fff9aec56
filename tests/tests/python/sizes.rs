use anyhow::Result;
use bellwether_protocol::{MAX_RESULT_BYTES, ServerFrame};
use bellwether_testkit::{Cluster, Connection, ReplicaSet, mint};

use crate::program::run;

/// A text of 2²¹ control characters and a quarter more, each of which is six bytes long in JSON.
const LONG: &str = r#"{"aggregate":"long","pipeline":[{"$project":{"_id":1,
  "a":{"$reduce":{"input":{"$range":[0,21]},"initialValue":"\u0001","in":{"$concat":["$$value","$$value"]}}},
  "b":{"$reduce":{"input":{"$range":[0,19]},"initialValue":"\u0001","in":{"$concat":["$$value","$$value"]}}}}}]}"#;

/// MongoDB quotes the text that is no number.
const QUOTED: &str = r#"{"aggregate":"long","pipeline":[{"$project":{
  "a":{"$toInt":{"$reduce":{"input":{"$range":[0,21]},"initialValue":"\u0001","in":{"$concat":["$$value","$$value"]}}}}}}]}"#;

/// docs/protocol.md states the length of the longest message of a server. The Python client takes
/// it.
#[tokio::test(flavor = "multi_thread")]
async fn the_longest_reply_is_taken() -> Result<()> {
    let set = ReplicaSet::start(1).await?;
    let mut cluster = Cluster::start_steady(set.uri()).await?;
    let servers = cluster.urls().join(",");
    let client = |command: &'static str| {
        let servers = servers.clone();
        async move { run(&["-m", "bellwether_client", "--servers", &servers, command]).await }
    };
    client(r#"{"insert":"long","documents":[{"_id":1}]}"#).await?;
    let printed = client(LONG).await?;
    assert!(printed.len() > 15_000_000);
    assert!(printed.len() <= 4 * MAX_RESULT_BYTES + 1024);

    let coordinator = cluster.all_agree().await?.coordinator;
    let (mut connection, hello) = Connection::greeted(&cluster.servers[coordinator].url()).await?;
    connection.command(mint(hello.server_time_ms), QUOTED).await?;
    assert_is_cut(connection.receive().await?);
    Ok(())
}

/// Checks that the error text is cut: it quotes a longer text.
fn assert_is_cut(answer: ServerFrame) {
    let ServerFrame::Error(error) = &answer else {
        panic!("it is no error: {answer:?}")
    };
    let start: String = error.message.chars().take(200).collect();
    let length = answer.to_json().len();
    assert!((16_000..1_000_000).contains(&length), "{length} bytes: {start}");
}
