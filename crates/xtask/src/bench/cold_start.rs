//! `cold-start`: from the start of the process to the first event that has ended.

use std::time::Duration;

use anyhow::Result;
use tokio::time::Instant;

use super::{
    Bench,
    figure::{Case, Measured},
    heap::ACCEPTED,
    load,
    quantile::Sorted,
    seed::Seed,
    settled::Settled,
    stage::{Plan, Stage},
};

/// Starts with each number of records.
const STARTS: u32 = 7;
const LOOK: Duration = Duration::from_millis(2);
const WITHIN_MS: f64 = 1_000.0;

pub(super) async fn measure(bench: &Bench<'_>) -> Result<Measured> {
    let mut stage = Stage::set(bench.dir.path(), &Plan::default()).await?;
    let mut seed = Seed::sow(&mut stage, &bench.talk).await?;
    stage.workers.clear();
    let few = starts(bench, &stage, "few").await?;
    seed.until(bench.size, &bench.talk, |text, _| text).await?;
    let many = starts(bench, &stage, "many").await?;
    let mut case = Case::new(
        format!(
            "start to first event with {} records, median of {STARTS}",
            bench.size
        ),
        many.median(),
        "ms",
        few.median(),
        "with one record",
    );
    case.reached = Some(many.median() < WITHIN_MS);
    let slowest = Case::new(
        "the slowest of them",
        many.permille(1000),
        "ms",
        few.permille(1000),
        "with one record",
    );
    Ok(Measured {
        cases: vec![case, slowest],
        notes: Vec::new(),
    })
}

async fn starts(bench: &Bench<'_>, stage: &Stage, name: &str) -> Result<Sorted> {
    let mut settled = Settled::open(&stage.context, "IOTHUB_OUTCOMES").await?;
    let mut all = Vec::new();
    for start in 0..STARTS {
        let subject = format!("iothub.event.=.{name}-{start}");
        load::all(&stage.context, std::iter::once(subject), ACCEPTED).await?;
        let goal = settled.count().await? + 1;
        let begin = Instant::now();
        let starting = stage.installations[0].start_unready();
        let ended = async {
            while settled.count().await? < goal {
                tokio::time::sleep(LOOK).await;
            }
            anyhow::Ok(begin.elapsed())
        };
        let (worker, took) = tokio::try_join!(starting, ended)?;
        drop(worker);
        all.push(took.as_secs_f64() * 1000.0);
    }
    let all: Sorted = all.into_iter().collect();
    bench
        .talk
        .say(&format!("{name} records: {:.0} ms", all.median()));
    Ok(all)
}
