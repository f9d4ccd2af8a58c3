//! `status`: what there is to do, what was done, and what went wrong.

use std::collections::BTreeMap;

use jetstream::{DeadLetters, Error, KvSweeps, Outcomes, Status};
use reconciler::ports::{DeviceStore as _, IntegrationStore as _};
use reconciler::sweep::Report;
use serde::Serialize;

use crate::adapters::RecordStore;
use crate::cli::Output;
use crate::config::Config;
use crate::print;
use crate::session::Session;

/// Dead letters that are looked at to count them by reason.
const LETTERS: usize = 10_000;

#[derive(Serialize)]
struct Shown {
    nats: String,
    integrations: usize,
    devices: u64,
    outcomes: BTreeMap<String, u64>,
    dead_letters: BTreeMap<String, u64>,
    sweeps: Vec<Swept>,
    #[serde(flatten)]
    streams: Status,
}

/// What the last pass over a tenant found.
#[derive(Serialize)]
struct Swept {
    tenant: lifecycle::TenantId,
    ended: String,
    #[serde(flatten)]
    report: Report,
}

pub(crate) async fn run(config: &Config, output: Output) -> anyhow::Result<()> {
    let session = Session::for_command(config).await?;
    let (context, names) = (&session.context, &session.names);
    let streams = jetstream::status(context, names).await?;
    let info = session.client.server_info();
    let shown = Shown {
        nats: format!("{} {}", info.server_name, info.version),
        integrations: integrations(config, &session).await?,
        devices: records(config, &session).await?,
        outcomes: match Outcomes::open(context, names).await {
            Ok(outcomes) => outcomes
                .count(None)
                .await?
                .into_iter()
                .map(name_outcome)
                .collect(),
            Err(error) => missing(error)?,
        },
        dead_letters: match DeadLetters::open(context, names).await {
            Ok(letters) => by_reason(&letters).await?,
            Err(error) => missing(error)?,
        },
        sweeps: match KvSweeps::open(context, names).await {
            Ok(store) => sweeps(&store).await?,
            Err(error) => missing(error)?,
        },
        streams,
    };
    print::result(output, &shown, in_words)
}

/// How many integrations there are; none before `setup`.
async fn integrations(config: &Config, session: &Session) -> anyhow::Result<usize> {
    match RecordStore::from_config(config)?
        .open_integrations(session)
        .await
    {
        Ok(store) => Ok(store.list().await?.len()),
        Err(error) if error.is_missing() => Ok(0),
        Err(error) => Err(error.into()),
    }
}

/// How many device records there are; none before `setup`.
async fn records(config: &Config, session: &Session) -> anyhow::Result<u64> {
    match RecordStore::from_config(config)?.open(session).await {
        Ok(store) => {
            let count = store.count(None).await;
            store.close().await;
            Ok(count?)
        }
        Err(error) if error.is_missing() => Ok(0),
        Err(error) => Err(error.into()),
    }
}

fn name_outcome((outcome, count): (lifecycle::Outcome, u64)) -> (String, u64) {
    (format!("{outcome:?}").to_lowercase(), count)
}

/// What `setup` has not made yet counts as empty here; the list of streams tells it.
fn missing<T: Default>(error: Error) -> Result<T, Error> {
    match error {
        Error::Missing { .. } => Ok(T::default()),
        other => Err(other),
    }
}

async fn sweeps(store: &KvSweeps) -> Result<Vec<Swept>, Error> {
    let results = store.results().await?;
    let read = results.into_iter().map(|(tenant, at, result)| Swept {
        tenant,
        ended: print::time(at),
        report: serde_json::from_value(result).unwrap_or_default(),
    });
    Ok(read.collect())
}

async fn by_reason(letters: &DeadLetters) -> Result<BTreeMap<String, u64>, Error> {
    let mut counts = BTreeMap::new();
    for letter in letters.list(None, None, None, LETTERS).await?.letters {
        *counts
            .entry(format!("{}: {}", letter.class, letter.reason))
            .or_default() += 1;
    }
    Ok(counts)
}

fn in_words(shown: &Shown) -> String {
    let mut text = print::facts([
        ("NATS server", shown.nats.clone()),
        ("integrations", shown.integrations.to_string()),
        ("device records", shown.devices.to_string()),
        ("outcomes", counts(&shown.outcomes)),
    ]);
    let consumers = shown.streams.consumers.iter().map(|consumer| {
        let there = if consumer.exists {
            ""
        } else {
            " (missing: run `mender-iothub setup`)"
        };
        [
            format!("{}/{}{there}", consumer.stream, consumer.name),
            consumer.pending.to_string(),
            consumer.in_work.to_string(),
            consumer.redelivered.to_string(),
        ]
    });
    text.push('\n');
    text.push_str(&print::table(
        ["CONSUMER", "WAITING", "IN WORK", "REDELIVERED"],
        consumers,
    ));
    let streams = shown.streams.streams.iter().map(|stream| {
        let there = if stream.exists {
            ""
        } else {
            " (missing: run `mender-iothub setup`)"
        };
        let oldest = stream
            .oldest_seconds
            .map_or(String::new(), |age| format!("{age} s"));
        [
            format!("{}{there}", stream.name),
            stream.messages.to_string(),
            oldest,
        ]
    });
    text.push_str("\n\n");
    text.push_str(&print::table(["STREAM", "MESSAGES", "OLDEST"], streams));
    text.push_str(&of_sweeps(&shown.sweeps));
    text.push_str("\n\n");
    if shown.dead_letters.is_empty() {
        text.push_str("no dead letters");
    } else {
        let rows = shown
            .dead_letters
            .iter()
            .map(|(why, n)| [n.to_string(), why.clone()]);
        text.push_str(&print::table(["DEAD LETTERS", "REASON"], rows));
        text.push_str("\nlook closer with `mender-iothub dlq list`");
    }
    print::harmless(text)
}

fn of_sweeps(sweeps: &[Swept]) -> String {
    if sweeps.is_empty() {
        return String::new();
    }
    let rows = sweeps.iter().map(|swept| {
        let report = &swept.report;
        let found: u64 = report.findings.values().map(|found| found.count).sum();
        [
            format!("{:?}", swept.tenant.as_str()),
            swept.ended.clone(),
            report.records.to_string(),
            found.to_string(),
            report.repaired.to_string(),
            report.held_back.to_string(),
        ]
    });
    let head = [
        "SWEPT TENANT",
        "WHEN",
        "RECORDS",
        "FOUND",
        "REPAIRED",
        "HELD BACK",
    ];
    format!("\n\n{}", print::table(head, rows))
}

fn counts(counts: &BTreeMap<String, u64>) -> String {
    let words: Vec<_> = counts
        .iter()
        .map(|(name, count)| format!("{count} {name}"))
        .collect();
    words.join(", ")
}
