//! Reading JSON of unknown origin, one field at a time.
//!
//! Messages are read in two steps. First an object is split into the raw texts of its known
//! fields: that refuses duplicates of them and skips everything else without building it. Then
//! each field is read on its own, so that the reason can name the field without repeating what
//! `serde_json` would say, which quotes the input.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::{MAX_BODY, Malformed};

/// The deepest nesting that is read: the limit that `serde_json` has for what it builds. It
/// skips unknown fields without a limit, hence the check here.
const MAX_DEPTH: usize = 128;

/// A field as sent: `None` if it is missing, `Some("null")` if it is null.
pub(crate) type Field<'a> = Option<&'a RawValue>;

/// For fields of type [`Field`]; without it a null would look like a missing field.
pub(crate) fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Field<'de>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// The body as text, if it is small, shallow and UTF-8.
pub(crate) fn checked(body: &[u8]) -> Result<&str, Malformed> {
    if body.len() > MAX_BODY {
        return Err(Malformed::because("the body is longer than 1 MiB"));
    }
    let text =
        std::str::from_utf8(body).map_err(|_| Malformed::because("the body is not valid UTF-8"))?;
    if too_deep(text) {
        return Err(Malformed::because("the body is nested more than 128 deep"));
    }
    Ok(text)
}

/// Whether the brackets outside of strings nest deeper than [`MAX_DEPTH`].
pub(crate) fn too_deep(text: &str) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return true;
        }
    }
    false
}

/// Splits an object into the fields of `T`, all of them [`Field`]s.
pub(crate) fn object<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Malformed> {
    // Derived types would take an array for an object.
    let is_object = text.trim_start().starts_with('{');
    serde_json::from_str(text)
        .map_err(|error| {
            Malformed::because(match error.classify() {
                serde_json::error::Category::Data if is_object => "a field is given twice",
                serde_json::error::Category::Data => "not a JSON object",
                serde_json::error::Category::Eof => "the JSON text ends too early",
                _ => "not valid JSON",
            })
        })
        .and_then(|fields| {
            if is_object {
                Ok(fields)
            } else {
                Err(Malformed::because("not a JSON object"))
            }
        })
}

/// A field that is a text, or missing or null.
pub(crate) fn text(field: Field<'_>, name: &str) -> Result<Option<String>, Malformed> {
    read(field).map_err(|()| Malformed::in_field(name, "not a text"))
}

/// A field that is a whole number from 0 to 2^64 - 1, or missing or null.
pub(crate) fn unsigned(field: Field<'_>, name: &str) -> Result<Option<u64>, Malformed> {
    read(field).map_err(|()| Malformed::in_field(name, "not an unsigned 64-bit number"))
}

/// The items of a field that is an array, or `None` if it is another thing.
pub(crate) fn items(text: &str) -> Option<Vec<&RawValue>> {
    serde_json::from_str(text).ok()
}

/// The JSON of a message of ours.
pub(crate) fn written<T: Serialize>(message: &T) -> Vec<u8> {
    serde_json::to_vec(message).expect("texts, numbers and JSON values can be written as JSON")
}

fn read<'a, T: Deserialize<'a>>(field: Field<'a>) -> Result<Option<T>, ()> {
    field.map_or(Ok(None), |raw| {
        serde_json::from_str(raw.get()).map_err(|_| ())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct Two<'a> {
        #[serde(borrow, deserialize_with = "present")]
        a: Field<'a>,
        #[serde(borrow, deserialize_with = "present")]
        b: Field<'a>,
    }

    #[track_caller]
    fn refused(text: &str, reason: &str) {
        assert_eq!(object::<Two<'_>>(text).unwrap_err().reason, reason);
    }

    #[test]
    fn what_is_not_an_object_is_told_from_what_is_not_json() {
        refused("", "the JSON text ends too early");
        refused("{\"a\":", "the JSON text ends too early");
        refused("{a:1}", "not valid JSON");
        refused("{} {}", "not valid JSON");
        refused("[1,2]", "not a JSON object");
        refused("\"text\"", "not a JSON object");
    }

    #[test]
    fn a_known_field_given_twice_is_refused_also_in_another_spelling() {
        refused(r#"{"a":1,"b":2,"a":1}"#, "a field is given twice");
        refused(r#"{"a":1,"\u0061":1}"#, "a field is given twice");
    }

    #[test]
    fn null_is_told_from_missing() {
        let two: Two<'_> = object(r#"{"a":null,"c":[1]}"#).unwrap();
        assert_eq!(two.a.map(RawValue::get), Some("null"));
        assert!(two.b.is_none());
    }

    #[test]
    fn brackets_in_strings_are_not_nesting() {
        let text = format!("[\"{}\\\"{}\"]", "[".repeat(200), "{".repeat(200));
        assert!(!too_deep(&text));
        assert!(!too_deep(&format!(
            "{}{}",
            "[".repeat(128),
            "]".repeat(128)
        )));
        assert!(too_deep(&"[".repeat(129)));
    }
}
