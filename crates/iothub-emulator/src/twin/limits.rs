//! What the service refuses inside tags and properties: sizes, depth, keys, numbers and nulls.
//!
//! Source: the quotas page and the device-twin guide of Azure IoT Hub. Sizes are counted over the
//! document as it would be stored, not over the request.

use serde_json::{Number, Value};

use super::Document;

/// Largest `tags`, in counted bytes.
pub(super) const TAGS_BYTES: usize = 8 * 1024;
/// Largest desired or reported properties, in counted bytes.
pub(super) const PROPERTIES_BYTES: usize = 32 * 1024;
/// Objects that may sit inside each other below the section.
const MAX_DEPTH: usize = 10;
/// Longest key, in bytes of UTF-8.
const MAX_KEY: usize = 1024;
/// Longest string value, in bytes of UTF-8.
const MAX_STRING: usize = 4096;
/// Integers must fit 53 bits with sign.
const INTEGERS: std::ops::RangeInclusive<i64> = -4_503_599_627_370_496..=4_503_599_627_370_495;
/// What a number counts, whatever its digits.
const NUMBER_BYTES: usize = 8;
/// What a boolean counts.
const BOOLEAN_BYTES: usize = 4;

/// What a section is refused for, with the text for the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Broken {
    /// It is too large as a whole.
    Size(String),
    /// Something in it is not allowed.
    Rule(String),
}

/// Checks one section; the error is the text for the caller.
pub(super) fn check(section: &str, document: &Document, max_bytes: usize) -> Result<(), Broken> {
    let bytes = object(document, 0)
        .map_err(|rule| Broken::Rule(format!("The {section} of the twin: {rule}.")))?;
    if bytes > max_bytes {
        return Err(Broken::Size(format!(
            "The {section} of the twin exceed the maximum size of {max_bytes} bytes."
        )));
    }
    Ok(())
}

/// Counts an object that lies `depth` objects below its section.
fn object(document: &Document, depth: usize) -> Result<usize, String> {
    if depth > MAX_DEPTH {
        return Err(format!("objects are nested deeper than {MAX_DEPTH} levels"));
    }
    document.iter().try_fold(0, |sum, (key, inner)| {
        check_key(key)?;
        Ok(sum + key.len() + value(inner, depth)?)
    })
}

fn value(value_: &Value, depth: usize) -> Result<usize, String> {
    match value_ {
        Value::Null => Err("null is not allowed here".to_owned()),
        Value::Bool(_) => Ok(BOOLEAN_BYTES),
        Value::Number(number) => check_number(number).map(|()| NUMBER_BYTES),
        Value::String(text) if text.len() > MAX_STRING => {
            Err(format!("a string is longer than {MAX_STRING} bytes"))
        }
        Value::String(text) => Ok(text
            .chars()
            .filter(|c| !c.is_control())
            .map(char::len_utf8)
            .sum()),
        Value::Array(items) => items
            .iter()
            .try_fold(0, |sum, item| Ok(sum + value(item, depth)?)),
        Value::Object(inner) => object(inner, depth + 1),
    }
}

fn check_key(key: &str) -> Result<(), String> {
    if key.len() > MAX_KEY {
        return Err(format!("a key is longer than {MAX_KEY} bytes"));
    }
    let banned = |c: char| c.is_control() || matches!(c, '.' | '$' | '#' | ' ');
    if key.contains(banned) {
        return Err("a key contains '.', '$', '#', a space or a control character".to_owned());
    }
    Ok(())
}

fn check_number(number: &Number) -> Result<(), String> {
    let text = number.to_string();
    let sound = if text.contains(['.', 'e', 'E']) {
        text.parse::<f64>().is_ok_and(f64::is_finite)
    } else {
        text.parse::<i64>()
            .is_ok_and(|integer| INTEGERS.contains(&integer))
    };
    if sound {
        Ok(())
    } else {
        Err("a number is out of range".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn tags(document: &Value) -> Result<(), String> {
        let checked = check("tags", document.as_object().unwrap(), TAGS_BYTES);
        checked.map_err(|broken| match broken {
            Broken::Size(text) | Broken::Rule(text) => text,
        })
    }

    #[track_caller]
    fn refused(document: &Value, part: &str) {
        let text = tags(document).unwrap_err();
        assert!(text.contains(part), "{text}");
    }

    /// `{"o":{"o":...{"x":1}}}` with `levels` objects below the section.
    fn nested(levels: usize) -> Value {
        (0..levels).fold(json!({"x": 1}), |inner, _| json!({ "o": inner }))
    }

    #[test]
    fn a_scalar_may_sit_in_the_tenth_object_and_no_deeper() {
        assert_eq!(tags(&nested(10)), Ok(()));
        refused(&nested(11), "deeper than 10");
    }

    #[test]
    fn keys_have_banned_characters_and_a_length() {
        for key in ["a.b", "$a", "a b", "a#", "a\u{7}", "a\u{85}"] {
            refused(&json!({ key: 1 }), "a key contains");
            refused(&json!({"o": { key: 1 }}), "a key contains");
        }
        assert_eq!(tags(&json!({ "k".repeat(1024): 1 })), Ok(()));
        refused(&json!({ "k".repeat(1025): 1 }), "longer than 1024");
        assert_eq!(tags(&json!({"ключ-_/": 1})), Ok(()));
    }

    #[test]
    fn strings_have_at_most_4096_bytes() {
        assert_eq!(tags(&json!({"s": "x".repeat(4096)})), Ok(()));
        refused(&json!({"s": "x".repeat(4097)}), "longer than 4096");
    }

    #[test]
    fn integers_fit_53_bits_and_other_numbers_are_finite() {
        for text in ["4503599627370495", "-4503599627370496", "1.5", "-1e300"] {
            assert_eq!(
                tags(&serde_json::from_str(&format!("{{\"n\":{text}}}")).unwrap()),
                Ok(()),
                "{text}"
            );
        }
        for text in [
            "4503599627370496",
            "-4503599627370497",
            "99999999999999999999",
            "1e999",
        ] {
            refused(
                &serde_json::from_str(&format!("{{\"n\":{text}}}")).unwrap(),
                "out of range",
            );
        }
    }

    #[test]
    fn nulls_are_refused_wherever_they_would_be_stored() {
        refused(&json!({"a": null}), "null");
        refused(&json!({"a": [1, null]}), "null");
        refused(&json!({"a": [{"b": null}]}), "null");
    }

    #[test]
    fn sizes_count_keys_strings_numbers_and_booleans_but_no_control_characters() {
        let document =
            json!({"ab": "xyz\u{1}", "n": 123_456_789_012_i64, "t": true, "l": [1, "ü"]});
        assert_eq!(
            object(document.as_object().unwrap(), 0),
            Ok((2 + 3) + (1 + 8) + (1 + 4) + (1 + 8 + 2))
        );
    }

    #[test]
    fn a_section_has_at_most_its_size() {
        let full = json!({"aa": "x".repeat(4094), "bb": "x".repeat(4094)});
        assert_eq!(tags(&full), Ok(()));
        refused(
            &json!({"aa": "x".repeat(4094), "bb": "x".repeat(4095)}),
            "maximum size of 8192",
        );
        assert_eq!(
            check("desired", full.as_object().unwrap(), PROPERTIES_BYTES),
            Ok(())
        );
    }
}
