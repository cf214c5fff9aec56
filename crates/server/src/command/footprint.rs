//! How much memory a parsed document takes.
//!
//! Every field is an entry of a map and every value has the size of the largest, so a document of many tiny ones
//! takes some forty times its bytes of BSON. A queue that is bounded in BSON alone would not be bounded.

use core::mem::size_of;

use bson::{Bson, Document};

/// A map's entry: the hash, the key, the value, and the place in the index.
const ENTRY: usize = 2 * size_of::<usize>() + size_of::<String>() + size_of::<Bson>();

/// The least a map or an array makes room for.
const FEWEST: usize = 4;

/// What the smallest allocation takes.
const SMALLEST: usize = 32;

/// An upper estimate, in bytes, of what a document takes beside the bytes of its strings and binary values,
/// which its BSON has too.
pub(super) fn structure(document: &Document) -> usize {
    let values = document.values().map(of_value).sum::<usize>();
    room_for(document.len()) * ENTRY + document.len() * SMALLEST + values
}

fn of_value(value: &Bson) -> usize {
    match value {
        Bson::Document(document) => structure(document),
        Bson::Array(values) => {
            let nested = values.iter().map(of_value).sum::<usize>();
            room_for(values.len()) * size_of::<Bson>() + nested
        }
        Bson::JavaScriptCodeWithScope(code) => SMALLEST + structure(&code.scope),
        Bson::String(_) | Bson::Symbol(_) | Bson::JavaScriptCode(_) | Bson::Binary(_) => SMALLEST,
        Bson::RegularExpression(_) | Bson::DbPointer(_) => 2 * SMALLEST,
        _ => 0,
    }
}

/// How many places there are for so many: both maps and arrays double as they grow.
fn room_for(count: usize) -> usize {
    if count == 0 {
        0
    } else {
        count.next_power_of_two().max(FEWEST)
    }
}
