//! The client's side: writes the client's frames and reads the server's, with the small code of
//! [`json`](crate::json).

use super::unknown;
use crate::json::{Fields, Object};
use crate::{
    ClientFrame, CommandId, CommandResult, CoordinatorHint, ErrorCode, ErrorFrame, FrameError, HelloOk,
    Limits, MongoError, MongoErrorDetails, Outcome, OutcomeResult, RawJson, RoleName, ServerFrame,
};

impl ClientFrame {
    /// Returns the frame as JSON text.
    pub fn to_json(&self) -> String {
        let mut json = Object::new();
        match self {
            Self::Hello(frame) => {
                json.text("type", "hello").text("client", &frame.client);
                if let Some(cluster) = &frame.cluster {
                    json.text("cluster", cluster);
                }
                #[cfg(feature = "tokens")]
                if let Some(token) = &frame.token {
                    json.text("token", token.as_str());
                }
            }
            Self::Command(frame) => {
                about(&mut json, "command", frame.id, frame.deadline_ms);
                json.raw("command", frame.command.as_str());
            }
            Self::Outcome(frame) => about(&mut json, "outcome", frame.id, frame.deadline_ms),
            #[cfg(feature = "tokens")]
            Self::Token(token) => {
                json.text("type", "token").text("token", token.as_str());
            }
        }
        json.finish()
    }
}

fn about(json: &mut Object, kind: &str, id: CommandId, deadline_ms: Option<u64>) {
    json.text("type", kind).text("id", &id.text());
    if let Some(millis) = deadline_ms {
        json.plain("deadline_ms", millis);
    }
}

impl ServerFrame {
    /// Reads a frame from a server. Never recurses into the reply, however deeply it is nested.
    ///
    /// # Errors
    /// [`FrameError`] if the text is not such a frame.
    pub fn parse(json: &str) -> Result<Self, FrameError> {
        let fields = Fields::read(json).map_err(|problem| FrameError::NotAFrame(problem.text()))?;
        let kind = fields.text("type");
        if fields.bad_field().is_some() {
            return Err(FrameError::NotAFrame("its type is missing".to_owned()));
        }
        let (frame, read) = match kind.as_str() {
            "hello_ok" => ("hello_ok", Self::HelloOk(hello_ok(&fields))),
            #[cfg(feature = "tokens")]
            "token_ok" => ("token_ok", Self::TokenOk(identity(&fields))),
            "result" => ("result", Self::Result(result(&fields))),
            "outcome_result" => ("outcome_result", Self::OutcomeResult(outcome_result(&fields))),
            "error" => ("error", Self::Error(error(&fields))),
            other => return Err(unknown(other)),
        };
        match fields.bad_field() {
            None => Ok(read),
            Some(field) => Err(FrameError::BadFields {
                frame,
                id: None,
                detail: ["the field `", field, "` is missing or not what it should be"].concat(),
            }),
        }
    }
}

/// Stands in a frame that the reader discards, because its limits were not readable.
const NO_LIMITS: Limits = Limits {
    max_message_bytes: 0,
    max_depth: 0,
    max_result_bytes: 0,
    max_deadline_ms: 0,
    retention_ms: 0,
};

fn hello_ok(fields: &Fields<'_>) -> HelloOk {
    let limits = fields.some_object("limits", |limits| Limits {
        max_message_bytes: limits.number("max_message_bytes"),
        max_depth: limits.number("max_depth"),
        max_result_bytes: limits.number("max_result_bytes"),
        max_deadline_ms: limits.number("max_deadline_ms"),
        retention_ms: limits.number("retention_ms"),
    });
    if limits.is_none() {
        fields.is_bad("limits");
    }
    HelloOk {
        cluster: fields.text("cluster"),
        server: fields.text("server"),
        role: RoleName::from_name(&fields.text("role")),
        epoch: fields.some_number("epoch"),
        coordinator: coordinator(fields),
        server_time_ms: fields.number("server_time_ms"),
        limits: limits.unwrap_or(NO_LIMITS),
        #[cfg(feature = "tokens")]
        identity: fields.raw("subject").map(|_| Box::new(identity(fields))),
        #[cfg(not(feature = "tokens"))]
        identity: None,
    }
}

#[cfg(feature = "tokens")]
fn identity(fields: &Fields<'_>) -> crate::Identity {
    let roles = fields.raw("roles").map(serde_json::from_str);
    if !matches!(roles, Some(Ok(_))) {
        fields.is_bad("roles");
    }
    crate::Identity {
        subject: fields.text("subject"),
        roles: roles.and_then(Result::ok).unwrap_or_default(),
        token_expires_ms: fields.number("token_expires_ms"),
    }
}

fn result(fields: &Fields<'_>) -> CommandResult {
    let result = fields.raw("result");
    if result.is_none() {
        fields.is_bad("result");
    }
    CommandResult {
        id: required_id(fields),
        epoch: fields.number("epoch"),
        replayed: fields.flag("replayed"),
        result: RawJson::checked(result.unwrap_or_default()),
    }
}

fn outcome_result(fields: &Fields<'_>) -> OutcomeResult {
    OutcomeResult {
        id: required_id(fields),
        outcome: outcome(fields),
        epoch: fields.some_number("epoch"),
        result: fields.raw("result").map(RawJson::checked),
    }
}

fn error(fields: &Fields<'_>) -> ErrorFrame {
    ErrorFrame {
        id: fields.raw("id").map(|_| required_id(fields)),
        code: ErrorCode::from_name(&fields.text("code")),
        message: fields.text("message"),
        hint: fields.some_text("hint"),
        outcome: outcome(fields),
        coordinator: coordinator(fields),
        retry_after_ms: fields.some_number("retry_after_ms"),
        mongo: fields.some_object("mongo", |mongo| MongoError {
            details: details(mongo),
            code: mongo.integer("code"),
            code_name: mongo.text("code_name"),
            message: mongo.text("message"),
            index: mongo.some_integer("index"),
            command: mongo.some_number("command").map(|command| {
                u32::try_from(command).unwrap_or_else(|_| {
                    mongo.is_bad("command");
                    0
                })
            }),
        }),
    }
}

fn details(mongo: &Fields<'_>) -> Option<Box<MongoErrorDetails>> {
    let detail = |name| mongo.raw(name).map(RawJson::checked);
    let details = MongoErrorDetails {
        err_info: detail("errInfo"),
        key_pattern: detail("keyPattern"),
        key_value: detail("keyValue"),
        write_errors: detail("writeErrors"),
    };
    (details != MongoErrorDetails::default()).then(|| Box::new(details))
}

fn coordinator(fields: &Fields<'_>) -> Option<CoordinatorHint> {
    fields.some_object("coordinator", |hint| CoordinatorHint {
        server: hint.text("server"),
        url: hint.some_text("url"),
    })
}

fn required_id(fields: &Fields<'_>) -> CommandId {
    fields.text("id").parse().unwrap_or_else(|_| {
        fields.is_bad("id");
        CommandId::NIL
    })
}

fn outcome(fields: &Fields<'_>) -> Outcome {
    Outcome::from_name(&fields.text("outcome")).unwrap_or_else(|| {
        fields.is_bad("outcome");
        Outcome::Unknown
    })
}
