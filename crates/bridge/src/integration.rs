//! A tenant's integration as it is stored: what may be seen in clear, the credential sealed.
//!
//! What stands in clear is sealed in, too: whoever can write to the store could otherwise lead a
//! credential to a hub of their own, which passes every allow-list.

mod login;

use iothub::Secret;
use lifecycle::{IntegrationRef, TenantId};
use ring::rand::SystemRandom;
use sealing::{KeyId, Keyring, Scope, SealError, Sealed};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub(crate) use login::Login;

/// Version of the stored form.
const VERSION: u8 = 2;
/// What a sealed credential is for.
const PURPOSE: &str = "hub-credential";
/// Namespace of integration ids; a random UUID, fixed for ever.
const NAMESPACE: Uuid = Uuid::from_u128(0x6d65_6e64_6572_4d69_b86f_7468_7562_0001);

/// The stored integration of one tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Integration {
    v: u8,
    pub(crate) tenant: TenantId,
    pub(crate) clear: Clear,
    credential: Sealed,
}

/// What may be seen of an integration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Clear {
    /// Host of the hub, with a port only where the configuration allows that.
    pub(crate) hub: String,
    /// How the credential is used.
    pub(crate) login: Login,
    /// When the tenant first got an integration, microseconds since the epoch.
    pub(crate) since_us: i64,
    /// Counts the changes.
    pub(crate) generation: u64,
    /// Pricing tier of the hub, which decides its allowance.
    pub(crate) tier: Tier,
    /// Units of the hub.
    pub(crate) units: u32,
    /// What its owner wrote about it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) description: String,
}

/// Pricing tiers with different allowances
/// (learn.microsoft.com, "IoT Hub quotas and throttling").
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum, schemars::JsonSchema,
)]
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
    pub(crate) login: Login,
    pub(crate) tier: Tier,
    pub(crate) units: u32,
    pub(crate) description: String,
    pub(crate) credential: &'a Secret,
}

impl Integration {
    /// Seals a new integration, or the next generation of `before`.
    pub(crate) fn seal(
        new: NewIntegration<'_>,
        before: Option<&Self>,
        keys: &Keyring,
    ) -> Result<Self, SealError> {
        let clear = Clear {
            hub: new.hub,
            login: new.login,
            since_us: before.map_or_else(
                || jiff::Timestamp::now().as_microsecond(),
                |before| before.clear.since_us,
            ),
            generation: before.map_or(1, |before| before.clear.generation + 1),
            tier: new.tier,
            units: new.units,
            description: new.description,
        };
        Self::seal_beside(new.tenant, clear, new.credential, keys)
    }

    /// The same integration, of the same generation, under the key that seals now.
    pub(crate) fn sealed_anew(&self, keys: &Keyring) -> Result<Self, IntegrationError> {
        let credential = self.open(keys)?;
        let clear = self.clear.clone();
        Ok(Self::seal_beside(&self.tenant, clear, &credential, keys)?)
    }

    fn seal_beside(
        tenant: &TenantId,
        clear: Clear,
        credential: &Secret,
        keys: &Keyring,
    ) -> Result<Self, SealError> {
        let beside = clear.to_bytes();
        let text = credential.expose().as_bytes();
        let credential = keys.seal(scope(tenant, &beside), text, &SystemRandom::new())?;
        Ok(Self {
            v: VERSION,
            tenant: tenant.clone(),
            clear,
            credential,
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

    /// The secret of the credential. Only this proves what stands in clear.
    pub(crate) fn open(&self, keys: &Keyring) -> Result<Secret, IntegrationError> {
        let beside = self.clear.to_bytes();
        let open = keys.open(scope(&self.tenant, &beside), &self.credential)?;
        let text = std::str::from_utf8(&open).map_err(|_| SealError::Damaged)?;
        Ok(Secret::from(text))
    }

    /// See [`id_of`].
    pub(crate) fn id(&self) -> Uuid {
        id_of(&self.tenant)
    }

    /// Name of the key that seals the credential.
    pub(crate) fn key_id(&self) -> &KeyId {
        self.credential.key_id()
    }

    /// How the core speaks of it.
    pub(crate) fn reference(&self) -> IntegrationRef {
        IntegrationRef {
            id: self.id().to_string(),
            hub: self.clear.hub.clone(),
            generation: self.clear.generation,
        }
    }
}

/// The id that a tenant's integration has.
pub(crate) fn id_of(tenant: &TenantId) -> Uuid {
    Uuid::new_v5(&NAMESPACE, tenant.as_str().as_bytes())
}

impl Clear {
    /// What is sealed in.
    fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

fn scope<'a>(tenant: &'a TenantId, beside: &'a [u8]) -> Scope<'a> {
    Scope {
        tenant: tenant.as_str(),
        purpose: PURPOSE,
        beside,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(fill: u8) -> Keyring {
        format!("{fill:02x}").repeat(32).parse().unwrap()
    }

    fn tenant(text: &str) -> TenantId {
        text.parse().unwrap()
    }

    fn stored(of: &str, before: Option<&Integration>) -> Integration {
        let new = NewIntegration {
            tenant: &tenant(of),
            hub: "h.azure-devices.net".to_owned(),
            login: Login::SharedAccess {
                policy: "worker".to_owned(),
            },
            tier: Tier::S1,
            units: 1,
            description: String::new(),
            credential: &"c2VzYW1l".into(),
        };
        Integration::seal(new, before, &keys(1)).unwrap()
    }

    fn open(of: &str, bytes: &[u8]) -> Result<String, IntegrationError> {
        let secret = Integration::from_bytes(&tenant(of), bytes)?.open(&keys(1))?;
        Ok(secret.expose().to_owned())
    }

    #[test]
    fn what_is_stored_opens_and_counts_its_changes() {
        let first = stored("t1", None);
        assert_eq!(open("t1", &first.to_bytes()).unwrap(), "c2VzYW1l");
        let second = stored("t1", Some(&first));
        assert_eq!((first.clear.generation, second.clear.generation), (1, 2));
        assert_eq!(first.clear.since_us, second.clear.since_us);
        assert_eq!(first.id(), second.id());
    }

    #[test]
    fn no_byte_of_it_can_be_changed_not_even_where_it_is_clear() {
        let bytes = stored("t1", None).to_bytes();
        for place in 0..bytes.len() {
            for flip in 1..=255 {
                let mut changed = bytes.clone();
                changed[place] ^= flip;
                let opened = open("t1", &changed);
                assert!(opened.is_err(), "{:?}", String::from_utf8_lossy(&changed));
            }
        }
    }

    #[test]
    fn records_cannot_be_swapped_between_tenants() {
        let theirs = String::from_utf8(stored("t2", None).to_bytes()).unwrap();
        assert!(matches!(
            open("t1", theirs.as_bytes()),
            Err(IntegrationError::Tenant)
        ));
        let renamed = theirs.replace(r#""t2""#, r#""t1""#);
        assert!(matches!(
            open("t1", renamed.as_bytes()),
            Err(IntegrationError::Sealed(SealError::Damaged))
        ));
    }

    #[test]
    fn the_credential_cannot_be_led_to_another_hub() {
        let mut led = stored("t1", None);
        led.clear.hub = "evil.azure-devices.net".to_owned();
        assert!(open("t1", &led.to_bytes()).is_err());
    }

    #[test]
    fn sealing_anew_changes_the_key_and_nothing_else() {
        let old = stored("t1", None);
        let both: Keyring = format!("{} {}", "02".repeat(32), "01".repeat(32))
            .parse()
            .unwrap();
        let new = old.sealed_anew(&both).unwrap();
        assert_eq!(new.key_id(), keys(2).current());
        assert_eq!((&new.clear, &new.tenant), (&old.clear, &old.tenant));
        assert_eq!(new.open(&keys(2)).unwrap().expose(), "c2VzYW1l");
    }
}
