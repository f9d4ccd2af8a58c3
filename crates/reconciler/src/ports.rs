//! The ports: what the reconciler needs of the world.
//!
//! Adapters implement these traits. Errors say only whether the same call may work later, since
//! that is all the reconciler can act on.

use std::future::Future;
use std::time::Duration;

use lifecycle::{
    DeviceRef, Done, Event, EventId, Facts, Failure, Fate, HubWrite, IntegrationRef, KeySlot,
    MenderView, Parked, Record, TenantId, Timestamp,
};

/// What a store or a stream could not do.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// Not reachable or not answering; the same call may work later. Without secrets.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// What is stored cannot be understood, for instance a record of a newer version. It is
    /// never overwritten.
    #[error("not understood: {0}")]
    NotUnderstood(String),
}

/// Result of a port that stores or publishes.
pub type PortResult<T> = Result<T, PortError>;

/// A record as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The record.
    pub record: Record,
    /// Version for the next compare-and-set.
    pub version: u64,
    /// When this version was written, by the store's clock.
    pub written_at: Timestamp,
}

/// Result of a compare-and-set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Saved {
    /// Stored as this version.
    Version(u64),
    /// Somebody else changed the record meanwhile; nothing was stored.
    Lost,
}

/// One page of a listing, and where the next one starts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// Records of this page, in the order of their keys.
    pub records: Vec<(DeviceRef, Stored)>,
    /// Records of this page that are not understood, for instance those of a newer version, each
    /// with the reason.
    pub unread: Vec<(DeviceRef, String)>,
    /// Pass this to get the next page; `None` on the last one.
    pub next: Option<String>,
}

/// Where device records are kept.
pub trait DeviceStore: Send + Sync {
    /// The record of a device, if it has one.
    fn load(&self, device: &DeviceRef) -> impl Future<Output = PortResult<Option<Stored>>> + Send;

    /// Stores the first record of a device.
    fn create(
        &self,
        device: &DeviceRef,
        record: &Record,
    ) -> impl Future<Output = PortResult<Saved>> + Send;

    /// Replaces the record if it still has `version`.
    fn compare_and_set(
        &self,
        device: &DeviceRef,
        record: &Record,
        version: u64,
    ) -> impl Future<Output = PortResult<Saved>> + Send;

    /// Removes the record if it still has `version`.
    fn delete(
        &self,
        device: &DeviceRef,
        version: u64,
    ) -> impl Future<Output = PortResult<Saved>> + Send;

    /// At most `limit` records, of one tenant or of all, from where `after` says.
    fn list(
        &self,
        tenant: Option<&TenantId>,
        after: Option<&str>,
        limit: usize,
    ) -> impl Future<Output = PortResult<Page>> + Send;

    /// How many records there are, of one tenant or of all.
    fn count(&self, tenant: Option<&TenantId>) -> impl Future<Output = PortResult<u64>> + Send;

    /// The least that the store's own clock shows now. `None` where one server keeps both the
    /// records and the messages, so that their times can be compared.
    ///
    /// A lease that began with a stored record must end by the same clock.
    fn own_clock(&self) -> Option<Timestamp> {
        None
    }
}

/// Where tenants' integrations are kept, as bytes that the store cannot read: they are sealed
/// before they come here. One a tenant.
pub trait IntegrationStore: Send + Sync {
    /// A tenant's integration, if it has one, and the version for the next save or removal.
    fn load(
        &self,
        tenant: &TenantId,
    ) -> impl Future<Output = PortResult<Option<(Vec<u8>, u64)>>> + Send;

    /// Saves a tenant's integration: `version` is the one it replaces, `None` if it is the first.
    fn save(
        &self,
        tenant: &TenantId,
        sealed: &[u8],
        version: Option<u64>,
    ) -> impl Future<Output = PortResult<Saved>> + Send;

    /// Removes a tenant's integration if it still has `version`.
    fn remove(
        &self,
        tenant: &TenantId,
        version: u64,
    ) -> impl Future<Output = PortResult<Saved>> + Send;

    /// The tenants that have one, in the order of their tokens.
    fn list(&self) -> impl Future<Output = PortResult<Vec<TenantId>>> + Send;
}

/// A reply of the hub that shows an identity, with the identity itself where there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen<I> {
    /// What the core needs to know.
    pub facts: Facts,
    /// The whole identity, keys included: opaque here, and never stored.
    pub identity: I,
}

/// One tenant's hub, as the present integration reaches it.
pub trait Hub: Send + Sync {
    /// The whole identity with its keys. Dropped as soon as it is not needed any more.
    type Identity: Send + Sync;

    /// Which integration this is.
    fn integration(&self) -> &IntegrationRef;

    /// Registry operations a minute that the hub's tier allows, where that is known.
    fn allowed_per_minute(&self) -> Option<u32>;

    /// Reads one identity; `None` if there is none.
    fn read(
        &self,
        device: &DeviceRef,
    ) -> impl Future<Output = Result<Option<Seen<Self::Identity>>, Failure>> + Send;

    /// Sends one conditional request. `held` is the identity to update; an update, also one of its
    /// keys, is only asked for with the identity of its ETag at hand. A delete that finds nothing has succeeded; an
    /// update that finds nothing is [`Failure::Conflict`].
    fn write(
        &self,
        device: &DeviceRef,
        request: &HubWrite,
        held: Option<&Self::Identity>,
    ) -> impl Future<Output = Result<Option<Seen<Self::Identity>>, (Failure, Fate)>> + Send;

    /// Puts the tag `mender: true` into the twin, unless it is there, provided that the identity
    /// still has `etag`; else [`Failure::Conflict`].
    fn tag(
        &self,
        device: &DeviceRef,
        etag: &str,
    ) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// Finds the hub of a tenant.
pub trait Hubs: Send + Sync {
    /// The hub.
    type Hub: Hub;

    /// The tenant's hub as presently configured, `None` if it has no integration.
    fn hub(&self, tenant: &TenantId) -> impl Future<Output = PortResult<Option<Self::Hub>>> + Send;
}

/// The Mender server.
pub trait Mender: Send + Sync {
    /// The identity that holds the key, as [`Hub::Identity`].
    type Identity: Send + Sync;

    /// Hands the connection string made of this key of the identity to the device's
    /// configuration and deploys it. Returns the fingerprint of the key, as in [`Facts::keys`].
    fn deliver(
        &self,
        device: &DeviceRef,
        integration: &IntegrationRef,
        identity: &Self::Identity,
        key: KeySlot,
    ) -> impl Future<Output = Result<String, (Failure, Fate)>> + Send;

    /// What `deviceauth` says of a device.
    fn view(&self, device: &DeviceRef) -> impl Future<Output = Result<MenderView, Failure>> + Send;
}

/// The streams that work comes from and results go to.
pub trait Streams: Send + Sync {
    /// Schedules a wake-up for the device, replacing the one it may have. `carrying` is the
    /// event that the record owes: it travels along, so that a dead letter can hold its bytes.
    fn arm(
        &self,
        device: &DeviceRef,
        due: Timestamp,
        carrying: Option<&Payload>,
    ) -> impl Future<Output = PortResult<()>> + Send;

    /// The message of an event made anew, for when its bytes are not at hand any more.
    fn payload(&self, event: &Event) -> Payload;

    /// Publishes a dead letter, once for each life of an event.
    fn dead_letter(&self, letter: &DeadLetter) -> impl Future<Output = PortResult<()>> + Send;

    /// Publishes outcomes of one device, each once as far as can be told.
    fn report(&self, ended: &[Done]) -> impl Future<Output = PortResult<()>> + Send;
}

/// The bytes of an event as they were received, with what is needed to replay them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Payload {
    /// The subject it was received on.
    pub subject: String,
    /// The body, untouched.
    pub body: Vec<u8>,
    /// Its headers, in order; ours included.
    pub headers: Vec<(String, String)>,
    /// When the event was first stored, by the server's clock: for what is measured only.
    pub since: Option<Timestamp>,
}

/// Why something went to the dead-letter stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeadClass {
    /// It cannot be understood.
    Malformed,
    /// It will fail for ever.
    Permanent,
    /// It failed for too long.
    Exhausted,
    /// It was delivered too often without an end: it may kill the process.
    Poison,
    /// Somebody else took it off its queue while it was in work.
    Terminated,
}

/// One dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The event's name, or that of the message where it could not be read.
    pub id: EventId,
    /// Whom it is about, where that is known.
    pub tenant: Option<String>,
    /// Whom it is about, where that is known.
    pub device: Option<String>,
    /// Why, as a class.
    pub class: DeadClass,
    /// Why, in words without secrets.
    pub reason: String,
    /// Failed attempts.
    pub attempts: u32,
    /// The original message.
    pub payload: Payload,
}

/// Work for the reconciler: one message about one device.
#[derive(Debug)]
pub struct Task<A> {
    /// The device.
    pub about: DeviceRef,
    /// The event, or `None` for a wake-up.
    pub event: Option<Event>,
    /// The event whose bytes `payload` holds: for an event its own id, for a wake-up that of the
    /// event it carries, if any.
    pub carries: Option<EventId>,
    /// The message as received.
    pub payload: Payload,
    /// When the server stored the message, by the server's clock.
    pub published_at: Timestamp,
    /// Acknowledges it.
    pub ack: A,
}

/// Acknowledgement of one message. Dropped without a call, the message comes again after the
/// consumer's ack wait.
pub trait Ack: Send {
    /// Acknowledges, and waits until the server has confirmed it.
    fn ack(self) -> impl Future<Output = PortResult<()>> + Send;

    /// Asks for the message again after `delay`.
    fn retry(self, delay: Duration) -> impl Future<Output = PortResult<()>> + Send;

    /// Says that the work goes on, so that the message is not delivered to somebody else.
    fn in_progress(&self) -> impl Future<Output = PortResult<()>> + Send;
}

/// Helps adapters and tests to turn a give-up into the class of its dead letter.
impl From<&Parked> for DeadClass {
    fn from(parked: &Parked) -> Self {
        if parked.exhausted {
            Self::Exhausted
        } else {
            Self::Permanent
        }
    }
}
