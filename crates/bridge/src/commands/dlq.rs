//! `dlq list|show|replay|purge`: dead letters, for operators.

mod counts;
mod list;
mod progress;
mod purge;
mod replay;
mod show;

pub(crate) use counts::by_reason;

use jetstream::{DeadLetters, LetterHead};
use lifecycle::Timestamp;
use messages::ops::LetterFilter;
use serde_json::{Value, json};

use crate::cli::{Dlq, Letters, Output};
use crate::config::Config;
use crate::print;
use crate::session::Session;

pub(crate) async fn run(config: &Config, what: Dlq, output: Output) -> anyhow::Result<()> {
    let session = Session::for_command(config).await?;
    if let Dlq::Replay(args) = what {
        return replay::run(&session, args, output).await;
    }
    let letters = DeadLetters::open(&session.context, &session.names).await?;
    match what {
        Dlq::List(args) if args.counts => counts::run(&letters, &args.letters, output).await,
        Dlq::List(args) => list::run(&letters, &args, output).await,
        Dlq::Show(args) => show::run(&letters, &args, output).await,
        Dlq::Purge(args) => purge::run(&letters, &args, output).await,
        Dlq::Replay(_) => Ok(()),
    }
}

/// The filter of the command line. Spans go back from the server's time, which letters are stored
/// with.
async fn filter(letters: &DeadLetters, of: &Letters) -> anyhow::Result<LetterFilter> {
    let now = if of.since.is_some() || of.until.is_some() {
        letters.server_time().await?
    } else {
        Timestamp::from_micros(0)
    };
    Ok(of.filter(now))
}

fn brief(head: &LetterHead) -> Value {
    json!({
        "sequence": head.sequence,
        "stored_at": print::time(head.stored_at),
        "event_id": head.event_id,
        "tenant": head.tenant,
        "device": head.device,
        "class": head.class,
        "reason": head.reason,
        "attempts": head.attempts,
        "replay": head.replay,
    })
}

/// `1 dead letter`, `2 dead letters`.
fn so_many(count: u64) -> String {
    match count {
        1 => "1 dead letter".to_owned(),
        count => format!("{count} dead letters"),
    }
}
