//! What nats-server keeps of what it has acknowledged, and what happens when it takes no more.

use std::time::Duration;

use anyhow::Result;
use async_nats::jetstream::{self, stream};
use black_box::{
    Emulator, Installation, NatsCluster, NatsServer, Simulator, TestDir, ledger::Ledger, until,
};
use futures::{StreamExt as _, stream::FuturesUnordered};

const SOON: Duration = Duration::from_secs(60);

/// Publishes as fast as acks come in, until `enough` were acknowledged; their number.
async fn publish(context: &jetstream::Context, enough: usize) -> Result<usize> {
    let mut waiting = FuturesUnordered::new();
    let mut acknowledged = 0;
    let mut sent = 0;
    let body = "x".repeat(300);
    while acknowledged < enough {
        while waiting.len() < 256 {
            sent += 1;
            let ack = context
                .publish(format!("kept.{sent}"), body.clone().into())
                .await?;
            waiting.push(ack.into_future());
        }
        if let Some(ack) = waiting.next().await {
            ack?;
            acknowledged += 1;
        }
    }
    Ok(acknowledged)
}

fn kept(replicas: usize) -> stream::Config {
    stream::Config {
        name: "KEPT".into(),
        subjects: vec!["kept.>".into()],
        num_replicas: replicas,
        retention: stream::RetentionPolicy::WorkQueue,
        ..Default::default()
    }
}

async fn messages(context: &jetstream::Context) -> Result<usize> {
    let mut stream = context.get_stream("KEPT").await?;
    Ok(usize::try_from(stream.info().await?.state.messages)?)
}

#[tokio::test]
async fn a_killed_server_keeps_every_message_that_it_acknowledged() -> Result<()> {
    let dir = TestDir::new("kept")?;
    let mut nats = NatsServer::start(dir.path()).await?;
    let context = nats.jetstream().await?;
    context.create_stream(kept(1)).await?;
    let mut least = 0;
    for round in 1..=5 {
        let context = nats.jetstream().await?;
        least += publish(&context, 5_000).await?;
        nats.process().kill9()?;
        // And once more while it reads its files.
        nats.restart_unready().await?;
        nats.process().kill9()?;
        nats.restart().await?;
        let kept = messages(&nats.jetstream().await?).await?;
        assert!(kept >= least, "kill {round}: {kept} of {least} kept");
    }
    dir.passed();
    Ok(())
}

#[tokio::test]
async fn a_cluster_that_loses_its_leader_keeps_what_it_acknowledged() -> Result<()> {
    let dir = TestDir::new("cluster-kept")?;
    let mut nats = NatsCluster::start(dir.path()).await?;
    nats.jetstream().await?.create_stream(kept(3)).await?;
    let mut least = 0;
    for _ in 1..=2 {
        let leader = nats.leader("KEPT").await?;
        least += publish(&nats.jetstream().await?, 3_000).await?;
        nats.kill9(leader)?;
        let next = until(SOON, "another leader", async || {
            let next = nats.leader("KEPT").await?;
            Ok((next != leader).then_some(next))
        })
        .await?;
        let kept = messages(&nats.jetstream().await?).await?;
        assert!(
            kept >= least,
            "{leader} killed, {next} leads: {kept} of {least} kept"
        );
        nats.restart(leader).await?;
    }
    dir.passed();
    Ok(())
}

#[tokio::test]
async fn a_cluster_killed_as_a_whole_keeps_what_it_acknowledged() -> Result<()> {
    let dir = TestDir::new("cluster-killed")?;
    let mut nats = NatsCluster::start(dir.path()).await?;
    nats.jetstream().await?.create_stream(kept(3)).await?;
    let least = publish(&nats.jetstream().await?, 5_000).await?;
    for index in 0..3 {
        nats.kill9(index)?;
    }
    for index in 0..3 {
        nats.restart_unready(index).await?;
    }
    nats.leader("KEPT").await?;
    let kept = messages(&nats.jetstream().await?).await?;
    assert!(kept >= least, "{kept} of {least} kept");
    dir.passed();
    Ok(())
}

/// Fills what NATS may use, until it takes nothing more.
async fn fill(context: &jetstream::Context) -> Result<()> {
    let config = stream::Config {
        name: "FILLER".into(),
        subjects: vec!["filler".into()],
        ..Default::default()
    };
    context.create_stream(config).await?;
    for size in [100_000, 1_000, 10] {
        while context
            .publish("filler", "x".repeat(size).into())
            .await?
            .await
            .is_ok()
        {}
    }
    Ok(())
}

#[tokio::test]
async fn a_nats_without_room_holds_everything_up_and_loses_nothing() -> Result<()> {
    const EVENTS: u64 = 40;
    let dir = TestDir::new("full")?;
    let config = dir.path().join("small.conf");
    std::fs::write(&config, "jetstream { max_file_store: 8MB }\n")?;
    let arguments = ["-c", &config.display().to_string()];
    let nats = NatsServer::start_with(dir.path(), &arguments).await?;
    let hub = Emulator::start(dir.path(), &[]).await?;
    let mender = Simulator::start(dir.path(), nats.url(), &[]).await?;
    let config = crate::stage::config(nats.url(), &hub, mender.listen());
    let installation = Installation::new(dir.path(), &config).await?;
    assert_eq!(installation.cli(&["setup"]).await?.code, Some(0));
    let set = ["integration", "set", "--tier", "unlimited"];
    let set = installation.cli_with_input(&set, hub.connection_string());
    assert_eq!(set.await?.code, Some(0));
    let context = nats.jetstream().await?;
    for device in 0..EVENTS {
        let body = r#"{"status":"accepted","revision":1}"#;
        let subject = format!("iothub.event.=.device-{device}");
        context.publish(subject, body.into()).await?.await?;
    }
    fill(&context).await?;
    let mut worker = installation.start().await?;
    let log = worker.process().log().to_owned();
    until(SOON, "the worker to say what is wrong", async || {
        let said = std::fs::read_to_string(&log)?;
        Ok(said.contains("unavailable, trying again").then_some(()))
    })
    .await?;
    // What cannot be recorded is not done.
    let journal = hub.journal().await?;
    assert_eq!(journal.iter().filter(|it| it.effective).count(), 0);
    context.delete_stream("FILLER").await?;
    let mut ledger = Ledger::open(context).await?;
    until(SOON, "every event to end", async || {
        ledger.catch_up().await?;
        Ok((ledger.ended() == EVENTS).then_some(()))
    })
    .await?;
    assert_eq!(ledger.tally().applied, EVENTS);
    drop(worker);
    dir.passed();
    Ok(())
}
