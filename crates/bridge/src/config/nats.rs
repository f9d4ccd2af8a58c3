//! The NATS servers.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SecretText;

/// The NATS servers, and how to log in: at most one way. Prefer files, since a password in the
/// configuration is readable by whoever reads that.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Nats {
    /// One or more servers, separated by commas: `nats://host:port` or `tls://host:port`. They must
    /// be those that hold Mender's stream.
    pub(crate) url: String,
    /// File with NATS credentials (JWT and seed).
    #[schemars(example = &"/etc/mender-iothub/nats.creds")]
    pub(crate) credentials_file: Option<PathBuf>,
    /// User name, together with a password.
    #[schemars(example = &"worker")]
    pub(crate) user: Option<String>,
    /// Password; better in a file.
    pub(crate) password: Option<SecretText>,
    /// File with the password.
    #[schemars(example = &"/etc/mender-iothub/nats.password")]
    pub(crate) password_file: Option<PathBuf>,
    /// Token; better in a file.
    pub(crate) token: Option<SecretText>,
    /// File with the token.
    #[schemars(example = &"/etc/mender-iothub/nats.token")]
    pub(crate) token_file: Option<PathBuf>,
    /// File with an nkey seed.
    #[schemars(example = &"/etc/mender-iothub/nats.nk")]
    pub(crate) nkey_file: Option<PathBuf>,
    /// PEM file with the authority of the servers' certificates, besides those of the system.
    #[schemars(example = &"/etc/mender-iothub/nats-ca.pem")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Prefix of the subjects on which replies come back, where permissions ask for one.
    #[schemars(example = &"_INBOX_worker")]
    pub(crate) inbox_prefix: Option<String>,
    /// Prefix of our subjects (as it is), streams (in capitals) and buckets: `a-z`, `0-9`, `-`, `_`,
    /// at most 32. Changing it starts from nothing.
    pub(crate) prefix: String,
    /// Copies that `setup` makes of each stream and bucket: 1, or 3 or 5 in a cluster of as many
    /// servers.
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
