//! Arguments of `outcomes`.

use clap::{Args, Subcommand, ValueEnum};
use lifecycle::{DeviceId, Outcome, TenantId};

use super::moment::Moment;

#[derive(Debug, Subcommand)]
pub(crate) enum Outcomes {
    /// Shows how events ended: the last ones, then each one as it comes, until Ctrl-C.
    ///
    /// The log reaches back seven days. With `--output json` each line is one JSON object. If NATS
    /// is away for a while, it goes on where it was: nothing is left out, nothing comes twice.
    Tail(Tail),
}

#[derive(Debug, Args)]
pub(crate) struct Tail {
    /// Only this tenant's.
    #[arg(long)]
    pub(crate) tenant: Option<TenantId>,
    /// Only this device's.
    #[arg(long)]
    pub(crate) device: Option<DeviceId>,
    /// Only events that ended so. Several are separated by commas.
    #[arg(long, value_enum, value_name = "OUTCOME", value_delimiter = ',')]
    pub(crate) outcome: Vec<EndedAs>,
    /// Begin with what ended then or later: so long ago (90s, 15m, 2h, 3d), or at a time
    /// (2026-08-20T10:11:12Z).
    #[arg(long, value_name = "WHEN")]
    pub(crate) since: Option<Moment>,
    /// Begin with the last so many: 10 if not said, with --since all of them.
    #[arg(long, short = 'n', visible_alias = "limit", value_name = "NUMBER",
          value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    pub(crate) lines: Option<u32>,
    /// Show what there is and end.
    #[arg(long)]
    pub(crate) no_follow: bool,
}

/// How an event can end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum EndedAs {
    /// The hub was changed.
    Applied,
    /// The hub was so already.
    Unchanged,
    /// A newer event had been there before.
    Superseded,
    /// There is no integration, or the device is somebody else's.
    Ignored,
    /// It became a dead letter.
    Dead,
}

impl From<EndedAs> for Outcome {
    fn from(kind: EndedAs) -> Self {
        match kind {
            EndedAs::Applied => Self::Applied,
            EndedAs::Unchanged => Self::Unchanged,
            EndedAs::Superseded => Self::Superseded,
            EndedAs::Ignored => Self::Ignored,
            EndedAs::Dead => Self::Dead,
        }
    }
}
