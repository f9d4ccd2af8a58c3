//! A hub whose key was replaced: the tenant waits, and goes on by itself once it has the new one.

use std::time::Duration;

use anyhow::Result;
use black_box::{
    TestDir,
    chaos::{Crowd, Performance, Sizes, Stage, scene},
    evidence::Status,
    oracle, until,
};
use tokio::time::sleep;

const SOON: Duration = Duration::from_secs(60);
/// After the first refusals, how long the hub is watched for more.
const WATCHED: Duration = Duration::from_secs(15);

/// How many requests the hub has refused for their credential.
async fn refused(stage: &Stage) -> Result<usize> {
    let journal = stage.hub.journal().await?;
    Ok(journal.iter().filter(|it| it.status == Some(401)).count())
}

#[tokio::test]
async fn a_replaced_key_suspends_the_tenant_until_the_new_one_is_set() -> Result<()> {
    let dir = TestDir::new("rotated")?;
    let sizes = Sizes {
        workers: 1,
        ..Sizes::default()
    };
    let mut stage = Stage::set(dir.path(), sizes).await?;
    let mut crowd = Crowd::gather(&stage, 60, 1).await?;
    stage.rotate_key(1).await?;
    crowd.say_of_all(Status::Accepted).await?;
    until(SOON, "the first refusal", async || {
        Ok((refused(&stage).await? > 0).then_some(()))
    })
    .await?;
    // Those that were under way with the first refusal are refused as well.
    sleep(Duration::from_secs(1)).await;
    let before = refused(&stage).await?;
    sleep(WATCHED).await;
    let probes = refused(&stage).await? - before;
    assert!(
        probes <= 1,
        "{probes} probes in {WATCHED:?}, after {before}"
    );
    stage.integrate().await?;
    let mut performance = Performance::default();
    let scene = scene(&mut stage, &crowd, &mut performance).await?;
    println!("{before} requests refused at first, {probes} in {WATCHED:?} after that");
    assert_eq!(oracle::judge(&scene).violations, []);
    assert_eq!(scene.letters.len(), 0);
    drop(stage);
    dir.passed();
    Ok(())
}
