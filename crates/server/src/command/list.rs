//! A list of commands that is executed as one atomic command:
//! `{"transaction": [{…}, {…}], "comment": …, "maxTimeMS": …}`.
//!
//! Its `comment` is for every command in it that has none. Its `maxTimeMS` is the time limit of
//! each of them, unless the command has a shorter one itself.

use bson::{Bson, Document, doc};

use super::allowed_commands::{AllowedCommands, COMMON_OPTIONS, check_option};
use super::name::Kind;
use super::operation::{Operation, take_max_time};
use super::refusal::{Refusal, bad_command, not_allowed};

/// The field that makes a command a list.
pub(super) const NAME: &str = "transaction";

/// Highest number of commands in one list. Each may cost a round trip to MongoDB while later
/// commands wait.
pub const MAX_OPERATIONS: usize = 100;

/// Largest comment of a list, in bytes of BSON.
const MAX_COMMENT_BYTES: usize = 1024;

pub(super) fn is_list(body: &Document) -> bool {
    body.keys().next().is_some_and(|name| name == NAME)
}

pub(super) fn read(
    mut body: Document,
    allowed_commands: &AllowedCommands,
) -> Result<Vec<Operation>, Refusal> {
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
    let operations: Result<Vec<Operation>, Refusal> = commands
        .map(|(index, command)| {
            let operation = operation(command, allowed_commands);
            let mut operation = operation.map_err(|refusal| refusal.inside_item(index).inside(NAME))?;
            operation.inherit(comment.as_ref(), max_time);
            Ok(operation)
        })
        .collect();
    let operations = operations?;
    check_together(&operations)?;
    Ok(operations)
}

/// Refuses a list of this number of commands if it is too large.
pub(super) fn check_count(commands: usize) -> Result<(), Refusal> {
    if commands <= MAX_OPERATIONS {
        return Ok(());
    }
    Err(not_allowed(format!("more than {MAX_OPERATIONS} commands are too many"))
        .with_hint(format!(
            "put at most {MAX_OPERATIONS} commands into one list; one insert, update or delete takes many documents or statements"
        ))
        .inside(NAME))
}

/// Checks the size of a list's comment, because every command gets a copy of it.
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

/// Checks that these commands may be in one list. A list that writes is a transaction. A list that
/// only reads has a snapshot, which allows more.
fn check_together(operations: &[Operation]) -> Result<(), Refusal> {
    let writes = operations.iter().any(|operation| operation.kind() == Kind::Write);
    match operations
        .iter()
        .position(|operation| !operation.runs_in_transaction())
    {
        Some(index) if writes => Err(not_allowed("this pipeline cannot be in a list that writes")
            .with_hint("send it alone: MongoDB does not run $unionWith in a transaction")
            .inside_item(index)
            .inside(NAME)),
        _ => Ok(()),
    }
}

fn operation(command: Bson, allowed_commands: &AllowedCommands) -> Result<Operation, Refusal> {
    let Bson::Document(body) = command else {
        return Err(bad_command("it is not a command").with_hint("a command is a document"));
    };
    if is_list(&body) {
        return Err(not_allowed("a list in a list").with_hint("put the commands of both into one list"));
    }
    let operation = Operation::read(body, allowed_commands)?;
    if operation.is_unordered() {
        return Err(not_allowed("false is not possible in a list")
            .with_hint(
                "leave ordered away: a list is executed whole or not at all; or send the command alone",
            )
            .inside("ordered"));
    }
    if operation.kind() == Kind::Schema {
        return Err(
            not_allowed(format!("{} cannot be in a list", operation.name())).with_hint(
                "send it alone: MongoDB does not change or list collections and indexes in a transaction",
            ),
        );
    }
    Ok(operation)
}
