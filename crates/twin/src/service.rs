//! The NATS micro service around it.
//!
//! One task takes the requests of all endpoints and starts a task for each that is admitted; what
//! is not admitted is answered there and then. Stopping unsubscribes first, so that the server
//! gives new requests to other instances, and then waits for what is under way.

use std::sync::Arc;
use std::time::Duration;

use async_nats::service::{Request, Service, ServiceExt, endpoint, error};
use async_nats::{Client, HeaderMap};
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use messages::header;
use messages::twin::ErrorCode;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, timeout};

use crate::address::tokens;
use crate::admission::{Admission, Place};
use crate::answer::{Call, in_turn};
use crate::{Access, BySubject, Endpoint, Limits, TwinError, TwinHub, Verb};

/// Name of the micro service, as `nats micro ls` shows it.
pub const SERVICE_NAME: &str = "iothub-twin";
/// Queue group of its endpoints: each request goes to one instance.
pub const QUEUE_GROUP: &str = "iothub-twin";

const FLUSH_LIMIT: Duration = Duration::from_secs(1);

/// Hears of every answer: the verb, the code of an error, and how long it took.
pub type Watch = Arc<dyn Fn(Verb, Option<ErrorCode>, Duration) + Send + Sync>;

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
        let nobody: Watch = Arc::new(|_, _, _| {});
        Self::start_with(client, prefix, hub, BySubject, Limits::default(), nobody).await
    }

    /// As [`TwinService::start`], with another way to decide on access, other limits, and somebody who
    /// hears of each answer.
    pub async fn start_with<H: TwinHub, A: Access>(
        client: Client,
        prefix: &str,
        hub: H,
        access: A,
        limits: Limits,
        watch: Watch,
    ) -> Result<Self, StartError> {
        let service = client
            .service_builder()
            .description("Twins, direct methods and jobs of devices in Azure IoT Hub")
            .queue_group(QUEUE_GROUP)
            .start(SERVICE_NAME, env!("CARGO_PKG_VERSION"))
            .await
            .map_err(StartError)?;
        let mut requests = stream::SelectAll::new();
        for endpoint in Endpoint::all() {
            let stream = add(&service, prefix, endpoint).await.map_err(StartError)?;
            requests.push(stream.map(move |request| (endpoint, request)).boxed());
        }
        // Subscribing only queues a command; after this the server knows of it.
        client.flush().await.map_err(|e| StartError(e.into()))?;
        let shared = Arc::new(Shared {
            hub,
            access,
            limits,
            watch,
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

async fn add(
    service: &Service,
    prefix: &str,
    endpoint: Endpoint,
) -> Result<endpoint::Endpoint, async_nats::Error> {
    service
        .endpoint_builder()
        .name(endpoint.name())
        .metadata(endpoint.metadata())
        .add(endpoint.subject(prefix))
        .await
}

struct Shared<H, A> {
    hub: H,
    access: A,
    limits: Limits,
    watch: Watch,
}

type Requests = stream::SelectAll<BoxStream<'static, (Endpoint, Request)>>;

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
                Some((endpoint, request)) => match admit(&admission, endpoint, &request) {
                    Err(Refusal::Silent) => {}
                    Err(Refusal::With(error)) => {
                        (shared.watch)(endpoint.verb, Some(error.code()), Duration::ZERO);
                        reply(endpoint, &request, Err(error)).await;
                    }
                    Ok(place) => {
                        let served = serve(Arc::clone(&shared), endpoint, request, place);
                        under_way.spawn(served);
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
fn admit(admission: &Admission, endpoint: Endpoint, request: &Request) -> Result<Place, Refusal> {
    if request.message.reply.is_none() {
        return Err(Refusal::Silent);
    }
    let longest = endpoint.longest();
    if request.message.payload.len() > longest {
        let reason = format!("the request is longer than {} KiB", longest / 1024);
        return Err(Refusal::With(TwinError::TooLarge(reason)));
    }
    let about = tokens(&request.message.subject, endpoint.verb, endpoint.module);
    admission
        .admit(about.tenant, endpoint.verb)
        .ok_or(Refusal::With(TwinError::Throttled))
}

async fn serve<H: TwinHub, A: Access>(
    shared: Arc<Shared<H, A>>,
    endpoint: Endpoint,
    request: Request,
    place: Place,
) {
    let call = Call {
        verb: endpoint.verb,
        tokens: tokens(&request.message.subject, endpoint.verb, endpoint.module),
        headers: request.message.headers.as_ref(),
        body: &request.message.payload,
        received: Instant::now(),
    };
    let received = call.received;
    let answer = in_turn(&shared.hub, &shared.access, call, &place, &shared.limits).await;
    let code = answer.as_ref().err().map(TwinError::code);
    (shared.watch)(endpoint.verb, code, received.elapsed());
    reply(endpoint, &request, answer).await;
}

async fn reply(endpoint: Endpoint, request: &Request, answer: Result<Vec<u8>, TwinError>) {
    let about = tokens(&request.message.subject, endpoint.verb, endpoint.module);
    // Whatever a caller put there; logs are read on terminals.
    let tenant = &header::safe(about.tenant);
    let device = &header::safe(about.device.unwrap_or_default());
    let mut headers = HeaderMap::new();
    let response = answer.map(Bytes::from).map_err(|error| {
        let (code, verb) = (error.code(), endpoint.verb.as_str());
        if matches!(code, ErrorCode::BadHub | ErrorCode::TimedOut) {
            tracing::warn!(tenant, device, verb, %error, "twin {verb} failed: {error}");
        } else {
            let code = code.number();
            tracing::debug!(tenant, device, verb, code, "twin {verb} refused");
        }
        if let Some(etag) = error.etag() {
            headers.insert(header::ETAG, header::safe(etag));
        }
        error::Error {
            status: header::safe(&error.to_string()),
            code: usize::from(code.number()),
        }
    });
    if let Err(error) = request.respond_with_headers(response, headers).await {
        tracing::warn!(tenant, device, %error, "a twin reply could not be sent");
    }
}
