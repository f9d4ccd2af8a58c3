//! `device retry`: work that was given up is taken up again, dead letter or not.
//!
//! The command asks Mender and publishes an event, or has a worker look; all else is the worker's.

use lifecycle::{DeviceId, DeviceRef, Record};
use reconciler::ports::DeviceStore as _;
use reconciler::sweep::{Registry as _, Retried, Seen, is_given_up};

use super::lines::{FAILED, Line, failed, table};
use crate::adapters::{RecordStore, StorePort};
use crate::cli::{Output, Retry};
use crate::config::Config;
use crate::print;
use crate::session::Session;
use crate::sweeping::Sweeping;

/// Records read at once.
const PAGE: usize = 500;
/// Begins the names of events and looks, as they are in the event log.
const NAME: &str = "retry-";

pub(crate) async fn run(config: &Config, args: Retry, output: Output) -> anyhow::Result<()> {
    let session = Session::for_command(config).await?;
    let sweeping = Sweeping::open(config, &session).await?;
    let retried = all(config, &session, &sweeping, &args).await;
    sweeping.close().await;
    let lines = retried?;
    print::result(output, &lines, |lines| match lines[..] {
        [] => "no such devices".to_owned(),
        _ => table(lines),
    })?;
    let failed = failed(&lines);
    anyhow::ensure!(
        failed == 0,
        "{failed} devices were not tried again; repeat the command"
    );
    Ok(())
}

async fn all(
    config: &Config,
    session: &Session,
    sweeping: &Sweeping,
    args: &Retry,
) -> anyhow::Result<Vec<Line>> {
    let tenant = &args.of.tenant;
    let hub = sweeping.hub(tenant).await?;
    let Some(hub) = hub else {
        anyhow::bail!("tenant {:?} has no integration", tenant.as_str());
    };
    let devices = if args.devices.is_empty() {
        let store = RecordStore::from_config(config)?.open(session).await?;
        let elsewhere = |record: &Record| {
            let (then, now) = (&record.integration, &hub.integration);
            then.id != now.id || then.hub != now.hub
        };
        let selected = selected(&store, args, &elsewhere).await;
        store.close().await;
        selected?
    } else {
        args.devices.clone()
    };
    let bar = print::progress("asking Mender", devices.len() as u64);
    let mut lines = Vec::new();
    for device in devices {
        lines.push(line(sweeping, args, device).await);
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(lines)
}

/// The tenant's devices that the options name.
async fn selected(
    store: &StorePort,
    args: &Retry,
    elsewhere: &(dyn Fn(&Record) -> bool + Sync),
) -> anyhow::Result<Vec<DeviceId>> {
    let mut devices = Vec::new();
    let mut next = None;
    loop {
        let page = store
            .list(Some(&args.of.tenant), next.as_deref(), PAGE)
            .await?;
        let wanted = |record: &Record| {
            let moves = args.all_in_other_hub && record.status.creates() && elsewhere(record);
            moves || (args.all_parked && is_given_up(record))
        };
        let records = page.records.into_iter();
        let found = records.filter(|(_, stored)| wanted(&stored.record));
        devices.extend(found.map(|(about, _)| about.device));
        next = page.next;
        if next.is_none() {
            return Ok(devices);
        }
    }
}

async fn line(sweeping: &Sweeping, args: &Retry, device: DeviceId) -> Line {
    let about = DeviceRef {
        tenant: args.of.tenant.clone(),
        device,
    };
    let (result, detail) = match one(sweeping, &about, args.dry_run).await {
        Ok((retried, status)) => (in_word(retried, args.dry_run), detail(retried, status)),
        Err(error) => (FAILED, Some(format!("{error:#}"))),
    };
    Line {
        device: about.device,
        result,
        detail,
    }
}

async fn one(
    sweeping: &Sweeping,
    about: &DeviceRef,
    dry_run: bool,
) -> anyhow::Result<(Retried, Option<String>)> {
    let seen = sweeping.mender.look(about).await?;
    let status = match &seen {
        Seen::Known(known) => Some(format!("{} in Mender", known.status)),
        Seen::Gone => None,
    };
    let retried = sweeping.sweeper.retry(about, &seen, NAME, dry_run).await?;
    Ok((retried, status))
}

const fn in_word(retried: Retried, dry_run: bool) -> &'static str {
    match (retried, dry_run) {
        (Retried::TakenUp, false) => "taken up",
        (Retried::TakenUp, true) => "would be taken up",
        (Retried::LookedAt, false) => "looked at",
        (Retried::LookedAt, true) => "would be looked at",
        (Retried::Left(_), _) => "left alone",
    }
}

fn detail(retried: Retried, status: Option<String>) -> Option<String> {
    match retried {
        Retried::Left(why) => Some(why.to_owned()),
        Retried::TakenUp | Retried::LookedAt => status,
    }
}
