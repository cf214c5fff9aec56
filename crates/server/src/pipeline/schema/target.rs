//! The target of a command on collections: the collection or view of a name. It is different from a
//! later collection or view of the same name.

use bson::{Bson, Document, doc};

use crate::command::{CommandName, Operation};
use crate::database::codes::{
    COLLECTION_UUID_MISMATCH, INDEX_NOT_FOUND, NAMESPACE_EXISTS, NAMESPACE_NOT_FOUND,
};

/// A collection, a view, or nothing.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Target {
    /// Present for a collection. No two collections have the same UUID.
    uuid: Option<Bson>,
    options: Option<Document>,
}

const UUID: &str = "uuid";
const OPTIONS: &str = "options";

impl Target {
    /// Returns the target in the reply to `listCollections` with its name.
    pub(super) fn listed(reply: &mut Document) -> Self {
        let cursor = reply.get_document("cursor");
        let batch = cursor.and_then(|cursor| cursor.get_array("firstBatch"));
        let entry = batch.ok().and_then(|batch| batch.first()?.as_document());
        let Some(entry) = entry else {
            return Self::default();
        };
        Self {
            uuid: entry
                .get_document("info")
                .ok()
                .and_then(|info| info.get(UUID).cloned()),
            options: entry.get_document(OPTIONS).ok().cloned(),
        }
    }

    pub(super) fn from_document(document: &Document) -> Self {
        Self {
            uuid: document.get(UUID).cloned(),
            options: document.get_document(OPTIONS).ok().cloned(),
        }
    }

    pub(super) fn into_document(self) -> Document {
        let mut document = doc! {};
        if let Some(uuid) = self.uuid {
            document.insert(UUID, uuid);
        }
        if let Some(options) = self.options {
            document.insert(OPTIONS, options);
        }
        document
    }

    pub(super) fn uuid(&self) -> Option<&Bson> {
        self.uuid.as_ref()
    }

    pub(super) fn is_nothing(&self) -> bool {
        self.options.is_none()
    }

    /// Returns `true` if this is not the same collection, or not a view of the same definition.
    pub(super) fn is_other_than(&self, earlier: &Self) -> bool {
        if self.uuid.is_some() || earlier.uuid.is_some() {
            self.uuid != earlier.uuid
        } else {
            self.options != earlier.options
        }
    }

    /// Returns `true` if an error of this code, while this is the target, means that the command
    /// was executed before.
    pub(super) fn shows_done(&self, operation: &Operation, code: i32) -> bool {
        match operation.name() {
            CommandName::Create => code == NAMESPACE_EXISTS && self.is_as_asked(operation.body()),
            CommandName::Drop => [NAMESPACE_NOT_FOUND, COLLECTION_UUID_MISMATCH].contains(&code),
            CommandName::DropIndexes => {
                [NAMESPACE_NOT_FOUND, COLLECTION_UUID_MISMATCH, INDEX_NOT_FOUND].contains(&code)
            }
            _ => false,
        }
    }

    /// Returns `true` if this `create` would make the same collection or view.
    fn is_as_asked(&self, create: &Document) -> bool {
        let Some(options) = &self.options else {
            return false;
        };
        let asked = create.iter().skip(1).filter(|(option, _)| *option != "comment");
        let mut asked = asked.map(|(option, value)| match options.get(option) {
            // MongoDB completes some options by their defaults, but not these.
            Some(found) if ["validator", "pipeline"].contains(&option.as_str()) => found == value,
            Some(found) => completes(found, value),
            None => false,
        });
        let is_view = options.contains_key("viewOn");
        is_view == create.contains_key("viewOn") && asked.all(|is_same| is_same)
    }
}

/// Returns `true` if `found` has everything that `asked` has, and perhaps more.
fn completes(found: &Bson, asked: &Bson) -> bool {
    match (found, asked) {
        (Bson::Document(found), Bson::Document(asked)) => asked
            .iter()
            .all(|(field, asked)| found.get(field).is_some_and(|found| completes(found, asked))),
        _ => found == asked || number(found).is_some_and(|found| Some(found) == number(asked)),
    }
}

fn number(value: &Bson) -> Option<f64> {
    match value {
        Bson::Int32(value) => Some(f64::from(*value)),
        // Exact up to 2^53; options are far below.
        #[expect(clippy::cast_precision_loss, reason = "options are far below 2^53")]
        Bson::Int64(value) => Some(*value as f64),
        Bson::Double(value) => Some(*value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use bson::{Binary, spec::BinarySubtype};

    use super::*;

    fn target(uuid: Option<u8>, options: Document) -> Target {
        let uuid = uuid.map(|byte| {
            Bson::Binary(Binary {
                subtype: BinarySubtype::Uuid,
                bytes: vec![byte; 16],
            })
        });
        Target {
            uuid,
            options: Some(options),
        }
    }

    #[test]
    fn a_later_collection_is_another() {
        let one = target(Some(1), doc! {});
        assert!(!one.is_other_than(&target(Some(1), doc! { "validator": {} })));
        assert!(one.is_other_than(&target(Some(2), doc! {})));
        assert!(one.is_other_than(&Target::default()));
        assert!(Target::default().is_other_than(&one));
        let view = target(None, doc! { "viewOn": "c", "pipeline": [] });
        assert!(!view.is_other_than(&target(None, doc! { "viewOn": "c", "pipeline": [] })));
        assert!(view.is_other_than(&target(None, doc! { "viewOn": "d", "pipeline": [] })));
        for target in [one, view, Target::default()] {
            let written = Target::from_document(&Target::from_document(&doc! {}).into_document());
            assert!(written.is_nothing());
            let document = target.into_document();
            assert_eq!(Target::from_document(&document).into_document(), document);
        }
    }

    #[test]
    fn what_is_there_may_be_what_was_asked_for() {
        let there = target(
            Some(1),
            doc! {
                "collation": { "locale": "de", "strength": 3 },
                "validator": { "a": { "$gt": 1 } },
                "expireAfterSeconds": 60_i64,
            },
        );
        let as_asked = |create: Document| there.is_as_asked(&create);
        assert!(as_asked(doc! { "create": "c" }));
        assert!(as_asked(
            doc! { "create": "c", "collation": { "locale": "de" }, "comment": "x" }
        ));
        assert!(as_asked(doc! { "create": "c", "expireAfterSeconds": 60 }));
        assert!(as_asked(
            doc! { "create": "c", "validator": { "a": { "$gt": 1 } } }
        ));
        assert!(!as_asked(doc! { "create": "c", "validator": { "a": {} } }));
        assert!(!as_asked(doc! { "create": "c", "collation": { "locale": "fr" } }));
        assert!(!as_asked(doc! { "create": "c", "validationLevel": "off" }));
        assert!(!as_asked(doc! { "create": "c", "viewOn": "d" }));
        assert!(!Target::default().is_as_asked(&doc! { "create": "c" }));
    }
}
