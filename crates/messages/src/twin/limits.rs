//! What a hub refuses inside tags and desired properties, found before it is asked.
//!
//! Source: Microsoft's "Understand and use device twins in IoT Hub" and the quotas page. Sizes are
//! counted as the hub counts them, without control characters. What a `patch` removes counts
//! nothing, and what the twin holds already is not known here: the hub has the last word on the
//! sum.

use std::ops::RangeInclusive;

use serde_json::{Map, Number, Value};

use super::BadRequest;
use crate::strict::at;

/// Objects that may sit inside each other below the section.
const MAX_DEPTH: usize = 10;
/// Longest key, in bytes of UTF-8.
const MAX_KEY: usize = 1024;
/// Longest text, in bytes of UTF-8.
const MAX_TEXT: usize = 4096;
/// Whole numbers fit 53 bits with sign.
const INTEGERS: RangeInclusive<i64> = -4_503_599_627_370_496..=4_503_599_627_370_495;
/// What a number counts, whatever its digits.
const NUMBER: usize = 8;
/// What a boolean counts.
const BOOLEAN: usize = 4;

/// A part of a twin that callers may edit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    Desired,
    Tags,
}

impl Section {
    const fn name(self) -> &'static str {
        match self {
            Self::Desired => "desired",
            Self::Tags => "tags",
        }
    }

    const fn most(self) -> usize {
        match self {
            Self::Desired => 32 * 1024,
            Self::Tags => 8 * 1024,
        }
    }
}

/// What a null in an object means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nulls {
    /// The key is removed. In an array there is nothing to remove, so there it is refused.
    Remove,
    /// Nothing.
    Refused,
}

/// Checks a section, which is an object.
pub(super) fn check(section: Section, value: &Value, nulls: Nulls) -> Result<(), BadRequest> {
    let name = section.name();
    let (bytes, most) = (count(value, name, 0, nulls)?, section.most());
    if bytes > most {
        return Err(BadRequest::TooLarge(format!(
            "{name} counts {bytes} bytes, at most {most} fit"
        )));
    }
    Ok(())
}

fn refuse<T>(why: &str, path: &str) -> Result<T, BadRequest> {
    Err(BadRequest::Invalid(format!("{why}{}", at(path))))
}

/// The bytes that a value counts; `depth` objects lie between it and the section.
fn count(value: &Value, path: &str, depth: usize, nulls: Nulls) -> Result<usize, BadRequest> {
    match value {
        Value::Null => refuse("null is not allowed here", path),
        Value::Bool(_) => Ok(BOOLEAN),
        Value::Number(number) if fits(number) => Ok(NUMBER),
        Value::Number(_) => refuse(
            "a whole number is at least -4503599627370496 and at most 4503599627370495",
            path,
        ),
        Value::String(text) if text.len() > MAX_TEXT => {
            refuse("a text has at most 4096 bytes", path)
        }
        Value::String(text) => {
            let counted = text.chars().filter(|c| !c.is_control());
            Ok(counted.map(char::len_utf8).sum())
        }
        // What stands in an array replaces the old one whole, so nothing in it can be removed.
        Value::Array(items) => items.iter().enumerate().try_fold(0, |sum, (i, item)| {
            let path = format!("{path}[{i}]");
            Ok(sum + count(item, &path, depth, Nulls::Refused)?)
        }),
        Value::Object(fields) => object(fields, path, depth, nulls),
    }
}

fn object(
    fields: &Map<String, Value>,
    path: &str,
    depth: usize,
    nulls: Nulls,
) -> Result<usize, BadRequest> {
    if depth > MAX_DEPTH {
        return refuse("objects are nested at most 10 deep", path);
    }
    fields.iter().try_fold(0, |sum, (key, value)| {
        let path = format!("{path}.{key}");
        check_key(key, &path)?;
        if value.is_null() && nulls == Nulls::Remove {
            return Ok(sum);
        }
        Ok(sum + key.len() + count(value, &path, depth + 1, nulls)?)
    })
}

fn check_key(key: &str, path: &str) -> Result<(), BadRequest> {
    if key.len() > MAX_KEY {
        return refuse("a key has at most 1024 bytes", path);
    }
    if key.contains(|c: char| c.is_control() || ".$# ".contains(c)) {
        return refuse(
            "a key has no '.', '$', '#', blank or control character",
            path,
        );
    }
    Ok(())
}

/// Whether the hub takes a number: within range if it is written as a whole number, else finite.
fn fits(number: &Number) -> bool {
    let text = number.to_string();
    if text.contains(['.', 'e', 'E']) {
        text.parse::<f64>().is_ok_and(f64::is_finite)
    } else {
        let whole = text.parse::<i64>();
        whole.is_ok_and(|whole| INTEGERS.contains(&whole))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn patch(value: &Value) -> Result<(), BadRequest> {
        check(Section::Desired, value, Nulls::Remove)
    }

    #[track_caller]
    fn refused(value: &Value, path: &str) {
        match patch(value) {
            Err(BadRequest::Invalid(text)) => {
                assert!(text.ends_with(&format!(": {path}")), "{text}");
            }
            other => panic!("{other:?}"),
        }
    }

    fn number(text: &str) -> Value {
        json!({"a": [serde_json::from_str::<Value>(text).unwrap()]})
    }

    /// `{"o":{"o":...{"x":1}}}` with `levels` objects below the section.
    fn nested(levels: usize) -> Value {
        (0..levels).fold(json!({"x": 1}), |inner, _| json!({ "o": inner }))
    }

    #[test]
    fn a_scalar_may_sit_in_the_tenth_object_and_no_deeper() {
        assert_eq!(patch(&nested(10)), Ok(()));
        refused(&nested(11), &format!("desired{}", ".o".repeat(11)));
    }

    #[test]
    fn keys_have_banned_characters_and_a_length() {
        for key in ["a.b", "a$", "a b", "a#", "a\u{7}", "a\u{85}"] {
            refused(&json!({"o": [{ key: 1 }]}), &format!("desired.o[0].{key}"));
        }
        assert_eq!(patch(&json!({ "k".repeat(1024): 1 })), Ok(()));
        assert!(patch(&json!({ "k".repeat(1025): 1 })).is_err());
    }

    #[test]
    fn whole_numbers_fit_53_bits_and_others_are_finite() {
        for text in ["4503599627370495", "-4503599627370496", "1.50", "-1e300"] {
            assert_eq!(patch(&number(text)), Ok(()), "{text}");
        }
        for text in ["4503599627370496", "-4503599627370497", "1e999"] {
            refused(&number(text), "desired.a[0]");
        }
    }

    #[test]
    fn null_removes_a_key_and_is_nothing_in_an_array_or_a_replacement() {
        assert_eq!(patch(&json!({"a": {"b": null}})), Ok(()));
        refused(&json!({"a": [1, null]}), "desired.a[1]");
        refused(&json!({"a": [{"b": null}]}), "desired.a[0].b");
        let set = check(Section::Desired, &json!({"a": null}), Nulls::Refused);
        assert_eq!(
            set,
            Err(BadRequest::Invalid(
                "null is not allowed here: desired.a".into()
            ))
        );
    }

    #[test]
    fn texts_and_sections_have_a_size() {
        assert_eq!(patch(&json!({"s": "x".repeat(4096)})), Ok(()));
        refused(&json!({"s": "x".repeat(4097)}), "desired.s");
        let mut tags = json!({"aa": "x".repeat(4094), "bb": "x".repeat(4094), "gone": null});
        let fits = check(Section::Tags, &tags, Nulls::Remove);
        assert_eq!(fits, Ok(()));
        tags["t"] = true.into();
        assert_eq!(
            check(Section::Tags, &tags, Nulls::Remove),
            Err(BadRequest::TooLarge(
                "tags counts 8197 bytes, at most 8192 fit".into()
            ))
        );
    }
}
