//! The way from a client's text to a command that the pipeline may execute.
//!
//! This module checks everything that a client can send, before MongoDB gets it. It checks nesting,
//! numbers, repeated fields, and the command and its options. It refuses operators that would run
//! code or write without the pipeline. MongoDB itself checks the types of options and unknown
//! operators well, so this module does not.

mod allowed_commands;
mod count;
mod extjson;
mod fingerprint;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod list;
mod memory;
mod minted;
mod name;
mod operation;
mod operators;
mod outline;
mod refusal;
mod refused_options;
mod schema;
pub(crate) mod write_extjson;

use bellwether_protocol::{ErrorFrame, RawJson};

use crate::subject::SubjectHash;

pub use allowed_commands::AllowedCommands;
pub(crate) use count::is_by_distance;
pub(crate) use extjson::canonical;
pub use fingerprint::Fingerprint;
pub(crate) use fingerprint::Fingerprints;
pub use list::MAX_OPERATIONS;
pub(crate) use minted::{MAX_STATEMENTS, MintedIds, has_id};
pub use name::{CommandName, Kind};
pub use operation::Operation;
use refusal::{Refusal, bad_command};

/// A command that passed every check: one MongoDB command, or a list of them that the server
/// executes as one.
#[derive(Clone, Debug, PartialEq)]
pub struct ParsedCommand {
    operations: Vec<Operation>,
    list: bool,
    fingerprints: Fingerprints,
    bytes: usize,
    memory: usize,
}

impl ParsedCommand {
    /// Reads a command document in Extended JSON, canonical or relaxed.
    ///
    /// # Errors
    /// An error frame with the outcome `not_executed` that names the field at fault and the next
    /// step.
    pub fn parse(raw: &RawJson, allowed_commands: &AllowedCommands) -> Result<Self, ErrorFrame> {
        read(raw.as_str(), allowed_commands).map_err(Refusal::into_frame)
    }

    /// Returns the same command of this subject. Its record then belongs to the subject.
    pub(crate) fn of_subject(mut self, subject: Option<SubjectHash>) -> Self {
        self.fingerprints.set_subject(subject);
        self
    }

    /// Returns the MongoDB commands to execute, in this order: one, or those of a list. There is
    /// always one at least.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// Returns `true` if it is a list. A list of one command is also a list: its reply is a list of
    /// one reply.
    pub fn is_list(&self) -> bool {
        self.list
    }

    /// Returns the kind of its execution. A list only reads if all its commands only read.
    pub fn kind(&self) -> Kind {
        let other = self
            .operations
            .iter()
            .map(Operation::kind)
            .find(|kind| *kind != Kind::Read);
        other.unwrap_or(Kind::Read)
    }

    /// Returns `true` if MongoDB executes all of it in one transaction. A read-only command for
    /// which this is `false` can still be executed as snapshot reads.
    pub fn runs_in_transaction(&self) -> bool {
        self.operations.iter().all(Operation::runs_in_transaction)
    }

    /// Returns the fingerprint of the document as the client sent it, without every `maxTimeMS` and
    /// `comment`.
    pub fn fingerprint(&self) -> &Fingerprint {
        self.fingerprints.of_command()
    }

    /// Returns the fingerprints that its record holds.
    pub(crate) fn fingerprints(&self) -> &Fingerprints {
        &self.fingerprints
    }

    /// Returns the size of the command in bytes of BSON.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the memory that the command takes, in bytes: an estimate that is rather too large.
    pub(crate) fn memory(&self) -> usize {
        self.memory
    }

    /// Returns the command's name for logs: its own name, or `transaction` for a list.
    pub fn name(&self) -> &'static str {
        match self.operations.first() {
            Some(operation) if !self.list => operation.name().as_str(),
            _ => list::NAME,
        }
    }

    /// Returns the collection for logs: that of its first command.
    pub fn collection(&self) -> &str {
        self.operations.first().map_or("", Operation::collection)
    }
}

fn read(text: &str, allowed_commands: &AllowedCommands) -> Result<ParsedCommand, Refusal> {
    outline::check(text, allowed_commands)?;
    let body = extjson::parse(text)?;
    let encoded = body
        .to_vec()
        .map_err(|error| bad_command(format!("the command cannot be written as BSON: {error}")))?;
    let list = list::is_list(&body);
    let fingerprints = Fingerprints::of(&body, &encoded)
        .map_err(|error| bad_command(format!("the command cannot be written as BSON: {error}")))?;
    let operations = if list {
        list::read(body, allowed_commands)?
    } else {
        vec![Operation::read(body, allowed_commands)?]
    };
    Ok(ParsedCommand {
        memory: memory::of(&operations),
        operations,
        list,
        fingerprints,
        bytes: encoded.len(),
    })
}

#[cfg(test)]
mod tests;
