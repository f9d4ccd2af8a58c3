//! Arguments of `status`.

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Keep the screen current until Ctrl-C. With `--output json`, or where standard output is no
    /// terminal, each state is printed after the other: as JSON, one line each.
    #[arg(long, short)]
    pub(crate) watch: bool,
    /// With `--watch`: time between two looks, seconds.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) every_s: u64,
    /// Read every device record to count states, however many there are. Without this, more than
    /// 5000 are not read, and the counts are those of the last sweep.
    #[arg(long)]
    pub(crate) count: bool,
}
