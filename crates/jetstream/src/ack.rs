//! Acknowledging, and keeping a message while somebody has it.
//!
//! The server delivers a message again when it has heard nothing of it for the ack wait, and a
//! message delivered too often is taken for one that kills its workers. So neither waiting in a
//! queue here nor waiting behind another message about the same device may look like silence:
//! as long as a message is held, the server is told so. The end of the process ends that.
//!
//! Nor may it look like death that a message cannot be ended because NATS has no room for what is to
//! be published: nobody else could end it either, and it may take days until somebody makes room. So
//! the message stays in the process that has it, which tries again.

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
use reconciler::ports::{Ack, PortResult};
use tokio::sync::{mpsc::UnboundedSender, watch};

use crate::{
    Error, Result,
    assets::ACK_WAIT,
    headers::{SCHEDULE, append},
    publish::publish,
    pull::Delivery,
    server_time::server_time,
    streams::at,
};

/// The server is told of held messages so many times in an ack wait.
const TELLS: u32 = 3;
/// Whoever holds a message for longer than this has lost it. Every real wait is shorter: while NATS has
/// no room each message takes minutes, and up to 128 may stand behind one device.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
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
    /// The same message, held as if it had just come.
    fn anew(&self) -> Self {
        self.keeper.hold(self.reply.clone())
    }

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
    /// The subject of the schedule.
    pub(crate) subject: String,
    /// With the schedule's target, and without its time.
    pub(crate) headers: HeaderMap,
}

/// Acknowledges one message of the event stream.
#[derive(Debug)]
pub struct NatsAck {
    pub(crate) delivery: Delivery,
    pub(crate) again: Again,
    /// Where this process takes messages from that it has kept.
    pub(crate) kept: UnboundedSender<Delivery>,
}

impl NatsAck {
    /// Publishes the message anew for later, then acknowledges this one.
    async fn postpone(&self, delay: Duration) -> Result<()> {
        let (again, delivery) = (&self.again, &self.delivery);
        // By the clock that the schedule goes by: ours may be an hour off.
        let due = server_time(&again.context, &delivery.stream)
            .await?
            .plus(delay);
        let mut headers = again.headers.clone();
        append(&mut headers, SCHEDULE, &at(due));
        let (subject, body) = (again.subject.clone(), delivery.message.payload.clone());
        publish(&again.context, subject, headers, body).await?;
        delivery.hold.say(AckKind::Ack).await
    }

    /// Offers the message to somebody else, in a way that is not taken for a death of this process where
    /// that begins to matter. False if NATS has no room for that.
    async fn give_away(&self, delay: Duration) -> Result<bool> {
        if self.delivery.delivered > GIVE_BACK {
            return Ok(self.postpone(delay).await.is_ok());
        }
        let delay = Some(delay).filter(|delay| !delay.is_zero());
        self.delivery.hold.say(AckKind::Nak(delay)).await?;
        Ok(true)
    }

    /// Keeps the message in this process, as held as ever, and has it taken again after `delay`. The
    /// server, which takes each delivery for the end of the one before, hears nothing of that.
    pub(crate) fn keep(mut self, delay: Duration) {
        self.delivery.hold = self.delivery.hold.anew();
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            // An intake that has ended takes nothing: the message comes again after its ack wait.
            drop(self.kept.send(self.delivery));
        });
    }

    /// Offers the message to others at once: this process ends.
    pub(crate) async fn leave(self) -> Result<()> {
        if !self.give_away(Duration::ZERO).await? {
            self.delivery.hold.say(AckKind::Nak(None)).await?;
        }
        Ok(())
    }
}

impl Ack for NatsAck {
    async fn ack(self) -> PortResult<()> {
        Ok(self.delivery.hold.say(AckKind::Ack).await?)
    }

    async fn retry(self, delay: Duration) -> PortResult<()> {
        if !self.give_away(delay).await? {
            self.keep(delay);
        }
        Ok(())
    }

    async fn in_progress(&self) -> PortResult<()> {
        let hold = &self.delivery.hold;
        let told = hold
            .keeper
            .client
            .publish(hold.reply.clone(), AckKind::Progress.into());
        told.await
            .map_err(|error| Error::unavailable("failed to report progress", &error).into())
    }
}
