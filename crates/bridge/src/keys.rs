//! The sealing keys: where they come from, and how they are read again.
//!
//! A text with one key or several: from the configuration, from a file, or from what a command
//! prints, so that a key management service can be asked. The first one seals, the others only
//! open. A worker that meets an envelope of a key it does not know reads the file or runs the
//! command again: a rotation needs no restart.

mod command;

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use iothub::Secret;
use sealing::{KeyError, KeyId, Keyring, SealError};
use tokio::time::Instant;

use crate::adapters::Stored;
use crate::config::{ConfigError, Secrets, secret};
use crate::integration::{Integration, IntegrationError};
use crate::webhook::{Opened, Webhook, WebhookError};

/// Keys are not read again more often than this, however many envelopes do not open.
const READ_AGAIN: Duration = Duration::from_secs(10);

/// The keys at hand.
#[derive(Debug)]
pub(crate) struct SealingKeys {
    source: Secrets,
    ring: RwLock<Arc<Keyring>>,
    read_again_at: Mutex<Option<Instant>>,
}

impl SealingKeys {
    /// The keys of the configuration. Without one nothing starts.
    pub(crate) async fn from_config(secrets: &Secrets) -> anyhow::Result<Self> {
        Ok(Self {
            ring: RwLock::new(Arc::new(read(secrets).await?)),
            source: secrets.clone(),
            read_again_at: Mutex::default(),
        })
    }

    /// The keys as they were read last.
    pub(crate) fn ring(&self) -> Arc<Keyring> {
        Arc::clone(&self.ring.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The secret of an integration. Reads the keys again if it needs one that is not at hand.
    pub(crate) async fn open(&self, integration: &Integration) -> Result<Secret, IntegrationError> {
        let lacks_key =
            |error: &_| matches!(error, IntegrationError::Sealed(SealError::UnknownKey(_)));
        self.opening(|ring| integration.open(ring), lacks_key).await
    }

    /// The same for a webhook.
    pub(crate) async fn open_webhook(&self, webhook: &Webhook) -> Result<Opened, WebhookError> {
        let lacks_key = |error: &_| matches!(error, WebhookError::Sealed(SealError::UnknownKey(_)));
        self.opening(|ring| webhook.open(ring), lacks_key).await
    }

    async fn opening<T, E>(
        &self,
        open: impl Fn(&Keyring) -> Result<T, E>,
        lacks_key: impl Fn(&E) -> bool,
    ) -> Result<T, E> {
        let opened = open(&self.ring());
        if !opened.as_ref().is_err_and(lacks_key) || !self.is_due() {
            return opened;
        }
        match read(&self.source).await {
            Ok(ring) => {
                *self.ring.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(ring);
            }
            Err(error) => {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "the sealing keys cannot be read again"
                );
            }
        }
        open(&self.ring())
    }

    fn is_due(&self) -> bool {
        let last = self.read_again_at.lock();
        let mut last = last.unwrap_or_else(PoisonError::into_inner);
        let due = last.is_none_or(|at| at.elapsed() >= READ_AGAIN);
        if due {
            *last = Some(Instant::now());
        }
        due
    }
}

/// Refuses keys that cannot open what is stored: the worker would only find out device by device.
pub(crate) fn check_start(keys: &Keyring, all: &[Stored]) -> anyhow::Result<()> {
    for stored in all {
        let Ok(integration) = &stored.integration else {
            continue;
        };
        let opened = integration.open(keys);
        if let Err(IntegrationError::Sealed(SealError::UnknownKey(theirs))) = opened {
            let ours: Vec<_> = keys.ids().map(KeyId::as_str).collect();
            anyhow::bail!(
                "wrong sealing key: the credential of tenant {:?} was sealed with key {theirs}, and \
                 `secrets` names only {}; add the old key, or set the integration again",
                stored.tenant.as_str(),
                ours.join(", "),
            );
        }
    }
    Ok(())
}

async fn read(secrets: &Secrets) -> anyhow::Result<Keyring> {
    let given = secret(
        "secrets.key",
        secrets.key.as_ref(),
        secrets.key_file.as_ref(),
    )?;
    let command = &secrets.key_command.0;
    let (text, origin) = match (given, command.is_empty()) {
        (Some(_), false) => {
            return Err(ConfigError(
                "`secrets.key_command` is set besides `secrets.key` or `secrets.key_file`; keep one"
                    .to_owned(),
            )
            .into());
        }
        (Some(text), true) if secrets.key.is_some() => (text, "secrets.key"),
        (Some(text), true) => (text, "secrets.key_file"),
        (None, false) => (command::output(command).await?, "secrets.key_command"),
        (None, true) => return Err(missing().into()),
    };
    text.expose().parse().map_err(|error| match error {
        KeyError::Missing => ConfigError(format!("`{origin}` holds no key")).into(),
        error => ConfigError(format!("`{origin}`: {error}")).into(),
    })
}

fn missing() -> ConfigError {
    ConfigError(
        "`secrets.key`, `secrets.key_file` or `secrets.key_command` is missing: 32 random bytes as \
         base64, for instance from `openssl rand -base64 32`"
            .to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use lifecycle::TenantId;

    use super::*;
    use crate::integration::{Login, NewIntegration, Tier};

    fn key(fill: u8) -> String {
        format!("{fill:02x}").repeat(32)
    }

    fn from(file: &tempfile::NamedTempFile) -> Secrets {
        Secrets {
            key_file: Some(file.path().to_owned()),
            ..Secrets::default()
        }
    }

    fn integration(keys: &Keyring) -> Integration {
        let new = NewIntegration {
            tenant: &TenantId::default(),
            hub: "h.azure-devices.net".to_owned(),
            login: Login::ManagedIdentity { client_id: None },
            tier: Tier::S1,
            units: 1,
            description: String::new(),
            credential: &"".into(),
        };
        Integration::seal(new, None, keys).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_that_is_not_known_makes_the_file_be_read_again() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        write!(file, "{}", key(1)).unwrap();
        let keys = SealingKeys::from_config(&from(&file)).await.unwrap();
        for fill in [2, 3] {
            let sealed = integration(&key(fill).parse().unwrap());
            assert!(keys.open(&sealed).await.is_err());
            writeln!(file, "\n{}", key(fill)).unwrap();
            // Not at once, or each device would read the file.
            assert!(keys.open(&sealed).await.is_err());
            tokio::time::advance(READ_AGAIN).await;
            assert!(keys.open(&sealed).await.is_ok());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn keys_that_cannot_be_read_again_are_kept() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        write!(file, "{}", key(1)).unwrap();
        let keys = SealingKeys::from_config(&from(&file)).await.unwrap();
        drop(file);
        assert!(
            keys.open(&integration(&key(2).parse().unwrap()))
                .await
                .is_err()
        );
        assert!(
            keys.open(&integration(&key(1).parse().unwrap()))
                .await
                .is_ok()
        );
    }

    #[test]
    fn a_wrong_key_is_told_with_both_names() {
        let sealed = integration(&key(1).parse().unwrap());
        let theirs = sealed.key_id().clone();
        let stored = [Stored {
            tenant: TenantId::default(),
            integration: Ok(sealed),
        }];
        let wrong: Keyring = key(2).parse().unwrap();
        let error = check_start(&wrong, &stored).unwrap_err().to_string();
        for id in [&theirs, wrong.current()] {
            assert!(error.contains(id.as_str()), "{error}");
        }
        let both: Keyring = format!("{} {}", key(2), key(1)).parse().unwrap();
        assert!(check_start(&both, &stored).is_ok());
    }
}
