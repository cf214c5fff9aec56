//! The eight commands and their options.

use core::fmt;

use bellwether_protocol::ErrorFrame;
use bson::{Bson, Document};

use super::refusal::{bad_command, not_allowed};

/// A command clients may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CommandName {
    /// Inserts documents.
    Insert,
    /// Finds documents.
    Find,
    /// Changes documents.
    Update,
    /// Deletes documents.
    Delete,
    /// Changes or deletes one document and returns it.
    FindAndModify,
    /// Runs an aggregation pipeline.
    Aggregate,
    /// Counts documents.
    Count,
    /// Lists a field's different values.
    Distinct,
}

/// Whether a command can change data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// It only reads.
    Read,
    /// It may write.
    Write,
}

impl CommandName {
    /// Every command.
    pub const ALL: [CommandName; 8] = [
        Self::Insert,
        Self::Find,
        Self::Update,
        Self::Delete,
        Self::FindAndModify,
        Self::Aggregate,
        Self::Count,
        Self::Distinct,
    ];

    /// MongoDB's name for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Find => "find",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::FindAndModify => "findAndModify",
            Self::Aggregate => "aggregate",
            Self::Count => "count",
            Self::Distinct => "distinct",
        }
    }

    /// Whether it can change data. `aggregate` cannot: stages that write are refused.
    pub const fn kind(self) -> Kind {
        match self {
            Self::Insert | Self::Update | Self::Delete | Self::FindAndModify => Kind::Write,
            Self::Find | Self::Aggregate | Self::Count | Self::Distinct => Kind::Read,
        }
    }

    /// The command a document with this first field is. MongoDB, too, knows `findandmodify` in small letters.
    pub(super) fn from_field(field: &str) -> Option<Self> {
        if field == "findandmodify" {
            return Some(Self::FindAndModify);
        }
        Self::ALL.into_iter().find(|name| name.as_str() == field)
    }

    const fn options(self) -> &'static [&'static str] {
        match self {
            Self::Insert => &["documents", "ordered"],
            Self::Find => &[
                "filter",
                "sort",
                "projection",
                "hint",
                "skip",
                "limit",
                "collation",
                "let",
                "min",
                "max",
                "returnKey",
                "showRecordId",
                "allowDiskUse",
            ],
            Self::Update => &["updates", "ordered", "let"],
            Self::Delete => &["deletes", "ordered", "let"],
            Self::FindAndModify => &[
                "query",
                "sort",
                "remove",
                "update",
                "new",
                "fields",
                "upsert",
                "collation",
                "arrayFilters",
                "hint",
                "let",
            ],
            Self::Aggregate => &["pipeline", "cursor", "allowDiskUse", "collation", "hint", "let"],
            Self::Count => &["query", "limit", "skip", "hint", "collation"],
            Self::Distinct => &["key", "query", "collation", "hint"],
        }
    }
}

impl fmt::Display for CommandName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Options every command has.
const COMMON_OPTIONS: [&str; 2] = ["comment", "maxTimeMS"];

/// Options MongoDB knows and this server refuses, with the reason.
const REFUSED_OPTIONS: [(&str, &str); 19] = [
    (
        "writeConcern",
        "every command is answered only after a majority has it",
    ),
    (
        "readConcern",
        "every command reads a snapshot that a majority has",
    ),
    ("$readPreference", "every command runs on the primary"),
    ("lsid", "sessions are the server's own"),
    (
        "txnNumber",
        "every command is a transaction already; its id makes it safe to repeat",
    ),
    ("stmtId", "the command's id makes it safe to repeat"),
    ("stmtIds", "the command's id makes it safe to repeat"),
    ("autocommit", "every command is a transaction already"),
    ("startTransaction", "every command is a transaction already"),
    ("$db", "commands are for the configured database"),
    ("$clusterTime", "the server keeps it"),
    (
        "bypassDocumentValidation",
        "the collection's validation holds for every client",
    ),
    ("explain", "explain cannot run in a transaction"),
    (
        "batchSize",
        "the reply holds the whole result; page with sort, skip and limit",
    ),
    (
        "singleBatch",
        "the reply holds the whole result; page with sort, skip and limit",
    ),
    ("tailable", "a command ends with its reply"),
    ("awaitData", "a command ends with its reply"),
    ("noCursorTimeout", "a command ends with its reply"),
    ("allowPartialResults", "results are never partial"),
];

/// Checks that every field of the command is an option this server passes on.
pub(super) fn check_options(name: CommandName, body: &Document) -> Result<(), ErrorFrame> {
    for option in body.keys().skip(1).map(String::as_str) {
        if name.options().contains(&option) || COMMON_OPTIONS.contains(&option) {
            continue;
        }
        let refused = not_allowed(format!("{name} does not take the option {option:.64?} here"));
        let reason = REFUSED_OPTIONS.iter().find(|(known, _)| *known == option);
        return Err(refused.with_hint(match reason {
            Some((_, reason)) => format!("leave it away: {reason}"),
            None => format!(
                "the options of {name} are {}, {}",
                name.options().join(", "),
                COMMON_OPTIONS.join(", ")
            ),
        }));
    }
    check_cursor(body)
}

/// An aggregation's `cursor` is there because MongoDB demands it; there is nothing to choose.
fn check_cursor(body: &Document) -> Result<(), ErrorFrame> {
    match body.get("cursor") {
        None => Ok(()),
        Some(Bson::Document(cursor)) if cursor.is_empty() => Ok(()),
        Some(_) => Err(not_allowed("aggregate takes only an empty cursor here")
            .with_hint("leave cursor away: the reply holds the whole result; page with $skip and $limit")),
    }
}

/// Checks the name of a collection, found at `path`.
pub(super) fn check_collection(path: &str, collection: &str) -> Result<(), ErrorFrame> {
    let wrong = if collection.is_empty() {
        "is empty"
    } else if collection.contains('\0') {
        "contains a NUL character"
    } else if collection.contains('$') {
        "contains a $"
    } else if collection.starts_with("system.") {
        return Err(
            not_allowed(format!("{path}: collections called system.… are MongoDB's own"))
                .with_hint("choose another collection"),
        );
    } else {
        return Ok(());
    };
    Err(bad_command(format!("{path}: the collection's name {wrong}"))
        .with_hint("a name is not empty and contains neither NUL nor $"))
}
