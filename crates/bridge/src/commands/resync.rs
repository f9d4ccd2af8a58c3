//! `device resync`: delivers a device's connection string once more, with a new key if asked.
//!
//! A rotation makes the new key the primary one and keeps the present key as the secondary one, in
//! one conditional update. The hub takes both, so the device stays connected with the key it has
//! until it gets the new one, however long that takes. The next rotation ends the old key.

use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use iothub::{Authentication, DeviceKeys, Kind, Secret};
use lifecycle::{DeviceRef, HubView};
use reconciler::ports::DeviceStore as _;
use ring::rand::{SecureRandom as _, SystemRandom};
use serde_json::json;

use crate::adapters::{HubPort, RecordStore};
use crate::cli::{OneDevice, Output, Resync};
use crate::config::Config;
use crate::print;
use crate::session::Session;
use crate::sweeping::Sweeping;

/// As long as the keys that the hub makes.
const KEY_BYTES: usize = 32;

pub(crate) async fn run(config: &Config, args: Resync, output: Output) -> anyhow::Result<()> {
    let OneDevice { of, device } = args.device;
    let about = DeviceRef {
        tenant: of.tenant,
        device,
    };
    let session = Session::for_command(config).await?;
    let generation = live(config, &session, &about).await?;
    let sweeping = Sweeping::open(config, &session).await?;
    let done = resync(&sweeping, &about, &generation, args.rotate_keys).await;
    sweeping.close().await;
    done?;
    let shown = json!({"device": about.device, "rotated": args.rotate_keys});
    print::result(output, &shown, |_| {
        let key = if args.rotate_keys {
            "a new key was made; its connection string"
        } else {
            "the connection string"
        };
        format!(
            "{key} is being delivered; see `mender-iothub device show {}`",
            about.device
        )
    })
}

/// The generation of the identity of ours that is enabled and settled.
async fn live(config: &Config, session: &Session, about: &DeviceRef) -> anyhow::Result<String> {
    let store = RecordStore::from_config(config)?.open(session).await?;
    let stored = store.load(about).await;
    store.close().await;
    let record = stored?.context("no record of this device")?.record;
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
    rotate: bool,
) -> anyhow::Result<()> {
    if rotate {
        let hub = sweeping.hub(&about.tenant).await?;
        rotate_keys(
            &hub.context("the tenant has no integration")?,
            about,
            generation,
        )
        .await?;
    }
    let taken = sweeping.sweeper.deliver_again(about, "resync-").await?;
    ensure!(
        taken,
        "the device is being worked on just now; repeat the command without --rotate-keys"
    );
    Ok(())
}

async fn rotate_keys(hub: &HubPort, about: &DeviceRef, generation: &str) -> anyhow::Result<()> {
    let mut identity = hub.client.device(&about.device.as_str().parse()?).await?;
    ensure!(
        identity.generation_id() == Some(generation),
        "the identity in the hub is not the one that the worker made"
    );
    let present = identity
        .primary_key()
        .context("the identity has no symmetric key")?;
    let keys = DeviceKeys::new(new_key()?, present)?;
    identity.replace_authentication(&Authentication::Keys(keys));
    match hub.client.update_device(&identity).await {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == Kind::PreconditionFailed => {
            bail!("the identity was changed just now; try again")
        }
        Err(error) => Err(error.into()),
    }
}

fn new_key() -> anyhow::Result<Secret> {
    let mut bytes = zeroize::Zeroizing::new([0; KEY_BYTES]);
    let filled = SystemRandom::new().fill(&mut *bytes);
    filled.map_err(|_| anyhow::anyhow!("no randomness is to be had"))?;
    Ok(Secret::from(STANDARD.encode(*bytes)))
}
