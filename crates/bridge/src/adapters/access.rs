//! Who may read and edit twins, as configured.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ::mender::{Inventory, Judged, Useradm};
use jetstream::NatsStreams;
use twin::token::{Key, Keys, Trust};
use twin::{
    Access, Asked, AuditMessage, ByMender, BySubject, ByToken, Caller, Denied, DeviceId,
    NotRecorded, Question, Rbac, RoleClaim, Roles, TenantId, Unknown, Verdict,
};

use super::mender::options;
use crate::config::{Authorization, Config, ConfigError, Twin};

/// The longest time that an answer of Mender may be remembered, in seconds: for so long a role
/// that was taken away still counts.
const LONGEST_MEMORY: u64 = 60;

/// The configured way to decide.
pub(crate) enum TwinAccess {
    Subject(BySubject),
    Token(Box<ByToken>),
    Mender(Box<ByMender<MenderRbac>>),
}

impl TwinAccess {
    /// What the audit log calls it.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Subject(_) => "subject",
            Self::Token(_) => "jwt",
            Self::Mender(_) => "mender",
        }
    }

    pub(crate) fn from_config(config: &Config) -> Result<Self, ConfigError> {
        let twin = &config.twin;
        Ok(match twin.authorization {
            Authorization::Subject => Self::Subject(BySubject),
            Authorization::Jwt => Self::Token(Box::new(ByToken::new(trust(twin)?, roles(twin)?))),
            Authorization::Mender => {
                if twin.remember_s > LONGEST_MEMORY {
                    return wrong(format!(
                        "`twin.remember_s` must be from 0 to {LONGEST_MEMORY}"
                    ));
                }
                let rbac = MenderRbac::from_config(config)?;
                let remember = Duration::from_secs(twin.remember_s);
                Self::Mender(Box::new(ByMender::new(rbac, remember)))
            }
        })
    }
}

/// The same, with the audit log in NATS.
pub(crate) struct Recorded {
    access: Arc<TwinAccess>,
    streams: NatsStreams,
}

impl Recorded {
    pub(crate) fn new(access: Arc<TwinAccess>, streams: NatsStreams) -> Self {
        Self { access, streams }
    }
}

impl Access for Recorded {
    async fn check(&self, asked: Asked<'_>) -> Result<Caller, Denied> {
        self.access.check(asked).await
    }

    async fn record(&self, record: &AuditMessage) -> Result<(), NotRecorded> {
        let stored = self.streams.audit(record).await;
        stored.map_err(|error| {
            tracing::error!(%error, "the audit log cannot be written: {error}");
            NotRecorded
        })
    }
}

impl Access for TwinAccess {
    async fn check(&self, asked: Asked<'_>) -> Result<Caller, Denied> {
        match self {
            Self::Subject(access) => access.check(asked).await,
            Self::Token(access) => access.check(asked).await,
            Self::Mender(access) => access.check(asked).await,
        }
    }
}

fn wrong<T>(problem: impl Into<String>) -> Result<T, ConfigError> {
    Err(ConfigError(problem.into()))
}

fn trust(twin: &Twin) -> Result<Trust, ConfigError> {
    let mut keys = Keys::default();
    for entry in &twin.jwt_keys.0 {
        let (id, key) = key(entry)
            .map_err(|problem| ConfigError(format!("`twin.jwt_keys`: \"{entry}\": {problem}")))?;
        keys.add(id, key)
            .map_err(|problem| ConfigError(format!("`twin.jwt_keys`: {problem}")))?;
    }
    if keys.is_empty() {
        return wrong(
            "`twin.jwt_keys` is empty, but `twin.authorization` is \"jwt\": name the public key of \
             Mender's useradm as \"KID=FILE\"",
        );
    }
    if twin.jwt_issuers.0.is_empty() {
        return wrong("`twin.jwt_issuers` is empty: no token would be taken");
    }
    Ok(Trust {
        keys,
        issuers: twin.jwt_issuers.0.clone(),
        without_expiry: twin.jwt_without_expiry,
    })
}

/// `KID=FILE`.
fn key(entry: &str) -> Result<(i64, Key), String> {
    let (id, path) = entry
        .split_once('=')
        .ok_or("must be KID=FILE, such as 0=/etc/mender-iothub/useradm.pem")?;
    let id = id
        .trim()
        .parse()
        .map_err(|_| "the KID before `=` must be a whole number")?;
    let pem = std::fs::read(Path::new(path.trim())).map_err(|error| error.to_string())?;
    let key = Key::from_pem(&pem).map_err(|error| error.to_string())?;
    Ok((id, key))
}

fn roles(twin: &Twin) -> Result<Roles, ConfigError> {
    match (&twin.roles_claim, twin.every_user_is_admin) {
        (None, true) => Ok(Roles::Everything),
        (Some(_), true) => wrong(
            "`twin.roles_claim` and `twin.every_user_is_admin` contradict each other; keep one",
        ),
        (None, false) => wrong(
            "`twin.authorization` is \"jwt\", but where roles come from is not said: set \
             `twin.roles_claim`, or `twin.every_user_is_admin` for open-source Mender, which has no \
             roles",
        ),
        (Some(pointer), false) if !pointer.starts_with('/') => wrong(format!(
            "`twin.roles_claim` must be a JSON pointer such as \"/mender.roles\", not \"{pointer}\""
        )),
        (Some(_), false) if twin.read_roles.0.is_empty() && twin.admin_roles.0.is_empty() => wrong(
            "`twin.read_roles` and `twin.admin_roles` are empty: nobody would be allowed anything",
        ),
        (Some(pointer), false) => Ok(Roles::Claim(RoleClaim {
            pointer: pointer.clone(),
            read: twin.read_roles.0.iter().cloned().collect(),
            admin: twin.admin_roles.0.iter().cloned().collect(),
        })),
    }
}

/// Mender's useradm and inventory.
pub(crate) struct MenderRbac {
    useradm: Useradm,
    inventory: Inventory,
}

impl MenderRbac {
    fn from_config(config: &Config) -> Result<Self, ConfigError> {
        let mender = &config.mender;
        let bad = |key, error: &dyn std::fmt::Display| ConfigError(format!("`{key}`: {error}"));
        Ok(Self {
            useradm: Useradm::new(&mender.useradm_url, options(mender))
                .map_err(|error| bad("mender.useradm_url", &error))?,
            inventory: Inventory::new(&mender.inventory_url, options(mender))
                .map_err(|error| bad("mender.inventory_url", &error))?,
        })
    }
}

impl Rbac for MenderRbac {
    async fn ask(&self, token: &str, question: &Question) -> Result<Verdict, Unknown> {
        let judged = self
            .useradm
            .verify(token, question.method, &question.uri)
            .await;
        Ok(match judged.map_err(|error| doubt(&error))? {
            Judged::Allowed => Verdict::Allowed,
            Judged::Within(groups) => Verdict::Within(groups),
            Judged::Unauthenticated => Verdict::Unauthenticated,
            Judged::Forbidden => Verdict::Forbidden,
        })
    }

    async fn groups_of(
        &self,
        tenant: &TenantId,
        device: &DeviceId,
    ) -> Result<Vec<String>, Unknown> {
        let groups = self
            .inventory
            .groups(tenant.as_str(), device.as_str())
            .await;
        groups.map_err(|error| doubt(&error))
    }
}

fn doubt(error: &::mender::Error) -> Unknown {
    tracing::warn!(%error, "a twin request is refused, since Mender was not to be asked: {error}");
    Unknown
}
