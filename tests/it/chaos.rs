//! What stays true whatever dies: crashes, frozen processes, lost acks, servers that go away.
//!
//! Each test plays a plan against real processes and leaves the verdict to the oracle; what it asks
//! beyond that is its own.

mod backlog;
mod clocks;
mod credentials;
mod open_files;
mod poison;
mod quota;
mod storage;
mod tenants;

use anyhow::Result;
use black_box::{
    TestDir,
    chaos::{Act, Episode, Plan, Trouble, play},
};
use tokio::sync::Mutex;

/// What keeps the machine busy runs one after the other: times are short, and a machine that is busy with
/// several of them looks like a hub that is late.
static ALONE: Mutex<()> = Mutex::const_new(());

/// Plays a plan; whatever does not hold fails the test.
async fn held(name: &str, plan: &Plan) -> Result<Episode> {
    let _alone = ALONE.lock().await;
    let dir = TestDir::new(name)?;
    let episode = Box::pin(play(plan, dir.path())).await?;
    println!("{}", serde_json::to_string(&episode)?);
    assert_eq!(episode.verdict.violations, [], "{}", dir.path().display());
    dir.passed();
    Ok(episode)
}

/// A plan of these acts.
fn plan(workers: usize, cluster: bool, acts: Vec<Act>) -> Plan {
    Plan {
        seed: 7,
        workers,
        cluster,
        devices: 200,
        acts,
    }
}

#[tokio::test]
async fn nothing_is_lost_or_wrong_whenever_workers_and_servers_are_killed() -> Result<()> {
    let mut plan = Plan::of_kills(1, 3, 52, 10);
    // What was told by HTTP, and answered with 202 just before, is under way beside it.
    for (worker, place) in [5, 25, 45].into_iter().enumerate() {
        plan.acts.insert(place, Act::KillAfter202 { worker });
    }
    let episode = held("kills", &plan).await?;
    assert_eq!((episode.worker_kills, episode.nats_kills), (55, 5));
    let ended = episode.verdict.outcomes.sum();
    assert!(ended >= episode.events + 90, "{ended} events");
    Ok(())
}

#[tokio::test]
async fn a_worker_that_wakes_up_after_its_lease_undoes_nothing() -> Result<()> {
    let trouble = Trouble::Late;
    let acts = vec![
        Act::HubFaults { trouble },
        Act::Calm { ms: 1_000 },
        Act::Freeze {
            worker: 0,
            ms: 12_000,
        },
        Act::Calm { ms: 1_000 },
    ];
    let episode = held("freeze", &plan(2, false, acts)).await?;
    assert_eq!(episode.freezes, 1);
    Ok(())
}

#[tokio::test]
async fn a_cluster_that_loses_its_leader_loses_no_event() -> Result<()> {
    let down_ms = 1_000;
    let acts = vec![
        Act::Calm { ms: 1_000 },
        Act::KillNats { down_ms },
        Act::Kill { worker: 0 },
        Act::KillNats { down_ms },
    ];
    let episode = held("leader", &plan(2, true, acts)).await?;
    assert_eq!(episode.nats_kills, 2);
    Ok(())
}

#[tokio::test]
async fn leaders_that_step_down_under_load_lose_no_event_and_stop_nothing() -> Result<()> {
    let acts = vec![
        Act::Calm { ms: 1_000 },
        Act::StepDown,
        Act::Calm { ms: 500 },
        Act::StepDown,
        Act::Kill { worker: 0 },
        Act::StepDown,
    ];
    let episode = held("step-down", &plan(2, true, acts)).await?;
    let fewest = 3;
    assert!(episode.leaders_changed >= fewest, "{episode:?}");
    Ok(())
}

#[tokio::test]
async fn lost_acks_and_broken_connections_are_made_good() -> Result<()> {
    let (worker, trouble) = (0, Trouble::Mixed);
    let acts = vec![
        Act::HubFaults { trouble },
        Act::LoseAcks { worker, ms: 1_500 },
        Act::LoseConfirmations { worker, ms: 1_500 },
        Act::CutNats { worker: 1 },
        Act::CutHub,
        Act::MuteHub { ms: 1_500 },
        Act::HubDown { ms: 3_000 },
    ];
    held("lost", &plan(2, false, acts)).await?;
    Ok(())
}

#[tokio::test]
async fn an_outage_of_deviceconfig_delays_deliveries_and_nothing_else() -> Result<()> {
    let acts = vec![
        Act::Calm { ms: 500 },
        Act::DeviceconfigDown { ms: 8_000 },
        Act::Calm { ms: 500 },
    ];
    held("deviceconfig", &plan(1, false, acts)).await?;
    Ok(())
}
