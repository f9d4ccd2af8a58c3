//! `device adopt`: identities that somebody else made become ours, because an operator says so.
//!
//! The mark goes into `statusReason` by a conditional update that keeps all the rest. From then on
//! the worker, or after a crash the sweep, takes the identity for ours and does what Mender wants.

use std::time::Duration;

use anyhow::Context as _;
use iothub::{Identity, Kind};
use lifecycle::{
    DeviceId, DeviceRef, Done, Event, EventId, IntentId, Mark, Outcome, Status, TenantId,
};
use reconciler::ports::Streams as _;
use reconciler::sweep::{Known, Registry as _, Seen};
use uuid::Uuid;

use super::lines::{FAILED, Line, failed, table};
use crate::adapters::HubPort;
use crate::cli::{Adopt, Output};
use crate::config::Config;
use crate::print;
use crate::session::Session;
use crate::sweeping::Sweeping;

/// Hub requests for one device, by us and by the worker afterwards, times the share of the pace
/// that is left to events.
const COST: u32 = 5 * 2;

pub(crate) async fn run(config: &Config, args: Adopt, output: Output) -> anyhow::Result<()> {
    let session = Session::for_command(config).await?;
    let sweeping = Sweeping::open(config, &session).await?;
    let adopted = all(&sweeping, &args).await;
    sweeping.close().await;
    let lines = adopted?;
    print::result(output, &lines, |lines| table(lines))?;
    let failed = failed(&lines);
    anyhow::ensure!(
        failed == 0,
        "{failed} devices were not adopted; repeat the command"
    );
    Ok(())
}

async fn all(sweeping: &Sweeping, args: &Adopt) -> anyhow::Result<Vec<Line>> {
    let tenant = &args.of.tenant;
    let hub = sweeping.hub(tenant).await?;
    let hub = hub.with_context(|| format!("tenant {:?} has no integration", tenant.as_str()))?;
    let mut lines = Vec::new();
    for device in devices(sweeping, args).await? {
        let about = DeviceRef {
            tenant: tenant.clone(),
            device,
        };
        let (result, detail) = match one(sweeping, &hub, &about, args.dry_run).await {
            Ok((result, detail)) => (result, detail),
            Err(error) => (FAILED, Some(format!("{error:#}"))),
        };
        // Of a whole fleet only what concerns somebody is told.
        if !(args.all_in_mender && result == "not in the hub") {
            lines.push(Line {
                device: about.device,
                result,
                detail,
            });
        }
        if let Some(allowed) = hub.allowed_per_minute {
            tokio::time::sleep(Duration::from_secs(60) * COST / allowed.max(1)).await;
        }
    }
    Ok(lines)
}

async fn devices(sweeping: &Sweeping, args: &Adopt) -> anyhow::Result<Vec<DeviceId>> {
    if args.all_in_mender {
        return accepted(sweeping, &args.of.tenant).await;
    }
    let mut devices = args.devices.clone();
    if let Some(path) = &args.from_file {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let device = line.parse();
            devices.push(device.with_context(|| format!("{}: {line:?}", path.display()))?);
        }
    }
    Ok(devices)
}

async fn accepted(sweeping: &Sweeping, tenant: &TenantId) -> anyhow::Result<Vec<DeviceId>> {
    let mut devices = Vec::new();
    let mut next = Some(1);
    while let Some(number) = next {
        let page = sweeping.mender.page(tenant, number).await?;
        let accepted = |known: &Known| known.status == Status::Accepted && !known.decommissioning;
        let page_s = page
            .devices
            .into_iter()
            .filter(|(_, known)| accepted(known));
        devices.extend(page_s.map(|(device, _)| device));
        next = page.next;
    }
    Ok(devices)
}

async fn one(
    sweeping: &Sweeping,
    hub: &HubPort,
    about: &DeviceRef,
    dry_run: bool,
) -> anyhow::Result<(&'static str, Option<String>)> {
    let known = match sweeping.mender.look(about).await? {
        Seen::Known(known) if !known.decommissioning => known,
        Seen::Known(_) | Seen::Gone => return Ok(("not in Mender", None)),
    };
    let mut identity = match hub.client.device(&about.device.as_str().parse()?).await {
        Ok(identity) => identity,
        Err(error) if error.kind() == Kind::NotFound => return Ok(("not in the hub", None)),
        Err(error) => return Err(error.into()),
    };
    let status = Some(format!("{} in Mender", known.status));
    if is_ours(&identity, hub) {
        if !dry_run {
            sweeping.sweeper.attend(about, &known, "adopt-").await?;
        }
        return Ok(("ours already", status));
    }
    anyhow::ensure!(
        identity.primary_key().is_some(),
        "it has no symmetric key, so there is no connection string to deliver"
    );
    if dry_run {
        return Ok(("would be adopted", status));
    }
    let before = identity.status_reason().map(str::to_owned);
    identity.set_status_reason(Some(&mark(hub).to_string()));
    hub.client.update_device(&identity).await?;
    keep(sweeping, about, &known, before.as_deref()).await?;
    sweeping.sweeper.attend(about, &known, "adopt-").await?;
    Ok(("adopted", status))
}

fn is_ours(identity: &Identity, hub: &HubPort) -> bool {
    let mark = identity.status_reason().and_then(Mark::parse);
    mark.is_some_and(|mark| mark.integration == hub.integration.id)
}

fn mark(hub: &HubPort) -> Mark {
    Mark {
        integration: hub.integration.id.clone(),
        intent: IntentId(Uuid::new_v4().simple().to_string()),
    }
}

/// The log of outcomes keeps what the mark has replaced.
async fn keep(
    sweeping: &Sweeping,
    about: &DeviceRef,
    known: &Known,
    before: Option<&str>,
) -> anyhow::Result<()> {
    let event = Event {
        id: EventId(format!("adopted-{}", Uuid::new_v4().simple())),
        about: about.clone(),
        status: known.status,
        revision: None,
        created: known.created,
        replay: 0,
    };
    let reason = match before {
        Some(before) => format!("adopted by an operator; statusReason was {before:?}"),
        None => "adopted by an operator; there was no statusReason".to_owned(),
    };
    let done = Done {
        event,
        outcome: Outcome::Applied,
        reason: Some(reason),
    };
    Ok(sweeping.streams.report(&[done]).await?)
}
