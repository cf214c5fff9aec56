//! Bytes that RFC 6455 forbids, allows, or leaves open, one case after the other on one server. The
//! observed behaviour is the one in docs/websocket.md, and after each case the server serves the
//! next client.

mod cases;
mod observe;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use bellwether_testkit::{Cluster, ClusterOptions, ReplicaSet, execute, unless_stalled};
use observe::{Case, observe};

#[tokio::test(flavor = "multi_thread")]
async fn each_case_is_seen_as_documented_and_the_next_client_is_served() -> Result<()> {
    let set = ReplicaSet::start(1).await?;
    let mut options = ClusterOptions::steady(set.uri());
    options.servers = 1;
    // Short, since the tests wait until these times are over.
    let times = "--handshake-timeout-ms 1000 --hello-timeout-ms 1000 --ping-ms 500 --idle-timeout-ms 1500";
    options.args = times.split(' ').map(Into::into).collect();
    let mut cluster = Cluster::start_with(options).await?;

    let mut table = "| case | RFC 6455 | seen |\n|---|---|---|\n".to_owned();
    let mut wrong = Vec::new();
    for (place, case) in cases::all().into_iter().enumerate() {
        let Case { name, section, .. } = case;
        let server = &mut cluster.servers[0];
        let expected = case.seen;
        // If the machine stands still, the server closes a connection that is in order.
        let observed = unless_stalled(async || {
            let seen = observe(server.port, cases::all().swap_remove(place)).await?;
            ensure!(seen == expected, "{seen} instead of {expected}");
            Ok(())
        });
        if let Err(error) = observed.await {
            wrong.push(format!("{name}: {error:#}"));
        }
        writeln!(table, "| {name} | {section} | {expected} |")?;
        server.process.expect_running().context(name)?;
        let next = execute(&[server.url()], r#"{"count":"notes"}"#).await?;
        ensure!(next.is_ok(), "the next client after {name}: {next:?}");
    }
    println!("{table}");
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/websocket.md");
    let documented = fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
    ensure!(
        documented.contains(&table),
        "docs/websocket.md has another table than this; put this one there:\n{table}"
    );
    Ok(())
}
