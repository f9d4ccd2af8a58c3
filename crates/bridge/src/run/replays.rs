//! The service for operators beside the worker: dead letters are replayed over NATS request and
//! reply.
//!
//! A micro service, so that `nats micro` sees it. Who may ask is for NATS permissions to say. It
//! does what `mender-iothub dlq replay` does, by the same code and under the same turn.

use std::sync::Arc;
use std::time::Duration;

use async_nats::service::{self, Request, ServiceExt as _};
use bytes::Bytes;
use futures::StreamExt as _;
use jetstream::Names;
use messages::header;
use messages::ops::{MAX_LETTERS, ReplayReply, parse_replay};
use messages::twin::{BadRequest, ErrorCode};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::replaying::{How, Refused, Replaying, holder};
use crate::session::Session;

/// Name of the micro service and of its queue group.
const SERVICE: &str = "iothub-ops";
/// Name of its endpoint.
const ENDPOINT: &str = "dlq-replay";
/// Requests under way. One replays, others look or are told that one does.
const AT_ONCE: usize = 4;
/// Pause before another try to start.
const AGAIN: Duration = Duration::from_secs(5);
/// What requests under way get to end when the worker stops.
const GRACE: Duration = Duration::from_secs(5);
/// A reply leaves this much of the longest message to its headers.
const HEADROOM: usize = 4 * 1024;

/// An answer that is none.
struct Failure(ErrorCode, String);

/// Answers until the worker is told to stop. If it cannot start, the worker goes on without it and
/// it tries again.
pub(super) async fn run(session: Session, stop: CancellationToken) {
    while let Err(error) = serve(&session, &stop).await {
        tracing::warn!(
            error = format!("{error:#}"),
            "the service {SERVICE} cannot start"
        );
        tokio::select! {
            () = tokio::time::sleep(AGAIN) => {}
            () = stop.cancelled() => return,
        }
    }
}

async fn serve(session: &Session, stop: &CancellationToken) -> anyhow::Result<()> {
    let replaying = Arc::new(Replaying::open(session).await?);
    let (service, mut requests) = start(session).await.map_err(anyhow::Error::from_boxed)?;
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let most = session.client.max_payload().saturating_sub(HEADROOM);
    let mut under_way = JoinSet::new();
    loop {
        let request = tokio::select! {
            request = requests.next() => request,
            Some(_) = under_way.join_next(), if !under_way.is_empty() => continue,
            () = stop.cancelled() => None,
        };
        let Some(request) = request else {
            break;
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            let busy = "too many requests; try again later".to_owned();
            reply(&request, Err(Failure(ErrorCode::Throttled, busy))).await;
            continue;
        };
        let (replaying, stop) = (Arc::clone(&replaying), stop.clone());
        under_way.spawn(async move {
            let answered = answer(&replaying, &request.message.payload, most, &stop).await;
            reply(&request, answered).await;
            drop(place);
        });
    }
    let _ = service.stop().await;
    if timeout(GRACE, under_way.join_all()).await.is_err() {
        tracing::warn!("a replay was cut off by the stop");
    }
    Ok(session.client.flush().await?)
}

async fn start(
    session: &Session,
) -> Result<(service::Service, service::endpoint::Endpoint), async_nats::Error> {
    let service = session
        .client
        .service_builder()
        .description("Dead letters of mender-iothub, for operators")
        .queue_group(SERVICE)
        .start(SERVICE, env!("CARGO_PKG_VERSION"))
        .await?;
    let schemas = [
        ("request_schema", "ops-dlq-replay-request"),
        ("reply_schema", "ops-dlq-replay-reply"),
    ];
    let schemas = schemas.map(|(name, schema)| (name.to_owned(), schema.to_owned()));
    let subject = subject(&session.names);
    let endpoint = service
        .endpoint_builder()
        .name(ENDPOINT)
        .metadata(schemas.into())
        .add(subject)
        .await?;
    Ok((service, endpoint))
}

fn subject(names: &Names) -> String {
    names.replay_subject()
}

async fn answer(
    replaying: &Replaying,
    body: &[u8],
    most: usize,
    stop: &CancellationToken,
) -> Result<Vec<u8>, Failure> {
    let request = parse_replay(body)?;
    let plan = replaying.plan(&request.which, request.limit).await;
    let plan = plan.map_err(Refused::from)?;
    if request.dry_run {
        return Ok(fitting(plan.only_shown(), most));
    }
    let how = How {
        rate: request.rate,
        wait: request.wait,
        most_events: usize::try_from(MAX_LETTERS).unwrap_or(usize::MAX),
        holder: holder(&format!("a request to the worker's service {SERVICE}")),
    };
    let replayed = replaying.run(plan, &how, stop, &|_| {}).await?;
    let (letters, left) = (replayed.entries.len(), replayed.left);
    tracing::info!(letters, left, "dead letters were replayed on request");
    Ok(fitting(replayed, most))
}

/// The reply, in as much detail as fits into a message.
fn fitting(mut reply: ReplayReply, most: usize) -> Vec<u8> {
    let body = reply.to_body();
    if body.len() <= most {
        return body;
    }
    for entry in &mut reply.entries {
        entry.outcomes.clear();
        entry.reason = None;
    }
    reply.to_body()
}

async fn reply(request: &Request, answer: Result<Vec<u8>, Failure>) {
    let response = answer.map(Bytes::from).map_err(|Failure(code, why)| {
        let number = code.number();
        tracing::info!(code = number, "a request to {SERVICE} was refused: {why}");
        service::error::Error {
            status: header::safe(&why),
            code: usize::from(number),
        }
    });
    if let Err(error) = request.respond(response).await {
        tracing::warn!(%error, "a reply of {SERVICE} could not be sent");
    }
}

impl From<BadRequest> for Failure {
    fn from(bad: BadRequest) -> Self {
        match bad {
            BadRequest::TooLarge(why) => Self(ErrorCode::TooLarge, why),
            BadRequest::Invalid(why) => Self(ErrorCode::Invalid, why),
        }
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        let code = match refused {
            Refused::Busy(_) => ErrorCode::Conflict,
            Refused::Nats(_) => ErrorCode::Unavailable,
        };
        Self(code, refused.to_string())
    }
}
