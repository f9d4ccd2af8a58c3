//! Configuration: one TOML file, every key also an environment variable, nothing unknown.
//!
//! A wrong configuration must not start, so everything is checked here, once, and an error
//! names the key, where it was set, and the nearest right one.

mod load;
mod text;
mod twin;

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub(crate) use load::{ConfigError, load, secret};
pub(crate) use text::{List, SecretText};
pub(crate) use twin::{Authorization, Twin};

/// The whole configuration.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Config {
    pub(crate) nats: Nats,
    pub(crate) source: Source,
    pub(crate) store: Store,
    pub(crate) mender: Mender,
    pub(crate) hub: Hub,
    pub(crate) entra: Entra,
    pub(crate) worker: Worker,
    pub(crate) retry: Retry,
    pub(crate) sweep: Sweep,
    pub(crate) secrets: Secrets,
    pub(crate) twin: Twin,
    pub(crate) http: Http,
    pub(crate) log: Log,
}

/// The NATS servers and how to log in.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Nats {
    /// One or more `nats://` or `tls://` URLs, separated by commas.
    pub(crate) url: String,
    /// File with a NATS credentials (JWT and seed).
    pub(crate) credentials_file: Option<PathBuf>,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<SecretText>,
    pub(crate) password_file: Option<PathBuf>,
    pub(crate) token: Option<SecretText>,
    pub(crate) token_file: Option<PathBuf>,
    /// File with an nkey seed.
    pub(crate) nkey_file: Option<PathBuf>,
    /// PEM file with the authority of the servers' certificates.
    pub(crate) ca_file: Option<PathBuf>,
    /// Prefix of the inboxes, where permissions ask for one.
    pub(crate) inbox_prefix: Option<String>,
    /// Prefix of our subjects, streams and buckets.
    pub(crate) prefix: String,
    /// Copies of each stream and bucket that `setup` makes: 1, 3 or 5.
    pub(crate) replicas: usize,
}

impl Default for Nats {
    fn default() -> Self {
        Self {
            url: "nats://127.0.0.1:4222".to_owned(),
            credentials_file: None,
            user: None,
            password: None,
            password_file: None,
            token: None,
            token_file: None,
            nkey_file: None,
            ca_file: None,
            inbox_prefix: None,
            prefix: "iothub".to_owned(),
            replicas: 1,
        }
    }
}

/// Where Mender's events come from.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Source {
    /// Take events from Mender's stream. Off where something else publishes `iothub.event.>`.
    pub(crate) enabled: bool,
    pub(crate) stream: String,
    pub(crate) filter: String,
}

impl Default for Source {
    fn default() -> Self {
        Self {
            enabled: true,
            stream: "WORKFLOWS".to_owned(),
            filter: "WORKFLOWS.lifecycle.>".to_owned(),
        }
    }
}

/// Where device records are kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Store {
    pub(crate) kind: StoreKind,
    /// MongoDB's connection string.
    pub(crate) uri: Option<SecretText>,
    pub(crate) uri_file: Option<PathBuf>,
    /// MongoDB's database.
    pub(crate) database: String,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            kind: StoreKind::JetStream,
            uri: None,
            uri_file: None,
            database: "mender_iothub".to_owned(),
        }
    }
}

/// The stores there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum StoreKind {
    /// A key-value bucket in NATS.
    #[value(name = "jetstream")]
    JetStream,
    /// A collection in MongoDB.
    #[value(name = "mongodb")]
    MongoDb,
}

/// Mender's internal services.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Mender {
    pub(crate) deviceauth_url: String,
    pub(crate) deviceconfig_url: String,
    pub(crate) useradm_url: String,
    pub(crate) inventory_url: String,
    /// Time-out of one request, in milliseconds.
    pub(crate) request_timeout_ms: u64,
}

impl Default for Mender {
    fn default() -> Self {
        Self {
            deviceauth_url: "http://mender-device-auth:8080".to_owned(),
            deviceconfig_url: "http://mender-deviceconfig:8080".to_owned(),
            useradm_url: "http://mender-useradm:8080".to_owned(),
            inventory_url: "http://mender-inventory:8080".to_owned(),
            request_timeout_ms: 10_000,
        }
    }
}

/// Requests to the hubs.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Hub {
    /// Time-out of one request, in milliseconds. Azure throttles by answering late: 60 s or more
    /// for a real hub.
    pub(crate) request_timeout_ms: u64,
    /// After this many milliseconds a request cannot take effect any more. At least twice the
    /// time-out; 0 takes twice the time-out and ten seconds.
    pub(crate) lease_ms: u64,
    /// Pause after a 429 that names no time, in milliseconds. Azure's text says ten seconds.
    pub(crate) throttle_wait_ms: u64,
    /// Hosts beyond Azure's own, as `host` or `host:port`.
    pub(crate) allowed_hosts: List,
    /// PEM file with a further authority to trust, for an emulator or a proxy.
    pub(crate) ca_file: Option<PathBuf>,
}

impl Default for Hub {
    fn default() -> Self {
        Self {
            request_timeout_ms: 60_000,
            lease_ms: 0,
            throttle_wait_ms: 10_000,
            allowed_hosts: List::default(),
            ca_file: None,
        }
    }
}

impl Hub {
    pub(crate) fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    pub(crate) fn lease(&self) -> Duration {
        match self.lease_ms {
            0 => self.request_timeout() * 2 + Duration::from_secs(10),
            ms => Duration::from_millis(ms),
        }
    }
}

/// Microsoft Entra ID, where it is not the usual one.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Entra {
    /// Who issues the tokens of applications, instead of the authority of the hub's cloud.
    pub(crate) authority_url: Option<String>,
    /// Who issues the tokens of managed identities, instead of the machine's metadata service.
    pub(crate) managed_identity_url: Option<String>,
    /// The worker's own token for workload identity; `AZURE_FEDERATED_TOKEN_FILE` otherwise.
    pub(crate) federated_token_file: Option<PathBuf>,
}

/// The worker itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Worker {
    /// Messages in work at once.
    pub(crate) in_flight: usize,
    /// A message delivered more often than this is dead-lettered without being handled.
    pub(crate) max_deliveries: u32,
    /// Milliseconds that work in flight gets to end when the worker is told to stop.
    pub(crate) stop_within_ms: u64,
}

impl Default for Worker {
    fn default() -> Self {
        Self {
            in_flight: 128,
            max_deliveries: 5,
            stop_within_ms: 8_000,
        }
    }
}

/// Times between attempts.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Retry {
    /// Wait after the first transient failure; it doubles from there. Milliseconds.
    pub(crate) first_ms: u64,
    /// Longest wait between two attempts. Milliseconds.
    pub(crate) cap_ms: u64,
    /// An event that failed for this long is dead-lettered. Seconds.
    pub(crate) max_age_s: u64,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            first_ms: 1_000,
            cap_ms: 300_000,
            max_age_s: 7 * 24 * 3600,
        }
    }
}

/// The regular comparison of Mender, records and hubs.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Sweep {
    pub(crate) enabled: bool,
    /// Time between two passes. Seconds.
    pub(crate) every_s: u64,
    /// What changed within this time is left alone, and what Mender does not have must be missing
    /// for this long. Seconds.
    pub(crate) grace_s: u64,
    /// Largest share of a tenant's devices that one pass may disable or delete; 20 always may.
    pub(crate) max_change_share: f64,
    /// Take in accepted devices without a record that may be older than the integration.
    pub(crate) adopt_unrecorded: bool,
}

impl Default for Sweep {
    fn default() -> Self {
        Self {
            enabled: true,
            every_s: 3_600,
            grace_s: 300,
            max_change_share: 0.1,
            adopt_unrecorded: false,
        }
    }
}

impl Sweep {
    /// The share in thousandths.
    pub(crate) fn max_change_permille(&self) -> u32 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and 1000"
        )]
        let permille = (self.max_change_share.clamp(0.0, 1.0) * 1000.0).round() as u32;
        permille
    }
}

/// The keys that seal the hubs' credentials, one a line: the first seals, the others only open.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Secrets {
    /// Each 32 bytes, as base64 or hex.
    pub(crate) key: Option<SecretText>,
    pub(crate) key_file: Option<PathBuf>,
    /// A program and its arguments; it prints the keys.
    pub(crate) key_command: List,
}

/// The worker's own HTTP port: `/healthz`, `/readyz`, `/metrics`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Http {
    pub(crate) listen: String,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:9464".to_owned(),
        }
    }
}

/// What is logged.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Log {
    /// A `tracing` filter, for instance `info` or `info,reconciler=debug`.
    pub(crate) level: String,
    pub(crate) format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: "info".to_owned(),
            format: LogFormat::Text,
        }
    }
}

/// Form of the log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    Text,
    Json,
}
