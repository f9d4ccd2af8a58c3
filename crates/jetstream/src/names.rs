//! The names of everything we have in NATS, made from one prefix.
//!
//! Two installations can share an account if their prefixes differ. Subjects and buckets take the
//! prefix as it is, streams take it in capitals, so it is limited to characters for which that
//! keeps different prefixes different.

use lifecycle::{DeviceId, DeviceRef, EventId, TenantId, encode_token};
use messages::ModuleId;

/// Longest token that becomes part of a consumer's name as it is.
const MAX_TOKEN: usize = 128;

/// Why a name cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The prefix.
    #[error("the prefix must be 1 to 32 characters of a-z, 0-9, '-' and '_', not \"{0}\"")]
    Prefix(String),
    /// The source stream.
    #[error("\"{0}\" is not the name of a stream")]
    Stream(String),
    /// The source filter.
    #[error("\"{0}\" is not a subject filter")]
    Filter(String),
}

/// Names of streams, subjects, consumers and buckets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    prefix: String,
    upper: String,
    source_stream: String,
    source_filter: String,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            prefix: "iothub".to_owned(),
            upper: "IOTHUB".to_owned(),
            source_stream: "WORKFLOWS".to_owned(),
            source_filter: "WORKFLOWS.lifecycle.>".to_owned(),
        }
    }
}

impl Names {
    /// Names with this prefix, and Mender's stream with the subjects to take from it.
    pub fn new(prefix: &str, source_stream: &str, source_filter: &str) -> Result<Self, NameError> {
        let allowed =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        if prefix.is_empty() || prefix.len() > 32 || !prefix.chars().all(allowed) {
            return Err(NameError::Prefix(prefix.to_owned()));
        }
        let special = |c: char| c.is_whitespace() || c.is_control() || "./\\*>".contains(c);
        if source_stream.is_empty() || source_stream.contains(special) {
            return Err(NameError::Stream(source_stream.to_owned()));
        }
        let blank = |c: char| c.is_whitespace() || c.is_control();
        if source_filter.contains(blank) || source_filter.split('.').any(str::is_empty) {
            return Err(NameError::Filter(source_filter.to_owned()));
        }
        Ok(Self {
            prefix: prefix.to_owned(),
            upper: prefix.to_ascii_uppercase(),
            source_stream: source_stream.to_owned(),
            source_filter: source_filter.to_owned(),
        })
    }

    /// The prefix.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Mender's stream (or the operator's own).
    #[must_use]
    pub fn source_stream(&self) -> &str {
        &self.source_stream
    }

    /// What we take from it.
    #[must_use]
    pub fn source_filter(&self) -> &str {
        &self.source_filter
    }

    /// Our durable consumer on the source stream.
    #[must_use]
    pub fn ingest_consumer(&self) -> String {
        format!("{}-ingest", self.prefix)
    }

    /// The stream of per-device events and wake-ups.
    #[must_use]
    pub fn events_stream(&self) -> String {
        format!("{}_EVENTS", self.upper)
    }

    /// The durable consumer on the events.
    #[must_use]
    pub fn worker_consumer(&self) -> String {
        format!("{}-worker", self.prefix)
    }

    /// The stream of dead letters.
    #[must_use]
    pub fn dead_letter_stream(&self) -> String {
        format!("{}_DLQ", self.upper)
    }

    /// The stream of outcomes.
    #[must_use]
    pub fn outcome_stream(&self) -> String {
        format!("{}_OUTCOMES", self.upper)
    }

    /// The stream that keeps the server's advisories about our consumers.
    #[must_use]
    pub fn advisory_stream(&self) -> String {
        format!("{}_ADVISORIES", self.upper)
    }

    /// The durable consumer on the advisories.
    #[must_use]
    pub fn advisory_consumer(&self) -> String {
        format!("{}-advisories", self.prefix)
    }

    /// The bucket of device records.
    #[must_use]
    pub fn device_bucket(&self) -> String {
        format!("{}_devices", self.prefix)
    }

    /// The bucket of integrations.
    #[must_use]
    pub fn integration_bucket(&self) -> String {
        format!("{}_integrations", self.prefix)
    }

    /// The bucket of webhooks.
    #[must_use]
    pub fn webhook_bucket(&self) -> String {
        format!("{}_webhooks", self.prefix)
    }

    /// The durable consumer that remembers what is still to be sent to a tenant's webhook. Names
    /// of consumers are limited to 255 characters, so a long tenant id is in it as a digest.
    #[must_use]
    pub fn webhook_consumer(&self, tenant: &TenantId) -> String {
        let mut token = tenant.to_token();
        if token.len() > MAX_TOKEN {
            let digest = ring::digest::digest(&ring::digest::SHA256, token.as_bytes());
            // What no token is: an escape has capital letters.
            let hex = |text: String, byte: &u8| format!("{text}{byte:02x}");
            token = digest.as_ref().iter().fold("=x".to_owned(), hex);
        }
        format!("{}-webhook-{token}", self.prefix)
    }

    /// The bucket of what the sweep keeps.
    #[must_use]
    pub fn sweep_bucket(&self) -> String {
        format!("{}_sweep", self.prefix)
    }

    /// All events.
    #[must_use]
    pub fn event_filter(&self) -> String {
        format!("{}.event.>", self.prefix)
    }

    /// All schedules.
    #[must_use]
    pub fn retry_filter(&self) -> String {
        format!("{}.retry.>", self.prefix)
    }

    /// Events of one device.
    #[must_use]
    pub fn event_subject(&self, device: &DeviceRef) -> String {
        format!("{}.event.{}", self.prefix, device.to_tokens())
    }

    /// The schedule of one device's wake-up.
    #[must_use]
    pub fn retry_subject(&self, device: &DeviceRef) -> String {
        format!("{}.retry.{}", self.prefix, device.to_tokens())
    }

    /// The schedule of one message that is to come again. Its own subject, since a device's
    /// wake-up must stay as it is. `device` is the tail of the subject it was received on.
    #[must_use]
    pub(crate) fn postponed_subject(&self, device: &str, message: &str) -> String {
        format!("{}.retry.{device}.{}", self.prefix, encode_token(message))
    }

    /// The dead letter of one event; `=` stands for what is not known.
    #[must_use]
    pub fn dead_letter_subject(
        &self,
        tenant: Option<&str>,
        device: Option<&str>,
        id: &EventId,
    ) -> String {
        let [tenant, device] = [tenant, device].map(|part| encode_token(part.unwrap_or_default()));
        let id = encode_token(&id.0);
        format!("{}.dlq.{tenant}.{device}.{id}", self.prefix)
    }

    /// Dead letters of a tenant, of a device, or all.
    #[must_use]
    pub fn dead_letter_filter(&self, tenant: Option<&str>, device: Option<&str>) -> String {
        format!("{}.dlq.{}.*", self.prefix, two_tokens(tenant, device))
    }

    /// Outcomes of one device; `=` stands for what is not known.
    #[must_use]
    pub fn outcome_subject(&self, tenant: Option<&str>, device: Option<&str>) -> String {
        let [tenant, device] = [tenant, device].map(|part| encode_token(part.unwrap_or_default()));
        format!("{}.outcome.{tenant}.{device}", self.prefix)
    }

    /// The audit log of one device's edits; without a device, of what is about a whole tenant.
    #[must_use]
    pub fn audit_subject(&self, tenant: &str, device: Option<&str>) -> String {
        let [tenant, device] = [tenant, device.unwrap_or_default()].map(encode_token);
        format!("{}.audit.{tenant}.{device}", self.prefix)
    }

    /// The whole audit log.
    #[must_use]
    pub fn audit_filter(&self) -> String {
        format!("{}.audit.>", self.prefix)
    }

    /// Outcomes of a tenant, of a device, or all.
    #[must_use]
    pub fn outcome_filter(&self, tenant: Option<&str>, device: Option<&str>) -> String {
        format!("{}.outcome.{}", self.prefix, two_tokens(tenant, device))
    }

    /// Where a twin request is sent: `verb` is the service's, device and module are there if it is
    /// about one. The tenant is always the fourth token.
    #[must_use]
    pub fn twin_subject(
        &self,
        verb: &str,
        tenant: &TenantId,
        device: Option<&DeviceId>,
        module: Option<&ModuleId>,
    ) -> String {
        let mut subject = format!("{}.twin.{verb}.{}", self.prefix, tenant.to_token());
        let ids = [
            device.map(DeviceId::to_token),
            module.map(ModuleId::to_token),
        ];
        for token in ids.into_iter().flatten() {
            subject.push('.');
            subject.push_str(&token);
        }
        subject
    }

    /// Where all workers are asked how they are.
    #[must_use]
    pub fn worker_status_subject(&self) -> String {
        format!("{}.ops.status", self.prefix)
    }

    /// Where a replay of dead letters is asked for.
    #[must_use]
    pub fn replay_subject(&self) -> String {
        format!("{}.ops.dlq.replay", self.prefix)
    }

    /// The tokens of tenant and device in the subject of an event. `None` for a subject that no
    /// event of ours has.
    #[must_use]
    pub fn event_tokens(&self, subject: &str) -> Option<(String, String)> {
        let tail = subject
            .strip_prefix(&self.prefix)?
            .strip_prefix(".event.")?;
        let (tenant, device) = tail.split_once('.')?;
        (!device.contains('.')).then(|| (tenant.to_owned(), device.to_owned()))
    }
}

fn two_tokens(tenant: Option<&str>, device: Option<&str>) -> String {
    let token = |part: Option<&str>| part.map_or_else(|| "*".to_owned(), encode_token);
    format!("{}.{}", token(tenant), token(device))
}

/// Whether some subject matches both filters.
pub(crate) fn overlap(one: &str, other: &str) -> bool {
    let (mut ones, mut others) = (one.split('.'), other.split('.'));
    loop {
        match (ones.next(), others.next()) {
            (None, None) | (Some(">"), Some(_)) | (Some(_), Some(">")) => return true,
            (Some(a), Some(b)) if a == b || a == "*" || b == "*" => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(tenant: &str, device: &str) -> DeviceRef {
        DeviceRef {
            tenant: tenant.parse().unwrap(),
            device: device.parse().unwrap(),
        }
    }

    #[test]
    fn names_follow_the_prefix() {
        let names = Names::new("plant-2", "WORKFLOWS", "WORKFLOWS.lifecycle.>").unwrap();
        assert_eq!(names.events_stream(), "PLANT-2_EVENTS");
        assert_eq!(names.device_bucket(), "plant-2_devices");
        assert_eq!(names.worker_consumer(), "plant-2-worker");
        let about = device("", "a.b");
        assert_eq!(names.event_subject(&about), "plant-2.event.=.a=2Eb");
        assert_eq!(
            names.event_tokens("plant-2.event.=.a=2Eb"),
            Some(("=".to_owned(), "a=2Eb".to_owned()))
        );
        assert_eq!(names.event_tokens("plant-2.event.a.b.c"), None);
        assert_eq!(names.event_tokens("plant-2.retry.a.b"), None);
    }

    #[test]
    fn each_tenants_webhook_has_a_consumer_whose_name_is_not_too_long() {
        let of = |tenant: &str| Names::default().webhook_consumer(&tenant.parse().unwrap());
        assert_eq!(of(""), "iothub-webhook-=");
        assert_eq!(of("t.1"), "iothub-webhook-t=2E1");
        let (long, other) = (of(&"ä".repeat(64)), of(&"ö".repeat(64)));
        assert!(long.len() < 255 && long != other, "{long}");
    }

    #[test]
    fn a_prefix_that_is_not_one_token_is_refused() {
        for bad in ["", "IOT", "a.b", "a b", "a*"] {
            assert!(Names::new(bad, "S", "S.>").is_err(), "{bad:?}");
        }
        assert!(Names::new("a", "S.T", "S.>").is_err());
        assert!(Names::new("a", "S", "S..x").is_err());
    }

    #[test]
    fn filters_overlap_when_one_subject_matches_both() {
        assert!(overlap("W.lifecycle.>", "W.lifecycle.device.status"));
        assert!(overlap("W.*.device", "W.lifecycle.*"));
        assert!(overlap(">", "W.default"));
        assert!(!overlap("W.lifecycle.>", "W.default"));
        assert!(!overlap("W.lifecycle.>", "W.lifecycle"));
        assert!(!overlap("W.a", "W.a.b"));
    }
}
