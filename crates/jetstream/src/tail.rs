//! The log of outcomes, followed: what was there, and then what comes.
//!
//! The place in the stream is kept here and not by the client library. Its ordered consumer goes on
//! after a reconnect behind the last message that it has handed out, but begins with the oldest
//! one if that was none yet.

use std::{collections::VecDeque, time::Duration};

use async_nats::{
    datetime::{DateTime, from_nanos},
    jetstream::{
        self,
        consumer::{DeliverPolicy, pull},
    },
};
use futures::StreamExt as _;
use lifecycle::{DeviceId, Outcome, TenantId, Timestamp};
use messages::{Malformed, OutcomeMessage};

use crate::{
    Error, Outcomes, Result,
    devices::timestamp,
    headers::{OUTCOME, is_end_of_tenant},
    outcomes::SILENCE,
};

/// Messages that are looked at first to find the last few of some kind, and how many times more
/// each time that they are too few.
const WINDOW: (u64, u64) = (1_000, 8);
/// Pause before a consumer that could not be made is tried again.
const REOPEN: Duration = Duration::from_millis(500);

/// Which outcomes are wanted; without anything all of them.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Only this tenant's.
    pub tenant: Option<TenantId>,
    /// Only this device's.
    pub device: Option<DeviceId>,
    /// Only these; empty for any.
    pub outcomes: Vec<Outcome>,
}

impl Wanted {
    fn takes(&self, message: &jetstream::Message) -> bool {
        let headers = message.headers.as_ref();
        let name = headers.and_then(|headers| headers.get(OUTCOME));
        let same = |outcome: &Outcome| Some(outcome.name()) == name.map(AsRef::as_ref);
        let any = self.outcomes.is_empty() || self.outcomes.iter().any(same);
        any && !is_end_of_tenant(headers)
    }
}

/// One entry of the log.
#[derive(Debug)]
pub struct Logged {
    /// Its number in the stream.
    pub sequence: u64,
    /// When it was stored, by the server's clock.
    pub at: Timestamp,
    /// What it says; `Err` if nobody understands it.
    pub outcome: Result<OutcomeMessage, Malformed>,
}

/// Where to begin: with this message or the first one behind it.
#[derive(Debug, Clone, Copy)]
enum Place {
    Sequence(u64),
    /// Microseconds since the epoch.
    Time(Timestamp),
}

impl Place {
    fn policy(self) -> DeliverPolicy {
        match self {
            Self::Sequence(start_sequence) => DeliverPolicy::ByStartSequence { start_sequence },
            Self::Time(at) => {
                let nanos = i128::from(at.as_micros()) * 1_000;
                let start_time = from_nanos(nanos).unwrap_or(DateTime::UNIX_EPOCH);
                DeliverPolicy::ByStartTime { start_time }
            }
        }
    }

    fn is_before(self, sequence: u64, at: Timestamp) -> bool {
        match self {
            Self::Sequence(first) => sequence < first,
            Self::Time(first) => at < first,
        }
    }
}

/// A place in the log from which it is read on. Nothing is left out and nothing comes twice,
/// whatever happens to the server meanwhile.
pub struct Tail {
    outcomes: Outcomes,
    wanted: Wanted,
    headers_only: bool,
    next: Place,
    /// How much is left of what was there.
    pending: u64,
    messages: Option<Box<pull::Ordered>>,
}

impl std::fmt::Debug for Tail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tail")
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

impl Outcomes {
    /// Begins with what was stored `since` then; of that with the `last` so many.
    pub async fn tail(
        &self,
        wanted: Wanted,
        since: Option<Timestamp>,
        last: Option<usize>,
    ) -> Result<Tail> {
        let from = since.map_or(Place::Sequence(1), Place::Time);
        let from = match last {
            Some(last) => self.place_of_last(&wanted, since, last).await?,
            None => from,
        };
        Tail::open(self, wanted, from, false).await
    }

    /// Where the last `last` wanted ones begin. Remembers their numbers and nothing else.
    async fn place_of_last(
        &self,
        wanted: &Wanted,
        since: Option<Timestamp>,
        last: usize,
    ) -> Result<Place> {
        let state = self.state().await?;
        let end = Place::Sequence(state.last_sequence + 1);
        let begin = |window: u64| state.last_sequence.saturating_sub(window).max(1);
        if last == 0 {
            return Ok(end);
        }
        let mut window = WINDOW.0;
        loop {
            let from = since.map_or_else(|| Place::Sequence(begin(window)), Place::Time);
            let found = self.numbers(wanted, from, last).await?;
            let exhausted = since.is_some() || begin(window) <= state.first_sequence.max(1);
            if found.len() == last || exhausted {
                return Ok(found.front().map_or(end, |first| Place::Sequence(*first)));
            }
            window = window.saturating_mul(WINDOW.1);
        }
    }

    /// The numbers of the wanted ones, of at most the last `last`.
    async fn numbers(&self, wanted: &Wanted, from: Place, last: usize) -> Result<VecDeque<u64>> {
        let mut tail = Tail::open(self, wanted.clone(), from, true).await?;
        let mut numbers = VecDeque::new();
        while let Some(logged) = tail.next_past().await? {
            if numbers.len() == last {
                numbers.pop_front();
            }
            numbers.push_back(logged.sequence);
        }
        Ok(numbers)
    }
}

impl Tail {
    async fn open(
        outcomes: &Outcomes,
        wanted: Wanted,
        from: Place,
        headers_only: bool,
    ) -> Result<Self> {
        let mut tail = Self {
            outcomes: outcomes.clone(),
            wanted,
            headers_only,
            next: from,
            pending: 0,
            messages: None,
        };
        tail.reopen().await?;
        Ok(tail)
    }

    /// The next one of those that were there already; `None` after the last of them.
    pub async fn next_past(&mut self) -> Result<Option<Logged>> {
        while self.pending > 0 {
            let silent = |_| Error::Unavailable("outcomes fell silent".to_owned());
            let step = tokio::time::timeout(SILENCE, self.step());
            if let Some(logged) = step.await.map_err(silent)?? {
                return Ok(Some(logged));
            }
        }
        Ok(None)
    }

    /// The next one, whenever it comes. An error is what waiting does not mend. May be dropped
    /// before it is done; nothing is lost then.
    pub async fn next(&mut self) -> Result<Logged> {
        loop {
            if let Some(logged) = self.step().await? {
                return Ok(logged);
            }
        }
    }

    /// Takes one message; `None` if it is not wanted.
    async fn step(&mut self) -> Result<Option<Logged>> {
        let message = self.receive().await?;
        let info = message
            .info()
            .map_err(|error| Error::unavailable("outcomes", &*error))?;
        let (sequence, at) = (info.stream_sequence, timestamp(info.published));
        self.pending = info.pending;
        if self.next.is_before(sequence, at) {
            return Ok(None);
        }
        self.next = Place::Sequence(sequence + 1);
        Ok(self.wanted.takes(&message).then(|| Logged {
            sequence,
            at,
            outcome: OutcomeMessage::parse(&message.payload),
        }))
    }

    async fn receive(&mut self) -> Result<jetstream::Message> {
        loop {
            let Some(messages) = &mut self.messages else {
                match self.reopen().await {
                    Ok(()) => {}
                    Err(Error::Unavailable(why)) => {
                        tracing::debug!(why, "waiting for the outcomes");
                        tokio::time::sleep(REOPEN).await;
                    }
                    Err(error) => return Err(error),
                }
                continue;
            };
            match messages.next().await {
                Some(Ok(message)) => return Ok(message),
                Some(Err(error)) => {
                    tracing::debug!(%error, "the outcomes are read on anew");
                    self.messages = None;
                }
                None => self.messages = None,
            }
        }
    }

    async fn reopen(&mut self) -> Result<()> {
        let (tenant, device) = (&self.wanted.tenant, &self.wanted.device);
        let tenant = tenant.as_ref().map(TenantId::as_str);
        let device = device.as_ref().map(DeviceId::as_str);
        let filter = self.outcomes.filter(tenant, device);
        let consumer = self
            .outcomes
            .consumer(filter, self.next.policy(), self.headers_only)
            .await?;
        self.pending = consumer.cached_info().num_pending;
        let messages = consumer.messages().await;
        let messages = messages.map_err(|error| Error::unavailable("outcomes", &error))?;
        self.messages = Some(Box::new(messages));
        Ok(())
    }
}
