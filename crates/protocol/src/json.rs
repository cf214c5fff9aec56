//! The little JSON a client needs: objects written field by field, and objects whose fields are looked up.
//!
//! A browser loads this code before it can send its first command, so it has to be small: serde_json alone
//! would double what is loaded. Strings and numbers, where JSON is hard, are `hifijson`'s. Nothing here
//! recurses, however deeply a text is nested, and no value is read that nobody asks for.

use core::cell::Cell;
use core::fmt;
use std::rc::Rc;

use hifijson::Read as _;
use hifijson::SliceLexer;
use hifijson::escape::Lex as _;
use hifijson::num::Lex as _;
use hifijson::str::{Error as StringError, Lex as _};
use hifijson::token::Lex as _;

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

/// A JSON object under construction.
#[derive(Clone, Debug)]
pub struct Object(String);

impl Object {
    /// An object without fields.
    pub fn new() -> Self {
        Self(String::from("{"))
    }

    /// Adds a string.
    pub fn text(&mut self, name: &str, value: &str) -> &mut Self {
        self.name(name);
        write_string(&mut self.0, value);
        self
    }

    /// Adds an integer, `true` or `false`.
    pub fn plain(&mut self, name: &str, value: impl Into<Plain>) -> &mut Self {
        self.unquoted(name, value.into())
    }

    fn unquoted(&mut self, name: &str, value: Plain) -> &mut Self {
        match value {
            Plain::Number(number) => self.raw(name, &decimal(number)),
            Plain::Negative(number) => self.raw(name, &["-", &decimal(number)].concat()),
            Plain::Flag(true) => self.raw(name, "true"),
            Plain::Flag(false) => self.raw(name, "false"),
        }
    }

    /// Adds what is JSON already.
    pub fn raw(&mut self, name: &str, json: &str) -> &mut Self {
        self.name(name);
        self.0.push_str(json);
        self
    }

    /// The text.
    pub fn finish(&mut self) -> String {
        self.0.push('}');
        core::mem::take(&mut self.0)
    }

    fn name(&mut self, name: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        write_string(&mut self.0, name);
        self.0.push(':');
    }
}

impl Default for Object {
    fn default() -> Self {
        Self::new()
    }
}

/// A value of JSON that needs no quotes.
#[derive(Clone, Copy, Debug)]
pub enum Plain {
    /// An integer from 0 on.
    Number(u64),
    /// An integer below 0, without its sign.
    Negative(u64),
    /// `true` or `false`.
    Flag(bool),
}

impl From<bool> for Plain {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<u64> for Plain {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<usize> for Plain {
    fn from(number: usize) -> Self {
        Self::Number(number as u64)
    }
}

impl From<u32> for Plain {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<i32> for Plain {
    fn from(number: i32) -> Self {
        let size = number.unsigned_abs().into();
        if number < 0 {
            Self::Negative(size)
        } else {
            Self::Number(size)
        }
    }
}

/// The digits of a number. `Display` would bring the code for all the ways in which a number can be written.
pub fn decimal(number: u64) -> String {
    let last = (number % 10) as u8;
    let mut digits = match number / 10 {
        0 => String::new(),
        rest => decimal(rest),
    };
    digits.push(char::from(b'0' + last));
    digits
}

/// Appends a string in quotes.
fn write_string(json: &mut String, text: &str) {
    json.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                json.push('\\');
                json.push(c);
            }
            '\n' => json.push_str("\\n"),
            '\0'..='\x1f' => {
                json.push_str("\\u00");
                push_hex(json, c as u8);
            }
            _ => json.push(c),
        }
    }
    json.push('"');
}

/// Appends the two digits of a byte.
pub(crate) fn push_hex(text: &mut String, byte: u8) {
    for digit in [byte >> 4, byte & 15] {
        text.push(char::from(if digit < 10 {
            b'0' + digit
        } else {
            b'a' - 10 + digit
        }));
    }
}

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
                match reader.lexer.ws_peek() {
                    Some(b',') => reader.take(),
                    Some(b'}') => break reader.take(),
                    _ => return Err(reader.problem("expected , or }")),
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

struct Reader<'a> {
    text: &'a str,
    lexer: SliceLexer<'a>,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        let lexer = SliceLexer::new(text.as_bytes());
        Self { text, lexer }
    }

    fn at(&self) -> usize {
        self.text.len() - self.lexer.as_slice().len()
    }

    fn problem(&self, problem: &'static str) -> NotJson {
        let at = self.at();
        if at < self.text.len() {
            return NotJson { problem, at };
        }
        let problem = "the text ends too early";
        NotJson { problem, at }
    }

    fn take(&mut self) {
        self.lexer.discarded();
    }

    fn open_object(&mut self) -> Result<(), NotJson> {
        self.lexer
            .expect(SliceLexer::ws_peek, b'{')
            .ok_or_else(|| self.problem("expected {"))
    }

    fn closes(&mut self, bracket: u8) -> bool {
        self.lexer.expect(SliceLexer::ws_peek, bracket).is_some()
    }

    /// A field's name and the colon after it.
    fn name(&mut self) -> Result<&'a str, NotJson> {
        if self.lexer.ws_peek() != Some(b'"') {
            return Err(self.problem("expected a field's name in quotes"));
        }
        let name = self.string()?;
        if self.closes(b':') {
            Ok(name)
        } else {
            Err(self.problem("expected :"))
        }
    }

    /// One value, whatever it is.
    fn value(&mut self) -> Result<&'a str, NotJson> {
        self.lexer.eat_whitespace();
        let start = self.at();
        // For every open bracket, whether it is an object's.
        let mut open = Vec::new();
        loop {
            match self.lexer.ws_peek() {
                Some(bracket @ (b'{' | b'[')) => {
                    self.take();
                    let is_object = bracket == b'{';
                    if !self.closes(bracket + 2) {
                        if is_object {
                            self.name()?;
                        }
                        open.push(is_object);
                        continue;
                    }
                }
                _ => self.scalar()?,
            }
            loop {
                let Some(is_object) = open.last().copied() else {
                    return Ok(self.text.get(start..self.at()).unwrap_or_default());
                };
                match self.lexer.ws_peek() {
                    Some(b',') => {
                        self.take();
                        if is_object {
                            self.name()?;
                        }
                        break;
                    }
                    Some(b'}') if is_object => self.take(),
                    Some(b']') if !is_object => self.take(),
                    _ if is_object => return Err(self.problem("expected , or }")),
                    _ => return Err(self.problem("expected , or ]")),
                }
                open.pop();
            }
        }
    }

    fn scalar(&mut self) -> Result<(), NotJson> {
        let at = self.at();
        match self.lexer.peek_next() {
            Some(b'"') => self.string().map(drop),
            Some(b'-' | b'0'..=b'9') => match self.lexer.num_ignore().validate() {
                Ok(_) => Ok(()),
                Err(_) => Err(self.problem("expected a digit")),
            },
            Some(b'a'..=b'z') => match self.lexer.null_or_bool() {
                Some(_) => Ok(()),
                None => Err(NotJson {
                    problem: "expected a value",
                    at,
                }),
            },
            _ => Err(self.problem("expected a value")),
        }
    }

    /// A string, whose first quote was seen, with its quotes.
    fn string(&mut self) -> Result<&'a str, NotJson> {
        let start = self.at();
        self.take();
        match self.lexer.str_ignore() {
            Ok(()) => Ok(self.text.get(start..self.at()).unwrap_or_default()),
            Err(error) => Err(self.bad_string(&error, start)),
        }
    }

    fn bad_string(&self, error: &StringError, start: usize) -> NotJson {
        let at = self.at().saturating_sub(1);
        match error {
            StringError::Eof => NotJson {
                problem: "the string is not closed",
                at: start,
            },
            StringError::Control => NotJson {
                problem: "a string holds a line break or another control character; write it as \\n or \\u000a",
                at,
            },
            _ => NotJson {
                problem: "a string holds a \\ that does not start an escape",
                at,
            },
        }
    }

    /// Nothing but blanks may follow.
    fn end(&mut self) -> Result<(), NotJson> {
        match self.lexer.ws_peek() {
            None => Ok(()),
            Some(_) => Err(self.problem("expected nothing more")),
        }
    }
}

#[cfg(test)]
mod tests;
