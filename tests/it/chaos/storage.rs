//! What nats-server keeps of what it has acknowledged.

use std::time::Duration;

use anyhow::Result;
use async_nats::jetstream::{self, stream};
use black_box::{NatsCluster, NatsServer, TestDir, until};
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
