//! Integrations: every way to log in to a hub, what a credential lacks, who has which hub.

use anyhow::{Context as _, Result, ensure};
use black_box::{Emulator, Installation, NatsServer, Simulator, TestDir};
use serde_json::{Value, json};

use crate::stage::{Parts, config};

/// What no output may hold; the emulator's control port takes any text for a secret.
const SECRET: &str = "s3cret-of-the-application";
const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const PEM: &str = include_str!("../../crates/iothub/tests/data/client.pem");

/// The configuration with the emulator as issuer of all tokens.
fn with_issuer(parts: &Parts, token_file: &str) -> String {
    let base = config(parts.nats.url(), &parts.hub, parts.mender.listen());
    format!(
        r#"{base}
        [entra]
        authority_url = "https://{hub}"
        managed_identity_url = "https://{hub}/metadata/identity/oauth2/token"
        federated_token_file = "{token_file}"
        "#,
        hub = parts.hub.hub(),
    )
}

/// Applications that may log in in each way, all with these roles.
async fn applications(hub: &Emulator, roles: &[&str]) -> Result<()> {
    for (id, mut app) in [
        ("with-secret", json!({"secrets": [SECRET]})),
        ("with-certificate", json!({"certificates": [PEM]})),
        (
            "with-token",
            json!({"federated": [{"issuer": "https://cluster", "subject": "worker"}]}),
        ),
        ("machine", json!({"managed": "system"})),
        ("assigned", json!({"managed": {"user": "/assigned"}})),
    ] {
        app["roles"] = json!(roles);
        let path = format!("/entra/apps/{id}");
        hub.control().put::<Value>(&path, &app).await?;
    }
    Ok(())
}

/// The arguments and the input of `integration set` for each way of Entra ID.
fn ways() -> [(Vec<&'static str>, &'static str); 5] {
    let app = |auth, id| {
        vec![
            "--auth",
            auth,
            "--entra-tenant",
            "tenant-1",
            "--client-id",
            id,
        ]
    };
    [
        (app("client-secret", "with-secret"), SECRET),
        (app("client-certificate", "with-certificate"), PEM),
        (app("workload-identity", "with-token"), ""),
        (vec!["--auth", "managed-identity"], ""),
        (
            vec!["--auth", "managed-identity", "--client-id", "assigned"],
            "",
        ),
    ]
}

async fn prepared(name: &str) -> Result<(Parts, Installation)> {
    let (parts, _) = Parts::start(name).await?;
    let token_file = parts.dir.path().join("federated-token");
    let wish = json!({"issuer": "https://cluster", "subject": "worker", "audience": "api://AzureADTokenExchange"});
    let made: Value = parts
        .hub
        .control()
        .post("/entra/workload-token", &wish)
        .await?;
    std::fs::write(&token_file, made["token"].as_str().context("no token")?)?;
    let text = with_issuer(&parts, &token_file.display().to_string());
    let installation = Installation::new(parts.dir.path(), &text).await?;
    let done = installation.cli(&["setup"]).await?;
    ensure!(done.code == Some(0), "{}", done.stderr);
    Ok((parts, installation))
}

#[tokio::test]
async fn every_way_to_log_in_with_entra_works_and_each_change_is_a_generation() -> Result<()> {
    let (parts, installation) = prepared("entra").await?;
    applications(&parts.hub, &["IoT Hub Data Contributor"]).await?;
    for (generation, (way, input)) in (1..).zip(ways()) {
        let mut set = vec![
            "integration",
            "set",
            "--hub",
            parts.hub.hub(),
            "--output",
            "json",
        ];
        set.extend(&way);
        let done = installation.cli_with_input(&set, input).await?;
        let shown = done.json().with_context(|| format!("{way:?}"))?;
        assert_eq!(shown["generation"], json!(generation));
        assert_eq!(
            (&shown["auth"], &shown["hub"]),
            (&json!(way[1]), &json!(parts.hub.hub()))
        );
        assert!(!done.stdout.contains(SECRET) && !done.stdout.contains("PRIVATE KEY"));
        let tested = installation.cli(&["integration", "test"]).await?;
        assert_eq!(tested.code, Some(0), "{way:?}: {}", tested.stderr);
    }
    let shown = installation.cli(&["integration", "show"]).await?;
    assert!(
        shown.stdout.contains("managed identity assigned"),
        "{}",
        shown.stdout
    );
    // The worker logs in the same way.
    let worker = installation.start().await?;
    let stage = crate::stage::Stage {
        worker,
        mender: parts.mender,
        hub: parts.hub,
        nats: parts.nats,
        dir: parts.dir,
    };
    stage
        .publish("=.d1", r#"{"status":"accepted","revision":1}"#)
        .await?;
    stage.hub_shows("d1", Some("enabled")).await?;
    assert_eq!(stage.tally(1).await?.get("applied"), Some(&1));
    stage.dir.passed();
    Ok(())
}

#[tokio::test]
async fn what_entra_refuses_is_named_with_the_role_that_is_missing() -> Result<()> {
    let (parts, installation) = prepared("entra-refused").await?;
    let (way, _) = &ways()[0];
    let mut set = vec!["integration", "set", "--hub", parts.hub.hub()];
    set.extend(way);
    for (roles, secret, told) in [
        (
            &["IoT Hub Registry Contributor"][..],
            SECRET,
            "IoT Hub Twin Contributor",
        ),
        (
            &["IoT Hub Twin Contributor"],
            SECRET,
            "IoT Hub Registry Contributor",
        ),
        (
            &[
                "devices/read",
                "devices/delete",
                "twins/read",
                "twins/write",
            ],
            SECRET,
            "Registry Write",
        ),
        (&["IoT Hub Data Reader"], SECRET, "IoT Hub Data Contributor"),
        (&[], SECRET, "IoT Hub Data Contributor"),
        (
            &["IoT Hub Data Contributor"],
            "another-secret",
            "invalid_client",
        ),
    ] {
        applications(&parts.hub, roles).await?;
        let done = installation.cli_with_input(&set, secret).await?;
        assert_eq!(done.code, Some(1), "{roles:?}");
        assert!(done.stderr.contains(told), "{roles:?}: {}", done.stderr);
        assert!(!done.stderr.contains(secret), "{}", done.stderr);
    }
    nothing_happened(&parts.hub, &installation).await?;
    parts.dir.passed();
    Ok(())
}

/// The hub is as it was, and no integration was stored.
async fn nothing_happened(hub: &Emulator, installation: &Installation) -> Result<()> {
    assert_eq!(hub.devices().await?, Vec::<Value>::new());
    let journal = hub.journal().await?;
    assert!(journal.len() > 5 && journal.iter().all(|entry| !entry.effective));
    let shown = installation
        .cli(&["integration", "show", "--output", "json"])
        .await?;
    assert_eq!(shown.json()?, json!([]));
    Ok(())
}

#[tokio::test]
async fn a_policy_that_lacks_a_permission_is_told_which_one() -> Result<()> {
    let dir = TestDir::new("permissions")?;
    let nats = NatsServer::start(dir.path()).await?;
    let policies = [
        ("registry", "RegistryRead,RegistryWrite", "Service Connect"),
        (
            "service",
            "ServiceConnect",
            "Registry Read and Registry Write",
        ),
        ("reader", "RegistryRead,ServiceConnect", "Registry Write"),
        ("device", "DeviceConnect", "none of Registry Read"),
    ];
    let arguments: Vec<_> = policies
        .iter()
        .map(|(name, permissions, _)| format!("--policy={name}={KEY}:{permissions}"))
        .collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let hub = Emulator::start(dir.path(), &arguments).await?;
    let text = config(nats.url(), &hub, "127.0.0.1:1");
    let installation = Installation::new(dir.path(), &text).await?;
    installation.cli(&["setup"]).await?;
    for (name, _, missing) in policies {
        let host = hub.hub();
        let text = format!("HostName={host};SharedAccessKeyName={name};SharedAccessKey={KEY}");
        let done = installation
            .cli_with_input(&["integration", "set"], &text)
            .await?;
        assert_eq!(done.code, Some(1), "{name}");
        assert!(done.stderr.contains(missing), "{name}: {}", done.stderr);
        assert!(
            done.stderr.contains(&format!("policy {name}")),
            "{}",
            done.stderr
        );
        assert!(!done.stderr.contains(KEY), "{}", done.stderr);
    }
    nothing_happened(&hub, &installation).await?;
    dir.passed();
    Ok(())
}

#[tokio::test]
async fn the_policy_that_may_do_everything_is_taken_with_a_warning() -> Result<()> {
    let (parts, installation) = Parts::start("owner").await?;
    installation.cli(&["setup"]).await?;
    let file = parts.dir.path().join("connection-string");
    std::fs::write(&file, parts.hub.connection_string())?;
    let set = ["integration", "set", "--credential-file"];
    let path = file.display().to_string();
    let done = installation.cli(&[set[0], set[1], set[2], &path]).await?;
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(done.stderr.contains("iothubowner"), "{}", done.stderr);
    let installation = installation.variable("THE_STRING", parts.hub.connection_string());
    let set = [
        "integration",
        "set",
        "--credential-env",
        "THE_STRING",
        "--output",
        "json",
    ];
    assert_eq!(
        installation.cli(&set).await?.json()?["generation"],
        json!(2)
    );
    for wrong in [
        &["--auth", "client-secret"][..],
        &["--hub", "h.azure-devices.net"],
        &[
            "--auth",
            "managed-identity",
            "--hub",
            "h.azure-devices.net",
            "--credential-env",
            "X",
        ],
    ] {
        let mut set = vec!["integration", "set"];
        set.extend(wrong);
        let done = installation.cli(&set).await?;
        assert_eq!(done.code, Some(2), "{wrong:?}: {}", done.stderr);
    }
    parts.dir.passed();
    Ok(())
}

/// Two hubs, and a configuration that allows both.
pub(crate) struct TwoHubs {
    pub(crate) other: Emulator,
    pub(crate) parts: Parts,
    pub(crate) installation: Installation,
}

impl TwoHubs {
    pub(crate) async fn start(name: &str) -> Result<Self> {
        let dir = TestDir::new(name)?;
        let nats = NatsServer::start(dir.path()).await?;
        let hub = Emulator::start(dir.path(), &[]).await?;
        let folder = dir.path().join("other");
        std::fs::create_dir(&folder)?;
        let other = Emulator::start(&folder, &[]).await?;
        let both = folder.join("both.pem");
        let pem = |hub: &Emulator| std::fs::read_to_string(hub.ca_file());
        std::fs::write(&both, format!("{}{}", pem(&hub)?, pem(&other)?))?;
        let mender = Simulator::start(dir.path(), nats.url(), &[]).await?;
        let installation =
            Installation::new(dir.path(), &config(nats.url(), &hub, mender.listen()))
                .await?
                .variable("MENDER_IOTHUB__HUB__CA_FILE", &both.display().to_string())
                .variable(
                    "MENDER_IOTHUB__HUB__ALLOWED_HOSTS",
                    &format!("{},{}", hub.hub(), other.hub()),
                );
        let done = installation.cli(&["setup"]).await?;
        ensure!(done.code == Some(0), "{}", done.stderr);
        let parts = Parts {
            dir,
            nats,
            hub,
            mender,
        };
        Ok(Self {
            other,
            parts,
            installation,
        })
    }

    /// Gives a tenant one of the hubs.
    pub(crate) async fn set(&self, tenant: &str, hub: &Emulator) -> Result<()> {
        let set = [
            "integration",
            "set",
            "--tier",
            "unlimited",
            "--tenant",
            tenant,
        ];
        let done = self
            .installation
            .cli_with_input(&set, hub.connection_string())
            .await?;
        ensure!(done.code == Some(0), "{}", done.stderr);
        Ok(())
    }
}
