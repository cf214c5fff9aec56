//! Extended JSON to BSON and back, losing nothing on the way.
//!
//! The conversions themselves are the `bson` crate's. Around them stands what it leaves open: repeated
//! fields (a JSON parser keeps the last), numbers in text that overflow, and how doubles are written.
//!
//! What Extended JSON itself cannot say stays unsaid: a document with a field such as `$oid` or `$date` that is
//! not that type.

use core::fmt;

use bellwether_protocol::RawJson;
use bson::{Bson, Document, RawDocumentBuf};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::scan::is_faithful_double;
use super::write_extjson::{WriteError, write_canonical};

/// Reads a document in canonical or relaxed Extended JSON, keeping the order of its fields.
pub(super) fn parse(text: &str) -> Result<Document, String> {
    let Strict(value) = serde_json::from_str(text).map_err(|error| error.to_string())?;
    match Bson::try_from(value) {
        Ok(Bson::Document(document)) => Ok(document),
        Ok(other) => Err(format!(
            "it is a value of type {:?}, not a document",
            other.element_type()
        )),
        Err(error) => Err(error.to_string()),
    }
}

/// Writes a document as canonical Extended JSON.
pub(crate) fn canonical(document: Document) -> Result<RawJson, WriteError> {
    let document =
        RawDocumentBuf::try_from(&document).map_err(|error| WriteError::Malformed(error.to_string()))?;
    write_canonical(&document, usize::MAX)
}

/// The shortest text that is this double again. `bson` writes hundreds of digits for very large and very small
/// ones, a sign before `NaN`, and those too small to be normal not canonically.
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

/// A JSON value none of whose objects repeats a field.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Strict)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("a number is not finite"))?;
        Ok(Value::Number(number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(Strict(item)) = items.next_element()? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            if name.contains('\0') {
                return Err(A::Error::custom(format!(
                    "the field name {name:?} contains a NUL character"
                )));
            }
            // Where `bson` hands parts of a document to serde_json again, this field would be obeyed: its text
            // would be parsed, unseen by the checks here.
            if name.starts_with("$serde_json::private::") {
                return Err(A::Error::custom(format!("the field name {name:?} is reserved")));
            }
            if object.contains_key(&name) {
                return Err(A::Error::custom(format!(
                    "the field {name:?} appears twice in one document"
                )));
            }
            let Strict(value) = fields.next_value()?;
            object.insert(name, value);
        }
        check_number_in_text(&object).map_err(A::Error::custom)?;
        Ok(Value::Object(object))
    }
}

/// `bson` reads `{"$numberDouble": "1e999"}` as infinity and `{"$numberDecimal": ""}` as 0, and slices the
/// text of a `$numberDecimal` at bytes that need not be characters.
fn check_number_in_text(object: &Map<String, Value>) -> Result<(), String> {
    let text = |field| object.get(field).and_then(Value::as_str);
    if let Some(double) = text("$numberDouble")
        && !matches!(double, "Infinity" | "-Infinity" | "NaN" | "-NaN")
        && !is_faithful_double(double)
    {
        return Err(format!("the $numberDouble {double:?} is not a 64-bit double"));
    }
    if let Some(decimal) = text("$numberDecimal")
        && !is_decimal(decimal)
    {
        return Err(format!("the $numberDecimal {decimal:?} is not a number"));
    }
    Ok(())
}

/// Whether the text has the form of a decimal number; its range and precision are for `bson` to check.
fn is_decimal(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text).to_ascii_lowercase();
    let (mantissa, _exponent) = unsigned.split_once('e').unwrap_or((&unsigned, ""));
    let named = matches!(unsigned.as_str(), "nan" | "inf" | "infinity");
    let digits = mantissa.contains(|c: char| c.is_ascii_digit())
        && mantissa.chars().all(|c| c.is_ascii_digit() || c == '.');
    text.is_ascii() && (named || digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(text: &str) -> String {
        let document = parse(text).unwrap();
        canonical(document).unwrap().as_str().to_owned()
    }

    #[test]
    fn every_type_survives_in_canonical_form() {
        let values = [
            r#"{"$numberInt":"-2147483648"}"#,
            r#"{"$numberLong":"9223372036854775807"}"#,
            r#"{"$numberDouble":"1.5"}"#,
            r#"{"$numberDouble":"-0.0"}"#,
            r#"{"$numberDouble":"Infinity"}"#,
            r#"{"$numberDouble":"-Infinity"}"#,
            r#"{"$numberDouble":"NaN"}"#,
            r#"{"$numberDouble":"5E-324"}"#,
            r#"{"$numberDouble":"0.00001"}"#,
            r#"{"$numberDouble":"10000000000000000.0"}"#,
            r#"{"$numberDouble":"-1.7976931348623157E+308"}"#,
            r#"{"$code":"return x","$scope":{"x":{"$numberDouble":"5E-324"},"$oid":{"$numberInt":"1"}}}"#,
            r#"{"$binary":{"base64":"","subType":"ff"}}"#,
            r#"{"$date":{"$numberLong":"9223372036854775807"}}"#,
            r#"{"$ref":"c","$id":{"$numberInt":"1"},"$db":"d"}"#,
            r#"{"$where":"data","$set":{"$regex":"data"},"":{"$":null,"a.b":true}}"#,
            r#"{"$numberDecimal":"0.1000000000000000000000000000000001"}"#,
            r#"{"$numberDecimal":"NaN"}"#,
            r#""text with \u0000 and é""#,
            r#"{"$oid":"5f3e2d1c0b0a090807060504"}"#,
            r#"{"$binary":{"base64":"AQID","subType":"80"}}"#,
            r#"{"$date":{"$numberLong":"-62135596800001"}}"#,
            r#"{"$date":{"$numberLong":"1795000123456"}}"#,
            r#"{"$regularExpression":{"pattern":"^a","options":"im"}}"#,
            r#"{"$timestamp":{"t":4294967295,"i":1}}"#,
            r#"{"$code":"return 1"}"#,
            r#"{"$code":"return x","$scope":{"x":{"$numberInt":"1"}}}"#,
            r#"{"$symbol":"s"}"#,
            r#"{"$dbPointer":{"$ref":"c","$id":{"$oid":"5f3e2d1c0b0a090807060504"}}}"#,
            r#"{"$undefined":true}"#,
            r#"{"$minKey":1}"#,
            r#"{"$maxKey":1}"#,
            "null",
            "true",
            r#"[{"$numberInt":"1"},[],{}]"#,
            r#"{"z":{"$numberInt":"1"},"10":{},"2":{},"a":[]}"#,
        ];
        for value in values {
            let text = format!(r#"{{"v":{value}}}"#);
            assert_eq!(round_trip(&text), text);
        }
    }

    #[test]
    fn relaxed_form_means_the_same() {
        let relaxed = r#"{"i":1,"l":5000000000,"d":1.5,"e":1e2,"t":{"$date":"2026-11-22T10:00:00.123Z"},"u":{"$uuid":"0198c5e2-7a60-7b3c-9d1e-3f2a5b6c7d8e"}}"#;
        let canonical = concat!(
            r#"{"i":{"$numberInt":"1"},"l":{"$numberLong":"5000000000"},"d":{"$numberDouble":"1.5"},"#,
            r#""e":{"$numberDouble":"100.0"},"t":{"$date":{"$numberLong":"1795341600123"}},"#,
            r#""u":{"$binary":{"base64":"AZjF4npgezydHj8qW2x9jg==","subType":"04"}}}"#
        );
        assert_eq!(round_trip(relaxed), canonical);
    }

    #[test]
    fn what_would_be_lost_or_is_wrong_is_refused() {
        let wrong = [
            r#"{"a":1,"a":2}"#,
            r#"{"a":[{"b":1,"c":2,"b":1}]}"#,
            r#"{"a\u0000b":1}"#,
            r#"{"v":{"$numberInt":"2147483648"}}"#,
            r#"{"v":{"$numberLong":"9223372036854775808"}}"#,
            r#"{"v":{"$numberDouble":"1e999"}}"#,
            r#"{"v":{"$numberDouble":"abc"}}"#,
            r#"{"v":{"$numberDouble":"inf"}}"#,
            r#"{"v":{"$numberDecimal":"1e99999"}}"#,
            r#"{"v":{"$numberDecimal":"éééééééééééééééééééééééééééééééééééééééé"}}"#,
            r#"{"v":{"$numberDecimal":"12345678901234567890123456789012345"}}"#,
            r#"{"v":{"$numberDecimal":""}}"#,
            r#"{"v":{"$numberDecimal":"e5"}}"#,
            r#"{"v":{"$numberDecimal":"-+1"}}"#,
            r#"{"v":{"$oid":"xyz"}}"#,
            r#"{"v":{"$oid":"5f3e2d1c0b0a090807060504","extra":1}}"#,
            r#"{"v":{"$date":"yesterday"}}"#,
            r#"{"v":{"$binary":{"base64":"*","subType":"00"}}}"#,
            r#"{"v":{"$timestamp":{"t":4294967296,"i":1}}}"#,
            r#"{"v":{"$regularExpression":{"pattern":"a\u0000","options":""}}}"#,
            r#"{"v":{"$undefined":false}}"#,
            r#"{"v":{"$minKey":2}}"#,
            r#"{"v":{"$code":"","$scope":{"a":{"$serde_json::private::RawValue":"{\"b\":1,\"b\":2}"}}}}"#,
            r#"{"$oid":"5f3e2d1c0b0a090807060504"}"#,
            "[]",
            "1",
            "null",
        ];
        for text in wrong {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
