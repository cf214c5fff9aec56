//! Nothing that a server says reaches the terminal of who runs `bellwether` as it is: it could clear the screen, forge
//! lines or hide text.

use std::process::{Command, Output, Stdio};

use bellwether_protocol::{
    ClientFrame, CommandFate, CommandId, CommandResult, CoordinatorHint, ErrorCode, ErrorFrame, HelloOk,
    Limits, MongoError, Outcome, RawJson, RoleName, ServerFrame,
};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

const INSERT: &str = r#"{"insert":"notes","documents":[{"text":"hi"}]}"#;
const ID: &str = "0198c5e2-7a60-7b3c-9d1e-3f2a5b6c7d01";

/// Clears the screen, rings, colours (in C1), forges a line, turns the direction of text, deletes.
const HOSTILE: &str =
    "\u{1b}[2J\u{7}\u{9b}31m\r\nbellwether: executed\t\u{202e}\u{2066}\u{200f}\u{61c}\u{7f}!";

/// The answer of a server to a hello, or to a command or a question with this id.
type Answer = fn(Option<CommandId>) -> Message;

async fn server(answer: Answer) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = listener.local_addr().expect("it is bound").to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let accept = |request: &Request, mut response: Response| {
                let offered = request.headers()["sec-websocket-protocol"].clone();
                response.headers_mut().insert("sec-websocket-protocol", offered);
                Ok(response)
            };
            let Ok(mut socket) = tokio_tungstenite::accept_hdr_async(stream, accept).await else {
                continue;
            };
            while let Some(Ok(Message::Text(text))) = socket.next().await {
                let id = match ClientFrame::parse(&text) {
                    Ok(ClientFrame::Command(command)) => Some(command.id),
                    Ok(ClientFrame::Outcome(query)) => Some(query.id),
                    _ => None,
                };
                let _ = socket.send(answer(id)).await;
            }
        }
    });
    address
}

async fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bellwether"));
    command
        .args(arguments)
        .env_remove("BELLWETHER_SERVERS")
        .env("XDG_CONFIG_HOME", env!("CARGO_TARGET_TMPDIR"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut command = tokio::process::Command::from(command);
    command.output().await.expect("the program starts")
}

/// Everything printed, which must hold nothing that a terminal obeys, and no forged line.
async fn printed(arguments: &[&str]) -> (String, String) {
    let output = run(arguments).await;
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the program prints UTF-8");
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    for c in [stdout.chars(), stderr.chars()].into_iter().flatten() {
        let obeyed = c.is_control() && c != '\n'
            || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        assert!(!obeyed, "{c:?} in {stdout:?} {stderr:?}");
    }
    let forged = stderr
        .lines()
        .any(|line| line.starts_with("bellwether: executed"));
    assert!(!forged, "{stderr}");
    (stdout, stderr)
}

fn frame(frame: &ServerFrame) -> Message {
    Message::text(frame.to_json())
}

fn hello(cluster: &str, role: RoleName, coordinator: Option<CoordinatorHint>) -> Message {
    let limits = Limits {
        max_message_bytes: 1 << 20,
        max_depth: 100,
        max_result_bytes: 1 << 22,
        max_deadline_ms: 60_000,
        retention_ms: 86_400_000,
    };
    frame(&ServerFrame::HelloOk(HelloOk {
        cluster: cluster.into(),
        server: HOSTILE.into(),
        role,
        epoch: Some(1),
        coordinator,
        server_time_ms: 1_795_000_000_000,
        limits,
    }))
}

fn coordinator() -> Message {
    hello("demo", RoleName::Coordinator, None)
}

fn hostile_hint() -> CoordinatorHint {
    CoordinatorHint {
        server: format!("not the one that answers{HOSTILE}"),
        url: Some(HOSTILE.into()),
    }
}

fn error(id: Option<CommandId>, code: ErrorCode) -> Message {
    let mut error = ErrorFrame::new(code, Outcome::NotExecuted, HOSTILE).with_hint(HOSTILE);
    error.id = id;
    error.coordinator = Some(hostile_hint());
    if code == ErrorCode::Mongo {
        error.mongo = Some(MongoError::new(11000, HOSTILE, HOSTILE));
    }
    frame(&ServerFrame::Error(error))
}

fn close() -> Message {
    // A close frame has room for 123 bytes.
    let reason = HOSTILE.into();
    Message::Close(Some(CloseFrame {
        code: 4400.into(),
        reason,
    }))
}

/// A reply whose strings hold everything that may stand in JSON as it is, and a blank that is none to a terminal.
fn hostile_json() -> String {
    let raw: String = HOSTILE.chars().filter(|c| *c >= ' ').collect();
    format!("{{\"{raw}\":\r\n\t\"{raw}\\u001b[2J\",\r\"d\":{{\"$numberInt\":\"1\"}}}}")
}

fn reply(id: CommandId) -> Message {
    let result = RawJson::object(&hostile_json()).expect("this is JSON");
    frame(&ServerFrame::Result(CommandResult {
        id,
        epoch: 1,
        replayed: false,
        result,
    }))
}

#[tokio::test]
async fn no_error_carries_what_a_terminal_obeys() {
    let answers: [(Answer, &str); 9] = [
        (
            |id| id.map_or_else(coordinator, |id| error(Some(id), ErrorCode::Mongo)),
            "MongoDB refused it",
        ),
        (
            |id| id.map_or_else(coordinator, |id| error(Some(id), ErrorCode::BadCommand)),
            "bad_command",
        ),
        (
            |id| id.map_or_else(coordinator, |id| error(Some(id), ErrorCode::NotCoordinator)),
            "not_coordinator",
        ),
        (|_| error(None, ErrorCode::WrongCluster), "wrong_cluster"),
        (
            |_| hello("demo", RoleName::Follower, Some(hostile_hint())),
            "is coordinator and is not on your list",
        ),
        (|_| hello(HOSTILE, RoleName::Coordinator, None), "another cluster"),
        (|_| close(), "did not understand"),
        (|id| id.map_or_else(coordinator, |_| close()), "no answer came"),
        (
            |id| id.map_or_else(coordinator, |_| Message::text(HOSTILE)),
            "answered something else",
        ),
    ];
    for (answer, says) in answers {
        let server = server(answer).await;
        let arguments = [
            "--servers",
            &server,
            "--cluster",
            "demo",
            "--timeout",
            "400ms",
            "-v",
            INSERT,
        ];
        let (stdout, stderr) = printed(&arguments).await;
        assert_eq!(stdout, "");
        assert!(stderr.contains(says), "{says}: {stderr}");
        let told = says == "answered something else" || stderr.contains("\\u001b[2J");
        assert!(told, "the text is shown, escaped: {stderr}");
    }
}

#[tokio::test]
async fn a_reply_keeps_its_value() {
    let server = server(|id| id.map_or_else(coordinator, reply)).await;
    let sent: serde_json::Value = serde_json::from_str(&hostile_json()).expect("this is JSON");
    for layout in [&[] as &[&str], &["--raw"], &["--relaxed"]] {
        let (stdout, _) = printed(&[&["--servers", &server, "-v", INSERT], layout].concat()).await;
        let mut shown: serde_json::Value = serde_json::from_str(&stdout).expect("this is JSON");
        if layout == ["--relaxed"] {
            shown["d"] = sent["d"].clone();
        }
        assert_eq!(shown, sent, "{layout:?}");
    }
}

#[tokio::test]
async fn what_became_of_a_command_is_shown_the_same_way() {
    let answer: Answer = |id| {
        id.map_or_else(coordinator, |id| {
            frame(&ServerFrame::Fate(CommandFate {
                id,
                outcome: Outcome::Executed,
                epoch: Some(1),
                result: RawJson::object(&hostile_json()).ok(),
            }))
        })
    };
    let server = server(answer).await;
    let (stdout, stderr) = printed(&["outcome", "--servers", &server, ID]).await;
    assert!(stdout.contains("\\u009b31m"), "{stdout}");
    assert!(stderr.contains("executed in epoch 1"), "{stderr}");
}

#[tokio::test]
async fn neither_http_nor_files_reach_the_terminal() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let server = listener.local_addr().expect("it is bound").to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let answer = format!("HTTP/1.1 418 \u{1b}[2J\r\nServer: \u{1b}[2J\r\n\r\n{HOSTILE}");
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    let (_, stderr) = printed(&["--servers", &server, "--timeout", "300ms", "-v", INSERT]).await;
    assert!(stderr.contains(&server), "{stderr}");

    let file = format!("{}/hostile-servers", env!("CARGO_TARGET_TMPDIR"));
    std::fs::write(&file, "127.0.0.1\u{1b}[2J:1\u{202e}").expect("the file can be written");
    let (_, stderr) = printed(&["--servers-file", &file, INSERT]).await;
    assert!(stderr.contains("\\u001b[2J"), "{stderr}");
}
