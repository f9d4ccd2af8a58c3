//! `integration`: which hub a tenant's devices are kept in.

use anyhow::{Context as _, bail};
use lifecycle::TenantId;
use reconciler::ports::{IntegrationStore as _, Saved};
use serde_json::{Value, json};

use super::integration_set::set;
use super::permissions;
use crate::adapters::{
    HubFactory, IntegrationPort, RecordStore, identities_left, until_workers_know,
};
use crate::cli::{self, OfTenant, Output};
use crate::config::Config;
use crate::integration::{Clear, Integration};
use crate::keys::SealingKeys;
use crate::print;
use crate::session::Session;

pub(crate) async fn run(
    config: &Config,
    what: cli::Integration,
    output: Output,
) -> anyhow::Result<()> {
    match what {
        cli::Integration::Set(args) => set(config, args, output).await,
        cli::Integration::Show { tenant } => show(config, tenant, output).await,
        cli::Integration::Test(of) => try_stored(config, &of.tenant, output).await,
        cli::Integration::Remove { of, force } => remove(config, of, force, output).await,
    }
}

async fn show(config: &Config, tenant: Option<TenantId>, output: Output) -> anyhow::Result<()> {
    let session = Session::for_command(config).await?;
    let store = IntegrationPort::open(config, &session).await?;
    let tenants = match tenant {
        Some(tenant) => vec![tenant],
        None => store.list().await?,
    };
    let mut found = Vec::new();
    for tenant in tenants {
        if let Some((bytes, _)) = store.load(&tenant).await? {
            found.push(Integration::from_bytes(&tenant, &bytes)?);
        }
    }
    let shown: Vec<_> = found.iter().map(shown).collect();
    print::result(output, &shown, |_| {
        if found.is_empty() {
            return "no integration; set one with `mender-iothub integration set`".to_owned();
        }
        let rows = found.iter().map(|Integration { tenant, clear, .. }| {
            [
                format!("{:?}", tenant.as_str()),
                clear.hub.clone(),
                clear.login.to_string(),
                format!("{:?} x {}", clear.tier, clear.units).to_lowercase(),
                clear.generation.to_string(),
            ]
        });
        print::table(["TENANT", "HUB", "LOGIN", "TIER", "GENERATION"], rows)
    })
}

pub(super) fn shown(integration: &Integration) -> Value {
    let Clear {
        hub,
        login,
        tier,
        units,
        generation,
        ..
    } = &integration.clear;
    let mut shown = json!({
        "tenant": integration.tenant,
        "id": integration.id(),
        "hub": hub,
        "tier": tier,
        "units": units,
        "generation": generation,
        "sealed_with_key": integration.key_id(),
    });
    if let (Some(shown), Ok(Value::Object(login))) =
        (shown.as_object_mut(), serde_json::to_value(login))
    {
        shown.extend(login);
    }
    shown
}

/// Tries what is stored, as the worker would use it.
async fn try_stored(config: &Config, tenant: &TenantId, output: Output) -> anyhow::Result<()> {
    let keys = SealingKeys::from_config(&config.secrets).await?;
    let factory = HubFactory::from_config(config)?;
    let session = Session::for_command(config).await?;
    let store = IntegrationPort::open(config, &session).await?;
    let (bytes, _) = store.load(tenant).await?.with_context(|| none(tenant))?;
    let integration = Integration::from_bytes(tenant, &bytes)?;
    let hub = factory.open(&integration, &keys).await?;
    permissions::check(&hub, &integration.clear.login).await?;
    print::result(
        output,
        &json!({"tenant": tenant, "hub": integration.clear.hub, "ok": true}),
        |_| {
            format!(
                "hub {} grants everything that is needed",
                integration.clear.hub
            )
        },
    )
}

async fn remove(config: &Config, of: OfTenant, force: bool, output: Output) -> anyhow::Result<()> {
    let tenant = of.tenant;
    let session = Session::for_command(config).await?;
    let store = IntegrationPort::open(config, &session).await?;
    let (bytes, version) = store.load(&tenant).await?.with_context(|| none(&tenant))?;
    let hub = Integration::from_bytes(&tenant, &bytes)?.clear.hub;
    let devices = RecordStore::from_config(config)?.open(&session).await?;
    let left = identities_left(&devices, &tenant, &hub).await;
    devices.close().await;
    let left = left?;
    if left.count > 0 && !force {
        bail!(
            "{left} identities that the worker made are in hub {hub}{}; decommission the devices in \
             Mender first, or leave the identities behind as they are with --force",
            left.named(),
            left = left.count,
        );
    }
    if store.remove(&tenant, version).await? == Saved::Lost {
        bail!("somebody else changed the integration just now; look and try again");
    }
    until_workers_know().await;
    print::result(
        output,
        &json!({
            "tenant": tenant,
            "hub": hub,
            "left_behind": left.count,
            "first_left_behind": left.first,
        }),
        |_| {
            format!(
                "integration of tenant {:?} removed; {} identities stay in hub {hub} as they are{}",
                tenant.as_str(),
                left.count,
                left.named()
            )
        },
    )
}

fn none(tenant: &TenantId) -> String {
    format!("tenant {:?} has no integration", tenant.as_str())
}
