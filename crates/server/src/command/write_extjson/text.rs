//! JSON text that never grows longer than its limit.

use data_encoding::BASE64;

use super::WriteError;

/// Number of bytes that are encoded at a time: the limit is checked between them. A multiple of 3,
/// so that only the last piece is padded.
const PIECE: usize = 3 * 4096;

/// More characters than any integer of 64 bits has.
const LONGEST_INTEGER: usize = 20;

/// Text and its limit.
#[derive(Debug)]
pub(super) struct Text {
    text: String,
    max_bytes: usize,
}

impl Text {
    /// Returns empty text that may become `max_bytes` long, and is expected to have at least
    /// `expected` bytes.
    pub(super) fn new(max_bytes: usize, expected: usize) -> Self {
        Self {
            text: String::with_capacity(expected.min(max_bytes)),
            max_bytes,
        }
    }

    pub(super) fn finish(self) -> String {
        self.text
    }

    /// Adds text that is JSON already.
    #[inline]
    pub(super) fn push(&mut self, json: &str) -> Result<(), WriteError> {
        if json.len() > self.max_bytes - self.text.len() {
            return Err(WriteError::TooLarge(self.max_bytes));
        }
        self.text.push_str(json);
        Ok(())
    }

    pub(super) fn all<const N: usize>(&mut self, pieces: [&str; N]) -> Result<(), WriteError> {
        pieces.into_iter().try_for_each(|piece| self.push(piece))
    }

    /// Adds a string with the text in front of it and behind it.
    pub(super) fn wrapped(&mut self, before: &str, text: &[u8], after: &str) -> Result<(), WriteError> {
        self.push(before)?;
        self.string(text)?;
        self.push(after)
    }

    /// Adds a string in quotes, with U+FFFD for bytes that are not UTF-8.
    pub(super) fn string(&mut self, text: &[u8]) -> Result<(), WriteError> {
        self.push("\"")?;
        match core::str::from_utf8(text) {
            Ok(text) => self.escaped(text)?,
            Err(_) => {
                for chunk in text.utf8_chunks() {
                    self.escaped(chunk.valid())?;
                    if !chunk.invalid().is_empty() {
                        self.push("\u{FFFD}")?;
                    }
                }
            }
        }
        self.push("\"")
    }

    fn escaped(&mut self, text: &str) -> Result<(), WriteError> {
        let mut rest = text;
        while let Some(at) = rest
            .bytes()
            .position(|byte| byte < b' ' || matches!(byte, b'"' | b'\\'))
        {
            // The byte found is a whole character.
            let (plain, special) = rest.split_at(at);
            let (special, behind) = special.split_at(1);
            self.push(plain)?;
            self.special(special.as_bytes()[0])?;
            rest = behind;
        }
        self.push(rest)
    }

    fn special(&mut self, byte: u8) -> Result<(), WriteError> {
        match byte {
            b'"' => self.push("\\\""),
            b'\\' => self.push("\\\\"),
            b'\n' => self.push("\\n"),
            b'\r' => self.push("\\r"),
            b'\t' => self.push("\\t"),
            0x08 => self.push("\\b"),
            0x0c => self.push("\\f"),
            other => self.push(&format!("\\u{other:04x}")),
        }
    }

    /// Adds an integer with the text in front of it and behind it.
    pub(super) fn integer(
        &mut self,
        before: &str,
        integer: impl Into<i64>,
        after: &str,
    ) -> Result<(), WriteError> {
        let integer = integer.into();
        let mut digits = [0; LONGEST_INTEGER];
        let mut start = digits.len();
        let mut rest = integer.unsigned_abs();
        loop {
            start -= 1;
            digits[start] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        if integer < 0 {
            start -= 1;
            digits[start] = b'-';
        }
        let digits = core::str::from_utf8(&digits[start..]).unwrap_or_default();
        self.all([before, digits, after])
    }

    /// Adds bytes as base64.
    pub(super) fn base64(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        let length = BASE64.encode_len(bytes.len());
        if length > self.max_bytes - self.text.len() {
            return Err(WriteError::TooLarge(self.max_bytes));
        }
        self.text.reserve(length);
        bytes
            .chunks(PIECE)
            .for_each(|piece| BASE64.encode_append(piece, &mut self.text));
        Ok(())
    }
}
