//! Operators that run code on MongoDB, write beside the pipeline, or look out of the database.
//!
//! They are refused wherever MongoDB would obey them: in queries, expressions, pipelines and array filters,
//! at any depth. They are left alone where they are data: in documents to insert, in the operands of an
//! update document, in a `comment` and inside `$literal`. (MongoDB takes `$literal` as a field name nowhere,
//! so nothing can hide in it.) A query that *compares* with a document having such a field is refused, too;
//! say it with `$literal` inside `$expr`.

use bson::{Bson, Document};

use super::name::CommandName;
use super::refusal::{Refusal, not_allowed};
use super::vocabulary::check_collection;

const REFUSED: [(&str, &str); 9] = [
    (
        "$where",
        "it runs JavaScript in MongoDB; use query operators or $expr",
    ),
    (
        "$function",
        "it runs JavaScript in MongoDB; use aggregation expressions",
    ),
    (
        "$accumulator",
        "it runs JavaScript in MongoDB; use the accumulators MongoDB has",
    ),
    ("$out", "aggregate only reads here; write with insert or update"),
    ("$merge", "aggregate only reads here; write with insert or update"),
    ("$changeStream", "a command ends with its reply"),
    ("$currentOp", "it looks at other clients' operations"),
    ("$listSessions", "it looks at other clients' sessions"),
    ("$listLocalSessions", "it looks at other clients' sessions"),
];

/// Refuses a command that contains such an operator, naming where.
pub(super) fn check(name: CommandName, body: &Document) -> Result<(), Refusal> {
    body.iter().skip(1).try_for_each(|(field, value)| {
        match (name, field.as_str()) {
            (_, "comment") | (CommandName::Insert, "documents") => Ok(()),
            (CommandName::Update, "updates") => each(value, check_statement),
            (CommandName::FindAndModify, "update") => check_update(value),
            _ => check_value(value),
        }
        .map_err(|refusal| refusal.inside(field))
    })
}

/// One element of `updates`: `{q, u, arrayFilters, …}`.
fn check_statement(statement: &Bson) -> Result<(), Refusal> {
    let Bson::Document(statement) = statement else {
        return check_value(statement);
    };
    statement.iter().try_for_each(|(field, value)| {
        let checked = if field == "u" {
            check_update(value)
        } else {
            check_value(value)
        };
        checked.map_err(|refusal| refusal.inside(field))
    })
}

/// A pipeline, or a document: then only `$pull` holds a query, the rest is data.
fn check_update(update: &Bson) -> Result<(), Refusal> {
    match update {
        Bson::Document(update) => match update.get("$pull") {
            Some(query) => check_value(query).map_err(|refusal| refusal.inside("$pull")),
            None => Ok(()),
        },
        pipeline => check_value(pipeline),
    }
}

fn check_value(value: &Bson) -> Result<(), Refusal> {
    match value {
        Bson::Array(_) => each(value, check_value),
        Bson::Document(document) => document.iter().try_for_each(|(field, value)| {
            check_field(field, value).map_err(|refusal| refusal.inside(field))
        }),
        _ => Ok(()),
    }
}

fn check_field(field: &str, value: &Bson) -> Result<(), Refusal> {
    if let Some((operator, reason)) = REFUSED.iter().find(|(operator, _)| *operator == field) {
        return Err(not_allowed(format!("{operator} is not allowed")).with_hint(*reason));
    }
    match field {
        "$literal" => return Ok(()),
        "$lookup" | "$graphLookup" => check_source(value, "from")?,
        "$unionWith" => check_source(value, "coll")?,
        _ => {}
    }
    check_value(value)
}

/// The collection a stage reads besides the command's own: in the same database, and none of MongoDB's.
fn check_source(stage: &Bson, field: &str) -> Result<(), Refusal> {
    let (source, database) = match stage {
        Bson::String(_) => (Some(stage), None),
        Bson::Document(stage) => (stage.get(field), stage.get("db")),
        _ => return Ok(()),
    };
    match source {
        _ if database.is_some() => Err(other_database().inside("db")),
        Some(Bson::String(collection)) => {
            check_collection(collection).map_err(|refusal| refusal.inside(field))
        }
        Some(_) => Err(other_database().inside(field)),
        None => Ok(()),
    }
}

fn other_database() -> Refusal {
    not_allowed("another database cannot be read").with_hint("name a collection of the configured database")
}

fn each(value: &Bson, check: fn(&Bson) -> Result<(), Refusal>) -> Result<(), Refusal> {
    let Bson::Array(items) = value else {
        return check(value);
    };
    let mut items = items.iter().enumerate();
    items.try_for_each(|(index, item)| check(item).map_err(|refusal| refusal.inside_item(index)))
}
