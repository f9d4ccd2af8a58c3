//! A tenant's integration as it is stored: what may be seen in clear, the credential sealed.

use iothub::Secret;
use lifecycle::{IntegrationRef, TenantId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::seal::{SealError, Sealed, SealingKey};

/// Version of the stored form.
const VERSION: u8 = 1;
/// What a sealed connection string is for.
const PURPOSE: &str = "hub-credential";
/// Namespace of integration ids; a random UUID, fixed for ever.
const NAMESPACE: Uuid = Uuid::from_u128(0x6d65_6e64_6572_4d69_b86f_7468_7562_0001);

/// The stored integration of one tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Integration {
    v: u8,
    /// Follows from the tenant, so that the marks in a hub still prove our ownership after the
    /// loss of everything that we stored.
    pub(crate) id: Uuid,
    pub(crate) tenant: TenantId,
    /// Host of the hub, with a port only where the configuration allows that.
    pub(crate) hub: String,
    /// Name of the shared access policy.
    pub(crate) policy: String,
    /// When the tenant first got an integration, microseconds since the epoch; `None` in what
    /// older versions stored.
    #[serde(default)]
    pub(crate) since_us: Option<i64>,
    /// Counts the changes.
    pub(crate) generation: u64,
    /// Pricing tier of the hub, which decides its allowance.
    pub(crate) tier: Tier,
    /// Units of the hub.
    pub(crate) units: u32,
    credential: Sealed,
}

/// Pricing tiers with different allowances
/// (learn.microsoft.com, "IoT Hub quotas and throttling").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Tier {
    /// Free and Basic 1 too: 100 registry operations a minute and unit.
    S1,
    /// Basic 2 too: as S1.
    S2,
    /// Basic 3 too: 5,000 registry operations a minute and unit.
    S3,
    /// Not paced until the hub throttles.
    Unlimited,
}

impl Tier {
    /// Registry operations a minute, all units together.
    pub(crate) fn allowed_per_minute(self, units: u32) -> Option<u32> {
        match self {
            Self::S1 | Self::S2 => Some(units.saturating_mul(100)),
            Self::S3 => Some(units.saturating_mul(5_000)),
            Self::Unlimited => None,
        }
    }
}

/// Why stored bytes are not an integration that can be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IntegrationError {
    #[error("the stored integration cannot be read by this version")]
    Form,
    #[error("the stored integration belongs to another tenant")]
    Tenant,
    #[error("the stored credential does not open: {0}")]
    Sealed(#[from] SealError),
}

/// What an operator sets.
pub(crate) struct NewIntegration<'a> {
    pub(crate) tenant: &'a TenantId,
    pub(crate) hub: String,
    pub(crate) policy: String,
    pub(crate) tier: Tier,
    pub(crate) units: u32,
    pub(crate) connection_string: &'a Secret,
}

impl Integration {
    /// Seals a new integration, or the next generation of `before`.
    pub(crate) fn seal(
        new: NewIntegration<'_>,
        before: Option<&Self>,
        key: &SealingKey,
    ) -> Result<Self, SealError> {
        Ok(Self {
            v: VERSION,
            id: Uuid::new_v5(&NAMESPACE, new.tenant.as_str().as_bytes()),
            tenant: new.tenant.clone(),
            hub: new.hub,
            policy: new.policy,
            since_us: before.map_or_else(
                || Some(jiff::Timestamp::now().as_microsecond()),
                |before| before.since_us,
            ),
            generation: before.map_or(1, |before| before.generation + 1),
            tier: new.tier,
            units: new.units,
            credential: key.seal(new.tenant.as_str(), PURPOSE, new.connection_string)?,
        })
    }

    /// Reads what was stored for `tenant`.
    pub(crate) fn from_bytes(tenant: &TenantId, bytes: &[u8]) -> Result<Self, IntegrationError> {
        let stored: Self = serde_json::from_slice(bytes).map_err(|_| IntegrationError::Form)?;
        if stored.v != VERSION {
            return Err(IntegrationError::Form);
        }
        if &stored.tenant != tenant {
            return Err(IntegrationError::Tenant);
        }
        Ok(stored)
    }

    /// The form to store.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The connection string of the policy.
    pub(crate) fn open(&self, key: &SealingKey) -> Result<Secret, IntegrationError> {
        Ok(key.open(self.tenant.as_str(), PURPOSE, &self.credential)?)
    }

    /// Name of the key that seals the credential.
    pub(crate) fn key_id(&self) -> &str {
        &self.credential.key_id
    }

    /// How the core speaks of it.
    pub(crate) fn reference(&self) -> IntegrationRef {
        IntegrationRef {
            id: self.id.to_string(),
            hub: self.hub.clone(),
            generation: self.generation,
        }
    }
}
