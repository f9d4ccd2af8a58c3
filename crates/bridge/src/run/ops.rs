//! Answers whoever asks the workers how they are.
//!
//! What only a worker knows (paces, suspensions, what it waits for) is told by each of them over
//! NATS, live and stored nowhere: no answer at all means that no worker runs.

use std::sync::{Arc, OnceLock};

use futures::StreamExt as _;
use jetstream::NatsAck;
use messages::{HubStatus, SuspendedStatus, WaitingFor, WorkerStatus};
use reconciler::ports::Task;
use reconciler::{Cause, Dispatcher, HubPace, Suspension};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Worker;
use super::readiness::Readiness;
use crate::session::Session;

type Dispatching = Dispatcher<Task<NatsAck>>;

/// What there is to tell.
pub(super) struct Told {
    name: String,
    begun: Instant,
    readiness: Readiness,
    worker: OnceLock<Arc<Worker>>,
    dispatcher: OnceLock<Arc<Dispatching>>,
}

impl Told {
    pub(super) fn new(readiness: Readiness) -> Self {
        let host = rustix::system::uname();
        let host = host.nodename().to_string_lossy();
        Self {
            name: format!("{host}/{}", std::process::id()),
            begun: Instant::now(),
            readiness,
            worker: OnceLock::new(),
            dispatcher: OnceLock::new(),
        }
    }

    pub(super) fn readiness(&self) -> &Readiness {
        &self.readiness
    }

    /// From now on this worker is told about.
    pub(super) fn watching(&self, worker: Worker) -> Arc<Worker> {
        Arc::clone(self.worker.get_or_init(|| Arc::new(worker)))
    }

    /// From now on what this one has in work is told.
    pub(super) fn dispatching(&self, dispatcher: Dispatching) -> Arc<Dispatching> {
        Arc::clone(self.dispatcher.get_or_init(|| Arc::new(dispatcher)))
    }

    /// The worker, once there is one.
    pub(super) fn worker(&self) -> Option<&Arc<Worker>> {
        self.worker.get()
    }

    fn status(&self) -> WorkerStatus {
        let worker = self.worker();
        let (paces, suspended) = worker.map_or_else(Default::default, |worker| {
            (worker.paces(), worker.suspensions())
        });
        let waiting = self.readiness.missing().into_iter();
        WorkerStatus {
            worker: self.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            up_s: self.begun.elapsed().as_secs(),
            in_work: self.dispatcher.get().map_or(0, |it| it.devices() as u64),
            waiting: waiting
                .map(|(need, because)| WaitingFor {
                    need: need.to_owned(),
                    because,
                })
                .collect(),
            hubs: paces.into_iter().map(hub).collect(),
            suspended: suspended.into_iter().map(suspension).collect(),
            left_out: 0,
        }
    }
}

fn hub(pace: HubPace) -> HubStatus {
    HubStatus {
        hub: pace.hub,
        allowed_per_minute: pace.allowed,
        present_per_minute: pace.present,
        paused_for_ms: u64::try_from(pace.paused_for.as_millis()).unwrap_or(u64::MAX),
        throttled: pace.refusals,
        last_throttled_s: pace.last_refusal.map(|ago| ago.as_secs()),
    }
}

fn suspension((integration, suspension): (String, Suspension)) -> SuspendedStatus {
    SuspendedStatus {
        integration,
        since_s: suspension.lasted().as_secs(),
        probe_in_s: suspension.probe_in().as_secs(),
        cause: match suspension.cause {
            Cause::Credentials => "credentials",
            Cause::Full => "full",
        }
        .to_owned(),
        requests: suspension.asked.name().to_owned(),
        hub: suspension.hub,
        reason: suspension.reason,
    }
}

/// Answers, one after the other, until the worker is told to stop.
pub(super) async fn answer(session: Session, told: Arc<Told>, stop: CancellationToken) {
    let subject = session.names.worker_status_subject();
    let asked = session.client.subscribe(subject).await;
    let mut asked = match asked {
        Ok(asked) => asked,
        Err(error) => {
            tracing::warn!(%error, "nobody can ask this worker how it is");
            return;
        }
    };
    loop {
        let message = tokio::select! {
            message = asked.next() => message,
            () = stop.cancelled() => return,
        };
        let Some(message) = message else { return };
        if let Some(reply) = message.reply {
            let body = told.status().to_body();
            if let Err(error) = session.client.publish(reply, body.into()).await {
                tracing::debug!(%error, "an answer got lost");
            }
        }
    }
}
