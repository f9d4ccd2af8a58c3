//! Twins for people: one property a line, values aligned, colours on a terminal only.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use messages::twin::{MethodReply, TwinDocument};
use serde_json::Value;

use crate::print::{self, Paint};

/// A twin.
pub(super) fn twin(twin: &TwinDocument) -> String {
    let paint = Paint::of_stdout();
    let mut text = print::facts([
        ("etag", print::harmless(&twin.etag)),
        ("version", twin.version.to_string()),
    ]);
    for (name, section) in sections(twin) {
        let _ = writeln!(text, "{}", paint.title(name));
        text.push_str(&properties(section, paint));
    }
    text
}

/// The answer of a device.
pub(super) fn method(reply: &MethodReply) -> String {
    let paint = Paint::of_stdout();
    let payload = serde_json::to_string_pretty(&reply.payload).unwrap_or_default();
    format!(
        "{} {}\n{}\n{}",
        paint.title("status"),
        reply.status,
        paint.title("payload"),
        print::harmless(payload)
    )
}

pub(super) fn sections(twin: &TwinDocument) -> [(&'static str, &Value); 3] {
    [
        ("desired", &twin.desired),
        ("reported", &twin.reported),
        ("tags", &twin.tags),
    ]
}

fn properties(section: &Value, paint: Paint) -> String {
    let leaves = leaves(section);
    if leaves.is_empty() {
        return "  (none)\n".to_owned();
    }
    let width = leaves.keys().map(|path| path.chars().count()).max();
    let width = width.unwrap_or(0);
    leaves
        .iter()
        .fold(String::new(), |mut text, (path, value)| {
            let padding = " ".repeat(width - path.chars().count());
            let (path, value) = (paint.name(path), paint.value(value));
            let _ = writeln!(text, "  {path}{padding}  {value}");
            text
        })
}

/// The scalars, arrays and empty objects of a section, each with its path, fit for a terminal.
pub(super) fn leaves(section: &Value) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    collect(section, "", &mut found);
    found
}

fn collect(value: &Value, path: &str, found: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (key, value) in fields {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                collect(value, &path, found);
            }
        }
        Value::Object(_) | Value::Null if path.is_empty() => {}
        other => {
            found.insert(one_line(path), one_line(&other.to_string()));
        }
    }
}

fn one_line(text: &str) -> String {
    print::harmless(text).replace('\n', "\\n")
}

/// What differs between two sections, one line for each property.
pub(super) fn changes(name: &str, before: &Value, after: &Value, paint: Paint) -> Vec<String> {
    let (before, after) = (leaves(before), leaves(after));
    let gone = before.iter().filter(|(path, _)| !after.contains_key(*path));
    let gone = gone.map(|(path, old)| format!("{} {name}.{path}  {old}", paint.gone("-")));
    let there = after
        .iter()
        .filter_map(|(path, new)| match before.get(path) {
            None => Some(format!("{} {name}.{path}  {new}", paint.added("+"))),
            Some(old) if old != new => {
                Some(format!("{} {name}.{path}  {old} -> {new}", paint.name("~")))
            }
            Some(_) => None,
        });
    gone.chain(there).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn properties_stand_one_a_line_with_their_values_aligned() {
        let section = json!({"a": {"deep": [1, 2]}, "long_name": "x\u{1b}[31m", "e": {}});
        let text = properties(&section, Paint::PLAIN);
        assert_eq!(
            text,
            "  a.deep     [1,2]\n  e          {}\n  long_name  \"x\\u001b[31m\"\n"
        );
        assert_eq!(properties(&json!({}), Paint::PLAIN), "  (none)\n");
    }

    #[test]
    fn changes_are_told_by_property() {
        let before = json!({"a": 1, "b": {"c": 2}, "d": 3});
        let after = json!({"a": 1, "b": {"c": 4}, "e": 5});
        assert_eq!(
            changes("desired", &before, &after, Paint::PLAIN),
            ["- desired.d  3", "~ desired.b.c  2 -> 4", "+ desired.e  5"]
        );
    }
}
