//! `insertedIds` in the reply of an `insert`: the `_id`s that were minted, each with the place of
//! its document.
//!
//! A record stores them as the first id and the places, in stretches, so a reply that names a
//! thousand ids takes few bytes. The first reply to the client is also made from the stored form,
//! so a replay is the same.

use bson::{Bson, Document, doc};

use crate::command::{MAX_STATEMENTS, MintedIds, Operation, has_id};

const FIELD: &str = "insertedIds";
const FIRST: &str = "first";
/// Pairs: the place of a document, and the number of documents from there on.
const STRETCHES: &str = "stretches";

/// Adds the ids to the reply that MongoDB has given to an operation, in the form in which they are
/// stored.
pub(super) fn add(operation: &Operation, reply: &mut Document) {
    let (Some(ids), Ok(documents)) = (operation.minted_ids(), operation.body().get_array("documents")) else {
        return;
    };
    let failed: Vec<usize> = reply
        .get_array("writeErrors")
        .map(|errors| errors.iter().filter_map(place).collect())
        .unwrap_or_default();
    let minted = documents.iter().enumerate().filter(|(place, document)| {
        document.as_document().is_some_and(|document| !has_id(document))
            && failed.binary_search(place).is_err()
    });
    let mut stretches: Vec<[i32; 2]> = Vec::new();
    for (place, _) in minted {
        let Ok(place) = i32::try_from(place) else {
            break;
        };
        match stretches.last_mut() {
            Some([start, count]) if *start + *count == place => *count += 1,
            _ => stretches.push([place, 1]),
        }
    }
    if stretches.is_empty() {
        return;
    }
    let ok = reply.remove("ok");
    let stretches = stretches.into_flattened();
    reply.insert(FIELD, doc! { FIRST: ids.first(), STRETCHES: stretches });
    reply.extend(ok.map(|ok| ("ok".to_owned(), ok)));
}

fn place(error: &Bson) -> Option<usize> {
    let index = error.as_document()?.get_i32("index").ok()?;
    usize::try_from(index).ok()
}

/// Brings the ids in a stored reply into the form in which they are sent.
pub(super) fn unfold(reply: &mut Document) {
    let Ok(stored) = reply.get_document(FIELD) else {
        return;
    };
    // They keep their place in the reply.
    if let Some(ids) = listed(stored) {
        reply.insert(FIELD, ids);
    }
}

/// Returns the ids in a stored reply. Returns `None` if the form is not that of [`add`], because
/// the record was altered.
fn listed(stored: &Document) -> Option<Vec<Bson>> {
    let ids = MintedIds::from_first(stored.get_object_id(FIRST).ok()?);
    let stretches = stored.get_array(STRETCHES).ok()?;
    let mut listed = Vec::new();
    for stretch in stretches.chunks_exact(2) {
        let (start, count) = (stretch[0].as_i32()?, stretch[1].as_i32()?);
        if usize::try_from(count).ok()? + listed.len() > MAX_STATEMENTS {
            return None;
        }
        for place in start..start.checked_add(count)? {
            let id = ids.id(u32::try_from(place).ok()?);
            listed.push(Bson::Document(doc! { "index": place, "_id": id }));
        }
    }
    Some(listed)
}

#[cfg(test)]
mod tests {
    use bellwether_protocol::RawJson;

    use super::*;
    use crate::command::{AllowedCommands, ParsedCommand};

    fn insert(text: &str) -> ParsedCommand {
        ParsedCommand::parse(&RawJson::object(text).unwrap(), &AllowedCommands::default()).unwrap()
    }

    fn replied(command: &ParsedCommand, mut reply: Document) -> (Document, Document) {
        add(&command.operations()[0], &mut reply);
        let stored = reply.clone();
        unfold(&mut reply);
        (stored, reply)
    }

    #[test]
    fn the_reply_names_the_ids_that_were_minted() {
        let command = insert(r#"{"insert":"c","documents":[{},{"_id":7},{"a":1},{"b":1},{"c":1}]}"#);
        let ids = command.operations()[0].minted_ids().unwrap();
        let (stored, sent) = replied(&command, doc! { "n": 5, "ok": 1.0 });
        let entry = |place: i32| doc! { "index": place, "_id": ids.id(place.unsigned_abs()) };
        assert_eq!(
            sent,
            doc! { "n": 5, "insertedIds": [entry(0), entry(2), entry(3), entry(4)], "ok": 1.0 }
        );
        assert_eq!(
            stored,
            doc! { "n": 5, "insertedIds": { "first": ids.first(), "stretches": [0, 1, 2, 3] }, "ok": 1.0 }
        );

        let errors = vec![doc! { "index": 0 }, doc! { "index": 3 }];
        let (_, sent) = replied(
            &command,
            doc! { "n": 3, "writeErrors": errors.clone(), "ok": 1.0 },
        );
        assert_eq!(
            sent,
            doc! { "n": 3, "writeErrors": errors, "insertedIds": [entry(2), entry(4)], "ok": 1.0 }
        );
    }

    #[test]
    fn other_replies_stay_as_they_are() {
        let own = insert(r#"{"insert":"c","documents":[{"_id":1}]}"#);
        let (stored, sent) = replied(&own, doc! { "n": 1, "ok": 1.0 });
        assert_eq!(
            (stored, sent),
            (doc! { "n": 1, "ok": 1.0 }, doc! { "n": 1, "ok": 1.0 })
        );
        for other in [
            doc! { "insertedIds": 1 },
            doc! { "insertedIds": { "first": 1 } },
            doc! { "insertedIds": { "first": bson::oid::ObjectId::new(), "stretches": ["x", 1] } },
            doc! { "insertedIds": { "first": bson::oid::ObjectId::new(), "stretches": [-1, 1] } },
        ] {
            let mut unfolded = other.clone();
            unfold(&mut unfolded);
            assert_eq!(unfolded, other);
        }
    }
}
