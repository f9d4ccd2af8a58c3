//! `integration set`: takes a hub's credential, tries it, and stores it sealed.

use std::io::{IsTerminal as _, Read as _};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use iothub::{ConnectionString, KeyOwner, Kind, Secret};
use reconciler::ports::{IntegrationStore as _, Saved};

use super::integration::shown;
use crate::adapters::{FRESH_FOR, HubFactory, IntegrationPort};
use crate::cli::{IntegrationSet, Output};
use crate::config::Config;
use crate::integration::{Integration, NewIntegration};
use crate::print;
use crate::seal::SealingKey;
use crate::session::Session;

/// A device that no hub has: asking for it tests the credential and changes nothing.
const PROBE: &str = "mender-iothub-credential-test";

pub(super) async fn set(
    config: &Config,
    args: IntegrationSet,
    output: Output,
) -> anyhow::Result<()> {
    let key = Arc::new(SealingKey::from_config(&config.secrets)?);
    let factory = HubFactory::from_config(&config.hub)?;
    let text = connection_string(&args)?;
    let parsed: ConnectionString = text.expose().parse().context("the connection string")?;
    let KeyOwner::Policy(policy) = parsed.owner().clone() else {
        bail!("the connection string is that of a device; use that of a shared access policy");
    };
    let hub = factory.connect(&text).with_context(|| {
        format!(
            "host {}; hosts beyond Azure's own go into `hub.allowed_hosts`",
            parsed.host()
        )
    })?;
    if policy == "iothubowner" {
        eprintln!(
            "warning: policy iothubowner may do everything; a policy with Registry Read, Registry \
             Write and Service Connect is enough"
        );
    }
    if !args.no_test {
        test(&hub).await?;
    }
    let session = Session::for_command(config).await?;
    let store = IntegrationPort::open(config, &session).await?;
    let stored = save(&store, &key, args, hub.host().as_str(), &policy, &text).await?;
    print::result(output, &shown(&stored), |_| {
        format!(
            "integration of tenant {:?} set: hub {}, policy {}, generation {}",
            stored.tenant.as_str(),
            stored.hub,
            stored.policy,
            stored.generation
        )
    })
}

async fn save(
    store: &IntegrationPort,
    key: &SealingKey,
    args: IntegrationSet,
    hub: &str,
    policy: &str,
    text: &Secret,
) -> anyhow::Result<Integration> {
    let tenant = args.of.tenant;
    let before = store.load(&tenant).await?;
    let revision = before.as_ref().map(|(_, revision)| *revision);
    let before = match &before {
        Some((bytes, _)) => Some(Integration::from_bytes(&tenant, bytes)?),
        None => None,
    };
    let new = NewIntegration {
        tenant: &tenant,
        hub: hub.to_owned(),
        policy: policy.to_owned(),
        tier: args.tier,
        units: args.units,
        connection_string: text,
    };
    let integration = Integration::seal(new, before.as_ref(), key)?;
    match store
        .save(&tenant, &integration.to_bytes(), revision)
        .await?
    {
        Saved::Version(_) => {
            until_workers_know().await;
            Ok(integration)
        }
        Saved::Lost => bail!("somebody else changed the integration just now; look and try again"),
    }
}

/// Tries what the worker will do: read the registry, and read a twin.
///
/// Registry Write cannot be tried without writing, so a delete of an identity that does not
/// exist stands for it.
pub(super) async fn test(hub: &iothub::Hub) -> anyhow::Result<()> {
    let id = PROBE.parse()?;
    for (permission, result) in [
        ("Registry Read", hub.device(&id).await.map(drop)),
        (
            "Registry Write",
            hub.delete_device(&id, "AAAAAAAAAAE=").await,
        ),
        ("Service Connect", hub.twin(&id).await.map(drop)),
    ] {
        match result {
            Ok(()) => {}
            Err(error) if matches!(error.kind(), Kind::NotFound | Kind::PreconditionFailed) => {}
            Err(error) if error.kind() == Kind::Unauthorized => bail!(
                "the hub refuses the credential for {permission}: the policy may lack that \
                 permission, or the key is wrong ({error})"
            ),
            Err(error) => bail!(
                "the hub could not be tested for {permission}: {error}; `--no-test` stores the \
                 integration all the same"
            ),
        }
    }
    Ok(())
}

fn connection_string(args: &IntegrationSet) -> anyhow::Result<Secret> {
    let text = if let Some(path) = &args.connection_string_file {
        std::fs::read_to_string(path)
            .with_context(|| format!("connection string file {}", path.display()))?
    } else if let Some(name) = &args.connection_string_env {
        std::env::var(name).map_err(|_| anyhow::anyhow!("variable {name} is not set"))?
    } else {
        if std::io::stdin().is_terminal() {
            eprintln!("connection string, then Ctrl-D:");
        }
        let mut text = String::new();
        let most = u64::try_from(iothub::MAX_CONNECTION_STRING).unwrap_or(u64::MAX) + 2;
        std::io::stdin()
            .take(most)
            .read_to_string(&mut text)
            .context("standard input")?;
        text
    };
    Ok(Secret::from(text.trim().to_owned()))
}

/// Workers look at the integration again before each change, but not more often than this: after
/// the wait none of them begins a change with the one before.
pub(super) async fn until_workers_know() {
    tokio::time::sleep(FRESH_FOR + Duration::from_millis(200)).await;
}
