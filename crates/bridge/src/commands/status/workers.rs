//! Asks all workers how they are, and puts what they answer together.

use std::time::Duration;

use async_nats::StatusCode;
use futures::StreamExt as _;
use messages::WorkerStatus;
use serde::Serialize;
use tokio::time::{Instant, timeout_at};

use crate::session::Session;

/// How long the first answer may take; a worker that is busy answers late.
const FIRST: Duration = Duration::from_secs(2);
/// After one answer, how long until the next.
const NEXT: Duration = Duration::from_millis(250);
/// The most answers that are read.
const MOST: usize = 1_000;

/// What came back.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Workers {
    /// By name.
    pub(crate) answers: Vec<WorkerStatus>,
    /// Nobody listens: no worker runs. If this is false and there is no answer either, those that
    /// listen hang, or this user may not ask.
    pub(crate) nobody: bool,
}

/// Asks, and gathers until nobody answers any more.
pub(crate) async fn ask(session: &Session) -> anyhow::Result<Workers> {
    let client = &session.client;
    let inbox = client.new_inbox();
    let mut replies = client.subscribe(inbox.clone()).await?;
    let subject = session.names.worker_status_subject();
    client.publish_with_reply(subject, inbox, "".into()).await?;
    client.flush().await?;
    let end = Instant::now() + FIRST;
    let mut workers = Workers::default();
    while workers.answers.len() < MOST {
        let until = match workers.answers.len() {
            0 => end,
            _ => Instant::now() + NEXT,
        };
        let Ok(Some(reply)) = timeout_at(until, replies.next()).await else {
            break;
        };
        if reply.status == Some(StatusCode::NO_RESPONDERS) {
            workers.nobody = true;
            break;
        }
        workers
            .answers
            .extend(WorkerStatus::parse(&reply.payload).ok());
    }
    workers.answers.sort_by(|a, b| a.worker.cmp(&b.worker));
    Ok(workers)
}
