//! `setup`: makes what the worker needs in NATS, and in MongoDB where records are kept there.

use jetstream::{Action, Change};
use mongo::Mongo;
use serde_json::json;

use super::migrate;
use crate::adapters::{RecordStore, StoreError};
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
    let records = RecordStore::from_config(config)?;
    let mut changes = jetstream::setup(&session.context, &session.names, how).await?;
    changes.extend(indexes(&records, args.dry_run).await?);
    let Some(from) = args.migrate_from else {
        return print::result(output, &changes, |changes| table(changes, args.dry_run));
    };
    // People see what was made before the copy begins, which may take long.
    if output == Output::Text {
        println!("{}", table(&changes, args.dry_run));
    }
    let copied = migrate::copy(config, &session, from, args.dry_run).await?;
    let shown = json!({"changes": changes, "migrated": copied});
    print::result(output, &shown, |_| copied.in_words(args.dry_run))?;
    copied.complete()
}

fn table(changes: &[Change], dry_run: bool) -> String {
    let rows = changes.iter().map(|change| {
        [
            change.kind.to_owned(),
            change.name.clone(),
            action(change, dry_run),
        ]
    });
    print::table(["KIND", "NAME", "ACTION"], rows)
}

/// The indexes that the records need.
async fn indexes(records: &RecordStore, dry_run: bool) -> Result<Vec<Change>, StoreError> {
    let RecordStore::MongoDb(options) = records else {
        return Ok(Vec::new());
    };
    let mongo = Mongo::connect(options).await?;
    let made = mongo.setup(dry_run).await;
    mongo.close().await;
    let changes = made?.into_iter().map(|change| Change {
        kind: "index",
        name: change.name,
        action: if change.created {
            Action::Created
        } else {
            Action::Unchanged
        },
    });
    Ok(changes.collect())
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
