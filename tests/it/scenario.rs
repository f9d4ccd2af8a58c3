//! The stage of a scenario: an emulator with the devices that its steps find there.
//!
//! Two SDKs and our client go through the same scenarios, so what they find is made here, once, and
//! what they did is judged here, by the same measures.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Result;
use black_box::{Emulator, TestDir};
use serde_json::{Value, json};

use crate::{
    conformance::{Outcome, Who, judge},
    openapi,
};

/// An application's certificate and its key.
pub(crate) const CERTIFICATE: &str =
    include_str!("../../crates/iothub-emulator/tests/it/fixtures/client.pem");
/// The only user-assigned identity, by its resource id.
pub(crate) const RESOURCE_ID: &str = "/subscriptions/s/identities/machine";

/// A scenario about to be gone through.
pub(crate) struct Scene {
    pub(crate) emulator: Emulator,
    pub(crate) dir: TestDir,
    scenario: &'static str,
    exchanges: PathBuf,
    /// Requests up to this one were made here.
    from: u64,
}

impl Scene {
    /// Sets the stage. `arguments` are the emulator's, besides what the scenario itself needs.
    pub(crate) async fn set(who: &str, scenario: &'static str, arguments: &[&str]) -> Result<Self> {
        let dir = TestDir::new(&format!("{who}-{scenario}"))?;
        let exchanges = dir.path().join("exchanges.jsonl");
        let blobs = dir.path().join("blobs");
        let mut all = vec!["--exchanges", text(&exchanges), "--blob-dir", text(&blobs)];
        all.extend(match scenario {
            "jobs" => &["--max-jobs", "1"][..],
            "configurations" => &["--configuration-ms", "50"],
            "transfers" => &["--transfer-ms", "2000"],
            _ => &[],
        });
        all.extend(arguments);
        let emulator = Emulator::start(dir.path(), &all).await?;
        prepare(&emulator, scenario, &blobs).await?;
        let journal = emulator.journal().await?;
        let from = journal.last().map_or(0, |entry| entry.seq);
        Ok(Self {
            emulator,
            dir,
            scenario,
            exchanges,
            from,
        })
    }

    /// Where the emulator keeps what stands for blobs.
    pub(crate) fn blobs(&self) -> PathBuf {
        self.dir.path().join("blobs")
    }

    /// Holds what somebody did against the lists and the description of the service.
    pub(crate) async fn judge(self, who: Who, test: &str, outcomes: &[Outcome]) -> Result<()> {
        let journal = self.emulator.journal_since(self.from).await?;
        judge(who, test, self.scenario, outcomes, &journal)?;
        openapi::judge(&fs::read_to_string(&self.exchanges)?, self.from)?;
        self.dir.passed();
        Ok(())
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap_or_default()
}

async fn prepare(emulator: &Emulator, scenario: &str, blobs: &Path) -> Result<()> {
    match scenario {
        "methods" => methods(emulator).await,
        "jobs" => jobs(emulator).await,
        "configurations" => configurations(emulator).await,
        "transfers" => transfers(emulator, blobs).await,
        "digital_twins" => digital_twins(emulator).await,
        "entra" => entra(emulator).await,
        _ => Ok(()),
    }
}

/// Says how a device or module behaves; `path` names it below `/devices`.
async fn behave(emulator: &Emulator, path: &str, behaviour: &Value) -> Result<()> {
    let path = format!("/devices/{path}/behaviour");
    emulator
        .control()
        .put::<Value>(&path, behaviour)
        .await
        .map(drop)
}

/// A device that answers, with a module, and one that is offline.
async fn methods(emulator: &Emulator) -> Result<()> {
    for device in ["device", "offline"] {
        emulator.put_device(device, &json!({})).await?;
    }
    let hub = crate::client::client(emulator, emulator.connection_string())?;
    let module = iothub::NewModule::new("device".parse()?, "module".parse()?);
    hub.create_module(&module).await?;
    let fail = json!({"status": 500, "payload": {"why": "because"}});
    let echo = json!({"methods": {"echo": "echo"}});
    let device = json!({"methods": {"echo": "echo", "fail": fail}});
    behave(emulator, "device", &device).await?;
    behave(emulator, "device/modules/module", &echo).await?;
    behave(emulator, "offline", &json!({"online": false})).await
}

/// Two devices in the north that answer, one in the south that is offline.
async fn jobs(emulator: &Emulator) -> Result<()> {
    for (device, site) in [
        ("north-1", "north"),
        ("north-2", "north"),
        ("south", "south"),
    ] {
        emulator
            .put_device(device, &json!({"tags": {"site": site}}))
            .await?;
        let behaviour = json!({"online": site == "north", "methods": {"echo": "echo"}});
        behave(emulator, device, &behaviour).await?;
    }
    Ok(())
}

/// A device in the north, one in the south, and a gateway.
async fn configurations(emulator: &Emulator) -> Result<()> {
    for site in ["north", "south"] {
        emulator
            .put_device(site, &json!({"tags": {"site": site}}))
            .await?;
    }
    let gateway = json!({"capabilities": {"iotEdge": true}, "tags": {"edge": true}});
    emulator.put_device("gateway", &gateway).await.map(drop)
}

/// Two devices, and in the container `inbox` a good line and one for a device that is not there.
async fn transfers(emulator: &Emulator, blobs: &Path) -> Result<()> {
    for device in ["device-1", "device-2"] {
        emulator.put_device(device, &json!({})).await?;
    }
    let [primary, secondary] = crate::client::KEYS;
    let keys =
        json!({"type": "sas", "symmetricKey": {"primaryKey": primary, "secondaryKey": secondary}});
    let lines = [
        json!({"id": "imported", "importMode": "create", "status": "enabled", "authentication": keys}),
        json!({"id": "no-such-device", "importMode": "update", "status": "enabled", "authentication": keys}),
    ];
    let inbox = blobs.join("inbox");
    fs::create_dir_all(&inbox)?;
    fs::write(
        inbox.join("devices.txt"),
        lines.map(|line| line.to_string()).join("\n"),
    )?;
    Ok(())
}

/// A device that answers and has reported, and one that is offline.
async fn digital_twins(emulator: &Emulator) -> Result<()> {
    emulator.put_device("device", &json!({})).await?;
    emulator.put_device("offline", &json!({})).await?;
    let methods = json!({"echo": "echo", "thermostat*echo": "echo"});
    behave(emulator, "device", &json!({ "methods": methods })).await?;
    behave(emulator, "offline", &json!({"online": false})).await?;
    let report = json!({"temperature": 21});
    emulator
        .control()
        .put::<Value>("/devices/device/reported", &report)
        .await
        .map(drop)
}

/// An application that may do all, in each of its ways, and one that may look after identities.
async fn entra(emulator: &Emulator) -> Result<()> {
    let federated = json!([{"issuer": "https://cluster.example", "subject": "system:worker"}]);
    let everything = ["IoT Hub Data Contributor"];
    let owner = json!({
        "secrets": ["sesame"], "certificates": [CERTIFICATE], "federated": federated,
        "managed": "system", "roles": everything,
    });
    let registrar = json!({"secrets": ["sesame"], "roles": ["IoT Hub Registry Contributor"]});
    let machine = json!({"managed": {"user": RESOURCE_ID}, "roles": everything});
    for (id, app) in [
        ("owner", owner),
        ("registrar", registrar),
        ("machine", machine),
    ] {
        let path = format!("/entra/apps/{id}");
        emulator.control().put::<Value>(&path, &app).await?;
    }
    Ok(())
}
