//! Replies of MongoDB whose texts are not valid UTF-8.
//!
//! MongoDB cuts values in its messages at 150 bytes, even inside a character. MongoDB also stores
//! any bytes as a string: another program can write them, and so can `$regexFind` with the pattern
//! `\C`. The driver refuses such a reply as a whole. This module replaces the invalid parts by
//! U+FFFD, as most programs do, and keeps everything else.

use bson::spec::ElementType;
use bson::{Document, RawDocumentBuf};

/// Depth limit of a document. MongoDB allows 200 levels in a stored document, and a reply adds a
/// few more.
const MAX_DEPTH: usize = 250;

/// Decodes a document and replaces each invalid part of a field name or a text by U+FFFD.
///
/// Returns `None` if the bytes are no BSON document.
pub(crate) fn decode_lossy(bytes: &[u8]) -> Option<Document> {
    let mut valid = Vec::with_capacity(bytes.len());
    let mut input = Input { rest: bytes };
    input.document(&mut valid, 0)?;
    Document::try_from(RawDocumentBuf::from_bytes(valid).ok()?).ok()
}

/// The bytes that have not been copied yet.
struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    /// Copies a document, including its length.
    fn document(&mut self, out: &mut Vec<u8>, depth: usize) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        let length = self.length()?;
        // The length counts itself.
        let mut fields = Input {
            rest: self.take(length.checked_sub(4)?)?,
        };
        let begin = reserve_length(out);
        loop {
            let kind = fields.take(1)?[0];
            out.push(kind);
            if kind == 0 {
                break;
            }
            fields.text_to_nul(out)?;
            fields.value(ElementType::from(kind)?, out, depth)?;
        }
        set_length(out, begin, 0)
    }

    fn value(&mut self, kind: ElementType, out: &mut Vec<u8>, depth: usize) -> Option<()> {
        let fixed = match kind {
            ElementType::Null | ElementType::Undefined | ElementType::MinKey | ElementType::MaxKey => 0,
            ElementType::Boolean => 1,
            ElementType::Int32 => 4,
            ElementType::Double | ElementType::DateTime | ElementType::Timestamp | ElementType::Int64 => 8,
            ElementType::ObjectId => 12,
            ElementType::Decimal128 => 16,
            ElementType::String | ElementType::JavaScriptCode | ElementType::Symbol => {
                return self.text(out);
            }
            ElementType::EmbeddedDocument | ElementType::Array => return self.document(out, depth + 1),
            ElementType::Binary => {
                let length = i32::from_le_bytes(self.rest.get(..4)?.try_into().ok()?);
                // The length, the subtype and the bytes.
                usize::try_from(length).ok()?.checked_add(5)?
            }
            ElementType::RegularExpression => {
                self.text_to_nul(out)?;
                return self.text_to_nul(out);
            }
            ElementType::DbPointer => {
                self.text(out)?;
                12
            }
            ElementType::JavaScriptCodeWithScope => {
                self.take(4)?;
                let begin = reserve_length(out);
                self.text(out)?;
                self.document(out, depth + 1)?;
                return set_length(out, begin, 0);
            }
        };
        out.extend_from_slice(self.take(fixed)?);
        Some(())
    }

    /// Copies a text, including the length before it.
    fn text(&mut self, out: &mut Vec<u8>) -> Option<()> {
        let length = self.length()?;
        let (nul, text) = self.take(length)?.split_last()?;
        let begin = reserve_length(out);
        out.extend_from_slice(String::from_utf8_lossy(text).as_bytes());
        out.push(*nul);
        // The length of a text does not count itself.
        set_length(out, begin, 4)
    }

    /// Copies a text that ends with NUL.
    fn text_to_nul(&mut self, out: &mut Vec<u8>) -> Option<()> {
        let end = self.rest.iter().position(|byte| *byte == 0)?;
        out.extend_from_slice(String::from_utf8_lossy(self.take(end)?).as_bytes());
        out.extend_from_slice(self.take(1)?);
        Some(())
    }

    fn length(&mut self) -> Option<usize> {
        let bytes = self.take(4)?.try_into().ok()?;
        usize::try_from(i32::from_le_bytes(bytes)).ok()
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }
}

/// Makes room for a length and returns its position.
fn reserve_length(out: &mut Vec<u8>) -> usize {
    let begin = out.len();
    out.extend_from_slice(&[0; 4]);
    begin
}

/// Writes the length of everything since `begin`, without the first `uncounted` bytes.
fn set_length(out: &mut [u8], begin: usize, uncounted: usize) -> Option<()> {
    let length = i32::try_from(out.len() - begin - uncounted).ok()?;
    out.get_mut(begin..begin + 4)?
        .copy_from_slice(&length.to_le_bytes());
    Some(())
}

#[cfg(test)]
mod tests {
    use bson::{Binary, Bson, DbPointer, JavaScriptCodeWithScope, Regex, doc, oid::ObjectId};

    use super::*;

    /// Returns one value of each type. The texts have the same length in bytes as `replacement`.
    fn document(text: &str) -> Document {
        let pointer = Bson::DbPointer(DbPointer::from_parts(text));
        doc! {
            "text": text,
            text: { "nested": [1, 2_i64, { text: text }] },
            "code": Bson::JavaScriptCode(text.to_owned()),
            "scope": JavaScriptCodeWithScope { code: text.to_owned(), scope: doc! { text: text } },
            "symbol": Bson::Symbol(text.to_owned()),
            "regex": Regex { pattern: text.try_into().unwrap(), options: "im".try_into().unwrap() },
            "pointer": pointer,
            "binary": Binary { subtype: bson::spec::BinarySubtype::Generic, bytes: vec![0xff, 0, 0x58] },
            "others": [1.5, true, Bson::Null, Bson::Undefined, Bson::MinKey, Bson::MaxKey, ObjectId::from_bytes([0xff; 12])],
            "date": bson::DateTime::from_millis(-1),
            "timestamp": bson::Timestamp { time: 1, increment: u32::MAX },
            "decimal": bson::Decimal128::from_bytes([0x55; 16]),
        }
    }

    trait FromParts {
        fn from_parts(namespace: &str) -> DbPointer;
    }

    impl FromParts for DbPointer {
        /// `bson` has no constructor for a pointer, so it is read from bytes.
        fn from_parts(namespace: &str) -> DbPointer {
            let mut bytes = vec![0; 4];
            bytes.extend_from_slice(&[0x0c, b'p', 0]);
            bytes.extend_from_slice(&i32::try_from(namespace.len() + 1).unwrap().to_le_bytes());
            bytes.extend_from_slice(namespace.as_bytes());
            bytes.extend_from_slice(&[0; 14]);
            let length = i32::try_from(bytes.len()).unwrap();
            bytes[..4].copy_from_slice(&length.to_le_bytes());
            let document = Document::try_from(RawDocumentBuf::from_bytes(bytes).unwrap()).unwrap();
            match document.get("p") {
                Some(Bson::DbPointer(pointer)) => pointer.clone(),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn valid_documents_stay_as_they_are() {
        for text in ["", "plain", "é日本🦀"] {
            let document = document(text);
            assert_eq!(decode_lossy(&document.to_vec().unwrap()).unwrap(), document);
        }
    }

    #[test]
    fn every_invalid_text_becomes_the_replacement_character() {
        // The text has the same length as the invalid bytes below.
        let mut bytes = document("xQQx").to_vec().unwrap();
        for at in 0..bytes.len() - 3 {
            if &bytes[at..at + 4] == b"xQQx" {
                // A character of four bytes, cut after two bytes.
                bytes[at + 1..at + 3].copy_from_slice(&[0xf0, 0x9f]);
            }
        }
        assert!(Document::try_from(RawDocumentBuf::from_bytes(bytes.clone()).unwrap()).is_err());
        assert_eq!(decode_lossy(&bytes).unwrap(), document("x\u{fffd}x"));
    }

    #[test]
    fn bytes_that_are_no_document_are_refused() {
        let whole = document("xQQx").to_vec().unwrap();
        for end in 0..whole.len() {
            assert_eq!(decode_lossy(&whole[..end]), None, "cut at {end}");
        }
        for at in 0..whole.len() {
            for byte in [0, 1, 0x7f, 0xff] {
                let mut wrong = whole.clone();
                wrong[at] = byte;
                // The bytes may still be a document. Decoding must not panic.
                let _ = decode_lossy(&wrong);
            }
        }
        let mut deep = doc! {};
        for _ in 0..300 {
            deep = doc! { "a": deep };
        }
        assert_eq!(decode_lossy(&deep.to_vec().unwrap()), None);
    }
}
