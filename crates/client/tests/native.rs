//! The platform of ordinary programs, on real sockets.

mod hello;

use core::time::Duration;

use bellwether_client::native::Native;
use bellwether_client::{
    Closed, CommandText, ConnectError, Connection, OneShot, Platform, ServerList, ServerUrl, Stop,
};
use bellwether_protocol::{ClientFrame, CommandResult, RawJson, ServerFrame};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use hello::hello_ok;

async fn listen() -> (TcpListener, ServerUrl) {
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("the loopback works");
    let url = format!("{}", listener.local_addr().expect("the loopback works"))
        .parse()
        .expect("the loopback works");
    (listener, url)
}

/// Accepts one client, which must offer the subprotocol and no Origin.
async fn accept(listener: TcpListener) -> WebSocketStream<TcpStream> {
    let (stream, _) = listener.accept().await.expect("the loopback works");
    handshake(stream).await
}

async fn handshake(stream: TcpStream) -> WebSocketStream<TcpStream> {
    let check = |request: &Request, mut response: Response| {
        assert_eq!(request.uri().path(), "/v1");
        assert!(request.headers().get("origin").is_none());
        let offered = request.headers()["sec-websocket-protocol"].clone();
        assert_eq!(offered, "bellwether.v1");
        response.headers_mut().insert("sec-websocket-protocol", offered);
        Ok(response)
    };
    tokio_tungstenite::accept_hdr_async(stream, check)
        .await
        .expect("the loopback works")
}

#[tokio::test]
async fn talks_and_hears_why_the_server_closes() {
    let (listener, url) = listen().await;
    let server = tokio::spawn(async move {
        let mut socket = accept(listener).await;
        let heard = socket.next().await.unwrap().unwrap();
        socket.send(Message::Ping("x".into())).await.unwrap();
        socket
            .send(Message::text(format!("heard {heard}")))
            .await
            .unwrap();
        let frame = CloseFrame {
            code: 4403.into(),
            reason: "elsewhere".into(),
        };
        socket.close(Some(frame)).await.unwrap();
    });
    let mut connection = Native::new().connect(&url).await.unwrap();
    connection.send("hi".into()).await.unwrap();
    assert_eq!(connection.recv().await.unwrap(), "heard hi");
    let closed = connection.recv().await.unwrap_err();
    assert_eq!(
        closed,
        Closed {
            code: Some(4403),
            reason: "elsewhere".into()
        }
    );
    connection.close().await;
    server.await.unwrap();
}

#[tokio::test]
async fn says_why_there_is_no_connection() {
    let (listener, url) = listen().await;
    drop(listener);
    let error = Native::new().connect(&url).await.unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable(_)), "{error:?}");

    let (listener, url) = listen().await;
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        tokio_tungstenite::accept_async(stream).await.map(drop)
    });
    let error = Native::new().connect(&url).await.unwrap_err();
    assert!(
        matches!(error, ConnectError::BadEndpoint(_)),
        "no subprotocol: {error:?}"
    );
    let _ = server.await.unwrap();

    let (listener, url) = listen().await;
    let server = tokio::spawn(async move { drop(listener.accept().await.unwrap()) });
    let error = Native::new().connect(&url).await.unwrap_err();
    assert!(
        matches!(error, ConnectError::Unreachable(_)),
        "hung up: {error:?}"
    );
    server.await.unwrap();
}

/// Answers each request with this HTTP status, without an upgrade.
async fn answer_http(status: &'static str) -> ServerUrl {
    let (listener, url) = listen().await;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nLocation: /elsewhere\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    url
}

#[tokio::test]
async fn only_two_answers_of_http_are_lasting() {
    for status in [
        "200 OK",
        "301 Moved Permanently",
        "400 Bad Request",
        "401 Unauthorized",
        "403 Forbidden",
        "404 Not Found",
        "421 Misdirected Request",
        "426 Upgrade Required",
        "429 Too Many Requests",
        "500 Internal Server Error",
        "502 Bad Gateway",
        "503 Service Unavailable",
    ] {
        let error = Native::new()
            .connect(&answer_http(status).await)
            .await
            .unwrap_err();
        let number = &status[..3];
        assert!(error.to_string().contains(number), "{error}");
        let is_right = match number {
            "403" | "421" => matches!(error, ConnectError::BadEndpoint(_)),
            "503" => matches!(error, ConnectError::NoRoom(_)),
            _ => matches!(error, ConnectError::Unreachable(_)),
        };
        assert!(is_right, "{status}: {error:?}");
    }
}

#[tokio::test]
async fn a_list_that_http_refuses_is_tried_again_unless_that_lasts() {
    let command: CommandText = r#"{"find":"notes"}"#.parse().unwrap();
    // An attempt that must end by itself has time enough on a busy machine.
    let (long, short) = (Duration::from_secs(30), Duration::from_millis(300));
    for (status, stop, deadline) in [
        ("403 Forbidden", Stop::NoUse, long),
        ("421 Misdirected Request", Stop::NoUse, long),
        ("404 Not Found", Stop::Deadline, short),
        ("429 Too Many Requests", Stop::Deadline, short),
        ("503 Service Unavailable", Stop::Deadline, short),
    ] {
        let servers = ServerList::new([answer_http(status).await]).unwrap();
        let shot = OneShot::new(Native::new(), servers).deadline(deadline);
        let failure = shot.execute(&command, |_| {}).await.unwrap_err();
        assert_eq!(failure.stop, stop, "{status}: {failure}");
    }
}

#[tokio::test]
async fn an_attempt_can_be_spawned_and_survives_a_server_that_never_shakes_hands() {
    let (listener, url) = listen().await;
    let servers = ServerList::new([url]).unwrap();
    let shot = OneShot::new(Native::new(), servers).deadline(Duration::from_millis(200));
    let command: CommandText = r#"{"ping":1}"#.parse().unwrap();
    let attempt = tokio::spawn(async move { shot.execute(&command, |_| {}).await });
    let failure = attempt.await.unwrap().unwrap_err();
    assert_eq!(failure.code(), "connect_timeout");
    // The default deadline is 30 s.
    assert!(failure.took < Duration::from_secs(20));
    drop(listener);
}

/// Returns the answers of a coordinator of epoch 1 to a hello and to a command, or `None` for
/// other messages.
fn coordinator(message: &Message) -> Option<Message> {
    let answer = match ClientFrame::parse(message.to_text().ok()?).ok()? {
        ClientFrame::Hello(_) => ServerFrame::HelloOk(hello_ok()),
        ClientFrame::Command(command) => ServerFrame::Result(CommandResult {
            id: command.id,
            epoch: 1,
            replayed: true,
            result: RawJson::object(r#"{"n":1}"#).ok()?,
        }),
        _ => return None,
    };
    Some(Message::text(answer.to_json()))
}

#[tokio::test]
async fn a_connection_without_pongs_is_replaced_by_another_to_the_same_server() {
    let (listener, url) = listen().await;
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut cut = handshake(stream).await;
        for _ in 0..2 {
            let message = cut.next().await.unwrap().unwrap();
            if matches!(
                ClientFrame::parse(message.to_text().unwrap()),
                Ok(ClientFrame::Hello(_))
            ) {
                cut.send(coordinator(&message).unwrap()).await.unwrap();
            }
        }
        // The server reads nothing more here, so no pong comes. The connection stays open.
        let (stream, _) = listener.accept().await.unwrap();
        let mut second = handshake(stream).await;
        while let Some(Ok(message)) = second.next().await {
            if let Some(answer) = coordinator(&message) {
                second.send(answer).await.unwrap();
            }
        }
        drop(cut);
    });
    let command: CommandText = r#"{"insert":"notes","documents":[{"_id":1}]}"#.parse().unwrap();
    let shot = OneShot::new(Native::new(), ServerList::new([url]).unwrap());
    let executed = shot.execute(&command, |_| {}).await.unwrap();
    assert!(executed.replayed);
    server.await.unwrap();
}

#[tokio::test]
async fn a_server_that_answers_pings_keeps_the_command() {
    let (listener, url) = listen().await;
    let server = tokio::spawn(async move {
        let mut socket = accept(listener).await;
        let mut pings = 0;
        let mut answer = None;
        while let Some(Ok(message)) = socket.next().await {
            match message {
                // tungstenite itself answers the ping.
                Message::Ping(_) => pings += 1,
                message if answer.is_none() && message.is_text() => {
                    let said = coordinator(&message).unwrap();
                    if said.to_text().unwrap().contains("hello_ok") {
                        socket.send(said).await.unwrap();
                    } else {
                        answer = Some(said);
                    }
                }
                _ => {}
            }
            if pings == 2
                && let Some(answer) = answer.take()
            {
                socket.send(answer).await.unwrap();
            }
        }
        pings
    });
    let command: CommandText = r#"{"insert":"notes","documents":[{"_id":1}]}"#.parse().unwrap();
    let shot = OneShot::new(Native::new(), ServerList::new([url]).unwrap());
    let executed = shot.execute(&command, |_| {}).await.unwrap();
    assert_eq!(executed.attempts.len(), 1);
    assert!(server.await.unwrap() >= 2);
}
