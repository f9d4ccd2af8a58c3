//! What the demo tells while it runs, all of it on standard error.
//!
//! On a terminal there are bars, with finished steps above them; anywhere else (a log, a pipe)
//! there are plain lines, a few each minute, because a bar in a log is noise.

use std::{
    cell::Cell,
    io::IsTerminal as _,
    time::{Duration, Instant},
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// Pause between two plain lines about the same wait.
const PLAIN_PAUSE: Duration = Duration::from_secs(5);

/// How far the fleet has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Events that Mender has published so far.
    pub(super) published: u64,
    /// Events that have ended.
    pub(super) ended: u64,
    /// Devices that got an identity.
    pub(super) created: u64,
    /// Devices that are to get one.
    pub(super) to_create: u64,
}

/// Bars or lines.
pub(super) struct Progress {
    started: Instant,
    bars: Option<Bars>,
    last_plain: Cell<Instant>,
}

struct Bars {
    all: MultiProgress,
    created: ProgressBar,
    ended: ProgressBar,
    now: ProgressBar,
}

impl Progress {
    /// Starts the clock that all lines show.
    pub(super) fn start() -> Self {
        let started = Instant::now();
        Self {
            started,
            bars: std::io::stderr().is_terminal().then(Bars::new),
            last_plain: Cell::new(started),
        }
    }

    /// Time since the start.
    pub(super) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Something is done, or begins.
    pub(super) fn step(&self, text: &str) {
        let line = format!("{:>6.1} s  {text}", self.elapsed().as_secs_f64());
        match &self.bars {
            // A terminal that has gone away is no reason to stop.
            Some(bars) => drop(bars.all.println(line)),
            None => eprintln!("{line}"),
        }
        self.last_plain.set(Instant::now());
    }

    /// What is being waited for, and how far it has come.
    pub(super) fn waiting(&self, what: &str, counts: Counts) {
        if let Some(bars) = &self.bars {
            bars.show(what, counts);
        } else if self.last_plain.get().elapsed() >= PLAIN_PAUSE {
            let Counts {
                published,
                ended,
                created,
                to_create,
            } = counts;
            self.step(&format!(
                "{what}: {ended} of {published} events ended, {created} of {to_create} identities made"
            ));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bars) = &self.bars {
            let _ = bars.all.clear();
        }
    }
}

impl Bars {
    fn new() -> Self {
        let all = MultiProgress::new();
        let bar = |name: &'static str| {
            let bar = ProgressBar::new(0).with_prefix(name);
            all.add(bar.with_style(style(
                "{prefix:>16} {bar:40.green} {human_pos} of {human_len}",
            )))
        };
        let (created, ended) = (bar("identities made"), bar("events ended"));
        let spinner = ProgressBar::new_spinner().with_style(style("{spinner} {msg}"));
        let now = all.add(spinner);
        now.enable_steady_tick(Duration::from_millis(100));
        Self {
            all,
            created,
            ended,
            now,
        }
    }

    fn show(&self, what: &str, counts: Counts) {
        self.created.set_length(counts.to_create);
        self.created.set_position(counts.created);
        self.ended.set_length(counts.published);
        self.ended.set_position(counts.ended);
        self.now.set_message(what.to_owned());
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_sound() {
        for template in [
            "{prefix:>16} {bar:40.green} {human_pos} of {human_len}",
            "{spinner} {msg}",
        ] {
            assert!(ProgressStyle::with_template(template).is_ok());
        }
    }
}
