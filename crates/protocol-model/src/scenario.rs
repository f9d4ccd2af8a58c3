//! What one exploration is about: the events, the faults and how many of each.
//!
//! A scenario is small enough to be explored, mostly to its end. Several scenarios with different
//! faults say more than one with all of them, which nobody could finish.

use std::time::Duration;

use lifecycle::{
    DeviceRef, Event, EventId, Failure, IntegrationRef, MenderView, RetryPolicy, Status, Timestamp,
};

/// Length of one tick of the model's clock.
const TICK: Duration = Duration::from_secs(1);

/// An event of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scripted {
    /// Its place in the order in which Mender meant the events; equal for the two sides of a tie.
    pub rank: u8,
    /// What it says.
    pub status: Status,
    /// As in [`Event`].
    pub revision: Option<u64>,
    /// Number of the incarnation, where the event names one.
    pub created: Option<i64>,
}

/// How many faults of each kind may strike in one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Faults {
    /// A worker dies.
    pub crashes: u8,
    /// A worker gives up waiting while its request lives on. The reply, if there is one, is lost.
    pub timeouts: u8,
    /// A tick passes while a worker is about to send, so that it is too late.
    pub delays: u8,
    /// A message is delivered while somebody still works on it.
    pub redeliveries: u8,
    /// The hub, or Mender, refuses with one of [`Scenario::refusals`].
    pub refusals: u8,
    /// A load shows an older copy of the record.
    pub stale: u8,
    /// The store goes back to an older copy.
    pub rollbacks: u8,
    /// Somebody removes, replaces or edits the identity by hand.
    pub hands: u8,
    /// The tenant's integration changes to another hub.
    pub switches: u8,
    /// A dead letter is replayed.
    pub replays: u8,
    /// An operator wishes for a connection string, a new key or the end of the old one.
    pub wishes: u8,
    /// The gate puts off a request.
    pub deferrals: u8,
    /// Nobody knows whether a save succeeded.
    pub unknown_saves: u8,
}

/// One exploration.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Short name.
    pub name: &'static str,
    /// What happens to each device, in Mender's order; delivered in any.
    pub events: Vec<Scripted>,
    /// What deviceauth answers in the end.
    pub mender: MenderView,
    /// What the device must end as.
    pub end: Status,
    /// Devices, each with this script.
    pub devices: usize,
    /// Workers, each of which may hold one message of each device.
    pub workers: usize,
    /// Lease of a request or a delivery, in ticks.
    pub lease: u8,
    /// Wait after a transient failure, in ticks; with 0 it is over at once, in the process.
    pub wait: u8,
    /// Sum of waits, in ticks, after which an event is given up.
    pub max_age: u8,
    /// A foreign identity may be there at the start.
    pub foreign: bool,
    /// Workers may know the servers' time only from the stamps of what they hold.
    pub behind: bool,
    /// What refusals there are.
    pub refusals: Vec<Failure>,
    /// How many faults.
    pub faults: Faults,
}

impl Scripted {
    /// An event with a revision, which is its rank too.
    #[must_use]
    pub const fn new(status: Status, rank: u8) -> Self {
        Self {
            rank,
            status,
            revision: Some(rank as u64),
            created: None,
        }
    }

    /// A decommission as Mender sends it, without revision.
    #[must_use]
    pub const fn gone(rank: u8) -> Self {
        Self {
            revision: None,
            ..Self::new(Status::Decommissioned, rank)
        }
    }

    /// The event of a named incarnation.
    #[must_use]
    pub const fn of(mut self, incarnation: i64) -> Self {
        self.created = Some(incarnation);
        self
    }

    /// The event with a revision that is not its rank.
    #[must_use]
    pub const fn revised(mut self, revision: u64) -> Self {
        self.revision = Some(revision);
        self
    }

    /// The event without a revision.
    #[must_use]
    pub const fn unnumbered(mut self) -> Self {
        self.revision = None;
        self
    }
}

impl Scenario {
    /// A scenario without faults.
    #[must_use]
    pub fn new(name: &'static str, events: &[Scripted]) -> Self {
        let last = events.iter().max_by_key(|event| event.rank);
        let end = last.map_or(Status::Decommissioned, |event| event.status);
        let mender = match end {
            Status::Decommissioned => MenderView::Absent,
            status => MenderView::Known(status),
        };
        Self {
            name,
            events: events.to_vec(),
            mender,
            end,
            devices: 1,
            workers: 3,
            lease: 1,
            wait: 0,
            max_age: 4,
            foreign: false,
            behind: false,
            refusals: Vec::new(),
            faults: Faults::default(),
        }
    }

    /// The policy that the core runs with: the production one, with ticks for seconds.
    #[must_use]
    pub fn policy(&self) -> RetryPolicy {
        let ticks = |count: u8| TICK * u32::from(count);
        RetryPolicy {
            first: ticks(self.wait),
            cap: ticks(self.wait),
            in_process: Duration::ZERO,
            max_age: ticks(self.max_age),
            max_conflicts: 3,
            credentials: ticks(1),
            throttled: ticks(1),
            full: ticks(1),
            lease: ticks(self.lease),
            delivery_lease: ticks(self.lease),
        }
    }

    /// The event at this place of the script in this life.
    #[must_use]
    pub(crate) fn event(&self, place: u8, replay: u8) -> Event {
        let scripted = self.scripted(place);
        Event {
            id: EventId(format!("e{place}")),
            about: DeviceRef {
                tenant: "t".parse().expect("a tenant"),
                device: "d".parse().expect("a device"),
            },
            status: scripted.status,
            revision: scripted.revision,
            created: scripted.created.map(Timestamp::from_micros),
            replay: u64::from(replay),
        }
    }

    /// The event at this place; behind the last one the sweep's copy of the newest one.
    #[must_use]
    pub(crate) fn scripted(&self, place: u8) -> Scripted {
        let newest = || self.events.iter().max_by_key(|event| event.rank);
        *self
            .events
            .get(usize::from(place))
            .or_else(newest)
            .expect("a script has events")
    }

    /// The integration that uses this hub.
    #[must_use]
    pub fn integration(&self, hub: u8) -> IntegrationRef {
        IntegrationRef {
            id: "i".to_owned(),
            hub: format!("h{hub}"),
            generation: u64::from(hub) + 1,
        }
    }
}

/// A tick as the core's time.
#[must_use]
pub fn time(tick: u8) -> Timestamp {
    Timestamp::default().plus(TICK * u32::from(tick))
}

/// The first tick that is not before `time`.
#[must_use]
pub fn tick(time: Timestamp) -> u8 {
    let micros = time.since(Timestamp::default()).as_micros();
    u8::try_from(micros.div_ceil(TICK.as_micros())).unwrap_or(u8::MAX)
}

/// The place in the script of the event of this name.
#[must_use]
pub(crate) fn place(id: &EventId) -> u8 {
    let place = id.0.strip_prefix('e').and_then(|place| place.parse().ok());
    place.expect("the model names its events")
}
