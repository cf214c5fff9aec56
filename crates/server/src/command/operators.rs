//! Operators that run code on MongoDB, write without the pipeline, or read outside the database.
//!
//! The server refuses them wherever MongoDB would obey them: in queries, expressions, pipelines and
//! array filters, at any depth. The server accepts them where they are data: in documents to
//! insert, in the operands of an update document, in a `comment` and inside `$literal`. (MongoDB
//! takes `$literal` as a field name nowhere, so nothing can hide in it.) The server also refuses a
//! query that *compares* with a document that has such a field. Clients can write it with
//! `$literal` inside `$expr`.

use bson::{Bson, Document};

use super::allowed_commands::check_collection;
use super::name::CommandName;
use super::refusal::{Refusal, not_allowed};

/// The prefix of MongoDB's own operators: for code that comes from `mapReduce`, and for everything
/// else between its own servers.
const INTERNAL: &str = "$_";

const JAVASCRIPT: &str = "it runs JavaScript in MongoDB; use query operators and aggregation expressions";
const WRITES: &str = "aggregate only reads here; write with insert or update";
const ENDS: &str = "a command ends with its reply";
const OTHERS: &str = "it looks at what other clients do";
const NOT_DATA: &str = "it tells what one member of MongoDB has counted, which is no part of any snapshot";
const SEARCH: &str = "a search index is no part of the snapshot a command reads; use $text or $regex";
const ROUTED: &str = "it is between MongoDB's own servers";

/// Operators and stages, with the reason against each. MongoDB itself refuses operators that are
/// neither here nor known to it.
const REFUSED: &[(&str, &str)] = &[
    ("$where", JAVASCRIPT),
    ("$function", JAVASCRIPT),
    ("$accumulator", JAVASCRIPT),
    ("$out", WRITES),
    ("$merge", WRITES),
    ("$changeStream", ENDS),
    ("$changeStreamSplitLargeEvent", ENDS),
    ("$currentOp", OTHERS),
    ("$listSessions", OTHERS),
    ("$listLocalSessions", OTHERS),
    ("$listSampledQueries", OTHERS),
    ("$listCachedAndActiveUsers", OTHERS),
    ("$queryStats", OTHERS),
    // MongoDB answers the first two outside a transaction, and refuses them inside it. A command
    // must not depend on the commands with which it is executed.
    ("$collStats", NOT_DATA),
    ("$indexStats", NOT_DATA),
    ("$planCacheStats", NOT_DATA),
    ("$operationMetrics", NOT_DATA),
    ("$shardedDataDistribution", NOT_DATA),
    ("$listCatalog", "send listCollections or listIndexes"),
    ("$listClusterCatalog", "send listCollections or listIndexes"),
    ("$listSearchIndexes", SEARCH),
    ("$search", SEARCH),
    ("$searchMeta", SEARCH),
    ("$searchBeta", SEARCH),
    ("$vectorSearch", SEARCH),
    ("$mergeCursors", ROUTED),
    ("$backupCursor", ROUTED),
    ("$backupCursorExtend", ROUTED),
];

/// Stages that MongoDB runs in a snapshot read, but not in a transaction.
const NOT_IN_TRANSACTION: [&str; 3] = ["$unionWith", "$rankFusion", "$scoreFusion"];

/// Returns `true` if MongoDB runs a checked command in a transaction.
pub(super) fn run_in_transaction(body: &Document) -> bool {
    body.get("pipeline").is_none_or(in_transaction)
}

fn in_transaction(value: &Bson) -> bool {
    match value {
        Bson::Array(items) => items.iter().all(in_transaction),
        Bson::Document(document) => document.iter().all(|(field, value)| {
            field == "$literal" || !NOT_IN_TRANSACTION.contains(&field.as_str()) && in_transaction(value)
        }),
        _ => true,
    }
}

/// Refuses a command that contains such an operator, and names the place.
pub(super) fn check(name: CommandName, body: &Document) -> Result<(), Refusal> {
    body.iter().skip(1).try_for_each(|(field, value)| {
        match (name, field.as_str()) {
            (_, "comment") | (CommandName::Insert, "documents") => Ok(()),
            (CommandName::Update, "updates") => each(value, check_statement),
            (CommandName::FindAndModify, "update") => check_update(value),
            (CommandName::Create, "pipeline") => check_view(value),
            _ => check_value(value),
        }
        .map_err(|refusal| refusal.inside(field))
    })
}

/// Checks the pipeline of a view, which is also read in transactions.
fn check_view(pipeline: &Bson) -> Result<(), Refusal> {
    check_value(pipeline)?;
    if in_transaction(pipeline) {
        return Ok(());
    }
    Err(not_allowed("$unionWith cannot be in a view")
        .with_hint("send it with aggregate: MongoDB does not run it in a transaction, where views are read"))
}

/// Checks one element of `updates`: `{q, u, arrayFilters, …}`.
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

/// Checks a pipeline or a document. In a document only `$pull` holds a query, and the rest is data.
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
    let known = REFUSED.iter().find(|(operator, _)| *operator == field);
    let reason = known.map(|(_, reason)| *reason);
    if let Some(reason) = reason.or(field.starts_with(INTERNAL).then_some(ROUTED)) {
        return Err(not_allowed(format!("{field:.64} is not allowed")).with_hint(reason));
    }
    match field {
        // `$text` holds the words to look for, in a field `$search`. A stage has the same name.
        "$literal" | "$text" => return Ok(()),
        "$lookup" | "$graphLookup" => check_source(value, "from")?,
        "$unionWith" => check_source(value, "coll")?,
        _ => {}
    }
    check_value(value)
}

/// Checks the collection that a stage reads in addition to the command's own. It must be in the
/// same database, and none of MongoDB's.
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
