//! Wall clocks that are wrong, and that jump.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result};
use black_box::{
    TestDir,
    chaos::{Act, Sizes, Stage, Trouble},
    clock,
    skips::skip,
    until,
};

use super::{held, plan};

const SOON: Duration = Duration::from_secs(60);
const HOUR: i64 = 3_600;

fn skipped(test: &str) -> bool {
    if !clock::WORKS {
        skip(test, "no library can be loaded before others here");
    }
    !clock::WORKS
}

#[tokio::test]
async fn wall_clocks_that_are_an_hour_off_and_jump_change_nothing() -> Result<()> {
    if skipped("wall_clocks_that_are_an_hour_off_and_jump_change_nothing") {
        return Ok(());
    }
    let step = |worker, seconds| Act::StepClock { worker, seconds };
    let calm = Act::Calm { ms: 500 };
    let trouble = Trouble::Mixed;
    let acts = vec![
        step(0, HOUR),
        step(1, -HOUR),
        Act::HubFaults { trouble },
        calm,
        // New processes, which sign their first token with a wrong clock.
        Act::KillAll,
        calm,
        // Two hours at once, in the middle of work.
        step(0, -HOUR),
        step(1, HOUR),
        Act::HubDown { ms: 2_000 },
        Act::LoseAcks {
            worker: 0,
            ms: 1_000,
        },
        step(0, 0),
        Act::KillAfterWrite { worker: 1 },
        Act::CutNats { worker: 1 },
        calm,
    ];
    let episode = held("clocks", &plan(2, false, acts)).await?;
    assert_eq!(episode.worker_kills, 3);
    Ok(())
}

#[tokio::test]
async fn a_worker_has_the_wall_clock_that_it_is_given() -> Result<()> {
    if skipped("a_worker_has_the_wall_clock_that_it_is_given") {
        return Ok(());
    }
    let dir = TestDir::new("own-clock")?;
    let sizes = Sizes {
        workers: 1,
        clocks: true,
        ..Sizes::default()
    };
    let mut stage = Stage::set(dir.path(), sizes).await?;
    stage.clocks[0].set(10 * 24 * HOUR)?;
    let log = stage.workers[0].process().log().to_owned();
    let right = fs::read_to_string(&log)?;
    let day = |line: &str| line.get(..10).map(str::to_owned);
    let today = right.lines().last().and_then(day).context("no log")?;
    stage.bus.proxy(0)?.cut();
    until(SOON, "a line of another day", async || {
        let text = fs::read_to_string(&log)?;
        let last = text.lines().last().and_then(day);
        Ok((last.as_ref() != Some(&today)).then_some(()))
    })
    .await?;
    drop(stage);
    dir.passed();
    Ok(())
}
