//! The names and the kinds of the commands.

use core::fmt;

/// A command that clients may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
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
    /// Lists collections and views.
    ListCollections,
    /// Lists a collection's indexes.
    ListIndexes,
    /// Creates a collection or a view.
    Create,
    /// Creates indexes.
    CreateIndexes,
    /// Drops a collection or a view.
    Drop,
    /// Drops indexes.
    DropIndexes,
}

/// The kind of a command's execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// It only reads documents.
    Read,
    /// It may write documents.
    Write,
    /// It lists or changes collections and indexes, which MongoDB does outside transactions.
    Schema,
}

impl CommandName {
    /// Every command.
    pub const ALL: [CommandName; 14] = [
        Self::Insert,
        Self::Find,
        Self::Update,
        Self::Delete,
        Self::FindAndModify,
        Self::Aggregate,
        Self::Count,
        Self::Distinct,
        Self::ListCollections,
        Self::ListIndexes,
        Self::Create,
        Self::CreateIndexes,
        Self::Drop,
        Self::DropIndexes,
    ];

    /// Returns MongoDB's name for it.
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
            Self::ListCollections => "listCollections",
            Self::ListIndexes => "listIndexes",
            Self::Create => "create",
            Self::CreateIndexes => "createIndexes",
            Self::Drop => "drop",
            Self::DropIndexes => "dropIndexes",
        }
    }

    /// Returns the kind of its execution. `aggregate` only reads: the server refuses stages that
    /// write.
    pub const fn kind(self) -> Kind {
        match self {
            Self::Insert | Self::Update | Self::Delete | Self::FindAndModify => Kind::Write,
            Self::Find | Self::Aggregate | Self::Count | Self::Distinct => Kind::Read,
            Self::ListCollections
            | Self::ListIndexes
            | Self::Create
            | Self::CreateIndexes
            | Self::Drop
            | Self::DropIndexes => Kind::Schema,
        }
    }

    /// Returns the command of a document with this first field. MongoDB also knows `findandmodify`
    /// in small letters.
    pub(super) fn from_field(field: &str) -> Option<Self> {
        if field == "findandmodify" {
            return Some(Self::FindAndModify);
        }
        Self::ALL.into_iter().find(|name| name.as_str() == field)
    }
}

impl fmt::Display for CommandName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
