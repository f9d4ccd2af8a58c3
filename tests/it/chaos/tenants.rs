//! One tenant's hub hangs; another tenant does not notice.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result, ensure};
use black_box::{
    Emulator, Installation, NatsServer, Proxy, Simulator, TestDir, Way,
    ledger::{Ended, Reader},
    until,
};
use tokio::time::sleep;

use super::ALONE;

const SOON: Duration = Duration::from_secs(120);
const EVENTS: usize = 150;
const PACE: Duration = Duration::from_millis(20);
/// Events for the hub that hangs: far more than the worker handles at once.
const STUCK: usize = 400;
/// What a busy machine may add. Waiting for the other's time-outs would take many times as long.
const NOISE: Duration = Duration::from_secs(1);

pub(super) async fn publish(nats: &NatsServer, tenant: &str, device: &str) -> Result<u64> {
    let body = r#"{"status":"accepted","revision":1}"#;
    let context = nats.jetstream().await?;
    let subject = format!("iothub.event.{tenant}.{device}");
    Ok(context.publish(subject, body.into()).await?.await?.sequence)
}

/// Has something happen to new devices at a steady pace; how long 99 in 100 events took to end.
async fn p99(nats: &NatsServer, tenant: &str, round: &str) -> Result<Duration> {
    let context = nats.jetstream().await?;
    let mut begun = HashMap::new();
    for number in 0..EVENTS {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let sequence = publish(nats, tenant, &format!("{round}-{number}")).await?;
        begun.insert(format!("IOTHUB_EVENTS-{sequence}"), now);
        sleep(PACE).await;
    }
    let mut reader = Reader::open(&context, "IOTHUB_OUTCOMES").await?;
    let mut took = Vec::new();
    until(SOON, "every event to end", async || {
        for message in reader.rest().await? {
            let ended: Ended = serde_json::from_slice(&message.payload)?;
            let info = message.info().ok().context("no delivery information")?;
            let stored = u64::try_from(info.published.unix_timestamp_nanos())?;
            let begun = begun.get(&ended.event_id);
            took.extend(begun.map(|it| Duration::from_nanos(stored).saturating_sub(*it)));
        }
        Ok((took.len() == EVENTS).then_some(()))
    })
    .await?;
    took.sort();
    Ok(took[EVENTS * 99 / 100])
}

#[tokio::test]
async fn a_tenant_whose_hub_hangs_does_not_slow_another() -> Result<()> {
    let _alone = ALONE.lock().await;
    let dir = TestDir::new("tenants")?;
    let nats = NatsServer::start(dir.path()).await?;
    let slow_hub = Emulator::start(dir.path(), &[]).await?;
    let hub = Emulator::start(dir.path(), &[]).await?;
    let proxy = Proxy::before(slow_hub.listen()).await?;
    let mender = Simulator::start(dir.path(), nats.url(), &[]).await?;
    let slow_host = format!("localhost:{}", proxy.address().port());
    let hosts = format!("allowed_hosts = [\"{slow_host}\", ");
    let config = crate::stage::config(nats.url(), &hub, mender.listen());
    let config = config.replace("allowed_hosts = [", &hosts);
    let installation = Installation::new(dir.path(), &config).await?;
    let slow = slow_hub.connection_string();
    let slow = slow.replace(slow_hub.hub(), &slow_host);
    for (arguments, input) in [
        (&["setup"][..], ""),
        (
            &[
                "integration",
                "set",
                "--tier",
                "unlimited",
                "--tenant",
                "slow",
            ],
            &slow,
        ),
        (
            &[
                "integration",
                "set",
                "--tier",
                "unlimited",
                "--tenant",
                "other",
            ],
            hub.connection_string(),
        ),
    ] {
        let done = installation.cli_with_input(arguments, input).await?;
        ensure!(done.code == Some(0), "{arguments:?}: {}", done.stderr);
    }
    let _worker = installation.start().await?;
    let before = p99(&nats, "other", "before").await?;
    proxy.set(Way::Mute);
    for number in 0..STUCK {
        publish(&nats, "slow", &format!("stuck-{number}")).await?;
    }
    let beside = p99(&nats, "other", "beside").await?;
    println!("99 of 100 events end within {before:?}, and {beside:?} beside a hub that hangs");
    assert!(beside < 2 * before.max(NOISE), "{before:?}, {beside:?}");
    dir.passed();
    Ok(())
}
