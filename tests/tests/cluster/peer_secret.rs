//! A program with the peer secret is a server of the cluster, and no other program is. The logs
//! name each refused program and the reason.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use bellwether_testkit::{
    Cluster, ClusterOptions, PeerSecretFiles, Process, Recipe, ReplicaSet, free_ports, http_get,
    server_program, wait_until,
};
use futures_util::{SinkExt, StreamExt};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{self, Message};

const OLD: &str = "the old secret, of 32 characters";
const NEW: &str = "the new secret, of 32 characters";

#[tokio::test]
async fn servers_with_the_same_secret_elect_and_it_is_replaced_without_a_gap() -> Result<()> {
    let set = ReplicaSet::start(1).await?;
    let options = ClusterOptions {
        secrets: PeerSecretFiles::Each(vec![OLD.to_owned(); 3]),
        ..ClusterOptions::steady(set.uri())
    };
    let mut cluster = Cluster::start_with(options).await?;
    all_linked(&cluster).await?;
    for secrets in [
        format!("{OLD}\n{NEW}\n"),
        format!("{NEW}\n{OLD}\n"),
        NEW.to_owned(),
    ] {
        for index in 0..3 {
            let server = &mut cluster.servers[index];
            fs::write(&server.secrets, &secrets)?;
            server.process.terminate()?;
            server.process.ended().await?;
            server.process.restart()?;
            // With those that have the file of before, too.
            cluster.all_agree().await?;
            all_linked(&cluster).await?;
        }
    }
    for server in &cluster.servers {
        let log = server.process.log_text();
        assert!(!log.contains("secrets differ"), "{log}");
        assert!(!log.contains("secret, of"), "{log}");
    }
    Ok(())
}

#[tokio::test]
async fn who_does_not_belong_is_kept_out_and_both_logs_say_why() -> Result<()> {
    let set = ReplicaSet::start(1).await?;
    let ports = free_ports(2)?;
    let options = ClusterOptions {
        servers: 2,
        secrets: PeerSecretFiles::Each(vec![OLD.to_owned(); 2]),
        args: vec![
            "--peer".into(),
            format!("s3=127.0.0.1:{},s4=127.0.0.1:{}", ports[1], 1).into(),
        ],
        ..ClusterOptions::steady(set.uri())
    };
    let mut cluster = Cluster::start_with(options).await?;
    let epoch = cluster.all_agree().await?.epoch;
    let dir = TempDir::new()?;
    let peers = [0, 1].map(|index| {
        let server = &cluster.servers[index];
        format!("{}=127.0.0.1:{}", server.id, server.peer_port)
    });
    let (old, new) = (dir.path().join("old"), dir.path().join("new"));
    fs::write(&old, OLD)?;
    fs::write(&new, NEW)?;

    // The same reasons are in the logs of the cluster and in the log of the refused server. A
    // server that has proven that it has the secret gets the full reason. Any other server gets no
    // names, so its log adds the cluster and server that it has tried.
    let elsewhere = || ["--cluster".into(), "elsewhere".into()];
    let other_cluster = r#"s3 belongs to cluster "elsewhere" and s1 to "bellwether""#;
    let tried = r#"this server is s3 of cluster "bellwether", and wanted to reach s1"#;
    for (name, id, args, reason, told) in [
        (
            "wrong-secret",
            "s3",
            vec![secret(&new)],
            "the peer secrets differ: give s3 and s1 the same --peer-secret-file",
            vec!["the peer secrets differ", tried],
        ),
        (
            "no-secret",
            "s3",
            vec![],
            "s3 has no peer secret and s1 has one: give both the same --peer-secret-file",
            vec!["one of the two servers has no peer secret", tried],
        ),
        (
            "wrong-cluster",
            "s3",
            vec![secret(&old), elsewhere()],
            other_cluster,
            vec![other_cluster],
        ),
        (
            "wrong-cluster-and-secret",
            "s3",
            vec![secret(&new), elsewhere()],
            other_cluster,
            vec![
                "the address leads to another cluster",
                r#"s3 of cluster "elsewhere""#,
            ],
        ),
        (
            "wrong-id",
            "s5",
            vec![secret(&old)],
            "s5 is not a peer of s1",
            vec!["s5 is not a peer of s1"],
        ),
    ] {
        let mut all: Vec<OsString> = vec!["--id".into(), id.into()];
        for (option, value) in [
            // The largest of all: it would be coordinator, if the others accepted it.
            ("--number", u64::MAX.to_string()),
            ("--mongodb-uri", set.uri()),
            ("--peer", peers.join(",")),
            ("--listen", format!("127.0.0.1:{}", ports[0])),
            ("--peer-listen", format!("127.0.0.1:{}", ports[1])),
        ] {
            all.extend([option.into(), value.into()]);
        }
        all.extend(args.into_iter().flatten());
        let mut stranger = Process::start(Recipe {
            name: name.to_owned(),
            launcher: Vec::new(),
            program: server_program().await?,
            args: all,
            log: dir.path().join(name),
        })?;
        logged(
            &mut cluster.servers[0].process,
            &format!("refusing a peer: {reason}"),
        )
        .await?;
        for text in told {
            logged(&mut stranger, text).await?;
        }
        // During a rollout of a wrong secret, the first server with it must stop the rollout.
        wait_until(&format!("{name} to say that it does not stand"), async || {
            let ready = http_get(ports[0], "/readyz", &[]).await?;
            ensure!(
                ready.status == 503 && ready.body.contains("does not stand"),
                "{ready:?}"
            );
            Ok(())
        })
        .await?;
        ensure!(stranger.log_text().contains("does not stand"), "{name}");
        for index in [0, 1] {
            let status = cluster.servers[index].status().await?;
            let linked = status
                .peers
                .iter()
                .any(|peer| peer.server == "s3" && (peer.connected || peer.number.is_some()));
            ensure!(!linked, "{name}: {:?}", status.peers);
        }
        let log = stranger.log_text();
        ensure!(!log.contains("link up"), "{log}");
    }
    // It uses the same database, and takes nothing from them there.
    assert_eq!(cluster.all_agree().await?.epoch, epoch);
    Ok(())
}

#[tokio::test]
async fn another_version_is_named_on_both_sides_and_said_once() -> Result<()> {
    let set = ReplicaSet::start(1).await?;
    let newer = TcpListener::bind(("127.0.0.1", 0)).await?;
    let options = ClusterOptions {
        servers: 1,
        secrets: PeerSecretFiles::Each(vec![OLD.to_owned()]),
        args: vec![
            "--peer".into(),
            format!("s2=127.0.0.1:{}", newer.local_addr()?.port()).into(),
        ],
        ..ClusterOptions::steady(set.uri())
    };
    let mut cluster = Cluster::spawn(options).await?;
    let server = &mut cluster.servers[0];

    // As one that is dialled.
    let (mut stream, _) = newer.accept().await?;
    let mut request = [0; 1024];
    ensure!(stream.read(&mut request).await? > 0);
    stream
        .write_all(
            b"HTTP/1.1 400 Bad Request\r\nsec-websocket-protocol: bellwether-peer.v3\r\n\
              content-length: 0\r\n\r\n",
        )
        .await?;
    let spoken = "s2 speaks bellwether-peer.v3 and this server bellwether-peer.v2";
    logged(&mut server.process, spoken).await?;

    // And as one that dials, again and again.
    for _ in 0..20 {
        match dial(server.peer_port, "bellwether-peer.v3").await {
            Err(tungstenite::Error::Http(answer)) => assert_eq!(answer.status(), 400),
            other => bail!("not refused: {:?}", other.err()),
        }
    }
    for _ in 0..20 {
        let mut socket = dial(server.peer_port, "bellwether-peer.v2").await?;
        let hello = r#"{"cluster":"elsewhere","from":"s2","to":"s1"}"#;
        socket.send(Message::text(hello)).await?;
        let Some(Ok(Message::Close(Some(close)))) = socket.next().await else {
            bail!("not refused");
        };
        assert_eq!(u16::from(close.code), 4401);
        assert!(!close.reason.contains("s2"), "{close}");
    }
    let log = server.process.log_text();
    for line in [
        "refusing a peer: it speaks bellwether-peer.v3 and this server bellwether-peer.v2",
        r#"refusing a peer: s2 belongs to cluster "elsewhere" and s1 to "bellwether""#,
    ] {
        assert_eq!(log.matches(line).count(), 1, "{line}:\n{log}");
    }
    Ok(())
}

fn secret(path: &Path) -> [OsString; 2] {
    ["--peer-secret-file".into(), path.into()]
}

type Socket = tokio_tungstenite::WebSocketStream<tokio::net::TcpStream>;

async fn dial(port: u16, subprotocol: &'static str) -> Result<Socket, tungstenite::Error> {
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
    let mut request = format!("ws://127.0.0.1:{port}/").into_client_request()?;
    let subprotocol = HeaderValue::from_static(subprotocol);
    request
        .headers_mut()
        .insert("sec-websocket-protocol", subprotocol);
    Ok(tokio_tungstenite::client_async(request, stream).await?.0)
}

async fn logged(process: &mut Process, text: &str) -> Result<()> {
    let what = format!("{} to log {text:?}", process.name());
    wait_until(&what, async || {
        process.expect_running()?;
        process.log_text().contains(text).then_some(()).context("not yet")
    })
    .await
}

/// Waits until each server has a link to each.
async fn all_linked(cluster: &Cluster) -> Result<()> {
    wait_until("all links to be up", async || {
        for server in &cluster.servers {
            let peers = server.status().await?.peers;
            let linked = peers.iter().all(|peer| peer.connected);
            ensure!(linked, "{} sees {peers:?}", server.id);
        }
        Ok(())
    })
    .await
}
