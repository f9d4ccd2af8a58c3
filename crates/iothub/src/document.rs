//! What the hub keeps, kept whole.
//!
//! Most objects of the API are replaced and not edited: what a caller leaves out is reset. So the
//! types that can be written back hold the object as it came, with fields this crate has never
//! heard of and numbers to the last digit, and change only what their setters change. Some fields
//! hold keys; they are named when the document is made, `Debug` leaves their values out, and they
//! are overwritten when the document is dropped.

use std::fmt;

use serde_json::{Map, Value};
use zeroize::Zeroize;

use crate::error::{Error, Result};

/// A JSON object, some of whose fields are secret.
#[derive(Clone, PartialEq)]
pub(crate) struct Document {
    fields: Map<String, Value>,
    secret: &'static [&'static str],
}

impl Document {
    pub(crate) fn new(fields: Map<String, Value>, secret: &'static [&'static str]) -> Self {
        Self { fields, secret }
    }

    /// Reads an object. `secret` names the fields that hold keys.
    pub(crate) fn parse(body: &[u8], secret: &'static [&'static str]) -> Result<Self> {
        let fields = serde_json::from_slice(body)
            .map_err(|_| Error::malformed("the body is no JSON object"))?;
        Ok(Self { fields, secret })
    }

    /// Reads an array of objects.
    pub(crate) fn parse_all(body: &[u8], secret: &'static [&'static str]) -> Result<Vec<Self>> {
        let all: Vec<Map<String, Value>> = serde_json::from_slice(body)
            .map_err(|_| Error::malformed("the body is no JSON array of objects"))?;
        let whole = |fields| Self { fields, secret };
        Ok(all.into_iter().map(whole).collect())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.fields.get(name)
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.fields.get(name)?.as_str()
    }

    pub(crate) fn fields(&self) -> &Map<String, Value> {
        &self.fields
    }

    pub(crate) fn set(&mut self, name: &str, value: impl Into<Value>) {
        let old = self.fields.insert(name.to_owned(), value.into());
        self.wipe_if_secret(name, old);
    }

    pub(crate) fn remove(&mut self, name: &str) {
        let old = self.fields.remove(name);
        self.wipe_if_secret(name, old);
    }

    fn wipe_if_secret(&self, name: &str, old: Option<Value>) {
        if let Some(mut old) = old.filter(|_| self.secret.contains(&name)) {
            wipe(&mut old);
        }
    }

    /// The object as it goes back.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(&self.fields).expect("maps with text keys are always JSON")
    }
}

/// The connection state of a device or module. `None` if the hub does not say.
pub(crate) fn is_connected(document: &Document) -> Option<bool> {
    match document.text("connectionState")? {
        "Connected" => Some(true),
        "Disconnected" => Some(false),
        _ => None,
    }
}

impl Drop for Document {
    fn drop(&mut self) {
        for name in self.secret {
            if let Some(value) = self.fields.get_mut(*name) {
                wipe(value);
            }
        }
    }
}

fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(fields) => fields.values_mut().for_each(wipe),
        _ => {}
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (name, value) in &self.fields {
            if self.secret.contains(&name.as_str()) {
                map.entry(name, &format_args!("***"));
            } else {
                map.entry(name, value);
            }
        }
        map.finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_secret_is_not_shown() {
        let document = Document::parse(br#"{"a":"open","k":{"x":["hidden"]}}"#, &["k"]).unwrap();
        let shown = format!("{document:?}");
        assert!(
            shown.contains("open") && !shown.contains("hidden"),
            "{shown}"
        );
    }

    #[test]
    fn a_document_goes_back_as_it_came() {
        let text = r#"{"z":1.10,"a":12345678901234567890123,"n":null}"#;
        let document = Document::parse(text.as_bytes(), &[]).unwrap();
        let sent: Value = serde_json::from_slice(&document.to_bytes()).unwrap();
        assert_eq!(sent, serde_json::from_str::<Value>(text).unwrap());
        assert!(sent.to_string().contains("1.10"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_readers_panic(bytes in any::<Vec<u8>>()) {
            let _ = Document::parse(&bytes, &["k"]);
            let _ = Document::parse_all(&bytes, &["k"]);
        }
    }
}
