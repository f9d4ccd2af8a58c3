//! What an event or a span says, as names and values.

use std::error::Error;
use std::fmt::{self, Write as _};

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};

/// The fields of spans that lines show: whom and what a line is about.
pub(super) const CONTEXT: [&str; 4] = ["tenant", "device", "event", "trace_id"];
/// Longest value that is shown, in bytes; the rest is cut.
const LONGEST: usize = 4 * 1024;

/// Fields by name, and the message.
#[derive(Debug, Clone, Default)]
pub(super) struct Fields {
    pub(super) message: String,
    pub(super) values: Map<String, Value>,
}

impl Fields {
    /// Takes over what a span says, unless the event itself says it.
    pub(super) fn inherit(&mut self, span: &Map<String, Value>) {
        for name in CONTEXT {
            if let Some(value) = span.get(name).filter(|_| !self.values.contains_key(name)) {
                self.values.insert(name.to_owned(), value.clone());
            }
        }
    }

    /// A field as text; empty where there is none.
    pub(super) fn text(&self, name: &str) -> &str {
        self.values
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    fn put(&mut self, field: &Field, value: Value) {
        if field.name() == "message" {
            self.message = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
        } else {
            // Names such as `device.tenant` come from `%device.tenant`.
            let name = field.name().rsplit('.').next().unwrap_or_default();
            self.values.insert(name.to_owned(), value);
        }
    }

    fn put_text(&mut self, field: &Field, text: String) {
        self.put(field, Value::String(cut(text)));
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put_text(field, value.to_owned());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.put_text(field, value.to_string());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put_text(field, format!("{value:?}"));
    }
}

fn cut(mut text: String) -> String {
    if text.len() > LONGEST {
        let end = (0..=LONGEST).rev().find(|at| text.is_char_boundary(*at));
        let left_out = text.len() - end.unwrap_or(0);
        text.truncate(end.unwrap_or(0));
        // Writing into a `String` cannot fail.
        let _ = write!(text, "... ({left_out} bytes more)");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_values_are_cut_between_characters() {
        let long = cut("ä".repeat(LONGEST));
        assert!(long.len() < LONGEST + 40, "{}", long.len());
        assert!(
            long.ends_with("ä... (4096 bytes more)"),
            "{}",
            &long[LONGEST - 4..]
        );
        assert_eq!(cut("short".to_owned()), "short");
    }
}
