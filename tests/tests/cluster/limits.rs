//! More connections than a server takes, and connections that take their time.

use std::future::pending;
use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bellwether_protocol::Status;
use bellwether_server::{ClientLimits, Config, Server};
use bellwether_testkit::{
    Cluster, ClusterOptions, RawSocket, ReplicaSet, execute, handshake, http_get, wait_until,
};
use futures_util::future::try_join_all;
use tempfile::TempDir;

const HERE: Ipv4Addr = Ipv4Addr::LOCALHOST;
const THERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

#[tokio::test]
async fn one_address_cannot_take_all_places() -> Result<()> {
    let port = serve(|config| config.limits.connections_per_address = Some(2)).await?;
    let first = RawSocket::greeted(port).await?;
    let _second = RawSocket::greeted(port).await?;
    is_refused(port, HERE, "this address is at its connection limit").await?;
    ensure!(upgrade(port, THERE).await?.contains(" 101 "), "another address");
    watchers_are_answered(port).await?;
    let status: Status = serde_json::from_str(&http_get(port, "/status", &[]).await?.body)?;
    ensure!(status.connections.refused >= 4, "{:?}", status.connections);

    drop(first);
    wait_until("a place to be free", async || {
        ensure!(upgrade(port, HERE).await?.contains(" 101 "), "not yet");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_full_server_says_so_and_is_watched_over_as_ever() -> Result<()> {
    let port = serve(|config| config.limits.connections = 2).await?;
    let _first = RawSocket::greeted(port).await?;
    let _second = RawSocket::greeted(port).await?;
    is_refused(port, HERE, "this server is at its connection limit").await?;
    is_refused(port, THERE, "this server is at its connection limit").await?;
    watchers_are_answered(port).await
}

#[tokio::test]
async fn many_who_are_refused_and_stay_do_not_keep_watchers_out() -> Result<()> {
    let port = serve(|config| config.limits.connections = 1).await?;
    let _first = RawSocket::greeted(port).await?;
    let mut silent = Vec::new();
    for _ in 0..400 {
        silent.push(RawSocket::connect(port).await?);
    }
    watchers_are_answered(port).await
}

#[tokio::test]
async fn an_address_that_many_share_has_no_limit_of_its_own() -> Result<()> {
    let port = serve(|config| {
        config.limits.connections_per_address = Some(1);
        config.limits.shared_addresses = vec!["127.0.0.1".parse().expect("an address")];
    })
    .await?;
    let mut greeted = Vec::new();
    for _ in 0..5 {
        greeted.push(RawSocket::greeted(port).await?);
    }
    let _only = RawSocket::connect_from(THERE, port).await?;
    is_refused(port, THERE, "this address is at its connection limit").await
}

/// The client of this repository takes it for a server that is not there.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_goes_from_a_full_server_to_the_next() -> Result<()> {
    let full = serve(|config| config.limits.connections = 1).await?;
    let _only = RawSocket::greeted(full).await?;
    let set = ReplicaSet::start(1).await?;
    let options = ClusterOptions {
        servers: 1,
        ..ClusterOptions::steady(set.uri())
    };
    let cluster = Cluster::start_with(options).await?;
    let urls = [format!("ws://127.0.0.1:{full}/v1"), cluster.servers[0].url()];
    execute(&urls, r#"{"insert":"notes","documents":[{}]}"#).await??;
    Ok(())
}

/// A client that asks for a page and reads nothing of it does not keep its connection permit.
#[tokio::test]
async fn a_page_that_nobody_reads_is_not_held_for_ever() -> Result<()> {
    let www = TempDir::new()?;
    // More than the sockets' buffers hold.
    std::fs::write(www.path().join("index.html"), vec![b'x'; 64 << 20])?;
    let port = serve(|config| {
        config.www = Some(www.path().to_owned());
        config.limits.connections = 1;
        config.limits.ping_every = Duration::from_millis(100);
        // Long enough for the next client to find the place taken, on a machine that stands still.
        config.limits.idle_timeout = Duration::from_secs(6);
        config.limits.send_timeout = Duration::from_secs(6);
    })
    .await?;
    let mut reader = RawSocket::connect(port).await?;
    reader.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await?;
    ensure!(reader.http_status().await? == 200);
    ensure!(
        !upgrade(port, HERE).await?.contains(" 101 "),
        "the place is taken"
    );
    wait_until("the place to be free", async || {
        ensure!(upgrade(port, HERE).await?.contains(" 101 "), "not yet");
        Ok(())
    })
    .await
}

/// Compression uses the threads that serve all clients, so the server compresses the page before
/// the first request.
#[tokio::test]
async fn a_page_is_compressed_before_it_is_asked_for() -> Result<()> {
    let www = TempDir::new()?;
    std::fs::write(www.path().join("index.html"), "<!doctype html>\n".repeat(10_000))?;
    let port = serve(|config| config.www = Some(www.path().to_owned())).await?;
    let answers = (0..16).map(|_| http_get(port, "/", &[("Accept-Encoding", "gzip")]));
    for answer in try_join_all(answers).await? {
        let headers = answer.headers.to_lowercase();
        ensure!(headers.contains("content-encoding: gzip"), "{headers}");
        ensure!(
            headers.contains("content-length: "),
            "its length is not known before it is sent: {headers}"
        );
    }
    Ok(())
}

/// Checks a refusal, as in a flood of connections: the answer is whole, and the connection ends.
async fn is_refused(port: u16, from: Ipv4Addr, says: &str) -> Result<()> {
    let answer = upgrade(port, from).await?;
    let head = answer.to_lowercase();
    ensure!(
        answer.starts_with("HTTP/1.1 503 ") && head.contains("retry-after: 1") && answer.contains(says),
        "{answer}"
    );
    Ok(())
}

async fn watchers_are_answered(port: u16) -> Result<()> {
    ensure!(http_get(port, "/livez", &[]).await?.status == 200);
    ensure!(http_get(port, "/status", &[]).await?.status == 200);
    let ready = http_get(port, "/readyz", &[]).await?;
    ensure!(ready.status == 503 && ready.body.contains("reason"), "{ready:?}");
    Ok(())
}

/// Returns the whole answer to a handshake until the connection ends, or the head of the answer if
/// the server accepts it.
async fn upgrade(port: u16, from: Ipv4Addr) -> Result<String> {
    let mut socket = RawSocket::connect_from(from, port).await?;
    socket.send(handshake(port).as_bytes()).await?;
    let head = socket.http_head().await?.context("no answer")?;
    if head.contains(" 101 ") {
        return Ok(head);
    }
    Ok(head + &socket.rest().await?)
}

/// Starts a server in this process, which greets without MongoDB; returns its port.
async fn serve(change: impl FnOnce(&mut Config)) -> Result<u16> {
    let mut config = Config::new("s1".parse()?, "mongodb://127.0.0.1:1/?replicaSet=rs0");
    config.listen = "127.0.0.1:0".parse()?;
    config.peer_listen = "127.0.0.1:0".parse()?;
    config.limits = ClientLimits::default();
    change(&mut config);
    let server = Server::start(config).await?;
    let port = server.client_address().port();
    tokio::spawn(server.run(pending()));
    Ok(port)
}
