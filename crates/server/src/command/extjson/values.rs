//! The value that a JSON value stands for, by the conversion table of Extended JSON v2.

use std::borrow::Cow;

use bellwether_protocol::MAX_DEPTH;
use bson::oid::ObjectId;
use bson::spec::BinarySubtype;
use bson::{Binary, Bson, DateTime, Decimal128, Document, JavaScriptCodeWithScope, Regex, Timestamp, Uuid};
use data_encoding::BASE64;

use super::json::{Field, Json};
use super::too_deep;
use crate::command::refusal::{Refusal, bad_command};

/// Longest part of a string that an error quotes, in characters.
const QUOTED: usize = 60;

/// The fields that make an object a value of a type, and a description of what each takes.
const TYPES: [(&str, &str); 17] = [
    ("$oid", "a string of 24 hexadecimal digits"),
    ("$symbol", "a string"),
    (
        "$numberInt",
        "an integer from -2147483648 to 2147483647, as a string",
    ),
    (
        "$numberLong",
        "an integer from -9223372036854775808 to 9223372036854775807, as a string",
    ),
    (
        "$numberDouble",
        r#"a 64-bit double as a string, such as "1.5", "Infinity", "-Infinity" or "NaN""#,
    ),
    (
        "$numberDecimal",
        r#"a decimal number of at most 34 digits as a string, such as "0.10""#,
    ),
    (
        "$binary",
        r#"{"base64": "…", "subType": "00"}, with padded base64 and one or two hexadecimal digits"#,
    ),
    (
        "$uuid",
        r#"a UUID as a string, such as "c8edabc3-f738-4ca3-b68d-ab92a91478a3""#,
    ),
    ("$code", "a string, and no other field but $scope"),
    ("$scope", "a document, together with $code"),
    (
        "$timestamp",
        r#"{"t": 1, "i": 1}, both integers from 0 to 4294967295"#,
    ),
    (
        "$regularExpression",
        r#"{"pattern": "…", "options": "…"}, strings without NUL characters"#,
    ),
    ("$dbPointer", r#"{"$ref": "…", "$id": {"$oid": "…"}}"#),
    (
        "$date",
        r#"a string such as "2026-01-31T12:00:00Z", or {"$numberLong": "…"} with the milliseconds since 1970"#,
    ),
    ("$minKey", "the number 1"),
    ("$maxKey", "the number 1"),
    ("$undefined", "true"),
];

/// Makes a document of an object's fields. `outside` is the number of levels of documents and
/// arrays around it.
///
/// # Errors
/// A refusal that names the path, if a field is repeated, is no value of the type it names, or is
/// nested too deep.
pub(super) fn document(fields: Vec<Field<'_>>, outside: usize) -> Result<Document, Refusal> {
    if outside >= MAX_DEPTH {
        return Err(too_deep());
    }
    let mut document = Document::new();
    for (name, json) in fields {
        if name.contains('\0') {
            return Err(
                bad_command(format!("the field name {name:?} contains a NUL character"))
                    .with_hint("MongoDB stores no such name: choose another one"),
            );
        }
        if document.contains_key(&*name) {
            return Err(
                bad_command(format!("the field {name:?} appears twice in one document"))
                    .with_hint("give each field of a document once"),
            );
        }
        let value = value(json, outside + 1).map_err(|refusal| refusal.inside(&name))?;
        document.insert(name, value);
    }
    Ok(document)
}

fn value(json: Json<'_>, outside: usize) -> Result<Bson, Refusal> {
    Ok(match json {
        Json::Null => Bson::Null,
        Json::Bool(flag) => Bson::Boolean(flag),
        Json::Number(text) => number(text)?,
        Json::Text(text) => Bson::String(text.into_owned()),
        Json::Array(items) => {
            if outside >= MAX_DEPTH {
                return Err(too_deep());
            }
            let items = items.into_iter().enumerate();
            let items = items
                .map(|(index, item)| value(item, outside + 1).map_err(|refusal| refusal.inside_item(index)));
            Bson::Array(items.collect::<Result<_, _>>()?)
        }
        Json::Object(fields) => match fields.iter().find_map(|(name, _)| type_key(name)) {
            Some(key) => typed(key, fields, outside)?,
            None => Bson::Document(document(fields, outside)?),
        },
    })
}

/// Reads a number. An integer has the smallest type that holds it. By the specification, an integer
/// of more than 64 bits is a double.
fn number(text: &str) -> Result<Bson, Refusal> {
    if !text.contains(['.', 'e', 'E']) {
        if let Ok(number) = text.parse() {
            return Ok(Bson::Int32(number));
        }
        if let Ok(number) = text.parse() {
            return Ok(Bson::Int64(number));
        }
    }
    match double(text) {
        Some(number) => Ok(Bson::Double(number)),
        None => Err(bad_command(format!(
            "the number {} is outside of the range of a 64-bit double",
            shortened(text)
        ))
        .with_hint(r#"write it as {"$numberDecimal": "…"} or as a string"#)),
    }
}

/// Reads a double that has neither overflowed nor become 0. A double is expected to keep only about
/// 16 digits.
fn double(text: &str) -> Option<f64> {
    let double: f64 = text.parse().ok()?;
    let mantissa = text.split(['e', 'E']).next().unwrap_or(text);
    let is_kept = double != 0.0 || !mantissa.contains(|c: char| matches!(c, '1'..='9'));
    (double.is_finite() && is_kept).then_some(double)
}

fn type_key(name: &str) -> Option<&'static str> {
    if !name.starts_with('$') {
        return None;
    }
    TYPES.iter().map(|(key, _)| *key).find(|key| *key == name)
}

/// Returns the value of an object that has this key of a type.
fn typed(key: &'static str, fields: Vec<Field<'_>>, outside: usize) -> Result<Bson, Refusal> {
    if matches!(key, "$code" | "$scope") {
        return code(fields, outside);
    }
    let other = fields.iter().find(|(name, _)| name != key);
    if let Some((other, _)) = other {
        return Err(beside(key, other));
    }
    let mut fields = fields.into_iter();
    let (Some((_, json)), None) = (fields.next(), fields.next()) else {
        return Err(beside(key, key));
    };
    match scalar(key, &json) {
        Some(value) => Ok(value),
        None => Err(wrong(key, &json)),
    }
}

fn scalar(key: &str, json: &Json<'_>) -> Option<Bson> {
    Some(match (key, json) {
        ("$oid", json) => Bson::ObjectId(object_id(json)?),
        ("$symbol", Json::Text(text)) => Bson::Symbol(text.clone().into_owned()),
        ("$numberInt", Json::Text(text)) => Bson::Int32(integer(text)?),
        ("$numberLong", Json::Text(text)) => Bson::Int64(integer(text)?),
        ("$numberDouble", Json::Text(text)) => Bson::Double(match &**text {
            "Infinity" => f64::INFINITY,
            "-Infinity" => f64::NEG_INFINITY,
            "NaN" => f64::NAN,
            finite => double(finite)?,
        }),
        ("$numberDecimal", Json::Text(text)) => Bson::Decimal128(decimal(text)?),
        ("$binary", json) => Bson::Binary(binary(json)?),
        ("$uuid", Json::Text(text)) => Bson::Binary(uuid(text)?),
        ("$timestamp", json) => {
            let [time, increment] = pair(json, ["t", "i"])?;
            Bson::Timestamp(Timestamp {
                time: unsigned(time)?,
                increment: unsigned(increment)?,
            })
        }
        ("$regularExpression", json) => {
            let [pattern, options] = pair(json, ["pattern", "options"])?;
            // BSON has the options in alphabetical order.
            let mut options: Vec<char> = text(options)?.chars().collect();
            options.sort_unstable();
            Bson::RegularExpression(Regex {
                pattern: text(pattern)?.to_owned().try_into().ok()?,
                options: String::from_iter(options).try_into().ok()?,
            })
        }
        ("$dbPointer", json) => db_pointer(json)?,
        ("$date", json) => Bson::DateTime(date(json)?),
        ("$minKey", Json::Number("1")) => Bson::MinKey,
        ("$maxKey", Json::Number("1")) => Bson::MaxKey,
        ("$undefined", Json::Bool(true)) => Bson::Undefined,
        _ => return None,
    })
}

fn code(fields: Vec<Field<'_>>, outside: usize) -> Result<Bson, Refusal> {
    let (mut code, mut scope) = (None, None);
    for (name, json) in fields {
        let place = match &*name {
            "$code" => &mut code,
            "$scope" => &mut scope,
            other => return Err(beside("$code", other)),
        };
        if place.replace(json).is_some() {
            return Err(beside("$code", &name));
        }
    }
    let code = match code {
        Some(Json::Text(code)) => code.into_owned(),
        Some(other) => return Err(wrong("$code", &other)),
        None => return Err(bad_command("$scope stands without $code").with_hint(taken_by("$code"))),
    };
    match scope {
        None => Ok(Bson::JavaScriptCode(code)),
        Some(Json::Object(fields)) => {
            let scope = document(fields, outside).map_err(|refusal| refusal.inside("$scope"))?;
            Ok(Bson::JavaScriptCodeWithScope(JavaScriptCodeWithScope {
                code,
                scope,
            }))
        }
        Some(other) => Err(wrong("$scope", &other)),
    }
}

fn object_id(json: &Json<'_>) -> Option<ObjectId> {
    ObjectId::parse_str(text(json)?).ok()
}

fn integer<T: std::str::FromStr>(text: &str) -> Option<T> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// Reads a decimal. Checks its form first: `bson` reads an empty text as 0, and cuts texts at bytes
/// that need not begin a character.
fn decimal(text: &str) -> Option<Decimal128> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text).to_ascii_lowercase();
    let mantissa = unsigned.split('e').next().unwrap_or_default();
    let is_named = matches!(unsigned.as_str(), "nan" | "inf" | "infinity");
    let has_digits = mantissa.contains(|c: char| c.is_ascii_digit())
        && mantissa.chars().all(|c| c.is_ascii_digit() || c == '.');
    (text.is_ascii() && (is_named || has_digits)).then(|| text.parse().ok())?
}

fn binary(json: &Json<'_>) -> Option<Binary> {
    let [base64, subtype] = pair(json, ["base64", "subType"])?;
    let subtype = text(subtype)?;
    if !matches!(subtype.len(), 1 | 2) || !subtype.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    Some(Binary {
        subtype: BinarySubtype::from(u8::from_str_radix(subtype, 16).ok()?),
        bytes: BASE64.decode(text(base64)?.as_bytes()).ok()?,
    })
}

fn uuid(text: &str) -> Option<Binary> {
    let is_hyphen = |at: usize| matches!(at, 8 | 13 | 18 | 23);
    let is_uuid = text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| {
            if is_hyphen(at) {
                byte == b'-'
            } else {
                byte.is_ascii_hexdigit()
            }
        });
    let uuid = Uuid::parse_str(text).ok().filter(|_| is_uuid)?;
    Some(Binary {
        subtype: BinarySubtype::Uuid,
        bytes: uuid.bytes().to_vec(),
    })
}

fn date(json: &Json<'_>) -> Option<DateTime> {
    match json {
        Json::Text(text) => DateTime::parse_rfc3339_str(text).ok(),
        Json::Object(fields) => match &fields[..] {
            [(name, Json::Text(millis))] if name == "$numberLong" => {
                integer(millis).map(DateTime::from_millis)
            }
            _ => None,
        },
        _ => None,
    }
}

/// Reads a value of this type, which `bson` makes of JSON only.
fn db_pointer(json: &Json<'_>) -> Option<Bson> {
    let [namespace, id] = pair(json, ["$ref", "$id"])?;
    let Json::Object(id) = id else {
        return None;
    };
    let [(name, id)] = &id[..] else {
        return None;
    };
    let id = object_id(id).filter(|_| name == "$oid")?;
    let pointer = serde_json::json!({ "$ref": text(namespace)?, "$id": { "$oid": id.to_hex() } });
    Bson::try_from(serde_json::json!({ "$dbPointer": pointer })).ok()
}

fn text<'j>(json: &'j Json<'_>) -> Option<&'j str> {
    match json {
        Json::Text(text) => Some(text),
        _ => None,
    }
}

/// Reads an integer of 0 or more, without a sign.
fn unsigned(json: &Json<'_>) -> Option<u32> {
    match json {
        Json::Number(text) => text.parse().ok(),
        _ => None,
    }
}

/// Returns the values of an object that has exactly these two fields.
fn pair<'j, 'a>(json: &'j Json<'a>, names: [&str; 2]) -> Option<[&'j Json<'a>; 2]> {
    let Json::Object(fields) = json else {
        return None;
    };
    let get = |name: &str| {
        fields
            .iter()
            .find(|(other, _)| other == name)
            .map(|(_, json)| json)
    };
    match fields.len() {
        2 => Some([get(names[0])?, get(names[1])?]),
        _ => None,
    }
}

fn wrong(key: &'static str, found: &Json<'_>) -> Refusal {
    bad_command(format!("{key} holds {}", described(found))).with_hint(taken_by(key))
}

fn beside(key: &'static str, other: &str) -> Refusal {
    bad_command(format!("{:?} and {key} are in one object", shortened(other))).with_hint(format!(
        "an object with {key} is a value of that type and has no other field; {}",
        taken_by(key)
    ))
}

fn taken_by(key: &str) -> String {
    let known = TYPES.iter().find(|(other, _)| *other == key);
    let taken = known.map_or("", |(_, taken)| *taken);
    format!("{key} takes {taken}")
}

fn described(json: &Json<'_>) -> String {
    match json {
        Json::Null => "null".to_owned(),
        Json::Bool(flag) => flag.to_string(),
        Json::Number(text) => format!("the number {}", shortened(text)),
        Json::Text(text) => format!("the string {:?}", shortened(text)),
        Json::Array(_) => "an array".to_owned(),
        Json::Object(fields) => match &fields[..] {
            [] => "an empty object".to_owned(),
            [(name, value)] if !matches!(value, Json::Array(_) | Json::Object(_)) => {
                format!("an object in which {:?} is {}", shortened(name), described(value))
            }
            fields => {
                let names = fields.iter().take(4).map(|(name, value)| match value {
                    Json::Array(_) | Json::Object(_) => format!("{:?}", shortened(name)),
                    scalar => format!("{:?}: {}", shortened(name), described(scalar)),
                });
                format!("an object with {}", names.collect::<Vec<_>>().join(", "))
            }
        },
    }
}

fn shortened(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(QUOTED) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    }
}
