//! Finds the beginning and the end of values, and checks that they are JSON.

use hifijson::Read as _;
use hifijson::SliceLexer;
use hifijson::num::Lex as _;
use hifijson::str::{Error as StringError, Lex as _};
use hifijson::token::Lex as _;

use super::NotJson;

/// Reads text from its beginning, value by value.
pub(super) struct Reader<'a> {
    text: &'a str,
    lexer: SliceLexer<'a>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let lexer = SliceLexer::new(text.as_bytes());
        Self { text, lexer }
    }

    fn at(&self) -> usize {
        self.text.len() - self.lexer.as_slice().len()
    }

    pub(super) fn problem(&self, problem: &'static str) -> NotJson {
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

    pub(super) fn open_object(&mut self) -> Result<(), NotJson> {
        self.lexer
            .expect(SliceLexer::ws_peek, b'{')
            .ok_or_else(|| self.problem("expected {"))
    }

    pub(super) fn closes(&mut self, bracket: u8) -> bool {
        self.lexer.expect(SliceLexer::ws_peek, bracket).is_some()
    }

    /// Reads a field's name and the colon after it.
    pub(super) fn name(&mut self) -> Result<&'a str, NotJson> {
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

    /// Reads one value of any kind.
    pub(super) fn value(&mut self) -> Result<&'a str, NotJson> {
        self.lexer.eat_whitespace();
        let start = self.at();
        // For each open bracket: `true` if it belongs to an object.
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

    /// Reads the rest of a string after its first quote. Returns the string with its quotes.
    fn string(&mut self) -> Result<&'a str, NotJson> {
        let start = self.at();
        self.take();
        match self.lexer.str_ignore() {
            Ok(()) => Ok(self.text.get(start..self.at()).unwrap_or_default()),
            Err(error) => Err(self.bad_string(&error, start)),
        }
    }

    fn bad_string(&self, error: &StringError, start: usize) -> NotJson {
        let at = self.at();
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
                at: at.saturating_sub(1),
            },
        }
    }

    /// Checks that only white space follows.
    pub(super) fn end(&mut self) -> Result<(), NotJson> {
        match self.lexer.ws_peek() {
            None => Ok(()),
            Some(_) => Err(self.problem("expected nothing more")),
        }
    }
}
