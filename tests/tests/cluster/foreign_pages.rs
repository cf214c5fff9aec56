//! Web pages that a server does not accept. Each gets the reason, learns nothing else and holds
//! nothing, and the log names its origin.

use std::net::Ipv4Addr;

use anyhow::{Context, Result, ensure};
use bellwether_testkit::{
    Cluster, ClusterOptions, Host, RawSocket, ReplicaSet, Server, handshake, http_get, opcode, wait_until,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Name of the cluster. An attacker could not guess it.
const NAME: &str = "cluster-of-the-test";
const EVIL: &str = "http://evil.example:8080";
const LINE: &str = "refusing a web page";

async fn one_server(args: &[&str]) -> Result<(ReplicaSet, Cluster)> {
    let set = ReplicaSet::start(1).await?;
    let all = ["--cluster", NAME].iter().chain(args);
    let cluster = Cluster::start_with(ClusterOptions {
        servers: 1,
        args: all.map(Into::into).collect(),
        ..ClusterOptions::steady(set.uri())
    })
    .await?;
    Ok((set, cluster))
}

/// Sends a handshake of a page, and a `hello` without waiting for the answer.
async fn knock(server: &Server, headers: &str) -> Result<RawSocket> {
    let mut socket = RawSocket::connect(server.port).await?;
    let handshake = handshake(server.port).replacen("\r\n\r\n", &format!("\r\n{headers}\r\n\r\n"), 1);
    socket.send(handshake.as_bytes()).await?;
    Ok(socket)
}

/// Returns the reason of the close frame, which must be all that the page is sent.
async fn reason(socket: &mut RawSocket) -> Result<String> {
    let head = socket.http_head().await?.context("no answer")?;
    ensure!(head.starts_with("HTTP/1.1 101"), "{head}");
    ensure!(!head.to_lowercase().contains("access-control"), "{head}");
    let frame = socket.frame().await?.context("no frame")?;
    ensure!(frame.opcode == opcode::CLOSE, "{frame:?}");
    let (code, reason) = frame.payload.split_at(2);
    ensure!(code == 4405_u16.to_be_bytes(), "{code:?}");
    let reason = String::from_utf8(reason.to_vec())?;
    ensure!(!reason.contains(NAME) && !reason.contains("s1"), "{reason}");
    Ok(reason)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_them_fills_neither_the_log_nor_the_places() -> Result<()> {
    let (_set, cluster) = one_server(&["--connections-per-address", "60"]).await?;
    let server = &cluster.servers[0];
    // They neither answer the close frame nor close the connection.
    let mut held = Vec::new();
    for _ in 0..50 {
        let mut socket = knock(server, &format!("Origin: {EVIL}")).await?;
        let reason = reason(&mut socket).await?;
        ensure!(reason.ends_with(&format!("--allow-origin {EVIL}")), "{reason}");
        held.push(socket);
    }
    // Requests of a page over HTTP keep no connection open either.
    for _ in 0..5 {
        let mut stream = TcpStream::connect(("127.0.0.1", server.port)).await?;
        let request = format!("GET /status HTTP/1.1\r\nHost: localhost\r\nOrigin: {EVIL}\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        ensure!(
            answer.starts_with("HTTP/1.1 403") && !answer.contains(NAME),
            "{answer}"
        );
    }
    wait_until("all places to be free", async || {
        let open = server.status().await?.connections.open;
        // This question's own is one.
        ensure!(open <= 1, "{open} are taken");
        Ok(())
    })
    .await?;
    drop(held);
    let log = server.process.log_text();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains(LINE)).collect();
    ensure!(lines.len() == 1, "{lines:#?}");
    ensure!(
        lines[0].contains("WARN") && lines[0].contains(&format!("--allow-origin {EVIL}")),
        "{lines:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_stays_on_its_line() -> Result<()> {
    let (_set, cluster) = one_server(&[]).await?;
    let server = &cluster.servers[0];
    // A control character makes it no HTTP at all.
    let mut socket = knock(server, "Origin: \u{1b}[2J").await?;
    let head = socket.http_head().await?.context("no answer")?;
    ensure!(head.starts_with("HTTP/1.1 400"), "{head}");
    let mut socket = knock(server, &format!("Origin: \u{202e}\tx{}", "y".repeat(5_000))).await?;
    let reason = reason(&mut socket).await?;
    ensure!(reason.is_ascii() && reason.len() <= 123, "{reason}");
    let log = server.process.log_text();
    let line = log.lines().find(|line| line.contains(LINE)).context("no line")?;
    ensure!(line.contains(r"\xe2\x80\xae\tx") && line.len() < 1_000, "{line}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn patterns_let_in_what_they_say() -> Result<()> {
    let allowed = "http://localhost:*,https://*.example.com,capacitor://localhost,moz-extension://*,file://";
    let (_set, cluster) = one_server(&["--allow-origin", allowed]).await?;
    let server = &cluster.servers[0];
    for origin in [
        "http://localhost:5173",
        "http://127.0.0.1",
        "https://a.b.example.com",
        "capacitor://localhost",
        "moz-extension://2c127fa4-62c7-7e4f-90e5-472b45eecfdc",
        "file://",
    ] {
        let answer = http_get(server.port, "/status", &[("Origin", origin)]).await?;
        let readable = format!("access-control-allow-origin: {origin}");
        let headers = answer.headers.to_lowercase();
        ensure!(
            answer.status == 200 && headers.contains(&readable),
            "{origin}: {answer:?}"
        );
    }
    for origin in [
        "https://localhost:5173",
        "https://example.com",
        "https://a.example.com.evil.example",
        "ionic://localhost",
        "null",
    ] {
        let mut socket = knock(server, &format!("Origin: {origin}")).await?;
        let reason = reason(&mut socket).await?;
        ensure!(reason.contains(origin), "{reason}");
        let answer = http_get(server.port, "/status", &[("Origin", origin)]).await?;
        ensure!(answer.status == 403, "{origin}: {answer:?}");
    }
    Ok(())
}

/// A server that listens beyond loopback, which answers programs under any name.
#[tokio::test(flavor = "multi_thread")]
async fn a_browser_reads_nothing_under_a_name_that_was_led_here() -> Result<()> {
    let set = ReplicaSet::start(1).await?;
    let everywhere = Host {
        address: Ipv4Addr::UNSPECIFIED,
        launcher: Vec::new(),
    };
    let cluster = Cluster::start_with(ClusterOptions {
        servers: 1,
        hosts: vec![everywhere],
        args: ["--cluster", NAME, "--client-url", "ws://db.example:7001/v1"]
            .map(Into::into)
            .into(),
        ..ClusterOptions::steady(set.uri())
    })
    .await?;
    let server = &cluster.servers[0];
    for path in ["/status", "/readyz", "/livez", "/", "/index.html"] {
        for fetch in [
            "Sec-Fetch-Site: same-origin",
            "Sec-Fetch-Site: none",
            "Sec-Fetch-Mode: cors",
        ] {
            let answer = get(server, path, &format!("Host: evil.example\r\n{fetch}")).await?;
            ensure!(
                answer.starts_with("HTTP/1.1 421") && !answer.contains(NAME),
                "{path} {fetch}: {answer}"
            );
        }
        let load = "Host: 127.0.0.1\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors";
        let answer = get(server, path, load).await?;
        ensure!(
            answer.starts_with("HTTP/1.1 403") && !answer.contains(NAME),
            "{path}: {answer}"
        );
    }
    // Load balancers, people with curl, and browsers that were led here by a link or use a name
    // that is known.
    for headers in [
        "Host: evil.example",
        "Host: evil.example\r\nUser-Agent: curl/8.0\r\nAccept: */*",
        "Host: db.example\r\nSec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors",
        "Host: 127.0.0.1\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document",
    ] {
        let answer = get(server, "/status", headers).await?;
        ensure!(
            answer.starts_with("HTTP/1.1 200") && answer.contains(NAME),
            "{headers}: {answer}"
        );
    }
    let log = server.process.log_text();
    ensure!(log.matches("refusing a request").count() == 1, "{log}");
    Ok(())
}

async fn get(server: &Server, path: &str, headers: &str) -> Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).await?;
    let request = format!("GET {path} HTTP/1.1\r\n{headers}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
