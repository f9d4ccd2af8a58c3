//! What the sweep needs of the world besides the reconciler's own ports.

use std::future::Future;

use lifecycle::{
    DeviceId, DeviceRef, Event, Failure, IntegrationRef, Mark, Status, TenantId, Timestamp,
};

use crate::PerMinute;
use crate::ports::PortResult;

/// An identity as a query shows it: late, and perhaps gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubRow {
    /// Its id.
    pub device: DeviceId,
    /// Whether it may connect.
    pub enabled: bool,
    /// The mark in `statusReason`, if there is one.
    pub mark: Option<Mark>,
    /// Its ETag without quotes, where the query tells it.
    pub etag: Option<String>,
}

/// Some rows, and where the next ones are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HubPage {
    /// The rows; those with ids that no device of ours can have are left out.
    pub rows: Vec<HubRow>,
    /// Pass this for the next page; `None` on the last one.
    pub next: Option<Vec<u8>>,
}

/// The identities of one tenant's hub, a page at a time.
pub trait HubList: Send + Sync {
    /// Which integration this is.
    fn integration(&self) -> &IntegrationRef;

    /// Registry operations a minute that the hub's tier allows, where that is known.
    fn allowed_per_minute(&self) -> PerMinute;

    /// One page of the query over all identities.
    fn page(&self, after: Option<&[u8]>) -> impl Future<Output = Result<HubPage, Failure>> + Send;
}

/// A device that deviceauth has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Its status.
    pub status: Status,
    /// When Mender created it.
    pub created: Option<Timestamp>,
    /// It is being removed.
    pub decommissioning: bool,
}

/// One page of deviceauth's list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RegistryPage {
    /// The devices; those with ids or statuses we do not understand are left out.
    pub devices: Vec<(DeviceId, Known)>,
    /// Number of the next page; `None` on the last one.
    pub next: Option<u32>,
}

/// What a look at one device in deviceauth shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// It is there.
    Known(Known),
    /// Mender says in its own words, in each way it can be asked, that it has no such device.
    Gone,
}

/// deviceauth, as far as the sweep asks it.
pub trait Registry: Send + Sync {
    /// One page of a tenant's devices, counted from 1.
    fn page(
        &self,
        tenant: &TenantId,
        page: u32,
    ) -> impl Future<Output = Result<RegistryPage, Failure>> + Send;

    /// A fresh look at one device.
    fn look(&self, device: &DeviceRef) -> impl Future<Output = Result<Seen, Failure>> + Send;
}

/// Publishes events of the sweep's own, in the schema that any publisher may use.
pub trait Notices: Send + Sync {
    /// Publishes the event, under its name.
    fn publish(&self, event: &Event) -> impl Future<Output = PortResult<()>> + Send;
}

/// Where the sweep remembers which devices Mender said not to have.
pub trait Notebook: Send + Sync {
    /// Devices noted, with the time of the note by the server's clock; at most `most`.
    fn noted(
        &self,
        tenant: &TenantId,
        most: usize,
    ) -> impl Future<Output = PortResult<Vec<(DeviceId, Timestamp)>>> + Send;

    /// Notes a device, unless it is noted already.
    fn note(&self, device: &DeviceRef) -> impl Future<Output = PortResult<()>> + Send;

    /// Forgets a note.
    fn forget(&self, device: &DeviceRef) -> impl Future<Output = PortResult<()>> + Send;
}
