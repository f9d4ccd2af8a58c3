//! `device`: what is known of one device, in plain words.

use anyhow::bail;
use lifecycle::{DeviceRef, HubView, Op, Record, Wanted};
use reconciler::ports::DeviceStore as _;
use serde_json::json;

use crate::adapters::RecordStore;
use crate::cli::{Device, OneDevice, Output};
use crate::config::Config;
use crate::print;
use crate::session::Session;

pub(crate) async fn run(config: &Config, what: Device, output: Output) -> anyhow::Result<()> {
    match what {
        Device::Show(one) => show(config, one, output).await,
        Device::Adopt(args) => Box::pin(super::adopt::run(config, args, output)).await,
        Device::Resync(args) => Box::pin(super::resync::run(config, args, output)).await,
        Device::List(args) => super::device_list::run(config, args, output).await,
    }
}

async fn show(config: &Config, one: OneDevice, output: Output) -> anyhow::Result<()> {
    let OneDevice { of, device } = one;
    let about = DeviceRef {
        tenant: of.tenant,
        device,
    };
    let session = Session::for_command(config).await?;
    let store = RecordStore::from_config(config)?.open(&session).await?;
    let stored = store.load(&about).await;
    store.close().await;
    let Some(stored) = stored? else {
        bail!(
            "no record of device {} of tenant {:?}: no event about it has been worked on",
            about.device,
            about.tenant.as_str()
        );
    };
    let shown = json!({
        "tenant": about.tenant,
        "device": about.device,
        "wanted": stored.record.wanted(),
        "settled": stored.record.is_settled(),
        "record": stored.record,
        "version": stored.version,
        "written_us": stored.written_at,
    });
    print::result(output, &shown, |_| in_words(&about, &stored.record))
}

fn in_words(about: &DeviceRef, record: &Record) -> String {
    let wanted = match record.wanted() {
        Wanted::Enabled => "present and enabled",
        Wanted::Disabled => "disabled if present",
        Wanted::Absent => "absent",
    };
    let revision = record
        .key
        .revision
        .map_or("none".to_owned(), |number| number.to_string());
    let mut facts = vec![
        ("device", about.device.to_string()),
        ("tenant", format!("{:?}", about.tenant.as_str())),
        (
            "Mender says",
            format!("{} (revision {revision})", record.status),
        ),
        ("wanted", wanted.to_owned()),
        (
            "hub",
            format!("{}: {}", record.integration.hub, hub(record)),
        ),
        ("delivered", delivered(record).to_owned()),
        ("state", state(record)),
    ];
    if let Some(error) = &record.retry.last_error {
        facts.push((
            "last error",
            format!("{error} (attempt {})", record.retry.attempt),
        ));
    }
    if let Some(done) = &record.done {
        let reason = done
            .reason
            .as_ref()
            .map(|why| format!(": {why}"))
            .unwrap_or_default();
        let outcome = format!("{:?}", done.outcome).to_lowercase();
        facts.push((
            "last event",
            format!("{} {outcome}{reason}", done.event.id.0),
        ));
    }
    print::harmless(print::facts(facts))
}

pub(super) fn hub(record: &Record) -> String {
    let confirmed = if record.confirmed {
        ""
    } else {
        " (being looked at)"
    };
    match &record.hub {
        HubView::Unknown => "not asked yet".to_owned(),
        HubView::Absent => format!("absent{confirmed}"),
        HubView::Foreign => format!("an identity made by somebody else, left alone{confirmed}"),
        HubView::Ours {
            enabled,
            generation,
            ..
        } => {
            let status = if *enabled { "enabled" } else { "disabled" };
            format!("{status}, made by us, generation {generation}{confirmed}")
        }
    }
}

fn delivered(record: &Record) -> &'static str {
    match (&record.hub, &record.delivery.delivered) {
        (HubView::Ours { generation, .. }, Some(delivered)) if generation == delivered => {
            "the connection string of this identity"
        }
        (_, Some(_)) => "the connection string of an earlier identity",
        (_, None) => "nothing",
    }
}

pub(super) fn state(record: &Record) -> String {
    if let Some(parked) = &record.parked {
        return format!(
            "given up after {} attempts: {}",
            parked.attempts, parked.error
        );
    }
    if record.is_settled() {
        return "settled".to_owned();
    }
    let name = |op: &Op| match op {
        Op::Create => "create",
        Op::Update { .. } => "update",
        Op::Keys { .. } => "change of keys",
        Op::Delete { .. } => "delete",
    };
    let open: Vec<_> = record
        .intents
        .iter()
        .map(|intent| name(&intent.op))
        .collect();
    if open.is_empty() {
        "in work".to_owned()
    } else {
        format!("in work; requests whose fate is open: {}", open.join(", "))
    }
}
