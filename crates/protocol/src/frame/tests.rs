use crate::*;

const ID: &str = "0198c5e2-7a60-7b3c-9d1e-3f2a5b6c7d8e";

#[test]
fn command_text_survives_unchanged() {
    let body = r#"{"find":"c","sort":{"10":1,"2":-1},"filter":{"n":9007199254740993}}"#;
    let json = format!(r#"{{"id":"{ID}","command":{body},"type":"command","later":1}}"#);
    let Ok(ClientFrame::Command(command)) = ClientFrame::parse(&json) else {
        panic!("{json}")
    };
    assert_eq!(command.command.as_str(), body);
    assert!(ClientFrame::Command(command).to_json().contains(body));
}

#[test]
fn deep_nesting_is_skipped_without_recursion() {
    let deep = format!("{}{}", "[".repeat(1_000_000), "]".repeat(1_000_000));
    let json = format!(r#"{{"type":"command","id":"{ID}","command":{{"insert":{deep}}}}}"#);
    assert!(ClientFrame::parse(&json).is_ok());
    let json = format!(r#"{{"x":{deep},"type":"hello"}}"#);
    assert!(ClientFrame::parse(&json).is_ok());
}

#[test]
fn what_is_wrong_is_said() {
    let not_a_frame = ["", "null", "[\"hello\"]", "\"hello\"", "{}", "{", r#"{"type":1}"#];
    for json in not_a_frame {
        assert!(
            matches!(ClientFrame::parse(json), Err(FrameError::NotAFrame(_))),
            "{json}"
        );
    }
    let unknown = ClientFrame::parse(r#"{"type":"result"}"#);
    assert_eq!(unknown.unwrap_err(), FrameError::UnknownType("result".into()));
    let missing = ClientFrame::parse(r#"{"type":"command","id":"x","command":{}}"#).unwrap_err();
    assert!(missing.to_string().contains("UUID of version 7"), "{missing}");
}

#[test]
fn what_is_wrong_is_said_briefly() {
    let long = "ä".repeat(100_000);
    for json in [
        format!(r#"{{"type":"outcome","id":"{ID}","deadline_ms":"{long}"}}"#),
        format!(r#"{{"type":"outcome","id":"{long}"}}"#),
        format!(r#"{{"type":"{long}"}}"#),
    ] {
        let error = ClientFrame::parse(&json).unwrap_err().to_string();
        assert!(error.len() < 700, "{}", error.len());
        assert!(error.contains("ää"), "{error}");
    }
}

#[test]
fn a_fault_in_one_field_is_reported_under_the_id_of_its_frame() {
    for (kind, field) in [
        ("command", r#""deadline_ms":1000.0"#),
        ("command", r#""deadline_ms":1e3"#),
        ("command", r#""deadline_ms":"1000""#),
        ("command", r#""deadline_ms":-1"#),
        ("command", r#""deadline_ms":-0"#),
        ("command", r#""deadline_ms":true"#),
        ("command", r#""deadline_ms":{"$numberLong":"1"}"#),
        ("command", r#""deadline_ms":1,"deadline_ms":2"#),
        ("command", r#""command":{}"#),
        ("outcome", r#""deadline_ms":1.5"#),
        ("outcome", r#""deadline_ms":[]"#),
    ] {
        let json = format!(r#"{{"type":"{kind}",{field},"id":"{ID}","command":{{}}}}"#);
        let error = ClientFrame::parse(&json).unwrap_err();
        assert_eq!(error.id(), ID.parse().ok(), "{json}: {error}");
        let name = field.split('"').nth(1).unwrap();
        assert!(error.to_string().contains(name), "{json}: {error}");
    }
    let missing = ClientFrame::parse(&format!(r#"{{"type":"command","id":"{ID}"}}"#)).unwrap_err();
    assert_eq!(missing.id(), ID.parse().ok(), "{missing}");
}

#[test]
fn a_frame_whose_id_cannot_be_read_is_nobodys() {
    for json in [
        r#"{"type":"command","command":{}}"#.to_owned(),
        r#"{"type":"command","id":null,"command":{}}"#.to_owned(),
        r#"{"type":"command","id":7,"command":{}}"#.to_owned(),
        r#"{"type":"command","id":"x","command":{}}"#.to_owned(),
        format!(r#"{{"type":"command","id":"{ID}","id":"{ID}","command":{{}}}}"#),
        format!(r#"{{"type":"hello","id":"{ID}","cluster":5}}"#),
        format!(r#"{{"type":"hello","id":"{ID}","client":[]}}"#),
        format!(r#"{{"type":"hello","client":"a","client":"b","id":"{ID}"}}"#),
    ] {
        let error = ClientFrame::parse(&json).unwrap_err();
        assert!(matches!(error, FrameError::BadFields { .. }), "{json}: {error}");
        assert_eq!(error.id(), None, "{json}: {error}");
    }
    let twice = format!(r#"{{"type":"command","type":"hello","id":"{ID}"}}"#);
    assert!(matches!(
        ClientFrame::parse(&twice),
        Err(FrameError::NotAFrame(_))
    ));
}

#[test]
fn a_deadline_may_be_missing_or_too_long() {
    for (field, deadline_ms) in [
        ("", None),
        (r#""deadline_ms":null,"#, None),
        (r#""deadline_ms":0,"#, Some(0)),
        (r#""deadline_ms":60001,"#, Some(60_001)),
        (r#""deadline_ms":9223372036854775807,"#, Some(i64::MAX as u64)),
        (r#""deadline_ms":100000000000000000000000,"#, Some(u64::MAX)),
    ] {
        let json = format!(r#"{{"type":"command",{field}"id":"{ID}","command":{{}}}}"#);
        let Ok(ClientFrame::Command(command)) = ClientFrame::parse(&json) else {
            panic!("{json}")
        };
        assert_eq!(command.deadline_ms, deadline_ms, "{json}");
        let json = format!(r#"{{"type":"outcome",{field}"id":"{ID}"}}"#);
        let Ok(ClientFrame::Outcome(query)) = ClientFrame::parse(&json) else {
            panic!("{json}")
        };
        assert_eq!(query.deadline_ms, deadline_ms, "{json}");
    }
}

#[test]
fn what_a_hello_may_leave_out_may_be_null() {
    let Ok(ClientFrame::Hello(hello)) =
        ClientFrame::parse(r#"{"type":"hello","client":null,"cluster":null}"#)
    else {
        panic!("it is a hello")
    };
    assert_eq!(hello, Hello::default());
}

#[test]
fn errors_survive_the_way() {
    let error = ErrorFrame::new(ErrorCode::NotCoordinator, Outcome::NotExecuted, "s2 follows s1")
        .with_hint("send it to the coordinator");
    let json = ServerFrame::Error(error.clone()).to_json();
    assert!(
        json.starts_with(r#"{"type":"error","code":"not_coordinator""#),
        "{json}"
    );
    let Ok(ServerFrame::Error(back)) = ServerFrame::parse(&json) else {
        panic!("{json}")
    };
    assert_eq!(back, error);
    let newer = json.replace("not_coordinator", "from_the_future");
    let Ok(ServerFrame::Error(back)) = ServerFrame::parse(&newer) else {
        panic!("{newer}")
    };
    assert_eq!(back.code, ErrorCode::Unrecognized);
}

#[test]
fn a_question_and_its_answer_survive_the_way() {
    let json = format!(r#"{{"type":"outcome","id":"{ID}"}}"#);
    let Ok(ClientFrame::Outcome(query)) = ClientFrame::parse(&json) else {
        panic!("{json}")
    };
    assert_eq!(query.deadline_ms, None);
    assert_eq!(ClientFrame::Outcome(query).to_json(), json);

    let body = r#"{"n":{"$numberInt":"1"},"z":0,"a":1}"#;
    let executed =
        format!(r#"{{"type":"outcome_result","id":"{ID}","outcome":"executed","epoch":7,"result":{body}}}"#);
    let Ok(ServerFrame::OutcomeResult(outcome_result)) = ServerFrame::parse(&executed) else {
        panic!("{executed}")
    };
    assert_eq!(
        (outcome_result.outcome, outcome_result.epoch),
        (Outcome::Executed, Some(7))
    );
    assert_eq!(outcome_result.result.as_ref().unwrap().as_str(), body);
    assert_eq!(ServerFrame::OutcomeResult(outcome_result).to_json(), executed);

    let never = format!(r#"{{"type":"outcome_result","id":"{ID}","outcome":"not_executed"}}"#);
    let Ok(ServerFrame::OutcomeResult(outcome_result)) = ServerFrame::parse(&never) else {
        panic!("{never}")
    };
    assert!(outcome_result.epoch.is_none() && outcome_result.result.is_none());
    assert_eq!(ServerFrame::OutcomeResult(outcome_result).to_json(), never);
}

#[test]
fn fields_that_are_not_there_are_not_sent() {
    let mut error = ErrorFrame::new(ErrorCode::Overloaded, Outcome::NotExecuted, "full");
    let json = ServerFrame::Error(error.clone()).to_json();
    assert!(!json.contains("retry_after_ms"), "{json}");
    error.retry_after_ms = Some(120);
    error.mongo = Some(MongoError {
        command: Some(2),
        details: Some(Box::new(MongoErrorDetails {
            key_value: RawJson::object(r#"{"b":{"$numberLong":"1"},"a":1.50}"#).ok(),
            ..MongoErrorDetails::default()
        })),
        ..MongoError::new(11000, "DuplicateKey", "E11000")
    });
    let json = ServerFrame::Error(error.clone()).to_json();
    assert!(json.contains(r#""retry_after_ms":120"#), "{json}");
    assert!(json.contains(r#""command":2"#), "{json}");
    assert!(
        json.contains(r#""keyValue":{"b":{"$numberLong":"1"},"a":1.50}}"#),
        "{json}"
    );
    assert!(
        !json.contains("errInfo") && !json.contains("writeErrors"),
        "{json}"
    );
    let Ok(ServerFrame::Error(back)) = ServerFrame::parse(&json) else {
        panic!("{json}")
    };
    assert_eq!(back, error);
}

#[test]
fn every_code_has_its_wire_name() {
    for code in ErrorCode::ALL {
        assert_eq!(serde_json::to_string(&code).unwrap(), format!("\"{code}\""));
    }
    for outcome in [Outcome::NotExecuted, Outcome::Unknown, Outcome::Executed] {
        assert_eq!(serde_json::to_string(&outcome).unwrap(), format!("\"{outcome}\""));
    }
}

#[test]
fn a_reply_is_never_read_however_deep_it_is() {
    let deep = format!("{}{}", "[".repeat(500_000), "]".repeat(500_000));
    let json =
        format!(r#"{{"type":"outcome_result","id":"{ID}","outcome":"executed","result":{{"a":{deep}}}}}"#);
    let Ok(ServerFrame::OutcomeResult(outcome_result)) = ServerFrame::parse(&json) else {
        panic!("it is an outcome_result")
    };
    assert_eq!(outcome_result.result.unwrap().as_str().len(), deep.len() + 6);
}

#[test]
fn a_server_that_talks_nonsense_is_told_apart_from_one_that_is_newer() {
    for json in [
        "",
        "null",
        "[]",
        "{}",
        r#"{"type":1}"#,
        r#"{"type":null}"#,
        r#"{"type":"outcome_result"} x"#,
    ] {
        let read = ServerFrame::parse(json);
        assert!(matches!(read, Err(FrameError::NotAFrame(_))), "{json}: {read:?}");
    }
    let newer = ServerFrame::parse(r#"{"type":"progress","x":[1,{"y":"\u00e4"}]}"#);
    assert_eq!(newer.unwrap_err(), FrameError::UnknownType("progress".into()));
    for json in [
        format!(r#"{{"type":"outcome_result","id":"{ID}"}}"#),
        format!(r#"{{"type":"outcome_result","id":"{ID}","outcome":"perhaps"}}"#),
        r#"{"type":"outcome_result","id":"1","outcome":"executed"}"#.to_owned(),
        format!(r#"{{"type":"outcome_result","id":"{ID}","outcome":"executed","epoch":1.5}}"#),
        format!(r#"{{"type":"outcome_result","id":"{ID}","outcome":"executed","epoch":-1}}"#),
    ] {
        let read = ServerFrame::parse(&json);
        assert!(
            matches!(read, Err(FrameError::BadFields { .. })),
            "{json}: {read:?}"
        );
    }
}

#[test]
fn escapes_and_signs_are_read_as_they_were_meant() {
    let read = |message: &str, code: &str| {
        ServerFrame::parse(&format!(
            r#"{{"ty\u0070e":"error","code":"mongo","message":"{message}","outcome":"unknown","mongo":{{"code":{code},"code_name":"x","message":"{message}"}}}}"#
        ))
    };
    let Ok(ServerFrame::Error(frame)) = read(r#"\"\\\n\u00e4 \ud83d\ude00ä\/"#, "-11000") else {
        panic!("it is an error frame")
    };
    assert_eq!(frame.message, "\"\\\nä 😀ä/");
    let mongo = frame.mongo.unwrap();
    assert_eq!(mongo.code, -11000);
    assert!(mongo.text().ends_with(" (x -11000)"), "{}", mongo.text());
    for (message, code) in [
        (r"\ud83d", "1"),
        ("", "1.5"),
        ("", "x"),
        ("", "null"),
        ("", "2147483648"),
    ] {
        assert!(read(message, code).is_err(), "{message} {code}");
    }
}

/// The feature decides if there are such frames at all.
#[cfg(feature = "tokens")]
mod tokens {
    use super::*;

    #[test]
    fn tokens_survive_the_way_and_are_not_shown() {
        let token = Token::new("header.claims.signature").unwrap();
        let hello = Hello::new("app", None).with_token(token.clone());
        let json = ClientFrame::Hello(hello.clone()).to_json();
        let Ok(ClientFrame::Hello(read)) = ClientFrame::parse(&json) else {
            panic!("{json}")
        };
        assert_eq!(read, hello);
        let json = ClientFrame::Token(token.clone()).to_json();
        let Ok(ClientFrame::Token(read)) = ClientFrame::parse(&json) else {
            panic!("{json}")
        };
        assert_eq!(read, token);
        assert!(!format!("{hello:?} {read:?}").contains("claims"));
        let without = ClientFrame::parse(r#"{"type":"hello","token":null}"#).unwrap();
        assert!(matches!(without, ClientFrame::Hello(Hello { token: None, .. })));
    }

    #[test]
    fn a_bad_token_is_refused_and_not_repeated() {
        let longest = "s".repeat(MAX_TOKEN_BYTES);
        assert!(ClientFrame::parse(&format!(r#"{{"type":"token","token":"{longest}"}}"#)).is_ok());
        for value in [
            format!(r#""secret{longest}""#),
            r#"["secret"]"#.to_owned(),
            r#""secret\ud800""#.to_owned(),
            r#"{"secret":1}"#.to_owned(),
            r#""secret","token":"secret""#.to_owned(),
        ] {
            for kind in ["hello", "token"] {
                let json = format!(r#"{{"type":"{kind}","token":{value}}}"#);
                let error = ClientFrame::parse(&json).unwrap_err();
                assert!(matches!(error, FrameError::BadFields { id: None, .. }), "{error}");
                assert!(!error.text().contains("secret"), "{error}");
            }
        }
        let missing = ClientFrame::parse(r#"{"type":"token"}"#).unwrap_err();
        assert!(missing.text().contains("`token` is missing"), "{missing}");
    }

    #[test]
    fn an_identity_survives_the_way() {
        let identity = Identity {
            subject: "al\"ice".to_owned(),
            roles: vec!["a".to_owned(), "b \u{1f600}".to_owned()],
            token_expires_ms: 1_795_345_871_000,
        };
        let json = ServerFrame::TokenOk(identity.clone()).to_json();
        assert!(json.starts_with(r#"{"type":"token_ok","subject":"#), "{json}");
        let Ok(ServerFrame::TokenOk(read)) = ServerFrame::parse(&json) else {
            panic!("{json}")
        };
        assert_eq!(read, identity);
        for identity in [None, Some(Box::new(identity))] {
            let hello = HelloOk {
                cluster: "demo".into(),
                server: "s1".into(),
                role: RoleName::Coordinator,
                epoch: Some(1),
                coordinator: None,
                server_time_ms: 1,
                limits: Limits {
                    max_message_bytes: 1,
                    max_depth: 1,
                    max_result_bytes: 1,
                    max_deadline_ms: 1,
                    retention_ms: 1,
                },
                identity,
            };
            let json = ServerFrame::HelloOk(hello.clone()).to_json();
            let Ok(ServerFrame::HelloOk(read)) = ServerFrame::parse(&json) else {
                panic!("{json}")
            };
            assert_eq!(read, hello);
            assert_eq!(json.contains("subject"), hello.identity.is_some());
        }
        let bad = r#"{"type":"token_ok","subject":"a","roles":[1],"token_expires_ms":1}"#;
        assert!(ServerFrame::parse(bad).is_err());
    }
}
