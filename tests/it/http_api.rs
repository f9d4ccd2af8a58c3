//! iot-manager's HTTP APIs: the real worker in its place.

mod deployment;
mod described;
mod management;
mod states;

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use black_box::control::Control;
use black_box::{Emulator, Installation, NatsServer, Simulator, TestDir, Worker, until};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::stage::{SOON, config, messages_of};

pub(crate) const INTERNAL: &str = "/api/internal/v1/iot-manager";
pub(crate) const MANAGEMENT: &str = "/api/management/v1/iot-manager";
/// "broker away: 503 within two seconds", and something for a loaded machine.
const FAST: Duration = Duration::from_secs(2);

/// The worker with both APIs, and all that it needs. There is no integration yet.
pub(crate) struct Place {
    pub(crate) worker: Worker,
    pub(crate) mender: Simulator,
    pub(crate) hub: Emulator,
    pub(crate) nats: NatsServer,
    pub(crate) dir: TestDir,
}

impl Place {
    pub(crate) async fn new(name: &str) -> Result<Self> {
        let dir = TestDir::new(name)?;
        let hub = Emulator::start(dir.path(), &[]).await?;
        let nats = NatsServer::start(dir.path()).await?;
        let mender = Simulator::start(dir.path(), nats.url(), &[]).await?;
        let config = config(nats.url(), &hub, mender.listen());
        let apis = "[iot_manager]\ninternal_listen = \"127.0.0.1:0\"\nmanagement_listen = \
                    \"127.0.0.1:0\"\ntier = \"unlimited\"\n";
        let installation = Installation::new(dir.path(), &format!("{config}\n{apis}")).await?;
        let done = installation.cli(&["setup"]).await?;
        ensure!(done.code == Some(0), "{}", done.stderr);
        Ok(Self {
            worker: installation.start().await?,
            mender,
            hub,
            nats,
            dir,
        })
    }

    /// Sends to the internal API as workflows does.
    pub(crate) async fn internal(&self, line: &str, body: &Value) -> Result<(StatusCode, Value)> {
        send(self.worker.internal()?, INTERNAL, line, body).await
    }

    /// Sends to the management API as Mender's gateway does, for a user of the empty tenant.
    pub(crate) async fn management(&self, line: &str, body: &Value) -> Result<(StatusCode, Value)> {
        send(self.worker.management()?, MANAGEMENT, line, body).await
    }

    /// Gives the empty tenant the emulator's hub, as the web UI does; returns the integration's id.
    pub(crate) async fn integrate(&self) -> Result<String> {
        let (status, answer) = self
            .management("POST /integrations", &self.integration())
            .await?;
        ensure!(status == StatusCode::CREATED, "{status}: {answer}");
        let (_, listed) = self.management("GET /integrations", &Value::Null).await?;
        let id = listed[0]["id"].as_str();
        Ok(id.with_context(|| listed.to_string())?.to_owned())
    }

    pub(crate) fn integration(&self) -> Value {
        let string = self.hub.connection_string();
        json!({"provider": "iot-hub", "credentials": {"type": "sas", "connection_string": string}})
    }

    /// Waits until the hub shows this status of a device; `None` waits for its absence.
    pub(crate) async fn hub_shows(&self, id: &str, status: Option<&str>) -> Result<()> {
        until(
            SOON,
            &format!("{id} to be {status:?} in the hub"),
            async || {
                let devices = self.hub.devices().await?;
                let found = devices
                    .iter()
                    .find(|device| device["deviceId"] == json!(id));
                let shown = found.map(|device| device["status"].clone());
                Ok((shown == status.map(|status| json!(status))).then_some(()))
            },
        )
        .await
    }

    /// Waits until so many events are listed, and returns them.
    pub(crate) async fn events(&self, count: usize) -> Result<Vec<Value>> {
        until(SOON, &format!("{count} events"), async || {
            let (status, listed) = self.management("GET /events", &Value::Null).await?;
            ensure!(status == StatusCode::OK, "{listed}");
            let listed = listed.as_array().cloned().unwrap_or_default();
            Ok((listed.len() >= count).then_some(listed))
        })
        .await
    }
}

/// The answer as JSON; its text if it is none, null if it is empty.
async fn send(to: &Control, prefix: &str, line: &str, body: &Value) -> Result<(StatusCode, Value)> {
    let (method, path) = line.split_once(' ').context("no path")?;
    let client = reqwest::Client::builder().no_proxy().build()?;
    let method: Method = method.parse()?;
    let mut request = client.request(method, format!("{}{prefix}{path}", to.base()));
    request = request.bearer_auth(token(""));
    if !body.is_null() {
        request = request.body(body.to_string());
    }
    let answer = request.send().await.with_context(|| line.to_owned())?;
    let (status, text) = (answer.status(), answer.text().await?);
    let body = match text.as_str() {
        "" => Value::Null,
        text => serde_json::from_str(text).unwrap_or_else(|_| json!(text)),
    };
    Ok((status, body))
}

/// A token of a user, which the gateway would have verified.
pub(crate) fn token(tenant: &str) -> String {
    let claims = json!({"sub": "ann", "mender.user": true, "mender.tenant": tenant});
    let part = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
    format!(
        "{}.{}.{}",
        part("{}"),
        part(&claims.to_string()),
        part("signature")
    )
}

/// A device as Mender has it, known to the simulator, which no message told of.
async fn device(place: &Place) -> Result<String> {
    let order = json!({"tenant": "", "count": 1, "publish": false});
    let made: Value = place
        .mender
        .control()
        .post("/simulator/devices", &order)
        .await?;
    let id = made.pointer("/ids/0").and_then(Value::as_str);
    Ok(id.with_context(|| made.to_string())?.to_owned())
}

/// Waits until so many events have ended, in whatever way.
async fn ended(place: &Place, count: usize) -> Result<()> {
    until(SOON, &format!("{count} outcomes"), async || {
        let ended = messages_of(&place.nats, "IOTHUB_OUTCOMES").await?;
        Ok((ended.len() >= count).then_some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_workflows_calls_iot_manager_for_ends_in_the_hub_and_in_the_events() -> Result<()> {
    let place = Place::new("http-lifecycle").await?;
    let id = device(&place).await?;
    // Without an integration nothing happens, and nothing was an event.
    let provision = json!({"id": id, "status": "accepted", "revision": 1});
    let (status, answer) = place.internal("POST /tenants//devices", &provision).await?;
    assert_eq!((status, answer), (StatusCode::ACCEPTED, Value::Null));
    ended(&place, 1).await?;
    let integration = place.integrate().await?;

    let provision = json!({"id": id, "status": "accepted", "revision": 2, "created_ts": "2026-08-20T10:11:12.345Z"});
    place.internal("POST /tenants//devices", &provision).await?;
    place.hub_shows(&id, Some("enabled")).await?;
    let reject = json!([{"id": id, "revision": 3}]);
    let line = "PUT /tenants//bulk/devices/status/rejected";
    assert_eq!(place.internal(line, &reject).await?.0, StatusCode::ACCEPTED);
    place.hub_shows(&id, Some("disabled")).await?;
    for _ in 0..2 {
        let line = format!("DELETE /tenants//devices/{id}");
        assert_eq!(
            place.internal(&line, &json!({})).await?.0,
            StatusCode::ACCEPTED
        );
    }
    place.hub_shows(&id, None).await?;

    let events = place.events(3).await?;
    let types: Vec<_> = events
        .iter()
        .filter_map(|event| event["type"].as_str())
        .collect();
    assert_eq!(
        types,
        [
            "device-decommissioned",
            "device-status-changed",
            "device-provisioned"
        ]
    );
    assert_eq!(
        events[2]["data"]["created_ts"],
        json!("2026-08-20T10:11:12.345Z")
    );
    for event in &events {
        let delivery = &event["delivery_statuses"][0];
        assert_eq!(
            delivery,
            &json!({"integration_id": integration, "success": true})
        );
    }
    place.dir.passed();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_event_by_http_and_from_the_stream_counts_once() -> Result<()> {
    let place = Place::new("http-twice").await?;
    place.integrate().await?;
    let id = device(&place).await?;
    let accept = json!({"tenant": "", "id": id, "status": "accepted", "hold": true});
    place
        .mender
        .control()
        .post::<Value>("/simulator/devices/status", &accept)
        .await?;
    let truth: Value = place.mender.control().get("/simulator/truth").await?;
    let known = truth["devices"].as_array().context("no devices")?;
    let known = known
        .iter()
        .find(|device| device["id"] == json!(id))
        .context("unknown")?;
    // The event has the revision of the acceptance; Mender writes once more into the device after it.
    let revision = known["revision"].as_u64().context("no revision")? - 1;
    let provision = json!({"id": id, "status": "accepted", "revision": revision, "created_ts": known["created_ts"]});
    place.internal("POST /tenants//devices", &provision).await?;
    place.hub_shows(&id, Some("enabled")).await?;
    place
        .mender
        .control()
        .post::<Value>("/simulator/release", &json!({}))
        .await?;
    ended(&place, 2).await?;
    assert_eq!(place.events(1).await?.len(), 1);
    let truth: Value = place.mender.control().get("/simulator/truth").await?;
    let devices = truth["devices"].as_array().context("no devices")?;
    let deployments: Vec<_> = devices
        .iter()
        .map(|device| &device["deployments"])
        .collect();
    assert_eq!(deployments, [&json!(1)]);
    place.dir.passed();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_broker_events_are_refused_fast_and_alive_says_yes() -> Result<()> {
    let mut place = Place::new("http-away").await?;
    let (status, _) = place.internal("GET /health", &Value::Null).await?;
    assert_eq!(status, StatusCode::NO_CONTENT);
    place.nats.process().kill9()?;
    place.nats.process().exit(SOON).await?;
    let provision = json!({"id": "d", "status": "accepted"});
    for _ in 0..3 {
        let began = Instant::now();
        let (status, answer) = place.internal("POST /tenants//devices", &provision).await?;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{answer}");
        assert!(began.elapsed() < FAST, "{:?}", began.elapsed());
        assert!(answer["request_id"].is_string(), "{answer}");
    }
    let (status, answer) = place.internal("GET /health", &Value::Null).await?;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(
        answer["error"].is_string() && answer.get("request_id").is_none(),
        "{answer}"
    );
    assert_eq!(
        place.internal("GET /alive", &Value::Null).await?.0,
        StatusCode::NO_CONTENT
    );
    place.nats.restart().await?;
    until(SOON, "health", async || {
        let (status, _) = place.internal("GET /health", &Value::Null).await?;
        Ok((status == StatusCode::NO_CONTENT).then_some(()))
    })
    .await?;
    assert_eq!(
        place
            .internal("POST /tenants//devices", &provision)
            .await?
            .0,
        StatusCode::ACCEPTED
    );
    place.worker.sigterm().await?;
    place.dir.passed();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_management_address_without_a_declared_trust_does_not_start() -> Result<()> {
    let dir = TestDir::new("http-trust")?;
    let config = "[secrets]\nkey = \"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\"\n";
    let installation = Installation::new(dir.path(), config).await?;
    let address = ("MENDER_IOTHUB__IOT_MANAGER__MANAGEMENT_LISTEN", "0.0.0.0:0");
    let installation = installation.variable(address.0, address.1);
    let done = installation.cli(&["run"]).await?;
    assert_eq!(done.code, Some(2), "{}", done.stderr);
    assert!(
        done.stderr.contains("`iot_manager.management_trust`"),
        "{}",
        done.stderr
    );
    let verify = ("MENDER_IOTHUB__IOT_MANAGER__MANAGEMENT_TRUST", "verify");
    let done = installation
        .variable(verify.0, verify.1)
        .cli(&["run"])
        .await?;
    assert_eq!(done.code, Some(2), "{}", done.stderr);
    assert!(
        done.stderr.contains("`twin.authorization`"),
        "{}",
        done.stderr
    );
    dir.passed();
    Ok(())
}
