//! The twin service, and who may ask it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::List;

/// The twin service, and who may ask it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Twin {
    /// Answer requests on `iothub.twin.>`.
    pub(crate) enabled: bool,
    /// Who decides whether a request is carried out.
    pub(crate) authorization: Authorization,
    /// For `jwt`: useradm's public keys in PEM files, each `KID=FILE` with the token's whole-number
    /// `kid`, such as `0=/etc/mender-iothub/useradm.pem`.
    pub(crate) jwt_keys: List,
    /// For `jwt`: what a token's `iss` may be.
    pub(crate) jwt_issuers: List,
    /// For `jwt`: take tokens without `exp`, such as personal ones that never end. They cannot be
    /// taken back.
    pub(crate) jwt_without_expiry: bool,
    /// For `jwt`: JSON pointer to the claim with the roles. One of this and `every_user_is_admin`.
    #[schemars(example = &"/mender.roles")]
    pub(crate) roles_claim: Option<String>,
    /// For `jwt`: names of roles that may see twins.
    pub(crate) read_roles: List,
    /// For `jwt`: names of roles that may see and edit twins.
    pub(crate) admin_roles: List,
    /// For `jwt`, in place of roles: each user of the tenant may do everything, as in open-source
    /// Mender.
    pub(crate) every_user_is_admin: bool,
    /// For `mender`: how long an answer holds, at most 60.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Authorization {
    /// NATS permissions, see `nats/users.conf`.
    Subject,
    /// A user's token, verified with the keys below.
    Jwt,
    /// Mender's useradm, asked about each request.
    Mender,
}
