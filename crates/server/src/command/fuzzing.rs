//! The properties of every command that a client sends.

use core::str::Chars;
use std::borrow::Cow;

use bellwether_protocol::{ClientFrame, ErrorCode, ErrorFrame, MAX_DEPTH, Outcome, RawJson};
use bson::{Bson, Document};
use sha2::{Digest, Sha256};

use super::{
    AllowedCommands, CommandName, Kind, MAX_OPERATIONS, Operation, ParsedCommand, canonical, extjson,
};

/// The longest possible error: a path with as many steps as a command has levels, and the problem
/// at its end.
const LONGEST_ERROR: usize = 32 * 1024;

/// Operators that no accepted command may have where MongoDB obeys them.
const OPERATORS: [&str; 12] = [
    "$where",
    "$function",
    "$accumulator",
    "$out",
    "$merge",
    "$changeStream",
    "$currentOp",
    "$listSessions",
    "$collStats",
    "$indexStats",
    "$search",
    "$_internalInhibitOptimization",
];

/// Options that no accepted command has.
const OPTIONS: [&str; 16] = [
    "$db",
    "$readPreference",
    "$tenant",
    "apiVersion",
    "autocommit",
    "batchSize",
    "bypassDocumentValidation",
    "capped",
    "encryptionInformation",
    "explain",
    "lsid",
    "maxTimeMS",
    "readConcern",
    "startTransaction",
    "txnNumber",
    "writeConcern",
];

/// Checks a text that a client sends as the command in a frame, or at a place in it.
pub fn command(data: &[u8]) {
    let Some(raw) = str::from_utf8(data).ok().and_then(|text| sent(&placed(text))) else {
        return;
    };
    let narrow = ParsedCommand::parse(&raw, &AllowedCommands::default());
    match ParsedCommand::parse(&raw, &AllowedCommands { schema: true }) {
        Ok(command) => {
            match narrow {
                Ok(same) => assert_eq!(same.fingerprint(), command.fingerprint()),
                Err(error) => assert_eq!(error.code, ErrorCode::CommandNotAllowed),
            }
            assert_eq!(
                command.kind() == Kind::Schema,
                ParsedCommand::parse(&raw, &AllowedCommands::default()).is_err()
            );
            loses_nothing(&raw, &command);
            is_allowed(&command);
        }
        Err(error) => {
            assert!(narrow.is_err(), "more words allow more");
            says_what_is_wrong(&error);
        }
    }
}

/// Returns the command in this text. After a digit the rest of the text is a value at a place where
/// MongoDB obeys operators. So the fuzzer need not find the way there. In the value `!` and any
/// letter stand for a refused operator, so that the fuzzer need not spell it.
fn placed(text: &str) -> Cow<'_, str> {
    let mut rest = text.chars();
    let place = rest.next().and_then(|first| first.to_digit(10));
    let value = &spelled(rest);
    let command = match place {
        None => return Cow::Borrowed(text),
        Some(0) => format!(r#"{{"find":"c","filter":{value}}}"#),
        Some(1) => format!(r#"{{"aggregate":"c","pipeline":[{value}]}}"#),
        Some(2) => format!(r#"{{"update":"c","updates":[{{"q":{value},"u":{value}}}]}}"#),
        Some(3) => format!(r#"{{"findAndModify":"c","update":{value}}}"#),
        Some(4) => format!(r#"{{"transaction":[{{"delete":"c","deletes":[{value}]}},{value}]}}"#),
        Some(5) => format!(r#"{{"insert":"c","documents":[{value}],"comment":{value}}}"#),
        Some(6) => format!(r#"{{"create":"v","viewOn":"c","pipeline":[{value}],"validator":{value}}}"#),
        Some(7) => format!(r#"{{"createIndexes":"c","indexes":[{value}]}}"#),
        Some(8) => format!(r#"{{"find":{value},"sort":{value}}}"#),
        Some(_) => format!(r#"{{"listCollections":1,"filter":{value}}}"#),
    };
    Cow::Owned(command)
}

fn spelled(mut text: Chars<'_>) -> String {
    let mut spelled = String::new();
    while let Some(c) = text.next() {
        match (c, text.clone().next()) {
            ('!', Some(letter)) => {
                text.next();
                spelled.push_str(OPERATORS[letter as usize % OPERATORS.len()]);
            }
            _ => spelled.push(c),
        }
    }
    spelled
}

/// Returns the estimated memory of a command, in bytes.
pub fn memory(command: &ParsedCommand) -> usize {
    command.memory()
}

/// Returns the text after its way through the frame.
fn sent(text: &str) -> Option<RawJson> {
    const ID: &str = "0198c5e2-7a60-7b3c-9d1e-3f2a5b6c7d8e";
    let frame = format!(r#"{{"type":"command","id":"{ID}","command":{text}}}"#);
    match ClientFrame::parse(&frame) {
        Ok(ClientFrame::Command(command)) => Some(command.command),
        _ => None,
    }
}

fn says_what_is_wrong(error: &ErrorFrame) {
    use ErrorCode::{BadCommand, CommandNotAllowed, TooDeep};
    assert_eq!(error.outcome, Outcome::NotExecuted);
    assert!(
        [BadCommand, CommandNotAllowed, TooDeep].contains(&error.code),
        "{error}"
    );
    assert!(
        !error.message.is_empty() && error.hint.as_ref().is_some_and(|hint| !hint.is_empty()),
        "{error:?}"
    );
    assert!(error.message.len() + error.hint.as_ref().map_or(0, String::len) <= LONGEST_ERROR);
}

fn loses_nothing(raw: &RawJson, command: &ParsedCommand) {
    let body = extjson::parse(raw.as_str()).unwrap_or_else(|error| panic!("{error:?}: {raw}"));
    let encoded = body.to_vec().unwrap_or_else(|error| panic!("{error}: {raw}"));
    assert_eq!(command.bytes(), encoded.len());
    assert_eq!(
        command.fingerprints().of_document()[..],
        Sha256::digest(&encoded)[..]
    );
    assert!(command.memory() >= encoded.len());
    assert!(depth(&body) <= MAX_DEPTH);
    // The text may be canonical or relaxed. A client that reads the written text has the same
    // document.
    let text = written(body);
    let again = extjson::parse(&text).unwrap_or_else(|error| panic!("{error:?}: {raw} is {text}"));
    assert_eq!(written(again), text, "{raw}");
}

fn written(document: Document) -> String {
    canonical(document)
        .unwrap_or_else(|error| panic!("{error}"))
        .as_str()
        .to_owned()
}

fn depth(document: &Document) -> usize {
    fn of(value: &Bson) -> usize {
        match value {
            Bson::Document(document) => depth(document),
            Bson::Array(items) => 1 + items.iter().map(of).max().unwrap_or_default(),
            Bson::JavaScriptCodeWithScope(code) => depth(&code.scope),
            _ => 0,
        }
    }
    1 + document.values().map(of).max().unwrap_or_default()
}

fn is_allowed(command: &ParsedCommand) {
    let operations = command.operations();
    assert!((1..=MAX_OPERATIONS).contains(&operations.len()));
    assert!(command.is_list() || operations.len() == 1);
    for operation in operations {
        let body = operation.body();
        let (field, _) = body
            .iter()
            .next()
            .unwrap_or_else(|| panic!("a command without a name"));
        assert!(field.eq_ignore_ascii_case(operation.name().as_str()), "{field}");
        assert!(OPTIONS.iter().all(|option| !body.contains_key(*option)), "{body}");
        assert!(
            operation.name() == CommandName::ListCollections || is_collection(operation.collection()),
            "{body}"
        );
        let mut obeyed = Obeyed::default();
        obeyed.command(operation);
        obeyed.is_allowed(body);
        if command.is_list() {
            assert_ne!(operation.kind(), Kind::Schema, "{body}");
            assert!(
                command.kind() == Kind::Read || operation.runs_in_transaction(),
                "{body}"
            );
        }
        if operation.runs_in_transaction() {
            let mut stages = Obeyed::default();
            body.get("pipeline")
                .into_iter()
                .for_each(|pipeline| stages.value(pipeline));
            assert!(!stages.fields.contains(&"$unionWith"), "{body}");
        }
    }
}

fn is_collection(name: &str) -> bool {
    !name.is_empty() && !name.contains(['\0', '$']) && !name.starts_with("system.")
}

/// The names of fields where MongoDB takes them for operators, stages or options, and the
/// collections that they name.
#[derive(Default)]
struct Obeyed<'a> {
    fields: Vec<&'a str>,
    sources: Vec<&'a Bson>,
}

impl<'a> Obeyed<'a> {
    fn command(&mut self, operation: &'a Operation) {
        for (field, value) in operation.body().iter().skip(1) {
            match (operation.name(), field.as_str()) {
                (_, "comment") | (CommandName::Insert, "documents") => {}
                (CommandName::FindAndModify, "update") => self.update(value),
                (CommandName::Update, "updates") => {
                    let statements = value
                        .as_array()
                        .map_or(core::slice::from_ref(value), Vec::as_slice);
                    for statement in statements.iter().filter_map(Bson::as_document) {
                        for (field, value) in statement {
                            if field == "u" {
                                self.update(value);
                            } else {
                                self.value(value);
                            }
                        }
                    }
                }
                _ => self.value(value),
            }
        }
    }

    /// Checks all of a pipeline, but of a document only the query of `$pull`.
    fn update(&mut self, update: &'a Bson) {
        match update.as_document() {
            Some(document) => document
                .get("$pull")
                .into_iter()
                .for_each(|query| self.value(query)),
            None => self.value(update),
        }
    }

    fn value(&mut self, value: &'a Bson) {
        if let Bson::Array(items) = value {
            items.iter().for_each(|item| self.value(item));
        }
        for (field, value) in value.as_document().into_iter().flatten() {
            self.fields.push(field);
            match (field.as_str(), value) {
                ("$literal" | "$text", _) => continue,
                ("$lookup" | "$graphLookup" | "$unionWith", Bson::Document(stage)) => {
                    let source = if field == "$unionWith" { "coll" } else { "from" };
                    assert!(!stage.contains_key("db"), "{stage}");
                    self.sources.extend(stage.get(source));
                }
                _ => {}
            }
            self.value(value);
        }
    }

    fn is_allowed(&self, body: &Document) {
        let refused = |field: &&str| OPERATORS.contains(field) || field.starts_with("$_");
        assert!(!self.fields.iter().any(refused), "{body}");
        let foreign = |source: &&Bson| !source.as_str().is_some_and(is_collection);
        assert!(!self.sources.iter().any(foreign), "{body}");
    }
}
