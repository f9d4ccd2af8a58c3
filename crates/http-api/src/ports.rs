//! What the APIs need of the world.

use std::fmt;
use std::future::Future;

use lifecycle::{Event, Timestamp};
use messages::{DeviceId, ModuleId, OutcomeMessage, TenantId};
use serde_json::Value;
use uuid::Uuid;
use zeroize::Zeroizing;

/// Something that is needed is away; the same call may work later. The text goes to callers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unavailable(pub String);

/// Where events go.
pub trait Intake {
    /// Stores an event; returns once it cannot get lost any more.
    fn store(&self, event: Event) -> impl Future<Output = Result<(), Unavailable>> + Send;

    /// Whether events can be stored now.
    fn health(&self) -> impl Future<Output = Result<(), Unavailable>> + Send;

    /// Forgets a tenant: its integration, its records of devices and its events. Identities in the
    /// hub stay as they are.
    fn forget(&self, tenant: &TenantId) -> impl Future<Output = Result<(), Unavailable>> + Send;
}

/// A tenant's integration as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Integration {
    /// Its id.
    pub id: Uuid,
    /// What its owner wrote about it; may be empty.
    pub description: String,
    /// The connection string without its key, see [`crate::masked`].
    pub connection_string: String,
}

/// The key of a shared access policy, as it was given.
#[derive(Clone, PartialEq, Eq)]
pub struct HubKey {
    /// The hub, with a port if it was given.
    pub host: String,
    /// Name of the policy.
    pub policy: String,
    /// The key in base64.
    pub key: Zeroizing<String>,
}

impl fmt::Debug for HubKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (host, policy) = (&self.host, &self.policy);
        write!(f, "HubKey({policy} at {host})")
    }
}

/// How a removal ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// It is gone.
    Removed,
    /// There are devices of ours in the hub.
    InUse,
    /// There is none.
    Missing,
}

/// Tenants' integrations: at most one each.
pub trait Integrations {
    /// The id that the tenant's integration has, or would have.
    fn id(&self, tenant: &TenantId) -> Uuid;

    /// Whether a key may be sent to this host.
    fn trusts(&self, host: &str) -> bool;

    /// `false` only if it is certain that there is no such host.
    fn resolves(&self, host: &str) -> impl Future<Output = bool> + Send;

    /// The tenant's integration.
    fn integration(
        &self,
        tenant: &TenantId,
    ) -> impl Future<Output = Result<Option<Integration>, Unavailable>> + Send;

    /// Makes the tenant's integration; `false` if it has one, also if it came at the same time.
    fn create(
        &self,
        tenant: &TenantId,
        description: String,
        key: HubKey,
    ) -> impl Future<Output = Result<bool, Unavailable>> + Send;

    /// Gives the integration another key, or hub; `false` if there is none.
    fn set_key(
        &self,
        tenant: &TenantId,
        key: HubKey,
    ) -> impl Future<Output = Result<bool, Unavailable>> + Send;

    /// Removes the integration unless it is in use.
    fn remove(
        &self,
        tenant: &TenantId,
    ) -> impl Future<Output = Result<Removal, Unavailable>> + Send;
}

/// The two halves of a twin that Mender shows.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceState {
    /// What the back end wants of the device.
    pub desired: Value,
    /// What the device says of itself.
    pub reported: Value,
    /// Names this version of the twin.
    pub etag: String,
}

/// Why a twin was not read or changed. Nothing in it tells of the hub's inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateError {
    /// The tenant has no such device, or no integration.
    NotFound,
    /// The twin was changed meanwhile.
    Conflict,
    /// The hub would not take this; why.
    Invalid(String),
    /// Too many requests.
    Throttled,
    /// The hub does not let us in.
    HubRefused,
    /// The hub cannot be reached.
    HubUnavailable,
    /// The hub did not answer in time.
    TimedOut,
    /// Something else that is needed is away.
    Unavailable,
}

/// Twins of a tenant's own devices.
pub trait Twins {
    /// The twin of a device or of one of its modules.
    fn state(
        &self,
        tenant: &TenantId,
        device: &DeviceId,
        module: Option<&ModuleId>,
    ) -> impl Future<Output = Result<DeviceState, StateError>> + Send;

    /// Replaces the desired properties if the twin has this `etag`, or without one if nobody
    /// changes it at the same time. Tags stay. Returns the twin afterwards.
    fn replace_desired(
        &self,
        caller: &Caller,
        device: &DeviceId,
        desired: Value,
        etag: Option<&str>,
    ) -> impl Future<Output = Result<DeviceState, StateError>> + Send;
}

/// How one event ended, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    /// When that was written down.
    pub time: Timestamp,
    /// How.
    pub outcome: OutcomeMessage,
}

/// The log of events.
pub trait EventLog {
    /// The tenant's newest events, newest first, at most so many.
    fn newest(
        &self,
        tenant: &TenantId,
        most: usize,
    ) -> impl Future<Output = Result<Vec<Logged>, Unavailable>> + Send;
}

/// Who asks: what the token says. Whether that is true is for [`Users::check`] to say.
#[derive(Clone, PartialEq, Eq)]
pub struct Caller {
    /// The user's id.
    pub subject: String,
    /// The user's tenant, whose things the request is about.
    pub tenant: TenantId,
    /// The token's id.
    pub token_id: Option<String>,
    /// The token itself.
    pub token: Zeroizing<String>,
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (subject, tenant) = (&self.subject, &self.tenant);
        write!(f, "Caller({subject:?} of {tenant:?})")
    }
}

/// What a user wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish<'a> {
    /// See the tenant's integration or events.
    Look,
    /// Change the tenant's integration.
    Administer,
    /// See a device's twin.
    Read(&'a DeviceId),
    /// Change a device's twin.
    Edit(&'a DeviceId),
}

/// Why a user may not do something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The token is not good.
    Unauthenticated,
    /// The user may not do this.
    Forbidden,
    /// It cannot be found out now.
    Undecided,
}

/// Who may use the management API.
pub trait Users {
    /// Judges a caller. Where Mender's gateway stands in front, everybody it lets through may.
    fn check(
        &self,
        caller: &Caller,
        wish: Wish<'_>,
    ) -> impl Future<Output = Result<(), Refusal>> + Send;
}

/// All of them.
pub trait Backend:
    Intake + Integrations + Twins + EventLog + Users + Send + Sync + 'static
{
}

impl<T: Intake + Integrations + Twins + EventLog + Users + Send + Sync + 'static> Backend for T {}
