//! The integrations: whether their credentials open, and what the hubs grant.

use std::sync::Arc;

use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _, stream};
use sealing::KeyId;
use tokio::time::timeout;

use super::clock::of_difference;
use super::finding::Finding;
use super::{Findings, Scene};
use crate::adapters::{HubFactory, IntegrationPort, Stored, stored};
use crate::commands::permissions;
use crate::integration::{Integration, IntegrationError};
use crate::keys::SealingKeys;

const CHECK: &str = "hubs";
const KEYS: &str = "sealing keys";
/// Integrations that are tried.
const MOST: usize = 100;
/// Hubs that are asked at once.
const AT_ONCE: usize = 8;

pub(super) async fn check(scene: &Scene<'_>) -> Findings {
    let reading = timeout(scene.limit(), async {
        let store = IntegrationPort::open(scene.config, scene.session).await?;
        anyhow::Ok(stored(&store).await?)
    });
    let mut all = match reading.await {
        Ok(all) => all?,
        Err(_) => anyhow::bail!("the stored integrations cannot be read in time"),
    };
    if let Some(tenant) = &scene.args.tenant {
        all.retain(|stored| &stored.tenant == tenant);
    }
    if all.is_empty() {
        return Ok(vec![
            Finding::problem(
                CHECK,
                "no tenant has an integration: every event is ignored",
            )
            .with_advice("mender-iothub integration set"),
        ]);
    }
    let keys = match SealingKeys::from_config(&scene.config.secrets).await {
        Ok(keys) => Arc::new(keys),
        Err(error) => {
            return Ok(vec![
                Finding::problem(KEYS, format!("{error:#}"))
                    .with_advice("without the key no worker starts and no hub can be asked"),
            ]);
        }
    };
    let mut found = of_keys(&all, &keys);
    let factory = HubFactory::from_config(scene.config)?;
    let skipped = all.len().saturating_sub(MOST);
    let asked: Vec<BoxFuture<'_, Vec<Finding>>> = all
        .iter()
        .take(MOST)
        .map(|stored| one(scene, stored, &factory, &keys).boxed())
        .collect();
    let answers: Vec<_> = stream::iter(asked).buffered(AT_ONCE).collect().await;
    found.extend(answers.into_iter().flatten());
    if skipped > 0 {
        found.push(
            Finding::not_checked(CHECK, format!("the hubs of {skipped} more tenants"))
                .with_advice("--tenant ID checks one of them"),
        );
    }
    Ok(found)
}

/// Credentials that are not sealed with the key that seals now.
fn of_keys(all: &[Stored], keys: &SealingKeys) -> Vec<Finding> {
    let ring = keys.ring();
    let first = ring.ids().next().map(KeyId::as_str);
    let readable = all
        .iter()
        .filter_map(|stored| stored.integration.as_ref().ok());
    let old = readable
        .filter(|it| Some(it.key_id().as_str()) != first)
        .count();
    if old == 0 {
        return vec![Finding::ok(
            KEYS,
            "all credentials are sealed with the first key",
        )];
    }
    vec![
        Finding::advice(
            KEYS,
            format!("{old} credentials are sealed with an older key"),
        )
        .with_advice("mender-iothub secrets rotate; then the old key can go"),
    ]
}

/// One integration: read, open, ask.
async fn one(
    scene: &Scene<'_>,
    stored: &Stored,
    factory: &HubFactory,
    keys: &SealingKeys,
) -> Vec<Finding> {
    let tenant = stored.tenant.as_str();
    let integration = match &stored.integration {
        Ok(integration) => integration,
        Err(error) => return vec![unreadable(tenant, error)],
    };
    match timeout(scene.limit(), ask(integration, factory, keys)).await {
        Ok(found) => found,
        Err(_) => vec![
            Finding::problem(
                CHECK,
                format!(
                    "tenant {tenant:?}: hub {} does not answer within {} s",
                    integration.clear.hub, scene.args.limit_s
                ),
            )
            .with_advice(
                "is it reachable from here (port 443, a proxy is not used), and not throttling?",
            ),
        ],
    }
}

async fn ask(integration: &Integration, factory: &HubFactory, keys: &SealingKeys) -> Vec<Finding> {
    let tenant = integration.tenant.as_str();
    let secret = match keys.open(integration).await {
        Ok(secret) => secret,
        Err(error) => return vec![unreadable(tenant, &error)],
    };
    let clear = &integration.clear;
    let hub = match factory.connect(&clear.hub, &clear.login, &secret) {
        Ok(hub) => hub,
        Err(error) => {
            return vec![
                Finding::problem(CHECK, format!("tenant {tenant:?}: {error:#}"))
                    .with_advice("add the host to `hub.allowed_hosts` if it is meant, or set the integration again"),
            ];
        }
    };
    if let Err(error) = permissions::check(&hub, &clear.login).await {
        return vec![
            Finding::problem(CHECK, format!("tenant {tenant:?}: {error:#}"))
                .with_advice("then `mender-iothub integration test` tells whether that was it"),
        ];
    }
    let clock = of_difference(&format!("hub {}", clear.hub), hub.clock_offset_s());
    let well = format!(
        "tenant {tenant:?}: hub {} grants everything that is needed",
        clear.hub
    );
    vec![Finding::ok(CHECK, well), clock]
}

fn unreadable(tenant: &str, error: &IntegrationError) -> Finding {
    let advice = match error {
        IntegrationError::Form => "run the version that stored it, or set the integration again",
        IntegrationError::Tenant => "somebody has moved it: set the integration again",
        IntegrationError::Sealed(_) => {
            "add the key that it was sealed with to `secrets`, or set the integration again"
        }
    };
    Finding::problem(KEYS, format!("tenant {tenant:?}: {error}"))
        .with_advice(format!("{advice}: `mender-iothub integration set`"))
}
