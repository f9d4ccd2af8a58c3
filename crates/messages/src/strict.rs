//! Reading a whole JSON value strictly, as edits of a twin need it.
//!
//! `serde_json` would let the last of two equal keys win, and gives a meaning of its own to a few
//! keys that begin with `$` (it keeps numbers exact by way of them). An edit must mean one thing,
//! so objects are split by hand: each level into keys and raw texts, then each text in turn.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// The longest path that an error names, in characters.
const MAX_PATH: usize = 200;

/// Reads JSON text, of which the nesting was bounded before. Refuses a key given twice in one
/// object and keys that begin with `$`, which belong to the hub; the error names the path. Numbers
/// keep their digits.
pub(crate) fn value(text: &str) -> Result<Value, String> {
    read(whole(text)?, "", "$")
}

/// As [`value`], but keys may begin with `$`, unless the parser would take them for its own.
pub(crate) fn any_value(text: &str) -> Result<Value, String> {
    read(whole(text)?, "", "$serde_json::private::")
}

fn whole(text: &str) -> Result<&RawValue, String> {
    serde_json::from_str(text).map_err(|_| "not valid JSON".to_owned())
}

/// Reads a value; no key in it may begin with `reserved`.
fn read(raw: &RawValue, path: &str, reserved: &str) -> Result<Value, String> {
    let text = raw.get();
    let broken = |_| format!("not valid JSON{}", at(path));
    match text.trim_start().as_bytes().first() {
        Some(b'{') => {
            let Entries(entries) = serde_json::from_str(text).map_err(broken)?;
            let mut fields = Map::new();
            for (key, raw) in entries {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                if key.starts_with(reserved) {
                    return Err(format!(
                        "a key may not begin with '{reserved}'{}",
                        at(&path)
                    ));
                }
                let value = read(raw, &path, reserved)?;
                if fields.insert(key, value).is_some() {
                    return Err(format!("a key is given twice{}", at(&path)));
                }
            }
            Ok(Value::Object(fields))
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(text).map_err(broken)?;
            let read_item = |(i, item)| read(item, &format!("{path}[{i}]"), reserved);
            items.into_iter().enumerate().map(read_item).collect()
        }
        _ => serde_json::from_str(text).map_err(broken),
    }
}

/// Where in the request something is, for the end of an error text.
pub(crate) fn at(path: &str) -> String {
    if path.is_empty() {
        return String::new();
    }
    let end: String = path.chars().take(MAX_PATH).collect();
    format!(": {end}")
}

/// The entries of an object in their order, duplicates included.
struct Entries<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Entries<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_digits() {
        let text = r#"{"a":1.10,"b":[123456789012345678901234567890,-0.0],"c":1e400}"#;
        let exact = r#"{"a":1.10,"b":[123456789012345678901234567890,-0.0],"c":1e+400}"#;
        assert_eq!(value(text).unwrap().to_string(), exact);
    }

    #[test]
    fn a_key_given_twice_is_refused_at_any_depth() {
        assert_eq!(
            value(r#"{"a":{"b":[{"c":1,"\u0063":2}]}}"#).unwrap_err(),
            "a key is given twice: a.b[0].c"
        );
    }

    #[test]
    fn keys_of_the_hub_and_of_the_parser_are_refused_with_their_path() {
        for key in [
            "$metadata",
            "$version",
            "$",
            "$serde_json::private::Number",
            "$serde_json::private::RawValue",
        ] {
            let text = format!(r#"{{"a":[1,{{"{key}":"1"}}]}}"#);
            let expected = format!("a key may not begin with '$': a[1].{key}");
            assert_eq!(value(&text).unwrap_err(), expected);
        }
    }

    #[test]
    fn values_that_are_no_twins_may_have_keys_with_a_dollar() {
        assert_eq!(
            any_value(r#"{"a":{"$ref":1.10}}"#).unwrap().to_string(),
            r#"{"a":{"$ref":1.10}}"#
        );
        assert!(any_value(r#"{"a":{"$serde_json::private::Number":"1"}}"#).is_err());
        assert!(any_value(r#"{"a":1,"a":2}"#).is_err());
    }

    #[test]
    fn a_long_path_is_cut() {
        let text = format!(r#"{{"{}":{{"$x":1}}}}"#, "k".repeat(5_000));
        assert!(value(&text).unwrap_err().len() < 300);
    }
}
