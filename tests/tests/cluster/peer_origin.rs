//! A web page, in the browser of a user who runs servers on this machine. It cannot become a peer,
//! learn the cluster's names or write to the database. This is true for servers with and without a
//! peer secret.

use std::fs;

use anyhow::{Context, Result, bail, ensure};
use bellwether_testkit::{
    Browser, Cluster, ClusterOptions, Connection, FileServer, PeerSecretFiles, ReplicaSet, Server, http_get,
    request, wait_until,
};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// Origin of the attacker's page. It could as well be a port of this machine.
const EVIL: &str = "http://evil.example:8080";
/// Client URL that would make it a page of the cluster's own.
const EVIL_URL: &str = "ws://evil.example:8080/v1";
/// Name of the cluster. An attacker could not guess it.
const NAME: &str = "cluster-of-the-test";
/// The peer whose name the attacker uses. It does not run.
const PEER: &str = "peer-of-the-test";
const UNSECURED: &str = "no peer secret: any program on this machine can join this cluster as a peer";

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Starts one server whose only peer is not there.
async fn lone_server(set: &ReplicaSet, secrets: PeerSecretFiles) -> Result<Cluster> {
    let peer = format!("{PEER}=127.0.0.1:1");
    Cluster::start_with(ClusterOptions {
        servers: 1,
        secrets,
        allow_own_pages: false,
        args: ["--cluster", NAME, "--peer", &peer].map(Into::into).into(),
        ..ClusterOptions::steady(set.uri())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_step_of_a_page_that_wants_to_be_a_peer_fails() -> Result<()> {
    let set = ReplicaSet::start(1).await?;
    for secrets in [PeerSecretFiles::None, PeerSecretFiles::Shared] {
        let cluster = lone_server(&set, secrets.clone()).await?;
        let server = &cluster.servers[0];
        let unsecured = secrets == PeerSecretFiles::None;
        let warned = server.process.log_text().matches(UNSECURED).count();
        ensure!(warned == usize::from(unsecured), "warned {warned} times");

        a_browser_is_refused(server).await.context("as a browser")?;
        no_answer_names_anybody(server).await.context("learning names")?;
        // From here on the requests have what no page has: no Origin, and every name.
        let before = server.status().await?;
        if unsecured {
            a_peer_without_proof_opens_nothing(server).await?;
        } else {
            let mut socket = dial(server, None).await?;
            socket.send(Message::text(hello(NAME, PEER, "s1", None))).await?;
            let (code, reason) = closed(&mut socket).await?;
            ensure!(code == 4401, "{code} {reason}");
            ensure!(server.status().await?.peers == before.peers);
        }
        for page in [EVIL, "null", "http://evil.example"] {
            expect_no_page(server, page).await?;
        }
    }
    Ok(())
}

/// Checks that a server refuses a browser's handshake before it sends anything, and that the log
/// has one line about it.
async fn a_browser_is_refused(server: &Server) -> Result<()> {
    for _ in 0..20 {
        match dial(server, Some(EVIL)).await {
            Err(tungstenite::Error::Http(answer)) => {
                let body = String::from_utf8_lossy(answer.body().as_deref().unwrap_or_default()).into_owned();
                ensure!(
                    answer.status() == 403 && body.contains("for servers only"),
                    "{answer:?} {body}"
                );
                ensure!(!names_anybody(&format!("{answer:?} {body}")), "{answer:?} {body}");
            }
            other => bail!("not refused: {:?}", other.err()),
        }
    }
    let log = server.process.log_text();
    let said = log.matches("refusing a web page").count();
    ensure!(said == 1 && log.contains(EVIL), "said {said} times:\n{log}");
    Ok(())
}

/// Checks that no name is in the answers to requests that a page can send without an `Origin`, and
/// to hellos of any program.
async fn no_answer_names_anybody(server: &Server) -> Result<()> {
    for request in [
        "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nSec-Fetch-Mode: no-cors\r\n\r\n",
        "GET /status HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: null\r\nContent-Length: 0\r\n\r\n",
        "OPTIONS / HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://evil.example\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(("127.0.0.1", server.peer_port)).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        // It may be reset, since the server does not read a request that is none for it to its end.
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer);
        ensure!(
            !answer.starts_with("HTTP/1.1 2") && !names_anybody(&answer),
            "{answer}"
        );
    }
    for (cluster, from, to) in [
        ("guess", "guess", "guess"),
        (NAME, "guess", "s1"),
        (NAME, PEER, "guess"),
        ("guess", PEER, "s1"),
        (NAME, "s1", "s1"),
    ] {
        for nonce in [None, Some("0f".repeat(32))] {
            let mut socket = dial(server, None).await?;
            let hello = hello(cluster, from, to, nonce.as_deref());
            socket.send(Message::text(hello)).await?;
            let first = match socket.next().await.context("an answer")?? {
                Message::Text(challenge) => {
                    ensure!(!names_anybody(&challenge), "{challenge}");
                    let proof = json!({ "proof": "00".repeat(32) }).to_string();
                    socket.send(Message::text(proof)).await?;
                    socket.next().await.context("an answer")??
                }
                other => other,
            };
            let Message::Close(Some(close)) = first else {
                bail!("not refused: {first}");
            };
            ensure!(!names_anybody(&close.reason), "{cluster} {from} {to}: {close}");
        }
    }
    Ok(())
}

/// Checks a program without proof. Without a secret, a server accepts a program of this machine
/// that knows every name as a peer. That opens the server to no page.
async fn a_peer_without_proof_opens_nothing(server: &Server) -> Result<()> {
    let with_url =
        |url: &str| json!({ "cluster": NAME, "from": PEER, "to": "s1", "client_url": url }).to_string();
    for url in [
        "http://evil.example:8080",
        "ws://evil.example:8080/\u{1b}[2J",
        "evil.example",
    ] {
        let mut socket = dial(server, None).await?;
        socket.send(Message::text(with_url(url))).await?;
        let (code, reason) = closed(&mut socket).await?;
        ensure!(code == 4403 && reason.contains("client URL"), "{code} {reason}");
    }
    let mut socket = dial(server, None).await?;
    socket.send(Message::text(with_url(EVIL_URL))).await?;
    let answer = socket.next().await.context("the server's hello")??;
    ensure!(answer.is_text(), "{answer}");
    wait_until("the server to take it for a peer", async || {
        let peers = server.status().await?.peers;
        let told = peers.iter().any(|peer| peer.url.as_deref() == Some(EVIL_URL));
        ensure!(told, "{peers:?}");
        Ok(())
    })
    .await?;
    expect_no_page(server, EVIL).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_servers_page_reaches_the_peers_that_have_proven_themselves() -> Result<()> {
    let set = ReplicaSet::start(1).await?;
    for secrets in [PeerSecretFiles::Shared, PeerSecretFiles::None] {
        let proven = secrets == PeerSecretFiles::Shared;
        let cluster = Cluster::start_with(ClusterOptions {
            secrets,
            allow_own_pages: false,
            ..ClusterOptions::steady(set.uri())
        })
        .await?;
        let peers_known = async || {
            for server in &cluster.servers {
                let peers = server.status().await?.peers;
                ensure!(peers.iter().all(|peer| peer.url.is_some()), "{peers:?}");
            }
            Ok(())
        };
        wait_until("all servers to know each other's addresses", peers_known).await?;
        for page in &cluster.servers {
            for server in &cluster.servers {
                for host in ["127.0.0.1", "localhost", "[::1]"] {
                    let origin = format!("http://{host}:{}", page.port);
                    if proven || page.port == server.port {
                        open(server, &origin).await.with_context(|| origin.clone())?;
                    } else {
                        expect_no_page(server, &origin).await?;
                    }
                }
                expect_no_page(server, &format!("https://127.0.0.1:{}", page.port)).await?;
                expect_no_page(server, &format!("http://127.0.0.2.evil.example:{}", page.port)).await?;
            }
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_was_led_to_loopback_reads_nothing() -> Result<()> {
    let set = ReplicaSet::start(1).await?;
    let options = ClusterOptions {
        servers: 1,
        args: ["--client-url", "ws://db.example:7001/v1"].map(Into::into).into(),
        ..ClusterOptions::steady(set.uri())
    };
    let cluster = Cluster::start_with(options).await?;
    let port = cluster.servers[0].port;
    // A browser sends no Origin with a page's GET to the page's own origin.
    for path in ["/status", "/readyz", "/livez", "/"] {
        let answer = get(port, path, &format!("evil.example:{port}")).await?;
        ensure!(answer.starts_with("HTTP/1.1 421"), "{path}: {answer}");
        ensure!(
            !answer.contains("bellwether\"") && !answer.contains("s1"),
            "{answer}"
        );
    }
    for host in ["127.0.0.1", "localhost", "[::1]", "db.example"] {
        let answer = get(port, "/status", &format!("{host}:{port}")).await?;
        ensure!(answer.starts_with("HTTP/1.1 200"), "{host}: {answer}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_in_a_real_browser_gets_nowhere() -> Result<()> {
    let set = ReplicaSet::start(1).await?;
    let cluster = lone_server(&set, PeerSecretFiles::None).await?;
    let server = &cluster.servers[0];
    let dir = TempDir::new()?;
    fs::write(
        dir.path().join("index.html"),
        "<!doctype html><title>A page</title>",
    )?;
    let files = FileServer::start(dir.path()).await?;
    let browser = Browser::start().await?;
    browser.client().goto(&files.origin()).await?;
    // Each promise ends with all that the page gets to know.
    let attack = r#"
        const [peer, clients, done] = arguments;
        const socket = (url, protocol) => new Promise((settle) => {
            const socket = new WebSocket(url, protocol);
            let story = "";
            socket.onopen = () => story += "open, ";
            socket.onmessage = ({ data }) => story += `${data}, `;
            socket.onclose = (event) => settle(`${story}closed ${event.code} ${event.reason}`);
        });
        const read = (url, mode) => fetch(url, { mode }).then((answer) => answer.text(), () => "failed");
        Promise.all([
            socket(`ws://127.0.0.1:${peer}/`, "bellwether-peer.v2"),
            socket(`ws://localhost:${peer}/`, "bellwether-peer.v2"),
            socket(`ws://127.0.0.1:${clients}/v1`, "bellwether.v1"),
            read(`http://127.0.0.1:${peer}/`, "cors"),
            read(`http://127.0.0.1:${peer}/`, "no-cors"),
            read(`http://127.0.0.1:${clients}/status`, "cors"),
            read(`http://127.0.0.1:${clients}/status`, "no-cors"),
        ]).then(done);"#;
    let ports = vec![json!(server.peer_port), json!(server.port)];
    let learned = browser.client().execute_async(attack, ports).await?;
    let origin = files.origin();
    let told = format!("open, closed 4405 page not allowed: start the server with --allow-origin {origin}");
    let nothing = json!([
        "closed 1006 ",
        "closed 1006 ",
        told,
        "failed",
        "failed",
        "failed",
        "",
    ]);
    ensure!(learned == nothing, "{learned:#}");
    wait_until("the server to say that it has refused a page", async || {
        let log = server.process.log_text();
        let origin = files.origin();
        ensure!(
            log.contains("refusing a web page") && log.contains(&origin),
            "{log}"
        );
        Ok(())
    })
    .await?;

    // The same browser does connect to a permitted server: only the refusal has prevented the
    // connection.
    browser
        .client()
        .goto(&format!("http://127.0.0.1:{}/livez", server.port))
        .await?;
    let visit = r#"
        const [url, done] = arguments;
        const socket = new WebSocket(url, "bellwether.v1");
        socket.onopen = () => done("open");
        socket.onclose = () => done("closed");"#;
    let opened = browser
        .client()
        .execute_async(visit, vec![Value::from(server.url())])
        .await?;
    ensure!(opened == "open", "{opened}");
    browser.close().await
}

async fn dial(server: &Server, origin: Option<&'static str>) -> Result<Socket, tungstenite::Error> {
    let mut request = format!("ws://127.0.0.1:{}/", server.peer_port).into_client_request()?;
    let headers = request.headers_mut();
    headers.insert(
        "sec-websocket-protocol",
        HeaderValue::from_static("bellwether-peer.v2"),
    );
    if let Some(origin) = origin {
        headers.insert("origin", HeaderValue::from_static(origin));
    }
    Ok(connect_async(request).await?.0)
}

fn hello(cluster: &str, from: &str, to: &str, nonce: Option<&str>) -> String {
    let mut hello = json!({ "cluster": cluster, "from": from, "to": to });
    if let Some(nonce) = nonce {
        hello["nonce"] = nonce.into();
    }
    hello.to_string()
}

async fn closed(socket: &mut Socket) -> Result<(u16, String)> {
    match socket.next().await.context("an answer")?? {
        Message::Close(Some(close)) => Ok((close.code.into(), close.reason.to_string())),
        other => bail!("not refused: {other}"),
    }
}

/// Returns `true` if the cluster, a server or a peer is named.
fn names_anybody(text: &str) -> bool {
    let mut words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
    words.any(|word| [NAME, PEER, "s1"].contains(&word))
}

/// Opens a connection at the port for clients as a page from this origin would.
async fn open(server: &Server, origin: &str) -> tungstenite::Result<Connection> {
    let mut request = request(&server.url())?;
    let origin = HeaderValue::from_str(origin).map_err(tungstenite::http::Error::from)?;
    request.headers_mut().insert("origin", origin);
    Connection::open_with(request).await
}

/// Checks that a page from this origin may neither send commands nor read anything.
async fn expect_no_page(server: &Server, origin: &str) -> Result<()> {
    let (code, frames) = open(server, origin).await?.closed().await?;
    ensure!(
        code == 4405 && frames.is_empty(),
        "{origin} at {}: {code} {frames:?}",
        server.id
    );
    for path in ["/status", "/readyz"] {
        let answer = http_get(server.port, path, &[("Origin", origin)]).await?;
        let readable = answer.headers.to_lowercase().contains("access-control");
        ensure!(answer.status == 403 && !readable, "{origin}: {answer:?}");
    }
    Ok(())
}

/// Returns the answer to a request for this host.
async fn get(port: u16, path: &str, host: &str) -> Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
