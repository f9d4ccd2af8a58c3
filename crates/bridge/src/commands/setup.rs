//! `setup`: makes what the worker needs in NATS.

use jetstream::{Action, Change};

use crate::cli::{Output, Setup};
use crate::config::Config;
use crate::print;
use crate::session::Session;

pub(crate) async fn run(config: &Config, args: Setup, output: Output) -> anyhow::Result<()> {
    let session = Session::for_command(config).await?;
    let how = jetstream::Setup {
        replicas: Some(config.nats.replicas),
        dry_run: args.dry_run,
        without_source: !config.source.enabled,
    };
    let changes = jetstream::setup(&session.context, &session.names, how).await?;
    print::result(output, &changes, |changes| {
        let rows = changes.iter().map(|change| {
            [
                change.kind.to_owned(),
                change.name.clone(),
                action(change, args.dry_run),
            ]
        });
        print::table(["KIND", "NAME", "ACTION"], rows)
    })
}

fn action(change: &Change, dry_run: bool) -> String {
    let would = if dry_run { "would be " } else { "" };
    match &change.action {
        Action::Created => format!("{would}created"),
        Action::Changed(what) => format!("{would}changed: {}", what.join(", ")),
        Action::Unchanged => "unchanged".to_owned(),
        Action::Waiting => {
            "waiting: Mender has not made its stream yet; the worker looks for it".to_owned()
        }
    }
}
