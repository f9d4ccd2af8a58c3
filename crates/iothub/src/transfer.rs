//! Import and export jobs: the whole registry to a blob container, and back.
//!
//! The containers are named by URLs that hold a token for them, so those URLs are secrets here. The
//! hub runs one such job at a time. It calls a job completed also when single lines of an import
//! failed; those are in the file `importErrors.log` of the output container.

use std::time::SystemTime;

use serde_json::{Map, Value};

use crate::document::Document;
use crate::error::{Error, Result};
use crate::job::JobStatus;
use crate::secret::Secret;
use crate::time;

const INPUT: &str = "inputBlobContainerUri";
const OUTPUT: &str = "outputBlobContainerUri";
const SECRET: &[&str] = &[INPUT, OUTPUT];

/// An import or export job to start.
///
/// ```
/// use iothub::{NewTransfer, Secret};
///
/// let container = Secret::from("https://store.blob.core.windows.net/export?sig=...");
/// let export = NewTransfer::export(&container).without_keys();
/// assert!(!format!("{export:?}").contains("sig="));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct NewTransfer(Document);

impl NewTransfer {
    /// Writes all devices and modules to `devices.txt` in a container, one JSON object a line, with
    /// their keys. The URL's token needs the permission to delete, too.
    #[must_use]
    pub fn export(container: &Secret) -> Self {
        let mut document = Self::of("export");
        document.set(OUTPUT, container.expose());
        document.set("excludeKeysInExport", false);
        Self(document)
    }

    /// Carries out the lines of `devices.txt` in a container, and writes errors to another one (or
    /// the same).
    #[must_use]
    pub fn import(input: &Secret, output: &Secret) -> Self {
        let mut document = Self::of("import");
        document.set(INPUT, input.expose());
        document.set(OUTPUT, output.expose());
        Self(document)
    }

    fn of(kind: &str) -> Document {
        let mut document = Document::new(Map::new(), SECRET);
        document.set("type", kind);
        document
    }

    /// The same export without keys. Its file begins with a line of plain text that says so.
    #[must_use]
    pub fn without_keys(self) -> Self {
        self.with("excludeKeysInExport", true)
    }

    /// The same job with configurations, in a file of this name (`configurations.txt` if none).
    #[must_use]
    pub fn with_configurations(self, blob: Option<&str>) -> Self {
        let this = self.with("includeConfigurations", true);
        match blob {
            Some(name) => this.with("configurationsBlobName", name),
            None => this,
        }
    }

    /// The same job with another file than `devices.txt` to read.
    #[must_use]
    pub fn input_blob(self, name: &str) -> Self {
        self.with("inputBlobName", name)
    }

    /// The same job with another file than `devices.txt` to write.
    #[must_use]
    pub fn output_blob(self, name: &str) -> Self {
        self.with("outputBlobName", name)
    }

    /// The same job, with the hub's own managed identity instead of tokens in the URLs, or with a
    /// user-assigned one (its resource id).
    #[must_use]
    pub fn as_identity(self, user_assigned: Option<&str>) -> Self {
        let this = self.with("storageAuthenticationType", "identityBased");
        match user_assigned {
            Some(id) => this.with("identity", serde_json::json!({"userAssignedIdentity": id})),
            None => this,
        }
    }

    fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.set(name, value);
        self
    }

    pub(crate) fn to_body(&self) -> Vec<u8> {
        self.0.to_bytes()
    }
}

/// An import or export job as the hub sent it. `Debug` leaves the containers' URLs out.
///
/// ```
/// use iothub::{JobStatus, Transfer};
///
/// let job = Transfer::from_json(br#"{"jobId":"j1","type":"export","status":"enqueued","progress":0}"#)?;
/// assert_eq!((job.id(), job.status()), ("j1", JobStatus::Enqueued));
/// # Ok::<(), iothub::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Transfer(Document);

impl Transfer {
    /// Reads a job. Without a `jobId` it is [`crate::Kind::Malformed`].
    pub fn from_json(body: &[u8]) -> Result<Self> {
        Self::from_document(Document::parse(body, SECRET)?)
    }

    pub(crate) fn list_from_json(body: &[u8]) -> Result<Vec<Self>> {
        let all = Document::parse_all(body, SECRET)?;
        all.into_iter().map(Self::from_document).collect()
    }

    fn from_document(document: Document) -> Result<Self> {
        match document.text("jobId") {
            Some(_) => Ok(Self(document)),
            None => Err(Error::malformed("the body names no job")),
        }
    }

    /// The job's id, made by the hub.
    #[must_use]
    pub fn id(&self) -> &str {
        self.0.text("jobId").unwrap_or_default()
    }

    /// How far it is.
    #[must_use]
    pub fn status(&self) -> JobStatus {
        JobStatus::of(&self.0)
    }

    /// `import` or `export`.
    #[must_use]
    pub fn transfer_type(&self) -> Option<&str> {
        self.0.text("type")
    }

    /// How far it is, in per cent.
    #[must_use]
    pub fn progress(&self) -> Option<u64> {
        self.0.get("progress")?.as_u64()
    }

    /// When it began.
    #[must_use]
    pub fn start_time(&self) -> Option<SystemTime> {
        time::parse(self.0.text("startTimeUtc")?)
    }

    /// When it ended.
    #[must_use]
    pub fn end_time(&self) -> Option<SystemTime> {
        time::parse(self.0.text("endTimeUtc")?)
    }

    /// Why it failed, in the hub's words.
    #[must_use]
    pub fn failure_reason(&self) -> Option<&str> {
        self.0.text("failureReason")
    }

    /// Any other field, as the hub sent it.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn url(name: &str) -> Secret {
        Secret::from(format!("https://s.example.org/{name}?sig=sesame"))
    }

    fn body(job: &NewTransfer) -> Value {
        serde_json::from_slice(&job.to_body()).unwrap()
    }

    #[test]
    fn an_export_names_where_to_write() {
        let export = NewTransfer::export(&url("out"));
        assert_eq!(
            body(&export),
            json!({"type": "export", "excludeKeysInExport": false,
                "outputBlobContainerUri": "https://s.example.org/out?sig=sesame"})
        );
        let fuller = export
            .without_keys()
            .with_configurations(Some("c.txt"))
            .output_blob("d.txt")
            .as_identity(Some("/subscriptions/x"));
        let fuller = body(&fuller);
        assert_eq!(fuller["excludeKeysInExport"], true);
        assert_eq!(fuller["configurationsBlobName"], "c.txt");
        assert_eq!(fuller["storageAuthenticationType"], "identityBased");
        assert_eq!(
            fuller["identity"]["userAssignedIdentity"],
            "/subscriptions/x"
        );
    }

    #[test]
    fn an_import_names_both_containers_and_shows_neither() {
        let import = NewTransfer::import(&url("in"), &url("out")).input_blob("d.txt");
        assert_eq!(
            body(&import),
            json!({"type": "import", "inputBlobName": "d.txt",
                "inputBlobContainerUri": "https://s.example.org/in?sig=sesame",
                "outputBlobContainerUri": "https://s.example.org/out?sig=sesame"})
        );
        assert!(!format!("{import:?}").contains("sesame"));
        let mut sent = body(&import);
        sent["jobId"] = "j".into();
        let report = Transfer::from_json(sent.to_string().as_bytes()).unwrap();
        assert!(!format!("{report:?}").contains("sesame"));
    }

    #[test]
    fn a_report_can_be_asked_for_all_it_says() {
        let report = Transfer::from_json(
            br#"{"jobId":"j","startTimeUtc":"2026-01-01T12:00:00Z","endTimeUtc":"2026-01-01T12:00:02",
            "type":"export","status":"failed","progress":100,"failureReason":"r"}"#,
        )
        .unwrap();
        assert_eq!(report.transfer_type(), Some("export"));
        assert_eq!(
            (report.progress(), report.failure_reason()),
            (Some(100), Some("r"))
        );
        assert!(report.start_time() < report.end_time());
        assert!(Transfer::from_json(b"{}").is_err());
    }
}
