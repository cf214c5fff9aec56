//! Extended JSON v2 to BSON and back, losing nothing on the way.
//!
//! The server has its own reader: an error must name the field's path in the client's text, and
//! depth is counted as BSON counts it. `bson` reads values that were parsed before. The
//! specification's rules apply. An object that has a field such as `$oid` or `$date` is a value of
//! that type, or the server refuses the command. So Extended JSON cannot express a document with
//! such a field that is not of that type. The outermost document is always a document.

mod json;
mod values;

use bellwether_protocol::{ErrorCode, MAX_DEPTH, RawJson};
use bson::{Document, RawDocumentBuf};

use super::refusal::{Refusal, bad_command};
use super::write_extjson::{WriteError, write_canonical};
use json::Json;

/// Deepest nesting of the text itself. Code with a scope is two levels of text and one of BSON. The
/// deepest value that is neither a document nor an array, `$dbPointer`, takes three levels of text.
const MAX_TEXT_DEPTH: usize = 2 * MAX_DEPTH + 3;

/// The hint that shows clients how to write values.
const HINT: &str = "see https://www.mongodb.com/docs/manual/reference/mongodb-extended-json/";

/// Reads a document in canonical or relaxed Extended JSON, keeping the order of its fields.
///
/// # Errors
/// A refusal that names the path of the field at fault.
pub(super) fn parse(text: &str) -> Result<Document, Refusal> {
    match json::read(text)? {
        Json::Object(fields) => values::document(fields, 0),
        _ => Err(bad_command("the command is not a document").with_hint(HINT)),
    }
}

fn too_deep() -> Refusal {
    let what = format!("the command is nested deeper than {MAX_DEPTH} levels");
    Refusal::new(ErrorCode::TooDeep, what).with_hint(format!(
        "nest arrays and documents at most {MAX_DEPTH} levels, the command itself included"
    ))
}

/// Returns the refusal of a text that is not JSON. `at` is a position in the command's text, in
/// bytes.
fn bad_text(problem: &str, at: usize) -> Refusal {
    bad_command(format!("{problem} at byte {at} of the command")).with_hint(HINT)
}

/// Writes a document as canonical Extended JSON.
pub(crate) fn canonical(document: Document) -> Result<RawJson, WriteError> {
    let document =
        RawDocumentBuf::try_from(&document).map_err(|error| WriteError::Malformed(error.to_string()))?;
    write_canonical(&document, usize::MAX)
}

/// Returns the shortest text that is read as the same double. `bson` writes hundreds of digits for
/// very large and very small doubles, and a sign before `NaN`. It writes doubles that are too small
/// to be normal in a form that is not canonical.
pub(super) fn canonical_double(double: f64) -> String {
    if double.is_nan() {
        return "NaN".to_owned();
    }
    if double.is_infinite() {
        return if double > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    if double == 0.0 || (1e-5..1e17).contains(&double.abs()) {
        let point = if double.fract() == 0.0 { ".0" } else { "" };
        return format!("{double}{point}");
    }
    let exponential = format!("{double:E}");
    match exponential.split_once('E') {
        Some((digits, exponent)) if !exponent.starts_with('-') => format!("{digits}E+{exponent}"),
        _ => exponential,
    }
}

#[cfg(test)]
mod tests;
