//! `status`: what there is to do, what was done, and what is in the way, on one screen.

mod census;
mod look;
mod summary;
mod text;
mod watch;
pub(crate) mod workers;

use crate::cli::{Output, Status};
use crate::config::Config;
use crate::print;
use look::Looker;

pub(crate) async fn run(config: &Config, args: &Status, output: Output) -> anyhow::Result<()> {
    let mut looker = Looker::open(config, args.count).await?;
    if args.watch {
        return watch::run(&mut looker, args.every_s, output).await;
    }
    let shown = looker.look(true).await?;
    print::result(output, &shown, text::in_words)
}
