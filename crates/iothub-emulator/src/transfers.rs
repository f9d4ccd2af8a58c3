//! Import and export jobs: one at a time, between the registry and a container of blobs.
//!
//! This is their state and their rules; `porter` does the carrying.

pub(crate) mod lines;
pub(crate) mod porter;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::blobs::{Access, Blobs, Container};
use crate::dates::Ticks;
use crate::errors::ServiceError;

/// The blob of devices if the caller names none.
const DEVICES: &str = "devices.txt";
/// The blob of configurations if the caller names none.
const CONFIGURATIONS: &str = "configurations.txt";

/// Which way it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Direction {
    Export,
    Import,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Progress {
    Enqueued,
    Running,
    Completed,
    Failed,
    Cancelled,
}

/// How the hub proves to the storage who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum StorageAuthentication {
    /// By a signature in the container's URI.
    #[serde(alias = "KeyBased")]
    KeyBased,
    /// As itself. The Node SDK writes it with a capital.
    #[serde(alias = "IdentityBased")]
    IdentityBased,
}

/// The body that asks for a job; also what is kept of it. Its URIs may hold signatures.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wish {
    #[serde(rename = "type")]
    direction: Direction,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_blob_container_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_blob_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_blob_container_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_blob_name: Option<String>,
    #[serde(default, deserialize_with = "or_false")]
    exclude_keys_in_export: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    storage_authentication_type: Option<StorageAuthentication>,
    /// The user-assigned identity; which one makes no difference here.
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<Map<String, Value>>,
    #[serde(default, deserialize_with = "or_false")]
    include_configurations: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    configurations_blob_name: Option<String>,
}

fn or_false<'de, D: serde::Deserializer<'de>>(input: D) -> Result<bool, D::Error> {
    Option::deserialize(input).map(Option::unwrap_or_default)
}

/// One job.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Transfer {
    job_id: String,
    start_time_utc: Ticks,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_time_utc: Option<Ticks>,
    status: Progress,
    progress: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_reason: Option<String>,
    #[serde(flatten)]
    wish: Wish,
    use_secondary_storage_as_source: bool,
}

/// What the porter has to do.
#[derive(Debug, Clone)]
pub(crate) struct Errand {
    pub(crate) job: String,
    pub(crate) direction: Direction,
    /// The blob that is read by an import.
    pub(crate) input: Option<std::path::PathBuf>,
    pub(crate) output: Container,
    /// The blob that is written by an export.
    pub(crate) devices: std::path::PathBuf,
    pub(crate) configurations: Option<std::path::PathBuf>,
    pub(crate) without_keys: bool,
}

/// All jobs, in order of their creation.
#[derive(Default)]
pub(crate) struct Transfers {
    by_id: BTreeMap<String, Transfer>,
}

impl Transfers {
    /// Checks the body of a request and adds the job, with what is to be done for it.
    pub(crate) fn add(
        &mut self,
        id: String,
        body: &[u8],
        blobs: &Blobs,
        now: Ticks,
    ) -> Result<(String, Errand), ServiceError> {
        let wish: Wish = serde_json::from_slice(body).map_err(|error| {
            let place = format!("line {} column {}", error.line(), error.column());
            ServiceError::invalid(format!("The request body is not a valid job: {place}."))
        })?;
        let errand = wish.errand(&id, blobs)?;
        if self.by_id.values().any(Transfer::is_active) {
            return Err(ServiceError::job_quota_exceeded());
        }
        let transfer = Transfer {
            job_id: id.clone(),
            start_time_utc: now,
            end_time_utc: None,
            status: Progress::Enqueued,
            progress: 0,
            failure_reason: None,
            wish,
            use_secondary_storage_as_source: false,
        };
        let shown = transfer.text();
        self.by_id.insert(id, transfer);
        Ok((shown, errand))
    }

    /// All jobs, as JSON.
    pub(crate) fn list(&self) -> String {
        let items: Vec<String> = self.by_id.values().map(Transfer::later_text).collect();
        format!("[{}]", items.join(","))
    }

    /// One job, as JSON.
    pub(crate) fn show(&self, id: &str) -> Result<String, ServiceError> {
        let found = self.by_id.get(id).map(Transfer::later_text);
        found.ok_or_else(|| ServiceError::job_not_found(id))
    }

    /// Ends a job before its time; one that is over stays as it is.
    pub(crate) fn cancel(&mut self, id: &str, now: Ticks) -> Result<bool, ServiceError> {
        self.show(id)?;
        Ok(self.finish(id, Progress::Cancelled, None, now))
    }

    /// Notes that a job has begun; false if it is over already.
    pub(crate) fn begin(&mut self, id: &str) -> bool {
        self.with_active(id, |it| it.status = Progress::Running)
    }

    /// Whether a job is still wanted.
    pub(crate) fn goes_on(&self, id: &str) -> bool {
        self.by_id.get(id).is_some_and(Transfer::is_active)
    }

    /// Ends a job; false if it is over already.
    pub(crate) fn finish(
        &mut self,
        id: &str,
        status: Progress,
        failure: Option<String>,
        now: Ticks,
    ) -> bool {
        self.with_active(id, |it| {
            it.status = status;
            it.end_time_utc = Some(now);
            it.failure_reason = failure;
            if status == Progress::Completed {
                it.progress = 100;
            }
        })
    }

    fn with_active(&mut self, id: &str, work: impl FnOnce(&mut Transfer)) -> bool {
        let active = self.by_id.get_mut(id).filter(|it| it.is_active());
        active.map(work).is_some()
    }
}

impl Transfer {
    const fn is_active(&self) -> bool {
        matches!(self.status, Progress::Enqueued | Progress::Running)
    }

    fn text(&self) -> String {
        serde_json::to_string(self).expect("text keys and plain values always serialize")
    }

    /// As all answers but the first show it: the container it reads from is left out.
    fn later_text(&self) -> String {
        let mut later = self.clone();
        later.wish.input_blob_container_uri = None;
        later.text()
    }
}

impl Wish {
    fn errand(&self, id: &str, blobs: &Blobs) -> Result<Errand, ServiceError> {
        let identity =
            self.storage_authentication_type == Some(StorageAuthentication::IdentityBased);
        let open = |uri: &Option<String>, access| {
            let uri = uri.as_deref().ok_or_else(ServiceError::bad_container)?;
            blobs.open(uri, access, identity)
        };
        let output = open(&self.output_blob_container_uri, Access::Write)?;
        let blob = |container: &Container, name: &Option<String>, usual: &str| {
            let name = name.as_deref().filter(|it| !it.is_empty()).unwrap_or(usual);
            container.file(name).ok_or_else(ServiceError::bad_container)
        };
        let input = match self.direction {
            Direction::Export => None,
            Direction::Import => Some(open(&self.input_blob_container_uri, Access::Read)?),
        };
        let configurations = input.as_ref().unwrap_or(&output);
        let configurations = blob(
            configurations,
            &self.configurations_blob_name,
            CONFIGURATIONS,
        )?;
        let input = input
            .map(|it| blob(&it, &self.input_blob_name, DEVICES))
            .transpose()?;
        Ok(Errand {
            job: id.to_owned(),
            direction: self.direction,
            input,
            devices: blob(&output, &self.output_blob_name, DEVICES)?,
            output,
            configurations: self.include_configurations.then_some(configurations),
            without_keys: self.exclude_keys_in_export,
        })
    }
}

#[cfg(test)]
mod tests;
