//! The mode `mender`: Mender's own role-based access control decides.
//!
//! Its useradm is asked as Mender's gateway asks it about a request: may whoever holds this token
//! send this method to this URI? The URIs are those of Mender's API for device state
//! (iot-manager's), so whoever may read or change it there may do so here.
//!
//! | verb | method and URI |
//! | --- | --- |
//! | `get` | `GET …/iot-manager/devices/<id>/state` |
//! | `set`, `patch`, `method` | `PUT …/iot-manager/devices/<id>/state/<integration>` |
//! | `query`, `job-get` | `POST /api/management/v2/inventory/filters/search`: all devices are looked through |
//! | `job-create`, `job-cancel` | `POST …/iot-manager/integrations`: only an administrator of the tenant may |
//!
//! useradm may answer "yes, within these groups" (`X-MEN-RBAC-Inventory-Groups`). Then the one
//! device must be in one of them, which the inventory is asked; a verb about all devices is refused.
//! Whatever cannot be found out is refused, and nothing about that is remembered.

use std::future::Future;
use std::time::Duration;

use messages::{DeviceId, TenantId};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::time::timeout;

use super::by_token::caller;
use super::cache::{Cache, Key};
use super::{Access, Asked, Caller, Denied, Permission, Proof, bearer};
use crate::TwinError;
use crate::token::read_unverified;

/// An answer that takes longer is doubt.
const PATIENCE: Duration = Duration::from_secs(5);
const API: &str = "/api/management/v1/iot-manager";
const SEARCH: &str = "/api/management/v2/inventory/filters/search";
/// Roles are about devices, not about integrations, so any id does in the place of one.
const INTEGRATION: &str = "00000000-0000-0000-0000-000000000000";

/// A request that somebody wants to send, as Mender's gateway describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The HTTP method.
    pub method: &'static str,
    /// The path.
    pub uri: String,
}

impl Question {
    /// What has to be allowed for a verb.
    #[must_use]
    pub fn about(asked: &Asked<'_>) -> Self {
        let device = asked.device.map(DeviceId::as_str);
        let need = Permission::for_verb(asked.verb);
        let (method, uri) = match (device, need) {
            (Some(id), Permission::Read) => ("GET", format!("{API}/devices/{}/state", segment(id))),
            (Some(id), Permission::Admin) => {
                let id = segment(id);
                ("PUT", format!("{API}/devices/{id}/state/{INTEGRATION}"))
            }
            (None, Permission::Read) => ("POST", SEARCH.to_owned()),
            (None, Permission::Admin) => ("POST", format!("{API}/integrations")),
        };
        Self { method, uri }
    }
}

/// What useradm says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It may.
    Allowed,
    /// It may, with devices of these groups.
    Within(Vec<String>),
    /// The token is not good (any more).
    Unauthenticated,
    /// It may not.
    Forbidden,
}

/// The answer could not be had, or not be understood. Why is logged where it happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unknown;

/// The port: Mender's services that know users, roles and groups.
pub trait Rbac: Send + Sync + 'static {
    /// Asks useradm.
    fn ask(
        &self,
        token: &str,
        question: &Question,
    ) -> impl Future<Output = Result<Verdict, Unknown>> + Send;

    /// The groups of a device; none also if there is no such device.
    fn groups_of(
        &self,
        tenant: &TenantId,
        device: &DeviceId,
    ) -> impl Future<Output = Result<Vec<String>, Unknown>> + Send;
}

/// Lets Mender decide.
#[derive(Debug)]
pub struct ByMender<R> {
    rbac: R,
    cache: Cache,
}

impl<R: Rbac> ByMender<R> {
    /// Asks `rbac`, and remembers each answer for `remember`, which may be nothing.
    pub fn new(rbac: R, remember: Duration) -> Self {
        Self {
            rbac,
            cache: Cache::new(remember),
        }
    }

    #[cfg(test)]
    pub(super) const fn rbac(&self) -> &R {
        &self.rbac
    }

    async fn decide(&self, asked: &Asked<'_>) -> Result<Caller, Denied> {
        let token = bearer::token(asked.headers).ok_or(TwinError::Unauthenticated)?;
        let claims = read_unverified(token).map_err(|refusal| {
            tracing::debug!(%refusal, "a token was refused: {refusal}");
            TwinError::Unauthenticated
        })?;
        // Nobody is asked about what is of another tenant. The token may be forged at this point,
        // so whose it claims to be is not told to the audit log.
        if claims.tenant != *asked.tenant {
            return Err(TwinError::Forbidden.into());
        }
        let verdict = match timeout(PATIENCE, self.verdict(token, asked)).await {
            Ok(Ok(verdict)) => verdict,
            Ok(Err(Unknown)) | Err(_) => return Err(TwinError::Undecided.into()),
        };
        let caller = caller(&claims, Proof::Mender);
        match verdict {
            Verdict::Allowed => Ok(caller),
            Verdict::Unauthenticated => Err(TwinError::Unauthenticated.into()),
            Verdict::Forbidden | Verdict::Within(_) => Err(Denied {
                error: TwinError::Forbidden,
                caller: Some(caller),
            }),
        }
    }

    /// The answer about this device: [`Verdict::Within`] does not come out of here if the device
    /// is in one of the groups.
    async fn verdict(&self, token: &str, asked: &Asked<'_>) -> Result<Verdict, Unknown> {
        let question = Question::about(asked);
        let key = Key::of(token, &question, asked.tenant);
        if let Some(known) = self.cache.get(&key) {
            return Ok(known);
        }
        let verdict = match self.rbac.ask(token, &question).await? {
            Verdict::Within(groups) => self.within(groups, asked).await?,
            other => other,
        };
        self.cache.put(key, verdict.clone());
        Ok(verdict)
    }

    async fn within(&self, groups: Vec<String>, asked: &Asked<'_>) -> Result<Verdict, Unknown> {
        let Some(device) = asked.device else {
            return Ok(Verdict::Forbidden);
        };
        let of_device = self.rbac.groups_of(asked.tenant, device).await?;
        Ok(if of_device.iter().any(|group| groups.contains(group)) {
            Verdict::Allowed
        } else {
            Verdict::Forbidden
        })
    }
}

impl<R: Rbac> Access for ByMender<R> {
    async fn check(&self, asked: Asked<'_>) -> Result<Caller, Denied> {
        self.decide(&asked).await
    }
}

/// An id as one segment of a path. `.` and `..` would be steps, however they are encoded; the
/// encoding leaves them no dot.
fn segment(id: &str) -> String {
    utf8_percent_encode(id, NON_ALPHANUMERIC)
        .to_string()
        .replace("%2D", "-")
}
