//! `secrets rotate`: seals what is stored with the present key.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::bail;
use reconciler::ports::{IntegrationStore as _, Saved};
use sealing::Keyring;
use serde::Serialize;

use crate::adapters::{IntegrationPort, Stored, stored};
use crate::cli::{Output, Secrets};
use crate::config::Config;
use crate::integration::IntegrationError;
use crate::keys::SealingKeys;
use crate::print;
use crate::session::Session;

/// Whoever changes an integration at the same moment wins; then it is looked at once more.
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

pub(crate) async fn run(config: &Config, what: Secrets, output: Output) -> anyhow::Result<()> {
    let Secrets::Rotate { dry_run } = what;
    let keys = SealingKeys::from_config(&config.secrets).await?.ring();
    let session = Session::for_command(config).await?;
    let store = IntegrationPort::open(config, &session).await?;
    let mut rotated = 0;
    for _ in 0..if dry_run { 0 } else { ROUNDS } {
        let Round { renewed, lost } = round(&store, &keys).await?;
        rotated += renewed;
        if !lost {
            break;
        }
    }
    let report = report(&keys, &stored(&store).await?, rotated);
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

struct Round {
    renewed: usize,
    /// Whether somebody else was quicker somewhere.
    lost: bool,
}

async fn round(store: &IntegrationPort, keys: &Keyring) -> anyhow::Result<Round> {
    let mut round = Round {
        renewed: 0,
        lost: false,
    };
    for Stored {
        tenant,
        integration,
        version,
    } in stored(store).await?
    {
        let Ok(integration) = integration else {
            continue;
        };
        if integration.key_id() == keys.current() {
            continue;
        }
        // What does not open is reported in the end.
        let Ok(renewed) = integration.sealed_anew(keys) else {
            continue;
        };
        let bytes = renewed.to_bytes();
        match store.save(&tenant, &bytes, Some(version)).await? {
            Saved::Version(_) => round.renewed += 1,
            Saved::Lost => round.lost = true,
        }
    }
    Ok(round)
}

fn report(keys: &Keyring, stored: &[Stored], rotated: usize) -> Report {
    let mut report = Report {
        current_key: keys.current().to_string(),
        rotated,
        by_key: BTreeMap::new(),
        left: 0,
        failed: BTreeMap::new(),
    };
    for stored in stored {
        let key = match &stored.integration {
            Ok(integration) => integration.key_id().as_str(),
            Err(_) => "unreadable",
        };
        *report.by_key.entry(key.to_owned()).or_default() += 1;
        let trouble = trouble(stored, keys);
        if key != keys.current().as_str() || trouble.is_some() {
            report.left += 1;
        }
        let tenant = || stored.tenant.to_string();
        report.failed.extend(trouble.map(|why| (tenant(), why)));
    }
    report
}

/// Why a credential cannot be used, if it cannot.
fn trouble(stored: &Stored, keys: &Keyring) -> Option<String> {
    let opened = match &stored.integration {
        Ok(integration) => integration.open(keys).map(drop),
        Err(IntegrationError::Tenant) => Err(IntegrationError::Tenant),
        Err(_) => Err(IntegrationError::Form),
    };
    opened.err().map(|error| error.to_string())
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
