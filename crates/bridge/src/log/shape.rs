//! The two forms of a line. Neither lets a control character of the input through: a line break would
//! forge a line, an escape sequence would command the terminal of whoever reads it.

use std::fmt::Write as _;

use serde_json::{Map, Value};
use tracing::{Level, Metadata};

use super::fields::Fields;

/// Form of the lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Text,
    /// Text whose level is coloured.
    Coloured,
    Json,
}

impl Shape {
    /// One line, with its line break. `left_out` lines like it were not told.
    pub(super) fn line(
        self,
        time: &str,
        metadata: &Metadata<'_>,
        fields: &Fields,
        left_out: u64,
    ) -> String {
        match self {
            Self::Json => json(time, metadata, fields, left_out),
            Self::Text | Self::Coloured => {
                let level = format!("{:>5}", metadata.level().as_str());
                let level = match self {
                    Self::Coloured => coloured(*metadata.level(), &level),
                    _ => level,
                };
                text(time, &level, metadata.target(), fields, left_out)
            }
        }
    }
}

fn json(time: &str, metadata: &Metadata<'_>, fields: &Fields, left_out: u64) -> String {
    let mut line = Map::new();
    let mut put = |name: &str, value: Value| {
        line.insert(name.to_owned(), value);
    };
    put("timestamp", time.into());
    put("level", metadata.level().as_str().into());
    put("target", metadata.target().into());
    put("message", fields.message.as_str().into());
    for (name, value) in &fields.values {
        put(name, value.clone());
    }
    if left_out > 0 {
        put("left_out", left_out.into());
    }
    // serde_json escapes what JSON demands; the rest can only be inside of strings.
    let mut escaped = String::new();
    for c in Value::Object(line).to_string().chars() {
        if is_unprintable(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        } else {
            escaped.push(c);
        }
    }
    escaped.push('\n');
    escaped
}

fn text(time: &str, level: &str, target: &str, fields: &Fields, left_out: u64) -> String {
    let mut line = format!("{time} {level} {target}: ");
    escape(&mut line, &fields.message);
    for (name, value) in &fields.values {
        let _ = write!(line, " {name}=");
        match value {
            Value::String(text) if needs_quotes(text) => {
                line.push('"');
                escape(&mut line, &text.replace('\\', "\\\\").replace('"', "\\\""));
                line.push('"');
            }
            Value::String(text) => escape(&mut line, text),
            other => escape(&mut line, &other.to_string()),
        }
    }
    if left_out > 0 {
        let _ = write!(line, " left_out={left_out}");
    }
    line.push('\n');
    line
}

fn needs_quotes(text: &str) -> bool {
    text.is_empty() || text.contains([' ', '"', '=', '\\']) || text.contains(is_unprintable)
}

fn escape(line: &mut String, text: &str) {
    for c in text.chars() {
        if is_unprintable(c) {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
}

/// Control characters, and those that change the direction of what is read (CVE-2021-42574) or break lines.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

fn coloured(level: Level, text: &str) -> String {
    let colour = match level {
        Level::ERROR => 31,
        Level::WARN => 33,
        Level::INFO => 32,
        Level::DEBUG => 34,
        Level::TRACE => 35,
    };
    format!("\u{1b}[{colour}m{text}\u{1b}[0m")
}
