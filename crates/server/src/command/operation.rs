//! One MongoDB command: sent alone, or one of a list.

use core::time::Duration;

use bson::{Bson, Document};

use super::allowed_commands::{self, AllowedCommands};
use super::minted::MintedIds;
use super::name::{CommandName, Kind};
use super::refusal::{Refusal, bad_command, not_allowed};
use super::{count, list, operators};

/// One MongoDB command that passed every check.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    name: CommandName,
    collection: String,
    body: Document,
    max_time: Option<Duration>,
    runs_in_transaction: bool,
    minted_ids: Option<MintedIds>,
}

impl Operation {
    pub(super) fn read(mut body: Document, allowed_commands: &AllowedCommands) -> Result<Self, Refusal> {
        let (name, collection) = name_and_collection(&body, allowed_commands)?;
        allowed_commands::check_options(name, &body)?;
        operators::check(name, &body)?;
        let max_time = take_max_time(&mut body)?;
        if name == CommandName::Count {
            count::read_options(&mut body)?;
        }
        Ok(Self {
            name,
            collection,
            runs_in_transaction: operators::run_in_transaction(&body),
            minted_ids: match (name, body.get("documents")) {
                (CommandName::Insert, Some(Bson::Array(documents))) => MintedIds::mint(documents),
                _ => None,
            },
            body,
            max_time,
        })
    }

    /// Takes the comment of its list if it has none, and no more time than the list allows.
    pub(super) fn inherit(&mut self, comment: Option<&Bson>, max_time: Option<Duration>) {
        if let Some(comment) = comment
            && !self.body.contains_key("comment")
        {
            self.body.insert("comment", comment.clone());
        }
        self.max_time = match (self.max_time, max_time) {
            (Some(own), Some(lists)) => Some(own.min(lists)),
            (own, lists) => own.or(lists),
        };
    }

    /// Returns the command's name.
    pub fn name(&self) -> CommandName {
        self.name
    }

    /// Returns the collection that it is about; empty for `listCollections`.
    pub fn collection(&self) -> &str {
        &self.collection
    }

    /// Returns the kind of its execution.
    pub fn kind(&self) -> Kind {
        self.name.kind()
    }

    /// Returns the document to execute: the client's, in the client's order, without `maxTimeMS`.
    /// In a `count`, `query` is a document, and `limit` and `skip` are positive 64-bit integers, if
    /// they are there.
    pub fn body(&self) -> &Document {
        &self.body
    }

    /// Returns `true` if MongoDB executes it in a transaction. A read-only command for which this
    /// is `false` can still be executed as a snapshot read.
    pub fn runs_in_transaction(&self) -> bool {
        self.kind() != Kind::Schema && self.runs_in_transaction
    }

    /// Returns `true` if the other statements are executed after a statement has failed: `ordered`
    /// is `false`.
    pub(crate) fn is_unordered(&self) -> bool {
        self.statements().is_some() && self.body.get("ordered") == Some(&Bson::Boolean(false))
    }

    /// Returns the ids of the documents to insert that have none.
    pub(crate) fn minted_ids(&self) -> Option<MintedIds> {
        self.minted_ids
    }

    /// Returns the statements of an `insert`, `update` or `delete`, with the field that holds them.
    /// The documents of an `insert` may lack their `_id`: see [`statement`](Self::statement).
    pub(crate) fn statements(&self) -> Option<(&'static str, &[Bson])> {
        let field = match self.name {
            CommandName::Insert => "documents",
            CommandName::Update => "updates",
            CommandName::Delete => "deletes",
            _ => return None,
        };
        match self.body.get(field) {
            Some(Bson::Array(statements)) => Some((field, statements)),
            _ => None,
        }
    }

    /// Returns a statement as MongoDB gets it: a document to insert has an `_id`.
    pub(crate) fn statement(&self, place: usize, statement: &Bson) -> Bson {
        match self.minted_ids {
            Some(ids) => ids.complete(place, statement),
            None => statement.clone(),
        }
    }

    /// Returns the places of the statements that are not among these.
    pub(crate) fn places_without(&self, failed: impl Fn(usize) -> bool) -> Vec<usize> {
        let count = self.statements().map_or(0, |(_, statements)| statements.len());
        (0..count).filter(|place| !failed(*place)).collect()
    }

    /// Returns the document that MongoDB gets if it has only the statements at these places.
    pub(crate) fn to_send_only(&self, places: &[usize]) -> Document {
        let Some((field, statements)) = self.statements() else {
            return self.body.clone();
        };
        let kept = places
            .iter()
            .filter_map(|place| Some(self.statement(*place, statements.get(*place)?)));
        let kept: Vec<Bson> = kept.collect();
        let others = self.body.iter().filter(|(name, _)| *name != field);
        let mut body: Document = others
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        body.insert(field, kept);
        body
    }

    /// Returns the document that MongoDB gets: [`body`](Self::body), with an `_id` in each document
    /// to insert.
    pub(crate) fn to_send(&self) -> Document {
        let mut body = self.body.clone();
        if let (Some(_), Some((field, statements))) = (self.minted_ids, self.statements()) {
            let statements = statements.iter().enumerate();
            let completed: Vec<Bson> = statements
                .map(|(place, statement)| self.statement(place, statement))
                .collect();
            body.insert(field, completed);
        }
        body
    }

    /// Returns the client's `maxTimeMS`. The pipeline applies it or the command's deadline,
    /// whichever is shorter.
    pub fn max_time(&self) -> Option<Duration> {
        self.max_time
    }
}

fn name_and_collection(
    body: &Document,
    allowed_commands: &AllowedCommands,
) -> Result<(CommandName, String), Refusal> {
    let Some((field, target)) = body.iter().next() else {
        return Err(bad_command("the command is empty")
            .with_hint(r#"write for example {"find": "notes", "filter": {}}"#));
    };
    let Some(name) = CommandName::from_field(field) else {
        return Err(unknown(field, allowed_commands));
    };
    allowed_commands.check_name(name)?;
    if name == CommandName::ListCollections {
        return match target {
            Bson::Int32(1) | Bson::Int64(1) => Ok((name, String::new())),
            Bson::Double(one) if *one == 1.0 => Ok((name, String::new())),
            _ => Err(bad_command("listCollections names no collection")
                .with_hint(r#"write {"listCollections": 1, …}"#)),
        };
    }
    let Bson::String(collection) = target else {
        return Err(
            bad_command(format!("{name} must name a collection")).with_hint(format!(
                r#"write the collection's name as a string: {{"{name}": "notes", …}}"#
            )),
        );
    };
    allowed_commands::check_collection(collection).map_err(|refusal| refusal.inside(name.as_str()))?;
    Ok((name, collection.clone()))
}

/// Returns the refusal of a command whose first field is this one.
pub(super) fn unknown(field: &str, allowed_commands: &AllowedCommands) -> Refusal {
    not_allowed(format!("{field:?} is not a command this server executes")).with_hint(format!(
        "the command's name is its first field, one of {}, {}",
        allowed_commands.names().join(", "),
        list::NAME
    ))
}

const MAX_TIME: &str = "maxTimeMS";

pub(super) fn take_max_time(body: &mut Document) -> Result<Option<Duration>, Refusal> {
    let millis = match body.get(MAX_TIME) {
        None => return Ok(None),
        Some(Bson::Int32(millis)) => i64::from(*millis),
        Some(Bson::Int64(millis)) => *millis,
        Some(_) => return Err(bad_max_time()),
    };
    let millis = u64::try_from(millis).map_err(|_| bad_max_time())?;
    let rest = std::mem::take(body).into_iter();
    *body = rest.filter(|(field, _)| field != MAX_TIME).collect();
    // MongoDB reads 0 as no limit.
    Ok((millis > 0).then(|| Duration::from_millis(millis)))
}

fn bad_max_time() -> Refusal {
    bad_command("it must be an integer of milliseconds, 0 or more")
        .with_hint("leave it away to use the whole of the command's deadline")
        .inside(MAX_TIME)
}
