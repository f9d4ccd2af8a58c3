//! The log of outcomes, read.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use async_nats::jetstream::{
    self, Context,
    consumer::{Consumer, DeliverPolicy, pull},
    stream::{State, Stream},
};
use futures::StreamExt as _;
use lifecycle::{DeviceRef, EventId, Outcome, Timestamp};
use messages::{OutcomeMessage, header};
use tokio::time::Instant;

use crate::{Error, Names, Result, devices::timestamp, error::api_error, headers::OUTCOME, open};

/// Reading stops with an error after this long without a message.
pub(crate) const SILENCE: Duration = Duration::from_secs(10);

/// A count of the log, and how far it has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// How many there are of each kind.
    pub outcomes: BTreeMap<Outcome, u64>,
    /// Sequence of the last one that was counted.
    pub last: u64,
}

impl Default for Counted {
    fn default() -> Self {
        Self {
            outcomes: Outcome::ALL.map(|outcome| (outcome, 0)).into(),
            last: 0,
        }
    }
}

/// The outcome stream.
#[derive(Debug, Clone)]
pub struct Outcomes {
    pub(crate) names: Names,
    pub(crate) stream: Stream,
}

impl Outcomes {
    /// Opens the stream that `setup` has made.
    pub async fn open(context: &Context, names: &Names) -> Result<Self> {
        Ok(Self {
            names: names.clone(),
            stream: open::stream(context, &names.outcome_stream()).await?,
        })
    }

    /// How many outcomes of each kind are in the log; of one tenant, or all.
    pub async fn count(&self, tenant: Option<&str>) -> Result<BTreeMap<Outcome, u64>> {
        let mut counted = Counted::default();
        self.count_on(tenant, &mut counted, &|_| {}).await?;
        Ok(counted.outcomes)
    }

    /// Counts on from where an earlier count has ended, so that looking again and again costs only
    /// what is new; those that were counted and have left the log since stay counted. `progress`
    /// hears of each one.
    pub async fn count_on(
        &self,
        tenant: Option<&str>,
        counted: &mut Counted,
        progress: &(dyn Fn(&Counted) + Sync),
    ) -> Result<()> {
        let filter = self.names.outcome_filter(tenant, None);
        let mut reading = self.read(filter, true, counted.last).await?;
        while let Some(message) = reading.next().await? {
            let headers = message.headers.as_ref();
            let name = headers.and_then(|headers| headers.get(OUTCOME));
            let known = |outcome: &Outcome| Some(outcome.name()) == name.map(AsRef::as_ref);
            if let Some(outcome) = Outcome::ALL.into_iter().find(known) {
                *counted.outcomes.entry(outcome).or_default() += 1;
            }
            counted.last = message.info().map_or(counted.last, |it| it.stream_sequence);
            progress(counted);
        }
        Ok(())
    }

    /// The last outcomes of a device, at most `limit`, oldest first, each with its time by the
    /// server's clock.
    pub async fn last(
        &self,
        device: &DeviceRef,
        limit: usize,
    ) -> Result<Vec<(Timestamp, OutcomeMessage)>> {
        let mut last = VecDeque::new();
        let mut reading = self.read(self.of(Some(device)), false, 0).await?;
        while let Some(message) = reading.next().await? {
            let (Ok(info), Ok(outcome)) = (message.info(), OutcomeMessage::parse(&message.payload))
            else {
                continue;
            };
            last.push_back((timestamp(info.published), outcome));
            if last.len() > limit {
                last.pop_front();
            }
        }
        Ok(last.into())
    }

    /// Waits until an event has ended, and tells how: `None` if it has not `within` that time.
    /// Knowing the device makes it cheap.
    pub async fn wait(
        &self,
        event: &EventId,
        device: Option<&DeviceRef>,
        within: Duration,
    ) -> Result<Option<OutcomeMessage>> {
        let end = Instant::now() + within;
        let mut messages = self.follow(self.of(device), false, 0).await?;
        while let Ok(Some(message)) = tokio::time::timeout_at(end, messages.next()).await {
            let message = message.map_err(|error| Error::unavailable("outcomes", &error))?;
            let headers = message.headers.as_ref();
            let id = headers.and_then(|headers| headers.get(header::EVENT_ID));
            if id.is_some_and(|id| id.as_str() == event.0)
                && let Ok(outcome) = OutcomeMessage::parse(&message.payload)
            {
                return Ok(Some(outcome));
            }
        }
        Ok(None)
    }

    fn of(&self, device: Option<&DeviceRef>) -> String {
        let (tenant, device) = (device.map(|d| &d.tenant), device.map(|d| &d.device));
        let tenant = tenant.map(lifecycle::TenantId::as_str);
        let device = device.map(lifecycle::DeviceId::as_str);
        self.filter(tenant, device)
    }

    pub(crate) fn filter(&self, tenant: Option<&str>, device: Option<&str>) -> String {
        self.names.outcome_filter(tenant, device)
    }

    /// The state of the stream now.
    pub(crate) async fn state(&self) -> Result<State> {
        let mut stream = self.stream.clone();
        let info = stream.info().await;
        let info = info.map_err(|error| Error::unavailable("outcomes", &error))?;
        Ok(info.state.clone())
    }

    /// Reads what is there now and came after sequence `after`.
    async fn read(&self, filter: String, headers_only: bool, after: u64) -> Result<Reading> {
        let last = self.state().await?.last_sequence;
        let next = self.stream.direct_get_last_for_subject(&filter).await;
        // Without a single message the consumer would have nothing to say.
        let last = next.map_or(0, |message| message.sequence.min(last));
        Ok(Reading {
            last,
            messages: if last > after {
                Some(Box::new(self.follow(filter, headers_only, after).await?))
            } else {
                None
            },
        })
    }

    async fn follow(
        &self,
        filter: String,
        headers_only: bool,
        after: u64,
    ) -> Result<pull::Ordered> {
        let from = match after {
            0 => DeliverPolicy::All,
            after => DeliverPolicy::ByStartSequence {
                start_sequence: after + 1,
            },
        };
        let consumer = self.consumer(filter, from, headers_only);
        let messages = consumer.await?.messages().await;
        messages.map_err(|error| Error::unavailable("outcomes", &error))
    }

    pub(crate) async fn consumer(
        &self,
        filter: String,
        deliver_policy: DeliverPolicy,
        headers_only: bool,
    ) -> Result<Consumer<pull::OrderedConfig>> {
        let consumer = self.stream.create_consumer(pull::OrderedConfig {
            filter_subject: filter,
            headers_only,
            deliver_policy,
            ..pull::OrderedConfig::default()
        });
        consumer.await.map_err(|error| match api_error(&error) {
            Some(api) => Error::Refused(format!("the outcomes cannot be read: {api}")),
            None => Error::unavailable("outcomes", &error),
        })
    }
}

/// Messages up to the last one that was there when reading began.
struct Reading {
    last: u64,
    messages: Option<Box<pull::Ordered>>,
}

impl Reading {
    async fn next(&mut self) -> Result<Option<jetstream::Message>> {
        let Some(messages) = &mut self.messages else {
            return Ok(None);
        };
        let message = match tokio::time::timeout(SILENCE, messages.next()).await {
            Ok(Some(Ok(message))) => message,
            Ok(Some(Err(error))) => return Err(Error::unavailable("outcomes", &error)),
            Ok(None) | Err(_) => return Err(Error::Unavailable("outcomes fell silent".to_owned())),
        };
        let sequence = message.info().map(|info| info.stream_sequence);
        if sequence.is_ok_and(|sequence| sequence >= self.last) {
            self.messages = None;
        }
        Ok(Some(message))
    }
}
