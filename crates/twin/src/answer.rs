//! From one request to one reply, without NATS around it.

use async_nats::HeaderMap;
use tokio::time::{Instant, timeout_at};

use crate::address::{Address, Tokens};
use crate::admission::Place;
use crate::work::Work;
use crate::{Access, Asked, Limits, TwinError, TwinHub, Verb, audit, deadline};

/// One request as it was received.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(crate) verb: Verb,
    pub(crate) tokens: Tokens<'a>,
    pub(crate) headers: Option<&'a HeaderMap>,
    pub(crate) body: &'a [u8],
    pub(crate) received: Instant,
}

/// Carries out a request once its tenant's turn has come, unless its requester has gone by then.
/// The result is the body of the reply.
pub(crate) async fn in_turn<H: TwinHub, A: Access>(
    hub: &H,
    access: &A,
    call: Call<'_>,
    place: &Place,
    limits: &Limits,
) -> Result<Vec<u8>, TwinError> {
    let allowed = deadline::allowed(limits, call.verb, call.headers)?;
    let until = call.received + allowed;
    let work = async {
        // The semaphore is never closed.
        let _turn = place.running.acquire().await;
        // A time-out lets the work begin before it looks at the clock.
        if Instant::now() >= until {
            return Err(TwinError::TimedOut);
        }
        answer(hub, access, call).await
    };
    timeout_at(until, work)
        .await
        .unwrap_or(Err(TwinError::TimedOut))
}

async fn answer<H: TwinHub, A: Access>(
    hub: &H,
    access: &A,
    call: Call<'_>,
) -> Result<Vec<u8>, TwinError> {
    let address = Address::read(call.tokens)?;
    let asked = Asked {
        verb: call.verb,
        tenant: &address.tenant,
        device: address.device.as_ref(),
        module: address.module.as_ref(),
        headers: call.headers,
    };
    let caller = match access.check(asked).await {
        Ok(caller) => caller,
        Err(denied) => {
            audit::denied(access, &asked, &denied).await;
            return Err(denied.error);
        }
    };
    let work = read(call);
    let carry_out = async |work: Work| work.carry_out(hub, &address).await;
    if call.verb.edits() {
        return audit::recorded(access, &asked, &caller, work, carry_out).await;
    }
    carry_out(work?).await
}

fn read(call: Call<'_>) -> Result<Work, TwinError> {
    let work = Work::read(call.verb, call.body)?;
    work.fits_into(deadline::said(call.headers)?)?;
    Ok(work)
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
