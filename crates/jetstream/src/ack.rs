//! Acknowledging, and keeping a message while somebody has it.
//!
//! The server delivers a message again when it has heard nothing of it for the ack wait, and a
//! message delivered too often is taken for one that kills its workers. So neither waiting in a
//! queue here nor waiting behind another message about the same device may look like silence:
//! as long as a message is held, the server is told so. The end of the process ends that.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use async_nats::{
    Client, HeaderMap, Subject,
    jetstream::{AckKind, Context},
};
use bytes::Bytes;
use reconciler::ports::{Ack, PortResult};
use tokio::sync::watch;

use crate::{
    Error, Result,
    assets::ACK_WAIT,
    headers::{SCHEDULE, append},
    publish::publish,
    server_time::server_time,
    streams::at,
};

/// The server is told of held messages so many times in an ack wait.
const TELLS: u32 = 3;
/// Whoever holds a message for longer than this has lost it; every real wait is shorter.
const LONGEST: Duration = Duration::from_secs(15 * 60);
/// Up to this many deliveries, giving a message back is left to the server, which counts each;
/// later it is published anew instead, so that its count keeps meaning deaths.
const GIVE_BACK: i64 = 2;

/// The messages that are held.
#[derive(Debug)]
pub(crate) struct Keeper {
    client: Client,
    held: Mutex<HashMap<u64, (Subject, Instant)>>,
    next: AtomicU64,
    ack_wait: watch::Sender<Duration>,
}

impl Keeper {
    /// A keeper that works until it and all that it holds is dropped.
    pub(crate) fn start(client: Client) -> Arc<Self> {
        let (ack_wait, mut changed) = watch::channel(ACK_WAIT);
        let keeper = Arc::new(Self {
            client,
            held: Mutex::default(),
            next: AtomicU64::new(0),
            ack_wait,
        });
        let weak = Arc::downgrade(&keeper);
        tokio::spawn(async move {
            loop {
                let pause = pause(*changed.borrow_and_update());
                match tokio::time::timeout(pause, changed.changed()).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => return,
                    Err(_) => {
                        let Some(keeper) = weak.upgrade() else { return };
                        keeper.tell().await;
                    }
                }
            }
        });
        keeper
    }

    /// What the consumer's ack wait really is.
    pub(crate) fn set_ack_wait(&self, ack_wait: Duration) {
        self.ack_wait.send_if_modified(|held| {
            let differs = *held != ack_wait;
            *held = ack_wait;
            differs
        });
    }

    pub(crate) fn hold(self: &Arc<Self>, reply: Subject) -> Hold {
        let key = self.next.fetch_add(1, Ordering::Relaxed);
        self.lock().insert(key, (reply.clone(), Instant::now()));
        Hold {
            keeper: Arc::clone(self),
            key,
            reply,
        }
    }

    async fn tell(&self) {
        // What has only just come need not be told of before the next round.
        let ages = pause(*self.ack_wait.borrow()) / 2..LONGEST;
        let due: Vec<Subject> = self
            .lock()
            .values()
            .filter(|(_, since)| ages.contains(&since.elapsed()))
            .map(|(reply, _)| reply.clone())
            .collect();
        for reply in due {
            let told = self.client.publish(reply, AckKind::Progress.into()).await;
            if let Err(error) = told {
                tracing::debug!(%error, "failed to keep a message");
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, (Subject, Instant)>> {
        // A map left by a panic is whole.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn pause(ack_wait: Duration) -> Duration {
    (ack_wait / TELLS).max(Duration::from_millis(100))
}

/// A message that is held, until this is dropped.
#[derive(Debug)]
pub(crate) struct Hold {
    keeper: Arc<Keeper>,
    key: u64,
    reply: Subject,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.keeper.lock().remove(&self.key);
    }
}

impl Hold {
    /// Says how the message fares, and waits until the server has heard it.
    pub(crate) async fn say(&self, kind: AckKind) -> Result<()> {
        let said = self.keeper.client.request(self.reply.clone(), kind.into());
        said.await
            .map(drop)
            .map_err(|error| Error::unavailable("failed to acknowledge", &error))
    }
}

/// What is needed to publish a message anew, at another time.
#[derive(Debug)]
pub(crate) struct Again {
    pub(crate) context: Context,
    /// The stream of the message.
    pub(crate) stream: String,
    /// The subject of the schedule.
    pub(crate) subject: String,
    /// With the schedule's target, and without its time.
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Acknowledges one message of the event stream.
#[derive(Debug)]
pub struct NatsAck {
    pub(crate) hold: Hold,
    pub(crate) delivered: i64,
    pub(crate) again: Again,
}

impl NatsAck {
    /// Publishes the message anew for later, then acknowledges this one.
    async fn postpone(&self, delay: Duration) -> Result<()> {
        let again = &self.again;
        // By the clock that the schedule goes by: ours may be an hour off.
        let due = server_time(&again.context, &again.stream)
            .await?
            .plus(delay);
        let mut headers = again.headers.clone();
        append(&mut headers, SCHEDULE, &at(due));
        let subject = again.subject.clone();
        publish(&again.context, subject, headers, again.body.clone()).await?;
        self.hold.say(AckKind::Ack).await
    }
}

impl Ack for NatsAck {
    async fn ack(self) -> PortResult<()> {
        Ok(self.hold.say(AckKind::Ack).await?)
    }

    async fn retry(self, delay: Duration) -> PortResult<()> {
        if self.delivered > GIVE_BACK && self.postpone(delay).await.is_ok() {
            return Ok(());
        }
        Ok(self.hold.say(AckKind::Nak(Some(delay))).await?)
    }

    async fn in_progress(&self) -> PortResult<()> {
        let hold = &self.hold;
        let told = hold
            .keeper
            .client
            .publish(hold.reply.clone(), AckKind::Progress.into());
        told.await
            .map_err(|error| Error::unavailable("failed to report progress", &error).into())
    }
}
