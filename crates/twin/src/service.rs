//! The NATS micro service around it.
//!
//! One task takes the requests of all endpoints and starts a task for each that is admitted; what
//! is not admitted is answered there and then. Stopping unsubscribes first, so that the server
//! gives new requests to other instances, and then waits for what is under way.

use std::sync::Arc;
use std::time::Duration;

use async_nats::Client;
use async_nats::service::endpoint::Endpoint;
use async_nats::service::{Request, Service, ServiceExt, error};
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use messages::header;
use messages::twin::{ErrorCode, MAX_REQUEST, TwinDocument};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use crate::admission::{Admission, Place};
use crate::answer::{Call, in_turn, tokens};
use crate::{Access, BySubject, Limits, TwinError, TwinHub, Verb};

/// Name of the micro service, as `nats micro ls` shows it.
pub const SERVICE_NAME: &str = "iothub-twin";
/// Queue group of its endpoints: each request goes to one instance.
pub const QUEUE_GROUP: &str = "iothub-twin";

const VERBS: [Verb; 2] = [Verb::Get, Verb::Set];
const FLUSH_LIMIT: Duration = Duration::from_secs(1);

/// The service could not be registered with the NATS server.
#[derive(Debug, thiserror::Error)]
#[error("the twin service could not be started: {0}")]
pub struct StartError(async_nats::Error);

/// The running service. Dropped, it stops taking requests, but [`TwinService::stop`] also waits
/// for those under way.
#[derive(Debug)]
#[must_use = "the service stops when this is dropped"]
pub struct TwinService {
    service: Service,
    client: Client,
    dispatcher: JoinHandle<()>,
    grace: Duration,
}

impl TwinService {
    /// Starts the service on `<prefix>.twin.…` with the usual limits; NATS permissions decide who
    /// may do what.
    pub async fn start<H: TwinHub>(
        client: Client,
        prefix: &str,
        hub: H,
    ) -> Result<Self, StartError> {
        Self::start_with(client, prefix, hub, BySubject, Limits::default()).await
    }

    /// As [`TwinService::start`], with another way to decide on access and other limits.
    pub async fn start_with<H: TwinHub, A: Access>(
        client: Client,
        prefix: &str,
        hub: H,
        access: A,
        limits: Limits,
    ) -> Result<Self, StartError> {
        let service = client
            .service_builder()
            .description("Reads and edits the twins of devices in Azure IoT Hub")
            .queue_group(QUEUE_GROUP)
            .start(SERVICE_NAME, env!("CARGO_PKG_VERSION"))
            .await
            .map_err(StartError)?;
        let mut requests = stream::SelectAll::new();
        for verb in VERBS {
            let endpoint = endpoint(&service, prefix, verb).await.map_err(StartError)?;
            requests.push(endpoint.map(move |request| (verb, request)).boxed());
        }
        // Subscribing only queues a command; after this the server knows of it.
        client.flush().await.map_err(|e| StartError(e.into()))?;
        let shared = Arc::new(Shared {
            hub,
            access,
            deadline: limits.deadline,
        });
        let dispatcher = tokio::spawn(dispatch(shared, Admission::new(limits), requests));
        Ok(Self {
            service,
            client,
            dispatcher,
            grace: limits.grace,
        })
    }

    /// Takes no more requests and waits for those under way, at most [`Limits::grace`].
    pub async fn stop(self) {
        let Self {
            service,
            client,
            mut dispatcher,
            grace,
        } = self;
        if let Err(error) = service.stop().await {
            tracing::debug!(%error, "the twin service was not stopped cleanly");
        }
        if timeout(grace, &mut dispatcher).await.is_err() {
            tracing::warn!("twin requests were cut off by the stop");
            dispatcher.abort();
        }
        // Replies are only queued so far.
        if !matches!(timeout(FLUSH_LIMIT, client.flush()).await, Ok(Ok(()))) {
            tracing::debug!("the last twin replies may not have been sent");
        }
    }
}

async fn endpoint(
    service: &Service,
    prefix: &str,
    verb: Verb,
) -> Result<Endpoint, async_nats::Error> {
    let name = verb.as_str();
    service
        .endpoint_builder()
        .name(name)
        .add(format!("{prefix}.twin.{name}.*.*"))
        .await
}

struct Shared<H, A> {
    hub: H,
    access: A,
    deadline: Duration,
}

type Requests = stream::SelectAll<BoxStream<'static, (Verb, Request)>>;

/// Runs until every endpoint has ended and every request under way is answered.
async fn dispatch<H: TwinHub, A: Access>(
    shared: Arc<Shared<H, A>>,
    admission: Admission,
    mut requests: Requests,
) {
    let mut under_way = JoinSet::new();
    loop {
        tokio::select! {
            Some(ended) = under_way.join_next(), if !under_way.is_empty() => report(ended),
            next = requests.next() => match next {
                None => break,
                Some((verb, request)) => match admit(&admission, &request) {
                    Err(Refusal::Silent) => {}
                    Err(Refusal::With(error)) => reply(verb, &request, Err(error)).await,
                    Ok(place) => {
                        under_way.spawn(serve(Arc::clone(&shared), verb, request, place));
                    }
                },
            },
        }
    }
    while let Some(ended) = under_way.join_next().await {
        report(ended);
    }
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a twin request ended without a reply");
    }
}

enum Refusal {
    /// Nobody waits for an answer.
    Silent,
    With(TwinError),
}

/// Finds a place for a request. Its length is looked at first, so that what waits stays small.
fn admit(admission: &Admission, request: &Request) -> Result<Place, Refusal> {
    if request.message.reply.is_none() {
        return Err(Refusal::Silent);
    }
    if request.message.payload.len() > MAX_REQUEST {
        return Err(Refusal::With(TwinError::TooLarge));
    }
    let (tenant, _) = tokens(&request.message.subject);
    admission
        .admit(tenant)
        .ok_or(Refusal::With(TwinError::Throttled))
}

async fn serve<H: TwinHub, A: Access>(
    shared: Arc<Shared<H, A>>,
    verb: Verb,
    request: Request,
    place: Place,
) {
    let call = Call {
        verb,
        subject: &request.message.subject,
        headers: request.message.headers.as_ref(),
        body: &request.message.payload,
    };
    let answer = in_turn(&shared.hub, &shared.access, call, &place, shared.deadline).await;
    reply(verb, &request, answer).await;
}

async fn reply(verb: Verb, request: &Request, answer: Result<TwinDocument, TwinError>) {
    let (tenant, device) = tokens(&request.message.subject);
    // Whatever a caller put there; logs are read on terminals.
    let (tenant, device) = (&header::safe(tenant), &header::safe(device));
    let response = match answer {
        Ok(twin) => Ok(Bytes::from(twin.to_body())),
        Err(error) => {
            let code = error.code();
            let verb = verb.as_str();
            if matches!(code, ErrorCode::BadHub | ErrorCode::TimedOut) {
                tracing::warn!(tenant, device, verb, %error, "twin {verb} failed: {error}");
            } else {
                tracing::debug!(
                    tenant,
                    device,
                    verb,
                    code = code.number(),
                    "twin {verb} refused"
                );
            }
            Err(error::Error {
                status: header::safe(&error.to_string()),
                code: usize::from(code.number()),
            })
        }
    };
    if let Err(error) = request.respond(response).await {
        tracing::warn!(tenant, device, %error, "a twin reply could not be sent");
    }
}
