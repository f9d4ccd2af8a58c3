//! A hub that is down while events pile up: the worker holds its memory, and works them off in order
//! when the hub is back.

use std::time::{Duration, Instant};

use anyhow::Result;
use black_box::{
    Emulator, Installation, NatsServer, Proxy, Simulator, TestDir, Way, ledger::Ledger, until,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::ALONE;

const DEVICES: usize = 4_000;
/// Accepted, rejected, accepted, rejected, accepted.
const EVENTS: usize = DEVICES * 5;
const MEMORY: u64 = 100 * 1024 * 1024;
const LONG: Duration = Duration::from_secs(180);

async fn publish(nats: &NatsServer) -> Result<()> {
    let context = nats.jetstream().await?;
    for revision in 1..=EVENTS / DEVICES {
        let status = if revision % 2 == 1 {
            "accepted"
        } else {
            "rejected"
        };
        let body = format!(r#"{{"status":"{status}","revision":{revision}}}"#);
        let send = |device: usize| {
            let (context, body) = (context.clone(), body.clone());
            async move {
                let subject = format!("iothub.event.=.device-{device}");
                context.publish(subject, body.into()).await?.await?;
                anyhow::Ok(())
            }
        };
        let all = stream::iter(0..DEVICES).map(send).buffer_unordered(256);
        all.try_collect::<()>().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_backlog_for_a_dead_hub_takes_little_memory_and_is_worked_off_in_order() -> Result<()> {
    let _alone = ALONE.lock().await;
    let dir = TestDir::new("backlog")?;
    let nats = NatsServer::start(dir.path()).await?;
    let hub = Emulator::start(dir.path(), &[]).await?;
    let proxy = Proxy::before(hub.listen()).await?;
    let mender = Simulator::start(dir.path(), nats.url(), &[]).await?;
    let host = format!("localhost:{}", proxy.address().port());
    let config = crate::stage::config(nats.url(), &hub, mender.listen());
    // Waits between attempts as long as those of an outage are.
    let config = config
        .replace(hub.hub(), &host)
        .replace("cap_ms = 2000", "cap_ms = 10000");
    let installation = Installation::new(dir.path(), &config).await?;
    assert_eq!(installation.cli(&["setup"]).await?.code, Some(0));
    let string = hub.connection_string().replace(hub.hub(), &host);
    let set = ["integration", "set", "--tier", "unlimited"];
    assert_eq!(
        installation.cli_with_input(&set, &string).await?.code,
        Some(0)
    );
    let worker = installation.start().await?;
    proxy.set(Way::Closed);
    let begin = Instant::now();
    publish(&nats).await?;
    let published = begin.elapsed();
    let mut ledger = Ledger::open(nats.jetstream().await?).await?;
    // All but the last word of each device is superseded while the hub is away.
    until(LONG, "the backlog to be read", async || {
        ledger.catch_up().await?;
        Ok((ledger.ended() >= (EVENTS - DEVICES) as u64).then_some(()))
    })
    .await?;
    let read = begin.elapsed();
    let held = worker.rss_bytes().unwrap_or_default();
    assert_eq!(
        hub.journal()
            .await?
            .iter()
            .filter(|it| it.effective)
            .count(),
        0
    );
    proxy.set(Way::Open);
    let back = Instant::now();
    until(LONG, "every event to end", async || {
        ledger.catch_up().await?;
        Ok((ledger.ended() == EVENTS as u64).then_some(()))
    })
    .await?;
    println!(
        "{EVENTS} events: published {published:?}, read {read:?}, drained {:?}; {held} bytes, at last {:?}; {:?}",
        back.elapsed(),
        worker.rss_bytes(),
        ledger.tally(),
    );
    assert!(worker.rss_bytes().unwrap_or_default() < MEMORY);
    assert_eq!(ledger.tally().dead, 0);
    let devices = hub.devices().await?;
    let enabled = devices.iter().filter(|it| it["status"] == "enabled");
    assert_eq!(enabled.count(), DEVICES);
    in_order(&hub).await?;
    dir.passed();
    Ok(())
}

/// The last word is the only one that the hub may hear: one creation of each device, nothing else.
async fn in_order(hub: &Emulator) -> Result<()> {
    let journal = hub.journal().await?;
    let writes = journal.iter().filter(|it| it.effective);
    let identity: Vec<_> = writes
        .filter(|it| it.path.starts_with("/devices/"))
        .collect();
    let created = identity.iter().filter(|it| it.operation == "create");
    assert_eq!(created.count(), DEVICES);
    assert_eq!(identity.len(), DEVICES);
    Ok(())
}
