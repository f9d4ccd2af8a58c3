//! Arguments of the commands about dead letters.

use clap::{Args, Subcommand, ValueEnum};
use lifecycle::{DeviceId, TenantId, Timestamp};
use messages::header;
use messages::ops::LetterFilter;

use super::moment::Moment;

#[derive(Debug, Subcommand)]
pub(crate) enum Dlq {
    /// Lists dead letters, newest first, in pages; with `--counts` how many there are by reason.
    List(DlqList),
    /// Shows one dead letter: reason, attempts, headers, and the original bytes.
    Show(DlqShow),
    /// Offers dead letters to the worker again, as if they had never been dead-lettered, and says
    /// what became of each.
    ///
    /// One letter is replayed at once; of several it only says how many there are, unless `--yes`
    /// is given. An event keeps its name and its place: if a newer one has settled the device
    /// meanwhile it ends as superseded, and replaying twice is as good as once. Ctrl-C ends it
    /// after the letter that it is at. Only one replay runs at a time.
    Replay(Replay),
    /// Removes dead letters for good.
    ///
    /// On a terminal it asks first. Elsewhere they are only counted, unless `--yes` is given.
    Purge(Purge),
}

/// Which letters: those for which everything holds that is said.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Which letters")]
pub(crate) struct Letters {
    /// Only this tenant's.
    #[arg(long)]
    pub(crate) tenant: Option<TenantId>,
    /// Only this device's.
    #[arg(long)]
    pub(crate) device: Option<DeviceId>,
    /// Only those of this class.
    #[arg(long, value_enum)]
    pub(crate) class: Option<Class>,
    /// Only those with this text in the reason, in upper or lower case.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// Only those stored since then: a time such as 2026-01-31T12:00:00Z, or a span back from now
    /// such as 2h.
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<Moment>,
    /// Only those stored before: a time, or a span back from now.
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<Moment>,
}

impl Letters {
    /// The filter, at the time `now`.
    pub(crate) fn filter(&self, now: Timestamp) -> LetterFilter {
        LetterFilter {
            tenant: self.tenant.clone(),
            device: self.device.clone(),
            class: self.class.map(|class| class.name().to_owned()),
            reason: self.reason.clone(),
            since: self.since.map(|moment| moment.from(now)),
            until: self.until.map(|moment| moment.from(now)),
        }
    }
}

/// Why letters are there, by what helps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Class {
    /// Not understood: correct the publisher.
    Malformed,
    /// Refused for good: correct the device in the hub or in Mender.
    Permanent,
    /// Failed for too long: bring back what was away.
    Exhausted,
    /// Delivered too often without an end: look at the worker's log.
    Poison,
    /// Taken off the queue by somebody else.
    Terminated,
}

impl Class {
    const fn name(self) -> &'static str {
        match self {
            Self::Malformed => header::CLASS_MALFORMED,
            Self::Permanent => header::CLASS_PERMANENT,
            Self::Exhausted => header::CLASS_EXHAUSTED,
            Self::Poison => header::CLASS_POISON,
            Self::Terminated => header::CLASS_TERMINATED,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct DlqList {
    /// At most so many.
    #[arg(long, default_value_t = 100)]
    pub(crate) limit: usize,
    /// Go on after the last page: only letters with a smaller number.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) before: Option<u64>,
    /// Count them by class and reason instead.
    #[arg(long, conflicts_with_all = ["limit", "before"])]
    pub(crate) counts: bool,
    // Last, since its heading holds for what follows.
    #[command(flatten)]
    pub(crate) letters: Letters,
}

#[derive(Debug, Args)]
pub(crate) struct DlqShow {
    /// Its number in the list.
    #[arg(value_name = "NUMBER")]
    pub(crate) sequence: u64,
    /// Print nothing but the original bytes, exactly as they were received.
    #[arg(long)]
    pub(crate) raw: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// Numbers from the list.
    #[arg(
        value_name = "NUMBER",
        required_unless_present_any = ["all", "tenant", "device", "class", "reason", "since", "until"],
        conflicts_with_all = ["all", "tenant", "device", "class", "reason", "since", "until"],
    )]
    pub(crate) sequences: Vec<u64>,
    /// Every dead letter, or every one that the filters leave, oldest first.
    #[arg(long)]
    pub(crate) all: bool,
    /// At most so many.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) limit: Option<u64>,
    /// Only show which would be replayed.
    #[arg(long, conflicts_with = "yes")]
    pub(crate) dry_run: bool,
    /// Do it. Without this, more than one is only shown.
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// At most so many letters a second, 1 to 1000.
    #[arg(long, default_value_t = messages::ops::USUAL_RATE,
        value_parser = clap::value_parser!(u64).range(1..=messages::ops::MAX_RATE))]
    pub(crate) rate: u64,
    /// Wait at most so many seconds, once all are published, for what becomes of them.
    #[arg(long, value_name = "SECONDS", default_value_t = 15,
        value_parser = clap::value_parser!(u64).range(..=86_400))]
    pub(crate) wait: u64,
    // Last, since its heading holds for what follows.
    #[command(flatten)]
    pub(crate) letters: Letters,
}

#[derive(Debug, Args)]
pub(crate) struct Purge {
    /// Only count them.
    #[arg(long, conflicts_with = "yes")]
    pub(crate) dry_run: bool,
    /// Do it. Without this, they are only counted, or it asks.
    #[arg(long, short)]
    pub(crate) yes: bool,
    // Last, since its heading holds for what follows.
    #[command(flatten)]
    pub(crate) letters: Letters,
}
