//! Twins, as Mender's web UI shows and edits them.

use http_api::ports::{Caller, DeviceState, StateError, Twins};
use lifecycle::{DeviceId, TenantId};
use messages::twin::{SetRequest, TwinDocument};
use messages::{AuditCaller, AuditEdit, AuditKind, AuditMessage, AuditOutcome, ModuleId};
use serde_json::Value;
use twin::{Target, TwinError, TwinHub as _};

use super::{IotManagerPort, Opened};
use crate::config::Trust;

impl Twins for IotManagerPort {
    async fn state(
        &self,
        tenant: &TenantId,
        device: &DeviceId,
        module: Option<&ModuleId>,
    ) -> Result<DeviceState, StateError> {
        let opened = self.opened().map_err(|_| StateError::Unavailable)?;
        let target = Target {
            tenant,
            device,
            module,
        };
        opened.twins.get(target).await.map(state).map_err(failed)
    }

    async fn replace_desired(
        &self,
        caller: &Caller,
        device: &DeviceId,
        desired: Value,
        etag: Option<&str>,
    ) -> Result<DeviceState, StateError> {
        let opened = self.opened().map_err(|_| StateError::Unavailable)?;
        let target = Target {
            tenant: &caller.tenant,
            device,
            module: None,
        };
        let mut record = self.begun(caller, device, &desired, etag);
        if let Err(error) = opened.streams.audit(&record).await {
            tracing::error!(%error, "the audit log cannot be written: {error}");
            return Err(StateError::Unavailable);
        }
        let edited = replace(opened, target, desired, etag).await;
        record.outcome = AuditOutcome::Applied;
        match &edited {
            Ok(document) => record.etag = Some(document.etag.clone()),
            Err(error) => {
                record.outcome = match error {
                    TwinError::TimedOut | TwinError::HubUnavailable => AuditOutcome::Unknown,
                    _ => AuditOutcome::Failed,
                };
                record.code = Some(error.code().number());
            }
        }
        if opened.streams.audit(&record).await.is_err() {
            let request = record.request_id;
            tracing::warn!(request, "the end of an edit is not in the audit log");
        }
        edited.map(state).map_err(failed)
    }
}

impl IotManagerPort {
    fn begun(
        &self,
        caller: &Caller,
        device: &DeviceId,
        desired: &Value,
        etag: Option<&str>,
    ) -> AuditMessage {
        let mut edit = AuditEdit {
            if_etag: etag.map(str::to_owned),
            ..AuditEdit::default()
        };
        edit.add("desired", desired);
        let by = match self.0.settings.management_trust {
            Trust::None | Trust::Gateway => "gateway",
            Trust::Verify => self.0.access.name(),
        };
        AuditMessage {
            kind: AuditKind::TwinAudit,
            request_id: uuid::Uuid::new_v4().simple().to_string(),
            verb: "set".to_owned(),
            tenant_id: caller.tenant.as_str().to_owned(),
            device_id: Some(device.as_str().to_owned()),
            module_id: None,
            caller: AuditCaller {
                by: by.to_owned(),
                subject: Some(caller.subject.clone()),
                tenant_id: Some(caller.tenant.as_str().to_owned()),
                token_id: caller.token_id.clone(),
            },
            edit,
            outcome: AuditOutcome::Begun,
            code: None,
            etag: None,
        }
    }
}

/// Replaces what was there just now. Somebody else's edit in between is a conflict.
async fn replace(
    opened: &Opened,
    target: Target<'_>,
    desired: Value,
    etag: Option<&str>,
) -> Result<TwinDocument, TwinError> {
    let etag = match etag {
        Some(etag) => etag.to_owned(),
        None => opened.twins.get(target).await?.etag,
    };
    let edit = SetRequest {
        desired,
        etag: Some(etag),
    };
    opened.twins.set(target, edit).await
}

fn state(document: TwinDocument) -> DeviceState {
    DeviceState {
        desired: document.desired,
        reported: document.reported,
        etag: document.etag,
    }
}

fn failed(error: TwinError) -> StateError {
    match error {
        TwinError::NotFound | TwinError::NoIntegration => StateError::NotFound,
        TwinError::Conflict { .. } => StateError::Conflict,
        TwinError::Invalid(why) | TwinError::TooLarge(why) => StateError::Invalid(why),
        TwinError::Throttled => StateError::Throttled,
        TwinError::HubUnavailable => StateError::HubUnavailable,
        TwinError::TimedOut => StateError::TimedOut,
        TwinError::Undecided | TwinError::Unrecorded => StateError::Unavailable,
        _ => StateError::HubRefused,
    }
}
