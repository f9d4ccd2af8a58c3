//! How far it is: a bar on a terminal, a line from time to time elsewhere.

use std::io::IsTerminal as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// On standard error, so that results stay by themselves.
pub(super) struct Bar {
    what: &'static str,
    of: u64,
    drawn: Option<ProgressBar>,
    lines: Mutex<Lines>,
}

struct Lines {
    done: u64,
    last: Instant,
}

impl Bar {
    /// `what` was done with so many of `of` letters.
    pub(super) fn new(what: &'static str, of: u64) -> Self {
        let drawn = (of > 1 && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::new(of);
            let template = "{msg} {pos} of {len} [{wide_bar}] {eta} left";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar.with_message(what)
        });
        Self {
            what,
            of,
            drawn,
            lines: Mutex::new(Lines {
                done: 0,
                last: Instant::now(),
            }),
        }
    }

    /// One more is done.
    pub(super) fn step(&self) {
        if let Some(bar) = &self.drawn {
            bar.inc(1);
            return;
        }
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.done += 1;
        if lines.last.elapsed() >= LINE_EVERY {
            lines.last = Instant::now();
            eprintln!("{} {} of {}", self.what, lines.done, self.of);
        }
    }

    /// Something to say beside it.
    pub(super) fn say(&self, text: &str) {
        match &self.drawn {
            Some(bar) => bar.suspend(|| eprintln!("{text}")),
            None => eprintln!("{text}"),
        }
    }

    /// Leaves the terminal as it was.
    pub(super) fn end(&self) {
        if let Some(bar) = &self.drawn {
            bar.finish_and_clear();
        }
    }
}
