use std::fs;

use anyhow::{Context, Result};
use bellwether_testkit::{Cluster, ReplicaSet, code_blocks};

use crate::program::{project, run};

/// The example in the README behaves as the README says, and so does the program for a terminal.
#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_inserts_and_reads() -> Result<()> {
    let set = ReplicaSet::start(1).await?;
    let cluster = Cluster::start_steady(set.uri()).await?;
    let readme = fs::read_to_string(project().join("README.md"))?;
    let examples = code_blocks(&readme).into_iter();
    let example = examples
        .filter(|block| block.info == "python")
        .map(|block| block.text)
        .next()
        .context("the README has no example")?;
    let mut example = example;
    for (port, server) in [7001, 7002, 7003].into_iter().zip(&cluster.servers) {
        example = example.replace(&format!("127.0.0.1:{port}"), &server.address().to_string());
    }
    let printed = run(&["-c", &example]).await?;
    assert!(printed.starts_with("hello in epoch "), "{printed}");

    let servers = cluster.urls().join(",");
    let count = [
        "-m",
        "bellwether_client",
        "--servers",
        &servers,
        r#"{"count": "notes"}"#,
    ];
    assert_eq!(
        run(&count).await?.trim(),
        r#"{"n": {"$numberInt": "1"}, "ok": {"$numberDouble": "1.0"}}"#
    );
    Ok(())
}
