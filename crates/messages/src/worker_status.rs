//! What a running worker tells of itself: the reply to `<prefix>.ops.status`.
//!
//! Every worker answers, so whoever asks gathers replies for a while. What only a worker knows is
//! here: how fast it asks each hub, whose credentials are refused, and what it is waiting for.

use serde::{Deserialize, Serialize};

use crate::{Malformed, json};

/// The most hubs, and the most suspended integrations, that one reply names.
pub const MAX_TOLD: usize = 500;
/// The longest reason in a reply, in characters.
const MAX_REASON: usize = 300;

/// One worker (`schemas/worker-status.schema.json`). Fields that are not known are ignored, since
/// workers of two versions may run side by side.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WorkerStatus {
    /// The worker: its host and process, which together are nobody else's.
    pub worker: String,
    /// Its version.
    pub version: String,
    /// Seconds since it was started.
    pub up_s: u64,
    /// Devices in work at this moment.
    pub in_work: u64,
    /// What it waits for; it is ready if there is nothing.
    pub waiting: Vec<WaitingFor>,
    /// The hubs that it has asked for anything: those that slowed it first, at most [`MAX_TOLD`].
    pub hubs: Vec<HubStatus>,
    /// What is not asked of hubs because they refuse it, at most [`MAX_TOLD`].
    pub suspended: Vec<SuspendedStatus>,
    /// Hubs and suspended integrations that had no room here.
    pub left_out: u64,
}

/// Something that a worker waits for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WaitingFor {
    /// What.
    #[serde(rename = "for")]
    pub need: String,
    /// Why it is not there.
    pub because: String,
}

/// How fast a worker asks a hub.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HubStatus {
    /// The hub's host.
    pub hub: String,
    /// Registry operations a minute that its tier allows; null if that is not known.
    pub allowed_per_minute: Option<u32>,
    /// What the worker asks at most at present; null if nothing limits it.
    pub present_per_minute: Option<u32>,
    /// Milliseconds for which it sends nothing.
    pub paused_for_ms: u64,
    /// How often the hub has throttled it since its start.
    pub throttled: u64,
    /// Seconds since the last time.
    pub last_throttled_s: Option<u64>,
}

/// An integration that a worker leaves alone, or some of whose requests it holds back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SuspendedStatus {
    /// Its id, which follows from the tenant.
    pub integration: String,
    /// The hub's host.
    pub hub: String,
    /// `credentials`, or `full`: no room, a quota that is used up, a tier that cannot do it.
    pub cause: String,
    /// What waits: `all`, `creates`, `changes` or `twins`.
    pub requests: String,
    /// What the hub said.
    pub reason: String,
    /// Seconds since it first did.
    pub since_s: u64,
    /// Seconds until the hub is tried again.
    pub probe_in_s: u64,
}

impl WorkerStatus {
    /// Leaves out what would not fit, and writes it.
    #[must_use]
    pub fn to_body(mut self) -> Vec<u8> {
        let slow = |hub: &HubStatus| {
            (
                hub.paused_for_ms > 0,
                hub.present_per_minute != hub.allowed_per_minute,
                hub.throttled,
            )
        };
        self.hubs
            .sort_by(|a, b| slow(b).cmp(&slow(a)).then_with(|| a.hub.cmp(&b.hub)));
        let all = self.hubs.len() + self.suspended.len();
        self.hubs.truncate(MAX_TOLD);
        self.suspended.truncate(MAX_TOLD);
        self.left_out = (all - self.hubs.len() - self.suspended.len()) as u64;
        for reason in self
            .suspended
            .iter_mut()
            .map(|entry| &mut entry.reason)
            .chain(self.waiting.iter_mut().map(|entry| &mut entry.because))
        {
            if let Some((end, _)) = reason.char_indices().nth(MAX_REASON) {
                reason.truncate(end);
            }
        }
        json::written(&self)
    }

    /// Reads one.
    pub fn parse(body: &[u8]) -> Result<Self, Malformed> {
        let text = json::checked(body)?;
        let status: Self =
            serde_json::from_str(text).map_err(|_| Malformed::because("not a worker's status"))?;
        // A derived type would take an array for an object, and lets every field be missing.
        if !text.trim_start().starts_with('{') || status.worker.is_empty() {
            return Err(Malformed::because("not a worker's status"));
        }
        Ok(status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub(n: u32, throttled: u64) -> HubStatus {
        HubStatus {
            hub: format!("h{n:04}"),
            throttled,
            ..HubStatus::default()
        }
    }

    #[test]
    fn a_reply_is_bounded_and_keeps_the_hubs_that_are_slow() {
        let mut hubs: Vec<_> = (0..2_000).map(|n| hub(n, 0)).collect();
        hubs.push(hub(9_999, 3));
        let suspended = SuspendedStatus {
            integration: "i".to_owned(),
            reason: "ä".repeat(100_000),
            ..SuspendedStatus::default()
        };
        let status = WorkerStatus {
            worker: "w".to_owned(),
            hubs,
            suspended: vec![suspended; 600],
            ..WorkerStatus::default()
        };
        let body = status.to_body();
        // Well below what NATS carries.
        assert!(body.len() < 512 * 1024, "{}", body.len());
        let read = WorkerStatus::parse(&body).unwrap();
        assert_eq!(read.hubs[0].hub, "h9999");
        assert_eq!((read.hubs.len(), read.suspended.len()), (500, 500));
        assert_eq!(read.left_out, 1_601);
        assert_eq!(read.suspended[0].reason.chars().count(), MAX_REASON);
    }

    #[test]
    fn a_newer_worker_may_say_more_and_an_older_one_less() {
        let read = WorkerStatus::parse(br#"{"worker":"w","mood":"good"}"#).unwrap();
        assert_eq!(read.worker, "w");
        for wrong in ["", "[]", "{}", r#"{"worker":7}"#, r#"["w"]"#] {
            assert!(WorkerStatus::parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
