//! Configuration: one TOML file, every key also an environment variable, nothing unknown.
//!
//! A wrong configuration must not start, so everything is checked here, once, and an error
//! names the key, where it was set, and the nearest right one.
//!
//! What is written here above a section or a key is what its users read: `config reference` and
//! `config example` print it, and `deploy/configuration.md` and `deploy/mender-iothub.toml` are that.

mod iot_manager;
mod legacy;
mod load;
mod nats;
mod reference;
mod telemetry;
mod text;
mod twin;
mod webhook;

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use iot_manager::{IotManager, Trust};
pub(crate) use load::{ConfigError, load, secret};
pub(crate) use nats::Nats;
pub(crate) use reference::{example, keys_set, reference, schema};
pub(crate) use telemetry::Telemetry;
pub(crate) use text::{List, SecretText};
pub(crate) use twin::{Authorization, Twin};
pub(crate) use webhook::Webhook;

/// The whole configuration.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
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
    pub(crate) webhook: Webhook,
    pub(crate) http: Http,
    pub(crate) iot_manager: IotManager,
    pub(crate) log: Log,
    pub(crate) telemetry: Telemetry,
}

/// Where Mender's events come from.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Source {
    /// Take events from Mender's stream. Off where something else publishes on `iothub.event.>`.
    pub(crate) enabled: bool,
    /// Mender's stream.
    pub(crate) stream: String,
    /// Which of its subjects are events. Must not overlap with the filter of another consumer.
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

/// Where device records and integrations are kept. Everything else stays in NATS.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Store {
    /// The kind of store.
    pub(crate) kind: StoreKind,
    /// MongoDB's connection string; better in a file.
    pub(crate) uri: Option<SecretText>,
    /// File with MongoDB's connection string:
    /// `mongodb://user:password@host1,host2,host3/?replicaSet=rs0&tls=true`.
    #[schemars(example = &"/etc/mender-iothub/mongodb.uri")]
    pub(crate) uri_file: Option<PathBuf>,
    /// The database in MongoDB, for this program alone.
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
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub(crate) enum StoreKind {
    /// Buckets in NATS.
    #[value(name = "jetstream")]
    JetStream,
    /// Collections in MongoDB.
    #[value(name = "mongodb")]
    MongoDb,
}

/// Mender's internal services, as seen from the worker. In Mender's own compose file they are called
/// `http://mender-deviceauth:8080` and `http://mender-deviceconfig:8080`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Mender {
    /// Internal address of deviceauth.
    pub(crate) deviceauth_url: String,
    /// Internal address of deviceconfig.
    pub(crate) deviceconfig_url: String,
    /// Internal address of useradm, for `twin.authorization = "mender"`.
    pub(crate) useradm_url: String,
    /// Internal address of inventory, for the same.
    pub(crate) inventory_url: String,
    /// Time-out of one request to them.
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

/// Requests to the hubs. Which hub a tenant has is not configured here: `integration set` says it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Hub {
    /// Time-out of one request. Azure throttles by answering late: less than 60000 gives up on
    /// requests that still take effect.
    pub(crate) request_timeout_ms: u64,
    /// From here on a request without an answer cannot take effect any more. At least twice the
    /// time-out; 0 stands for twice the time-out and 10000.
    pub(crate) lease_ms: u64,
    /// First pause after a 429 that names no time.
    pub(crate) throttle_wait_ms: u64,
    /// How often a hub is tried that takes no more: no room for a device, or its quota is used up.
    pub(crate) full_wait_ms: u64,
    /// Hosts beyond `*.azure-devices.net`, `.us` and `.cn`, each as `host` or `host:port`.
    pub(crate) allowed_hosts: List,
    /// PEM file with a further authority to trust, for a proxy or an emulator.
    #[schemars(example = &"/etc/mender-iothub/hub-ca.pem")]
    pub(crate) ca_file: Option<PathBuf>,
}

impl Default for Hub {
    fn default() -> Self {
        Self {
            request_timeout_ms: 60_000,
            lease_ms: 0,
            throttle_wait_ms: 10_000,
            full_wait_ms: 900_000,
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

/// Microsoft Entra ID, where it is not the usual one. Hubs with a shared access policy do not need it.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Entra {
    /// Who issues the tokens of applications, instead of the authority of the hub's cloud:
    /// `https://host[:port]`. Only a test issuer is elsewhere.
    #[schemars(example = &"https://localhost:8443")]
    pub(crate) authority_url: Option<String>,
    /// Who issues the tokens of managed identities, instead of the machine's metadata service or
    /// App Service.
    #[schemars(example = &"https://localhost:8443/metadata/identity/oauth2/token")]
    pub(crate) managed_identity_url: Option<String>,
    /// The worker's own token for workload identity; else `AZURE_FEDERATED_TOKEN_FILE` names it, as
    /// in AKS.
    #[schemars(example = &"/var/run/secrets/azure/tokens/azure-identity-token")]
    pub(crate) federated_token_file: Option<PathBuf>,
}

/// The worker itself.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Worker {
    /// Messages in work at once. One device is always worked on by one message at a time.
    pub(crate) in_flight: usize,
    /// A message delivered more often than this is dead-lettered without being looked at.
    pub(crate) max_deliveries: u32,
    /// What the work in flight gets to end when the worker is told to stop.
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
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Retry {
    /// Wait after the first transient failure. It doubles from failure to failure, up to the cap.
    pub(crate) first_ms: u64,
    /// Longest wait between two attempts.
    pub(crate) cap_ms: u64,
    /// An event that has failed for this long is dead-lettered: 604800 is a week.
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

/// The regular comparison of Mender, records and hubs, which repairs what events missed. One replica
/// at a time makes it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Sweep {
    /// Compare from time to time; `sweep` does it at any time.
    pub(crate) enabled: bool,
    /// Time between two passes.
    pub(crate) every_s: u64,
    /// What changed within this time is left alone, and a device that Mender does not have must be
    /// missing for so long.
    pub(crate) grace_s: u64,
    /// The largest share of a tenant's devices that one pass may disable or delete, from 0 to 1; 20
    /// devices always may. Beyond it nothing is disabled or deleted: look with `sweep --dry-run`, then
    /// `sweep --force`.
    pub(crate) max_change_share: f64,
    /// Take in accepted devices without a record even if Mender had them before the integration was
    /// set.
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

/// The key that seals the hubs' credentials: 32 random bytes, as base64 or hex. One of the three must
/// be set. Each may hold several keys, one a line: the first seals, the others only open (see `secrets
/// rotate --help`).
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Secrets {
    /// The sealing key; better in a file.
    pub(crate) key: Option<SecretText>,
    /// File with the sealing key.
    #[schemars(example = &"/etc/mender-iothub/sealing.key")]
    pub(crate) key_file: Option<PathBuf>,
    /// A program and its arguments, run without a shell, that prints the key within 30 s: the client
    /// of a key management service.
    pub(crate) key_command: List,
}

/// The worker's own HTTP port: `/healthz`, `/readyz`, `/metrics`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Http {
    /// Address to listen at; port 0 picks one. It knows no password.
    pub(crate) listen: String,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:9464".to_owned(),
        }
    }
}

/// What is logged, to standard error.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Log {
    /// A level, or a filter such as `info,reconciler=debug`. The NATS client stays at `info`, since it
    /// would show passwords and tokens.
    pub(crate) level: String,
    /// Form of the lines.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One object a line.
    Json,
}
