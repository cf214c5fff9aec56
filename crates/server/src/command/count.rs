//! The options of `count` as MongoDB reads them.
//!
//! MongoDB supports `count` neither in a transaction nor in a snapshot, so the server executes
//! another command. That command reads numbers in its own way. This module therefore replaces each
//! value by the value that `count` would have used.

use bson::{Bson, Document};

use super::refusal::{Refusal, bad_command};

/// Query operators that sort by distance. MongoDB takes them in `count` and `find`, and not in
/// `$match`.
const BY_DISTANCE: [&str; 3] = ["$near", "$nearSphere", "$geoNear"];

/// Integers of 64 bits are nearer to 0 than this: 2 to the power of 63.
const RANGE: f64 = 9_223_372_036_854_775_808.0;

/// Reads `query`, `limit` and `skip` as MongoDB does. It leaves out a query or a skip that is null,
/// and a limit or a skip of 0. A skip loses its fraction, and a negative limit becomes positive.
/// The remaining values are a document and positive 64-bit integers.
///
/// # Errors
/// A refusal that names the field, if MongoDB also refuses the value.
pub(super) fn read_options(body: &mut Document) -> Result<(), Refusal> {
    let mut read = Document::new();
    for (field, value) in std::mem::take(body) {
        let value = match (field.as_str(), value) {
            ("query" | "skip", Bson::Null | Bson::Undefined) => None,
            ("query", Bson::Document(query)) => Some(Bson::Document(query)),
            ("query", _) => {
                return Err(bad_command("it must be a document")
                    .with_hint(r#"write for example {"count": "notes", "query": {"done": true}}"#)
                    .inside("query"));
            }
            ("limit", limit) => match whole(&limit).and_then(i64::checked_abs) {
                Some(limit) => (limit != 0).then_some(Bson::Int64(limit)),
                None => return Err(bad_number("an integer of 64 bits").inside("limit")),
            },
            ("skip", skip) => match number(&skip).filter(|skip| *skip >= 0) {
                Some(skip) => (skip != 0).then_some(Bson::Int64(skip)),
                None => return Err(bad_number("a number, 0 or more").inside("skip")),
            },
            (_, value) => Some(value),
        };
        if let Some(value) = value {
            read.insert(field, value);
        }
    }
    *body = read;
    Ok(())
}

/// Returns `true` if a query sorts by distance somewhere.
pub(crate) fn is_by_distance(query: &Bson) -> bool {
    match query {
        Bson::Document(document) => document
            .iter()
            .any(|(field, value)| BY_DISTANCE.contains(&field.as_str()) || is_by_distance(value)),
        Bson::Array(items) => items.iter().any(is_by_distance),
        _ => false,
    }
}

/// Returns the number as an integer, if it is an integer of 64 bits.
fn whole(value: &Bson) -> Option<i64> {
    let is_whole = match value {
        Bson::Double(number) => number.fract() == 0.0 && number.abs() < RANGE,
        Bson::Decimal128(number) => {
            let text = number.to_string();
            let double: f64 = text.parse().ok()?;
            text.parse::<i64>().is_ok() || double.fract() == 0.0 && double.abs() < RANGE
        }
        _ => true,
    };
    number(value).filter(|_| is_whole)
}

/// Returns the integer of 64 bits that is nearest to a number. A double loses its fraction. The
/// fraction of a decimal is rounded, a half to the even neighbour.
fn number(value: &Bson) -> Option<i64> {
    match value {
        Bson::Int32(number) => Some(i64::from(*number)),
        Bson::Int64(number) => Some(*number),
        Bson::Double(number) => Some(nearest(*number)),
        Bson::Decimal128(number) => {
            let text = number.to_string();
            // An integer of more than 53 bits would lose digits as a double.
            let double = || text.parse::<f64>().unwrap_or(f64::NAN).round_ties_even();
            Some(text.parse().unwrap_or_else(|_| nearest(double())))
        }
        _ => None,
    }
}

/// Cuts off the fraction. Returns 0 for a value that is not a number.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the cast keeps to the range of 64 bits"
)]
fn nearest(number: f64) -> i64 {
    number as i64
}

fn bad_number(wanted: &str) -> Refusal {
    bad_command(format!("it must be {wanted}")).with_hint("write an integer, or leave it away")
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    fn read(mut body: Document) -> Option<Document> {
        read_options(&mut body).ok().map(|()| body)
    }

    fn decimal(text: &str) -> Bson {
        Bson::Decimal128(text.parse().unwrap())
    }

    #[test]
    fn numbers_are_what_mongodb_takes_them_for() {
        for (limit, expected) in [
            (Bson::Int32(0), None),
            (Bson::Double(-0.0), None),
            (Bson::Int64(3), Some(3)),
            (Bson::Double(-2.0), Some(2)),
            (Bson::Int64(i64::MAX), Some(i64::MAX)),
            (decimal("1E+3"), Some(1000)),
            (decimal("9007199254740993"), Some(9_007_199_254_740_993)),
        ] {
            let wanted = match expected {
                Some(limit) => doc! { "count": "c", "limit": limit, "comment": 1 },
                None => doc! { "count": "c", "comment": 1 },
            };
            let got = read(doc! { "count": "c", "limit": limit.clone(), "comment": 1 });
            assert_eq!(got, Some(wanted), "{limit}");
        }
        for (skip, expected) in [
            (Bson::Double(2.9), 2),
            (Bson::Int32(2), 2),
            (decimal("2.5"), 2),
            (decimal("3.5"), 4),
            (Bson::Double(1e300), i64::MAX),
        ] {
            let read = read(doc! { "count": "c", "skip": skip });
            assert_eq!(read, Some(doc! { "count": "c", "skip": expected }));
        }
        for nothing in [
            Bson::Null,
            Bson::Undefined,
            Bson::Double(f64::NAN),
            Bson::Double(-0.5),
        ] {
            assert_eq!(
                read(doc! { "count": "c", "skip": nothing }),
                Some(doc! { "count": "c" })
            );
        }
        assert_eq!(
            read(doc! { "count": "c", "query": null }),
            Some(doc! { "count": "c" })
        );
    }

    #[test]
    fn what_mongodb_refuses_is_refused() {
        for body in [
            doc! { "count": "c", "limit": i64::MIN },
            doc! { "count": "c", "limit": "1" },
            doc! { "count": "c", "limit": null },
            doc! { "count": "c", "limit": 2.5 },
            doc! { "count": "c", "limit": 1e19 },
            doc! { "count": "c", "limit": f64::NAN },
            doc! { "count": "c", "limit": decimal("2.5") },
            doc! { "count": "c", "limit": decimal("NaN") },
            doc! { "count": "c", "skip": -1 },
            doc! { "count": "c", "skip": true },
            doc! { "count": "c", "query": "x" },
            doc! { "count": "c", "query": [] },
        ] {
            assert_eq!(read(body.clone()), None, "{body}");
        }
    }
}
