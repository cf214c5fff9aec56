//! No text of a server reaches the terminal of `bellwether` as it is: it could clear the screen,
//! forge lines or hide text.

mod scripted;

use bellwether_protocol::{
    ClientFrame, CommandId, CommandResult, CoordinatorHint, ErrorCode, ErrorFrame, HelloOk, MongoError,
    MongoErrorDetails, Outcome, OutcomeResult, RawJson, RoleName, ServerFrame,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use scripted::{INSERT, bellwether, finish, hello_ok, message, serve, texts};

const ID: &str = "0198c5e2-7a60-7b3c-9d1e-3f2a5b6c7d01";

/// Clears the screen, rings, colours (in C1), forges a line, turns the direction of text, deletes.
const HOSTILE: &str =
    "\u{1b}[2J\u{7}\u{9b}31m\r\nbellwether: executed\t\u{202e}\u{2066}\u{200f}\u{61c}\u{7f}!";

/// The answer of a server to a hello, or to a command or a question with this id.
type Answer = fn(Option<CommandId>) -> Message;

async fn server(answer: Answer) -> String {
    serve(move |frame| {
        Some(answer(match frame {
            ClientFrame::Hello(_) => None,
            ClientFrame::Command(command) => Some(command.id),
            ClientFrame::Outcome(query) => Some(query.id),
            other => panic!("{other:?}"),
        }))
    })
    .await
}

/// Everything printed, which must hold nothing that a terminal obeys, and no forged line.
async fn printed(arguments: &[&str]) -> (String, String) {
    let (_, stdout, stderr) = texts(&finish(bellwether(arguments)).await);
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

fn hello(cluster: &str, role: RoleName, coordinator: Option<CoordinatorHint>) -> Message {
    message(&ServerFrame::HelloOk(HelloOk {
        cluster: cluster.into(),
        server: HOSTILE.into(),
        role,
        coordinator,
        ..hello_ok()
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
    message(&ServerFrame::Error(error))
}

fn close() -> Message {
    // A close frame has room for 123 bytes.
    let reason = HOSTILE.into();
    Message::Close(Some(CloseFrame {
        code: 4400.into(),
        reason,
    }))
}

/// A reply whose strings hold everything that may stand in JSON as it is, and a blank that is none
/// to a terminal.
fn hostile_json() -> String {
    let raw: String = HOSTILE.chars().filter(|c| *c >= ' ').collect();
    format!("{{\"{raw}\":\r\n\t\"{raw}\\u001b[2J\",\r\"d\":{{\"$numberInt\":\"1\"}}}}")
}

fn reply(id: CommandId) -> Message {
    let result = RawJson::object(&hostile_json()).expect("this is JSON");
    message(&ServerFrame::Result(CommandResult {
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
            "5s",
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
            message(&ServerFrame::OutcomeResult(OutcomeResult {
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

#[tokio::test]
async fn no_argument_reaches_the_terminal_as_it_is() {
    let option = format!("--{HOSTILE}");
    let assigned = format!("--timeout={HOSTILE}");
    let in_one_line = HOSTILE.replace(['\r', '\n'], "");
    for arguments in [
        &["--servers", "h:1", INSERT, HOSTILE] as &[&str],
        &["--servers", HOSTILE, INSERT],
        &["--servers", "h:1", &option, INSERT],
        &["--servers", "h:1", &assigned, INSERT],
        &["--servers", "h:1", "--timeout", HOSTILE, INSERT],
        &["--servers", "h:1", "--timeout", &in_one_line, INSERT],
        &["--servers", "h:1", "--id", HOSTILE, INSERT],
        &["--servers", "h:1", "--id", &in_one_line, INSERT],
        &["--servers", "h:1", "--file", HOSTILE],
        &["--servers-file", HOSTILE, INSERT],
        &["--servers", "h:1", "outcome", HOSTILE],
        &["--servers", "h:1", "outcome", ID, HOSTILE],
    ] {
        let (stdout, stderr) = printed(arguments).await;
        assert_eq!(stdout, "");
        assert!(stderr.contains("[2J"), "the argument is shown, escaped: {stderr}");
        assert_eq!(finish(bellwether(arguments)).await.status.code(), Some(2));
    }
}

#[cfg(unix)]
#[tokio::test]
async fn an_argument_that_is_not_utf_8_is_an_error_like_others() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    for arguments in [&["--servers", "h:1"] as &[&str], &["--servers", "h:1", "--id"]] {
        let mut command = bellwether(arguments);
        command.arg(OsStr::from_bytes(b"\xff\x1b[2J"));
        let (code, stdout, stderr) = texts(&finish(command).await);
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{stderr}");
        assert!(!stderr.contains('\u{1b}'), "{stderr:?}");
    }
}

#[tokio::test]
async fn details_of_an_error_are_shown_and_hold_nothing_that_a_terminal_obeys() {
    let answer: Answer = |id| {
        id.map_or_else(coordinator, |id| {
            let json = |text: &str| Some(RawJson::from_trusted(text.into()));
            let mut details = MongoErrorDetails::default();
            details.err_info =
                json(r#"{"failingDocumentId":{"$numberInt":"1"},"details":{"operatorName":"$jsonSchema"}}"#);
            details.key_pattern = json(r#"{"email":{"$numberInt":"1"}}"#);
            details.key_value = json(&format!("{{\"email\":{}}}", hostile_json()));
            details.write_errors = json(r#"[{"index":{"$numberInt":"0"},"errmsg":"no"}]"#);
            let mut mongo = MongoError::new(11000, "DuplicateKey", "duplicate key");
            mongo.details = Some(Box::new(details));
            let mut error = ErrorFrame::new(ErrorCode::Mongo, Outcome::NotExecuted, "refused");
            error.mongo = Some(mongo);
            message(&ServerFrame::Error(error.for_command(id)))
        })
    };
    let server = server(answer).await;
    let (_, stderr) = printed(&["--servers", &server, INSERT]).await;
    for shown in [
        "errInfo: {",
        "\"operatorName\": \"$jsonSchema\"",
        "keyPattern: {\"email\": {\"$numberInt\": \"1\"}}",
        "keyValue: {",
        "\\u001b[2J",
        "\\u009b31m",
        "writeErrors: [{\"index\": {\"$numberInt\": \"0\"}, \"errmsg\": \"no\"}]",
    ] {
        assert!(stderr.contains(shown), "{shown}: {stderr}");
    }
    let (_, stderr) = printed(&["--servers", &server, "--relaxed", INSERT]).await;
    assert!(stderr.contains("keyPattern: {\"email\": 1}"), "{stderr}");
}
