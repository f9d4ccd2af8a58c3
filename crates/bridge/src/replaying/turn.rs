//! The turn to replay: one at a time, over all workers and commands.

use std::time::Duration;

use jetstream::{KvSweeps, Lease, TURN, Turn};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Refused;

/// How often the turn is renewed. After a crash it is free [`TURN`] later.
const RENEW_EVERY: Duration = TURN.checked_div(3).expect("3 is not 0");

/// The turn, held until it is given back.
pub(super) struct Held {
    over: CancellationToken,
    lost: CancellationToken,
    keeper: JoinHandle<()>,
}

impl Held {
    pub(super) async fn take(turns: &KvSweeps, holder: &str) -> Result<Self, Refused> {
        let mut turn = turns.take_replay_turn(holder).await?;
        if matches!(&turn, Turn::Taken { holder } if holder.is_empty()) {
            // Somebody was quicker: looked at again, to tell who.
            turn = turns.take_replay_turn(holder).await?;
        }
        let lease = match turn {
            Turn::Mine(lease) => lease,
            Turn::Taken { holder } if holder.is_empty() => {
                return Err(Refused::Busy("others ask at this moment".to_owned()));
            }
            Turn::Taken { holder } => return Err(Refused::Busy(holder)),
            Turn::NotDue(_) => return Err(Refused::Busy("one has just ended".to_owned())),
        };
        let (over, lost) = (CancellationToken::new(), CancellationToken::new());
        let keeper = keep(turns.clone(), lease, over.clone(), lost.clone());
        Ok(Self {
            over,
            lost,
            keeper: tokio::spawn(keeper),
        })
    }

    /// Ends when somebody else may have the turn.
    pub(super) async fn lost(&self) {
        self.lost.cancelled().await;
    }

    pub(super) async fn give_back(self) {
        self.over.cancel();
        if let Err(error) = self.keeper.await {
            tracing::warn!(%error, "the turn to replay ends by itself");
        }
    }
}

async fn keep(turns: KvSweeps, mut lease: Lease, over: CancellationToken, lost: CancellationToken) {
    let mut unheard = Duration::ZERO;
    loop {
        tokio::select! {
            () = over.cancelled() => break,
            () = tokio::time::sleep(RENEW_EVERY) => {}
        }
        match turns.renew(&mut lease).await {
            Ok(true) => unheard = Duration::ZERO,
            Ok(false) => return lost.cancel(),
            Err(error) => {
                unheard += RENEW_EVERY;
                tracing::warn!(%error, "failed to renew the turn to replay");
                if unheard >= TURN {
                    return lost.cancel();
                }
            }
        }
    }
    if let Err(error) = turns.finish(lease).await {
        tracing::warn!(%error, "the turn to replay ends by itself");
    }
}

/// How whoever replays is named to others: `who`, on which machine, as which process, since when.
pub(crate) fn holder(who: &str) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = match host.trim() {
        "" => "a host without a name",
        host => host,
    };
    let (process, now) = (std::process::id(), jiff::Timestamp::now());
    format!("{who} on {host}, process {process}, since {now:.0}")
}
