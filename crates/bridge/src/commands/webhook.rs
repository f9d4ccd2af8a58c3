//! `webhook set|show|test|remove`: where a tenant's outcomes are sent to.

use std::time::Duration;

use anyhow::{Context as _, bail};
use jetstream::{Feed, FeedState, KvIntegrations};
use lifecycle::{TenantId, Timestamp};
use messages::WebhookMessage;
use reconciler::ports::{IntegrationStore as _, Saved};
use serde_json::{Value, json};
use uuid::Uuid;
use webhook::Secret;
use zeroize::Zeroizing;

use super::given;
use crate::adapters::Receivers;
use crate::cli::{self, OfTenant, Output, WebhookSet};
use crate::config::{Config, ConfigError};
use crate::keys::SealingKeys;
use crate::print;
use crate::session::Session;
use crate::webhook::{OldSecret, Opened, Webhook, WebhookError};

pub(crate) async fn run(config: &Config, what: cli::Webhook, output: Output) -> anyhow::Result<()> {
    match what {
        cli::Webhook::Set(args) => set(config, args, output).await,
        cli::Webhook::Show { tenant } => show(config, tenant, output).await,
        cli::Webhook::Test(of) => test(config, &of.tenant, output).await,
        cli::Webhook::Remove(of) => remove(config, of, output).await,
    }
}

async fn set(config: &Config, args: WebhookSet, output: Output) -> anyhow::Result<()> {
    let keys = SealingKeys::from_config(&config.secrets).await?;
    let receivers = Receivers::from_config(&config.webhook)?;
    let url = given_url(&args)?;
    // A wrong URL is told before anything is asked for.
    let endpoint = url.as_deref().map(|url| receivers.endpoint(url));
    let endpoint = endpoint.transpose()?;
    let text = given::secret(
        "secret",
        args.secret_file.as_deref(),
        args.secret_env.as_deref(),
    )?;
    let secret: Secret = text.parse()?;

    let session = Session::for_command(config).await?;
    let kept = KvIntegrations::open_webhooks(&session.context, &session.names).await?;
    let tenant = args.of.tenant;
    let before = kept.load(&tenant).await?;
    let version = before.as_ref().map(|(_, version)| *version);
    let opened = match &before {
        Some((bytes, _)) => match open(&keys, &tenant, bytes).await {
            Ok(opened) => Some(opened),
            Err(error) if endpoint.is_some() => {
                eprintln!("warning: {error}; its secret is not kept beside the new one");
                None
            }
            Err(error) => return Err(error).context("say with --url where to send to"),
        },
        None => None,
    };
    let endpoint = match (endpoint, &opened) {
        (Some(endpoint), _) => endpoint,
        (None, Some(opened)) => receivers.endpoint(&opened.url)?,
        (None, None) => {
            return Err(ConfigError(format!("{}: say where to with --url", none(&tenant))).into());
        }
    };
    let hours = Duration::from_secs(u64::from(args.keep_old_secret) * 3_600);
    let old = opened.and_then(|opened| old_secret(opened, &secret, hours));
    let webhook = Webhook::seal(&tenant, &endpoint, &secret, old.as_ref(), &keys.ring())?;
    // First of all: from here on nothing is missed.
    Feed::ensure(&session.context, &session.names, &tenant, false).await?;
    if kept.save(&tenant, &webhook.to_bytes(), version).await? == Saved::Lost {
        bail!("somebody else changed the webhook just now; look and try again");
    }
    print::result(output, &shown(&webhook, None), |_| {
        format!(
            "outcomes of tenant {:?} are sent to {} from now on; try it with `mender-iothub webhook \
             test`",
            tenant.as_str(),
            webhook.clear.origin
        )
    })
}

async fn open(
    keys: &SealingKeys,
    tenant: &TenantId,
    stored: &[u8],
) -> Result<Opened, WebhookError> {
    let webhook = Webhook::from_bytes(tenant, stored)?;
    keys.open_webhook(&webhook).await
}

fn given_url(args: &WebhookSet) -> anyhow::Result<Option<Zeroizing<String>>> {
    match &args.url_env {
        Some(name) => given::from_variable(name).map(Some),
        None => Ok(args.url.clone().map(Zeroizing::new)),
    }
}

/// The secret so far, if it is another one and to be kept.
fn old_secret(opened: Opened, secret: &Secret, keep: Duration) -> Option<OldSecret> {
    let differs = opened.secret != *secret && !keep.is_zero();
    differs.then(|| OldSecret {
        until: now().plus(keep),
        secret: opened.secret,
    })
}

async fn show(config: &Config, tenant: Option<TenantId>, output: Output) -> anyhow::Result<()> {
    let session = Session::for_command(config).await?;
    let kept = KvIntegrations::open_webhooks(&session.context, &session.names).await?;
    let tenants = match tenant {
        Some(tenant) => vec![tenant],
        None => kept.list().await?,
    };
    let mut found = Vec::new();
    for tenant in tenants {
        if let Some((bytes, _)) = kept.load(&tenant).await? {
            let state = Feed::state(&session.context, &session.names, &tenant).await?;
            found.push((Webhook::from_bytes(&tenant, &bytes)?, state));
        }
    }
    let all: Vec<_> = found.iter().map(|(it, state)| shown(it, *state)).collect();
    print::result(output, &all, |_| {
        if found.is_empty() {
            return "no webhook; set one with `mender-iothub webhook set`".to_owned();
        }
        let rows = found.iter().map(|(webhook, state)| row(webhook, *state));
        let head = [
            "TENANT",
            "SENT TO",
            "SINCE",
            "WAITING",
            "IN WORK",
            "OLD SECRET UNTIL",
        ];
        print::harmless(print::table(head, rows))
    })
}

fn row(webhook: &Webhook, state: Option<FeedState>) -> [String; 6] {
    let lost = || "lost: run `mender-iothub setup`".to_owned();
    let clear = &webhook.clear;
    [
        format!("{:?}", webhook.tenant.as_str()),
        clear.origin.clone(),
        time(clear.changed_us),
        state.map_or_else(lost, |state| state.waiting.to_string()),
        state.map_or_else(String::new, |state| state.in_work.to_string()),
        old_until(webhook).map_or_else(String::new, time),
    ]
}

fn shown(webhook: &Webhook, state: Option<FeedState>) -> Value {
    let mut shown = json!({
        "tenant": webhook.tenant,
        "origin": webhook.clear.origin,
        "since": time(webhook.clear.changed_us),
        "old_secret_until": old_until(webhook).map(time),
        "sealed_with_key": webhook.key_id(),
    });
    if let Some(state) = state {
        shown["waiting"] = json!(state.waiting);
        shown["in_work"] = json!(state.in_work);
    }
    shown
}

/// Until when the secret before is used, if it still is.
fn old_until(webhook: &Webhook) -> Option<i64> {
    let until = webhook.clear.old_secret_until_us;
    until.filter(|until| *until > now().as_micros())
}

fn time(micros: i64) -> String {
    print::time(Timestamp::from_micros(micros))
}

async fn test(config: &Config, tenant: &TenantId, output: Output) -> anyhow::Result<()> {
    let keys = SealingKeys::from_config(&config.secrets).await?;
    let receivers = Receivers::from_config(&config.webhook)?;
    let session = Session::for_command(config).await?;
    let kept = KvIntegrations::open_webhooks(&session.context, &session.names).await?;
    let (bytes, _) = kept.load(tenant).await?.with_context(|| none(tenant))?;
    let webhook = Webhook::from_bytes(tenant, &bytes)?;
    let receiver = receivers.open(keys.open_webhook(&webhook).await?)?;
    let message = WebhookMessage::test(tenant.as_str(), now());
    let sent = receiver.send(Uuid::new_v4(), &message).await;
    let origin = &webhook.clear.origin;
    sent.with_context(|| format!("the webhook at {origin} did not take the test"))?;
    let told = json!({"tenant": tenant, "origin": origin, "ok": true});
    print::result(output, &told, |_| {
        format!("the webhook at {origin} has taken the test")
    })
}

async fn remove(config: &Config, of: OfTenant, output: Output) -> anyhow::Result<()> {
    let tenant = of.tenant;
    let session = Session::for_command(config).await?;
    let (context, names) = (&session.context, &session.names);
    let kept = KvIntegrations::open_webhooks(context, names).await?;
    let (_, version) = kept.load(&tenant).await?.with_context(|| none(&tenant))?;
    let state = Feed::state(context, names, &tenant).await?;
    let unsent = state.map_or(0, |state| state.waiting + state.in_work as u64);
    if kept.remove(&tenant, version).await? == Saved::Lost {
        bail!("somebody else changed the webhook just now; look and try again");
    }
    Feed::remove(context, names, &tenant).await?;
    print::result(output, &json!({"tenant": tenant, "unsent": unsent}), |_| {
        format!(
            "webhook of tenant {:?} removed; {unsent} outcomes were not sent yet, and will not be",
            tenant.as_str()
        )
    })
}

fn none(tenant: &TenantId) -> String {
    format!("tenant {:?} has no webhook", tenant.as_str())
}

fn now() -> Timestamp {
    Timestamp::from_micros(jiff::Timestamp::now().as_microsecond())
}
