//! One look at everything.

use std::collections::BTreeMap;

use indicatif::ProgressBar;
use jetstream::{DeadLetters, Error, KvSweeps, Outcomes, Status};
use lifecycle::{TenantId, Timestamp};
use reconciler::Census;
use reconciler::ports::{DeviceStore as _, IntegrationStore as _};
use reconciler::sweep::Report;
use serde::Serialize;

use super::census::{Counter, READ_ALWAYS, Records};
use super::summary::{self, Pace, Suspended};
use super::workers::{self, Workers};
use crate::adapters::{RecordStore, StorePort};
use crate::commands::dlq;
use crate::config::Config;
use crate::print;
use crate::session::Session;

/// What there is to see.
#[derive(Serialize)]
pub(super) struct Shown {
    pub(super) time: String,
    pub(super) nats: String,
    pub(super) workers: Workers,
    pub(super) backlog: Backlog,
    pub(super) integrations: usize,
    pub(super) suspended: Vec<Suspended>,
    pub(super) hubs: Vec<Pace>,
    pub(super) devices: u64,
    pub(super) records: Records,
    pub(super) outcomes: BTreeMap<String, u64>,
    pub(super) dead_letters: BTreeMap<String, u64>,
    pub(super) sweeps: Vec<Swept>,
    #[serde(flatten)]
    pub(super) streams: Status,
}

/// What waits to be done.
#[derive(Serialize)]
pub(super) struct Backlog {
    /// Messages of Mender that were not taken in yet.
    pub(super) mender_messages: u64,
    /// Events that no worker has begun with.
    pub(super) events: u64,
    /// Events that a worker has begun with.
    pub(super) in_work: u64,
    /// Age of the oldest event; null if there is none.
    pub(super) oldest_seconds: Option<u64>,
}

/// What the last pass over a tenant found.
#[derive(Serialize)]
pub(super) struct Swept {
    pub(super) tenant: TenantId,
    pub(super) ended: String,
    #[serde(skip)]
    pub(super) at: Timestamp,
    #[serde(flatten)]
    pub(super) report: Report,
}

/// Looks, and remembers what need not be read twice.
pub(super) struct Looker {
    session: Session,
    records: RecordStore,
    store: Option<StorePort>,
    count_all: bool,
    counter: Counter,
    outcomes: jetstream::Counted,
    /// Dead letters by reason, and how large their stream was then.
    letters: Option<((u64, u64), BTreeMap<String, u64>)>,
}

impl Looker {
    pub(super) async fn open(config: &Config, count_all: bool) -> anyhow::Result<Self> {
        Ok(Self {
            session: Session::for_command(config).await?,
            records: RecordStore::from_config(config)?,
            store: None,
            count_all,
            counter: Counter::default(),
            outcomes: jetstream::Counted::default(),
            letters: None,
        })
    }

    /// Looks at everything. What takes long shows a bar if `bars` says so.
    pub(super) async fn look(&mut self, bars: bool) -> anyhow::Result<Shown> {
        let session = self.session.clone();
        let (context, names) = (&session.context, &session.names);
        let streams = jetstream::status(context, names).await?;
        let workers = workers::ask(&session).await?;
        let tenants = self.tenants().await?;
        let sweeps = match KvSweeps::open(context, names).await {
            Ok(store) => sweeps(&store).await?,
            Err(error) => missing(error)?,
        };
        let (devices, records) = self.count_records(&sweeps, bars).await?;
        let info = session.client.server_info();
        Ok(Shown {
            time: print::time(print::now()),
            nats: format!("{} {}", info.server_name, info.version),
            backlog: backlog(&streams),
            integrations: tenants.len(),
            suspended: summary::suspended(&workers.answers, &tenants),
            hubs: summary::hubs(&workers.answers),
            workers,
            devices,
            records,
            outcomes: self.count_outcomes(&streams, bars).await?,
            dead_letters: self.count_letters(&streams).await?,
            sweeps,
            streams,
        })
    }

    /// Tenants with an integration; none before `setup`.
    async fn tenants(&self) -> anyhow::Result<Vec<TenantId>> {
        match self.records.open_integrations(&self.session).await {
            Ok(store) => Ok(store.list().await?),
            Err(error) if error.is_missing() => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }

    /// How many records there are, none before `setup`, and in which states.
    async fn count_records(
        &mut self,
        sweeps: &[Swept],
        bars: bool,
    ) -> anyhow::Result<(u64, Records)> {
        if self.store.is_none() {
            self.store = match self.records.open(&self.session).await {
                Ok(store) => Some(store),
                Err(error) if error.is_missing() => return Ok((0, Records::default())),
                Err(error) => return Err(error.into()),
            };
        }
        let Some(store) = &self.store else {
            return Ok((0, Records::default()));
        };
        let total = store.count(None).await?;
        if total > READ_ALWAYS && !self.count_all {
            return Ok((total, swept(sweeps)));
        }
        if let Some(counted) = self.counter.still_good() {
            return Ok((total, counted));
        }
        let bar = bar("reading records", total, bars);
        let counted = self.counter.count(store, &bar).await;
        bar.finish_and_clear();
        Ok((total, counted?))
    }

    async fn count_outcomes(
        &mut self,
        streams: &Status,
        bars: bool,
    ) -> anyhow::Result<BTreeMap<String, u64>> {
        let (context, names) = (&self.session.context, &self.session.names);
        let log = match Outcomes::open(context, names).await {
            Ok(log) => log,
            Err(error) => return Ok(missing(error)?),
        };
        let (total, _) = size(streams, &names.outcome_stream());
        let bar = bar("counting outcomes", total, bars);
        let progress = |_: &jetstream::Counted| bar.inc(1);
        let read = log.count_on(None, &mut self.outcomes, &progress).await;
        bar.finish_and_clear();
        read?;
        let name = |(outcome, count): (&lifecycle::Outcome, &u64)| {
            (format!("{outcome:?}").to_lowercase(), *count)
        };
        Ok(self.outcomes.outcomes.iter().map(name).collect())
    }

    /// Counts them by reason, unless none came or went since the last time.
    async fn count_letters(&mut self, streams: &Status) -> anyhow::Result<BTreeMap<String, u64>> {
        let (context, names) = (&self.session.context, &self.session.names);
        let present = size(streams, &names.dead_letter_stream());
        if let Some((then, counts)) = &self.letters
            && *then == present
        {
            return Ok(counts.clone());
        }
        let counts = match DeadLetters::open(context, names).await {
            Ok(letters) => dlq::by_reason(&letters).await?,
            Err(error) => missing(error)?,
        };
        self.letters = Some((present, counts.clone()));
        Ok(counts)
    }
}

/// Messages and bytes of a stream.
fn size(streams: &Status, name: &str) -> (u64, u64) {
    let stream = streams.streams.iter().find(|stream| stream.name == name);
    stream.map_or((0, 0), |stream| (stream.messages, stream.bytes))
}

fn bar(what: &'static str, of: u64, shown: bool) -> ProgressBar {
    if shown {
        print::progress(what, of)
    } else {
        ProgressBar::hidden()
    }
}

fn backlog(streams: &Status) -> Backlog {
    let [ingest, worker] = [0, 1].map(|n| streams.consumers.get(n));
    let waiting = |it: &jetstream::ConsumerStatus| it.pending;
    Backlog {
        mender_messages: ingest.map_or(0, |it| it.pending + it.in_work),
        events: worker.map_or(0, waiting),
        in_work: worker.map_or(0, |it| it.in_work),
        oldest_seconds: streams.oldest_event_seconds,
    }
}

/// What the sweeps counted; as old as the oldest of them.
fn swept(sweeps: &[Swept]) -> Records {
    let mut by_state = Census::default();
    for swept in sweeps {
        by_state.extend(&swept.report.census);
    }
    let oldest = sweeps.iter().map(|swept| swept.at).min();
    Records {
        counted_at: oldest.map(print::time),
        by_the_sweep: true,
        not_understood: 0,
        by_state,
    }
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
        at,
        report: serde_json::from_value(result).unwrap_or_default(),
    });
    Ok(read.collect())
}
