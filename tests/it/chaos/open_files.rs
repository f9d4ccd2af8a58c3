//! A worker that may open no more files says so, loses nothing, and goes on when it may again.

use std::{fs, time::Duration};

use anyhow::{Result, anyhow};
use black_box::{
    TestDir,
    chaos::{Sizes, Stage},
    ledger::Ledger,
    until,
};
use serde_json::json;
use tokio::net::TcpStream;

const SOON: Duration = Duration::from_secs(60);
/// What the worker may have open: enough to start, and soon used up.
const MOST: u32 = 64;
const DEVICES: usize = 30;

#[tokio::test]
async fn a_worker_without_files_to_open_says_so_loses_nothing_and_goes_on_when_there_are_some()
-> Result<()> {
    let dir = TestDir::new("open-files")?;
    let sizes = Sizes {
        workers: 1,
        open_files: Some(MOST),
        ..Sizes::default()
    };
    let mut stage = Stage::set(dir.path(), sizes).await?;
    let log = stage.workers[0].process().log().to_owned();
    let says = async |what: &str| {
        until(SOON, what, async || {
            Ok(fs::read_to_string(&log)?.contains(what).then_some(()))
        })
        .await
    };
    says("at most 64 files and connections can be open at once").await?;
    // Whoever may reach its port can take them all.
    let base = stage.workers[0].http().base();
    let address = base.trim_start_matches("http://").to_owned();
    let mut taken = Vec::new();
    for _ in 0..2 * MOST {
        taken.push(TcpStream::connect(&address).await?);
    }
    says("no file or connection can be opened any more").await?;
    stage.hub_proxy.cut();
    let context = stage.bus.jetstream().await?;
    for number in 0..DEVICES {
        let body = r#"{"status":"accepted","revision":1}"#;
        let subject = format!("iothub.event.=.d{number}");
        context.publish(subject, body.into()).await?.await?;
    }
    says("to be tried again").await?;
    stage.workers[0].process().must_run()?;
    drop(taken);
    let mut ledger = Ledger::open(context).await?;
    until(SOON, "every event to end", async || {
        ledger.catch_up().await?;
        Ok((ledger.tally().sum() == DEVICES as u64).then_some(()))
    })
    .await?;
    let tally = ledger.tally();
    assert_eq!(tally.applied, DEVICES as u64, "{tally:?}");
    let devices = stage.hub.devices().await?;
    let enabled = devices.iter().filter(|it| it["status"] == json!("enabled"));
    assert_eq!(enabled.count(), DEVICES);
    stage.workers[0].ready(SOON).await?;
    drop(stage);
    dir.passed();
    Ok(())
}

#[tokio::test]
async fn a_worker_that_cannot_even_start_says_what_to_do() -> Result<()> {
    let dir = TestDir::new("no-files")?;
    let installation = black_box::Installation::new(dir.path(), "").await?;
    let ended = installation.open_files(16).cli(&["run"]).await?;
    let code = ended.code.ok_or_else(|| anyhow!("{}", ended.stderr))?;
    assert_eq!(code, 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("LimitNOFILE="), "{}", ended.stderr);
    dir.passed();
    Ok(())
}
