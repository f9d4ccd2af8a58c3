//! Twins, methods and jobs of a tenant's own devices, for the twin service.
//!
//! A hub may hold devices of several tenants, and devices of nobody we know. A device is a
//! tenant's own if there is a record of it under that tenant whose identity we made or adopted, in
//! the hub of the tenant's present integration. That is asked before the hub is; what a caller
//! writes into a subject or a query proves nothing.

mod failure;
mod jobs;
mod own;
mod pace;
mod query;

use std::sync::Arc;
use std::time::Duration;

use iothub::{Kind, Method, Twin};
use messages::twin::{
    JobName, JobReply, JobRequest, MethodReply, MethodRequest, PatchRequest, QueryReply,
    QueryRequest, SetRequest, TwinDocument,
};
use reconciler::ports::{Hubs as _, PortError};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use twin::{Target, TenantId, TwinError, TwinHub};

use super::hub::HubPort;
use super::hubs::Integrations;
use super::store::StorePort;
use failure::Trouble;
use pace::{Meter, Pace};

/// How often an edit without an ETag of the caller is tried against others' edits.
const TRIES: usize = 4;
/// Queries at once: a page of a query is by far the largest thing that is held in memory.
const QUERIES: usize = 4;

/// The tenants' hubs as the twin service sees them.
pub(crate) struct TwinPort {
    integrations: Integrations,
    records: Arc<StorePort>,
    pace: Pace,
    queries: Semaphore,
}

impl TwinPort {
    /// `throttled` is the pause after a 429 that names no time.
    pub(crate) fn new(
        integrations: Integrations,
        records: Arc<StorePort>,
        throttled: Duration,
    ) -> Self {
        Self {
            integrations,
            records,
            pace: Pace::new(throttled),
            queries: Semaphore::new(QUERIES),
        }
    }

    async fn hub(&self, tenant: &TenantId) -> Result<HubPort, TwinError> {
        match self.integrations.hub(tenant).await {
            Ok(Some(hub)) => Ok(hub),
            Ok(None) => Err(TwinError::NoIntegration),
            Err(PortError::Unavailable(why) | PortError::NotUnderstood(why)) => {
                tracing::warn!(%tenant, why, "the integration cannot be used");
                Err(TwinError::HubUnavailable)
            }
        }
    }

    /// The hub and the name there of what a request is about, if that is the tenant's own.
    async fn place(&self, of: Target<'_>) -> Result<Place, TwinError> {
        let hub = self.hub(of.tenant).await?;
        self.check_own(of.tenant, of.device, &hub).await?;
        let invalid = |error: iothub::InvalidDeviceId| TwinError::Invalid(error.to_string());
        let module = of.module.map(|module| module.as_str().parse());
        Ok(Place {
            device: of.device.as_str().parse().map_err(invalid)?,
            module: module.transpose().map_err(invalid)?,
            hub,
        })
    }

    async fn read(&self, at: &Place) -> Result<Twin, Trouble> {
        let (hub, device) = (&at.hub.client, &at.device);
        let call = async {
            match &at.module {
                Some(module) => hub.module_twin(device, module).await,
                None => hub.twin(device).await,
            }
        };
        self.pace.ask(&at.hub, Meter::Reads, call).await
    }

    async fn replace(&self, at: &Place, edited: &Value, etag: &str) -> Result<Twin, Trouble> {
        let (hub, device, etag) = (&at.hub.client, &at.device, Some(etag));
        let call = async {
            match &at.module {
                Some(module) => hub.replace_module_twin(device, module, edited, etag).await,
                None => hub.replace_twin(device, edited, etag).await,
            }
        };
        self.pace.ask(&at.hub, Meter::Updates, call).await
    }

    async fn merge(&self, at: &Place, edit: &Value, etag: Option<&str>) -> Result<Twin, Trouble> {
        let (hub, device) = (&at.hub.client, &at.device);
        let call = async {
            match &at.module {
                Some(module) => hub.patch_module_twin(device, module, edit, etag).await,
                None => hub.patch_twin(device, edit, etag).await,
            }
        };
        self.pace.ask(&at.hub, Meter::Updates, call).await
    }

    /// The conflict of an edit that lost against another one, with the ETag to go on from.
    async fn conflict(&self, at: &Place) -> TwinError {
        let now = self.read(at).await.ok();
        TwinError::Conflict {
            etag: now.and_then(|twin| twin.etag().map(str::to_owned)),
        }
    }
}

/// Where a twin is.
struct Place {
    hub: HubPort,
    device: iothub::DeviceId,
    module: Option<iothub::ModuleId>,
}

impl TwinHub for TwinPort {
    async fn get(&self, of: Target<'_>) -> Result<TwinDocument, TwinError> {
        let at = self.place(of).await?;
        Ok(document(&self.read(&at).await?))
    }

    async fn set(&self, of: Target<'_>, edit: SetRequest) -> Result<TwinDocument, TwinError> {
        let at = self.place(of).await?;
        for _ in 0..TRIES {
            let found = self.read(&at).await?;
            let live = found.etag().unwrap_or_default();
            if edit.etag.as_deref().is_some_and(|etag| etag != live) {
                return Err(TwinError::Conflict {
                    etag: Some(live.to_owned()),
                });
            }
            // A replacement without tags would remove them.
            let edited = json!({
                "tags": object(found.tags()),
                "properties": {"desired": edit.desired},
            });
            match self.replace(&at, &edited, live).await {
                Err(Trouble::Hub(error)) if error.kind() == Kind::PreconditionFailed => {}
                after => return Ok(document(&after?)),
            }
        }
        Err(self.conflict(&at).await)
    }

    async fn patch(&self, of: Target<'_>, edit: PatchRequest) -> Result<TwinDocument, TwinError> {
        let at = self.place(of).await?;
        match self.merge(&at, &merged(&edit), edit.etag.as_deref()).await {
            Err(Trouble::Hub(error)) if error.kind() == Kind::PreconditionFailed => {
                Err(self.conflict(&at).await)
            }
            after => Ok(document(&after?)),
        }
    }

    async fn method(&self, of: Target<'_>, call: MethodRequest) -> Result<MethodReply, TwinError> {
        let at = self.place(of).await?;
        let method = method(call)?;
        let called = async {
            let (hub, device) = (&at.hub.client, &at.device);
            match &at.module {
                Some(module) => hub.call_module_method(device, module, &method).await,
                None => hub.call_method(device, &method).await,
            }
        };
        let answer = self.pace.ask(&at.hub, Meter::Methods, called).await;
        let answer = answer.map_err(Trouble::of_method)?;
        Ok(MethodReply {
            status: answer.status,
            payload: answer.payload,
        })
    }

    async fn query(
        &self,
        tenant: &TenantId,
        query: QueryRequest,
        longest: usize,
    ) -> Result<QueryReply, TwinError> {
        let hub = self.hub(tenant).await?;
        // The semaphore is never closed.
        let _turn = self.queries.acquire().await;
        self.page(tenant, &hub, query, longest).await
    }

    async fn create_job(&self, tenant: &TenantId, job: JobRequest) -> Result<JobReply, TwinError> {
        let hub = self.hub(tenant).await?;
        self.schedule(tenant, &hub, job).await
    }

    async fn job(&self, tenant: &TenantId, id: &JobName) -> Result<JobReply, TwinError> {
        let hub = self.hub(tenant).await?;
        let parts = self.parts(&hub, id).await?;
        Ok(jobs::sum(id, &parts))
    }

    async fn cancel_job(&self, tenant: &TenantId, id: &JobName) -> Result<JobReply, TwinError> {
        let hub = self.hub(tenant).await?;
        self.cancel(&hub, id).await
    }
}

/// A merging edit as the hub takes it.
fn merged(edit: &PatchRequest) -> Value {
    let mut whole = json!({});
    if let Some(tags) = &edit.tags {
        whole["tags"] = tags.clone();
    }
    if let Some(desired) = &edit.desired {
        whole["properties"] = json!({"desired": desired});
    }
    whole
}

/// A method as the hub's client takes it.
fn method(call: MethodRequest) -> Result<Method, TwinError> {
    let seconds = Duration::from_secs;
    let method = Method::new(call.name)
        .and_then(|method| method.payload(call.payload))
        .and_then(|method| method.response_timeout(seconds(call.response_timeout_s)))
        .and_then(|method| method.connect_timeout(seconds(call.connect_timeout_s)));
    method.map_err(|error| TwinError::Invalid(error.to_string()))
}

/// A section that is absent is empty.
fn object(section: &Value) -> Value {
    if section.is_null() {
        json!({})
    } else {
        section.clone()
    }
}

fn document(found: &Twin) -> TwinDocument {
    TwinDocument {
        desired: found.desired().clone(),
        reported: found.reported().clone(),
        tags: found.tags().clone(),
        etag: found.etag().unwrap_or_default().to_owned(),
        version: found.version().unwrap_or_default(),
    }
}
