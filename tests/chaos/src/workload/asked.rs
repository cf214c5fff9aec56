//! What clients ask and are told, in terms of the workloads. Everything that judges a history reads
//! these.

use serde::{Deserialize, Serialize};

use super::neighbours::Misdeed;

/// How many accounts a bank has.
pub const ACCOUNTS: usize = 5;

/// What a client asked. A command is made from it alone, so it can be made again after the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// The object that is meant: a register, list, set, bank or counter.
    pub key: String,
    /// What the command's effect leaves in the data, unique in the run. A read leaves nothing and
    /// has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// What is to be done.
    #[serde(flatten)]
    pub what: What,
}

/// What is to be done with an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum What {
    /// It is read, all of it.
    Read,
    /// The token is a register's new value.
    Write,
    /// The token is a register's new value, if it has the expected one.
    CompareAndSet {
        /// The value it has to have.
        expected: String,
    },
    /// The token goes to the end of a list.
    Append,
    /// The token is a new member of a set.
    Insert,
    /// Money goes from one account of a bank to another.
    Transfer {
        /// The number of the account that pays, less than [`ACCOUNTS`].
        from: usize,
        /// The number of the one that is paid.
        to: usize,
        /// How much.
        amount: i64,
        /// Whether the list of commands also reads both accounts.
        look: bool,
    },
    /// A counter goes up.
    Add {
        /// By how much, at least 1.
        amount: i64,
        /// Whether the answer says how far it is then.
        look: bool,
    },
    /// Something that costs a bad server's other clients their commands.
    Misbehave {
        /// What it is.
        how: Misdeed,
        /// How many bytes there are before a long text, so that MongoDB cuts it elsewhere.
        shift: usize,
    },
}

/// What a client was told by the reply to a command that was executed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Told {
    /// That it was done, and no more.
    Done,
    /// A register's value, or the one it had before a compare-and-set; none if it was never
    /// written.
    Value(Option<String>),
    /// The members of a list in its order, or of a set in any.
    Items(Vec<String>),
    /// All accounts' balances by number, or those of a transfer's two accounts after it, the paying
    /// one's first.
    Balances(Vec<i64>),
    /// How far a counter is.
    Count(i64),
    /// Something that is no reply to this command.
    Nonsense(String),
}

impl Asked {
    /// A read of an object.
    pub fn read(key: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            token: None,
            what: What::Read,
        }
    }

    /// A command that writes.
    pub fn write(key: impl Into<String>, token: impl Into<String>, what: What) -> Self {
        Self {
            key: key.into(),
            token: Some(token.into()),
            what,
        }
    }

    /// The token of a command that writes, as text for a command.
    pub(super) fn token_text(&self) -> &str {
        self.token.as_deref().unwrap_or_default()
    }
}
