//! The memory that a parsed command takes.
//!
//! Every field is an entry of a map, and every value has the size of the largest value. So a
//! document of many tiny values takes some forty times its bytes of BSON. A queue that is bounded
//! in BSON alone would not be bounded.

use core::mem::size_of;

use bson::{Bson, Document, doc};

use super::operation::Operation;

/// A map's entry: the hash, the key, the value, and the place in the index.
const ENTRY: usize = 2 * size_of::<usize>() + size_of::<String>() + size_of::<Bson>();

/// The smallest number of entries that a map or an array has room for.
const FEWEST: usize = 4;

/// The bytes that an allocation takes in addition to its content, or with its content if that is
/// small.
const ALLOCATION: usize = 32;

/// Returns an upper estimate of the memory for the operations of a command, in bytes. It is made of
/// the operations and not of the client's text, because each command of a list has a copy of the
/// list's comment.
pub(super) fn of(operations: &Vec<Operation>) -> usize {
    let each = operations
        .iter()
        .map(|operation| text(operation.collection()) + structure(operation.body()));
    ALLOCATION + operations.capacity() * size_of::<Operation>() + each.sum::<usize>()
}

fn structure(document: &Document) -> usize {
    let fields = document.iter().map(|(name, value)| text(name) + of_value(value));
    room_for(document.len()) * ENTRY + fields.sum::<usize>()
}

fn of_value(value: &Bson) -> usize {
    match value {
        Bson::Document(document) => structure(document),
        Bson::Array(values) => {
            let nested = values.iter().map(of_value).sum::<usize>();
            room_for(values.len()) * size_of::<Bson>() + nested
        }
        Bson::JavaScriptCodeWithScope(code) => text(&code.code) + structure(&code.scope),
        Bson::String(string) | Bson::Symbol(string) | Bson::JavaScriptCode(string) => text(string),
        Bson::Binary(binary) => ALLOCATION + binary.bytes.len(),
        Bson::RegularExpression(regex) => text(regex.pattern.as_str()) + text(regex.options.as_str()),
        // The parts of this type are private.
        Bson::DbPointer(_) => ALLOCATION + doc! { "": value.clone() }.to_vec().map_or(0, |bytes| bytes.len()),
        _ => 0,
    }
}

fn text(text: &str) -> usize {
    ALLOCATION + text.len()
}

/// Returns the number of places for this number of entries: both maps and arrays double as they
/// grow.
fn room_for(count: usize) -> usize {
    if count == 0 {
        0
    } else {
        count.next_power_of_two().max(FEWEST)
    }
}
