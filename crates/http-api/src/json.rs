//! JSON as iot-manager reads it, which is written in Go.
//!
//! Names match in any case, a later field goes before an earlier one, null is as good as nothing,
//! what is not known is skipped, and a value of another type is an error. Each value stays a piece
//! of text until somebody asks for it, so numbers keep their digits.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::error::Category;
use serde_json::value::RawValue;

/// What is wrong with a document, without repeating it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Wrong(pub(crate) String);

impl Wrong {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    fn of(error: &serde_json::Error) -> Self {
        Self::new(match error.classify() {
            Category::Eof => "unexpected EOF",
            Category::Data => "a value is of the wrong type",
            Category::Syntax | Category::Io => "invalid JSON",
        })
    }
}

/// The fields of an object, each in its own text.
#[derive(Debug, Default)]
pub(crate) struct Object<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Object<'a> {
    /// Reads a whole document; null is an object without fields.
    pub(crate) fn read(text: &'a str) -> Result<Self, Wrong> {
        match document(text)? {
            "null" => Ok(Self::default()),
            _ => serde_json::from_str(text).map_err(|error| Wrong::of(&error)),
        }
    }

    /// The last value of a field that is not null.
    pub(crate) fn get(&self, name: &str) -> Option<&'a str> {
        let named = self.0.iter().rev();
        let mut named = named.filter(|(key, _)| key.eq_ignore_ascii_case(name));
        named
            .find(|(_, value)| value.get() != "null")
            .map(|(_, value)| value.get())
    }

    /// Every field, in the order of the text.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&str, &'a str)> {
        self.0
            .iter()
            .map(|(key, value)| (key.as_str(), value.get()))
    }

    /// A text; empty if it is not there.
    pub(crate) fn text(&self, name: &str) -> Result<String, Wrong> {
        let Some(value) = self.get(name) else {
            return Ok(String::new());
        };
        serde_json::from_str(value).map_err(|_| Wrong(format!("{name}: not a text")))
    }

    /// A whole number that is not negative.
    pub(crate) fn unsigned(&self, name: &str) -> Result<Option<u64>, Wrong> {
        let number = self.get(name).map(serde_json::from_str).transpose();
        number.map_err(|_| Wrong(format!("{name}: not an unsigned whole number")))
    }

    /// An object; without fields if it is not there.
    pub(crate) fn object(&self, name: &str) -> Result<Self, Wrong> {
        let Some(value) = self.get(name) else {
            return Ok(Self::default());
        };
        serde_json::from_str(value).map_err(|_| Wrong(format!("{name}: not an object")))
    }

    /// The pieces of an array; none if it is not there.
    pub(crate) fn array(&self, name: &str) -> Result<Vec<&'a str>, Wrong> {
        let Some(value) = self.get(name) else {
            return Ok(Vec::new());
        };
        pieces(value).map_err(|_| Wrong(format!("{name}: not an array")))
    }

    /// All of it, for somebody who compares.
    pub(crate) fn value(&self, name: &str) -> Result<Value, Wrong> {
        let value = self.get(name).unwrap_or("null");
        serde_json::from_str(value).map_err(|error| Wrong::of(&error))
    }
}

/// The pieces of a document that is an array; none of null.
pub(crate) fn array(text: &str) -> Result<Vec<&str>, Wrong> {
    match document(text)? {
        "null" => Ok(Vec::new()),
        text => pieces(text).map_err(|error| Wrong::of(&error)),
    }
}

fn pieces(text: &str) -> Result<Vec<&str>, serde_json::Error> {
    let raw: Vec<&RawValue> = serde_json::from_str(text)?;
    Ok(raw.into_iter().map(RawValue::get).collect())
}

/// No document at all has a text of its own, which Mender's tests know.
fn document(text: &str) -> Result<&str, Wrong> {
    match text.trim_ascii() {
        "" => Err(Wrong::new("EOF")),
        text => Ok(text),
    }
}

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Object(fields))
            }
        }

        deserializer.deserialize_map(Fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_in_any_case_and_the_last_value_that_is_not_null_counts() {
        let text = r#"{"ID":"a","id":"b","Id":null,"other":[1,{"id":"c"}]}"#;
        assert_eq!(Object::read(text).unwrap().text("id").unwrap(), "b");
    }

    #[test]
    fn what_is_wrong_is_said_without_repeating_it() {
        let wrong = |text| Object::read(text).unwrap_err().0;
        assert_eq!(wrong(" "), "EOF");
        assert_eq!(wrong("{"), "unexpected EOF");
        assert_eq!(wrong("secret"), "invalid JSON");
        assert_eq!(wrong("[1]"), "a value is of the wrong type");
        assert_eq!(wrong("{} {}"), "invalid JSON");
        let object = Object::read(r#"{"id":1}"#).unwrap();
        assert_eq!(object.text("id").unwrap_err().0, "id: not a text");
    }

    #[test]
    fn null_is_nothing() {
        assert!(Object::read("null").unwrap().get("id").is_none());
        assert!(array(" null").unwrap().is_empty());
        assert_eq!(array("[1, {}]").unwrap(), ["1", "{}"]);
        assert!(array("{}").is_err());
    }

    #[test]
    fn a_key_of_the_parser_is_a_key_like_others() {
        let text = r#"{"$serde_json::private::RawValue":"x","id":"a"}"#;
        assert_eq!(Object::read(text).unwrap().text("id").unwrap(), "a");
    }
}
