//! JSON text as a tree of values, with its numbers as they were written. Nothing here recurses.

use std::borrow::Cow;

use hifijson::SliceLexer;
use hifijson::escape::Error as EscapeError;
use hifijson::num::Lex as _;
use hifijson::str::{Error as StringError, LexAlloc as _};
use hifijson::token::Lex as _;

use super::{MAX_TEXT_DEPTH, bad_text, too_deep};
use crate::command::refusal::Refusal;

/// The length of an escape such as `\ud83d`, in bytes.
const ESCAPE: usize = 6;

/// A JSON value.
#[derive(Debug)]
pub(super) enum Json<'a> {
    Null,
    Bool(bool),
    /// A number's text, which has the form of a JSON number.
    Number(&'a str),
    Text(Cow<'a, str>),
    Array(Vec<Json<'a>>),
    /// An object's fields in their order. A name may come more than once.
    Object(Vec<Field<'a>>),
}

/// A field's name and its value.
pub(super) type Field<'a> = (Cow<'a, str>, Json<'a>);

/// Reads a text that is one JSON value.
///
/// # Errors
/// A refusal that names the field's path. The reason is that the text is not JSON, that a string
/// holds half a character, or that values are nested deeper than [`MAX_TEXT_DEPTH`] levels.
pub(super) fn read(text: &str) -> Result<Json<'_>, Refusal> {
    let lexer = SliceLexer::new(text.as_bytes());
    let mut reader = Reader {
        text,
        lexer,
        open: Vec::new(),
    };
    let read = reader.read();
    read.map_err(|refusal| reader.locate(refusal))
}

struct Reader<'a> {
    text: &'a str,
    lexer: SliceLexer<'a>,
    /// The arrays and objects whose end was not reached yet, the outermost one first.
    open: Vec<Open<'a>>,
}

enum Open<'a> {
    Array(Vec<Json<'a>>),
    /// The fields that are complete, and the name of the field that is being read.
    Object(Vec<Field<'a>>, Cow<'a, str>),
}

impl<'a> Reader<'a> {
    fn read(&mut self) -> Result<Json<'a>, Refusal> {
        loop {
            let Some(mut value) = self.value_or_open()? else {
                continue;
            };
            // The value may be the last one in any number of the arrays and objects around it.
            loop {
                match self.open.last_mut() {
                    None => return self.end(value),
                    Some(Open::Array(items)) => items.push(value),
                    Some(Open::Object(fields, name)) => fields.push((std::mem::take(name), value)),
                }
                let Some(whole) = self.close()? else {
                    break;
                };
                value = whole;
            }
        }
    }

    /// Reads a value, unless it is an array or an object that holds values: then that is open.
    fn value_or_open(&mut self) -> Result<Option<Json<'a>>, Refusal> {
        let at = self.at();
        match self.lexer.ws_peek() {
            Some(b'[') => {
                self.lexer.discarded();
                if self.finds(b']') {
                    return Ok(Some(Json::Array(Vec::new())));
                }
                self.open(Open::Array(Vec::new()))?;
                Ok(None)
            }
            Some(b'{') => {
                self.lexer.discarded();
                if self.finds(b'}') {
                    return Ok(Some(Json::Object(Vec::new())));
                }
                let name = self.name()?;
                self.open(Open::Object(Vec::new(), name))?;
                Ok(None)
            }
            Some(b'"') => Ok(Some(Json::Text(self.string()?))),
            Some(b'-' | b'0'..=b'9') => Ok(Some(Json::Number(self.number()?))),
            Some(b'a'..=b'z') => match self.lexer.null_or_bool() {
                Some(Some(flag)) => Ok(Some(Json::Bool(flag))),
                Some(None) => Ok(Some(Json::Null)),
                None => Err(bad_text("expected a value", at)),
            },
            _ => Err(self.problem("expected a value")),
        }
    }

    fn open(&mut self, open: Open<'a>) -> Result<(), Refusal> {
        if self.open.len() == MAX_TEXT_DEPTH {
            // Its path would be too long to read.
            self.open.clear();
            return Err(too_deep());
        }
        self.open.push(open);
        Ok(())
    }

    /// Returns the innermost array or object if it ends here. Otherwise another value of it
    /// follows.
    fn close(&mut self) -> Result<Option<Json<'a>>, Refusal> {
        let is_object = matches!(self.open.last(), Some(Open::Object(..)));
        if self.finds(b',') {
            if is_object {
                let next = self.name()?;
                if let Some(Open::Object(_, name)) = self.open.last_mut() {
                    *name = next;
                }
            }
            return Ok(None);
        }
        if !self.finds(if is_object { b'}' } else { b']' }) {
            return Err(self.problem(if is_object {
                "expected , or }"
            } else {
                "expected , or ]"
            }));
        }
        Ok(self.open.pop().map(|open| match open {
            Open::Array(items) => Json::Array(items),
            Open::Object(fields, _) => Json::Object(fields),
        }))
    }

    fn end(&mut self, value: Json<'a>) -> Result<Json<'a>, Refusal> {
        match self.lexer.ws_peek() {
            None => Ok(value),
            Some(_) => Err(self.problem("expected nothing more")),
        }
    }

    /// Reads a field's name and the colon behind it.
    fn name(&mut self) -> Result<Cow<'a, str>, Refusal> {
        if self.lexer.ws_peek() != Some(b'"') {
            return Err(self.problem("expected a field's name in quotes"));
        }
        let name = self.string()?;
        if self.finds(b':') {
            Ok(name)
        } else {
            Err(self.problem("expected :"))
        }
    }

    fn number(&mut self) -> Result<&'a str, Refusal> {
        let start = self.at();
        match self.lexer.num_ignore().validate() {
            Ok(_) => Ok(self.text.get(start..self.at()).unwrap_or_default()),
            Err(_) => Err(self.problem("expected a digit")),
        }
    }

    /// Reads a string whose first quote was seen.
    fn string(&mut self) -> Result<Cow<'a, str>, Refusal> {
        self.lexer.discarded();
        self.lexer.str_string().map_err(|error| self.bad_string(&error))
    }

    fn bad_string(&self, error: &StringError) -> Refusal {
        let at = self.at();
        match error {
            StringError::Eof | StringError::Escape(EscapeError::Eof) => {
                bad_text("a string is not closed", at)
            }
            StringError::Control => bad_text(
                "a string holds a line break or another control character; write it as \\n or \\u000a",
                at.saturating_sub(1),
            ),
            StringError::Escape(EscapeError::ExpectedLowSurrogate | EscapeError::InvalidChar(_)) => {
                let start = self.half_character(at);
                let half = self.text.get(start..start + ESCAPE).unwrap_or_default();
                bad_text(
                    &format!("a string holds {half}, which is half a character (a UTF-16 surrogate without its other half)"),
                    start,
                )
                .with_hint("write the character itself, or both halves next to each other, such as \\ud83d\\ude00")
            }
            StringError::Escape(_) | StringError::Utf8(_) => bad_text(
                "a string holds a \\ that does not start an escape",
                at.saturating_sub(1),
            ),
        }
    }

    /// Returns the position of the escape that was found to be half a character when the text up to
    /// `at` was read.
    fn half_character(&self, at: usize) -> usize {
        let escape = at.saturating_sub(ESCAPE);
        let before = escape.saturating_sub(ESCAPE);
        // The first half of a character is known to be alone when another escape that is no second
        // half was read.
        match self.text.get(before..before + 4).map(str::to_ascii_lowercase) {
            Some(first) if ["\\ud8", "\\ud9", "\\uda", "\\udb"].contains(&first.as_str()) => before,
            _ => escape,
        }
    }

    fn finds(&mut self, byte: u8) -> bool {
        self.lexer.expect(SliceLexer::ws_peek, byte).is_some()
    }

    fn at(&self) -> usize {
        self.text.len() - self.lexer.as_slice().len()
    }

    fn problem(&self, problem: &str) -> Refusal {
        let at = self.at();
        bad_text(
            if at < self.text.len() {
                problem
            } else {
                "the text ends too early"
            },
            at,
        )
    }

    /// Adds the path to the value that was being read.
    fn locate(&self, refusal: Refusal) -> Refusal {
        self.open.iter().rev().fold(refusal, |refusal, open| match open {
            Open::Array(items) => refusal.inside_item(items.len()),
            // The name of the field that comes next was not read yet.
            Open::Object(_, name) if name.is_empty() => refusal,
            Open::Object(_, name) => refusal.inside(name),
        })
    }
}
