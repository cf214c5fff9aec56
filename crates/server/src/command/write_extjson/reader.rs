//! Reading BSON bytes in order, never past the end of the document they belong to.

use std::ffi::CStr;

use bson::spec::ElementType;

use super::WriteError;

/// The length of an ObjectId, in bytes.
pub(super) const OBJECT_ID: usize = 12;

/// The shortest document: its length and the byte that ends it.
const SHORTEST: usize = 5;

/// The old binary type repeats its length in front of its bytes.
const OLD_BINARY: u8 = 2;

/// The bytes of a document and how far they were read.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// End of the innermost document: the position of its last byte, which is 0.
    end: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            end: bytes.len(),
        }
    }

    /// Steps into the document that begins here, and returns the end of the document around it, for
    /// [`leave`](Self::leave).
    pub(super) fn enter(&mut self) -> Result<usize, WriteError> {
        let start = self.at;
        let length = self.length()?;
        match start.checked_add(length) {
            Some(end) if length >= SHORTEST && end <= self.end => {
                Ok(std::mem::replace(&mut self.end, end - 1))
            }
            _ => Err(self.problem("a document whose length is wrong")),
        }
    }

    /// Returns `true` if all fields of the innermost document were read.
    pub(super) fn is_at_end(&self) -> bool {
        self.at == self.end
    }

    /// Steps out of the innermost document.
    pub(super) fn leave(&mut self, outer_end: usize) -> Result<(), WriteError> {
        self.end = outer_end;
        match self.byte()? {
            0 => Ok(()),
            _ => Err(self.problem("a document that does not end with 0")),
        }
    }

    /// Checks that nothing comes behind the outermost document.
    pub(super) fn finish(&self) -> Result<(), WriteError> {
        if self.is_at_end() {
            return Ok(());
        }
        Err(self.problem("bytes behind the document"))
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], WriteError> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.end);
        let bytes = end.and_then(|end| self.bytes.get(self.at..end));
        let bytes = bytes.ok_or_else(|| self.problem("a value that is longer than its document"))?;
        self.at += count;
        Ok(bytes)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], WriteError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(super) fn byte(&mut self) -> Result<u8, WriteError> {
        self.array().map(|[byte]| byte)
    }

    /// Reads the bytes up to the next 0, without it.
    pub(super) fn c_string(&mut self) -> Result<&'a [u8], WriteError> {
        let rest = self.bytes.get(self.at..self.end).unwrap_or_default();
        let Ok(text) = CStr::from_bytes_until_nul(rest) else {
            return Err(self.problem("a name without an end"));
        };
        self.at += text.count_bytes() + 1;
        Ok(text.to_bytes())
    }

    /// Reads the bytes of a string, which has its length in front.
    pub(super) fn string(&mut self) -> Result<&'a [u8], WriteError> {
        let length = self.length()?;
        match self.take(length)?.split_last() {
            Some((0, text)) => Ok(text),
            _ => Err(self.problem("a string that does not end with 0")),
        }
    }

    /// Reads the subtype and the bytes of a binary value.
    pub(super) fn binary(&mut self) -> Result<(u8, &'a [u8]), WriteError> {
        let length = self.length()?;
        let subtype = self.byte()?;
        let bytes = self.take(length)?;
        let inner = (subtype == OLD_BINARY)
            .then(|| bytes.split_first_chunk())
            .flatten();
        match inner {
            Some((length, inner)) if usize::try_from(i32::from_le_bytes(*length)) == Ok(inner.len()) => {
                Ok((subtype, inner))
            }
            _ => Ok((subtype, bytes)),
        }
    }

    /// Reads the length in front of code with a scope, and returns the position behind both.
    pub(super) fn code_with_scope(&mut self) -> Result<usize, WriteError> {
        let start = self.at;
        Ok(start.saturating_add(self.length()?))
    }

    /// Checks that the innermost document, which has just been entered, ends where the value around
    /// it ends.
    pub(super) fn check_end(&self, end: usize) -> Result<(), WriteError> {
        if self.end + 1 == end {
            return Ok(());
        }
        Err(self.problem("code with a scope whose length is wrong"))
    }

    /// Passes over a value without looking at it.
    pub(super) fn skip_value(&mut self, kind: u8) -> Result<(), WriteError> {
        let length = match ElementType::from(kind) {
            Some(ElementType::Null | ElementType::Undefined | ElementType::MinKey | ElementType::MaxKey) => 0,
            Some(ElementType::Boolean) => 1,
            Some(ElementType::Int32) => 4,
            Some(
                ElementType::Int64 | ElementType::Double | ElementType::DateTime | ElementType::Timestamp,
            ) => 8,
            Some(ElementType::ObjectId) => OBJECT_ID,
            Some(ElementType::Decimal128) => 16,
            Some(ElementType::String | ElementType::Symbol | ElementType::JavaScriptCode) => self.length()?,
            Some(ElementType::Binary) => self.length()?.saturating_add(1),
            Some(ElementType::DbPointer) => self.length()?.saturating_add(OBJECT_ID),
            Some(
                ElementType::EmbeddedDocument | ElementType::Array | ElementType::JavaScriptCodeWithScope,
            ) => {
                // Their length counts itself.
                let length = self.length()?.checked_sub(size_of::<i32>());
                length.ok_or_else(|| self.problem("a document whose length is wrong"))?
            }
            Some(ElementType::RegularExpression) => {
                self.c_string()?;
                self.c_string()?;
                0
            }
            None => return Err(self.problem("a value of an unknown type")),
        };
        self.take(length).map(|_| ())
    }

    /// Returns an error about the value that was read last.
    pub(super) fn problem(&self, problem: &str) -> WriteError {
        let Self { bytes, at, .. } = self;
        WriteError::Malformed(format!(
            "the BSON is broken near byte {at} of {}: {problem}",
            bytes.len()
        ))
    }

    fn length(&mut self) -> Result<usize, WriteError> {
        let length = i32::from_le_bytes(self.array()?);
        usize::try_from(length).map_err(|_| self.problem("a negative length"))
    }
}
