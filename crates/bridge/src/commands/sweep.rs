//! `sweep`: one pass now.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::bail;
use lifecycle::TenantId;
use reconciler::sweep::{Report, Trouble};
use tokio_util::sync::CancellationToken;

use crate::cli::{Output, Sweep};
use crate::config::Config;
use crate::print;
use crate::session::Session;
use crate::sweeping::{How, Pass, Sweeping};

pub(crate) async fn run(config: &Config, args: Sweep, output: Output) -> anyhow::Result<()> {
    let session = Session::for_command(config).await?;
    let sweeping = Sweeping::open(config, &session).await?;
    let how = How {
        tenant: args.tenant,
        dry_run: args.dry_run,
        force: args.force,
        include_unrecorded: args.include_unrecorded,
        every: Duration::ZERO,
    };
    let progress = |tenant: &TenantId, report: &Report| {
        if output == Output::Text {
            let Report {
                in_hub,
                in_mender,
                records,
                ..
            } = report;
            eprintln!(
                "tenant {:?}: {in_hub} in the hub, {in_mender} in Mender, {records} records",
                tenant.as_str()
            );
        }
    };
    let passed = sweeping
        .pass(&how, &CancellationToken::new(), &progress)
        .await;
    sweeping.close().await;
    let reports = match passed? {
        Pass::Done(reports) => reports,
        Pass::Taken => bail!("another replica is sweeping now; try again when it is done"),
        Pass::NotDue(_) | Pass::Stopped => bail!("the turn to sweep was lost; try again"),
    };
    print::result(output, &reports, in_words)?;
    if reports.values().any(|report| report.held_back > 0) {
        bail!(
            "too many devices would be disabled or deleted, so none was; if that is right: --force"
        );
    }
    if reports.values().any(|report| !report.troubles.is_empty()) {
        bail!("the sweep is not complete");
    }
    Ok(())
}

fn in_words(reports: &BTreeMap<TenantId, Report>) -> String {
    if reports.is_empty() {
        return "no tenant has an integration".to_owned();
    }
    let texts: Vec<_> = reports
        .iter()
        .map(|(tenant, report)| of_tenant(tenant, report))
        .collect();
    print::harmless(texts.join("\n"))
}

fn of_tenant(tenant: &TenantId, report: &Report) -> String {
    let verb = if report.dry_run {
        "would repair"
    } else {
        "repairing"
    };
    let mut text = print::facts([
        ("tenant", format!("{:?}", tenant.as_str())),
        ("in the hub", report.in_hub.to_string()),
        ("in Mender", report.in_mender.to_string()),
        ("records", report.records.to_string()),
        (verb, report.repaired.to_string()),
        ("held back", report.held_back.to_string()),
    ]);
    let troubles = report.troubles.iter().fold(String::new(), |text, trouble| {
        let (who, why) = match trouble {
            Trouble::Hub(why) => ("the hub was not compared", why),
            Trouble::Mender(why) => ("Mender was not compared", why),
        };
        format!("{text}{who}: {why}\n")
    });
    text.push_str(&troubles);
    let rows = report.findings.iter().map(|(finding, found)| {
        let ids: Vec<_> = found.first.iter().map(ToString::to_string).collect();
        let name = serde_json::to_value(finding).ok();
        let name = name
            .as_ref()
            .and_then(|name| name.as_str())
            .unwrap_or_default();
        [
            name.replace('_', " "),
            found.count.to_string(),
            ids.join(" "),
        ]
    });
    if report.findings.is_empty() {
        text.push_str("nothing found\n");
    } else {
        text.push_str(&print::table(["FINDING", "DEVICES", "SUCH AS"], rows));
        text.push('\n');
    }
    text
}
