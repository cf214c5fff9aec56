//! From the text a client sent to a command the pipeline may execute.
//!
//! Everything a client can send is judged here, before MongoDB hears of it: nesting, numbers, repeated
//! fields, the command and its options, and operators that would run code or write behind the pipeline's
//! back. What MongoDB itself checks well (types of options, unknown operators) is left to MongoDB.

mod extjson;
mod operators;
mod refusal;
mod scan;
mod vocabulary;

use core::time::Duration;

use bellwether_protocol::{ErrorCode, ErrorFrame, MAX_DEPTH};
use bson::{Bson, Document};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

pub(crate) use extjson::canonical;
use refusal::{bad_command, not_allowed, refused};
pub use vocabulary::{CommandName, Kind};

/// A command that passed every check.
#[derive(Clone, Debug, PartialEq)]
pub struct ParsedCommand {
    name: CommandName,
    collection: String,
    body: Document,
    max_time: Option<Duration>,
    fingerprint: Fingerprint,
    bytes: usize,
}

/// SHA-256 over a command's BSON bytes: tells whether two bodies under one id are the same command.
pub type Fingerprint = [u8; 32];

impl ParsedCommand {
    /// Reads a command document in Extended JSON, canonical or relaxed.
    ///
    /// # Errors
    /// An error frame with the outcome `not_executed` that names the field at fault and what to do.
    pub fn parse(raw: &RawValue) -> Result<Self, ErrorFrame> {
        let text = raw.get();
        scan::check(text).map_err(flaw)?;
        let mut body = extjson::parse(text).map_err(|error| {
            bad_command(format!("the command is not a document in Extended JSON: {error}"))
                .with_hint("see https://www.mongodb.com/docs/manual/reference/mongodb-extended-json/")
        })?;

        let (name, collection) = name_and_collection(&body)?;
        vocabulary::check_options(name, &body)?;
        operators::check(name, &body)?;

        let encoded = body
            .to_vec()
            .map_err(|error| bad_command(format!("the command cannot be written as BSON: {error}")))?;
        let max_time = take_max_time(&mut body)?;
        Ok(Self {
            name,
            collection,
            body,
            max_time,
            fingerprint: Sha256::digest(&encoded).into(),
            bytes: encoded.len(),
        })
    }

    /// The command's name.
    pub fn name(&self) -> CommandName {
        self.name
    }

    /// The collection it is about.
    pub fn collection(&self) -> &str {
        &self.collection
    }

    /// Whether it can change data.
    pub fn kind(&self) -> Kind {
        self.name.kind()
    }

    /// The document to execute: the client's, in the client's order, without `maxTimeMS`.
    pub fn body(&self) -> &Document {
        &self.body
    }

    /// The client's `maxTimeMS`. The pipeline applies it or the command's deadline, whichever is shorter.
    pub fn max_time(&self) -> Option<Duration> {
        self.max_time
    }

    /// The fingerprint of the document as the client sent it.
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// The size of the command in bytes of BSON.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

fn flaw(flaw: scan::Flaw) -> ErrorFrame {
    match flaw {
        scan::Flaw::TooDeep => refused(
            ErrorCode::TooDeep,
            format!("the command is nested deeper than {MAX_DEPTH} levels"),
        )
        .with_hint(format!(
            "nest arrays and documents at most {MAX_DEPTH} levels, the command itself included"
        )),
        scan::Flaw::Number(number) => bad_command(format!(
            "the number {number} does not fit a 64-bit integer or double"
        ))
        .with_hint("write it as {\"$numberDecimal\": \"…\"} or as a string"),
    }
}

fn name_and_collection(body: &Document) -> Result<(CommandName, String), ErrorFrame> {
    let Some((name, target)) = body.iter().next() else {
        return Err(bad_command("the command is empty")
            .with_hint(r#"write for example {"find": "notes", "filter": {}}"#));
    };
    let Some(name) = CommandName::from_field(name) else {
        return Err(
            not_allowed(format!("{name:?} is not a command this server executes")).with_hint(format!(
                "the command's name is its first field, one of {}",
                CommandName::ALL.map(CommandName::as_str).join(", ")
            )),
        );
    };
    let Bson::String(collection) = target else {
        return Err(
            bad_command(format!("{name} must name a collection")).with_hint(format!(
                r#"write the collection's name as a string: {{"{name}": "notes", …}}"#
            )),
        );
    };
    vocabulary::check_collection(name.as_str(), collection)?;
    Ok((name, collection.clone()))
}

fn take_max_time(body: &mut Document) -> Result<Option<Duration>, ErrorFrame> {
    let millis = match body.get("maxTimeMS") {
        None => return Ok(None),
        Some(Bson::Int32(millis)) => i64::from(*millis),
        Some(Bson::Int64(millis)) => *millis,
        Some(_) => return Err(bad_max_time()),
    };
    let millis = u64::try_from(millis).map_err(|_| bad_max_time())?;
    let rest = std::mem::take(body).into_iter();
    *body = rest.filter(|(field, _)| field != "maxTimeMS").collect();
    // 0 is MongoDB's word for no limit.
    Ok((millis > 0).then(|| Duration::from_millis(millis)))
}

fn bad_max_time() -> ErrorFrame {
    bad_command("maxTimeMS must be an integer of milliseconds, 0 or more")
        .with_hint("leave it away to use the whole of the command's deadline")
}

#[cfg(test)]
mod tests;
