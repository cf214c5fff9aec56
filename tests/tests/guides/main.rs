//! Runs the pages in `docs/` for users of Bellwether.
//!
//! - A block `sh` is run by Bash; all blocks of a page by one shell, in order. It must succeed. If
//!   a block `output` follows, it must print that instead; `…` stands for any text.
//! - A block with the name of a file, such as `html guestbook/index.html`, is written to that file.
//! - A block `sh build` builds the programs. It is not run: the test command has built them.
//!
//! Servers and ports are those of the page. The address is not: 127.0.0.1 becomes another address
//! of loopback, so that nothing else has the ports.

mod limits;
mod links;
mod page;
mod reference;
mod shell;
mod texts;
mod tutorial;

use anyhow::Result;
use bellwether_testkit::{Cluster, ClusterOptions, Host, ReplicaSet};

use page::Page;
use shell::Shell;

#[tokio::test(flavor = "multi_thread")]
async fn migrating_from_the_data_api() -> Result<()> {
    with_servers("migrating-from-the-data-api.md").await
}

#[tokio::test(flavor = "multi_thread")]
async fn command_reference() -> Result<()> {
    with_servers("command-reference.md").await
}

#[tokio::test(flavor = "multi_thread")]
async fn limits() -> Result<()> {
    with_servers("limits.md").await
}

#[tokio::test(flavor = "multi_thread")]
async fn faq() -> Result<()> {
    with_servers("faq.md").await
}

#[tokio::test(flavor = "multi_thread")]
async fn security() -> Result<()> {
    with_servers("security.md").await
}

/// Runs a page that expects the tutorial's servers, of which `s1` is the coordinator.
async fn with_servers(name: &str) -> Result<()> {
    let page = Page::read(name)?;
    let set = ReplicaSet::start(1).await?;
    let shell = Shell::start(set.uri()).await?;
    let host = Host {
        address: shell.address(),
        ..Host::default()
    };
    let _cluster = Cluster::start_with(ClusterOptions {
        hosts: vec![host; 3],
        ports: vec![7001, 7002, 7003, 7101, 7102, 7103],
        numbers: vec![3, 2, 1],
        allow_own_pages: false,
        // However busy this machine is, `s1` stays coordinator.
        args: ["--timeout-ms", "20000"].map(Into::into).into(),
        ..ClusterOptions::new(set.uri())
    })
    .await?;
    for step in page.steps()? {
        shell.perform(&step).await?;
    }
    Ok(())
}
