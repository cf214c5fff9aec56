//! Input that no well-behaved client sends. Each gets a clear answer, and the server goes on
//! serving the next client.

use anyhow::{Context, Result, bail, ensure};
use bellwether_protocol::{CloseCode, ErrorCode, MAX_MESSAGE_BYTES, Outcome, ServerFrame};
use bellwether_testkit::{
    Cluster, ClusterOptions, Connection, ReplicaSet, Server, execute, http_get, mint, request,
};
use bson::{Document, doc};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderValue, header};

#[tokio::test(flavor = "multi_thread")]
async fn each_gets_a_clear_answer_and_the_next_client_is_served() -> Result<()> {
    let set = ReplicaSet::start(1).await?;
    let options = ClusterOptions {
        servers: 1,
        ..ClusterOptions::steady(set.uri())
    };
    let mut cluster = Cluster::start_with(options).await?;
    let server = &cluster.servers[0];

    frames(server).await.context("bad frames")?;
    order(server).await.context("frames out of order")?;
    handshakes(server).await.context("bad handshakes")?;
    commands(server).await.context("bad commands")?;
    let too_big = Message::text("x".repeat(MAX_MESSAGE_BYTES + 1));
    expect_close(greeted(server).await?, too_big, CloseCode::TooBig, None)
        .await
        .context("too big")?;
    silence(server).await.context("silence")?;

    cluster.servers[0].process.expect_running()?;
    let notes = set.client().database("app").collection::<Document>("notes");
    assert_eq!(notes.count_documents(doc! { "bad": true }).await?, 0);
    Ok(())
}

/// Messages after `hello` that end the connection.
async fn frames(server: &Server) -> Result<()> {
    let bad = Some(ErrorCode::BadFrame);
    for text in [
        "not JSON",
        "",
        "[]",
        "null",
        r#"{"type":"unheard-of"}"#,
        r#"{"type":7}"#,
        r#"{"id":1}"#,
        r#"{"type":"command","id":5,"command":{}}"#,
        r#"{"type":"command","command":{"find":"notes"}}"#,
        r#"{"type":"command","id":"f47ac10b-58cc-4372-a567-0e02b2c3d479","command":{"find":"notes"}}"#,
    ] {
        let connection = greeted(server).await?;
        expect_close(connection, Message::text(text), CloseCode::BadFrame, bad)
            .await
            .context(text)?;
        next_client_is_served(server).await.context(text)?;
    }
    let binary = Message::binary(br#"{"type":"hello"}"#.as_slice());
    expect_close(greeted(server).await?, binary, CloseCode::UnsupportedData, None)
        .await
        .context("binary")?;
    next_client_is_served(server).await
}

/// Frames that would be good at another moment.
async fn order(server: &Server) -> Result<()> {
    let command = format!(
        r#"{{"type":"command","id":"{}","command":{{"find":"notes"}}}}"#,
        mint(now_ms()?)
    );
    let connection = Connection::open(&server.url()).await?;
    expect_close(connection, Message::text(command), CloseCode::HelloRequired, None)
        .await
        .context("no hello")?;

    let hello = Message::text(r#"{"type":"hello"}"#);
    expect_close(greeted(server).await?, hello, CloseCode::TooMany, None)
        .await
        .context("hello twice")?;

    let other = Message::text(r#"{"type":"hello","cluster":"another"}"#);
    let connection = Connection::open(&server.url()).await?;
    let code = Some(ErrorCode::WrongCluster);
    expect_close(connection, other, CloseCode::WrongCluster, code)
        .await
        .context("another cluster")?;
    next_client_is_served(server).await
}

async fn handshakes(server: &Server) -> Result<()> {
    // A browser cannot read why a handshake failed, so this one succeeds and is closed with a code.
    let mut foreign = request(&server.url())?;
    foreign
        .headers_mut()
        .insert(header::ORIGIN, HeaderValue::from_static("http://evil.example"));
    let (code, frames) = Connection::open_with(foreign).await?.closed().await?;
    assert!(
        code == CloseCode::OriginNotAllowed.code() && frames.is_empty(),
        "{code} {frames:?}"
    );
    // A name that was made to lead here after the page was loaded from it.
    let mut rebound = request(&server.url())?;
    for (header, value) in [
        (header::ORIGIN, "http://evil.example"),
        (header::HOST, "evil.example"),
    ] {
        rebound
            .headers_mut()
            .insert(header, HeaderValue::from_static(value));
    }
    let (code, frames) = Connection::open_with(rebound).await?.closed().await?;
    assert!(
        code == CloseCode::OriginNotAllowed.code() && frames.is_empty(),
        "{code} {frames:?}"
    );
    let status = http_get(server.port, "/status", &[("Origin", "http://evil.example")]).await?;
    assert!(
        !status
            .headers
            .to_lowercase()
            .contains("access-control-allow-origin"),
        "{}",
        status.headers
    );

    let mut own = request(&server.url())?;
    let origin = format!("http://127.0.0.1:{}", server.port);
    own.headers_mut()
        .insert(header::ORIGIN, HeaderValue::from_str(&origin)?);
    Connection::open_with(own)
        .await
        .context("the server's own Origin")?;

    // A browser cannot read why a handshake failed, so this one succeeds and is closed with a code.
    let no_subprotocol = server.url().into_client_request()?;
    let (code, _) = Connection::open_with(no_subprotocol)
        .await?
        .closed()
        .await
        .context("no subprotocol")?;
    assert_eq!(code, CloseCode::UnsupportedProtocol.code());
    next_client_is_served(server).await
}

/// Commands that are refused, on a connection that goes on.
async fn commands(server: &Server) -> Result<()> {
    use ErrorCode::{BadCommand, CommandNotAllowed, TooDeep};
    let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let (mut connection, hello) = Connection::greeted(&server.url()).await?;
    for (command, code) in [
        ("[]".to_owned(), BadCommand),
        ("7".to_owned(), BadCommand),
        ("{}".to_owned(), BadCommand),
        (
            r#"{"insert":"notes","insert":"notes","documents":[{"bad":true}]}"#.to_owned(),
            BadCommand,
        ),
        (
            r#"{"insert":"notes","documents":[{"bad":true,"_id":{"$oid":"x"}}]}"#.to_owned(),
            BadCommand,
        ),
        (r#"{"dropDatabase":1}"#.to_owned(), CommandNotAllowed),
        (r#"{"eval":"1"}"#.to_owned(), CommandNotAllowed),
        (
            r#"{"find":"notes","filter":{"$where":"true"}}"#.to_owned(),
            CommandNotAllowed,
        ),
        (
            r#"{"find":"notes","filter":{"$or":[{"$where":"true"}]}}"#.to_owned(),
            CommandNotAllowed,
        ),
        (
            r#"{"find":"notes","filter":{"$expr":{"$function":{"body":"x","args":[],"lang":"js"}}}}"#
                .to_owned(),
            CommandNotAllowed,
        ),
        (
            r#"{"aggregate":"notes","pipeline":[{"$out":"elsewhere"}],"cursor":{}}"#.to_owned(),
            CommandNotAllowed,
        ),
        (
            r#"{"aggregate":"notes","pipeline":[{"$merge":"elsewhere"}],"cursor":{}}"#.to_owned(),
            CommandNotAllowed,
        ),
        (
            r#"{"insert":"notes","documents":[{"bad":true}],"writeConcern":{"w":0}}"#.to_owned(),
            CommandNotAllowed,
        ),
        (
            r#"{"insert":"notes","documents":[{"bad":true}],"$db":"admin"}"#.to_owned(),
            CommandNotAllowed,
        ),
        (
            format!(
                r#"{{"insert":"notes","documents":[{{"bad":true,"x":{}}}]}}"#,
                deep(10_000)
            ),
            TooDeep,
        ),
        (
            format!(
                r#"{{"insert":"notes","documents":[{{"bad":true,"x":{}}}]}}"#,
                deep(200)
            ),
            TooDeep,
        ),
    ] {
        let shown: String = command.chars().take(80).collect();
        let id = mint(hello.server_time_ms);
        connection.command(id, &command).await?;
        let ServerFrame::Error(error) = connection.receive().await.with_context(|| shown.clone())? else {
            bail!("{shown} was executed");
        };
        ensure!(error.code == code, "{shown}: expected {code}, not {error:?}");
        assert_eq!(error.outcome, Outcome::NotExecuted, "{shown}");
        assert_eq!(error.id, Some(id), "{shown}");
        assert!(!error.message.is_empty(), "{shown}");
    }
    // The same connection is still good.
    connection
        .command(mint(hello.server_time_ms), r#"{"find":"notes"}"#)
        .await?;
    ensure!(matches!(connection.receive().await?, ServerFrame::Result(_)));
    next_client_is_served(server).await
}

/// Checks that the server closes a connection whose client stays silent.
async fn silence(server: &Server) -> Result<()> {
    let (code, _) = Connection::open(&server.url()).await?.closed().await?;
    assert_eq!(code, CloseCode::Timeout.code());
    next_client_is_served(server).await
}

async fn greeted(server: &Server) -> Result<Connection> {
    Ok(Connection::greeted(&server.url()).await?.0)
}

/// Sends a message and expects the connection to be closed with this code, after an error frame if
/// one is named.
async fn expect_close(
    mut connection: Connection,
    message: Message,
    close: CloseCode,
    error: Option<ErrorCode>,
) -> Result<()> {
    connection.send(message).await?;
    let (code, frames) = connection.closed().await?;
    ensure!(
        code == close.code(),
        "closed with {code} instead of {close}, after {frames:?}"
    );
    if let Some(expected) = error {
        let [ServerFrame::Error(error)] = &frames[..] else {
            bail!("expected one error frame, not {frames:?}")
        };
        ensure!(
            error.code == expected && error.outcome == Outcome::NotExecuted,
            "{error:?}"
        );
        ensure!(!error.message.is_empty(), "{error:?}");
    }
    Ok(())
}

async fn next_client_is_served(server: &Server) -> Result<()> {
    execute(
        &[server.url()],
        r#"{"insert":"notes","documents":[{"good":true}]}"#,
    )
    .await??;
    Ok(())
}

fn now_ms() -> Result<u64> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    Ok(u64::try_from(now.as_millis())?)
}
