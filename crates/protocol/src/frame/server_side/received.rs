//! Reads a client's frame. Finds all fields first, and then reads each. So the server can report a
//! fault in a field under the frame's id.

use core::fmt;
use std::borrow::Cow;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::super::{shortened, unknown};
use crate::{ClientFrame, Command, CommandId, FrameError, Hello, OutcomeQuery, RawJson};

/// Longest part of a wrong value that an error repeats, in characters.
const SHOWN: usize = 40;

pub(super) fn read(json: &str) -> Result<ClientFrame, FrameError> {
    let fields: Found<'_> =
        serde_json::from_str(json).map_err(|error| FrameError::NotAFrame(shortened(error.to_string())))?;
    let not_a_frame = |wrong: Wrong| FrameError::NotAFrame(wrong.detail);
    let kind = fields.kind.once("type").map_err(not_a_frame)?;
    let kind = text("type", kind).map_err(not_a_frame)?;
    let Some(kind) = kind else {
        return Err(FrameError::NotAFrame("the field `type` is missing".to_owned()));
    };
    match kind.as_ref() {
        "hello" => fields.hello().map(ClientFrame::Hello).map_err(in_frame("hello")),
        "command" => fields
            .command()
            .map(ClientFrame::Command)
            .map_err(in_frame("command")),
        "outcome" => fields
            .outcome()
            .map(ClientFrame::Outcome)
            .map_err(in_frame("outcome")),
        #[cfg(feature = "tokens")]
        "token" => fields
            .required_token()
            .map(ClientFrame::Token)
            .map_err(in_frame("token")),
        other => Err(unknown(other)),
    }
}

/// A field with a wrong value.
struct Wrong {
    id: Option<CommandId>,
    detail: String,
}

impl Wrong {
    fn new(detail: String) -> Self {
        Self { id: None, detail }
    }

    fn in_frame_of(self, id: CommandId) -> Self {
        Self { id: Some(id), ..self }
    }
}

fn in_frame(frame: &'static str) -> impl Fn(Wrong) -> FrameError {
    move |Wrong { id, detail }| FrameError::BadFields { frame, id, detail }
}

/// The text of each field of a client's frame. Other fields are ignored.
#[derive(Default)]
struct Found<'a> {
    kind: Field<'a>,
    id: Field<'a>,
    deadline_ms: Field<'a>,
    command: Field<'a>,
    client: Field<'a>,
    cluster: Field<'a>,
    #[cfg(feature = "tokens")]
    token: Field<'a>,
}

#[derive(Default)]
struct Field<'a> {
    value: Option<&'a str>,
    is_repeated: bool,
}

impl<'a> Field<'a> {
    fn put(&mut self, value: &'a RawValue) {
        self.is_repeated = self.value.is_some();
        self.value = Some(value.get());
    }

    /// Returns the field's text. A field that occurs twice is an error, because its meaning is
    /// open.
    fn once(&self, name: &'static str) -> Result<Option<&'a str>, Wrong> {
        if self.is_repeated {
            return Err(Wrong::new(format!(
                "the field `{name}` appears twice: send it once"
            )));
        }
        Ok(self.value)
    }

    /// Returns the text of a field that may be missing. `null` counts as missing.
    fn unless_null(&self, name: &'static str) -> Result<Option<&'a str>, Wrong> {
        Ok(self.once(name)?.filter(|value| *value != "null"))
    }
}

impl Found<'_> {
    fn hello(&self) -> Result<Hello, Wrong> {
        let client = text("client", self.client.unless_null("client")?)?;
        let cluster = text("cluster", self.cluster.unless_null("cluster")?)?;
        Ok(Hello {
            client: client.unwrap_or_default().into_owned(),
            cluster: cluster.map(Cow::into_owned),
            #[cfg(feature = "tokens")]
            token: self.token()?,
        })
    }

    #[cfg(feature = "tokens")]
    fn required_token(&self) -> Result<crate::Token, Wrong> {
        let missing = || Wrong::new("the field `token` is missing: it holds the token".to_owned());
        self.token()?.ok_or_else(missing)
    }

    /// Returns the token. An error repeats nothing of it.
    #[cfg(feature = "tokens")]
    fn token(&self) -> Result<Option<crate::Token>, Wrong> {
        let Some(json) = self.token.unless_null("token")? else {
            return Ok(None);
        };
        let wrong = || {
            let limit = crate::MAX_TOKEN_BYTES;
            let detail = format!("the field `token` is no text of at most {limit} bytes");
            Wrong::new(detail)
        };
        let token = text("token", Some(json)).ok().flatten().ok_or_else(wrong)?;
        crate::Token::new(token).map(Some).ok_or_else(wrong)
    }

    fn command(&self) -> Result<Command, Wrong> {
        let id = self.id()?;
        let in_frame = |wrong: Wrong| wrong.in_frame_of(id);
        let command = self.command.once("command").map_err(in_frame)?;
        let command = command.ok_or_else(|| {
            let detail = "the field `command` is missing: it holds the MongoDB command";
            in_frame(Wrong::new(detail.to_owned()))
        })?;
        Ok(Command {
            id,
            deadline_ms: self.deadline_ms().map_err(in_frame)?,
            command: RawJson::checked(command),
        })
    }

    fn outcome(&self) -> Result<OutcomeQuery, Wrong> {
        let id = self.id()?;
        Ok(OutcomeQuery {
            id,
            deadline_ms: self.deadline_ms().map_err(|wrong| wrong.in_frame_of(id))?,
        })
    }

    fn id(&self) -> Result<CommandId, Wrong> {
        let id = text("id", self.id.once("id")?)?;
        let id = id.ok_or_else(|| {
            Wrong::new("the field `id` is missing: give the command a UUID of version 7".to_owned())
        })?;
        id.parse()
            .map_err(|error| Wrong::new(format!("the field `id`: {error}")))
    }

    /// Returns the deadline. A number that does not fit counts as the largest, because the server's
    /// maximum is smaller in any case.
    fn deadline_ms(&self) -> Result<Option<u64>, Wrong> {
        let Some(digits) = self.deadline_ms.unless_null("deadline_ms")? else {
            return Ok(None);
        };
        if !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(Wrong::new(format!(
                "the field `deadline_ms` is {}: give an integer of milliseconds from 0 on, such as 10000",
                shown(digits)
            )));
        }
        Ok(Some(digits.parse().unwrap_or(u64::MAX)))
    }
}

/// Reads a string.
fn text<'a>(name: &'static str, json: Option<&'a str>) -> Result<Option<Cow<'a, str>>, Wrong> {
    /// Borrows a string without escapes.
    #[derive(serde::Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    json.map(|json| match serde_json::from_str(json) {
        Ok(Text(text)) => Ok(text),
        Err(_) => Err(Wrong::new(format!(
            "the field `{name}` is {}: give it as text in quotes",
            shown(json)
        ))),
    })
    .transpose()
}

/// The beginning of a value.
fn shown(json: &str) -> String {
    match json.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &json[..end]),
        None => json.to_owned(),
    }
}

impl<'de> Deserialize<'de> for Found<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FoundVisitor)
    }
}

struct FoundVisitor;

#[derive(serde::Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Name {
    Type,
    Id,
    DeadlineMs,
    Command,
    Client,
    Cluster,
    #[cfg(feature = "tokens")]
    Token,
    #[serde(other)]
    Other,
}

impl<'de> Visitor<'de> for FoundVisitor {
    type Value = Found<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Found<'de>, A::Error> {
        let mut found = Found::default();
        while let Some((name, value)) = fields.next_entry::<Name, &RawValue>()? {
            match name {
                Name::Type => found.kind.put(value),
                Name::Id => found.id.put(value),
                Name::DeadlineMs => found.deadline_ms.put(value),
                Name::Command => found.command.put(value),
                Name::Client => found.client.put(value),
                Name::Cluster => found.cluster.put(value),
                #[cfg(feature = "tokens")]
                Name::Token => found.token.put(value),
                Name::Other => {}
            }
        }
        Ok(found)
    }
}
