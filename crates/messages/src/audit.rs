//! Who edited which twin: `<prefix>.audit.<tenant>.<device>`.
//!
//! An edit is recorded before it is done, as [`AuditOutcome::Begun`], and again when it has ended. Both
//! have the same `request_id`. One that was begun and has no end was cut off: it may have taken
//! effect. Paths of what is edited are recorded, values never.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Malformed, json};

/// The most paths that one record names.
const MAX_PATHS: usize = 64;
/// The longest path that is recorded whole, in characters.
const MAX_PATH: usize = 256;

/// One record (`schemas/audit.schema.json`). Every field is always written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditMessage {
    /// Tells this kind of message from others.
    pub kind: AuditKind,
    /// The same for the beginning and the end of one request.
    pub request_id: String,
    /// The verb: `set`, `patch`, `method`, `job-create`, `job-cancel`.
    pub verb: String,
    /// The tenant of the subject.
    pub tenant_id: String,
    /// The device of the subject; null for what is about many.
    pub device_id: Option<String>,
    /// The module of the subject.
    pub module_id: Option<String>,
    /// Who asked.
    pub caller: AuditCaller,
    /// What is edited.
    pub edit: AuditEdit,
    /// How it went.
    pub outcome: AuditOutcome,
    /// The error code of the reply, if it is one.
    pub code: Option<u16>,
    /// The twin's ETag after the edit.
    pub etag: Option<String>,
}

/// The one kind there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AuditKind {
    /// An edit of a twin, or what comes close to one.
    #[serde(rename = "twin-audit")]
    TwinAudit,
}

/// Who asked, as far as it was proved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditCaller {
    /// By what the caller was known: `subject` (NATS let it on the subject), `jwt`, `mender`,
    /// or `gateway` (by HTTP through Mender's).
    pub by: String,
    /// The user, as the token names it.
    pub subject: Option<String>,
    /// The tenant of the token.
    pub tenant_id: Option<String>,
    /// The token's id.
    pub token_id: Option<String>,
}

/// What is edited, without its values.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEdit {
    /// JSON pointers to what is set or removed, such as `/desired/interval`: at most 64, each of at
    /// most 256 characters.
    pub paths: Vec<String>,
    /// How many there are.
    pub paths_total: u64,
    /// The method that is called, or the job.
    pub name: Option<String>,
    /// The ETag that the edit depends on.
    pub if_etag: Option<String>,
}

/// How an edit went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuditOutcome {
    /// It was allowed, and is about to be done.
    Begun,
    /// It was done.
    Applied,
    /// It was not allowed, or wrong in itself: nothing was done.
    Refused,
    /// It was tried, and nothing was done.
    Failed,
    /// It was tried, and may have taken effect.
    Unknown,
}

impl AuditEdit {
    /// Adds what is in a section of an edit: `name` is that of the section.
    pub fn add(&mut self, name: &str, section: &Value) {
        self.walk(&format!("/{}", escaped(name)), section);
    }

    fn walk(&mut self, path: &str, value: &Value) {
        match value {
            Value::Object(fields) if !fields.is_empty() => {
                for (key, value) in fields {
                    // Beyond this nobody sees how long it really is.
                    if path.len() <= 4 * MAX_PATH {
                        self.walk(&format!("{path}/{}", escaped(key)), value);
                    } else {
                        self.walk(path, value);
                    }
                }
            }
            _ => {
                self.paths_total += 1;
                if self.paths.len() < MAX_PATHS {
                    self.paths.push(path.chars().take(MAX_PATH).collect());
                }
            }
        }
    }
}

/// A key as a part of a JSON pointer (RFC 6901).
fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

impl AuditMessage {
    /// Writes it.
    #[must_use]
    pub fn to_body(&self) -> Vec<u8> {
        json::written(self)
    }

    /// Reads one.
    pub fn parse(body: &[u8]) -> Result<Self, Malformed> {
        let text = json::checked(body)?;
        // A derived type would take an array for an object.
        if !text.trim_start().starts_with('{') {
            return Err(Malformed::because("not a JSON object"));
        }
        serde_json::from_str(text).map_err(|_| Malformed::because("not a record of the audit log"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_are_recorded_and_values_are_not() {
        let mut edit = AuditEdit::default();
        let desired =
            json!({"a": {"b/c": "hunter2", "~": null}, "list": [1, {"x": 2}], "empty": {}});
        edit.add("desired", &desired);
        edit.add("tags", &json!({"site": "hunter2"}));
        assert_eq!(
            edit.paths,
            [
                "/desired/a/b~1c",
                "/desired/a/~0",
                "/desired/empty",
                "/desired/list",
                "/tags/site"
            ]
        );
        assert_eq!(edit.paths_total, 5);
        assert!(!serde_json::to_string(&edit).unwrap().contains("hunter2"));
    }

    #[test]
    fn a_record_is_bounded_whatever_is_edited() {
        let mut edit = AuditEdit::default();
        let many: serde_json::Map<_, _> = (0..5_000).map(|n| (n.to_string(), json!(n))).collect();
        edit.add("desired", &Value::Object(many));
        edit.add("desired", &json!({ "k".repeat(10_000): 1 }));
        let deep = (0..100).fold(json!(1), |inner, _| json!({ "k".repeat(300): inner }));
        edit.add("desired", &deep);
        assert_eq!((edit.paths.len(), edit.paths_total), (MAX_PATHS, 5_002));
        let mut alone = AuditEdit::default();
        alone.add("desired", &deep);
        assert_eq!(alone.paths[0].chars().count(), MAX_PATH);
    }
}
