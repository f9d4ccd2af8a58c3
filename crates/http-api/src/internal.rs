//! The internal API: what Mender's services tell.

use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use futures::future::try_join_all;
use lifecycle::{Event, Status};
use messages::{DeviceId, TenantId};

use crate::api::{Api, Call};
use crate::device::{Device, Kind};
use crate::json::{self, Wrong};
use crate::ports::{Backend, Unavailable};
use crate::reply::Reply;
use crate::route::Endpoint;
use crate::{body, preauth};

/// The most devices of one bulk call.
const MOST: usize = 100;
/// How long a caller waits for an event to be stored. Workflows waits eight seconds and tries
/// again after a 503, which is better than an answer that does not come.
const STORED_WITHIN: Duration = Duration::from_millis(1_500);
/// What a status may be called here.
const STATUSES: [&str; 6] = [
    "accepted",
    "noauth",
    "pending",
    "preauthorized",
    "rejected",
    "decommissioned",
];

impl<B: Backend> Api<B> {
    pub(crate) async fn internal(&self, endpoint: Endpoint, call: Call<'_>, body: Body) -> Reply {
        let done = match endpoint {
            Endpoint::Provision => self.provision(&call, body).await,
            Endpoint::BulkStatus => self.bulk_status(&call, body).await,
            Endpoint::Decommission => self.decommission(&call).await,
            Endpoint::DeleteTenant => self.delete_tenant(&call).await,
            Endpoint::Preauth => Ok(preauth::answer(self, &call, body).await),
            _ => Err(Reply::not_found()),
        };
        done.unwrap_or_else(|refusal| refusal)
    }

    pub(crate) async fn health(&self) -> Reply {
        if self.is_stopping() {
            return Reply::unhealthy("the service is stopping");
        }
        let looked = tokio::time::timeout(STORED_WITHIN, self.backend.health());
        match looked.await {
            Ok(Ok(())) => Reply::empty(StatusCode::NO_CONTENT),
            Ok(Err(Unavailable(why))) => Reply::unhealthy(why),
            Err(_) => Reply::unhealthy("the message broker does not answer"),
        }
    }

    async fn provision(&self, call: &Call<'_>, body: Body) -> Result<Reply, Reply> {
        let text = body::text(body, self.limits.body).await?;
        let device = Device::read(&text).map_err(|wrong| malformed(&wrong))?;
        if device.id.is_empty() {
            return Err(Reply::bad("missing device ID"));
        }
        let tenant = tenant(call.part(0))?;
        let id = device_id(&device.id)?;
        let status = match device.status.as_str() {
            // Only an accepted device is provisioned.
            "" => Status::Accepted,
            text => known(text)
                .filter(|status| *status != Status::Decommissioned)
                .ok_or_else(|| malformed(&Wrong::new("status: must be a valid value.")))?,
        };
        let event = device.into_event(Kind::Provision, tenant, id, status);
        self.store(vec![event]).await
    }

    async fn bulk_status(&self, call: &Call<'_>, body: Body) -> Result<Reply, Reply> {
        let said: String = call.part(1).chars().take(64).collect();
        let status = known(call.part(1));
        let status = status.ok_or_else(|| Reply::bad(format!("invalid status '{said}'")))?;
        let text = body::text(body, self.limits.body).await?;
        let invalid = |Wrong(text)| Reply::bad(format!("invalid request body: {text}"));
        let pieces = json::array(&text).map_err(invalid)?;
        if pieces.len() > MOST {
            let text = format!("too many bulk items: max {MOST} items per request");
            return Err(Reply::bad(text));
        }
        let devices = pieces.into_iter().map(Device::read);
        let devices: Vec<_> = devices.collect::<Result<_, _>>().map_err(invalid)?;
        let tenant = tenant(call.part(0))?;
        let mut events = Vec::with_capacity(devices.len());
        for device in devices {
            // One without an id that a device can have does not keep the others waiting.
            let Ok(id) = device.id.parse::<DeviceId>() else {
                tracing::warn!(
                    request = call.request.as_str(),
                    "a bulk item names no device"
                );
                continue;
            };
            events.push(device.into_event(Kind::Status, tenant.clone(), id, status));
        }
        self.store(events).await
    }

    async fn decommission(&self, call: &Call<'_>) -> Result<Reply, Reply> {
        let tenant = tenant(call.part(0))?;
        // What no device can be called was never there.
        let Ok(id) = call.part(1).parse::<DeviceId>() else {
            return Ok(Reply::empty(StatusCode::ACCEPTED));
        };
        let device = Device {
            id: String::new(),
            status: String::new(),
            revision: None,
            created: None,
        };
        let event = device.into_event(Kind::Decommission, tenant, id, Status::Decommissioned);
        self.store(vec![event]).await
    }

    async fn delete_tenant(&self, call: &Call<'_>) -> Result<Reply, Reply> {
        let tenant = tenant(call.part(0))?;
        let forgotten = self.backend.forget(&tenant).await;
        forgotten.map_err(|Unavailable(why)| Reply::unavailable(why))?;
        Ok(Reply::empty(StatusCode::NO_CONTENT))
    }

    /// 202 once all of them are stored.
    async fn store(&self, events: Vec<Event>) -> Result<Reply, Reply> {
        let stored = try_join_all(events.into_iter().map(|event| self.backend.store(event)));
        match tokio::time::timeout(STORED_WITHIN, stored).await {
            Ok(Ok(_)) => Ok(Reply::empty(StatusCode::ACCEPTED)),
            Ok(Err(Unavailable(why))) => Err(Reply::unavailable(why)),
            Err(_) => Err(Reply::unavailable("the event could not be stored in time")),
        }
    }
}

fn malformed(Wrong(text): &Wrong) -> Reply {
    Reply::bad(format!("malformed request body: {text}"))
}

pub(crate) fn tenant(text: &str) -> Result<TenantId, Reply> {
    let invalid = |error| Reply::bad(format!("invalid tenant ID: {error}"));
    text.parse().map_err(invalid)
}

fn device_id(text: &str) -> Result<DeviceId, Reply> {
    let invalid = |error| Reply::bad(format!("malformed request body: device ID: {error}"));
    text.parse().map_err(invalid)
}

fn known(text: &str) -> Option<Status> {
    let listed = STATUSES.contains(&text);
    listed.then(|| text.parse().ok()).flatten()
}
