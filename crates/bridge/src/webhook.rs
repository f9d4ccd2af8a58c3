//! A tenant's webhook as it is stored, in NATS whatever keeps the device records: where it leads to
//! in clear as far as people need to see it, the whole URL and the secrets sealed.
//!
//! A URL is a secret with many receivers, since whoever knows it may call it.

use ::webhook::{Endpoint, Secret};
use lifecycle::{TenantId, Timestamp};
use ring::rand::SystemRandom;
use sealing::{KeyId, Keyring, Scope, SealError, Sealed};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Version of the stored form.
const VERSION: u8 = 1;
/// What the sealed part is for.
const PURPOSE: &str = "webhook";

/// The stored webhook of one tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Webhook {
    v: u8,
    pub(crate) tenant: TenantId,
    pub(crate) clear: Clear,
    sealed: Sealed,
}

/// What may be seen of a webhook. It is sealed in, too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Clear {
    /// Scheme, host and port of the URL.
    pub(crate) origin: String,
    /// When it was set, microseconds since the epoch.
    pub(crate) changed_us: i64,
    /// Until when requests are signed with the secret before, too.
    pub(crate) old_secret_until_us: Option<i64>,
}

/// What is sealed.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
struct Inside {
    url: String,
    secret: String,
    old_secret: Option<String>,
}

/// An opened webhook.
pub(crate) struct Opened {
    pub(crate) url: Zeroizing<String>,
    pub(crate) secret: Secret,
    /// The secret before, and until when it is used.
    pub(crate) old: Option<OldSecret>,
}

/// A secret that is on its way out.
pub(crate) struct OldSecret {
    pub(crate) secret: Secret,
    pub(crate) until: Timestamp,
}

/// Why stored bytes are not a webhook that can be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WebhookError {
    #[error("the stored webhook cannot be read by this version")]
    Form,
    #[error("the stored webhook belongs to another tenant")]
    Tenant,
    #[error("the stored webhook does not open: {0}")]
    Sealed(#[from] SealError),
}

impl Webhook {
    /// Seals a new one.
    pub(crate) fn seal(
        tenant: &TenantId,
        endpoint: &Endpoint,
        secret: &Secret,
        old: Option<&OldSecret>,
        keys: &Keyring,
    ) -> Result<Self, SealError> {
        let clear = Clear {
            origin: endpoint.origin(),
            changed_us: jiff::Timestamp::now().as_microsecond(),
            old_secret_until_us: old.map(|old| old.until.as_micros()),
        };
        let inside = Inside {
            url: endpoint.expose().to_owned(),
            secret: secret.expose().to_string(),
            old_secret: old.map(|old| old.secret.expose().to_string()),
        };
        Self::seal_beside(tenant, clear, &inside, keys)
    }

    /// The same webhook under the key that seals now.
    pub(crate) fn sealed_anew(&self, keys: &Keyring) -> Result<Self, WebhookError> {
        let clear = self.clear.clone();
        let inside = self.inside(keys)?;
        Ok(Self::seal_beside(&self.tenant, clear, &inside, keys)?)
    }

    fn seal_beside(
        tenant: &TenantId,
        clear: Clear,
        inside: &Inside,
        keys: &Keyring,
    ) -> Result<Self, SealError> {
        let beside = clear.to_bytes();
        let inside = Zeroizing::new(serde_json::to_vec(inside).unwrap_or_default());
        let sealed = keys.seal(scope(tenant, &beside), &inside, &SystemRandom::new())?;
        Ok(Self {
            v: VERSION,
            tenant: tenant.clone(),
            clear,
            sealed,
        })
    }

    /// Reads what was stored for `tenant`.
    pub(crate) fn from_bytes(tenant: &TenantId, bytes: &[u8]) -> Result<Self, WebhookError> {
        let stored: Self = serde_json::from_slice(bytes).map_err(|_| WebhookError::Form)?;
        if stored.v != VERSION {
            return Err(WebhookError::Form);
        }
        if &stored.tenant != tenant {
            return Err(WebhookError::Tenant);
        }
        Ok(stored)
    }

    /// The form to store.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// URL and secrets. Only this proves what stands in clear.
    pub(crate) fn open(&self, keys: &Keyring) -> Result<Opened, WebhookError> {
        let inside = self.inside(keys)?;
        let secret = |text: &str| text.parse::<Secret>().map_err(|_| WebhookError::Form);
        let until = self.clear.old_secret_until_us.map(Timestamp::from_micros);
        let old = match (&inside.old_secret, until) {
            (Some(text), Some(until)) => Some(OldSecret {
                secret: secret(text)?,
                until,
            }),
            _ => None,
        };
        Ok(Opened {
            url: Zeroizing::new(inside.url.clone()),
            secret: secret(&inside.secret)?,
            old,
        })
    }

    fn inside(&self, keys: &Keyring) -> Result<Inside, WebhookError> {
        let beside = self.clear.to_bytes();
        let open = keys.open(scope(&self.tenant, &beside), &self.sealed)?;
        serde_json::from_slice(&open).map_err(|_| WebhookError::Form)
    }

    /// Name of the key that seals it.
    pub(crate) fn key_id(&self) -> &KeyId {
        self.sealed.key_id()
    }
}

impl Opened {
    /// What signs a request that is sent now, the present secret first.
    pub(crate) fn secrets(&self, now: Timestamp) -> Vec<&Secret> {
        let old = self.old.as_ref().filter(|old| now < old.until);
        [&self.secret]
            .into_iter()
            .chain(old.map(|old| &old.secret))
            .collect()
    }
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
    use ::webhook::AllowedHosts;

    use super::*;

    const OLD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const NEW: &str = "whsec_QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=";

    fn keys(fill: u8) -> Keyring {
        format!("{fill:02x}").repeat(32).parse().unwrap()
    }

    fn stored() -> Webhook {
        let url = "https://example.org/T0/hunter2";
        let endpoint = Endpoint::parse(url, &AllowedHosts::default()).unwrap();
        let old = OldSecret {
            secret: OLD.parse().unwrap(),
            until: Timestamp::from_micros(1_000),
        };
        let tenant = "t1".parse().unwrap();
        Webhook::seal(
            &tenant,
            &endpoint,
            &NEW.parse().unwrap(),
            Some(&old),
            &keys(1),
        )
        .unwrap()
    }

    #[test]
    fn what_is_stored_opens_and_shows_neither_url_nor_secret() {
        let bytes = stored().to_bytes();
        let text = String::from_utf8(bytes.clone()).unwrap();
        assert!(text.contains("https://example.org") && !text.contains("hunter2"));
        let read = Webhook::from_bytes(&"t1".parse().unwrap(), &bytes).unwrap();
        let opened = read.open(&keys(1)).unwrap();
        assert_eq!(opened.url.as_str(), "https://example.org/T0/hunter2");
        assert_eq!(opened.secret.expose().as_str(), NEW);
    }

    #[test]
    fn the_old_secret_signs_beside_the_new_one_for_its_time() {
        let opened = stored().open(&keys(1)).unwrap();
        let at = |micros| {
            let secrets = opened.secrets(Timestamp::from_micros(micros));
            secrets
                .iter()
                .map(|it| it.expose().to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(at(999), [NEW, OLD]);
        assert_eq!(at(1_000), [NEW]);
    }

    #[test]
    fn nothing_of_it_can_be_changed_or_moved() {
        let webhook = stored();
        let mut led = webhook.clone();
        led.clear.origin = "https://evil.example.org".to_owned();
        assert!(led.open(&keys(1)).is_err());
        let mut longer = webhook.clone();
        longer.clear.old_secret_until_us = Some(i64::MAX);
        assert!(longer.open(&keys(1)).is_err());
        let theirs = webhook.to_bytes();
        let other = "t2".parse().unwrap();
        assert!(matches!(
            Webhook::from_bytes(&other, &theirs),
            Err(WebhookError::Tenant)
        ));
        let renamed = String::from_utf8(theirs)
            .unwrap()
            .replace("\"t1\"", "\"t2\"");
        let moved = Webhook::from_bytes(&other, renamed.as_bytes()).unwrap();
        assert!(moved.open(&keys(1)).is_err());
    }

    #[test]
    fn sealing_anew_changes_the_key_and_nothing_else() {
        let both: Keyring = format!("{} {}", "02".repeat(32), "01".repeat(32))
            .parse()
            .unwrap();
        let old = stored();
        let new = old.sealed_anew(&both).unwrap();
        assert_eq!(new.key_id(), keys(2).current());
        assert_eq!(new.clear, old.clear);
        assert_eq!(new.open(&keys(2)).unwrap().secret.expose().as_str(), NEW);
    }
}
