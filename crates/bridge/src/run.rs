//! `run`: the worker.
//!
//! It starts whatever is missing around it: it listens at once, waits for NATS, the streams, the
//! hubs and Mender, says once what it waits for, and begins when they are there. When told to
//! stop it takes no new work, ends what is in flight, and leaves the rest unacknowledged.

mod health;
mod http;
mod iot_manager;
mod looks;
mod metrics;
pub(crate) mod open_files;
mod ops;
mod outlook;
mod readiness;
mod replays;
pub(crate) mod signals;
mod sweeper;
mod twins;
mod waiting;
mod webhooks;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::OptionFuture;
use jetstream::{Advisories, Ingest, IngestSettings, Intake, IntakeSettings, NatsAck, NatsStreams};
use lifecycle::{IntentId, RetryPolicy};
use reconciler::ports::Task;
use reconciler::{Dispatcher, Reconciler, Settings};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde_json::json;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::adapters::{
    HubFactory, Integrations, MenderPort, Receivers, RecordStore, StoreError, StorePort,
    TwinAccess, stored,
};
use crate::config::Config;
use crate::keys::{self, SealingKeys};
use crate::log;
use crate::session::Session;
use crate::telemetry::{self, Traces};
use crate::trace;
use health::{Health, Heart};
use iot_manager::{Apis, IOT_MANAGER};
use looks::{KnownHubs, Looks};
use metrics::{Counted, Metrics};
use ops::Told;
use outlook::Outlook;
use readiness::{Need, Readiness};
use twins::{TWINS, Twins};
use waiting::until_there;
use webhooks::Webhooks;

const NATS: Need = Need::new("NATS", "nats");
const STREAMS: Need = Need::new("the streams in NATS", "streams");
const RECORDS: Need = Need::new("the store of device records", "store");
const MENDER: Need = Need::new("Mender's deviceconfig", "deviceconfig");
const HUB: Need = Need::new("a hub", "hub");
/// A place among the messages in work becomes free sooner than this: whoever has one is answered, or gives up,
/// within minutes, also while NATS or a hub is away.
const STUCK: Duration = Duration::from_secs(15 * 60);
/// How often whoever waits for messages says that it does.
const BEAT_EVERY: Duration = Duration::from_secs(5);
/// One hub has at most one in so many of the messages in work waiting for its answers.
const HUBS_SHARE: usize = 4;

type Worker = Reconciler<StorePort, Integrations, MenderPort, NatsStreams>;

/// Runs until SIGTERM or Ctrl-C.
pub(crate) async fn run(config: Config) -> anyhow::Result<()> {
    let traces = Traces::from_config(&config.telemetry)?;
    log::start(&config.log, traces.as_ref())?;
    let parts = Parts::from_config(&config).await?;
    let session = Session::begin(&config, "mender-iothub worker").await?;
    let stop = CancellationToken::new();
    signals::listen(stop.clone())?;
    let mut needs = vec![NATS, STREAMS, RECORDS, MENDER, HUB, open_files::ROOM];
    needs.extend(config.twin.enabled.then_some(TWINS));
    needs.extend(config.iot_manager.is_on().then_some(IOT_MANAGER));
    let readiness = Readiness::waiting_for(&needs);
    let seen = Seen {
        counted: Counted::default(),
        outlook: Outlook::default(),
        health: Health::start(stop.clone()),
        told: Arc::new(Told::new(readiness.clone())),
    };
    let files = open_files::watch(readiness.clone(), stop.clone());
    tokio::spawn(seen.health.lives("open files", &stop, files));
    let metrics = Metrics::new(&seen);
    let (health, listen) = (seen.health.clone(), &config.http.listen);
    let address = http::serve(listen, health, readiness.clone(), metrics, stop.clone()).await?;
    let apis = Apis::start(&config, &parts, &stop).await?;
    tell(address, apis.as_ref());
    let told = Arc::clone(&seen.told);
    tokio::spawn(ops::answer(session.clone(), told, stop.clone()));
    let apis = apis.map(|apis| Box::pin(apis.run(&readiness, &stop)));
    let worker = Box::pin(async {
        let ended = run_worker(&config, &session, parts, &seen, &stop).await;
        stop.cancel();
        ended
    });
    let (ended, _) = tokio::join!(worker, OptionFuture::from(apis));
    if let Some(traces) = traces {
        traces.stop().await;
    }
    ended?;
    tracing::info!("stopped");
    Ok(())
}

/// Says on standard output where the worker listens: one JSON line, for whoever chose port 0.
fn tell(http: SocketAddr, apis: Option<&Apis>) {
    let mut addresses = apis.map_or_else(|| json!({}), |apis| apis.addresses.clone());
    addresses["http"] = json!(http.to_string());
    println!("{addresses}");
}

/// What can be seen of the worker from outside.
struct Seen {
    counted: Counted,
    outlook: Outlook,
    health: Health,
    told: Arc<Told>,
}

/// The worker itself, from waiting for its servers to the end of what is in flight.
async fn run_worker(
    config: &Config,
    session: &Session,
    parts: Parts,
    seen: &Seen,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let readiness = seen.told.readiness();
    let Some(opened) = Box::pin(open(session, &parts, readiness, stop)).await else {
        return Ok(());
    };
    let opened = opened?;
    let mongo = opened.devices.server();
    let looks = Looks {
        session: session.clone(),
        records: parts.records.clone(),
        mongo: mongo.clone(),
        mender: parts.mender.clone(),
        hubs: opened.hubs.clone(),
        told: Arc::clone(&seen.told),
    };
    let looking = seen.health.lives("looks", stop, looks.run(stop.clone()));
    let looking = tokio::spawn(looking);
    Box::pin(work(config, session, parts, opened, seen, stop)).await?;
    looking.await?;
    if let Some(mongo) = mongo {
        mongo.close().await;
    }
    Ok(())
}

/// Whether the worker would have everything that it needs from the configuration.
pub(crate) async fn check(config: &Config) -> anyhow::Result<()> {
    http::check(&config.http.listen)?;
    let parts = Parts::from_config(config).await?;
    iot_manager::port(config, &parts)?;
    telemetry::check(&config.telemetry)?;
    Ok(())
}

/// Does what there is to do until the worker is told to stop.
async fn work(
    config: &Config,
    session: &Session,
    parts: Parts,
    opened: Opened,
    seen: &Seen,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let (counted, health, told) = (&seen.counted, &seen.health, &seen.told);
    let Opened {
        devices,
        hubs,
        streams,
    } = opened;
    let integrations = hubs.integrations;
    let mut beside = JoinSet::new();
    let max_deliveries = config.worker.max_deliveries;
    if config.source.enabled {
        let how = IngestSettings {
            max_deliveries,
            ..IngestSettings::default()
        };
        let ingest = Ingest::new(&session.context, streams.clone(), how);
        counted.ingest.get_or_init(|| ingest.counters());
        beside.spawn(health.lives("ingest", stop, ingest.run(stop.clone())));
    }
    let advisories = Advisories::new(&session.context, streams.clone());
    counted.advisories.get_or_init(|| advisories.counters());
    beside.spawn(health.lives("advisories", stop, advisories.run(stop.clone())));
    let outlook = seen.outlook.clone().run(
        session.clone(),
        config.source.enabled,
        told.readiness().clone(),
        stop.clone(),
    );
    beside.spawn(health.lives("outlook", stop, outlook));
    if config.sweep.enabled {
        let (config, session) = (config.clone(), session.clone());
        let sweeps = sweeper::run(config, session, stop.clone());
        beside.spawn(health.lives("sweeper", stop, sweeps));
    }
    if config.webhook.enabled {
        let webhooks = Webhooks::new(config, Arc::clone(&parts.keys), parts.receivers);
        counted.webhooks.get_or_init(|| webhooks.counters());
        let own = Session::begin(config, "mender-iothub webhooks").await?;
        beside.spawn(health.lives("webhooks", stop, webhooks.run(own, stop.clone())));
    }
    let twins = if config.twin.enabled {
        let (keys, factory) = (Arc::clone(&parts.keys), Arc::clone(&parts.factory));
        let twins = Twins::new(config, keys, factory, parts.records.clone(), parts.access);
        let own = Session::begin(config, "mender-iothub twins").await?;
        Some(twins.run(own, told.readiness(), stop))
    } else {
        None
    };
    let how = IntakeSettings {
        ahead: config.worker.in_flight,
        max_deliveries,
    };
    let replays = replays::run(session.clone(), stop.clone());
    beside.spawn(health.lives("replays", stop, replays));
    let intake = Intake::start(&session.context, streams.clone(), how, stop.clone());
    counted.intake.get_or_init(|| intake.counters());
    let counters = Arc::clone(&counted.worker);
    let (mender, settings) = (parts.mender, settings(config));
    let worker = Reconciler::new(devices, integrations, mender, streams, settings, counters)
        .with_most_per_hub(config.worker.in_flight / HUBS_SHARE);
    let heart = health.heart("dispatcher", STUCK);
    let reconciled = reconcile(config, told.watching(worker), intake, told, &heart);
    tokio::join!(reconciled, OptionFuture::from(twins));
    beside.join_all().await;
    Ok(())
}

/// What needs the configuration only.
struct Parts {
    keys: Arc<SealingKeys>,
    factory: Arc<HubFactory>,
    mender: MenderPort,
    records: RecordStore,
    access: Arc<TwinAccess>,
    receivers: Receivers,
}

impl Parts {
    async fn from_config(config: &Config) -> anyhow::Result<Self> {
        Ok(Self {
            keys: Arc::new(SealingKeys::from_config(&config.secrets).await?),
            factory: Arc::new(HubFactory::from_config(config)?),
            mender: MenderPort::from_config(&config.mender)?,
            records: RecordStore::from_config(config)?,
            access: Arc::new(TwinAccess::from_config(config)?),
            receivers: Receivers::from_config(&config.webhook)?,
        })
    }
}

/// What needs the servers.
struct Opened {
    devices: StorePort,
    hubs: KnownHubs,
    streams: NatsStreams,
}

/// Waits for everything that the worker needs; `None` if it is told to stop first. An error is what
/// waiting does not mend: a wrong sealing key.
async fn open(
    session: &Session,
    parts: &Parts,
    readiness: &Readiness,
    stop: &CancellationToken,
) -> Option<anyhow::Result<Opened>> {
    until_there(NATS, readiness, stop, async || session.connected()).await?;
    let (context, names) = (&session.context, &session.names);
    let streams = until_there(STREAMS, readiness, stop, async || {
        NatsStreams::open(context, names).await
    })
    .await?;
    let (devices, store) = until_there(RECORDS, readiness, stop, async || {
        let devices = parts.records.open(session).await?;
        let integrations = devices.integrations(session).await?;
        Ok::<_, StoreError>((devices, integrations))
    })
    .await?;
    let stored = until_there(RECORDS, readiness, stop, async || stored(&store).await).await?;
    if let Err(wrong) = keys::check_start(&parts.keys.ring(), &stored) {
        return Some(Err(wrong));
    }
    let (keys, factory) = (Arc::clone(&parts.keys), Arc::clone(&parts.factory));
    let hubs = KnownHubs {
        integrations: Integrations::new(store.clone(), keys, factory),
        tenants: store,
    };
    until_there(MENDER, readiness, stop, async || {
        parts.mender.is_healthy().await
    })
    .await?;
    until_there(HUB, readiness, stop, async || hubs.any_answers().await).await?;
    Some(Ok(Opened {
        devices,
        hubs,
        streams,
    }))
}

/// Takes messages until the worker is told to stop, then ends what is in flight.
async fn reconcile(
    config: &Config,
    worker: Arc<Worker>,
    mut intake: Intake,
    told: &Told,
    heart: &Heart,
) {
    let dispatcher = told.dispatching(Dispatcher::new(config.worker.in_flight));
    while let Some(task) = next(&mut intake, heart).await {
        let worker = Arc::clone(&worker);
        let device = task.about.clone();
        let handle = move |task: Task<NatsAck>| {
            let (worker, span) = (Arc::clone(&worker), trace::span_of(&task));
            let handled = async move {
                worker.handle(task).await;
            };
            handled.instrument(span)
        };
        dispatcher.dispatch(device, task, handle).await;
    }
    let within = Duration::from_millis(config.worker.stop_within_ms);
    if tokio::time::timeout(within, dispatcher.drain())
        .await
        .is_err()
    {
        tracing::warn!(
            devices = dispatcher.devices(),
            "unfinished work is delivered again"
        );
    }
}

/// The next message. Waiting for one is no standstill; waiting for a place among those in work is, in
/// the end.
async fn next(intake: &mut Intake, heart: &Heart) -> Option<Task<NatsAck>> {
    let mut next = std::pin::pin!(intake.next());
    loop {
        heart.beat();
        if let Ok(task) = tokio::time::timeout(BEAT_EVERY, &mut next).await {
            return task;
        }
    }
}

fn settings(config: &Config) -> Settings {
    let ms = Duration::from_millis;
    let policy = RetryPolicy {
        first: ms(config.retry.first_ms),
        cap: ms(config.retry.cap_ms),
        in_process: Duration::from_millis(500),
        max_age: Duration::from_secs(config.retry.max_age_s),
        max_conflicts: 5,
        credentials: Duration::from_secs(60),
        throttled: ms(config.hub.throttle_wait_ms),
        full: ms(config.hub.full_wait_ms),
        lease: config.hub.lease(),
        // Two requests, and the same again to be sure.
        delivery_lease: ms(config.mender.request_timeout_ms) * 4,
    };
    Settings {
        policy,
        fresh_id: Box::new(|| IntentId(uuid::Uuid::new_v4().simple().to_string())),
        jitter: Box::new(jitter),
    }
}

/// A random number from 0 to 1000; 500 where no randomness is to be had.
fn jitter() -> u16 {
    let mut bytes = [0; 2];
    match SystemRandom::new().fill(&mut bytes) {
        Ok(()) => u16::from_le_bytes(bytes) % 1001,
        Err(_) => 500,
    }
}
