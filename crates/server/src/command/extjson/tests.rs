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
        r#"{"$code":"return x","$scope":{"x":{"$numberDouble":"5E-324"},"$id":{"$numberInt":"1"}}}"#,
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

/// A reader that multiplies the digits by a power of ten, as serde_json does by itself, gets
/// another last bit.
#[test]
fn doubles_keep_their_last_bit() {
    for text in [
        "31.245270191439438",
        "121.48791951161945",
        "0.9868011474609375",
        "2.638344616030823e-256",
        "1.7976931348623157e308",
        "2.2250738585072011e-308",
        "9007199254740993.0",
    ] {
        let expected: f64 = text.parse().unwrap();
        for written in [text.to_owned(), format!(r#"{{"$numberDouble":"{text}"}}"#)] {
            let read = parse(&format!(r#"{{"v":{written}}}"#)).unwrap();
            let bits = read.get_f64("v").ok().map(f64::to_bits);
            assert_eq!(bits, Some(expected.to_bits()), "{written}");
        }
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
        "[]",
        "1",
        "null",
    ];
    for text in wrong {
        assert!(parse(text).is_err(), "{text}");
    }
}

/// Texts that are refused, each with the path that the error names and a part of what it says.
const REFUSED: &[(&str, &str, &str)] = &[
    (r#"{"a":{"$date":42}}"#, "a", "$date holds the number 42"),
    (r#"{"a":{"$date":-1}}"#, "a", "the number -1"),
    (
        r#"{"a":{"$date":9223372036854775807}}"#,
        "a",
        "the number 9223372036854775807",
    ),
    (
        r#"{"a":{"$date":{"$numberLong":42}}}"#,
        "a",
        r#"an object in which "$numberLong" is the number 42"#,
    ),
    (
        r#"{"a":{"$date":{"$numberInt":"42"}}}"#,
        "a",
        r#""$numberInt" is the string "42""#,
    ),
    (
        r#"{"a":{"$date":"2026-02-30T00:00:00Z"}}"#,
        "a",
        r#"the string "2026-02-30T00:00:00Z""#,
    ),
    (
        r#"{"a":{"$date":null,"b":1}}"#,
        "a",
        r#""b" and $date are in one object"#,
    ),
    (
        r#"{"a":[1,{"b":{"$oid":42}}]}"#,
        "a[1].b",
        "$oid holds the number 42",
    ),
    (r#"{"a":{"$oid":"5f3e2d1c0b0a09080706050g"}}"#, "a", "$oid holds"),
    (
        r#"{"a":{"$oid":"5f3e2d1c0b0a090807060504","$oid":"5f3e2d1c0b0a090807060504"}}"#,
        "a",
        "and $oid are in one object",
    ),
    (r#"{"a":{"$numberInt":"+1"}}"#, "a", r#"the string "+1""#),
    (r#"{"a":{"$numberInt":1}}"#, "a", "the number 1"),
    (r#"{"a":{"$numberLong":"1.0"}}"#, "a", r#"the string "1.0""#),
    (r#"{"a":{"$numberLong":""}}"#, "a", r#"the string """#),
    (r#"{"a":{"$numberDouble":"-NaN"}}"#, "a", r#"the string "-NaN""#),
    (r#"{"a":{"$numberDouble":true}}"#, "a", "$numberDouble holds true"),
    (r#"{"a":{"$numberDecimal":[]}}"#, "a", "an array"),
    (
        r#"{"a":{"$binary":{"base64":"AQI","subType":"00"}}}"#,
        "a",
        r#""base64": the string "AQI""#,
    ),
    (
        r#"{"a":{"$binary":{"base64":"","subType":"100"}}}"#,
        "a",
        "$binary holds",
    ),
    (
        r#"{"a":{"$binary":{"base64":"","subType":"+1"}}}"#,
        "a",
        "$binary holds",
    ),
    (
        r#"{"a":{"$binary":"AQID","$type":"00"}}"#,
        "a",
        r#""$type" and $binary are in one object"#,
    ),
    (
        r#"{"a":{"$uuid":"c8edabc3f7384ca3b68dab92a91478a3"}}"#,
        "a",
        "$uuid holds",
    ),
    (
        r#"{"a":{"$timestamp":{"t":-1,"i":1}}}"#,
        "a",
        r#""t": the number -1"#,
    ),
    (r#"{"a":{"$timestamp":{"t":1}}}"#, "a", "$timestamp holds"),
    (
        r#"{"a":{"$timestamp":{"t":{"$numberInt":"1"},"i":1}}}"#,
        "a",
        "$timestamp holds",
    ),
    (r#"{"a":{"$regularExpression":"x"}}"#, "a", r#"the string "x""#),
    (
        r#"{"a":{"$code":"x","$scope":1}}"#,
        "a",
        "$scope holds the number 1",
    ),
    (
        r#"{"a":{"$code":"x","$scope":{"b":{"$oid":1}}}}"#,
        "a.$scope.b",
        "$oid holds",
    ),
    (r#"{"a":{"$scope":{}}}"#, "a", "$scope stands without $code"),
    (
        r#"{"a":{"$dbPointer":{"$ref":"c","$id":"x"}}}"#,
        "a",
        "$dbPointer holds",
    ),
    (r#"{"a":{"$minKey":1.0}}"#, "a", "the number 1.0"),
    (r#"{"a":{"$undefined":null}}"#, "a", "$undefined holds null"),
    (
        r#"{"a":{"b":{"c":1,"c":2}}}"#,
        "a.b",
        r#"the field "c" appears twice"#,
    ),
    (r#"{"a":{"b\u0000":1}}"#, "a", "NUL character"),
    (
        r#"{"a":{"b":[0,1e309]}}"#,
        "a.b[1]",
        "the number 1e309 is outside of the range",
    ),
    (r#"{"a":1e-400}"#, "a", "outside of the range"),
    (
        r#"{"a":["x","\ud83d"]}"#,
        "a[1]",
        r"holds \ud83d, which is half a character",
    ),
    (
        r#"{"a":{"b":"x\uDE00"}}"#,
        "a.b",
        r"holds \uDE00, which is half a character",
    ),
    (r#"{"a":{"b":"\ud83d\ude00\ud83d\u0041"}}"#, "a.b", r"at byte 23 "),
    (r#"{"a":{"\ud83d":1}}"#, "a", "half a character"),
    (
        r#"{"a":{"b":"\x"}}"#,
        "a.b",
        "does not start an escape at byte 12",
    ),
    (r#"{"a":{"b":1 2}}"#, "a", "expected , or } at byte 12"),
    (r#"{"a":{"b":[1 2]}}"#, "a.b[1]", "expected , or ]"),
    (r#"{"a":{"b":"#, "a.b", "the text ends too early"),
    (r#"{"a":tru}"#, "a", "expected a value at byte 5"),
    (r#"{"a":1}}"#, "", "expected nothing more"),
];

#[test]
fn an_error_names_the_path_and_nothing_of_this_program() {
    for (text, path, part) in REFUSED {
        let frame = parse(text).expect_err(text).into_frame();
        let prefix = if path.is_empty() {
            String::new()
        } else {
            format!("{path}: ")
        };
        assert!(frame.message.starts_with(&prefix), "{text}: {}", frame.message);
        assert!(frame.message.contains(part), "{text}: {}", frame.message);
        let hint = frame.hint.clone().expect("a hint");
        assert!(!hint.is_empty(), "{text}");
        for internal in [
            "enum",
            "struct",
            "variant",
            "Body",
            "serde",
            "line 1",
            "Error",
            "invalid type",
        ] {
            assert!(
                !frame.message.contains(internal) && !hint.contains(internal),
                "{frame:?}"
            );
        }
    }
}

#[test]
fn a_number_has_the_smallest_type_that_holds_it() {
    for (text, canonical) in [
        ("2147483647", r#"{"$numberInt":"2147483647"}"#),
        ("-2147483648", r#"{"$numberInt":"-2147483648"}"#),
        ("2147483648", r#"{"$numberLong":"2147483648"}"#),
        (
            "-9223372036854775808",
            r#"{"$numberLong":"-9223372036854775808"}"#,
        ),
        ("9223372036854775807", r#"{"$numberLong":"9223372036854775807"}"#),
        (
            "9223372036854775808",
            r#"{"$numberDouble":"9.223372036854775808E+18"}"#,
        ),
        (
            "18446744073709551615",
            r#"{"$numberDouble":"1.8446744073709552E+19"}"#,
        ),
        ("10000000000000000000", r#"{"$numberDouble":"1E+19"}"#),
        ("-0", r#"{"$numberInt":"0"}"#),
        ("-0.0", r#"{"$numberDouble":"-0.0"}"#),
        ("0e5", r#"{"$numberDouble":"0.0"}"#),
        ("1.0", r#"{"$numberDouble":"1.0"}"#),
        ("5e-324", r#"{"$numberDouble":"5E-324"}"#),
    ] {
        let read = parse(&format!(r#"{{"v":{text}}}"#)).unwrap();
        let expected = parse(&format!(r#"{{"v":{canonical}}}"#)).unwrap();
        assert_eq!(read.to_vec().unwrap(), expected.to_vec().unwrap(), "{text}");
    }
}

#[test]
fn objects_that_are_no_type_stay_as_they_are() {
    for text in [
        r#"{"a":{"$ref":"c","$id":{"$numberInt":"1"},"$oids":null}}"#,
        r#"{"a":{"$regex":{"$regularExpression":{"pattern":"x","options":"i"}},"$options":"i"}}"#,
        r#"{"a":{"$type":"string"},"$oid":null,"$code":true}"#,
        r#"{"$date":null}"#,
    ] {
        assert_eq!(round_trip(text), text);
    }
    let reordered =
        r#"{"a":{"$scope":{},"$code":"x"},"r":{"$regularExpression":{"options":"xi","pattern":""}}}"#;
    let canonical =
        r#"{"a":{"$code":"x","$scope":{}},"r":{"$regularExpression":{"pattern":"","options":"ix"}}}"#;
    assert_eq!(round_trip(reordered), canonical);
}

#[test]
fn depth_is_counted_as_in_bson() {
    let nested = |levels: usize, value: &str| {
        let (open, close) = (r#"{"a":"#.repeat(levels), "}".repeat(levels));
        format!("{open}{value}{close}")
    };
    let deepest = [
        r#"{"$numberLong":"1"}"#,
        r#"{"$date":{"$numberLong":"1"}}"#,
        r#"{"$dbPointer":{"$ref":"c","$id":{"$oid":"5f3e2d1c0b0a090807060504"}}}"#,
        "null",
    ];
    for value in deepest {
        let text = nested(MAX_DEPTH, value);
        assert_eq!(round_trip(&text), text);
        let frame = parse(&nested(MAX_DEPTH + 1, value)).unwrap_err().into_frame();
        assert_eq!(frame.code, ErrorCode::TooDeep);
    }
    // A scope is one level, as in BSON, and two levels of text.
    let (open, close) = (r#"{"a":{"$code":"","$scope":"#, "}}");
    let scopes = |count: usize| format!("{}{{}}{}", open.repeat(count), close.repeat(count));
    assert_eq!(round_trip(&scopes(MAX_DEPTH - 1)), scopes(MAX_DEPTH - 1));
    for text in [
        scopes(MAX_DEPTH),
        nested(MAX_DEPTH - 1, "[[]]"),
        nested(MAX_DEPTH, "{}"),
        "[".repeat(1_000_000),
        r#"{"a":"#.repeat(100_000),
    ] {
        assert_eq!(parse(&text).unwrap_err().into_frame().code, ErrorCode::TooDeep);
    }
}
