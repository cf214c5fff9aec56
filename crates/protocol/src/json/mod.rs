//! The little JSON a client needs: objects written field by field, and objects whose fields are looked up.
//!
//! A browser loads this code before it can send its first command, so it has to be small: serde_json alone
//! would double what is loaded. Strings and numbers, where JSON is hard, are `hifijson`'s. Nothing here
//! recurses, however deeply a text is nested, and no value is read that nobody asks for.

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

/// Text that is not the JSON it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotJson {
    /// What is wrong.
    pub problem: &'static str,
    /// Where, in bytes from the start of the text, counted from 0.
    pub at: usize,
}

impl NotJson {
    /// What is wrong, and where.
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

/// The fields of a JSON object that was read. Of a name that comes twice, the last field counts.
///
/// A field that is missing or holds something else than it should is read as empty or zero and remembered:
/// [`bad_field`](Self::bad_field) names it. Looking once, at the end, keeps the code small.
#[derive(Debug)]
pub struct Fields<'a> {
    /// Names and values as they stand there; names with their quotes.
    fields: Vec<(&'a str, &'a str)>,
    bad: Rc<Cell<Option<&'static str>>>,
}

impl<'a> Fields<'a> {
    /// Reads the fields of an object, and checks that the whole text is JSON.
    ///
    /// # Errors
    /// [`NotJson`] if it is not, or is not an object.
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

    /// The first field that was asked for and was not what it should be.
    pub fn bad_field(&self) -> Option<&'static str> {
        self.bad.get()
    }

    /// Remembers that this field is not what it should be.
    pub fn is_bad(&self, name: &'static str) {
        self.bad.set(self.bad.get().or(Some(name)));
    }

    /// The field's text; `None` if it is not there or null.
    pub fn raw(&self, name: &str) -> Option<&'a str> {
        let is_it = |field: &str| unquoted(field).is_some_and(|field| field == name);
        let (_, value) = self.fields.iter().rev().find(|(field, _)| is_it(field))?;
        (*value != "null").then_some(value)
    }

    /// A string that has to be there.
    pub fn text(&self, name: &'static str) -> String {
        self.required(name, self.some_text(name))
    }

    /// A string that may be missing.
    pub fn some_text(&self, name: &'static str) -> Option<String> {
        let json = self.raw(name)?;
        self.readable(name, unquoted(json))
    }

    /// An integer that has to be there, from 0 on.
    pub fn number(&self, name: &'static str) -> u64 {
        self.required(name, self.some_number(name))
    }

    /// An integer that may be missing, from 0 on.
    pub fn some_number(&self, name: &'static str) -> Option<u64> {
        let json = self.raw(name)?;
        self.readable(name, number(json))
    }

    /// An integer that may be missing; one of more than 32 bits counts as missing.
    pub fn some_integer(&self, name: &'static str) -> Option<i32> {
        let json = self.raw(name)?;
        let digits = json.strip_prefix('-').unwrap_or(json);
        let size = self.readable(name, number(digits))?;
        let size = i64::try_from(size).ok()?;
        i32::try_from(if digits == json { size } else { -size }).ok()
    }

    /// An integer of 32 bits that has to be there.
    pub fn integer(&self, name: &'static str) -> i32 {
        self.required(name, self.some_integer(name))
    }

    /// `true` or `false`; it has to be there.
    pub fn flag(&self, name: &'static str) -> bool {
        let flag = match self.raw(name) {
            Some("true") => Some(true),
            Some("false") => Some(false),
            _ => None,
        };
        self.required(name, flag)
    }

    /// Reads an object in this one, which may be missing. What is bad there is remembered here as well.
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

/// What a string of JSON says, without its quotes; `None` if it is none, or its escapes mean no character.
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

/// Reads digits, and nothing but digits.
fn number(json: &str) -> Option<u64> {
    json.bytes().try_fold(0_u64, |number, digit| {
        let digit = char::from(digit).to_digit(10)?;
        number.checked_mul(10)?.checked_add(digit.into())
    })
}

/// Finds the first field of a JSON object: its name, and its value as it stands there. `None` if the text is no object
/// or has no field.
pub fn first_field(object: &str) -> Option<(String, &str)> {
    let mut reader = Reader::new(object);
    reader.open_object().ok()?;
    if reader.closes(b'}') {
        return None;
    }
    let name = unquoted(reader.name().ok()?)?;
    Some((name, reader.value().ok()?))
}

/// Finds the elements of a JSON array, as they stand there. `None` if the text is no array.
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

/// Finds the one JSON object a text consists of, without the blanks around it.
///
/// # Errors
/// [`NotJson`] if the text is anything else.
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
