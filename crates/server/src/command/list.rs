//! A list of commands that is executed as one atomic command:
//! `{"transaction": [{…}, {…}], "comment": …, "maxTimeMS": …}`.
//!
//! Its `comment` is for every command in it that has none; its `maxTimeMS` is how long each of them may take,
//! unless it says a shorter time itself.

use bson::{Bson, Document, doc};

use super::name::Kind;
use super::part::{Part, take_max_time};
use super::refusal::{Refusal, bad_command, not_allowed};
use super::vocabulary::{COMMON_OPTIONS, Vocabulary, check_option};

/// The field that makes a command a list.
pub(super) const NAME: &str = "transaction";

/// Most commands in one list. Each may cost a round trip to MongoDB while later commands wait.
pub const MAX_PARTS: usize = 100;

/// Largest comment of a list, in bytes of BSON.
const MAX_COMMENT_BYTES: usize = 1024;

pub(super) fn is_list(body: &Document) -> bool {
    body.keys().next().is_some_and(|name| name == NAME)
}

pub(super) fn read(mut body: Document, vocabulary: &Vocabulary) -> Result<Vec<Part>, Refusal> {
    for field in body.keys().skip(1) {
        check_option(NAME, &[], &COMMON_OPTIONS, field)?;
    }
    let max_time = take_max_time(&mut body)?;
    let comment = body.remove("comment");
    check_comment(comment.as_ref())?;
    let Some(Bson::Array(commands)) = body.remove(NAME) else {
        return Err(bad_command("it must be a list of commands")
            .with_hint(r#"write {"transaction": [{"insert": "notes", …}, {"update": "notes", …}]}"#)
            .inside(NAME));
    };
    if commands.is_empty() {
        return Err(bad_command("the list is empty")
            .with_hint("put at least one command into it")
            .inside(NAME));
    }
    check_count(commands.len())?;
    let commands = commands.into_iter().enumerate();
    let parts: Result<Vec<Part>, Refusal> = commands
        .map(|(index, command)| {
            let part = part(command, vocabulary);
            let mut part = part.map_err(|refusal| refusal.inside_item(index).inside(NAME))?;
            part.inherit(comment.as_ref(), max_time);
            Ok(part)
        })
        .collect();
    let parts = parts?;
    check_together(&parts)?;
    Ok(parts)
}

/// Refuses a list of so many commands if they are too many.
pub(super) fn check_count(commands: usize) -> Result<(), Refusal> {
    if commands <= MAX_PARTS {
        return Ok(());
    }
    Err(not_allowed(format!("more than {MAX_PARTS} commands are too many"))
        .with_hint(format!(
            "put at most {MAX_PARTS} commands into one list; one insert, update or delete takes many documents or statements"
        ))
        .inside(NAME))
}

/// Every command gets a copy of it.
fn check_comment(comment: Option<&Bson>) -> Result<(), Refusal> {
    let Some(comment) = comment else {
        return Ok(());
    };
    let bytes = doc! { "": comment.clone() }
        .to_vec()
        .map_or(usize::MAX, |bytes| bytes.len());
    if bytes <= MAX_COMMENT_BYTES {
        return Ok(());
    }
    Err(
        not_allowed(format!("it is longer than {MAX_COMMENT_BYTES} bytes"))
            .with_hint("give it to one of the commands")
            .inside("comment"),
    )
}

/// A list that writes is a transaction; one that only reads has a snapshot, which allows more.
fn check_together(parts: &[Part]) -> Result<(), Refusal> {
    let writes = parts.iter().any(|part| part.kind() == Kind::Write);
    match parts.iter().position(|part| !part.runs_in_transaction()) {
        Some(index) if writes => Err(not_allowed("this pipeline cannot be in a list that writes")
            .with_hint("send it alone: MongoDB does not run $unionWith in a transaction")
            .inside_item(index)
            .inside(NAME)),
        _ => Ok(()),
    }
}

fn part(command: Bson, vocabulary: &Vocabulary) -> Result<Part, Refusal> {
    let Bson::Document(body) = command else {
        return Err(bad_command("it is not a command").with_hint("a command is a document"));
    };
    if is_list(&body) {
        return Err(not_allowed("a list in a list").with_hint("put the commands of both into one list"));
    }
    let part = Part::read(body, vocabulary)?;
    if part.is_unordered() {
        return Err(not_allowed("false is not possible in a list")
            .with_hint(
                "leave ordered away: a list is executed whole or not at all; or send the command alone",
            )
            .inside("ordered"));
    }
    if part.kind() == Kind::Schema {
        return Err(
            not_allowed(format!("{} cannot be in a list", part.name())).with_hint(
                "send it alone: MongoDB does not change or list collections and indexes in a transaction",
            ),
        );
    }
    Ok(part)
}
