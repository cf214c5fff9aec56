//! The allow-list: the commands that a server passes on, and their options.

use bson::{Bson, Document};

use super::name::{CommandName, Kind};
use super::refusal::{Refusal, bad_command, not_allowed};
use super::refused_options::reason_against;
use super::schema;

/// The commands that a server takes from its clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AllowedCommands {
    /// `true` if clients may list, create and drop collections and indexes.
    pub schema: bool,
}

impl AllowedCommands {
    /// Returns the names of the allowed commands.
    pub(super) fn names(&self) -> Vec<&'static str> {
        let all = CommandName::ALL.into_iter();
        all.filter(|name| self.has(*name))
            .map(CommandName::as_str)
            .collect()
    }

    /// Returns every command with its options, for tests that must not leave one out. `transaction`
    /// stands for a list of commands, and `index` for an index of `createIndexes`.
    #[doc(hidden)]
    pub fn options(&self) -> Vec<(&'static str, Vec<&'static str>)> {
        let names = CommandName::ALL.into_iter().filter(|name| self.has(*name));
        let commands = names.map(|name| (name.as_str(), [options(name), &COMMON_OPTIONS].concat()));
        let mut all: Vec<_> = commands.collect();
        all.push((super::list::NAME, COMMON_OPTIONS.to_vec()));
        if self.schema {
            all.push(("index", schema::INDEX.to_vec()));
        }
        all
    }

    fn has(&self, name: CommandName) -> bool {
        self.schema || name.kind() != Kind::Schema
    }

    pub(super) fn check_name(&self, name: CommandName) -> Result<(), Refusal> {
        if self.has(name) {
            return Ok(());
        }
        Err(
            not_allowed(format!("{name} is not allowed on this server")).with_hint(
                "its operator allows commands on collections and indexes with --allow-schema (BELLWETHER_ALLOW_SCHEMA=true)",
            ),
        )
    }
}

pub(super) const fn options(name: CommandName) -> &'static [&'static str] {
    match name {
        CommandName::Insert => &["documents", "ordered", "bypassEmptyTsReplacement"],
        CommandName::Find => &[
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
        CommandName::Update => &["updates", "ordered", "let", "bypassEmptyTsReplacement"],
        CommandName::Delete => &["deletes", "ordered", "let"],
        CommandName::FindAndModify => &[
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
            "bypassEmptyTsReplacement",
        ],
        CommandName::Aggregate => &["pipeline", "cursor", "allowDiskUse", "collation", "hint", "let"],
        CommandName::Count => &["query", "limit", "skip", "hint", "collation"],
        CommandName::Distinct => &["key", "query", "collation", "hint"],
        CommandName::ListCollections => &["filter", "nameOnly", "cursor"],
        CommandName::ListIndexes => &["cursor"],
        CommandName::Create => &[
            "collation",
            "validator",
            "validationLevel",
            "validationAction",
            "viewOn",
            "pipeline",
            "clusteredIndex",
            "expireAfterSeconds",
            "changeStreamPreAndPostImages",
        ],
        CommandName::CreateIndexes => &["indexes"],
        CommandName::Drop => &[],
        CommandName::DropIndexes => &["index"],
    }
}

/// Options that every command has.
pub(super) const COMMON_OPTIONS: [&str; 2] = ["comment", "maxTimeMS"];

/// Checks that every field of the command is an option this server passes on.
pub(super) fn check_options(name: CommandName, body: &Document) -> Result<(), Refusal> {
    for option in body.keys().skip(1) {
        check_option(name.as_str(), options(name), &COMMON_OPTIONS, option)?;
    }
    match name {
        CommandName::Aggregate | CommandName::ListCollections | CommandName::ListIndexes => {
            check_cursor(body)
        }
        CommandName::Create => schema::check_create(body),
        CommandName::CreateIndexes => schema::check_indexes(body),
        _ => Ok(()),
    }
}

/// Checks one option of a command or an index. The allowed options are `own` and `common`.
pub(super) fn check_option(what: &str, own: &[&str], common: &[&str], option: &str) -> Result<(), Refusal> {
    if own.contains(&option) || common.contains(&option) {
        return Ok(());
    }
    let refused = not_allowed(format!("{what} does not take the option {option:?} here"));
    Err(refused.with_hint(match reason_against(option) {
        Some(reason) => format!("leave it away: {reason}"),
        None => format!("the options of {what} are {}", [own, common].concat().join(", ")),
    }))
}

/// Checks that a `cursor` is empty. Drivers send it, and a client cannot choose anything in it.
fn check_cursor(body: &Document) -> Result<(), Refusal> {
    match body.get("cursor") {
        None => Ok(()),
        Some(Bson::Document(cursor)) if cursor.is_empty() => Ok(()),
        Some(_) => Err(not_allowed("only an empty cursor is taken here")
            .with_hint("leave cursor away: the reply holds the whole result; page with $skip and $limit")
            .inside("cursor")),
    }
}

/// Checks the name of a collection.
pub(super) fn check_collection(collection: &str) -> Result<(), Refusal> {
    let wrong = if collection.is_empty() {
        "is empty"
    } else if collection.contains('\0') {
        "contains a NUL character"
    } else if collection.contains('$') {
        "contains a $"
    } else if collection.starts_with('.') {
        "begins with a dot"
    } else if collection.starts_with("system.") {
        return Err(not_allowed("collections called system.… are MongoDB's own")
            .with_hint("choose another collection"));
    } else {
        return Ok(());
    };
    Err(bad_command(format!("the collection's name {wrong}"))
        .with_hint("a name is not empty, does not begin with a dot, and contains neither NUL nor $"))
}
