//! `device list`: many devices, a line each.

use lifecycle::{DeviceRef, Record};
use reconciler::ports::{DeviceStore as _, Stored};
use serde_json::{Value, json};

use super::device::{hub, state};
use crate::adapters::{RecordStore, StorePort};
use crate::cli::{DeviceList, DeviceState, Output};
use crate::config::Config;
use crate::print;
use crate::session::Session;

/// Records read at once.
const PAGE: usize = 200;

type Row = (DeviceRef, Stored);

pub(crate) async fn run(config: &Config, args: DeviceList, output: Output) -> anyhow::Result<()> {
    let session = Session::for_command(config).await?;
    let store = RecordStore::from_config(config)?.open(&session).await?;
    let collected = collect(&store, &args).await;
    store.close().await;
    let (rows, next) = collected?;
    let devices: Vec<_> = rows.iter().map(shown).collect();
    print::result(output, &json!({"devices": devices, "next": next}), |_| {
        if rows.is_empty() {
            return "no devices".to_owned();
        }
        let table = print::table(
            ["TENANT", "DEVICE", "MENDER", "HUB", "STATE"],
            rows.iter().map(row),
        );
        let more = next.map(|next| format!("\nmore with --after {next}"));
        print::harmless(table + &more.unwrap_or_default())
    })
}

/// At most as many devices as asked for, and where the next page begins.
async fn collect(
    store: &StorePort,
    args: &DeviceList,
) -> anyhow::Result<(Vec<Row>, Option<String>)> {
    let mut rows = Vec::new();
    let mut after = args.after.clone();
    loop {
        let room = args.limit.saturating_sub(rows.len());
        let page = store
            .list(args.tenant.as_ref(), after.as_deref(), room.clamp(1, PAGE))
            .await?;
        let wanted = |row: &Row| {
            args.state
                .is_none_or(|state| state == state_of(&row.1.record))
        };
        rows.extend(page.records.into_iter().filter(wanted));
        after = page.next;
        if after.is_none() || rows.len() >= args.limit {
            rows.truncate(args.limit);
            return Ok((rows, after));
        }
    }
}

fn state_of(record: &Record) -> DeviceState {
    if record.parked.is_some() {
        DeviceState::Parked
    } else if record.is_settled() {
        DeviceState::Settled
    } else {
        DeviceState::Working
    }
}

fn row((about, stored): &Row) -> [String; 5] {
    [
        format!("{:?}", about.tenant.as_str()),
        about.device.to_string(),
        stored.record.status.to_string(),
        hub(&stored.record),
        state(&stored.record),
    ]
}

fn shown((about, stored): &Row) -> Value {
    let record = &stored.record;
    json!({
        "tenant": about.tenant,
        "device": about.device,
        "status": record.status,
        "wanted": record.wanted(),
        "state": format!("{:?}", state_of(record)).to_lowercase(),
        "last_error": record.retry.last_error,
        "written_us": stored.written_at,
    })
}
