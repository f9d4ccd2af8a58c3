//! One request from arrival to answer: journal, faults, admission, waiting, effect, reply.
//!
//! This runs as a task of its own, apart from the connection. A client that gives up while its
//! request waits in a queue does not stop it: the real service takes effect late as well, and that
//! is exactly what a client of it must survive.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Response, header};
use http_body_util::Full;
use tokio::sync::oneshot;
use tracing::debug;

use crate::bulk;
use crate::choices::TwinSize;
use crate::entra::Denial;
use crate::errors::ServiceError;
use crate::etag::Precondition;
use crate::faults::{Delivery, Fault, Subject};
use crate::hub::Hub;
use crate::journal::Entry;
use crate::operation::Operation;
use crate::registry::{Gate, Trace};
use crate::reply::{CONTINUATION, Outcome, render};
use crate::router::{self, Route, api_version};
use crate::service::{self, Call};
use crate::throttle::{self, Verdict};

/// A request that has been read to its end.
pub(crate) struct Arrived {
    pub(crate) head: Parts,
    /// `None` if it was longer than the service takes.
    pub(crate) body: Option<Bytes>,
    /// Whether it came over TLS.
    pub(crate) encrypted: bool,
}

/// Sees a request through. The answer goes to `reply`; dropping that cuts the connection.
pub(crate) async fn run(
    hub: Arc<Hub>,
    arrived: Arrived,
    reply: oneshot::Sender<Response<Full<Bytes>>>,
) {
    let precondition = precondition(&arrived.head);
    let route = router::route(&arrived.head.method, arrived.head.uri.path(), &precondition);
    let seq = hub.journal.open(entry(&hub, &arrived.head, &route));
    let fault = decide(&hub, &arrived.head, &route);
    if let Some(fault) = &fault {
        hub.journal
            .amend(seq, |entry| entry.fault = Some(fault.name.as_str().into()));
    }
    let fault = fault.as_ref();

    pause(hub.latency / 2 + millis(fault.map_or(0, |fault| fault.delay_ms))).await;
    let true_outcome = if fault.is_some_and(Fault::prevents_effect) {
        None
    } else {
        Some(take_effect(&hub, seq, &arrived, &route, &precondition).await)
    };
    if hub.durable().await.is_err() {
        // The process is about to end; an answer could be a lie.
        return hub.journal.amend(seq, Entry::drop_reply);
    }
    pause(hub.latency / 2 + millis(fault.map_or(0, |fault| fault.delay_after_ms))).await;

    let refusal = fault
        .and_then(|fault| fault.answer.as_ref())
        .map(Outcome::injected);
    let dropped = fault.is_some_and(|fault| fault.reply == Delivery::Drop);
    let Some(outcome) = refusal.or(true_outcome).filter(|_| !dropped) else {
        write_down(&hub, seq, &arrived, None);
        return hub.journal.amend(seq, Entry::drop_reply);
    };
    let now = hub.clock.tick();
    let response = render(&outcome, arrived.head.version, now);
    let status = response.status().as_u16();
    // Noted before it is sent: whoever has seen the answer finds it in the journal.
    hub.journal.amend(seq, |entry| entry.reply(status, now));
    write_down(&hub, seq, &arrived, Some(&response));
    if reply.send(response.map(Full::new)).is_err() {
        hub.journal.amend(seq, Entry::drop_reply);
    }
}

/// Keeps the whole exchange, if somebody asked for that.
fn write_down(hub: &Hub, seq: u64, arrived: &Arrived, reply: Option<&Response<Bytes>>) {
    if let Some(record) = &hub.record {
        record.write(seq, arrived, reply);
    }
}

/// What the request demands; configurations read etags more strictly than the rest.
fn precondition(head: &Parts) -> Precondition {
    if head.uri.path().starts_with("/configurations/") {
        return Precondition::from_headers_quoted(&head.headers);
    }
    Precondition::from_headers(&head.headers)
}

fn entry(hub: &Hub, head: &Parts, route: &Route) -> Entry {
    let now = hub.clock.tick();
    let if_match = head.headers.get(header::IF_MATCH);
    Entry {
        query: head.uri.query().unwrap_or_default().into(),
        device: route.device.as_deref().map(Into::into),
        if_match: if_match.map(|value| String::from_utf8_lossy(value.as_bytes()).into()),
        ..Entry::arrived(head.method.as_str(), &route.path(), route.operation, now)
    }
}

fn decide(hub: &Hub, head: &Parts, route: &Route) -> Option<Fault> {
    let path = route.path();
    let subject = Subject {
        method: head.method.as_str(),
        path: &path,
        operation: route.operation,
        device: route.device.as_deref(),
    };
    hub.faults().decide(&subject)
}

/// Admission, the queue of the throttle, and the operation itself.
async fn take_effect(
    hub: &Arc<Hub>,
    seq: u64,
    arrived: &Arrived,
    route: &Route,
    precondition: &Precondition,
) -> Outcome {
    if route.operation.is_of_issuer() {
        return ask_issuer(hub, seq, arrived, route);
    }
    let admitted = match admit(hub, arrived, route) {
        Ok(admitted) => admitted,
        Err(error) => return Outcome::from(error),
    };
    pause(admitted.wait).await;
    let call = Call {
        route,
        query: arrived.head.uri.query().unwrap_or_default(),
        api_version: &admitted.api_version,
        precondition,
        gate: admitted.gate,
        continuation: header_text(&arrived.head, CONTINUATION),
        max_items: header_text(&arrived.head, "x-ms-max-item-count"),
        body: admitted.body,
    };
    let performed = service::perform(hub, call).await;
    if let Some((trace, now)) = performed.effect {
        hub.journal
            .amend(seq, |entry| entry.take_effect(trace, now));
    }
    Outcome::from(match hub.choices.twin_too_large {
        TwinSize::Invalid => performed.answer,
        TwinSize::TooLarge => performed.answer.map_err(ServiceError::with_413),
    })
}

/// Whether the body of a request is said to be JSON, in whatever charset.
fn says_json(head: &Parts) -> bool {
    let kind = header_text(head, "content-type").unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}

/// The text of a header, unless it is missing or empty.
fn header_text<'a>(head: &'a Parts, name: &str) -> Option<&'a str> {
    let text = head.headers.get(name)?.to_str().ok()?;
    (!text.is_empty()).then_some(text)
}

/// Asks the token issuer.
fn ask_issuer(hub: &Hub, seq: u64, arrived: &Arrived, route: &Route) -> Outcome {
    let now = hub.clock.tick();
    let scheme = if arrived.encrypted { "https" } else { "http" };
    let host = header_text(&arrived.head, "host").map(str::to_owned);
    let host = host.or_else(|| arrived.head.uri.authority().map(ToString::to_string));
    let base = format!("{scheme}://{}", host.unwrap_or_default());
    let body = arrived.body.as_deref().unwrap_or_default();
    let (head, names) = (&arrived.head, &route.segments);
    let answer = hub
        .entra
        .answer(head, names, body, &base, now.unix_seconds());
    hub.journal
        .amend(seq, |entry| entry.take_effect(Trace::default(), now));
    Outcome::from(Ok(answer))
}

struct Admitted<'a> {
    api_version: String,
    wait: Duration,
    gate: Gate,
    body: &'a [u8],
}

fn admit<'a>(hub: &Hub, arrived: &'a Arrived, route: &Route) -> Result<Admitted<'a>, ServiceError> {
    let gate = authorize(hub, &arrived.head, route)?;
    let api_version = api_version(arrived.head.uri.query().unwrap_or_default())?;
    if let Some(refusal) = &route.refusal {
        return Err(refusal.clone());
    }
    let body = arrived
        .body
        .as_ref()
        .ok_or_else(ServiceError::body_too_large)?;
    if hub.choices.require_content_type && !body.is_empty() && !says_json(&arrived.head) {
        return Err(ServiceError::unsupported_media_type());
    }
    Ok(Admitted {
        api_version,
        wait: queue(hub, route, body)?,
        gate,
        body,
    })
}

/// How long the request has to wait for its turn.
fn queue(hub: &Hub, route: &Route, body: &[u8]) -> Result<Duration, ServiceError> {
    let Some(meter) = route.operation.meter() else {
        return Ok(Duration::ZERO);
    };
    let operations = match route.operation {
        Operation::Bulk => bulk::count(body),
        Operation::Method | Operation::ModuleMethod => throttle::method_units(body.len()),
        _ => 1,
    };
    let (mut throttle, now) = hub.throttle();
    match throttle.take(meter, operations, now) {
        Verdict::After(wait) => Ok(wait),
        Verdict::Refused => Err(ServiceError::throttled(meter)),
    }
}

fn authorize(hub: &Hub, head: &Parts, route: &Route) -> Result<Gate, ServiceError> {
    let header = head
        .headers
        .get(header::AUTHORIZATION)
        .map(HeaderValue::to_str);
    let header = header.and_then(Result::ok);
    let now = hub.clock.tick().unix_seconds();
    if let Some(token) = header.and_then(|it| it.strip_prefix("Bearer ")) {
        return authorize_bearer(hub, token.trim(), route, now);
    }
    if hub.without_shared_access {
        debug!("shared access is disabled");
        return Err(ServiceError::unauthorized());
    }
    let policies = hub.policies.read().unwrap_or_else(PoisonError::into_inner);
    policies
        .authorize(
            header,
            &hub.audience,
            &route.segments,
            route.operation.permission(),
            now,
        )
        .map(|()| Gate::SharedAccess)
        .map_err(|refusal| {
            debug!(?refusal, operation = ?route.operation, "token refused");
            ServiceError::unauthorized()
        })
}

fn authorize_bearer(hub: &Hub, token: &str, route: &Route, now: u64) -> Result<Gate, ServiceError> {
    let skew = hub.choices.clock_skew_s;
    let authorized = hub
        .entra
        .authorize(token, route.operation.actions(), now, skew);
    authorized.map(|()| Gate::Entra).map_err(|denial| {
        debug!(?denial, operation = ?route.operation, "token refused");
        match denial {
            Denial::Token => ServiceError::unauthorized(),
            Denial::Role(principal) => {
                ServiceError::missing_role(&principal, &route.path(), hub.choices.missing_role)
            }
        }
    })
}

/// Waits, unless there is nothing to wait for: the timer's step is a millisecond, longer than most
/// requests take.
async fn pause(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}

const fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}
