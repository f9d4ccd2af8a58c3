//! `secrets rotate`: seals what is stored with the present key.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::bail;
use jetstream::KvIntegrations;
use lifecycle::TenantId;
use reconciler::ports::{IntegrationStore, Saved};
use sealing::{KeyId, Keyring};
use serde::Serialize;

use crate::adapters::IntegrationPort;
use crate::cli::{Output, Secrets};
use crate::config::Config;
use crate::integration::Integration;
use crate::keys::SealingKeys;
use crate::print;
use crate::session::Session;
use crate::webhook::Webhook;

/// Whoever changes something at the same moment wins; then it is looked at once more.
const ROUNDS: usize = 5;

/// What was found and done.
#[derive(Debug, Serialize)]
struct Report {
    /// The key that seals.
    current_key: String,
    /// Sealed anew just now.
    rotated: usize,
    /// Credentials by the key that seals them in the end.
    by_key: BTreeMap<String, usize>,
    /// Those that are not sealed with the present key, or cannot be read.
    left: usize,
    /// What stands in the way, by tenant.
    failed: BTreeMap<String, String>,
}

/// Something that is kept sealed for each tenant.
trait Kept: Sized {
    /// What is said behind the tenant.
    const WHAT: &'static str;
    type Error: std::fmt::Display;
    fn read(tenant: &TenantId, bytes: &[u8]) -> Result<Self, Self::Error>;
    fn key(&self) -> &KeyId;
    fn renewed(&self, keys: &Keyring) -> Result<Vec<u8>, Self::Error>;
    fn opens(&self, keys: &Keyring) -> Result<(), Self::Error>;
}

macro_rules! kept {
    ($kind:ty, $error:ty, $what:literal) => {
        impl Kept for $kind {
            const WHAT: &'static str = $what;
            type Error = $error;

            fn read(tenant: &TenantId, bytes: &[u8]) -> Result<Self, $error> {
                Self::from_bytes(tenant, bytes)
            }

            fn key(&self) -> &KeyId {
                self.key_id()
            }

            fn renewed(&self, keys: &Keyring) -> Result<Vec<u8>, $error> {
                Ok(self.sealed_anew(keys)?.to_bytes())
            }

            fn opens(&self, keys: &Keyring) -> Result<(), $error> {
                self.open(keys).map(drop)
            }
        }
    };
}
kept!(Integration, crate::integration::IntegrationError, "");
kept!(Webhook, crate::webhook::WebhookError, " (webhook)");

pub(crate) async fn run(config: &Config, what: Secrets, output: Output) -> anyhow::Result<()> {
    let Secrets::Rotate { dry_run } = what;
    let keys = SealingKeys::from_config(&config.secrets).await?.ring();
    let session = Session::for_command(config).await?;
    let integrations = IntegrationPort::open(config, &session).await?;
    let webhooks = webhooks(&session).await?;
    let mut report = Report {
        current_key: keys.current().to_string(),
        rotated: 0,
        by_key: BTreeMap::new(),
        left: 0,
        failed: BTreeMap::new(),
    };
    for _ in 0..if dry_run { 0 } else { ROUNDS } {
        let mut lost = report.rotate::<Integration>(&integrations, &keys).await?;
        if let Some(webhooks) = &webhooks {
            lost |= report.rotate::<Webhook>(webhooks, &keys).await?;
        }
        if !lost {
            break;
        }
    }
    report.look::<Integration>(&integrations, &keys).await?;
    if let Some(webhooks) = &webhooks {
        report.look::<Webhook>(webhooks, &keys).await?;
    }
    print::result(output, &report, in_words)?;
    if report.left > 0 {
        bail!(
            "{} credentials are not sealed with key {}: keep the other keys, and run `secrets \
             rotate` (again)",
            report.left,
            report.current_key
        );
    }
    Ok(())
}

/// The webhooks; an installation whose `setup` is older has none.
async fn webhooks(session: &Session) -> Result<Option<KvIntegrations>, jetstream::Error> {
    match KvIntegrations::open_webhooks(&session.context, &session.names).await {
        Ok(kept) => Ok(Some(kept)),
        Err(jetstream::Error::Missing { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

impl Report {
    /// Seals anew what is sealed with another key; true if somebody else was quicker somewhere.
    async fn rotate<T: Kept>(
        &mut self,
        store: &impl IntegrationStore,
        keys: &Keyring,
    ) -> anyhow::Result<bool> {
        let mut lost = false;
        for tenant in store.list().await? {
            let Some((bytes, version)) = store.load(&tenant).await? else {
                continue;
            };
            // What cannot be read or does not open is reported in the end.
            let Ok(kept) = T::read(&tenant, &bytes) else {
                continue;
            };
            if kept.key() == keys.current() {
                continue;
            }
            let Ok(renewed) = kept.renewed(keys) else {
                continue;
            };
            match store.save(&tenant, &renewed, Some(version)).await? {
                Saved::Version(_) => self.rotated += 1,
                Saved::Lost => lost = true,
            }
        }
        Ok(lost)
    }

    /// Takes note of what is there now.
    async fn look<T: Kept>(
        &mut self,
        store: &impl IntegrationStore,
        keys: &Keyring,
    ) -> anyhow::Result<()> {
        for tenant in store.list().await? {
            if let Some((bytes, _)) = store.load(&tenant).await? {
                self.note(&tenant, T::read(&tenant, &bytes), keys);
            }
        }
        Ok(())
    }

    fn note<T: Kept>(&mut self, tenant: &TenantId, kept: Result<T, T::Error>, keys: &Keyring) {
        let (key, opened) = match kept {
            Ok(kept) => (kept.key().to_string(), kept.opens(keys)),
            Err(error) => ("unreadable".to_owned(), Err(error)),
        };
        if key != self.current_key || opened.is_err() {
            self.left += 1;
        }
        *self.by_key.entry(key).or_default() += 1;
        if let Err(error) = opened {
            let name = format!("{tenant}{}", T::WHAT);
            self.failed.insert(name, error.to_string());
        }
    }
}

fn in_words(report: &Report) -> String {
    let mut text = format!("{} sealed anew\n", report.rotated);
    for (key, count) in &report.by_key {
        let which = if *key == report.current_key {
            " (current)"
        } else {
            ""
        };
        let _ = writeln!(text, "key {key}{which}: {count}");
    }
    for (tenant, why) in &report.failed {
        let _ = writeln!(text, "tenant {tenant:?}: {why}");
    }
    text
}
