//! Documents with every BSON type, in every place: their text is read again as the same bytes.

use bson::oid::ObjectId;
use bson::{Binary, Bson, DateTime, Decimal128, Document, JavaScriptCodeWithScope, Regex, Timestamp};
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;

use crate::command::extjson::{canonical, parse};

fn field() -> impl Strategy<Value = String> {
    // Data may have fields like these. The fields with which Extended JSON writes types are not
    // among them.
    const FIELDS: [&str; 11] = [
        "", "a", "a.b", "0", "_id", "$", "$where", "$set", "$ref", "$id", "$regex",
    ];
    prop_oneof![
        select(&FIELDS[..]).prop_map(str::to_owned),
        "[^\0$][^\0]{0,6}".prop_map(|name: String| name),
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["\\PC{0,12}", any::<String>()]
}

fn double() -> impl Strategy<Value = f64> {
    use proptest::num::f64::{INFINITE, NEGATIVE, NORMAL, POSITIVE, SUBNORMAL, ZERO};
    prop_oneof![
        POSITIVE | NEGATIVE | NORMAL | SUBNORMAL | ZERO | INFINITE,
        Just(f64::NAN),
        any::<i32>().prop_map(f64::from)
    ]
}

fn decimal() -> impl Strategy<Value = Decimal128> {
    let finite = (any::<bool>(), 0..10_u128.pow(34), -6176..=6111_i32)
        .prop_map(|(minus, digits, exponent)| format!("{}{digits}E{exponent}", if minus { "-" } else { "" }));
    let named = select(&["NaN", "Infinity", "-Infinity", "-0", "0E-6176"][..]).prop_map(str::to_owned);
    prop_oneof![4 => finite, 1 => named].prop_map(|text| text.parse().unwrap())
}

fn regex() -> impl Strategy<Value = Bson> {
    let options = btree_set(select(vec!['i', 'l', 'm', 's', 'u', 'x']), 0..6);
    ("[^\0]{0,8}", options).prop_map(|(pattern, options)| {
        let options: String = options.into_iter().collect();
        Bson::RegularExpression(Regex {
            pattern: pattern.try_into().unwrap(),
            options: options.try_into().unwrap(),
        })
    })
}

fn scalar() -> impl Strategy<Value = Bson> {
    prop_oneof![
        double().prop_map(Bson::Double),
        decimal().prop_map(Bson::Decimal128),
        any::<i32>().prop_map(Bson::Int32),
        any::<i64>().prop_map(Bson::Int64),
        any::<bool>().prop_map(Bson::Boolean),
        text().prop_map(Bson::String),
        any::<[u8; 12]>().prop_map(|bytes| Bson::ObjectId(ObjectId::from_bytes(bytes))),
        any::<i64>().prop_map(|millis| Bson::DateTime(DateTime::from_millis(millis))),
        any::<(u32, u32)>().prop_map(|(time, increment)| Bson::Timestamp(Timestamp { time, increment })),
        (any::<u8>(), vec(any::<u8>(), 0..20)).prop_map(|(subtype, bytes)| {
            Bson::Binary(Binary {
                subtype: subtype.into(),
                bytes,
            })
        }),
        regex(),
        text().prop_map(Bson::JavaScriptCode),
        text().prop_map(Bson::Symbol),
        (text(), any::<[u8; 12]>()).prop_map(|(namespace, id)| {
            let id = ObjectId::from_bytes(id).to_hex();
            Bson::try_from(json!({ "$dbPointer": { "$ref": namespace, "$id": { "$oid": id } } })).unwrap()
        }),
        select(vec![Bson::Null, Bson::Undefined, Bson::MinKey, Bson::MaxKey]),
    ]
}

fn value() -> impl Strategy<Value = Bson> {
    scalar().prop_recursive(6, 64, 6, |inner| {
        let document = vec((field(), inner.clone()), 0..6)
            .prop_map(Document::from_iter)
            .boxed();
        prop_oneof![
            vec(inner, 0..6).prop_map(Bson::Array),
            document.clone().prop_map(Bson::Document),
            (text(), document).prop_map(|(code, scope)| {
                Bson::JavaScriptCodeWithScope(JavaScriptCodeWithScope { code, scope })
            }),
        ]
    })
}

/// Returns documents with values of every type.
pub(in crate::command) fn document() -> impl Strategy<Value = Document> {
    vec((field(), value()), 0..8).prop_map(Document::from_iter)
}

proptest! {
    #[test]
    fn a_document_survives_as_text(document in document()) {
        let written = canonical(document.clone()).unwrap();
        let read = parse(written.as_str()).unwrap();
        prop_assert_eq!(read.to_vec().unwrap(), document.to_vec().unwrap(), "{}", written.as_str());
        let again = canonical(read).unwrap();
        prop_assert_eq!(again.as_str(), written.as_str());
    }

    #[test]
    fn a_plain_double_keeps_its_bits(double in double()) {
        prop_assume!(double.is_finite());
        let read = parse(&format!(r#"{{"v":{double:e}}}"#)).unwrap();
        let kept = read.get("v").and_then(|value| match value {
            Bson::Double(kept) => Some(*kept),
            Bson::Int32(kept) => Some(f64::from(*kept)),
            _ => None,
        });
        prop_assert_eq!(kept.map(f64::to_bits), Some(double.to_bits()));
    }
}
