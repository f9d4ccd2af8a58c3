//! The other ends of the connections that the state knows only by number.
//!
//! What a connection has to do is put into its queue while the state is locked, so it arrives in
//! the order in which it happened. Queues are bounded: who does not keep up is cut off, and stops
//! nobody.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use crate::registry::{Cut, LineId, Signal};
use crate::twin::Document;

/// What may wait for a connection to take it.
const QUEUE: usize = 256;

/// What a connection has to do for somebody else.
#[derive(Debug)]
pub(crate) enum Push {
    /// Tell the device a change of its desired properties.
    Desired(Document),
    /// Call a direct method, and pass on status and payload of the answer.
    Call {
        name: String,
        payload: Value,
        answer: oneshot::Sender<(i32, Value)>,
    },
}

/// What reaches the connection of a line.
#[derive(Debug)]
pub(crate) struct Plug {
    pub(crate) id: LineId,
    pub(crate) pushes: mpsc::Receiver<Push>,
    pub(crate) cut: oneshot::Receiver<Cut>,
}

struct End {
    pushes: mpsc::Sender<Push>,
    cut: oneshot::Sender<Cut>,
}

/// All lines with an end here.
#[derive(Default)]
pub(crate) struct Switchboard {
    last: AtomicU64,
    ends: Mutex<HashMap<LineId, End>>,
}

impl Switchboard {
    /// A new line; to be unplugged when its connection ends.
    pub(crate) fn plug(&self) -> Plug {
        let id = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let (pushes, queue) = mpsc::channel(QUEUE);
        let (cut, told) = oneshot::channel();
        self.ends().insert(id, End { pushes, cut });
        Plug {
            id,
            pushes: queue,
            cut: told,
        }
    }

    /// Forgets a line.
    pub(crate) fn unplug(&self, id: LineId) {
        self.ends().remove(&id);
    }

    /// Passes on what the state says; to be called under its lock.
    pub(crate) fn pass_on(&self, signals: Vec<Signal>) {
        for signal in signals {
            match signal {
                Signal::Cut(id, cut) => self.cut(id, cut),
                Signal::Desired(id, patch) => {
                    self.push(id, Push::Desired(patch));
                }
            }
        }
    }

    /// Calls a method. The answer's sender is dropped if the connection ends first; `None` if it
    /// has ended already.
    pub(crate) fn call(
        &self,
        id: LineId,
        name: String,
        payload: Value,
    ) -> Option<oneshot::Receiver<(i32, Value)>> {
        let (answer, answered) = oneshot::channel();
        let call = Push::Call {
            name,
            payload,
            answer,
        };
        self.push(id, call).then_some(answered)
    }

    fn push(&self, id: LineId, push: Push) -> bool {
        let sent = self
            .ends()
            .get(&id)
            .is_some_and(|end| end.pushes.try_send(push).is_ok());
        if !sent {
            self.cut(id, Cut::Slow);
        }
        sent
    }

    fn cut(&self, id: LineId, cut: Cut) {
        if let Some(end) = self.ends().remove(&id) {
            // If nobody listens any more, it is cut already.
            let _ = end.cut.send(cut);
        }
    }

    fn ends(&self) -> MutexGuard<'_, HashMap<LineId, End>> {
        // The map is whole at every step, so a panic elsewhere cannot have torn it.
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pushed_arrives_in_order() {
        let board = Switchboard::default();
        let mut plug = board.plug();
        assert_ne!(plug.id, board.plug().id);
        let patch = |version: u64| Document::from_iter([("$version".to_owned(), version.into())]);
        board.pass_on(
            (1..=3)
                .map(|it| Signal::Desired(plug.id, patch(it)))
                .collect(),
        );
        for version in 1..=3 {
            assert!(
                matches!(plug.pushes.try_recv(), Ok(Push::Desired(it)) if it == patch(version))
            );
        }
    }

    #[test]
    fn a_cut_line_takes_no_more_calls() {
        let board = Switchboard::default();
        let mut plug = board.plug();
        assert!(board.call(plug.id, "m".into(), Value::Null).is_some());
        board.pass_on(vec![Signal::Cut(plug.id, Cut::Disabled)]);
        assert_eq!(plug.cut.try_recv(), Ok(Cut::Disabled));
        assert!(board.call(plug.id, "m".into(), Value::Null).is_none());
    }

    #[test]
    fn who_does_not_keep_up_is_cut_off() {
        let board = Switchboard::default();
        let mut plug = board.plug();
        for _ in 0..QUEUE {
            assert!(board.call(plug.id, "m".into(), Value::Null).is_some());
        }
        assert!(board.call(plug.id, "m".into(), Value::Null).is_none());
        assert_eq!(plug.cut.try_recv(), Ok(Cut::Slow));
    }
}
