//! From one request to one reply, without NATS around it.

use std::time::Duration;

use async_nats::HeaderMap;
use messages::twin::{TwinDocument, parse_get, parse_set};
use messages::{DeviceRef, device_of};
use tokio::time::timeout;

use crate::admission::Place;
use crate::{Access, Asked, TwinError, TwinHub, Verb};

/// One request as it was received.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(crate) verb: Verb,
    pub(crate) subject: &'a str,
    pub(crate) headers: Option<&'a HeaderMap>,
    pub(crate) body: &'a [u8],
}

/// The tenant and device tokens at the end of a subject.
pub(crate) fn tokens(subject: &str) -> (&str, &str) {
    let (head, device) = subject.rsplit_once('.').unwrap_or(("", subject));
    let (_, tenant) = head.rsplit_once('.').unwrap_or(("", head));
    (tenant, device)
}

/// Carries out a request once its tenant's turn has come.
pub(crate) async fn in_turn<H: TwinHub, A: Access>(
    hub: &H,
    access: &A,
    call: Call<'_>,
    place: &Place,
    deadline: Duration,
) -> Result<TwinDocument, TwinError> {
    let work = async {
        // The semaphore is never closed.
        let _turn = place.running.acquire().await;
        answer(hub, access, call).await
    };
    timeout(deadline, work)
        .await
        .unwrap_or(Err(TwinError::TimedOut))
}

async fn answer<H: TwinHub, A: Access>(
    hub: &H,
    access: &A,
    call: Call<'_>,
) -> Result<TwinDocument, TwinError> {
    let (tenant, device) = tokens(call.subject);
    let about = device_of(tenant, device).map_err(|bad| TwinError::Invalid(bad.to_string()))?;
    access
        .check(Asked {
            verb: call.verb,
            tenant: &about.tenant,
            device: Some(&about.device),
            module: None,
            headers: call.headers,
        })
        .await
        .map_err(|denied| denied.error)?;
    Ok(carry_out(hub, call, &about).await?.cleaned())
}

async fn carry_out<H: TwinHub>(
    hub: &H,
    call: Call<'_>,
    about: &DeviceRef,
) -> Result<TwinDocument, TwinError> {
    match call.verb {
        Verb::Get => {
            parse_get(call.body)?;
            hub.get(&about.tenant, &about.device).await
        }
        Verb::Set => {
            let edit = parse_set(call.body)?;
            hub.set(&about.tenant, &about.device, edit.desired, edit.etag)
                .await
        }
        Verb::Patch
        | Verb::Query
        | Verb::Method
        | Verb::JobCreate
        | Verb::JobGet
        | Verb::JobCancel => Err(TwinError::NotFound),
    }
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
