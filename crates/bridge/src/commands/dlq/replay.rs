//! `dlq replay`: dead letters once more, and what became of them.

mod words;

use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use messages::ops::{ReplayEntry, ReplayReply, Which};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::progress::Bar;
use super::{filter, so_many};
use crate::cli::{Output, Replay};
use crate::print;
use crate::replaying::{How, Plan, Replaying, holder, is_done};
use crate::run::signals;
use crate::session::Session;

/// Events that are waited for; of those beyond, only how many there are is said.
const MOST_EVENTS: usize = 200_000;

pub(super) async fn run(session: &Session, args: Replay, output: Output) -> anyhow::Result<()> {
    let replaying = Replaying::open(session).await?;
    let which = if args.sequences.is_empty() {
        Which::Matching(filter(&replaying.letters, &args.letters).await?)
    } else {
        Which::These(args.sequences.clone())
    };
    let limit = args.limit.unwrap_or(u64::MAX);
    let plan = replaying.plan(&which, limit).await?;
    let one_by_number = matches!(&which, Which::These(sequences) if sequences.len() == 1);
    let several = plan.entries.len() > 1;
    if args.dry_run || !args.yes && several && !one_by_number {
        return only_shown(&plan, output);
    }
    let reply = replay(&replaying, plan, &args).await?;
    print::result(output, &reply, words::all)?;
    judge(&reply)
}

fn only_shown(plan: &Plan, output: Output) -> anyhow::Result<()> {
    let numbers: Vec<u64> = plan.entries.iter().map(|entry| entry.sequence).collect();
    let count = numbers.len() as u64;
    print::result(output, &json!({"would_replay": numbers}), |_| {
        format!("would replay {}; do it with --yes", so_many(count))
    })
}

async fn replay(replaying: &Replaying, plan: Plan, args: &Replay) -> anyhow::Result<ReplayReply> {
    let how = How {
        rate: args.rate,
        wait: Duration::from_secs(args.wait),
        most_events: MOST_EVENTS,
        holder: holder("`mender-iothub dlq replay`"),
    };
    let stop = CancellationToken::new();
    signals::listen(stop.clone())?;
    let planned = plan.entries.len() as u64;
    let bar = Arc::new(Bar::new("replayed", planned));
    let stopping = {
        let (stop, bar) = (stop.clone(), Arc::clone(&bar));
        tokio::spawn(async move {
            stop.cancelled().await;
            bar.say("stopping; once more ends it at once");
        })
    };
    let count = |_: &ReplayEntry| bar.step();
    let replayed = replaying.run(plan, &how, &stop, &count).await;
    stopping.abort();
    bar.end();
    Ok(replayed?)
}

/// Whether all that was asked for was done. How the events ended is for whoever reads it.
fn judge(reply: &ReplayReply) -> anyhow::Result<()> {
    let came_to = reply.entries.len();
    let kept = reply.entries.iter().filter(|entry| !is_done(entry)).count();
    if let Some(why) = &reply.stopped {
        bail!(
            "stopped after {came_to} of {}: {why}; the others are as they were",
            reply.matched
        );
    }
    if kept > 0 {
        bail!("{kept} of {came_to} could not be replayed");
    }
    Ok(())
}
