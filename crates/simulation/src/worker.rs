//! Workers: the production reconciler and its dispatcher, in processes that come and go.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lifecycle::{Done, IntentId, Outcome};
use reconciler::ports::{Ack as _, DeadClass, DeadLetter, Streams as _, Task};
use reconciler::{Counters, Dispatcher, Reconciler, Settings};
use tokio::time::{sleep, timeout_at};

use crate::life::Life;
use crate::port::Port;
use crate::queue::{Delivered, MAX_DELIVERIES};
use crate::streams::{Receipt, read};
use crate::world::{Servers, World};

/// Longest time between two lives of a process.
const LONGEST_DEATH: Duration = Duration::from_secs(30);
/// A worker that leaves ends within this time.
const LEAVES_WITHIN: Duration = Duration::from_secs(10);

type Worker = Reconciler<Port, Port, Port, Port>;

/// One place for a process: lives in it follow one another without end.
pub(crate) async fn inhabit(servers: Servers, here: Arc<Place>) {
    loop {
        let life = Arc::new(Life::new(&servers));
        here.move_in(&life);
        life.live(work(Port {
            servers: servers.clone(),
            life: Arc::clone(&life),
        }))
        .await;
        // What it still had in work dies with it.
        life.kill();
        let pause = servers.world().rng.time(LONGEST_DEATH);
        sleep(pause).await;
    }
}

/// Who works here at present.
#[derive(Debug, Default)]
pub(crate) struct Place(std::sync::Mutex<Option<Arc<Life>>>);

impl Place {
    fn move_in(&self, life: &Arc<Life>) {
        *self.lock() = Some(Arc::clone(life));
    }

    /// The life that is lived here.
    pub(crate) fn life(&self) -> Option<Arc<Life>> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Arc<Life>>> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// What the binary does: takes messages and hands them to the reconciler.
async fn work(port: Port) {
    let places = port.world().rng.between(1, 8);
    let worker = Arc::new(reconciler(&port));
    let dispatcher = Dispatcher::new(places);
    while let Some(Some(delivered)) = port.life.leaving.run_until_cancelled(next(&port)).await {
        if delivered.deliveries > MAX_DELIVERIES {
            bury(&port, delivered).await;
            continue;
        }
        let task = task(&port, delivered);
        let about = task.about.clone();
        let (worker, life, servers) = (
            Arc::clone(&worker),
            Arc::clone(&port.life),
            port.servers.clone(),
        );
        let handle = move |task: Task<Receipt>| {
            let (worker, life) = (Arc::clone(&worker), Arc::clone(&life));
            let servers = servers.clone();
            async move {
                let _busy = Busy::begin(&servers);
                Box::pin(life.live(worker.handle(task))).await;
            }
        };
        dispatcher.dispatch(about, task, handle).await;
    }
    let until = tokio::time::Instant::now() + LEAVES_WITHIN;
    drop(timeout_at(until, dispatcher.drain()).await);
}

/// Counts a message in work until it is dropped.
struct Busy(Servers);

impl Busy {
    fn begin(servers: &Servers) -> Self {
        servers.world().under_way += 1;
        Self(servers.clone())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.world().under_way -= 1;
    }
}

fn reconciler(port: &Port) -> Worker {
    let policy = port.world().policy.clone();
    let dice = port.clone();
    let (life, count) = (port.life.number, AtomicU64::new(0));
    let settings = Settings {
        policy,
        fresh_id: Box::new(move || {
            let number = count.fetch_add(1, Ordering::Relaxed);
            IntentId(format!("x{life}.{number}"))
        }),
        jitter: Box::new(move || {
            let jitter = dice.world().rng.below(1001);
            u16::try_from(jitter).unwrap_or(0)
        }),
    };
    let ports = (port.clone(), port.clone(), port.clone(), port.clone());
    let counters = Arc::new(Counters::default());
    Reconciler::new(ports.0, ports.1, ports.2, ports.3, settings, counters)
}

/// The next message for this process.
async fn next(port: &Port) -> Option<Delivered> {
    loop {
        let arrived = port.servers.arrived().notified();
        let taken = {
            let mut world = port.world();
            world.take(port.life.number)
        };
        match taken {
            Ok(delivered) => return Some(delivered),
            Err(None) => arrived.await,
            Err(Some(again)) => drop(timeout_at(again, arrived).await),
        }
    }
}

fn task(port: &Port, delivered: Delivered) -> Task<Receipt> {
    Task {
        about: port.world().cases[delivered.case].about.clone(),
        event: delivered.event,
        carries: read(&delivered.payload).map(|(id, _)| id),
        payload: delivered.payload,
        published_at: delivered.published_at,
        ack: Receipt {
            port: port.clone(),
            number: delivered.number,
        },
    }
}

/// A message that was delivered too often ends without a look at it, as the intake does it.
async fn bury(port: &Port, delivered: Delivered) {
    let receipt = Receipt {
        port: port.clone(),
        number: delivered.number,
    };
    let reason = format!("delivered {} times without an end", delivered.deliveries);
    let done = delivered.event.map(|event| Done {
        event,
        outcome: Outcome::Dead,
        reason: Some(reason.clone()),
    });
    let letter = read(&delivered.payload).map(|(id, _)| DeadLetter {
        id,
        tenant: None,
        device: None,
        class: DeadClass::Poison,
        reason,
        attempts: delivered.deliveries - 1,
        payload: delivered.payload,
    });
    let buried = async {
        if let Some(letter) = &letter {
            port.dead_letter(letter).await?;
        }
        match done {
            Some(done) => port.report(&[done]).await,
            None => Ok(()),
        }
    };
    let ended = match buried.await {
        Ok(()) => receipt.ack().await,
        Err(_) => receipt.retry(Duration::from_secs(5)).await,
    };
    drop(ended);
}

impl World {
    /// An operator replays the dead letter of an event; sometimes two do.
    pub(crate) fn replay(&mut self, id: &lifecycle::EventId) {
        let Some(event) = self.ledger.exhume(id) else {
            return;
        };
        self.chronicle.saw("replayed");
        let case = self.case_of(&event.about);
        if self.rng.chance(25) {
            self.publish(case, event.clone());
        }
        self.publish(case, event);
    }
}
