//! The twin service, and who may ask it.

use serde::{Deserialize, Serialize};

use super::List;

/// The twin service.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Twin {
    pub(crate) enabled: bool,
    pub(crate) authorization: Authorization,
    /// Public keys for tokens, each `KID=FILE`.
    pub(crate) jwt_keys: List,
    /// What a token's `iss` may be.
    pub(crate) jwt_issuers: List,
    /// Take tokens without `exp`.
    pub(crate) jwt_without_expiry: bool,
    /// JSON pointer to the claim with the roles.
    pub(crate) roles_claim: Option<String>,
    /// Roles that may read.
    pub(crate) read_roles: List,
    /// Roles that may read and edit.
    pub(crate) admin_roles: List,
    /// There are no roles: each user of the tenant may do everything.
    pub(crate) every_user_is_admin: bool,
    /// How long an answer of useradm holds. Seconds.
    pub(crate) remember_s: u64,
}

impl Default for Twin {
    fn default() -> Self {
        Self {
            enabled: true,
            authorization: Authorization::Subject,
            jwt_keys: List::default(),
            jwt_issuers: List(vec!["mender.useradm".to_owned()]),
            jwt_without_expiry: false,
            roles_claim: None,
            read_roles: List::default(),
            admin_roles: List::default(),
            every_user_is_admin: false,
            remember_s: 5,
        }
    }
}

/// Who decides about twin requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Authorization {
    /// NATS permissions.
    Subject,
    /// A user's token, verified here.
    Jwt,
    /// Mender's useradm.
    Mender,
}
