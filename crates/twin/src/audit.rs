//! The record of who edited what.
//!
//! An edit is recorded before it is begun, and not begun if that fails: there is no edit that nobody
//! knows of. Its end is recorded after it. If that fails, or the requester's time is over first, the
//! beginning stands alone and says that the edit may have taken effect.

use messages::{AuditCaller, AuditEdit, AuditKind, AuditMessage, AuditOutcome, DeviceId, ModuleId};
use ring::rand::{self, SystemRandom};

use crate::work::Work;
use crate::{Access, Asked, Caller, Denied, Proof, TwinError};

/// A record could not be stored. Why is logged where it happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotRecorded;

/// Carries out an edit of `caller`, recorded at its beginning and its end. `work` is what was
/// read of the request.
pub(crate) async fn recorded<A: Access>(
    access: &A,
    asked: &Asked<'_>,
    caller: &Caller,
    work: Result<Work, TwinError>,
    carry_out: impl AsyncFnOnce(Work) -> Result<Vec<u8>, TwinError>,
) -> Result<Vec<u8>, TwinError> {
    let mut record = begun(asked, caller);
    let work = match work {
        Ok(work) => work,
        Err(error) => {
            store_end(access, refused(record, &error)).await;
            return Err(error);
        }
    };
    record.edit = work.edit();
    let stored = access.record(&record).await;
    stored.map_err(|NotRecorded| TwinError::Unrecorded)?;
    let ended = carry_out(work).await;
    store_end(access, end(record, &ended)).await;
    ended
}

/// Records that somebody was refused an edit. The refusal stands, recorded or not.
pub(crate) async fn denied<A: Access>(access: &A, asked: &Asked<'_>, denied: &Denied) {
    if let (true, Some(caller)) = (asked.verb.edits(), &denied.caller) {
        store_end(access, refused(begun(asked, caller), &denied.error)).await;
    }
}

async fn store_end<A: Access>(access: &A, record: AuditMessage) {
    if access.record(&record).await.is_err() {
        tracing::warn!(
            request = record.request_id,
            outcome = ?record.outcome,
            "the end of an edit is not in the audit log"
        );
    }
}

fn begun(asked: &Asked<'_>, caller: &Caller) -> AuditMessage {
    AuditMessage {
        kind: AuditKind::TwinAudit,
        request_id: fresh_id(),
        verb: asked.verb.as_str().to_owned(),
        tenant_id: asked.tenant.as_str().to_owned(),
        device_id: asked.device.map(DeviceId::as_str).map(str::to_owned),
        module_id: asked.module.map(ModuleId::as_str).map(str::to_owned),
        caller: AuditCaller {
            by: match caller.by {
                Proof::Subject => "subject",
                Proof::Token => "jwt",
                Proof::Mender => "mender",
            }
            .to_owned(),
            subject: caller.subject.clone(),
            tenant_id: caller
                .tenant
                .as_ref()
                .map(|tenant| tenant.as_str().to_owned()),
            token_id: caller.token_id.clone(),
        },
        edit: AuditEdit::default(),
        outcome: AuditOutcome::Begun,
        code: None,
        etag: None,
    }
}

fn refused(record: AuditMessage, error: &TwinError) -> AuditMessage {
    AuditMessage {
        outcome: AuditOutcome::Refused,
        code: Some(error.code().number()),
        ..record
    }
}

fn end(record: AuditMessage, ended: &Result<Vec<u8>, TwinError>) -> AuditMessage {
    match ended {
        Ok(body) => AuditMessage {
            outcome: AuditOutcome::Applied,
            etag: etag(body),
            ..record
        },
        Err(error) => AuditMessage {
            outcome: match error {
                TwinError::TimedOut | TwinError::HubUnavailable => AuditOutcome::Unknown,
                _ => AuditOutcome::Failed,
            },
            code: Some(error.code().number()),
            etag: error.etag().map(str::to_owned),
            ..record
        },
    }
}

/// The ETag in a reply, if it is a twin's.
fn etag(body: &[u8]) -> Option<String> {
    let reply: serde_json::Value = serde_json::from_slice(body).ok()?;
    Some(reply.get("etag")?.as_str()?.to_owned())
}

/// Sixteen random bytes. Without randomness records cannot be told apart, but are still made.
fn fresh_id() -> String {
    let bytes: Option<[u8; 16]> = rand::generate(&SystemRandom::new())
        .ok()
        .map(rand::Random::expose);
    bytes
        .unwrap_or_default()
        .iter()
        .fold(String::new(), |mut id, byte| {
            use std::fmt::Write as _;
            let _ = write!(id, "{byte:02x}");
            id
        })
}
