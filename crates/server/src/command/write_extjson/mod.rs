//! BSON to canonical Extended JSON in one pass over the bytes, without values in between.
//!
//! The bytes are MongoDB's replies. Their strings need not be UTF-8: another program may have
//! stored them, or an expression cut them inside a character. Such bytes are written as U+FFFD and
//! are no error. Replies nest deeper than commands, so nothing here recurses.

mod reader;
#[cfg(test)]
mod tests;
mod text;

use bellwether_protocol::RawJson;
use bson::spec::ElementType;
use bson::{Decimal128, RawDocument};
use data_encoding::HEXLOWER;
use thiserror::Error;

use super::extjson::canonical_double;
use reader::{OBJECT_ID, Reader};
use text::Text;

/// Deepest nesting that is written. MongoDB's own limit is 250 levels at most.
const MAX_LEVELS: usize = 1_000;

/// A document that cannot be written as Extended JSON.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum WriteError {
    /// The text would be longer than the caller allows.
    #[error("the document is longer than {0} bytes as Extended JSON")]
    TooLarge(usize),
    /// The bytes are not BSON; the text says where.
    #[error("{0}")]
    Malformed(String),
}

/// Writes a document as canonical Extended JSON of at most `max_bytes` bytes.
///
/// Bytes of strings and field names that are not UTF-8 become U+FFFD. A repeated field is written
/// as often as it is there.
///
/// # Errors
/// [`WriteError::TooLarge`] as soon as the text exceeds `max_bytes`; no more than that is ever
/// held. [`WriteError::Malformed`] if the bytes are not BSON, or are nested deeper than 1,000
/// levels.
pub(crate) fn write_canonical(document: &RawDocument, max_bytes: usize) -> Result<RawJson, WriteError> {
    write_canonical_without(document, &[], max_bytes)
}

/// Does the same as [`write_canonical`], and leaves out the fields of the outermost document that
/// `skip` names.
///
/// # Errors
/// Those of [`write_canonical`].
pub(crate) fn write_canonical_without(
    document: &RawDocument,
    skip: &[&str],
    max_bytes: usize,
) -> Result<RawJson, WriteError> {
    let bytes = document.as_bytes();
    let mut writer = Writer {
        input: Reader::new(bytes),
        text: Text::new(max_bytes, bytes.len()),
        open: Vec::new(),
    };
    writer.open(Shape::Document)?;
    while !writer.open.is_empty() {
        if writer.input.is_at_end() {
            writer.close()?;
        } else if writer.open.len() == 1 {
            writer.field(skip)?;
        } else {
            writer.field(&[])?;
        }
    }
    writer.input.finish()?;
    Ok(RawJson::from_trusted(writer.text.finish()))
}

/// The kinds of values that hold values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Document,
    Array,
    /// The document behind JavaScript code, in the object that holds both.
    Scope,
}

impl Shape {
    fn start(self) -> &'static str {
        match self {
            Self::Document | Self::Scope => "{",
            Self::Array => "[",
        }
    }

    fn end(self) -> &'static str {
        match self {
            Self::Document => "}",
            Self::Array => "]",
            Self::Scope => "}}",
        }
    }
}

/// A document or an array whose end was not reached yet.
#[derive(Debug)]
struct Level {
    shape: Shape,
    /// No field of it was written yet.
    is_empty: bool,
    /// The end of the one around it.
    outer_end: usize,
}

struct Writer<'a> {
    input: Reader<'a>,
    text: Text,
    open: Vec<Level>,
}

impl Writer<'_> {
    /// Begins with a value that holds values.
    fn open(&mut self, shape: Shape) -> Result<(), WriteError> {
        if self.open.len() == MAX_LEVELS {
            return Err(self.input.problem("nesting of more than 1,000 levels"));
        }
        let outer_end = self.input.enter()?;
        self.open.push(Level {
            shape,
            is_empty: true,
            outer_end,
        });
        self.text.push(shape.start())
    }

    /// Ends the innermost value that holds values.
    fn close(&mut self) -> Result<(), WriteError> {
        let Some(level) = self.open.pop() else {
            return Ok(());
        };
        self.input.leave(level.outer_end)?;
        self.text.push(level.shape.end())
    }

    /// Writes the field that comes next in the innermost value, unless `skip` names it.
    fn field(&mut self, skip: &[&str]) -> Result<(), WriteError> {
        let kind = self.input.byte()?;
        let name = self.input.c_string()?;
        if skip.iter().any(|skipped| skipped.as_bytes() == name) {
            return self.input.skip_value(kind);
        }
        let Some(level) = self.open.last_mut() else {
            return Ok(());
        };
        if !std::mem::replace(&mut level.is_empty, false) {
            self.text.push(",")?;
        }
        if level.shape != Shape::Array {
            self.text.string(name)?;
            self.text.push(":")?;
        }
        self.value(kind)
    }

    fn value(&mut self, kind: u8) -> Result<(), WriteError> {
        let Self { input, text, .. } = self;
        let Some(kind) = ElementType::from(kind) else {
            return Err(input.problem("a value of an unknown type"));
        };
        match kind {
            ElementType::EmbeddedDocument => self.open(Shape::Document),
            ElementType::Array => self.open(Shape::Array),
            ElementType::JavaScriptCodeWithScope => {
                let end = input.code_with_scope()?;
                text.wrapped("{\"$code\":", input.string()?, ",\"$scope\":")?;
                self.open(Shape::Scope)?;
                self.input.check_end(end)
            }
            ElementType::Double => {
                let double = f64::from_le_bytes(input.array()?);
                text.all(["{\"$numberDouble\":\"", &canonical_double(double), "\"}"])
            }
            ElementType::Int32 => {
                text.integer("{\"$numberInt\":\"", i32::from_le_bytes(input.array()?), "\"}")
            }
            ElementType::Int64 => {
                text.integer("{\"$numberLong\":\"", i64::from_le_bytes(input.array()?), "\"}")
            }
            ElementType::DateTime => {
                let millis = i64::from_le_bytes(input.array()?);
                text.integer("{\"$date\":{\"$numberLong\":\"", millis, "\"}}")
            }
            ElementType::Timestamp => {
                let increment = u32::from_le_bytes(input.array()?);
                let time = u32::from_le_bytes(input.array()?);
                text.integer("{\"$timestamp\":{\"t\":", time, ",\"i\":")?;
                text.integer("", increment, "}}")
            }
            ElementType::Decimal128 => {
                let decimal = Decimal128::from_bytes(input.array()?).to_string();
                text.all(["{\"$numberDecimal\":\"", &decimal, "\"}"])
            }
            ElementType::Boolean => text.push(if input.byte()? == 0 { "false" } else { "true" }),
            ElementType::Null => text.push("null"),
            ElementType::Undefined => text.push("{\"$undefined\":true}"),
            ElementType::MinKey => text.push("{\"$minKey\":1}"),
            ElementType::MaxKey => text.push("{\"$maxKey\":1}"),
            ElementType::String => text.string(input.string()?),
            ElementType::Symbol => text.wrapped("{\"$symbol\":", input.string()?, "}"),
            ElementType::JavaScriptCode => text.wrapped("{\"$code\":", input.string()?, "}"),
            ElementType::ObjectId => {
                text.all(["{\"$oid\":\"", &HEXLOWER.encode(input.take(OBJECT_ID)?), "\"}"])
            }
            ElementType::DbPointer => {
                text.wrapped(
                    "{\"$dbPointer\":{\"$ref\":",
                    input.string()?,
                    ",\"$id\":{\"$oid\":\"",
                )?;
                text.all([&HEXLOWER.encode(input.take(OBJECT_ID)?), "\"}}}"])
            }
            ElementType::RegularExpression => {
                text.wrapped(
                    "{\"$regularExpression\":{\"pattern\":",
                    input.c_string()?,
                    ",\"options\":",
                )?;
                let mut options: Vec<char> = String::from_utf8_lossy(input.c_string()?).chars().collect();
                options.sort_unstable();
                text.wrapped("", String::from_iter(options).as_bytes(), "}}")
            }
            ElementType::Binary => {
                let (subtype, bytes) = input.binary()?;
                text.push("{\"$binary\":{\"base64\":\"")?;
                text.base64(bytes)?;
                text.all(["\",\"subType\":\"", &HEXLOWER.encode(&[subtype]), "\"}}"])
            }
        }
    }
}
