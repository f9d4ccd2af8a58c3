//! `dlq purge`: removes dead letters for good.

use std::io::{IsTerminal as _, Write as _};

use anyhow::bail;
use jetstream::DeadLetters;
use messages::ops::LetterFilter;
use serde_json::json;

use super::progress::Bar;
use super::{filter, so_many};
use crate::cli::{Output, Purge};
use crate::print;

pub(super) async fn run(letters: &DeadLetters, args: &Purge, output: Output) -> anyhow::Result<()> {
    let filter = filter(letters, &args.letters).await?;
    let chosen = choose(letters, &filter).await?;
    let count = chosen.len() as u64;
    let asks = count > 0 && may_ask(args, output);
    if !args.yes && !asks {
        return print::result(output, &json!({"would_remove": count}), |_| {
            let letters = so_many(count);
            format!("would remove {letters} for good; do it with --yes")
        });
    }
    if !args.yes && !is_meant(count)? {
        bail!("nothing was removed");
    }
    let removed = remove(letters, &filter, &chosen).await?;
    print::result(output, &json!({"removed": removed}), |_| {
        format!("removed {}", so_many(removed))
    })
}

/// Numbers only, so a hundred thousand letters take less than a megabyte.
async fn choose(letters: &DeadLetters, filter: &LetterFilter) -> anyhow::Result<Vec<u64>> {
    let mut scan = letters.scan(filter).await?;
    let mut chosen = Vec::new();
    while let Some(head) = scan.next().await? {
        chosen.push(head.sequence);
    }
    Ok(chosen)
}

fn may_ask(args: &Purge, output: Output) -> bool {
    let terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    terminal && !args.dry_run && output == Output::Text
}

fn is_meant(count: u64) -> std::io::Result<bool> {
    eprint!("Remove {} for good? [y/N] ", so_many(count));
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str()))
}

/// Only what was chosen: letters that came since stay.
async fn remove(
    letters: &DeadLetters,
    filter: &LetterFilter,
    chosen: &[u64],
) -> anyhow::Result<u64> {
    let Some(last) = chosen.last() else {
        return Ok(0);
    };
    if filter.is_by_subject() {
        return Ok(letters.purge(filter, *last).await?);
    }
    let bar = Bar::new("removed", chosen.len() as u64);
    let mut removed = 0;
    for sequence in chosen {
        removed += u64::from(letters.delete(*sequence).await?);
        bar.step();
    }
    bar.end();
    Ok(removed)
}
