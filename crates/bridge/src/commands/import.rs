//! `import iot-manager`: its hubs and devices become ours, and nothing else changes.

mod device;
mod patience;
mod report;
mod source;
mod tags;
mod tenant;

use std::collections::BTreeMap;

use iot_manager_db::{Database, HubKey, Integration, Reason};
use lifecycle::TenantId;

use self::report::{Omission, Report, Why};
use self::tenant::Importer;
use crate::adapters::{HubFactory, IntegrationPort, RecordStore};
use crate::cli::{Import, ImportIotManager, Output};
use crate::config::Config;
use crate::keys::SealingKeys;
use crate::print;
use crate::session::Session;
use crate::sweeping::Sweeping;

/// Rows read at once where only their reasons matter.
const PAGE: usize = 1_000;

pub(crate) async fn run(config: &Config, what: Import, output: Output) -> anyhow::Result<()> {
    let Import::IotManager(args) = what;
    let options = source::options(&args, &source::variable)?;
    let old_keys = source::keys(&args, &source::variable)?;
    let keys = SealingKeys::from_config(&config.secrets).await?;
    let factory = HubFactory::from_config(config)?;
    let database = Database::connect(&options).await?;
    let integrations = database.integrations(&old_keys).await?;
    drop(old_keys);
    let session = Session::for_command(config).await?;
    let devices = RecordStore::from_config(config)?.open(&session).await?;
    let kept = IntegrationPort::open(config, &session).await?;
    let sweeping = Sweeping::open(config, &session).await?;
    let importer = Importer {
        config,
        database: &database,
        keys: &keys,
        factory: &factory,
        devices: &devices,
        integrations: &kept,
        sweeping: &sweeping,
        dry_run: args.dry_run,
    };
    let ended = all(&importer, integrations, &args).await;
    sweeping.close().await;
    devices.close().await;
    database.close().await;
    let report = ended?;
    print::result(output, &report, |report| print::harmless(report.in_words()))?;
    report.complete()
}

async fn all(
    importer: &Importer<'_>,
    integrations: Vec<Integration>,
    args: &ImportIotManager,
) -> anyhow::Result<Report> {
    let mut report = Report {
        dry_run: args.dry_run,
        ..Report::default()
    };
    let hubs = one_each(integrations, args.tenant.as_ref(), &mut report);
    for (tenant, key) in &hubs {
        let of = importer.tenant(tenant, key).await;
        report.tenants.insert(tenant.clone(), of);
    }
    if args.tenant.is_none() {
        let tenants: Vec<_> = hubs.into_keys().collect();
        others(importer.database, &tenants, &mut report).await?;
    }
    Ok(report)
}

/// The hub of each tenant that has one; what else there is, is left out.
fn one_each(
    integrations: Vec<Integration>,
    only: Option<&TenantId>,
    report: &mut Report,
) -> BTreeMap<TenantId, HubKey> {
    let mut hubs: BTreeMap<TenantId, Vec<(String, HubKey)>> = BTreeMap::new();
    for Integration { name, tenant, hub } in integrations {
        if only.is_some() && tenant.as_ref() != only {
            continue;
        }
        match (tenant, hub) {
            (Some(tenant), Ok(hub)) => hubs.entry(tenant).or_default().push((name, hub)),
            (tenant, Err(reason)) => report.integrations_left_out.push(Omission {
                integration: name,
                tenant,
                repeat: matches!(reason, Reason::Unreadable(_)),
                reason: reason.to_string(),
            }),
            // What names no tenant has no hub.
            (None, Ok(_)) => {}
        }
    }
    let mut one_each = BTreeMap::new();
    for (tenant, mut hubs) in hubs {
        if hubs.len() == 1 {
            one_each.extend(hubs.pop().map(|(_, hub)| (tenant, hub)));
            continue;
        }
        let omitted = hubs.into_iter().map(|(integration, _)| Omission {
            integration,
            tenant: Some(tenant.clone()),
            reason: "the tenant has more than one hub, and here it has one".to_owned(),
            repeat: false,
        });
        report.integrations_left_out.extend(omitted);
    }
    one_each
}

/// Counts the rows of tenants whose devices are not imported.
async fn others(
    database: &Database,
    imported: &[TenantId],
    report: &mut Report,
) -> anyhow::Result<()> {
    let (mut rows, _) = database.rows_of_others(imported).await?;
    loop {
        let page = rows.next(PAGE).await?;
        if page.is_empty() {
            return Ok(());
        }
        for row in page {
            let why = match &row.device {
                Ok(_) => Why::OtherIntegration,
                Err(reason) => Why::from(reason),
            };
            report.other_devices.add(why, row.name);
        }
    }
}
