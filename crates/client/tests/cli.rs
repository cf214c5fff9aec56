//! The program `bellwether`, against a server that follows a script.

mod scripted;

use std::io::Write;
use std::process::Stdio;

use bellwether_protocol::{
    ClientFrame, CommandId, CommandResult, ErrorCode, ErrorFrame, MongoError, Outcome, OutcomeResult,
    RawJson, ServerFrame,
};

use scripted::{INSERT, bellwether, finish, hello_ok, message, serve, texts};

/// A `--timeout` for a command whose time must pass after the program has sent it, on a machine
/// that stands still for some seconds, too.
const LONG_ENOUGH: &str = "5s";

/// A coordinator that answers every command with `answer`, or hangs up where that is nothing.
async fn coordinator(answer: fn(bellwether_protocol::Command) -> Option<ServerFrame>) -> String {
    let answer = move |frame| match frame {
        ClientFrame::Hello(_) => Some(ServerFrame::HelloOk(hello_ok())),
        ClientFrame::Command(command) => answer(command),
        ClientFrame::Outcome(query) => Some(outcome_result(query.id)),
        other => panic!("{other:?}"),
    };
    serve(move |frame| answer(frame).as_ref().map(message)).await
}

fn reply(command: bellwether_protocol::Command) -> Option<ServerFrame> {
    let result = RawJson::object(r#"{"z":{"$numberLong":"9007199254740993"},"a":1}"#).ok()?;
    Some(ServerFrame::Result(CommandResult {
        id: command.id,
        epoch: 1,
        replayed: false,
        result,
    }))
}

/// Executed, if the id ends in 1; not, if in 2; else unknown.
fn outcome_result(id: CommandId) -> ServerFrame {
    let result = RawJson::object(r#"{"n":1}"#).ok();
    let (outcome, result) = match id.as_bytes()[15] {
        1 => (Outcome::Executed, result),
        2 => (Outcome::NotExecuted, None),
        _ => (Outcome::Unknown, None),
    };
    ServerFrame::OutcomeResult(OutcomeResult {
        id,
        outcome,
        epoch: result.is_some().then_some(7),
        result,
    })
}

fn refusal(command: bellwether_protocol::Command) -> Option<ServerFrame> {
    let mut error =
        ErrorFrame::new(ErrorCode::Mongo, Outcome::NotExecuted, "refused").for_command(command.id);
    error.mongo = Some(MongoError {
        index: Some(0),
        ..MongoError::new(11000, "DuplicateKey", "duplicate key")
    });
    Some(ServerFrame::Error(error))
}

#[tokio::test]
async fn what_is_wrong_before_sending_exits_2() {
    for (arguments, says) in [
        (&["--servers", "h:1"] as &[&str], "required"),
        (&[INSERT], "no servers are named"),
        (&["--servers", "h", INSERT], "the port is missing"),
        (
            &["--servers", "wss://h", "--ca-file", "/does/not/exist", INSERT],
            "/does/not/exist",
        ),
        (
            &["--servers", "wss://h", "--ca-file", "Cargo.toml", INSERT],
            "no certificate in PEM format",
        ),
        (&["--servers", "h:1", "{\"a\":\n x}"], "line 2, column 2"),
        (
            &["--servers", "h:1", "--file", "/does/not/exist"],
            "/does/not/exist",
        ),
        (&["--servers", "h:1", "--id", "7", INSERT], "UUID of version 7"),
        (&["--servers", "h:1", "outcome", "7"], "UUID of version 7"),
        (
            &["outcome", "0198c5e2-7a60-7b3c-9d1e-3f2a5b6c7d01"],
            "no servers are named",
        ),
    ] {
        let (code, stdout, stderr) = texts(&finish(bellwether(arguments)).await);
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{arguments:?}: {stderr}");
        assert!(stderr.contains(says), "{arguments:?}: {stderr}");
    }
}

#[tokio::test]
async fn a_reply_is_printed_and_exits_0() {
    let server = coordinator(reply).await;
    let servers = ["--servers", &server];
    let (code, stdout, _) = texts(&finish(bellwether(&[&servers[..], &[INSERT]].concat())).await);
    assert_eq!(
        (code, stdout.as_str()),
        (
            Some(0),
            "{\"z\": {\"$numberLong\": \"9007199254740993\"}, \"a\": 1}\n"
        )
    );
    let (_, stdout, _) = texts(&finish(bellwether(&[&servers[..], &["--relaxed", INSERT]].concat())).await);
    assert_eq!(stdout, "{\"z\": 9007199254740993, \"a\": 1}\n");
    let (_, stdout, stderr) =
        texts(&finish(bellwether(&[&servers[..], &["--raw", "-v", INSERT]].concat())).await);
    assert_eq!(stdout, "{\"z\":{\"$numberLong\":\"9007199254740993\"},\"a\":1}\n");
    assert!(stderr.contains("executed it ("), "{stderr}");
}

#[tokio::test]
async fn servers_and_command_come_from_elsewhere() {
    let server = coordinator(reply).await;
    let mut command = bellwether(&["-"]);
    command.env("BELLWETHER_SERVERS", &server).stdin(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(INSERT.as_bytes()).expect("the program reads");
    }
    let output = tokio::task::spawn_blocking(move || child.wait_with_output())
        .await
        .expect("no panic");
    assert_eq!(output.expect("the program ends").status.code(), Some(0));

    let file = format!("{}/servers", env!("CARGO_TARGET_TMPDIR"));
    std::fs::write(&file, format!("# the demo\n{server}\n")).expect("the file can be written");
    let output = finish(bellwether(&["--servers-file", &file, INSERT])).await;
    assert_eq!(output.status.code(), Some(0), "{:?}", texts(&output));
}

#[tokio::test]
async fn a_byte_order_mark_is_skipped() {
    let server = coordinator(reply).await;
    let path = |name: &str| format!("{}/{name}", env!("CARGO_TARGET_TMPDIR"));
    let (list, command, wide) = (path("marked-servers"), path("marked.json"), path("utf-16.json"));
    std::fs::write(&list, format!("\u{feff}# the demo\r\n{server}\r\n")).expect("the file can be written");
    std::fs::write(&command, format!("\u{feff}{INSERT}\r\n")).expect("the file can be written");
    std::fs::write(&wide, [0xff, 0xfe, b'{', 0]).expect("the file can be written");
    let (code, _, stderr) = texts(&finish(bellwether(&["--servers-file", &list, "--file", &command])).await);
    assert_eq!(code, Some(0), "{stderr}");

    let (code, _, stderr) = texts(&finish(bellwether(&["--servers", &server, "--file", &wide])).await);
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("save it as UTF-8"), "{stderr}");
}

#[tokio::test]
async fn an_error_that_cannot_get_better_has_a_code_that_does_not_say_ask_again() {
    const OLD: &str = "0198c5e2-7a60-7b3c-9d1e-3f2a5b6c7d01";
    type Answer = fn(bellwether_protocol::Command) -> Option<ServerFrame>;
    fn refused(code: ErrorCode, command: &bellwether_protocol::Command) -> Option<ServerFrame> {
        let error = ErrorFrame::new(code, Outcome::NotExecuted, "no").for_command(command.id);
        Some(ServerFrame::Error(error))
    }
    let answers: [(Answer, i32, &str, bool); 3] = [
        (
            |command| refused(ErrorCode::IdReused, &command),
            2,
            "the text differs",
            false,
        ),
        (
            |command| refused(ErrorCode::IdExpired, &command),
            5,
            "no longer know",
            false,
        ),
        (
            |command| refused(ErrorCode::BadCommand, &command),
            5,
            "Ask for the outcome",
            true,
        ),
    ];
    for (answer, exit, says, asks) in answers {
        let server = coordinator(answer).await;
        let arguments = ["--servers", &server, "--id", OLD, INSERT];
        let (code, stdout, stderr) = texts(&finish(bellwether(&arguments)).await);
        assert_eq!((code, stdout.as_str()), (Some(exit), ""), "{stderr}");
        assert!(stderr.contains(says), "{stderr}");
        assert!(!stderr.contains("To ask again"), "{stderr}");
        assert_eq!(stderr.contains("bellwether outcome --servers"), asks, "{stderr}");
    }
}

#[tokio::test]
async fn a_read_that_nobody_answered_is_not_unknown() {
    let server = coordinator(|_| None).await;
    let find = [
        "--servers",
        &server,
        "--timeout",
        LONG_ENOUGH,
        r#"{"find":"notes"}"#,
    ];
    let (code, _, stderr) = texts(&finish(bellwether(&find)).await);
    assert_eq!(code, Some(3), "{stderr}");
    assert!(stderr.contains("the command only reads"), "{stderr}");
}

#[tokio::test]
async fn an_error_names_the_option_to_raise_and_what_the_server_said() {
    let server = coordinator(|command| {
        let error = ErrorFrame::new(
            ErrorCode::Deadline,
            Outcome::NotExecuted,
            "a conflict at every try",
        );
        let error = error.with_hint("split it");
        Some(ServerFrame::Error(error.for_command(command.id)))
    })
    .await;
    let arguments = ["--servers", &server, "--timeout", LONG_ENOUGH, INSERT];
    let (code, _, stderr) = texts(&finish(bellwether(&arguments)).await);
    assert_eq!(code, Some(3), "{stderr}");
    for says in [
        "MongoDB needed longer than the 5.0 s of --timeout",
        "deadline: a conflict at every try",
        "Raise --timeout",
        "The server advises: split it.",
    ] {
        assert!(stderr.contains(says), "{says}: {stderr}");
    }
}

#[tokio::test]
async fn the_three_ways_without_a_reply_have_their_own_codes() {
    let server = coordinator(refusal).await;
    let (code, _, stderr) = texts(&finish(bellwether(&["--servers", &server, INSERT])).await);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("duplicate key (DuplicateKey 11000)"), "{stderr}");

    let (code, _, stderr) = texts(
        &finish(bellwether(&[
            "--servers",
            "127.0.0.1:1",
            "--timeout",
            "100ms",
            INSERT,
        ]))
        .await,
    );
    assert_eq!(code, Some(3), "{stderr}");
    assert!(stderr.contains("Nothing was changed"), "{stderr}");

    let server = coordinator(|_| None).await;
    let (code, _, stderr) = texts(
        &finish(bellwether(&[
            "--servers",
            &server,
            "--timeout",
            LONG_ENOUGH,
            INSERT,
        ]))
        .await,
    );
    assert_eq!(code, Some(4), "{stderr}");
    assert!(stderr.contains("with: --id "), "{stderr}");
    let ask = format!("bellwether outcome --servers {server} 0");
    assert!(stderr.contains(&ask), "{stderr}");
}

#[tokio::test]
async fn what_became_of_a_command_is_asked_by_its_id() {
    let server = coordinator(|_| None).await;
    for (last, code, printed, says) in [
        ("1", 0, "{\"n\": 1}\n", "executed in epoch 7"),
        ("2", 3, "", "not executed until now"),
        ("3", 4, "", "unknown"),
    ] {
        let id = format!("0198c5e2-7a60-7b3c-9d1e-3f2a5b6c7d0{last}");
        for arguments in [
            ["outcome", "--servers", &server, &id],
            ["--servers", &server, "outcome", &id],
        ] {
            let (exit, stdout, stderr) = texts(&finish(bellwether(&arguments)).await);
            assert_eq!((exit, stdout.as_str()), (Some(code), printed), "{stderr}");
            assert!(stderr.contains(says), "{stderr}");
        }
    }
}

#[tokio::test]
async fn the_exit_code_is_the_same_where_nobody_reads_what_is_printed() {
    let replies = coordinator(reply).await;
    let refuses = coordinator(refusal).await;
    let hangs_up = coordinator(|_| None).await;
    for (arguments, exit) in [
        (&["--servers", &replies, "-v", INSERT] as &[&str], 0),
        (&["--servers", &refuses, "-v", INSERT], 1),
        (&["--servers", &refuses, "--unknown", INSERT], 2),
        (&["--servers", "h", INSERT], 2),
        (
            &["--servers", "127.0.0.1:1", "--timeout", "200ms", "-v", INSERT],
            3,
        ),
        (
            &["--servers", &hangs_up, "--timeout", LONG_ENOUGH, "-v", INSERT],
            4,
        ),
        (&["--help"], 0),
        (&["--version"], 0),
    ] {
        let unread = || {
            let (reader, writer) = std::io::pipe().expect("there are pipes");
            drop(reader);
            writer
        };
        let mut command = bellwether(arguments);
        command.stdout(unread()).stderr(unread());
        let output = finish(command).await;
        assert_eq!(output.status.code(), Some(exit), "{arguments:?}");
    }
}
