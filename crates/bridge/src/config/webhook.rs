//! What is sent to tenants' webhooks.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::List;

/// Outcomes are kept for seven days; what is as old as that can be gone before it is tried.
const LONGEST_S: u64 = 6 * 24 * 3_600;
/// A message is held for a quarter of an hour at most.
const LONGEST_MS: u64 = 600_000;

/// What is sent to the webhooks that `webhook set` names, one for each tenant.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Webhook {
    /// Send outcomes to the webhooks that are set.
    pub(crate) enabled: bool,
    /// Time-out of one request to a receiver.
    pub(crate) request_timeout_ms: u64,
    /// An outcome that its receiver has not taken for this long is given up: 259200 is three days. At
    /// most six.
    pub(crate) max_age_s: u64,
    /// Receivers beyond those with HTTPS and a public address, each as `host` or `host:port`, or as
    /// `http://host:port` for plain HTTP.
    pub(crate) allowed_hosts: List,
    /// PEM file with a further authority to trust.
    #[schemars(example = &"/etc/mender-iothub/webhook-ca.pem")]
    pub(crate) ca_file: Option<PathBuf>,
}

impl Default for Webhook {
    fn default() -> Self {
        Self {
            enabled: true,
            request_timeout_ms: 20_000,
            max_age_s: 3 * 24 * 3_600,
            allowed_hosts: List::default(),
            ca_file: None,
        }
    }
}

impl Webhook {
    pub(crate) fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    /// What cannot work is told at the start.
    pub(super) fn check(&self) -> Result<(), String> {
        if !(1..=LONGEST_MS).contains(&self.request_timeout_ms) {
            return Err(format!(
                "`webhook.request_timeout_ms` must be from 1 to {LONGEST_MS}"
            ));
        }
        if !(1..=LONGEST_S).contains(&self.max_age_s) {
            return Err(format!(
                "`webhook.max_age_s` must be from 1 to {LONGEST_S}: outcomes are kept for seven days"
            ));
        }
        Ok(())
    }
}
