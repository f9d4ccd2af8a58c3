//! What a benchmark tells while it runs: plain lines on standard error.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use super::names::Name;

/// Pause between two lines about the same wait.
const PAUSE: Duration = Duration::from_secs(5);

/// Tells how far a benchmark is.
pub(super) struct Talk {
    name: Name,
    begin: Instant,
    last: Cell<Instant>,
}

impl Talk {
    pub(super) fn about(name: Name) -> Self {
        let begin = Instant::now();
        Self {
            name,
            begin,
            last: Cell::new(begin),
        }
    }

    /// Something is done, or begins.
    pub(super) fn say(&self, text: &str) {
        let seconds = self.begin.elapsed().as_secs_f64();
        eprintln!("{:>10} {seconds:>6.1} s  {text}", self.name.to_string());
        self.last.set(Instant::now());
    }

    /// How far a wait is, a few times a minute.
    pub(super) fn waiting(&self, what: &str, done: u64, of: u64) {
        if self.last.get().elapsed() >= PAUSE {
            self.say(&format!("{what}: {done} of {of}"));
        }
    }
}
