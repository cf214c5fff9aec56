//! The clients' operations and their answers, in terms of the workloads. All checkers of a history
//! read these types.

use serde::{Deserialize, Serialize};

use super::neighbours::Misdeed;

/// Number of accounts of a bank.
pub const ACCOUNTS: usize = 5;

/// An operation of a client. A command is made from it alone, so it can be made again after the
/// run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Its object: a register, list, set, bank or counter.
    pub key: String,
    /// Trace that the command leaves in the data, unique in the run. A read leaves nothing and has
    /// none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Kind of the operation.
    #[serde(flatten)]
    pub what: What,
}

/// An operation on an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum What {
    /// Reads the whole object.
    Read,
    /// Writes the token as a register's new value.
    Write,
    /// Writes the token as a register's new value, if the register has the expected one.
    CompareAndSet {
        /// The value it must have.
        expected: String,
    },
    /// Appends the token to a list.
    Append,
    /// The token is a new member of a set.
    Insert,
    /// Transfers money from one account of a bank to another.
    Transfer {
        /// The number of the account that pays, less than [`ACCOUNTS`].
        from: usize,
        /// The number of the one that is paid.
        to: usize,
        /// The amount.
        amount: i64,
        /// `true` if the list of commands also reads both accounts.
        look: bool,
    },
    /// Increases a counter.
    Add {
        /// The increment, at least 1.
        amount: i64,
        /// `true` if the answer has the new value of the counter.
        look: bool,
    },
    /// Sends a command that, with a bad server, would fail the commands of other clients.
    Misbehave {
        /// Kind of the command.
        how: Misdeed,
        /// Number of bytes before a long text, so that MongoDB cuts the text at another place.
        shift: usize,
    },
}

/// Content of the reply to a command that was executed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Told {
    /// The command was executed; the reply has no more.
    Done,
    /// A register's value, or the one it had before a compare-and-set; none if it was never
    /// written.
    Value(Option<String>),
    /// The members of a list in its order, or of a set in any.
    Items(Vec<String>),
    /// All accounts' balances by number, or those of a transfer's two accounts after it, the paying
    /// one's first.
    Balances(Vec<i64>),
    /// Value of a counter.
    Count(i64),
    /// Something that is no reply to this command.
    Nonsense(String),
}

impl Asked {
    /// Makes a read of an object.
    pub fn read(key: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            token: None,
            what: What::Read,
        }
    }

    /// Makes a command that writes.
    pub fn write(key: impl Into<String>, token: impl Into<String>, what: What) -> Self {
        Self {
            key: key.into(),
            token: Some(token.into()),
            what,
        }
    }

    /// Returns the token of a command that writes, as text for a command.
    pub(super) fn token_text(&self) -> &str {
        self.token.as_deref().unwrap_or_default()
    }
}
