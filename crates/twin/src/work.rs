//! What a request asks for once it was read, and how it is carried out.

use std::time::Duration;

use messages::AuditEdit;
use messages::twin::{
    JobName, JobRequest, JobWork, MethodRequest, PatchRequest, QueryRequest, SetRequest, parse_get,
    parse_job_create, parse_job_name, parse_method, parse_patch, parse_query, parse_set,
};

use serde_json::json;

use crate::address::Address;
use crate::{Target, TwinError, TwinHub, Verb};

/// The longest body of a reply, in bytes: nine tenths of the usual `max_payload` of nats-server.
pub(crate) const LONGEST_REPLY: usize = 900 * 1024;

/// A request that was read.
pub(crate) enum Work {
    Get,
    Set(SetRequest),
    Patch(PatchRequest),
    Method(MethodRequest),
    Query(QueryRequest),
    CreateJob(JobRequest),
    Job(JobName),
    CancelJob(JobName),
}

impl Work {
    /// Reads the body of a request.
    pub(crate) fn read(verb: Verb, body: &[u8]) -> Result<Self, TwinError> {
        Ok(match verb {
            Verb::Get => parse_get(body).map(|()| Self::Get)?,
            Verb::Set => Self::Set(parse_set(body)?),
            Verb::Patch => Self::Patch(parse_patch(body)?),
            Verb::Method => Self::Method(parse_method(body)?),
            Verb::Query => Self::Query(parse_query(body)?),
            Verb::JobCreate => Self::CreateJob(parse_job_create(body)?),
            Verb::JobGet => Self::Job(parse_job_name(body)?),
            Verb::JobCancel => Self::CancelJob(parse_job_name(body)?),
        })
    }

    /// Refuses what cannot end before the requester has gone.
    pub(crate) fn fits_into(&self, said: Option<Duration>) -> Result<(), TwinError> {
        let (Self::Method(call), Some(said)) = (self, said) else {
            return Ok(());
        };
        if Duration::from_secs(call.response_timeout_s) <= said {
            return Ok(());
        }
        Err(TwinError::Invalid(format!(
            "the device may take {} s to answer, longer than you wait: lower response_timeout_s \
             or raise {}",
            call.response_timeout_s,
            messages::header::TIMEOUT_MS
        )))
    }

    /// What it edits, for the audit log: no values.
    pub(crate) fn edit(&self) -> AuditEdit {
        let mut edit = AuditEdit::default();
        match self {
            Self::Get | Self::Query(_) => {}
            Self::Set(set) => {
                edit.add("desired", &set.desired);
                edit.if_etag.clone_from(&set.etag);
            }
            Self::Patch(patch) => add_patch(&mut edit, patch),
            Self::Method(call) => edit.name = Some(call.name.clone()),
            Self::CreateJob(job) => {
                edit.name = Some(job.id.as_str().to_owned());
                match &job.work {
                    JobWork::Patch(patch) => add_patch(&mut edit, patch),
                    JobWork::Method(call) => edit.add("method", &json!({ &call.name: null })),
                }
            }
            Self::Job(id) | Self::CancelJob(id) => edit.name = Some(id.as_str().to_owned()),
        }
        edit
    }

    /// Carries it out; the result is the body of the reply.
    pub(crate) async fn carry_out<H: TwinHub>(
        self,
        hub: &H,
        address: &Address,
    ) -> Result<Vec<u8>, TwinError> {
        let tenant = &address.tenant;
        match self {
            Self::Get => twin(hub.get(target(address)?).await),
            Self::Set(edit) => twin(hub.set(target(address)?, edit).await),
            Self::Patch(edit) => twin(hub.patch(target(address)?, edit).await),
            Self::Method(call) => Ok(hub.method(target(address)?, call).await?.to_body()),
            Self::Query(query) => {
                let page = hub.query(tenant, query, LONGEST_REPLY).await?;
                Ok(page.cleaned().to_body())
            }
            Self::CreateJob(job) => Ok(hub.create_job(tenant, job).await?.to_body()),
            Self::Job(id) => Ok(hub.job(tenant, &id).await?.to_body()),
            Self::CancelJob(id) => Ok(hub.cancel_job(tenant, &id).await?.to_body()),
        }
    }
}

fn add_patch(edit: &mut AuditEdit, patch: &PatchRequest) {
    for (name, section) in [("desired", &patch.desired), ("tags", &patch.tags)] {
        if let Some(section) = section {
            edit.add(name, section);
        }
    }
    edit.if_etag.clone_from(&patch.etag);
}

fn twin(found: Result<messages::twin::TwinDocument, TwinError>) -> Result<Vec<u8>, TwinError> {
    Ok(found?.cleaned().to_body())
}

fn target(address: &Address) -> Result<Target<'_>, TwinError> {
    Ok(Target {
        tenant: &address.tenant,
        device: address.device.as_ref().ok_or(TwinError::NotFound)?,
        module: address.module.as_ref(),
    })
}
