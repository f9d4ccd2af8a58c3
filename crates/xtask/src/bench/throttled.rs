//! `throttled`: whether the hub's allowance is used to the full and not beyond.
//!
//! The hub's burst is spent before the clock starts, so that the rate is what counts. What was
//! allowed meanwhile is compared with what was done between a fifth and four fifths of the way.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, Result};
use black_box::emulator::JournalEntry;

use super::{
    Bench,
    bare::{self, BareHub},
    figure::{Case, Measured, number},
    heap::{ACCEPTED, work_off_by_all},
    settled::Settled,
    stage::{Plan, Stage},
};

const TENANTS: u64 = 20;
/// What has to be reached: of the allowance, of the requests, of a fair share.
const USED: f64 = 0.97;
const REFUSED: f64 = 0.01;
const SHARE: f64 = 0.8;
/// Devices of a tenant from which on its share is judged: with fewer, chance alone misses it.
const TELLING: u64 = 200;

/// A hub's edition.
struct Hub {
    name: &'static str,
    tier: &'static str,
    units: u32,
    /// Registry operations a minute and unit.
    per_unit: u32,
    /// How fast the clock of its limits runs.
    speed: u32,
    /// Which part of the size it is measured with.
    part: u64,
}

const HUBS: [Hub; 3] = [
    Hub {
        name: "S1 x 25",
        tier: "s1",
        units: 25,
        per_unit: 100,
        speed: 8,
        part: 1,
    },
    Hub {
        name: "S3 x 4",
        tier: "s3",
        units: 4,
        per_unit: 5_000,
        speed: 1,
        part: 1,
    },
    // Few operations a minute are the harder ones to share.
    Hub {
        name: "S1 x 1",
        tier: "s1",
        units: 1,
        per_unit: 100,
        speed: 1,
        part: 100,
    },
];

pub(super) async fn measure(bench: &Bench<'_>) -> Result<Measured> {
    let mut measured = Measured::default();
    for hub in HUBS {
        for workers in [1, 4] {
            let dir = bench
                .dir
                .path()
                .join(format!("{}-{}-{workers}", hub.tier, hub.units));
            std::fs::create_dir_all(&dir)?;
            let cases = one(bench, &dir, &hub, workers).await?;
            measured.cases.extend(cases);
        }
    }
    let order = |case: &Case| case.unit != "operations/s";
    measured
        .cases
        .sort_by(|a, b| order(a).cmp(&order(b)).then(a.ratio.total_cmp(&b.ratio)));
    Ok(measured)
}

async fn one(
    bench: &Bench<'_>,
    dir: &std::path::Path,
    hub: &Hub,
    workers: usize,
) -> Result<Vec<Case>> {
    let (units, speed) = (hub.units.to_string(), hub.speed.to_string());
    let arguments = [
        "--tier",
        hub.tier,
        "--units",
        &units,
        "--throttle-speed",
        &speed,
    ];
    let pause = (10_000 / hub.speed).to_string();
    let plan = Plan {
        workers,
        hub: &arguments,
        tier: (hub.tier, hub.units * hub.speed),
        tenants: usize::try_from(TENANTS)?,
        variables: &[("MENDER_IOTHUB__HUB__THROTTLE_WAIT_MS", &pause)],
        ..Plan::default()
    };
    let mut stage = Stage::set(dir, &plan).await?;
    let mut settled = Settled::open(&stage.context, "IOTHUB_OUTCOMES").await?;
    // So many that the burst which came back meanwhile is over before a fifth of them are done.
    let devices = (bench.size / hub.part).max(5 * TENANTS);
    let subjects = (0..devices).map(|n| format!("iothub.event.t{}.device-{n}", n % TENANTS));
    drain(&stage, hub).await?;
    let seen = stage.hub.journal().await?.last().map_or(0, |last| last.seq);
    let took = work_off_by_all(&mut stage, &mut settled, subjects, ACCEPTED, &bench.talk).await?;
    let journal = stage.hub.journal_since(seen).await?;
    let name = format!("{}, {workers} workers", hub.name);
    let allowed = f64::from(hub.per_unit * hub.units * hub.speed) / 60.0;
    let used = between(&journal).context("too few requests")?;
    let refused = journal.iter().filter(|it| it.status == Some(429)).count();
    let refused = refused as u64;
    let part = ratio(refused, journal.len() as u64);
    let share = least_share(&journal);
    bench.talk.say(&format!(
        "{name}: {devices} in {:.0} s, {:.1} % of {allowed:.1} a second, {:.2} % refused, least share {share:.2}",
        took.seconds,
        100.0 * used / allowed,
        100.0 * part,
    ));
    let mut refusals = Case::new(
        format!("{name}: requests answered 429"),
        number(refused),
        "requests",
        number(journal.len() as u64),
        "all requests",
    );
    refusals.reached = Some(part < REFUSED);
    let mut shares = Case::new(
        format!("{name}: least served of {TENANTS} tenants"),
        share,
        "of its share",
        1.0,
        "a fair share",
    );
    if devices / TENANTS >= TELLING {
        shares = shares.at_least(SHARE);
    }
    Ok(vec![
        Case::new(&name, used, "operations/s", allowed, "what the tier allows").at_least(USED),
        refusals,
        shares,
    ])
}

/// Spends the hub's burst: a minute's allowance that nobody may do the work with. Calls beyond it are not
/// refused but answered late, one after the other.
async fn drain(stage: &Stage, hub: &Hub) -> Result<()> {
    let client = BareHub::new(
        stage.hub.connection_string(),
        &std::fs::read(stage.hub.ca_file())?,
    )?;
    let operations = hub.per_unit * hub.units;
    for _ in 0..operations.div_ceil(bare::BULK) {
        client.spend().await?;
    }
    Ok(())
}

/// Registry operations a second between a fifth and four fifths of them.
fn between(journal: &[JournalEntry]) -> Option<f64> {
    let mut times: Vec<u64> = journal
        .iter()
        .filter(|it| it.path.starts_with("/devices/") && it.status != Some(429))
        .filter_map(|it| it.effect_us)
        .collect();
    times.sort_unstable();
    let (from, to) = (times.len() / 5, times.len() * 4 / 5);
    let took = Duration::from_micros(times.get(to)?.checked_sub(*times.get(from)?)?);
    (!took.is_zero()).then(|| number((to - from) as u64) / took.as_secs_f64())
}

/// Of the creations in the first half: those of the least served tenant, beside an equal share.
fn least_share(journal: &[JournalEntry]) -> f64 {
    let made: Vec<&JournalEntry> = journal
        .iter()
        .filter(|it| it.effective && it.operation == "create")
        .collect();
    let half = &made[..made.len() / 2];
    let mut tenants: BTreeMap<u64, u64> = (0..TENANTS).map(|tenant| (tenant, 0)).collect();
    for entry in half {
        let number = entry.device.as_deref().and_then(|it| it.rsplit('-').next());
        if let Some(number) = number.and_then(|it| it.parse::<u64>().ok()) {
            *tenants.entry(number % TENANTS).or_default() += 1;
        }
    }
    let least = tenants.values().min().copied().unwrap_or_default();
    ratio(least, half.len() as u64) * number(TENANTS)
}

fn ratio(part: u64, whole: u64) -> f64 {
    number(part) / number(whole.max(1))
}
