//! Jobs that do not exist yet, and their ids.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
use crate::method::{Method, whole_seconds};
use crate::request::object;
use crate::time;

/// Longest id of a job, in characters.
const MAX_ID: usize = 64;

/// The id of a job: 1 to 64 lower-case letters, digits, `-` and `'`.
///
/// ```
/// assert!("reboot-2026-01".parse::<iothub::JobId>().is_ok());
/// assert!("Reboot".parse::<iothub::JobId>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct JobId(String);

/// The text is no id of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a job's id has 1 to 64 lower-case letters, digits, `-` and `'`")]
pub struct InvalidJobId;

impl JobId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for JobId {
    type Err = InvalidJobId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-'".contains(&b);
        if (1..=MAX_ID).contains(&text.len()) && text.bytes().all(fits) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidJobId)
        }
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A job to schedule.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use iothub::NewJob;
///
/// let edit = serde_json::json!({"properties": {"desired": {"interval": 5}}});
/// let job = NewJob::update_twins("interval-5".parse()?, "tags.site = 'north'", &edit)?
///     .start_at(SystemTime::now() + Duration::from_secs(3600))?
///     .max_execution(Duration::from_secs(300));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct NewJob {
    id: JobId,
    fields: Map<String, Value>,
}

impl NewJob {
    /// Merges `{"tags": .., "properties": {"desired": ..}}` into the twins of the devices for which
    /// `condition` holds: what follows `WHERE` in a query, or `*` for all. Null removes a key. The
    /// hub looks at the condition only when the job starts.
    pub fn update_twins(id: JobId, condition: &str, edit: &Value) -> Result<Self> {
        let mut edit = object(edit)?.clone();
        // A job is never conditional on a version; the hub insists on hearing so.
        edit["etag"] = "*".into();
        Ok(Self::of(
            id,
            "scheduleUpdateTwin",
            condition,
            "updateTwin",
            edit,
        ))
    }

    /// Calls a method of the devices for which `condition` holds.
    pub fn call_methods(id: JobId, condition: &str, method: &Method) -> Result<Self> {
        let call = method.to_json()?;
        Ok(Self::of(
            id,
            "scheduleDeviceMethod",
            condition,
            "cloudToDeviceMethod",
            call,
        ))
    }

    fn of(id: JobId, kind: &str, condition: &str, name: &str, what: Value) -> Self {
        let mut fields = Map::new();
        fields.insert("jobId".into(), id.as_str().into());
        fields.insert("type".into(), kind.into());
        fields.insert("queryCondition".into(), condition.into());
        fields.insert(name.into(), what);
        Self { id, fields }
    }

    /// The same job, not before this time: at most 168 hours from now. Without it, at once.
    pub fn start_at(mut self, time: SystemTime) -> Result<Self> {
        let text = time::format(time).ok_or_else(|| Error::invalid("the time is out of range"))?;
        self.fields.insert("startTime".into(), text.into());
        Ok(self)
    }

    /// The same job, given up after this time, which is rounded up to seconds.
    #[must_use]
    pub fn max_execution(mut self, limit: Duration) -> Self {
        let seconds = json!(whole_seconds(limit));
        self.fields
            .insert("maxExecutionTimeInSeconds".into(), seconds);
        self
    }

    /// The job's id.
    #[must_use]
    pub fn id(&self) -> &JobId {
        &self.id
    }

    pub(crate) fn to_json(&self) -> Value {
        Value::Object(self.fields.clone())
    }
}
