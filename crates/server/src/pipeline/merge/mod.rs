//! Adjacent writes to one collection as one MongoDB command.
//!
//! A round trip costs as much as the write in it, so the server sends sixty-four inserts as one
//! `insert` of sixty-four documents. The statements run in their order within one transaction
//! either way. Only the replies must be separated again. MongoDB's reply distinguishes the
//! documents of inserts and upserts. For other updates and deletes the reply has totals only. The
//! server therefore merges these only if each statement can match one document at most. It accepts
//! the totals only if they leave no doubt: all matched or none. Otherwise the transaction is run
//! again, unmerged.

use std::collections::HashMap;

use bson::{Bson, Document, doc};

use crate::command::{CommandName, Operation};

/// MongoDB takes 100,000 statements in one command; a merged one stays well below.
const MAX_STATEMENTS: usize = 10_000;

/// One operation of one command of a batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot<'t> {
    /// Place of the command in the batch.
    pub(super) task: usize,
    /// The index of the operation in its command.
    pub(super) index: usize,
    pub(super) operation: &'t Operation,
}

/// One or more operations that are sent to MongoDB at once.
#[derive(Debug)]
pub(super) enum Step<'t> {
    One(Slot<'t>),
    Merged(Merged<'t>),
}

/// Several operations that are sent as one command.
#[derive(Debug)]
pub(super) struct Merged<'t> {
    name: CommandName,
    /// The operations, each with the number of its statements.
    members: Vec<(Slot<'t>, usize)>,
}

/// Merges operations where that changes no reply, and keeps their order.
pub(super) fn plan<'t>(slots: impl IntoIterator<Item = Slot<'t>>, merge: bool) -> Vec<Step<'t>> {
    let mut stretches: Vec<(Vec<(Slot<'t>, usize)>, usize)> = Vec::new();
    for slot in slots {
        let statements = if merge { mergeable(slot.operation) } else { None };
        let count = statements.map_or(0, <[Bson]>::len);
        match stretches.last_mut() {
            Some((members, total))
                if count > 0
                    && *total > 0
                    && *total + count <= MAX_STATEMENTS
                    && members
                        .last()
                        .is_some_and(|(last, _)| alike(last.operation, slot.operation)) =>
            {
                members.push((slot, count));
                *total += count;
            }
            _ => stretches.push((vec![(slot, count)], count)),
        }
    }
    let steps = stretches.into_iter().map(|(members, _)| match &members[..] {
        [(slot, _)] => Step::One(*slot),
        _ => Step::Merged(Merged {
            name: members[0].0.operation.name(),
            members,
        }),
    });
    steps.collect()
}

fn alike(one: &Operation, other: &Operation) -> bool {
    one.name() == other.name() && one.collection() == other.collection()
}

/// Returns the statements of an operation that may be sent together with others.
fn mergeable(operation: &Operation) -> Option<&[Bson]> {
    let (field, statements) = operation.statements()?;
    let plain =
        operation.body().iter().skip(1).all(|(option, value)| {
            option == field || option == "ordered" && matches!(value, Bson::Boolean(_))
        });
    // A time limit of its own applies to the operation alone.
    if !plain || operation.max_time().is_some() {
        return None;
    }
    let matches_one_at_most = |statement: &Bson| {
        let Bson::Document(statement) = statement else {
            return false;
        };
        match operation.name() {
            CommandName::Update => {
                matches!(statement.get("multi"), None | Some(Bson::Boolean(false)))
                    && matches!(statement.get("upsert"), None | Some(Bson::Boolean(_)))
            }
            CommandName::Delete => matches!(statement.get("limit"), Some(Bson::Int32(1) | Bson::Int64(1))),
            _ => true,
        }
    };
    let all = !statements.is_empty() && statements.iter().all(matches_one_at_most);
    all.then_some(statements)
}

impl<'t> Merged<'t> {
    pub(super) fn slots(&self) -> impl Iterator<Item = Slot<'t>> {
        self.members.iter().map(|(slot, _)| *slot)
    }

    /// Returns the command that has all statements.
    pub(super) fn command(&self) -> Document {
        let mut command = Document::new();
        if let Some((slot, _)) = self.members.first() {
            let field = slot.operation.statements().map_or("", |(field, _)| field);
            let statements = self.statements();
            let statements: Vec<Bson> = statements
                .map(|(operation, place, statement)| operation.statement(place, statement))
                .collect();
            command.insert(self.name.as_str(), slot.operation.collection());
            command.insert(field, statements);
        }
        command
    }

    /// Returns the operation that a statement belongs to, and its place there.
    pub(super) fn locate(&self, statement: i32) -> Option<(Slot<'t>, i32)> {
        let mut rest = usize::try_from(statement).ok()?;
        for (slot, count) in &self.members {
            if rest < *count {
                return Some((*slot, i32::try_from(rest).ok()?));
            }
            rest -= count;
        }
        None
    }

    /// Returns the reply that each operation would have got on its own. Returns `None` if this
    /// reply does not show that.
    pub(super) fn split(&self, reply: &Document) -> Option<Vec<Document>> {
        let statements: usize = self.members.iter().map(|(_, count)| count).sum();
        let mut upserted = upserted(reply)?;
        // A statement that may upsert and did not upsert has matched.
        let mut known = Vec::with_capacity(statements);
        for (_, _, statement) in self.statements() {
            let index = known.len();
            known.push(match upserted.remove(&index) {
                Some(id) => Effect::Inserted(id),
                None if may_upsert(statement) => Effect::Matched,
                None => Effect::InQuestion,
            });
        }
        let count = |wanted: fn(&Effect<'_>) -> bool| known.iter().filter(|effect| wanted(effect)).count();
        let inserted = count(|effect| matches!(effect, Effect::Inserted(_)));
        let matched = count(|effect| matches!(effect, Effect::Matched));
        let in_question = count(|effect| matches!(effect, Effect::InQuestion));

        let n = number(reply.get("n"))?;
        let others_matched = all_or_none(n.checked_sub(inserted + matched)?, in_question)?;
        let modified = match self.name {
            CommandName::Update => all_or_none(number(reply.get("nModified"))?, n - inserted)?,
            _ => false,
        };

        let mut effects = known.into_iter();
        let replies = self.members.iter().map(|(_, count)| {
            let mut n = 0;
            let mut matched = 0;
            let mut upserted = Vec::new();
            for (index, effect) in (0_i32..).zip(effects.by_ref().take(*count)) {
                match effect {
                    Effect::Inserted(id) => {
                        n += 1;
                        upserted.push(Bson::Document(doc! { "index": index, "_id": id.clone() }));
                    }
                    Effect::Matched => matched += 1,
                    Effect::InQuestion => matched += i32::from(others_matched),
                }
            }
            let mut reply = doc! { "n": n + matched };
            if !upserted.is_empty() {
                reply.insert("upserted", upserted);
            }
            if self.name == CommandName::Update {
                reply.insert("nModified", if modified { matched } else { 0 });
            }
            reply.insert("ok", 1.0);
            reply
        });
        Some(replies.collect())
    }

    /// Returns all statements, each with its operation and its place there.
    fn statements(&self) -> impl Iterator<Item = (&'t Operation, usize, &'t Bson)> {
        self.members.iter().flat_map(|(slot, _)| {
            let operation = slot.operation;
            let statements = operation
                .statements()
                .map_or(&[][..], |(_, statements)| statements);
            let places = statements.iter().enumerate();
            places.map(move |(place, statement)| (operation, place, statement))
        })
    }
}

/// The effect of one statement.
enum Effect<'r> {
    Inserted(&'r Bson),
    Matched,
    /// Nothing or a match.
    InQuestion,
}

fn may_upsert(statement: &Bson) -> bool {
    let statement = statement.as_document();
    statement.is_some_and(|statement| statement.get("upsert") == Some(&Bson::Boolean(true)))
}

/// Returns the documents that were upserted, by the statement's place.
fn upserted(reply: &Document) -> Option<HashMap<usize, &Bson>> {
    let Ok(entries) = reply.get_array("upserted") else {
        return Some(HashMap::new());
    };
    let entries = entries.iter().map(|entry| {
        let entry = entry.as_document()?;
        Some((number(entry.get("index"))?, entry.get("_id")?))
    });
    entries.collect()
}

/// Returns `Some(true)` if all did, `Some(false)` if none did, and `None` if some did.
fn all_or_none(did: usize, of: usize) -> Option<bool> {
    match did {
        0 => Some(false),
        _ => (did == of).then_some(true),
    }
}

fn number(value: Option<&Bson>) -> Option<usize> {
    match value? {
        Bson::Int32(number) => usize::try_from(*number).ok(),
        Bson::Int64(number) => usize::try_from(*number).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
