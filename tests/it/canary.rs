//! No secret is anywhere where it has no business: each is planted, the product is driven through
//! everything it can do and everything that can fail, at the level that logs most, and then all that
//! it wrote is searched for every secret in every form.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use black_box::{
    Emulator, Installation, NatsServer, Simulator, TestDir, Worker, canary::Canaries, until,
    worker::Finished,
};
use serde_json::{Value, json};

use crate::stage::{SOON, Stage, config};

const POLICY_KEY: &str = "cG9saWN5LWNhbmFyeS0rLz0/fn5+LWtleS1vZi1odWI=";
const SEALING_KEY: &str = "c2VhbGluZy1rZXktY2FuYXJ5LT8/Pj4+LTMyYnl0ZXM=";
const CLIENT_SECRET: &str = r#"client~canary"secret\with+/=%& and ö"#;
const WEBHOOK_KEY: &str = "d2ViaG9vay1jYW5hcnktPz8/Pj4+LWtleS1vZi1ob29r";
/// Whoever knows the URL may call it.
const WEBHOOK_PATH: &str = "hook-canary-T0815-B4711";
const NATS_PASSWORD: &str = "nats~canary+password";
const URL_PASSWORD: &str = "url-canary-password-7731";
const MONGO_PASSWORD: &str = "mongo-canary-password-4410";
const BEARER: &str = "eyJhbGciOiJub25lIn0.bearer-canary.c2lnbmF0dXJl";
/// What is no secret and is everywhere: whoever does not find it searches in the wrong places.
const NO_SECRET: &str = "policy-of-the-worker";

/// The product, and all that it said.
struct Drive {
    stage: Stage,
    installation: Installation,
    said: Vec<(String, String)>,
}

impl Drive {
    async fn start() -> Result<Self> {
        let dir = TestDir::new("canary")?;
        let users = dir.path().join("users.conf");
        let conf = format!(
            r#"authorization {{ users = [
                {{user: worker, password: "{NATS_PASSWORD}"}}, {{user: anyone, password: "anyone"}}
            ] }}
            no_auth_user: anyone"#
        );
        std::fs::write(&users, conf)?;
        let nats =
            NatsServer::start_with(dir.path(), &["-c", &users.display().to_string()]).await?;
        let policy = format!("{NO_SECRET}={POLICY_KEY}:RegistryRead,RegistryWrite,ServiceConnect");
        let app = format!("app-1={CLIENT_SECRET}:IoT Hub Data Contributor");
        let hub = Emulator::start(dir.path(), &["--policy", &policy, "--entra-app", &app]).await?;
        let mender = Simulator::start(dir.path(), nats.url(), &[]).await?;
        let text = config(nats.url(), &hub, mender.listen());
        let (_, rest) = text.split_once("key = \"").context("no key")?;
        let (key, _) = rest.split_once('"').context("no key")?;
        let text = text.replace(key, SEALING_KEY).replace(
            "[nats]",
            &format!("[nats]\nuser = \"worker\"\npassword = '{NATS_PASSWORD}'"),
        );
        let text = format!(
            "{text}\n[log]\nlevel = \"trace\"\n[entra]\nauthority_url = \"https://{}\"\n",
            hub.hub()
        );
        let installation = Installation::new(dir.path(), &text).await?;
        let setup = installation.cli(&["setup"]).await?;
        ensure!(setup.code == Some(0), "{}", setup.stderr);
        let mut said = Vec::new();
        let string = format!(
            "HostName={};SharedAccessKeyName={NO_SECRET};SharedAccessKey={POLICY_KEY}",
            hub.hub()
        );
        for (arguments, input) in [
            (vec!["--tenant", ""], string.as_str()),
            (
                vec![
                    "--tenant",
                    "e",
                    "--auth",
                    "client-secret",
                    "--entra-tenant",
                    "tenant-1",
                    "--client-id",
                    "app-1",
                    "--hub",
                    hub.hub(),
                ],
                CLIENT_SECRET,
            ),
        ] {
            let set = [
                &["integration", "set", "--tier", "unlimited"],
                &arguments[..],
            ]
            .concat();
            let done = installation.cli_with_input(&set, input).await?;
            ensure!(done.code == Some(0), "{}", done.stderr);
            said.push(("integration set".to_owned(), all(&done)));
        }
        // Nobody listens there.
        let url = format!("https://127.0.0.1:1/{WEBHOOK_PATH}");
        let installation = installation
            .variable("MENDER_IOTHUB__WEBHOOK__ALLOWED_HOSTS", "127.0.0.1:1")
            .variable("TEST_WEBHOOK_URL", &url);
        let set = ["webhook", "set", "--url-env", "TEST_WEBHOOK_URL"];
        let secret = format!("whsec_{WEBHOOK_KEY}");
        let done = installation.cli_with_input(&set, &secret).await?;
        ensure!(done.code == Some(0), "{}", done.stderr);
        said.push(("webhook set".to_owned(), all(&done)));
        let worker = installation.start().await?;
        let stage = Stage {
            worker,
            mender,
            hub,
            nats,
            dir,
        };
        Ok(Self {
            stage,
            installation,
            said,
        })
    }

    /// Runs a command, whatever comes of it.
    async fn run(&mut self, arguments: &[&str], input: &str) -> Result<Finished> {
        let done = self.installation.cli_with_input(arguments, input).await?;
        self.said.push((arguments.join(" "), all(&done)));
        Ok(done)
    }

    /// Keeps what the worker's port tells.
    async fn ask_port(&mut self) -> Result<()> {
        for path in ["/metrics", "/readyz", "/healthz"] {
            let (_, text) = self.stage.worker.http().ask(path).await?;
            self.said.push((path.to_owned(), text));
        }
        Ok(())
    }

    /// The log so far, before another process begins it anew.
    fn keep_log(&mut self, name: &str) -> Result<()> {
        let file = |name: &str| -> PathBuf { self.stage.dir.path().join(name) };
        for log in ["mender-iothub.log", "mender-iothub.out"] {
            let text = String::from_utf8_lossy(&std::fs::read(file(log))?).into_owned();
            self.said.push((format!("{log} {name}"), text));
        }
        Ok(())
    }

    async fn events(&self, from: usize, to: usize) -> Result<()> {
        for n in from..to {
            let tenant = if n % 2 == 0 { "=" } else { "e" };
            let event = r#"{"status":"accepted","revision":1}"#;
            self.stage.publish(&format!("{tenant}.d{n}"), event).await?;
        }
        Ok(())
    }

    /// The keys of all devices there are.
    async fn device_keys(&self, canaries: &mut Canaries) -> Result<()> {
        for device in self.stage.hub.devices_with_keys().await? {
            for which in ["primaryKey", "secondaryKey"] {
                let place = format!("/authentication/symmetricKey/{which}");
                if let Some(key) = device.pointer(&place).and_then(Value::as_str) {
                    canaries.add_key(&format!("{which} of {}", device["deviceId"]), key)?;
                }
            }
        }
        Ok(())
    }
}

fn all(done: &Finished) -> String {
    format!("{}\n{}", done.stdout, done.stderr)
}

/// One fault after the other, for a handful of devices each.
fn failures() -> [Value; 8] {
    let rule = |rule: Value| json!({"rules": [rule]});
    [
        rule(json!({"status": 500, "times": 3})),
        rule(json!({"status": 429, "times": 3})),
        rule(json!({"status": 401, "times": 1})),
        rule(json!({"status": 412, "times": 3})),
        rule(json!({"operation": "create", "effect": "after", "reply": "drop", "times": 2})),
        rule(json!({"operation": "create", "status": 400, "times": 2})),
        rule(json!({"operation": "twin-patch", "status": 503, "times": 2})),
        rule(json!({"reply": "drop", "times": 3})),
    ]
}

#[tokio::test]
async fn no_secret_is_in_anything_that_the_product_writes() -> Result<()> {
    let mut drive = Drive::start().await?;
    let mut canaries = Canaries::default();
    canaries.add_key("policy key", POLICY_KEY)?;
    canaries.add_key("sealing key", SEALING_KEY)?;
    canaries.add("client secret", CLIENT_SECRET);
    canaries.add("NATS password", NATS_PASSWORD);
    canaries.add_key("webhook secret", WEBHOOK_KEY)?;
    canaries.add("path of a webhook", WEBHOOK_PATH);
    canaries.add("password in a URL", URL_PASSWORD);
    canaries.add("MongoDB password", MONGO_PASSWORD);
    canaries.add("bearer token of a caller", BEARER);
    // Whatever tokens were signed or issued meanwhile.
    canaries.add("shared access token", "SharedAccessSignature sr=");
    canaries.add("bearer token", "Bearer eyJ");
    canaries.add("token of the issuer", TOKEN);

    work(&mut drive).await?;
    drive.device_keys(&mut canaries).await?;
    refuse(&mut drive).await?;
    look(&mut drive).await?;
    crash(&mut drive).await?;
    drive.device_keys(&mut canaries).await?;
    without_servers(&mut drive).await?;

    let hunt = canaries.hunt()?;
    let mut found: Vec<String> = Vec::new();
    for (what, text) in &drive.said {
        let places = hunt.found_in(text.as_bytes()).into_iter();
        found.extend(places.map(|canary| format!("{canary} in {what}")));
    }
    let stored = drive.stage.dir.path().join("nats");
    found.extend(hunt.found_at(&stored)?);
    let log = drive.stage.nats.process().log().to_owned();
    found.extend(hunt.found_at(&log)?);
    assert_eq!(found, Vec::<String>::new());

    let mut control = Canaries::default();
    control.add("no secret", NO_SECRET);
    let control = control.hunt()?;
    let logged = drive.said.iter().any(|(what, text)| {
        what.starts_with("integration show") && !control.found_in(text.as_bytes()).is_empty()
    });
    assert!(
        logged && !control.found_at(&stored)?.is_empty(),
        "searched in the wrong places"
    );
    let traced = |(what, text): &(String, String)| {
        what.starts_with("mender-iothub.log") && text.contains("TRACE")
    };
    assert!(
        drive.said.iter().any(traced),
        "nothing was logged at trace level"
    );
    drive.stage.dir.passed();
    Ok(())
}

/// How the tokens of the emulator's issuer begin, whatever is in them.
const TOKEN: &str = "eyJhbGciOiJ";

/// Devices of both tenants, through every kind of failure, to dead letters and back.
async fn work(drive: &mut Drive) -> Result<()> {
    drive.events(0, 6).await?;
    drive.stage.tally(6).await?;
    let mut next = 6;
    for program in failures() {
        drive.stage.hub.faults(&program).await?;
        drive.events(next, next + 4).await?;
        next += 4;
        drive.stage.outcomes(next).await?;
    }
    drive.stage.hub.faults(&json!({"rules": []})).await?;
    let mender = drive.stage.mender.control();
    for fault in [
        json!({"every": 1, "status": 500, "times": 2}),
        json!({"every": 1, "status": 400, "times": 2}),
    ] {
        let program = json!({"deviceconfig": fault});
        mender.put::<Value>("/simulator/faults", &program).await?;
        drive.events(next, next + 4).await?;
        next += 4;
        drive.stage.outcomes(next).await?;
    }
    drive.stage.publish("=.broken", "{").await?;
    drive
        .stage
        .publish("=.odd", r#"{"status":"sideways","revision":1}"#)
        .await?;
    drive.stage.outcomes(next + 2).await?;
    drive.run(&["dlq", "list", "--output", "json"], "").await?;
    drive.run(&["dlq", "show", "1"], "").await?;
    drive
        .run(&["dlq", "show", "1", "--output", "json"], "")
        .await?;
    drive.run(&["dlq", "replay", "--all", "--yes"], "").await?;
    drive
        .run(&["device", "resync", "d0", "--rotate-keys"], "")
        .await?;
    drive.ask_port().await
}

/// Whatever is refused: twins, credentials, wrong input.
async fn refuse(drive: &mut Drive) -> Result<()> {
    for (arguments, input) in [
        (&["twin", "get", "d0"][..], ""),
        (&["twin", "get", "nobody"], ""),
        (&["twin", "set", "d0"], r#"{"a":{"$b":1}}"#),
        (
            &["twin", "set", "d0", "--etag", "AAAAAAAAAAE="],
            r#"{"a":1}"#,
        ),
        (&["twin", "set", "d0"], r#"{"a":1}"#),
        (&["integration", "set", "--tenant", "x"], POLICY_KEY),
        (
            &["integration", "set", "--tenant", "x"],
            "HostName=evil.example.org;SharedAccessKeyName=a;SharedAccessKey=cG9saWN5LWNhbmFyeS0rLz0/fn5+LWtleS1vZi1odWI=",
        ),
        (
            &[
                "integration",
                "set",
                "--tenant",
                "x",
                "--auth",
                "client-certificate",
                "--hub",
                "h.azure-devices.net",
                "--entra-tenant",
                "t",
                "--client-id",
                "c",
            ],
            CLIENT_SECRET,
        ),
    ] {
        drive.run(arguments, input).await?;
    }
    let client = drive.stage.nats.client().await?;
    let mut headers = async_nats::HeaderMap::new();
    headers.insert("Authorization", format!("Bearer {BEARER}"));
    for (subject, body) in [
        ("iothub.twin.get.=.d0", ""),
        ("iothub.twin.get.=.nobody", ""),
        ("iothub.twin.set.=.d0", "{"),
        ("iothub.twin.set.e.d1", r#"{"desired":{"a":1}}"#),
    ] {
        let request = async_nats::Request::new()
            .headers(headers.clone())
            .payload(body.into());
        let reply = client.send_request(subject, request).await?;
        let text = format!(
            "{:?} {}",
            reply.headers,
            String::from_utf8_lossy(&reply.payload)
        );
        drive.said.push((format!("reply on {subject}"), text));
    }
    Ok(())
}

/// Everything that shows something.
async fn look(drive: &mut Drive) -> Result<()> {
    for arguments in [
        &["status"][..],
        &["status", "--output", "json"],
        &["integration", "show"],
        &["integration", "show", "--output", "json"],
        &["integration", "test"],
        &["integration", "test", "--tenant", "e"],
        &["secrets", "rotate", "--output", "json"],
        &["webhook", "show"],
        &["webhook", "show", "--output", "json"],
        &["webhook", "test"],
        &["outcomes", "tail", "--no-follow"],
        &["outcomes", "tail", "--no-follow", "--output", "json"],
        &["device", "list", "--output", "json"],
        &["device", "show", "d0", "--output", "json"],
        &["device", "show", "d1"],
        &["device", "history", "d1"],
        &["doctor", "--output", "json"],
        &["sweep", "--dry-run"],
        &["setup", "--output", "json"],
    ] {
        drive.run(arguments, "").await?;
    }
    drive.ask_port().await
}

/// Killed in the middle of work, and started again with the other form of log.
async fn crash(drive: &mut Drive) -> Result<()> {
    let slow = json!({"rules": [{"operation": "create", "delay_after_ms": 1500}]});
    drive.stage.hub.faults(&slow).await?;
    let before = drive.stage.hub.journal().await?.len();
    drive.events(100, 106).await?;
    until(SOON, "a request in flight", async || {
        Ok((drive.stage.hub.journal().await?.len() > before).then_some(()))
    })
    .await?;
    drive.stage.worker.kill9()?;
    drive.keep_log("of the killed one")?;
    drive.stage.hub.faults(&json!({"rules": []})).await?;
    let again = drive.installation.clone();
    drive.stage.worker = again
        .variable("MENDER_IOTHUB__LOG__FORMAT", "json")
        .start()
        .await?;
    drive.stage.hub_shows("d105", Some("enabled")).await?;
    drive.stage.worker.sigterm().await?;
    drive.keep_log("of the next one")
}

/// Servers that are not there, named with passwords.
async fn without_servers(drive: &mut Drive) -> Result<()> {
    let plain = drive.installation.clone();
    let url = format!("nats://someone:{URL_PASSWORD}@127.0.0.1:1");
    let mongo = format!("mongodb://u:{MONGO_PASSWORD}@127.0.0.1:1/?serverSelectionTimeoutMS=300");
    let nowhere = plain.clone().variable("MENDER_IOTHUB__NATS__URL", &url);
    let mongodb = plain
        .variable("MENDER_IOTHUB__STORE__KIND", "mongodb")
        .variable("MENDER_IOTHUB__STORE__URI", &mongo);
    for (installation, commands) in [
        (nowhere, &["status", "setup", "doctor"]),
        (mongodb, &["status", "setup", "doctor"]),
    ] {
        for command in commands {
            let done = installation.cli(&[command]).await?;
            drive
                .said
                .push((format!("{command} without servers"), all(&done)));
        }
        let mut worker: Worker = installation.start_unready().await?;
        until(SOON, "the worker to say what it waits for", async || {
            let (_, text) = worker.http().ask("/readyz").await?;
            Ok((!text.is_empty()).then_some(()))
        })
        .await?;
        drive
            .said
            .push(("/readyz".to_owned(), worker.http().ask("/readyz").await?.1));
        worker.sigterm().await?;
        drive.keep_log("without servers")?;
    }
    Ok(())
}
