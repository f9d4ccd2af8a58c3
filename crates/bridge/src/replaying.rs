//! Replaying dead letters, wired: for the command and for the worker's service.
//!
//! First the letters are chosen, then each is published again while the turn to replay is held,
//! and in the end the log of outcomes tells what became of the events. All of that is bounded: no
//! body is kept, and of very many events only the first are waited for.

mod ends;
mod entry;
mod turn;

use std::time::Duration;

use jetstream::{DeadLetters, KvSweeps, Outcomes};
use messages::ops::{LetterResult, ReplayEntry, ReplayReply, Which};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::session::Session;
use turn::Held;
pub(crate) use turn::holder;

/// What replays need.
pub(crate) struct Replaying {
    pub(crate) letters: DeadLetters,
    outcomes: Outcomes,
    turns: KvSweeps,
}

/// How to replay.
#[derive(Debug)]
pub(crate) struct How {
    /// At most so many letters a second.
    pub(crate) rate: u64,
    /// How long to wait for the ends of the events.
    pub(crate) wait: Duration,
    /// Events that are waited for and listed, over all letters.
    pub(crate) most_events: usize,
    /// What others are told of who replays.
    pub(crate) holder: String,
}

/// The letters that a replay is to come to, nothing done to them yet.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) entries: Vec<ReplayEntry>,
    /// How many there are, those beyond the limit included.
    pub(crate) matched: u64,
}

/// Why a replay was not begun.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error(
        "another replay is under way: {0}; wait for it, or end it. If it crashed, its turn is free \
         {turn} seconds later", turn = jetstream::TURN.as_secs()
    )]
    Busy(String),
    #[error(transparent)]
    Nats(#[from] jetstream::Error),
}

/// Hears of each letter that was replayed.
pub(crate) type Progress<'a> = &'a (dyn Fn(&ReplayEntry) + Sync);

impl Replaying {
    pub(crate) async fn open(session: &Session) -> Result<Self, jetstream::Error> {
        let (context, names) = (&session.context, &session.names);
        Ok(Self {
            letters: DeadLetters::open(context, names).await?,
            outcomes: Outcomes::open(context, names).await?,
            turns: KvSweeps::open(context, names).await?,
        })
    }

    /// The letters, at most `limit` of them, oldest first or in the order that was given.
    pub(crate) async fn plan(&self, which: &Which, limit: u64) -> Result<Plan, jetstream::Error> {
        let mut plan = Plan::default();
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        match which {
            Which::These(sequences) => {
                plan.matched = sequences.len() as u64;
                for sequence in sequences.iter().take(limit) {
                    let found = self.letters.get(*sequence).await?;
                    let head = found.as_ref().map(|letter| &letter.head);
                    plan.entries.push(entry::planned(*sequence, head));
                }
            }
            Which::Matching(filter) => {
                let mut scan = self.letters.scan(filter).await?;
                while let Some(head) = scan.next().await? {
                    plan.matched += 1;
                    if plan.entries.len() < limit {
                        plan.entries
                            .push(entry::planned(head.sequence, Some(&head)));
                    }
                }
            }
        }
        Ok(plan)
    }

    /// Replays what is planned, until `stop`; then what was not come to is as it was.
    pub(crate) async fn run(
        &self,
        plan: Plan,
        how: &How,
        stop: &CancellationToken,
        progress: Progress<'_>,
    ) -> Result<ReplayReply, Refused> {
        let Plan {
            mut entries,
            matched,
        } = plan;
        let turn = Held::take(&self.turns, &how.holder).await?;
        let place = self.outcomes.place().await?;
        let (done, stopped) = self.publish(&mut entries, how, stop, &turn, progress).await;
        turn.give_back().await;
        entries.truncate(done);
        self.ends(&mut entries, place, how.wait, stop).await;
        Ok(ReplayReply {
            dry_run: false,
            matched,
            left: matched - entries.len() as u64,
            entries,
            stopped,
        })
    }

    /// Publishes one after the other; returns how many it came to, and why it ended there.
    async fn publish(
        &self,
        entries: &mut [ReplayEntry],
        how: &How,
        stop: &CancellationToken,
        turn: &Held,
        progress: Progress<'_>,
    ) -> (usize, Option<String>) {
        let rate = u32::try_from(how.rate.max(1)).unwrap_or(u32::MAX);
        let mut pace = interval(Duration::from_secs(1) / rate);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut room = how.most_events;
        for (done, planned) in entries.iter_mut().enumerate() {
            tokio::select! {
                biased;
                () = stop.cancelled() => return (done, Some("told to stop".to_owned())),
                () = turn.lost() => return (done, Some("the turn to replay was lost".to_owned())),
                _ = pace.tick() => {}
            }
            match self.letters.replay(planned.sequence).await {
                Ok(replayed) => entry::fill(planned, replayed, &mut room),
                Err(error) => return (done, Some(error.to_string())),
            }
            progress(planned);
        }
        (entries.len(), None)
    }
}

impl Plan {
    /// As the reply to a dry run.
    pub(crate) fn only_shown(self) -> ReplayReply {
        ReplayReply {
            dry_run: true,
            matched: self.matched,
            left: self.matched - self.entries.len() as u64,
            entries: self.entries,
            stopped: None,
        }
    }
}

/// Whether a letter's events are out and the letter is gone.
pub(crate) fn is_done(entry: &ReplayEntry) -> bool {
    entry.result == LetterResult::Published
}
