//! The harness keeps its word: real servers, storage that survives them, children that end.

use std::{process::Command, time::Duration};

use async_nats::jetstream::stream;
use black_box::{
    NatsServer, Process, TestDir,
    tools::{OLDEST, Version},
    until,
};

const SOON: Duration = Duration::from_secs(10);

fn shell(script: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script]);
    command
}

#[tokio::test]
async fn the_server_is_recent_enough() -> anyhow::Result<()> {
    let dir = TestDir::new("recent-server")?;
    let nats = NatsServer::start(dir.path()).await?;
    let version = nats.client().await?.server_info().version;
    assert!(Version::find(&version) >= Some(OLDEST), "{version}");
    dir.passed();
    Ok(())
}

#[tokio::test]
async fn a_stream_survives_an_orderly_restart_and_a_kill() -> anyhow::Result<()> {
    let dir = TestDir::new("stream-survives")?;
    let mut nats = NatsServer::start(dir.path()).await?;
    let jetstream = nats.jetstream().await?;
    let config = stream::Config {
        name: "KEPT".into(),
        subjects: vec!["kept".into()],
        ..Default::default()
    };
    jetstream.create_stream(config).await?;
    jetstream.publish("kept", "one".into()).await?.await?;
    let url = nats.url().to_owned();

    nats.restart().await?;
    assert_eq!(nats.url(), url);
    let jetstream = nats.jetstream().await?;
    jetstream.publish("kept", "two".into()).await?.await?;

    nats.process().kill9()?;
    nats.restart().await?;
    let mut stream = nats.jetstream().await?.get_stream("KEPT").await?;
    assert_eq!(stream.info().await?.state.messages, 2);
    dir.passed();
    Ok(())
}

#[tokio::test]
async fn two_servers_do_not_share_anything() -> anyhow::Result<()> {
    let (one, two) = (
        TestDir::new("first-server")?,
        TestDir::new("second-server")?,
    );
    let first = NatsServer::start(one.path()).await?;
    let second = NatsServer::start(two.path()).await?;
    assert_ne!(first.url(), second.url());
    let config = stream::Config {
        name: "MINE".into(),
        ..Default::default()
    };
    first.jetstream().await?.create_stream(config).await?;
    assert!(second.jetstream().await?.get_stream("MINE").await.is_err());
    one.passed();
    two.passed();
    Ok(())
}

#[tokio::test]
async fn a_dropped_process_ends_even_if_frozen() -> anyhow::Result<()> {
    let dir = TestDir::new("dropped-process")?;
    let gone = dir.path().join("gone");
    let script = format!(
        "trap 'touch {}; kill $!; exit' TERM; sleep 60 & echo '{{}}'; wait",
        gone.display()
    );
    let mut process = Process::start("child", shell(&script), dir.path())?;
    let _: serde_json::Value = process.ready_line(SOON).await?;
    process.freeze()?;
    drop(process);
    assert!(gone.exists(), "it had no chance to clean up");
    dir.passed();
    Ok(())
}

#[tokio::test]
async fn a_process_that_dies_before_it_is_ready_shows_its_last_words() -> anyhow::Result<()> {
    let dir = TestDir::new("early-death")?;
    let mut process = Process::start("child", shell("echo no such hub >&2; exit 3"), dir.path())?;
    let error = process
        .ready_line::<serde_json::Value>(SOON)
        .await
        .unwrap_err();
    let text = format!("{error:#}");
    assert!(
        text.contains("exit status: 3") && text.contains("no such hub"),
        "{text}"
    );
    dir.passed();
    Ok(())
}

#[tokio::test]
async fn a_process_started_again_is_not_taken_for_the_last_one() -> anyhow::Result<()> {
    let dir = TestDir::new("started-again")?;
    for run in 1..=2 {
        let mut process = Process::start("child", shell(&format!("echo {run}")), dir.path())?;
        assert!(process.exit(SOON).await?.success());
        let mut process = Process::start(
            "child",
            shell(&format!("echo {run}0; exec sleep 60")),
            dir.path(),
        )?;
        let line: u32 = process.ready_line(SOON).await?;
        assert_eq!(line, run * 10);
        process.kill9()?;
    }
    dir.passed();
    Ok(())
}

#[tokio::test]
async fn a_stopped_server_frees_its_port() -> anyhow::Result<()> {
    let dir = TestDir::new("stopped-server")?;
    let mut nats = NatsServer::start(dir.path()).await?;
    let status = nats.process().stop(SOON).await?;
    assert!(status.success(), "{status}");
    let address = nats.url().trim_start_matches("nats://").to_owned();
    until(SOON, "the port to refuse", async || {
        Ok(tokio::net::TcpStream::connect(&address)
            .await
            .is_err()
            .then_some(()))
    })
    .await?;
    dir.passed();
    Ok(())
}
