//! Bad neighbours: commands that are at fault, or that only look so, in the same batches as the
//! commands of other clients. The right answer to each is known.
//!
//! A command that writes also leaves its token, in a statement before the one at fault. So the data
//! shows if a refused command has had half of its effect.

use anyhow::{Context, Result};
use bellwether_protocol::ErrorCode;
use bson::{Document, doc};
use mongodb::Database;
use mongodb::options::WriteConcern;
use rand::Rng;
use rand::rngs::SmallRng;
use serde::{Deserialize, Serialize};

use super::asked::{Asked, Told, What};
use super::reply;

pub(crate) const COLLECTION: &str = "neighbours";
/// A capped collection, of which MongoDB has no snapshots.
const CAPPED: &str = "capped";

/// A character of three bytes. MongoDB cuts values in its messages at 150 bytes, and so inside one
/// of them for two of three [shifts](SHIFTS).
const CHARACTER: &str = "日";
/// Number of stored texts, each shifted by one byte more.
const SHIFTS: usize = 3;

/// A command of a bad neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Misdeed {
    /// A duplicate key, quoted by MongoDB with a cut inside a character.
    DuplicateKey,
    /// The same in an atomic list.
    DuplicateKeyInList,
    /// `$inc` of a long text.
    TypeMismatch,
    /// `$set` below a long text.
    PathNotViable,
    /// A replacement with another `_id`.
    ImmutableField,
    /// `$dateFromString` of a long text, in a write.
    Conversion,
    /// The same in a read.
    ConversionInRead,
    /// A document whose `_id` is so large that the transaction cannot be committed.
    CommitTooLarge,
    /// A value with half a character, which the reply contains.
    HalfCharacter,
    /// A read of a capped collection.
    Capped,
    /// A reply larger than a server sends.
    ResultTooLarge,
    /// A read that takes MongoDB some hundred milliseconds.
    LongRead,
    /// A command that no server passes on.
    UnknownCommand,
    /// JavaScript.
    JavaScript,
    /// A value that is no Extended JSON.
    BrokenType,
}

/// The right answer to a bad neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Right {
    /// A reply.
    Executed,
    /// MongoDB's error with this code.
    Mongo(i32),
    /// This error of the server's own.
    Refused(ErrorCode),
}

impl Misdeed {
    /// Returns the right answer, once the cluster works.
    pub(crate) fn right(self) -> Right {
        match self {
            Self::DuplicateKey | Self::DuplicateKeyInList => Right::Mongo(11_000),
            Self::TypeMismatch => Right::Mongo(14),
            Self::PathNotViable => Right::Mongo(28),
            Self::ImmutableField => Right::Mongo(66),
            Self::Conversion | Self::ConversionInRead => Right::Mongo(241),
            Self::CommitTooLarge => Right::Mongo(10_334),
            Self::Capped => Right::Mongo(246),
            Self::HalfCharacter | Self::LongRead => Right::Executed,
            Self::ResultTooLarge => Right::Refused(ErrorCode::ResultTooLarge),
            Self::UnknownCommand | Self::JavaScript => Right::Refused(ErrorCode::CommandNotAllowed),
            Self::BrokenType => Right::Refused(ErrorCode::BadCommand),
        }
    }

    /// Returns `true` if it would leave its token.
    fn writes(self) -> bool {
        match self {
            Self::DuplicateKey
            | Self::DuplicateKeyInList
            | Self::TypeMismatch
            | Self::PathNotViable
            | Self::ImmutableField
            | Self::Conversion
            | Self::CommitTooLarge
            | Self::HalfCharacter => true,
            Self::ConversionInRead
            | Self::Capped
            | Self::ResultTooLarge
            | Self::LongRead
            | Self::UnknownCommand
            | Self::JavaScript
            | Self::BrokenType => false,
        }
    }
}

/// Those that cost MongoDB little.
const CHEAP: [Misdeed; 12] = [
    Misdeed::DuplicateKey,
    Misdeed::DuplicateKeyInList,
    Misdeed::TypeMismatch,
    Misdeed::PathNotViable,
    Misdeed::ImmutableField,
    Misdeed::Conversion,
    Misdeed::ConversionInRead,
    Misdeed::HalfCharacter,
    Misdeed::Capped,
    Misdeed::UnknownCommand,
    Misdeed::JavaScript,
    Misdeed::BrokenType,
];

/// Makes the documents and collections that the commands need.
pub(super) async fn prepare(database: &Database) -> Result<()> {
    let made = database
        .create_collection(CAPPED)
        .capped(true)
        .size(100_000)
        .write_concern(WriteConcern::majority());
    made.await.context("making a capped collection")?;
    let index = doc! {
        "createIndexes": COLLECTION,
        "indexes": [{ "key": { "t": 1 }, "name": "t", "unique": true, "sparse": true }],
        "writeConcern": { "w": "majority" },
    };
    database
        .run_command(index)
        .await
        .context("making the neighbours' index")?;
    let documents: Vec<Document> = (0..SHIFTS)
        .map(|shift| doc! { "_id": stored(shift), "t": long_text(shift) })
        .collect();
    let insert = doc! {
        "insert": COLLECTION, "documents": documents, "writeConcern": { "w": "majority" },
    };
    database
        .run_command(insert)
        .await
        .context("inserting the neighbours' texts")?;
    Ok(())
}

pub(super) fn draw(rng: &mut SmallRng, token: String) -> Asked {
    let how = match rng.random_range(0..100) {
        0..4 => Misdeed::CommitTooLarge,
        4..8 => Misdeed::LongRead,
        8..10 => Misdeed::ResultTooLarge,
        _ => CHEAP[rng.random_range(0..CHEAP.len())],
    };
    let shift = rng.random_range(0..SHIFTS);
    let what = What::Misbehave { how, shift };
    if how.writes() {
        Asked::write(token.clone(), token, what)
    } else {
        Asked {
            key: token,
            token: None,
            what,
        }
    }
}

/// Returns the command. Each command has its token or key in it, so no two commands are the same.
pub(super) fn command(asked: &Asked) -> String {
    let (key, own) = (&asked.key, asked.token_text());
    let What::Misbehave { how, shift } = asked.what else {
        return format!(r#"{{"find":"{COLLECTION}","filter":{{"_id":"{key}"}}}}"#);
    };
    let (text, stored) = (long_text(shift), stored(shift));
    let leave = format!(r#"{{"q":{{"_id":"{own}"}},"u":{{"$set":{{"by":"{own}"}}}},"upsert":true}}"#);
    let update = |q: &str, u: &str| {
        format!(r#"{{"update":"{COLLECTION}","updates":[{leave},{{"q":{q},"u":{u},"upsert":false}}]}}"#)
    };
    let document = format!(r#"{{"_id":"{own}","by":"{own}"}}"#);
    let the_stored = format!(r#"{{"_id":"{stored}"}}"#);
    let date = |text: &str| format!(r#"{{"$dateFromString":{{"dateString":"{text}"}}}}"#);
    match how {
        Misdeed::DuplicateKey => {
            format!(r#"{{"insert":"{COLLECTION}","documents":[{document},{{"t":"{text}"}}]}}"#)
        }
        Misdeed::DuplicateKeyInList => format!(
            r#"{{"transaction":[{{"insert":"{COLLECTION}","documents":[{document}]}},{{"insert":"{COLLECTION}","documents":[{{"t":"{text}"}}]}}]}}"#
        ),
        Misdeed::TypeMismatch => update(&the_stored, r#"{"$inc":{"t":1}}"#),
        Misdeed::PathNotViable => update(&the_stored, r#"{"$set":{"t.x":1}}"#),
        Misdeed::ImmutableField => update(&the_stored, &format!(r#"{{"_id":"{text}"}}"#)),
        Misdeed::Conversion => update(&the_stored, &format!(r#"[{{"$set":{{"d":{}}}}}]"#, date("$t"))),
        Misdeed::ConversionInRead => format!(
            r#"{{"aggregate":"{COLLECTION}","pipeline":[{{"$match":{the_stored}}},{{"$set":{{"{key}":{}}}}}]}}"#,
            date("$t")
        ),
        Misdeed::CommitTooLarge => format!(
            r#"{{"update":"{COLLECTION}","updates":[{leave},{{"q":{{"n":"{own}"}},"u":{},"upsert":true}}]}}"#,
            too_large_to_commit()
        ),
        Misdeed::HalfCharacter => format!(
            r#"{{"findAndModify":"{COLLECTION}","query":{{"_id":"{own}"}},"upsert":true,"new":true,"update":[{{"$set":{{"by":"{own}","half":{{"$regexFind":{{"input":"é","regex":"\\C"}}}}}}}}]}}"#
        ),
        Misdeed::Capped => format!(r#"{{"find":"{CAPPED}","filter":{{"_id":"{key}"}}}}"#),
        Misdeed::ResultTooLarge => format!(
            r#"{{"aggregate":"{COLLECTION}","pipeline":[{{"$match":{the_stored}}},{{"$project":{{"x":{{"$map":{{"input":{{"$range":[0,4200]}},"in":{{"$concat":["{key}","{}"]}}}}}}}}}}]}}"#,
            "x".repeat(1000)
        ),
        Misdeed::LongRead => format!(
            r#"{{"aggregate":"{COLLECTION}","pipeline":[{{"$match":{the_stored}}},{{"$set":{{"n":{{"$range":[0,200000]}}}}}},{{"$unwind":"$n"}},{{"$group":{{"_id":{{"$mod":["$n",{GROUPS}]}},"{key}":{{"$sum":1}}}}}}]}}"#
        ),
        Misdeed::UnknownCommand => format!(r#"{{"shutdown":1,"comment":"{key}"}}"#),
        Misdeed::JavaScript => {
            format!(r#"{{"find":"{COLLECTION}","filter":{{"_id":"{key}","$where":"while(true);"}}}}"#)
        }
        Misdeed::BrokenType => {
            format!(r#"{{"find":"{COLLECTION}","filter":{{"_id":"{key}","a":{{"$oid":"xyz"}}}}}}"#)
        }
    }
}

/// Number of groups that a long read makes.
const GROUPS: usize = 7;

pub(super) fn told(asked: &Asked, reply: &Document) -> Option<Told> {
    let What::Misbehave { how, .. } = asked.what else {
        return None;
    };
    let right = match how {
        Misdeed::HalfCharacter => {
            reply::found_and_modified(reply)??.get_str("by").ok()? == asked.token_text()
        }
        Misdeed::LongRead => reply::batch(reply)?.len() == GROUPS,
        // It should have been refused, which is another check's.
        _ => true,
    };
    right.then_some(Told::Done)
}

/// Returns the `_id` of a stored document.
fn stored(shift: usize) -> String {
    format!("text {shift}")
}

fn long_text(shift: usize) -> String {
    format!("{}{}", "x".repeat(shift), CHARACTER.repeat(100))
}

/// Returns a pipeline that makes a document with 12 MB in addition to the 3 MB of its `_id`.
/// MongoDB's record of it has the `_id` twice.
fn too_large_to_commit() -> String {
    let megabyte = r#"{"$reduce":{"input":{"$range":[0,20]},"initialValue":"x","in":{"$concat":["$$value","$$value"]}}}"#;
    let times = |count: usize| vec![r#""$t""#; count].join(",");
    format!(
        r#"[{{"$set":{{"t":{megabyte}}}}},{{"$replaceWith":{{"_id":{{"$concat":[{}]}},"x":[{}]}}}}]"#,
        times(3),
        times(12)
    )
}
