//! Everything a test of the main job needs, running: NATS, a hub, a Mender server, the worker.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use async_nats::jetstream::{self, consumer::DeliverPolicy};
use black_box::{Emulator, Installation, NatsServer, Simulator, TestDir, Worker, until};
use futures::StreamExt as _;
use serde_json::{Value, json};

/// Limit of each wait. Long, since a loaded machine is slow; no test waits it out when all is well.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// The running parts. Fields end in the order in which they are declared.
pub(crate) struct Stage {
    pub(crate) worker: Worker,
    pub(crate) mender: Simulator,
    pub(crate) hub: Emulator,
    pub(crate) nats: NatsServer,
    pub(crate) dir: TestDir,
}

impl Stage {
    /// Everything running and one integration, for the empty tenant.
    pub(crate) async fn new(name: &str) -> Result<Self> {
        Self::of(Parts::start(name).await?).await
    }

    /// The same with a hub at this address, which devices connect to.
    pub(crate) async fn for_devices(name: &str, at: Ipv4Addr) -> Result<Self> {
        let dir = TestDir::new(name)?;
        let hub = Emulator::start_for_devices(at, dir.path()).await?;
        Self::of(Parts::around(dir, hub).await?).await
    }

    async fn of((parts, installation): (Parts, Installation)) -> Result<Self> {
        let hub = &parts.hub;
        for arguments in [
            &["setup"][..],
            &["integration", "set", "--tier", "unlimited"],
        ] {
            let done = installation
                .cli_with_input(arguments, hub.connection_string())
                .await?;
            ensure!(done.code == Some(0), "{arguments:?}: {}", done.stderr);
        }
        Ok(parts.with(installation.start().await?))
    }

    /// Creates one pending device in Mender and returns its id.
    pub(crate) async fn device(&self) -> Result<String> {
        let made: Value = self
            .mender
            .control()
            .post("/simulator/devices", &json!({"tenant": "", "count": 1}))
            .await?;
        let id = made.pointer("/ids/0").and_then(Value::as_str);
        Ok(id.with_context(|| made.to_string())?.to_owned())
    }

    /// Changes a device's status in Mender, which publishes the event.
    pub(crate) async fn status(&self, id: &str, status: &str) -> Result<()> {
        let change = json!({"tenant": "", "id": id, "status": status});
        self.mender
            .control()
            .post::<Value>("/simulator/devices/status", &change)
            .await
            .map(drop)
    }

    /// Decommissions a device in Mender, which publishes the event.
    pub(crate) async fn decommission(&self, id: &str) -> Result<()> {
        let path = "/simulator/devices/decommission";
        let body = json!({"tenant": "", "ids": [id]});
        self.mender
            .control()
            .post::<Value>(path, &body)
            .await
            .map(drop)
    }

    /// Publishes one of our own events, as another publisher would.
    pub(crate) async fn publish(&self, tail: &str, body: impl Into<Vec<u8>>) -> Result<()> {
        let context = self.nats.jetstream().await?;
        let body: Vec<u8> = body.into();
        context
            .publish(format!("iothub.event.{tail}"), body.into())
            .await?
            .await?;
        Ok(())
    }

    /// The identity in the hub, if there is one.
    pub(crate) async fn identity(&self, id: &str) -> Result<Option<Value>> {
        let devices = self.hub.devices().await?;
        Ok(devices
            .into_iter()
            .find(|device| device["deviceId"] == json!(id)))
    }

    /// Waits until the hub shows this status of a device; `None` waits for its absence.
    pub(crate) async fn hub_shows(&self, id: &str, status: Option<&str>) -> Result<Option<Value>> {
        until(
            SOON,
            &format!("{id} to be {status:?} in the hub"),
            async || {
                let identity = self.identity(id).await?;
                let shown = identity.as_ref().map(|identity| identity["status"].clone());
                Ok((shown == status.map(|status| json!(status))).then_some(identity))
            },
        )
        .await
    }

    /// The last outcome of each event, waiting until there are at least `events` of them.
    pub(crate) async fn outcomes(&self, events: usize) -> Result<BTreeMap<String, Value>> {
        until(SOON, &format!("{events} outcomes"), async || {
            let outcomes = messages_of(&self.nats, "IOTHUB_OUTCOMES").await?;
            // The audit log is in the same stream.
            let is_outcome = |message: &&async_nats::Message| message.subject.contains(".outcome.");
            let ended: BTreeMap<_, _> = outcomes
                .iter()
                .filter(is_outcome)
                .map(|message| {
                    let body: Value = serde_json::from_slice(&message.payload)?;
                    Ok((
                        body["event_id"].as_str().unwrap_or_default().to_owned(),
                        body,
                    ))
                })
                .collect::<Result<_>>()?;
            Ok((ended.len() >= events).then_some(ended))
        })
        .await
    }

    /// How often each outcome occurred, waiting until `events` have ended.
    pub(crate) async fn tally(&self, events: usize) -> Result<BTreeMap<String, usize>> {
        let mut tally = BTreeMap::new();
        for outcome in self.outcomes(events).await?.values() {
            *tally
                .entry(outcome["outcome"].as_str().unwrap_or_default().to_owned())
                .or_default() += 1;
        }
        Ok(tally)
    }

    /// All dead letters, waiting until there are `letters` of them.
    pub(crate) async fn dead_letters(&self, letters: usize) -> Result<Vec<async_nats::Message>> {
        until(SOON, &format!("{letters} dead letters"), async || {
            let found = messages_of(&self.nats, "IOTHUB_DLQ").await?;
            Ok((found.len() >= letters).then_some(found))
        })
        .await
    }

    /// What Mender has delivered to a device: the connection string and the number of deployments.
    pub(crate) async fn delivered(&self, id: &str) -> Result<(Option<String>, u64)> {
        let truth: Value = self.mender.control().get("/simulator/truth").await?;
        let devices = truth["devices"].as_array().context("no devices")?;
        let device = devices
            .iter()
            .find(|device| device["id"] == json!(id))
            .context("unknown")?;
        let text = device["delivered"].as_str().map(ToOwned::to_owned);
        Ok((text, device["deployments"].as_u64().unwrap_or_default()))
    }
}

/// Everything but the worker.
pub(crate) struct Parts {
    pub(crate) dir: TestDir,
    pub(crate) nats: NatsServer,
    pub(crate) hub: Emulator,
    pub(crate) mender: Simulator,
}

impl Parts {
    /// With this worker they are a stage.
    pub(crate) fn with(self, worker: Worker) -> Stage {
        let Self {
            dir,
            nats,
            hub,
            mender,
        } = self;
        Stage {
            worker,
            mender,
            hub,
            nats,
            dir,
        }
    }

    /// Starts them, and configures a worker for them.
    pub(crate) async fn start(name: &str) -> Result<(Self, Installation)> {
        let dir = TestDir::new(name)?;
        let hub = Emulator::start(dir.path(), &[]).await?;
        Self::around(dir, hub).await
    }

    /// The same around a hub that is running.
    pub(crate) async fn around(dir: TestDir, hub: Emulator) -> Result<(Self, Installation)> {
        let nats = NatsServer::start(dir.path()).await?;
        let mender = Simulator::start(dir.path(), nats.url(), &[]).await?;
        let config = config(nats.url(), &hub, mender.listen());
        let installation = Installation::new(dir.path(), &config).await?;
        Ok((
            Self {
                dir,
                nats,
                hub,
                mender,
            },
            installation,
        ))
    }
}

/// A configuration with short times, so that what waits for a lease does not wait for long.
pub(crate) fn config(nats_url: &str, hub: &Emulator, mender: &str) -> String {
    format!(
        r#"
        [nats]
        url = "{nats_url}"
        [mender]
        deviceauth_url = "http://{mender}"
        deviceconfig_url = "http://{mender}"
        request_timeout_ms = 2000
        [hub]
        request_timeout_ms = 2000
        lease_ms = 4500
        throttle_wait_ms = 200
        allowed_hosts = ["{host}"]
        ca_file = "{ca}"
        [retry]
        first_ms = 200
        cap_ms = 2000
        [secrets]
        key = "{key}"
        [http]
        listen = "127.0.0.1:0"
        "#,
        host = hub.hub(),
        ca = hub.ca_file().display(),
        key = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
    )
}

/// Everything that a stream holds, in order.
pub(crate) async fn messages_of(
    nats: &NatsServer,
    stream: &str,
) -> Result<Vec<async_nats::Message>> {
    let context = nats.jetstream().await?;
    let mut stream = context.get_stream(stream).await?;
    let waiting = usize::try_from(stream.info().await?.state.messages)?;
    if waiting == 0 {
        return Ok(Vec::new());
    }
    let consumer = stream
        .create_consumer(jetstream::consumer::pull::OrderedConfig {
            deliver_policy: DeliverPolicy::All,
            ..Default::default()
        })
        .await?;
    let messages = consumer.messages().await?.take(waiting);
    let found: Vec<_> = messages.collect().await;
    found
        .into_iter()
        .map(|message| Ok(message?.message))
        .collect()
}
