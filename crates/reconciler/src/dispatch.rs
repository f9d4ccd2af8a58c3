//! One device at a time, many devices at once.
//!
//! Two messages about one device handled together would only fight over its record, so a
//! message waits here while another about the same device is being handled. The total is
//! bounded by a semaphore that the receiver of messages waits on.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use lifecycle::DeviceRef;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;

/// Tasks that wait for another one about their device, with their place in the total.
type Waiting<T> = HashMap<DeviceRef, VecDeque<(T, OwnedSemaphorePermit)>>;

/// Hands tasks to a handler, one a device at a time.
#[derive(Debug)]
pub struct Dispatcher<T> {
    waiting: Arc<Mutex<Waiting<T>>>,
    places: Arc<Semaphore>,
    running: TaskTracker,
}

impl<T: Send + 'static> Dispatcher<T> {
    /// A dispatcher that holds at most `places` tasks, running or waiting.
    #[must_use]
    pub fn new(places: usize) -> Self {
        Self {
            waiting: Arc::default(),
            places: Arc::new(Semaphore::new(places)),
            running: TaskTracker::new(),
        }
    }

    /// Waits for a place, then hands `task` to `handle` as soon as no other task about `device`
    /// is being handled.
    pub async fn dispatch<F, R>(&self, device: DeviceRef, task: T, handle: F)
    where
        F: Fn(T) -> R + Send + 'static,
        R: Future<Output = ()> + Send,
    {
        // The semaphore is never closed.
        let Ok(place) = Arc::clone(&self.places).acquire_owned().await else {
            return;
        };
        {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(queue) = waiting.get_mut(&device) {
                queue.push_back((task, place));
                return;
            }
            waiting.insert(device.clone(), VecDeque::new());
        }
        let lane = Lane {
            waiting: Arc::clone(&self.waiting),
            device,
        };
        self.running.spawn(async move {
            let mut now = Some((task, place));
            while let Some((task, place)) = now {
                handle(task).await;
                drop(place);
                now = lane.next();
            }
        });
    }

    /// How many tasks are running or waiting.
    #[must_use]
    pub fn devices(&self) -> usize {
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }

    /// Waits until every task has ended. Dispatch nothing more before calling this.
    pub async fn drain(&self) {
        self.running.close();
        self.running.wait().await;
    }
}

/// The lane of one device; closed when it is dropped, even by a panic of the handler.
struct Lane<T> {
    waiting: Arc<Mutex<Waiting<T>>>,
    device: DeviceRef,
}

impl<T> Lane<T> {
    /// The next task of this device; closes the lane when there is none.
    fn next(&self) -> Option<(T, OwnedSemaphorePermit)> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let next = waiting.get_mut(&self.device)?.pop_front();
        if next.is_none() {
            waiting.remove(&self.device);
        }
        next
    }
}

impl<T> Drop for Lane<T> {
    fn drop(&mut self) {
        // Nothing is left to close unless the handler panicked: what waits then comes again.
        if std::thread::panicking() {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.remove(&self.device);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    fn device(name: &str) -> DeviceRef {
        DeviceRef {
            tenant: lifecycle::TenantId::default(),
            device: name.parse().unwrap(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_device_at_a_time_and_in_order_but_many_devices_at_once() {
        let dispatcher = Dispatcher::new(100);
        let log = Arc::new(Mutex::new(Vec::new()));
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        for n in 0..20 {
            let name = format!("d{}", n % 4);
            let (log, running, most) = (log.clone(), running.clone(), most.clone());
            dispatcher
                .dispatch(device(&name), (name.clone(), n), move |(name, n)| {
                    let (log, running, most) = (log.clone(), running.clone(), most.clone());
                    async move {
                        most.fetch_max(
                            running.fetch_add(1, Ordering::SeqCst) + 1,
                            Ordering::SeqCst,
                        );
                        tokio::time::sleep(Duration::from_millis(10)).await;
                        running.fetch_sub(1, Ordering::SeqCst);
                        log.lock().unwrap().push((name, n));
                    }
                })
                .await;
        }
        dispatcher.drain().await;
        assert_eq!(most.load(Ordering::SeqCst), 4);
        assert_eq!(dispatcher.devices(), 0);
        for name in ["d0", "d1", "d2", "d3"] {
            let order: Vec<_> = log
                .lock()
                .unwrap()
                .iter()
                .filter(|(d, _)| d == name)
                .map(|(_, n)| *n)
                .collect();
            assert!(order.is_sorted() && order.len() == 5, "{name}: {order:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_frees_the_device() {
        let dispatcher = Dispatcher::new(2);
        dispatcher
            .dispatch(device("d"), (), |()| async { panic!("as a test") })
            .await;
        dispatcher.drain().await;
        assert_eq!(dispatcher.devices(), 0);
    }
}
