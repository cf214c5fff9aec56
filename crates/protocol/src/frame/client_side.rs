//! The client's side: what it sends is written, and what it is told is read, by the small code of [`json`](crate::json).

use super::unknown;
use crate::json::{BadField, Fields, NotJson, Object};
use crate::{
    ClientFrame, CommandFate, CommandId, CommandResult, CoordinatorHint, ErrorCode, ErrorFrame, FrameError,
    HelloOk, Limits, MongoError, Outcome, RawJson, RoleName, ServerFrame,
};

impl ClientFrame {
    /// The frame as JSON text.
    pub fn to_json(&self) -> String {
        let mut json = Object::new();
        match self {
            Self::Hello(frame) => {
                json.text("type", "hello").text("client", &frame.client);
                if let Some(cluster) = &frame.cluster {
                    json.text("cluster", cluster);
                }
            }
            Self::Command(frame) => {
                about(&mut json, "command", frame.id, frame.deadline_ms);
                json.raw("command", frame.command.as_str());
            }
            Self::Outcome(frame) => about(&mut json, "outcome", frame.id, frame.deadline_ms),
        }
        json.finish()
    }
}

fn about(json: &mut Object, kind: &str, id: CommandId, deadline_ms: Option<u64>) {
    json.text("type", kind).text("id", &id.to_string());
    if let Some(millis) = deadline_ms {
        json.plain("deadline_ms", millis);
    }
}

impl ServerFrame {
    /// Reads a frame a server sent.
    ///
    /// # Errors
    /// [`FrameError`] if the text is not such a frame. Never recurses into the reply, however deeply it is
    /// nested.
    pub fn parse(json: &str) -> Result<Self, FrameError> {
        let not_a_frame = |problem: NotJson| FrameError::NotAFrame(problem.to_string());
        let fields = Fields::read(json).map_err(not_a_frame)?;
        let kind = required(fields.text("type"), "type");
        let kind = kind.map_err(|problem| FrameError::NotAFrame(problem.to_string()))?;
        let (frame, read) = match &*kind {
            "hello_ok" => ("hello_ok", hello_ok(&fields).map(Self::HelloOk)),
            "result" => ("result", result(&fields).map(Self::Result)),
            "fate" => ("fate", fate(&fields).map(Self::Fate)),
            "error" => ("error", error(&fields).map(Self::Error)),
            other => return Err(unknown(other)),
        };
        read.map_err(|problem| FrameError::BadFields {
            frame,
            detail: problem.to_string(),
        })
    }
}

fn hello_ok(fields: &Fields<'_>) -> Result<HelloOk, BadField> {
    let role = required(fields.text("role"), "role")?;
    let limits = required(fields.object("limits"), "limits")?;
    let limit = |name| required(limits.number(name), name);
    Ok(HelloOk {
        cluster: required(fields.text("cluster"), "cluster")?.into_owned(),
        server: required(fields.text("server"), "server")?.into_owned(),
        role: RoleName::from_name(&role),
        epoch: fields.number("epoch")?,
        coordinator: coordinator(fields)?,
        server_time_ms: required(fields.number("server_time_ms"), "server_time_ms")?,
        limits: Limits {
            max_message_bytes: limit("max_message_bytes")?,
            max_depth: limit("max_depth")?,
            max_result_bytes: limit("max_result_bytes")?,
            max_deadline_ms: limit("max_deadline_ms")?,
            retention_ms: limit("retention_ms")?,
        },
    })
}

fn result(fields: &Fields<'_>) -> Result<CommandResult, BadField> {
    Ok(CommandResult {
        id: required(id(fields), "id")?,
        epoch: required(fields.number("epoch"), "epoch")?,
        replayed: required(fields.flag("replayed"), "replayed")?,
        result: required(Ok(fields.raw("result")), "result").map(RawJson::checked)?,
    })
}

fn fate(fields: &Fields<'_>) -> Result<CommandFate, BadField> {
    Ok(CommandFate {
        id: required(id(fields), "id")?,
        outcome: outcome(fields)?,
        epoch: fields.number("epoch")?,
        result: fields.raw("result").map(RawJson::checked),
    })
}

fn error(fields: &Fields<'_>) -> Result<ErrorFrame, BadField> {
    let code = required(fields.text("code"), "code")?;
    Ok(ErrorFrame {
        id: id(fields)?,
        code: ErrorCode::from_name(&code),
        message: required(fields.text("message"), "message")?.into_owned(),
        hint: fields.text("hint")?.map(Into::into),
        outcome: outcome(fields)?,
        coordinator: coordinator(fields)?,
        retry_after_ms: fields.number("retry_after_ms")?,
        mongo: fields.object("mongo")?.map(|fields| mongo(&fields)).transpose()?,
    })
}

fn mongo(fields: &Fields<'_>) -> Result<MongoError, BadField> {
    Ok(MongoError {
        code: required(fields.number("code"), "code")?,
        code_name: required(fields.text("code_name"), "code_name")?.into_owned(),
        message: required(fields.text("message"), "message")?.into_owned(),
        index: fields.number("index")?,
        command: fields.number("command")?,
    })
}

fn coordinator(fields: &Fields<'_>) -> Result<Option<CoordinatorHint>, BadField> {
    let Some(hint) = fields.object("coordinator")? else {
        return Ok(None);
    };
    Ok(Some(CoordinatorHint {
        server: required(hint.text("server"), "server")?.into_owned(),
        url: hint.text("url")?.map(Into::into),
    }))
}

fn id(fields: &Fields<'_>) -> Result<Option<CommandId>, BadField> {
    let id = fields.text("id")?.map(|id| id.parse());
    id.transpose().map_err(|_| BadField::Unexpected("id"))
}

fn outcome(fields: &Fields<'_>) -> Result<Outcome, BadField> {
    let name = required(fields.text("outcome"), "outcome")?;
    Outcome::from_name(&name).ok_or(BadField::Unexpected("outcome"))
}

fn required<T>(field: Result<Option<T>, BadField>, name: &'static str) -> Result<T, BadField> {
    field?.ok_or(BadField::Missing(name))
}
