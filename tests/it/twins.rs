//! The twin service as back ends see it: requests and replies over NATS, nothing else.

mod commands;
mod edits;
mod jobs;
mod limits;
mod queries;

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use async_nats::{Client, HeaderMap, Message, Request};
use serde_json::{Value, json};

use crate::stage::{SOON, Stage};

/// A reply: its body, or the number and the text of its error.
pub(crate) type Reply = Result<Value, (u16, String)>;

/// A back end.
pub(crate) struct BackEnd(pub(crate) Client);

impl BackEnd {
    pub(crate) async fn of(stage: &Stage) -> Result<Self> {
        Ok(Self(stage.nats.client().await?))
    }

    /// Sends a request to `iothub.twin.<tail>` and waits for whatever the service says.
    pub(crate) async fn ask(&self, tail: &str, body: &str) -> Result<Reply> {
        read(&self.send(tail, body, HeaderMap::new()).await?)
    }

    pub(crate) async fn send(&self, tail: &str, body: &str, headers: HeaderMap) -> Result<Message> {
        let request = Request::new()
            .payload(body.to_owned().into())
            .headers(headers)
            .timeout(Some(SOON));
        let subject = format!("iothub.twin.{tail}");
        let sent = self.0.send_request(subject.clone(), request).await;
        sent.with_context(|| subject)
    }

    /// As [`BackEnd::ask`], for what must succeed.
    pub(crate) async fn done(&self, tail: &str, body: &str) -> Result<Value> {
        let reply = self.ask(tail, body).await?;
        reply.map_err(|(code, text)| anyhow::anyhow!("{tail} {body}: {code} {text}"))
    }

    /// As [`BackEnd::ask`], for what must fail; the text of the error.
    pub(crate) async fn refused(&self, tail: &str, body: &str, code: u16) -> Result<String> {
        match self.ask(tail, body).await? {
            Err((got, text)) if got == code => Ok(text),
            other => anyhow::bail!("{tail} {body}: {other:?} instead of {code}"),
        }
    }
}

/// What a message says.
pub(crate) fn read(message: &Message) -> Result<Reply> {
    let header = |name: &str| Some(message.headers.as_ref()?.get(name)?.as_str().to_owned());
    if let Some(code) = header("Nats-Service-Error-Code") {
        ensure!(message.payload.is_empty(), "an error has no body");
        let text = header("Nats-Service-Error").unwrap_or_default();
        return Ok(Err((code.parse()?, text)));
    }
    Ok(Ok(serde_json::from_slice(&message.payload)?))
}

impl Stage {
    /// A stage with accepted devices of the empty tenant, settled.
    pub(crate) async fn with_devices(name: &str, devices: &[&str]) -> Result<Self> {
        let stage = Self::new(name).await?;
        let tails: Vec<_> = devices.iter().map(|id| format!("=.{id}")).collect();
        stage.accept(&tails).await?;
        Ok(stage)
    }

    /// Accepts devices, each `<tenant>.<device>`, and waits until all there are have settled.
    pub(crate) async fn accept(&self, tails: &[String]) -> Result<()> {
        let before = crate::stage::messages_of(&self.nats, "IOTHUB_OUTCOMES").await?;
        for tail in tails {
            self.publish(tail, r#"{"status":"accepted","revision":1}"#)
                .await?;
        }
        self.outcomes(before.len() + tails.len()).await.map(drop)
    }

    /// Sets the integration of a further tenant, on the same hub.
    pub(crate) async fn tenant(&self, tenant: &str) -> Result<()> {
        let file = self.dir.path().join("connection-string");
        std::fs::write(&file, self.hub.connection_string())?;
        let file = file.display().to_string();
        let mut set = vec!["integration", "set", "--tier", "unlimited"];
        set.extend(["--tenant", tenant, "--credential-file", &file]);
        let done = self.worker.cli(&set).await?;
        ensure!(done.code == Some(0), "{}", done.stderr);
        Ok(())
    }
}

#[tokio::test]
async fn the_service_can_be_discovered_and_counts_its_errors() -> Result<()> {
    let stage = Stage::with_devices("twin-discovery", &["d1"]).await?;
    let back_end = BackEnd::of(&stage).await?;
    back_end.done("get.=.d1", "").await?;
    back_end.refused("get.=.nobody", "", 404).await?;
    back_end.refused("query.=", "{", 400).await?;

    let service = async |what: &str| -> Result<Value> {
        let subject = format!("$SRV.{what}.iothub-twin");
        let reply = back_end.0.request(subject, "".into()).await?;
        Ok(serde_json::from_slice(&reply.payload)?)
    };
    let ping = service("PING").await?;
    assert_eq!(ping["name"], json!("iothub-twin"), "{ping}");
    let info = service("INFO").await?;
    let endpoints = info["endpoints"].as_array().context("no endpoints")?;
    let listed: Vec<_> = endpoints
        .iter()
        .map(|endpoint| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let permission = &endpoint["metadata"]["permission"];
            (
                text(&endpoint["name"]),
                text(&endpoint["subject"]),
                text(permission),
            )
        })
        .collect();
    for (name, subject, permission) in [
        ("get", "iothub.twin.get.*.*", "read"),
        ("get-module", "iothub.twin.get.*.*.*", "read"),
        ("set", "iothub.twin.set.*.*", "edit"),
        ("set-module", "iothub.twin.set.*.*.*", "edit"),
        ("patch", "iothub.twin.patch.*.*", "edit"),
        ("patch-module", "iothub.twin.patch.*.*.*", "edit"),
        ("method", "iothub.twin.method.*.*", "edit"),
        ("method-module", "iothub.twin.method.*.*.*", "edit"),
        ("query", "iothub.twin.query.*", "read"),
        ("job-create", "iothub.twin.job-create.*", "edit"),
        ("job-get", "iothub.twin.job-get.*", "read"),
        ("job-cancel", "iothub.twin.job-cancel.*", "edit"),
    ] {
        let expected = (name.to_owned(), subject.to_owned(), permission.to_owned());
        assert!(listed.contains(&expected), "{expected:?} in {listed:?}");
    }
    assert_eq!(listed.len(), 12);
    for endpoint in endpoints {
        assert_eq!(endpoint["queue_group"], json!("iothub-twin"));
        for schema in ["request_schema", "reply_schema"] {
            let name = endpoint["metadata"][schema].as_str().context("no schema")?;
            let file = name.split('#').next().unwrap_or_default();
            let path = format!("../schemas/{file}.schema.json");
            assert!(std::fs::exists(&path)?, "{path}");
        }
    }
    let stats = service("STATS").await?;
    let of = |name: &str| {
        let all = stats["endpoints"].as_array();
        all.and_then(|all| all.iter().find(|one| one["name"] == json!(name)).cloned())
    };
    let get = of("get").context("no stats of get")?;
    assert_eq!(
        (&get["num_requests"], &get["num_errors"]),
        (&json!(2), &json!(1)),
        "{get}"
    );
    assert!(get["last_error"].to_string().contains("404"), "{get}");
    let query = of("query").context("no stats of query")?;
    assert!(query["last_error"].to_string().contains("400"), "{query}");
    stage.dir.passed();
    Ok(())
}

#[tokio::test]
async fn methods_are_answered_by_the_device_or_not_called_at_all() -> Result<()> {
    let stage = Stage::with_devices("twin-methods", &["d1", "asleep"]).await?;
    let back_end = BackEnd::of(&stage).await?;
    let script = json!({"methods": {
        "reboot": {"status": 202, "payload": {"rebooting": true}},
        "factory-reset": "echo",
    }});
    let control = stage.hub.control();
    control
        .put::<Value>("/devices/d1/behaviour", &script)
        .await?;
    let asleep = json!({"online": false, "methods": {"reboot": "echo"}});
    control
        .put::<Value>("/devices/asleep/behaviour", &asleep)
        .await?;

    let reboot = back_end.done("method.=.d1", r#"{"name":"reboot"}"#).await?;
    assert_eq!(
        reboot,
        json!({"status": 202, "payload": {"rebooting": true}})
    );
    let reset = r#"{"name":"factory-reset","payload":{"keep":[1.10]},"response_timeout_s":10}"#;
    let message = back_end
        .send("method.=.d1", reset, HeaderMap::new())
        .await?;
    let text = String::from_utf8(message.payload.to_vec())?;
    assert!(text.contains("1.10"), "digits are kept: {text}");
    let offline = back_end
        .refused("method.=.asleep", r#"{"name":"reboot"}"#, 404)
        .await?;
    assert_eq!(offline, "the device is not connected");
    back_end
        .refused("method.=.nobody", r#"{"name":"reboot"}"#, 404)
        .await?;
    let text = back_end
        .refused("method.=.d1", r#"{"name":"a b"}"#, 400)
        .await?;
    assert!(text.contains("name"), "{text}");

    let asked = stage.hub.journal().await?.len();
    let mut hurried = HeaderMap::new();
    hurried.insert("Iothub-Timeout-Ms", "5000");
    let message = back_end
        .send("method.=.d1", r#"{"name":"reboot"}"#, hurried)
        .await?;
    assert_eq!(
        read(&message)?.unwrap_err().0,
        400,
        "it could not be awaited"
    );
    assert_eq!(stage.hub.journal().await?.len(), asked);
    stage.dir.passed();
    Ok(())
}

/// Long enough for everything that must not happen at once.
const A_MOMENT: Duration = Duration::from_secs(20);
