//! The small part of JSON that a client needs: writes objects field by field, and reads fields of
//! objects.
//!
//! The code must be small, because a browser loads it before its first command: serde_json alone is
//! as large as all the rest. `hifijson` reads strings and numbers, the hard parts of JSON. Nothing
//! here recurses, however deeply a text is nested, and no value is read without need.

mod object;
mod reader;
#[cfg(test)]
mod tests;

use core::cell::Cell;
use core::fmt;
use std::rc::Rc;

use hifijson::Read as _;
use hifijson::SliceLexer;
use hifijson::escape::Lex as _;

pub(crate) use object::push_hex;
pub use object::{Object, Plain, decimal};
use reader::Reader;

/// A text that is not the expected JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotJson {
    /// The fault.
    pub problem: &'static str,
    /// Place of the fault, in bytes from the start of the text, from 0.
    pub at: usize,
}

impl NotJson {
    /// Returns the fault and its place.
    pub fn text(&self) -> String {
        [self.problem, " at byte ", &decimal(self.at as u64)].concat()
    }
}

impl fmt::Display for NotJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl core::error::Error for NotJson {}

/// The fields of a JSON object that was read. If a name occurs twice, the last field counts.
///
/// A field that is missing, or has a value of another kind, is read as empty or zero.
/// [`bad_field`](Self::bad_field) then names the first such field. One check at the end keeps the
/// code small.
#[derive(Debug)]
pub struct Fields<'a> {
    /// Names and values as in the text; names with their quotes.
    fields: Vec<(&'a str, &'a str)>,
    bad: Rc<Cell<Option<&'static str>>>,
}

impl<'a> Fields<'a> {
    /// Reads the fields of an object, and checks that the whole text is JSON.
    ///
    /// # Errors
    /// [`NotJson`] if the text is not JSON, or is not an object.
    pub fn read(json: &'a str) -> Result<Self, NotJson> {
        Self::remembering(json, Rc::default())
    }

    fn remembering(json: &'a str, bad: Rc<Cell<Option<&'static str>>>) -> Result<Self, NotJson> {
        let mut reader = Reader::new(json);
        let mut fields = Vec::new();
        reader.open_object()?;
        if !reader.closes(b'}') {
            loop {
                let name = reader.name()?;
                let value = reader.value()?;
                fields.push((name, value));
                if reader.closes(b'}') {
                    break;
                }
                if !reader.closes(b',') {
                    return Err(reader.problem("expected , or }"));
                }
            }
        }
        reader.end()?;
        Ok(Self { fields, bad })
    }

    /// Returns the first field that was read and had no value of the expected kind.
    pub fn bad_field(&self) -> Option<&'static str> {
        self.bad.get()
    }

    /// Remembers that the value of this field is wrong.
    pub fn is_bad(&self, name: &'static str) {
        self.bad.set(self.bad.get().or(Some(name)));
    }

    /// Returns the field's text; `None` if the field is missing or null.
    pub fn raw(&self, name: &str) -> Option<&'a str> {
        let is_it = |field: &str| unquoted(field).is_some_and(|field| field == name);
        let (_, value) = self.fields.iter().rev().find(|(field, _)| is_it(field))?;
        (*value != "null").then_some(value)
    }

    /// Returns a string that must be present.
    pub fn text(&self, name: &'static str) -> String {
        self.required(name, self.some_text(name))
    }

    /// Returns a string that may be missing.
    pub fn some_text(&self, name: &'static str) -> Option<String> {
        let json = self.raw(name)?;
        self.readable(name, unquoted(json))
    }

    /// Returns an integer, 0 or more, that must be present.
    pub fn number(&self, name: &'static str) -> u64 {
        self.required(name, self.some_number(name))
    }

    /// Returns an integer, 0 or more, that may be missing.
    pub fn some_number(&self, name: &'static str) -> Option<u64> {
        let json = self.raw(name)?;
        self.readable(name, number(json))
    }

    /// Returns an integer that may be missing. An integer of more than 32 bits counts as missing.
    pub fn some_integer(&self, name: &'static str) -> Option<i32> {
        let json = self.raw(name)?;
        let digits = json.strip_prefix('-').unwrap_or(json);
        let size = self.readable(name, number(digits))?;
        let size = i64::try_from(size).ok()?;
        i32::try_from(if digits == json { size } else { -size }).ok()
    }

    /// Returns an integer of 32 bits that must be present.
    pub fn integer(&self, name: &'static str) -> i32 {
        self.required(name, self.some_integer(name))
    }

    /// Returns `true` or `false`, which must be present.
    pub fn flag(&self, name: &'static str) -> bool {
        let flag = match self.raw(name) {
            Some("true") => Some(true),
            Some("false") => Some(false),
            _ => None,
        };
        self.required(name, flag)
    }

    /// Reads an object in this object, which may be missing. Its bad fields count as bad fields of
    /// this object.
    pub fn some_object<T>(&self, name: &'static str, read: impl FnOnce(&Fields<'a>) -> T) -> Option<T> {
        let json = self.raw(name)?;
        let object = self.readable(name, Fields::remembering(json, self.bad.clone()).ok())?;
        let value = read(&object);
        self.bad.get().is_none().then_some(value)
    }

    fn required<T: Default>(&self, name: &'static str, value: Option<T>) -> T {
        if value.is_none() {
            self.is_bad(name);
        }
        value.unwrap_or_default()
    }

    fn readable<T>(&self, name: &'static str, value: Option<T>) -> Option<T> {
        if value.is_none() {
            self.is_bad(name);
        }
        value
    }
}

/// Returns the value of a JSON string, given with its quotes. `None` if the text is no string, or
/// an escape means no character.
fn unquoted(json: &str) -> Option<String> {
    let mut rest = json.strip_prefix('"')?.strip_suffix('"')?;
    let mut text = String::new();
    while let Some(at) = rest.bytes().position(|byte| byte == b'\\') {
        text.push_str(&rest[..at]);
        let mut lexer = SliceLexer::new(&rest.as_bytes()[at + 1..]);
        let kind = lexer.take_next()?;
        text.push(lexer.escape(kind).ok()?);
        rest = &rest[rest.len() - lexer.as_slice().len()..];
    }
    text.push_str(rest);
    Some(text)
}

/// Reads a number of decimal digits only.
fn number(json: &str) -> Option<u64> {
    json.bytes().try_fold(0_u64, |number, digit| {
        let digit = char::from(digit).to_digit(10)?;
        number.checked_mul(10)?.checked_add(digit.into())
    })
}

/// Finds the first field of a JSON object: its name, and the text of its value. `None` if the text
/// is no object or has no field.
pub fn first_field(object: &str) -> Option<(String, &str)> {
    let mut reader = Reader::new(object);
    reader.open_object().ok()?;
    if reader.closes(b'}') {
        return None;
    }
    let name = unquoted(reader.name().ok()?)?;
    Some((name, reader.value().ok()?))
}

/// Finds the elements of a JSON array, as texts. `None` if the text is no array.
pub fn elements(array: &str) -> Option<Vec<&str>> {
    let mut reader = Reader::new(array);
    let mut elements = Vec::new();
    if !reader.closes(b'[') {
        return None;
    }
    if reader.closes(b']') {
        return Some(elements);
    }
    loop {
        elements.push(reader.value().ok()?);
        if reader.closes(b']') {
            return Some(elements);
        }
        if !reader.closes(b',') {
            return None;
        }
    }
}

/// Finds the one JSON object in a text, without the white space around it.
///
/// # Errors
/// [`NotJson`] if the text is not one JSON object.
pub fn only_object(text: &str) -> Result<&str, NotJson> {
    let mut reader = Reader::new(text);
    let object = reader.value()?;
    reader.end()?;
    if object.starts_with('{') {
        return Ok(object);
    }
    let mut start = Reader::new(text);
    start.open_object()?;
    Ok(object)
}
