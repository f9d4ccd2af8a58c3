//! What stays true whatever dies: crashes, frozen processes, lost acks, servers that go away.

mod storage;

use anyhow::Result;
use black_box::{
    TestDir,
    chaos::{Episode, Plan, play},
};

/// Plays a plan; whatever does not hold fails the test.
async fn held(name: &str, plan: &Plan) -> Result<Episode> {
    let dir = TestDir::new(name)?;
    let episode = Box::pin(play(plan, dir.path())).await?;
    println!("{}", serde_json::to_string(&episode)?);
    assert_eq!(episode.verdict.violations, [], "seed {}", plan.seed);
    dir.passed();
    Ok(episode)
}

#[tokio::test]
async fn nothing_is_lost_or_wrong_whenever_workers_and_servers_are_killed() -> Result<()> {
    let episode = held("kills", &Plan::of_kills(1, 3, 52, 10)).await?;
    assert_eq!((episode.worker_kills, episode.nats_kills), (52, 5));
    Ok(())
}
