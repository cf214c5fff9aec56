//! The exit code of the program `bellwether` for each way in which a command can end without a
//! reply.

mod scripted;

use bellwether_protocol::{ClientFrame, CloseCode, ErrorCode, ErrorFrame, Outcome, ServerFrame};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use scripted::{INSERT, bellwether, finish, hello_ok, message, serve, texts};

const EARLIER: &str = "0198c5e2-7a60-7b3c-9d1e-3f2a5b6c7d01";

/// Starts a coordinator that answers each command in this way. Returns its address.
async fn coordinator(
    answer: impl Fn(bellwether_protocol::Command) -> Option<Message> + Send + 'static,
) -> String {
    serve(move |frame| match frame {
        ClientFrame::Hello(_) => Some(message(&ServerFrame::HelloOk(hello_ok()))),
        ClientFrame::Command(command) => answer(command),
        _ => None,
    })
    .await
}

/// Runs the program with little time. Runs it again with more time if its exit code is not the
/// expected one. A busy machine may let the short time pass. Returns the exit code and
/// the standard error of the last run.
async fn run(server: &str, more: &[&str], expected: i32) -> (i32, String) {
    let (exit, stderr) = run_within("300ms", server, more).await;
    if exit == expected {
        return (exit, stderr);
    }
    run_within("8s", server, more).await
}

async fn run_within(time: &str, server: &str, more: &[&str]) -> (i32, String) {
    let arguments = [&["--servers", server, "--timeout", time], more].concat();
    let (code, stdout, stderr) = texts(&finish(bellwether(&arguments)).await);
    assert_eq!(stdout, "", "{arguments:?}: {stderr}");
    (code.expect("the program ends by itself"), stderr)
}

/// Returns the exit code after this error: for a new command, and for a command that an earlier
/// call has sent.
fn expected(code: ErrorCode) -> (i32, i32) {
    match code {
        // The lookup of the id settles the earlier attempt.
        ErrorCode::Mongo => (3, 3),
        ErrorCode::ResultTooLarge => (3, 3),
        ErrorCode::IdReused => (2, 2),
        // The input is wrong, but the earlier attempt may have had its effect.
        ErrorCode::BadCommand | ErrorCode::CommandNotAllowed | ErrorCode::TooDeep => (2, 5),
        ErrorCode::IdExpired
        | ErrorCode::BadFrame
        | ErrorCode::ReplyNotKept
        | ErrorCode::Unauthenticated
        | ErrorCode::Forbidden => (3, 5),
        // Another attempt may do better.
        ErrorCode::NotCoordinator
        | ErrorCode::NoCoordinator
        | ErrorCode::Fenced
        | ErrorCode::Draining
        | ErrorCode::Overloaded
        | ErrorCode::DatabaseUnavailable
        | ErrorCode::Deadline
        | ErrorCode::WrongCluster
        | ErrorCode::Internal => (3, 4),
        _ => panic!("decide on an exit code for {code}"),
    }
}

#[tokio::test]
async fn each_error_of_a_server_has_its_exit_code() {
    for code in ErrorCode::ALL {
        let server = coordinator(move |command| {
            let error = ErrorFrame::new(code, Outcome::NotExecuted, "no").for_command(command.id);
            Some(message(&ServerFrame::Error(error)))
        })
        .await;
        let (new, earlier) = expected(code);
        let (exit, stderr) = run(&server, &[INSERT], new).await;
        assert_eq!(exit, new, "{code}: {stderr}");
        let (exit, stderr) = run(&server, &["--id", EARLIER, INSERT], earlier).await;
        assert_eq!(exit, earlier, "{code}, sent before: {stderr}");
    }
}

#[tokio::test]
async fn the_outcome_that_a_server_names_counts() {
    for (code, outcome, exit) in [
        (ErrorCode::ReplyNotKept, Outcome::Executed, 0),
        (ErrorCode::Overloaded, Outcome::Executed, 0),
        (ErrorCode::Mongo, Outcome::Unknown, 5),
        (ErrorCode::Fenced, Outcome::Unknown, 4),
        (ErrorCode::Internal, Outcome::Unknown, 4),
        (ErrorCode::Deadline, Outcome::Unknown, 4),
    ] {
        let server = coordinator(move |command| {
            let error = ErrorFrame::new(code, outcome, "no").for_command(command.id);
            Some(message(&ServerFrame::Error(error)))
        })
        .await;
        let (found, stderr) = run(&server, &[INSERT], exit).await;
        assert_eq!(found, exit, "{code} {outcome}: {stderr}");
    }
}

#[tokio::test]
async fn a_command_that_is_too_long_is_not_sent_and_is_wrong_input() {
    let server = serve(|frame| match frame {
        ClientFrame::Hello(_) => {
            let mut hello = hello_ok();
            hello.limits.max_message_bytes = 100;
            Some(message(&ServerFrame::HelloOk(hello)))
        }
        sent => panic!("{sent:?}"),
    })
    .await;
    let (exit, stderr) = run(&server, &[INSERT], 2).await;
    assert_eq!(exit, 2, "{stderr}");
    assert!(stderr.contains("accepts 100 bytes at most"), "{stderr}");
    // An earlier call sent the command, perhaps to a server with another limit.
    let (exit, stderr) = run(&server, &["--id", EARLIER, INSERT], 5).await;
    assert_eq!(exit, 5, "{stderr}");
    let (exit, stderr) = run(
        &server,
        &["--id", EARLIER, r#"{"find":"notes","filter":{"_id":1}}"#],
        2,
    )
    .await;
    assert_eq!(exit, 2, "a read has no effect: {stderr}");
}

#[tokio::test]
async fn each_close_code_has_its_exit_code() {
    for (code, exit) in [
        (CloseCode::Normal, 4),
        (CloseCode::TooBig, 5),
        (CloseCode::Restart, 4),
        (CloseCode::BadFrame, 3),
        (CloseCode::HelloRequired, 3),
        (CloseCode::Timeout, 3),
        (CloseCode::TooMany, 5),
    ] {
        let close = Message::Close(Some(CloseFrame {
            code: code.code().into(),
            reason: "".into(),
        }));
        let server = coordinator(move |_| Some(close.clone())).await;
        let (found, stderr) = run(&server, &[INSERT], exit).await;
        assert_eq!(found, exit, "{code:?}: {stderr}");
    }
}

#[tokio::test]
async fn without_a_usable_server_nothing_is_executed() {
    let elsewhere = serve(|_| {
        let error = ErrorFrame::new(ErrorCode::WrongCluster, Outcome::NotExecuted, "elsewhere");
        Some(message(&ServerFrame::Error(error)))
    })
    .await;
    let other = coordinator(|_| None).await;
    for (server, more) in [
        (elsewhere.as_str(), &[INSERT] as &[&str]),
        (other.as_str(), &["--cluster", "other", INSERT]),
        ("127.0.0.1:1", &[INSERT]),
    ] {
        let (exit, stderr) = run(server, more, 3).await;
        assert_eq!(exit, 3, "{more:?}: {stderr}");
    }
}
