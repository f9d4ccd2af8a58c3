//! `setup --migrate-from`: copies integrations and device records from one store into the other.
//!
//! It only ever creates, so it may be stopped and started again at any point, and a record that
//! a worker has changed in the new store meanwhile is never set back.

use anyhow::{bail, ensure};
use futures::{StreamExt as _, stream};
use lifecycle::{DeviceRef, Record, TenantId};
use reconciler::ports::{DeviceStore as _, IntegrationStore as _, PortResult, Saved, Stored};
use serde::Serialize;

use crate::adapters::{IntegrationPort, RecordStore, StorePort};
use crate::config::{Config, ConfigError, StoreKind};
use crate::session::Session;

/// Records read at once.
const PAGE: usize = 500;
/// Records written at once.
const WRITES: usize = 16;

/// What became of the records.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Migration {
    /// Created in the new store, or to be created.
    copied: u64,
    /// In the new store already, the same.
    there: u64,
    /// In the new store already, but not the same: left as they are.
    different: u64,
    /// Not understood by this version, so not copied.
    left_out: u64,
    /// The same of integrations.
    integrations: Integrations,
}

/// What became of the integrations.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Integrations {
    /// Saved in the new store, or to be saved.
    copied: u64,
    /// In the new store already, the same.
    there: u64,
    /// In the new store already, but not the same: left as they are.
    different: u64,
}

/// What became of one record.
enum Fate {
    Copied,
    There,
    Different,
}

impl Migration {
    fn count(&mut self, fate: &Fate) {
        match fate {
            Fate::Copied => self.copied += 1,
            Fate::There => self.there += 1,
            Fate::Different => self.different += 1,
        }
    }

    fn seen(&self) -> u64 {
        self.copied + self.there + self.different
    }

    pub(crate) fn in_words(&self, dry_run: bool) -> String {
        let would = if dry_run { "would be " } else { "" };
        let Self { copied, there, .. } = self;
        let kept = &self.integrations;
        format!(
            "{copied} records {would}copied, {there} were there already; {} integrations \
             {would}copied, {} were there already",
            kept.copied, kept.there
        )
    }

    /// An error if a record of the old store is not in the new one as it is there.
    pub(crate) fn complete(&self) -> anyhow::Result<()> {
        let Self { left_out, .. } = self;
        let different = &(self.different + self.integrations.different);
        if *left_out > 0 {
            bail!("{left_out} records are not understood by this version and were left out");
        }
        if *different > 0 {
            bail!(
                "{different} records or integrations were there with another content and were left as they are: \
                 if they are older, empty the new store and copy again"
            );
        }
        Ok(())
    }
}

/// Copies all records of the store `from` into the one that is configured.
pub(crate) async fn copy(
    config: &Config,
    session: &Session,
    from: StoreKind,
    dry_run: bool,
) -> anyhow::Result<Migration> {
    if from == config.store.kind {
        bail!(ConfigError(
            "`--migrate-from` names the store that `store.kind` names too".to_owned()
        ));
    }
    let old = RecordStore::of_kind(from, &config.store)?;
    let old = old.open(session).await?;
    let new = match RecordStore::from_config(config)?.open(session).await {
        Ok(new) => Some(new),
        // `setup` would have made it.
        Err(error) if dry_run && error.is_missing() => None,
        Err(error) => return Err(error.into()),
    };
    // The integrations come last: without them nothing is done about any device.
    let copied = match all(&old, new.as_ref(), dry_run).await {
        Ok(records) => with_integrations(session, &old, new.as_ref(), dry_run, records).await,
        Err(error) => Err(error),
    };
    old.close().await;
    if let Some(new) = new {
        new.close().await;
    }
    copied
}

async fn all(old: &StorePort, new: Option<&StorePort>, dry_run: bool) -> anyhow::Result<Migration> {
    let total = old.count(None).await?;
    let mut copied = Migration::default();
    let mut after: Option<String> = None;
    loop {
        let page = old.list(None, after.as_deref(), PAGE).await?;
        let fates = stream::iter(page.records).map(|(about, stored)| async move {
            match new {
                None => Ok(Fate::Copied),
                Some(new) => one(new, &about, stored, dry_run).await,
            }
        });
        let fates: Vec<PortResult<Fate>> = fates.buffer_unordered(WRITES).collect().await;
        for fate in fates {
            copied.count(&fate?);
        }
        eprintln!("{} of {total} records", copied.seen());
        ensure!(
            page.next.is_none() || page.next > after,
            "the store lists the same records again"
        );
        after = page.next;
        if after.is_none() {
            copied.left_out = total.saturating_sub(copied.seen());
            return Ok(copied);
        }
    }
}

async fn with_integrations(
    session: &Session,
    old: &StorePort,
    new: Option<&StorePort>,
    dry_run: bool,
    mut copied: Migration,
) -> anyhow::Result<Migration> {
    let old = old.integrations(session).await?;
    let new = match new {
        Some(new) => Some(new.integrations(session).await?),
        None => None,
    };
    for tenant in old.list().await? {
        // It may have been removed since it was listed.
        let Some((sealed, _)) = old.load(&tenant).await? else {
            continue;
        };
        let fate = match &new {
            None => Fate::Copied,
            Some(new) => one_integration(new, &tenant, &sealed, dry_run).await?,
        };
        let counts = &mut copied.integrations;
        *match fate {
            Fate::Copied => &mut counts.copied,
            Fate::There => &mut counts.there,
            Fate::Different => &mut counts.different,
        } += 1;
    }
    Ok(copied)
}

async fn one_integration(
    new: &IntegrationPort,
    tenant: &TenantId,
    sealed: &[u8],
    dry_run: bool,
) -> PortResult<Fate> {
    if !dry_run && new.save(tenant, sealed, None).await? != Saved::Lost {
        return Ok(Fate::Copied);
    }
    Ok(match new.load(tenant).await? {
        None => Fate::Copied,
        Some((there, _)) if there == sealed => Fate::There,
        Some(_) => Fate::Different,
    })
}

async fn one(
    new: &StorePort,
    about: &DeviceRef,
    stored: Stored,
    dry_run: bool,
) -> PortResult<Fate> {
    let record = with_leases_anew(stored.record);
    if !dry_run && new.create(about, &record).await? != Saved::Lost {
        return Ok(Fate::Copied);
    }
    Ok(match new.load(about).await? {
        None => Fate::Copied,
        Some(there) if with_leases_anew(there.record.clone()) == record => Fate::There,
        Some(_) => Fate::Different,
    })
}

/// The record with every lease counted from its copy: the other store's clock showed another
/// time.
fn with_leases_anew(mut record: Record) -> Record {
    for intent in &mut record.intents {
        intent.seen_at = None;
    }
    if let Some(claim) = &mut record.delivery.claim {
        claim.seen_at = None;
    }
    record.retry.not_before = None;
    record
}
