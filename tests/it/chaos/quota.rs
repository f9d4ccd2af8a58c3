//! A hub that takes no more: its day's quota is used up, it has no room, it throttles for hours.

use std::time::Duration;

use anyhow::{Result, ensure};
use black_box::{Emulator, Installation, NatsServer, Simulator, TestDir, Worker, until};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::tenants::publish;

const SOON: Duration = Duration::from_secs(120);
/// How often a hub that takes no more is tried; fifteen minutes with the defaults.
const PROBE: Duration = Duration::from_secs(4);
/// How long the hub is watched.
const WATCHED: Duration = Duration::from_secs(10);
/// What the worker has to do at a hub at once.
const DEVICES: usize = 60;

/// A worker with two tenants, each with a hub of its own.
struct Scene {
    worker: Worker,
    hub: Emulator,
    other: Emulator,
    _mender: Simulator,
    nats: NatsServer,
    dir: TestDir,
}

impl Scene {
    async fn set(name: &str) -> Result<Self> {
        let dir = TestDir::new(name)?;
        let nats = NatsServer::start(dir.path()).await?;
        let hub = Emulator::start(dir.path(), &[]).await?;
        let other = Emulator::start(dir.path(), &[]).await?;
        let mender = Simulator::start(dir.path(), nats.url(), &[]).await?;
        let config = crate::stage::config(nats.url(), &hub, mender.listen());
        let (wait, host) = (PROBE.as_millis(), other.hub());
        let more = format!("full_wait_ms = {wait}\nallowed_hosts = [\"{host}\", ");
        let config = config.replace("allowed_hosts = [", &more);
        let installation = Installation::new(dir.path(), &config).await?;
        let set = ["integration", "set", "--tier", "unlimited", "--tenant"];
        let of = |tenant| [&set[..], &[tenant]].concat();
        for (arguments, input) in [
            (vec!["setup"], ""),
            (of("here"), hub.connection_string()),
            (of("other"), other.connection_string()),
        ] {
            let done = installation.cli_with_input(&arguments, input).await?;
            ensure!(done.code == Some(0), "{arguments:?}: {}", done.stderr);
        }
        Ok(Self {
            worker: installation.start().await?,
            hub,
            other,
            _mender: mender,
            nats,
            dir,
        })
    }

    async fn accept(&self, tenant: &str, name: &str, count: usize) -> Result<()> {
        for number in 0..count {
            publish(&self.nats, tenant, &format!("{name}-{number}")).await?;
        }
        Ok(())
    }

    /// Waits until the hub shows so many devices that may connect.
    async fn shows(hub: &Emulator, enabled: usize) -> Result<()> {
        let what = format!("{enabled} enabled devices");
        until(SOON, &what, async || {
            let devices = hub.devices().await?;
            let found = devices.iter().filter(|it| it["status"] == json!("enabled"));
            Ok((found.count() == enabled).then_some(()))
        })
        .await
    }

    /// Makes the hub refuse, waits until it has, and then counts what is asked of it all the same
    /// while it is watched.
    async fn asked_while_refusing(&self, rule: Value) -> Result<usize> {
        self.hub.faults(&json!({ "rules": [rule] })).await?;
        self.accept("here", "late", DEVICES).await?;
        self.accept("other", "beside", DEVICES).await?;
        Self::shows(&self.other, DEVICES).await?;
        until(SOON, "a refusal", async || {
            let journal = self.hub.journal().await?;
            Ok(journal.iter().any(|it| it.fault.is_some()).then_some(()))
        })
        .await?;
        // Those that were under way with the first refusal are refused as well.
        sleep(Duration::from_secs(2)).await;
        let last = self.hub.journal().await?.last().map_or(0, |it| it.seq);
        sleep(WATCHED).await;
        Ok(self.hub.journal_since(last).await?.len())
    }

    async fn recovers(self) -> Result<()> {
        let letters = self.worker.cli(&["dlq", "list", "--output", "json"]);
        assert_eq!(letters.await?.json()?, json!([]), "no event is at fault");
        self.hub.faults(&json!({"rules": []})).await?;
        Self::shows(&self.hub, DEVICES).await?;
        let status = self.status().await?;
        assert_eq!(status["suspended"], json!([]), "{status}");
        self.dir.passed();
        Ok(())
    }

    async fn status(&self) -> Result<Value> {
        self.worker
            .cli(&["status", "--output", "json"])
            .await?
            .json()
    }
}

/// Probes that fit into the time of watching, with one that had begun before.
fn most_probes() -> usize {
    let whole = WATCHED.as_secs() / PROBE.as_secs();
    usize::try_from(whole).unwrap_or_default() + 2
}

#[tokio::test]
async fn a_hub_whose_quota_is_used_up_is_tried_now_and_then_and_nobody_else_waits() -> Result<()> {
    let scene = Scene::set("quota").await?;
    let rule = json!({"name": "quota", "path": "/devices/*", "status": 403,
                      "error": "IotHubQuotaExceeded"});
    let asked = scene.asked_while_refusing(rule).await?;
    assert!(asked <= most_probes(), "{asked} requests in {WATCHED:?}");
    let status = scene.status().await?;
    let told = &status["suspended"][0];
    assert_eq!(told["cause"], json!("full"), "{status}");
    assert_eq!(told["tenant"], json!("here"), "{status}");
    let doctor = scene.worker.cli(&["doctor"]).await?;
    assert_eq!(doctor.code, Some(1), "{}", doctor.stdout);
    assert!(doctor.stdout.contains("takes no more"), "{}", doctor.stdout);
    println!("{asked} requests of {DEVICES} devices in {WATCHED:?} to a hub without quota");
    scene.recovers().await
}

#[tokio::test]
async fn a_hub_that_throttles_for_the_rest_of_the_day_costs_no_event_and_is_left_alone()
-> Result<()> {
    let scene = Scene::set("throttled").await?;
    let rule = json!({"name": "busy", "path": "/devices/*", "status": 429, "retry_after": 4,
                      "error": "ThrottlingException"});
    let asked = scene.asked_while_refusing(rule).await?;
    // One tries whenever a pause is over.
    assert!(asked <= most_probes(), "{asked} requests in {WATCHED:?}");
    println!("{asked} requests of {DEVICES} devices in {WATCHED:?} to a hub that throttles");
    scene.recovers().await
}

#[tokio::test]
async fn a_hub_without_room_still_deletes_and_disables_which_makes_room() -> Result<()> {
    let scene = Scene::set("no-room").await?;
    scene.accept("here", "early", 2).await?;
    Scene::shows(&scene.hub, 2).await?;
    let rule = json!({"name": "full", "operation": "create", "status": 413,
                      "error": "TooManyDevices"});
    let asked = scene.asked_while_refusing(rule).await?;
    assert!(asked <= most_probes(), "{asked} requests in {WATCHED:?}");
    let context = scene.nats.jetstream().await?;
    for (device, body) in [
        ("early-0", r#"{"status":"rejected","revision":2}"#),
        ("early-1", r#"{"status":"decommissioned"}"#),
    ] {
        let subject = format!("iothub.event.here.{device}");
        context.publish(subject, body.into()).await?.await?;
    }
    until(SOON, "what is possible to be done", async || {
        let devices = scene.hub.devices().await?;
        let left: Vec<&Value> = devices.iter().map(|it| &it["status"]).collect();
        Ok((left == [&json!("disabled")]).then_some(()))
    })
    .await?;
    let status = scene.status().await?;
    assert_eq!(status["suspended"][0]["requests"], json!("creates"));
    scene.recovers().await
}
