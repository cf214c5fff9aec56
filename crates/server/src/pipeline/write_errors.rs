//! `writeErrors` in the reply of a command with `ordered: false`: the statements that failed, in
//! their order.
//!
//! The reply must be stored, however many statements fail. So the reply has only the first errors
//! in full. Of the others it has the place and the code. A record stores these in stretches: the
//! errors of a thousand documents that are there already take few bytes.

use std::collections::BTreeMap;

use bson::spec::BinarySubtype;
use bson::{Binary, Bson, Document, doc};

use crate::command::MAX_STATEMENTS;

const FIELD: &str = "writeErrors";
/// In a record: the place of a statement, the number of statements from there on, and the code of
/// their errors, each in four bytes.
const IN_SHORT: &str = "writeErrorsInShort";

/// Largest size of the errors that a reply has in full, in bytes.
pub(super) const TOLD_IN_FULL: usize = 32 * 1024;

/// Adds the errors to a reply, by the places of their statements.
pub(super) fn add(reply: &mut Document, failed: &BTreeMap<usize, Document>) {
    let mut bytes = 0;
    let errors = failed.values().map(|error| {
        bytes += error.to_vec().map_or(TOLD_IN_FULL, |encoded| encoded.len());
        let in_full = bytes <= TOLD_IN_FULL;
        Bson::Document(if in_full { error.clone() } else { shortened(error) })
    });
    let errors: Vec<Bson> = errors.collect();
    let ok = reply.remove("ok");
    reply.insert(FIELD, errors);
    reply.extend(ok.map(|ok| ("ok".to_owned(), ok)));
}

/// Returns the error without its text. MongoDB also leaves out the text of the last errors among
/// very many.
pub(super) fn shortened(error: &Document) -> Document {
    in_short(
        error.get_i32("index").unwrap_or_default(),
        error.get_i32("code").unwrap_or_default(),
    )
}

fn in_short(place: i32, code: i32) -> Document {
    doc! { "index": place, "code": code, "errmsg": "" }
}

/// Brings a reply into the form in which it is stored.
pub(super) fn fold(reply: &mut Document) {
    let Ok(errors) = reply.get_array_mut(FIELD) else {
        return;
    };
    let mut stretches: Vec<[i32; 3]> = Vec::new();
    let is_short = |error: &Bson| {
        let error = error.as_document()?;
        let (place, code) = (error.get_i32("index").ok()?, error.get_i32("code").ok()?);
        (*error == in_short(place, code)).then_some((place, code))
    };
    let full = errors
        .iter()
        .take_while(|error| is_short(error).is_none())
        .count();
    for (place, code) in errors.drain(full..).filter_map(|error| is_short(&error)) {
        match stretches.last_mut() {
            Some([start, count, same]) if *same == code && *start + *count == place => *count += 1,
            _ => stretches.push([place, 1, code]),
        }
    }
    if stretches.is_empty() {
        return;
    }
    let numbers = stretches.into_flattened().into_iter();
    let bytes = numbers.flat_map(i32::to_le_bytes).collect();
    let subtype = BinarySubtype::Generic;
    reply.insert(IN_SHORT, Binary { subtype, bytes });
}

/// Brings a stored reply into the form in which it is sent.
pub(super) fn unfold(reply: &mut Document) {
    let Ok(bytes) = reply.get_binary_generic(IN_SHORT) else {
        return;
    };
    let (numbers, _) = bytes.as_chunks();
    let numbers: Vec<i32> = numbers.iter().map(|number| i32::from_le_bytes(*number)).collect();
    let (stretches, _) = numbers.as_chunks();
    let mut errors = Vec::new();
    for [start, count, code] in stretches {
        let places = *start..start.saturating_add(*count);
        // The record may have been altered.
        if places.len() + errors.len() > MAX_STATEMENTS {
            break;
        }
        errors.extend(places.map(|place| Bson::Document(in_short(place, *code))));
    }
    reply.remove(IN_SHORT);
    if let Ok(told) = reply.get_array_mut(FIELD) {
        told.append(&mut errors);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::MAX_STORED_REPLY;

    fn failed(places: impl Iterator<Item = i32>) -> BTreeMap<usize, Document> {
        let long = "x".repeat(300);
        let error = |place: i32| {
            let error =
                doc! { "index": place, "code": 11000, "keyValue": { "_id": place }, "errmsg": long.clone() };
            (usize::try_from(place).unwrap(), error)
        };
        places.map(error).collect()
    }

    fn reply(failed: &BTreeMap<usize, Document>) -> Document {
        let mut reply = doc! { "n": 0, "ok": 1.0 };
        add(&mut reply, failed);
        reply
    }

    #[test]
    fn a_reply_with_very_many_errors_can_be_stored() {
        for failed in [failed(0..20_000), failed((0..4_000).step_by(2)), failed(0..3)] {
            let sent = reply(&failed);
            let told = sent.get_array(FIELD).unwrap();
            assert_eq!(told.len(), failed.len());
            assert_eq!(told[0].as_document(), failed.get(&0));
            if failed.len() > 1_000 {
                let (last, _) = failed.last_key_value().unwrap();
                let short = doc! { "index": i32::try_from(*last).unwrap(), "code": 11000, "errmsg": "" };
                assert_eq!(told.last(), Some(&Bson::from(short)));
            }
            let mut stored = sent.clone();
            fold(&mut stored);
            assert!(stored.to_vec().unwrap().len() < MAX_STORED_REPLY);
            unfold(&mut stored);
            assert_eq!(stored, sent);
        }
    }

    #[test]
    fn what_is_no_stored_form_is_survived() {
        let binary = |bytes: Vec<u8>| Binary {
            subtype: BinarySubtype::Generic,
            bytes,
        };
        for bytes in [vec![], vec![1; 11], vec![0xff; 24], vec![0x7f; 24]] {
            let mut reply = doc! { "n": 1, FIELD: [], IN_SHORT: binary(bytes) };
            unfold(&mut reply);
            assert!(reply.get_array(FIELD).unwrap().len() <= MAX_STATEMENTS);
        }
        let mut none = doc! { "n": 1, IN_SHORT: 1 };
        unfold(&mut none);
        assert_eq!(none, doc! { "n": 1, IN_SHORT: 1 });
    }
}
