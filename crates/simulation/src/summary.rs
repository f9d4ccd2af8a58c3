//! What many runs came to, for people and for programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use serde::Serialize;
use simulation::ledger::Account;
use simulation::run::Run;

/// For whom the result is printed.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Text,
    /// One JSON object, as the last line of standard output.
    Json,
}

/// Text goes where it does not disturb a program that reads the result.
pub(crate) fn tell(output: Output, text: &str) {
    match output {
        Output::Text => println!("{text}"),
        Output::Json => eprintln!("{text}"),
    }
}

/// Everything that is counted.
pub(crate) struct Summary {
    began: Instant,
    seeds: u64,
    pub(crate) violations: usize,
    faults: BTreeMap<&'static str, u64>,
    seen: BTreeMap<&'static str, u64>,
    account: Account,
    simulated: Duration,
    took: Duration,
}

/// The result, as JSON shows it.
#[derive(Serialize)]
struct Result {
    seeds: u64,
    violations: usize,
    faults: u64,
    simulated_seconds: u64,
    seconds: f64,
    events: u64,
}

impl Summary {
    pub(crate) fn begin() -> Self {
        Self {
            began: Instant::now(),
            seeds: 0,
            violations: 0,
            faults: BTreeMap::new(),
            seen: BTreeMap::new(),
            account: Account::default(),
            simulated: Duration::ZERO,
            took: Duration::ZERO,
        }
    }

    pub(crate) fn add(&mut self, run: &Run) {
        self.seeds += 1;
        self.violations += usize::from(run.violation.is_some());
        add(&mut self.faults, &run.faults);
        add(&mut self.seen, &run.seen);
        self.account.add(&run.account);
        self.simulated += run.simulated;
    }

    pub(crate) fn end(&mut self) {
        self.took = self.began.elapsed();
    }

    pub(crate) const fn is_good(&self) -> bool {
        self.violations == 0
    }

    /// Different events that were published.
    pub(crate) const fn events(&self) -> u64 {
        self.account.published
    }

    pub(crate) fn progress(&self, of: u64) -> String {
        let (seeds, events) = (self.seeds, self.events());
        let violations = self.violations;
        let took = self.began.elapsed().as_secs();
        format!("{seeds} of {of} seeds, {events} events, {violations} violations, {took} s")
    }

    pub(crate) fn json(&self) -> String {
        let result = Result {
            seeds: self.seeds,
            violations: self.violations,
            faults: self.faults.values().sum(),
            simulated_seconds: self.simulated.as_secs(),
            seconds: self.took.as_secs_f64(),
            events: self.events(),
        };
        serde_json::to_string(&result).expect("numbers are JSON")
    }

    pub(crate) fn text(&self) -> String {
        let [applied, unchanged, superseded, ignored, dead] = self.account.outcomes;
        let mut text = format!("\nwhat happened:{}", lines(&self.seen));
        let _ = write!(text, "\nfaults:{}", lines(&self.faults));
        let _ = write!(
            text,
            "\n\n{} events = {applied} applied + {unchanged} unchanged + {superseded} superseded + \
             {ignored} ignored + {dead} dead + {} pending",
            self.events(),
            self.account.pending,
        );
        let _ = write!(
            text,
            "\n{} seeds, {} violations, {} faults, {:.1} days simulated in {:.1} s",
            self.seeds,
            self.violations,
            self.faults.values().sum::<u64>(),
            self.simulated.as_secs_f64() / 86_400.0,
            self.took.as_secs_f64(),
        );
        text
    }
}

fn add(all: &mut BTreeMap<&'static str, u64>, more: &BTreeMap<&'static str, u64>) {
    for (kind, count) in more {
        *all.entry(kind).or_default() += count;
    }
}

fn lines(counts: &BTreeMap<&'static str, u64>) -> String {
    let mut text = String::new();
    for (kind, count) in counts {
        let _ = write!(text, "\n  {count:>10}  {kind}");
    }
    text
}
