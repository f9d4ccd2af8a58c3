//! `device resync`: delivers a device's connection string once more, or changes its keys.
//!
//! The command only writes down what is wished for; a worker carries it out as it does events, so it
//! is finished even if both die on the way.

use anyhow::{Context as _, bail, ensure};
use lifecycle::{DeviceRef, HubView, Record, Wish};
use reconciler::ports::DeviceStore as _;
use serde_json::json;

use crate::adapters::RecordStore;
use crate::cli::{OneDevice, Output, Resync};
use crate::config::Config;
use crate::print;
use crate::session::Session;
use crate::sweeping::Sweeping;

pub(crate) async fn run(config: &Config, args: Resync, output: Output) -> anyhow::Result<()> {
    let wish = match (args.rotate_keys, args.end_old_key) {
        (false, false) => Wish::Delivery,
        (true, _) => Wish::NewKey,
        (false, true) => Wish::EndOldKey,
    };
    let OneDevice { of, device } = args.device;
    let about = DeviceRef {
        tenant: of.tenant,
        device,
    };
    let session = Session::for_command(config).await?;
    let generation = live(config, &session, &about).await?;
    let sweeping = Sweeping::open(config, &session).await?;
    let done = resync(&sweeping, &about, &generation, wish).await;
    sweeping.close().await;
    done?;
    let shown = json!({
        "device": about.device,
        "rotated": wish == Wish::NewKey,
        "old_key_ended": wish == Wish::EndOldKey,
    });
    print::result(output, &shown, |_| {
        format!(
            "{}; see `mender-iothub device show {}`",
            in_words(wish),
            about.device
        )
    })
}

fn in_words(wish: Wish) -> &'static str {
    match wish {
        Wish::Delivery => "the connection string is being delivered",
        Wish::NewKey => "a new key is being made and delivered, the old one keeps working",
        Wish::EndOldKey => "the old key is being replaced",
    }
}

/// The generation of the identity of ours that is enabled and settled.
async fn live(config: &Config, session: &Session, about: &DeviceRef) -> anyhow::Result<String> {
    let store = RecordStore::from_config(config)?.open(session).await?;
    let stored = store.load(about).await;
    store.close().await;
    let record = stored?.context("no record of this device")?.record;
    fit(record)
}

fn fit(record: Record) -> anyhow::Result<String> {
    ensure!(
        record.is_settled(),
        "the device is being worked on or was given up; see `device show`"
    );
    ensure!(
        record.status.creates(),
        "nothing is delivered to a device that is {} in Mender",
        record.status
    );
    match record.hub {
        HubView::Ours { generation, .. } => Ok(generation),
        HubView::Foreign => bail!("the identity was made by somebody else; see `device adopt`"),
        HubView::Absent | HubView::Unknown => bail!("the device is not in the hub"),
    }
}

async fn resync(
    sweeping: &Sweeping,
    about: &DeviceRef,
    generation: &str,
    wish: Wish,
) -> anyhow::Result<()> {
    if wish != Wish::Delivery {
        let hub = sweeping.hub(&about.tenant).await?;
        let hub = hub.context("the tenant has no integration")?;
        let identity = hub.client.device(&about.device.as_str().parse()?).await?;
        ensure!(
            identity.generation_id() == Some(generation),
            "the identity in the hub is not the one that the worker made"
        );
        ensure!(
            identity.primary_key().is_some() && identity.secondary_key().is_some(),
            "the identity has no symmetric keys"
        );
    }
    let taken = sweeping.sweeper.grant(wish, about, "resync-").await?;
    ensure!(
        taken,
        "the device is being worked on just now; repeat the command"
    );
    Ok(())
}
