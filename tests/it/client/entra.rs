//! Tokens of Microsoft Entra ID, got in each of the ways there are.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use black_box::Emulator;
use iothub::entra::{
    Authority, ClientCertificate, Entra, EntraApp, EntraSource, IdentityEndpoint, ManagedIdentity,
    SigningAlgorithm, WhichIdentity,
};
use iothub::{BulkItem, Command, Credential, Hub, Kind, Secret};
use serde_json::{Value, json};

use super::{Steps, id, new, options, refused, with_credential};
use crate::scenario::{CERTIFICATE, RESOURCE_ID, Scene};

const KEY: &str = include_str!("../../../crates/iothub-emulator/tests/it/fixtures/client-key.pem");

pub(super) async fn go(scene: &Scene, steps: &mut Steps) -> Result<()> {
    let emulator = &scene.emulator;
    let overview: Value = emulator.control().get("/entra").await?;
    let owner = owner(emulator)?;
    secrets(emulator, steps, &owner).await;
    roles(emulator, steps, &owner).await;
    certificates(emulator, steps).await;
    federated(scene, steps).await;
    managed(emulator, steps, &overview).await;
    Ok(())
}

fn app(emulator: &Emulator, client: &str) -> Result<EntraApp> {
    let authority = Authority::configured(&format!("https://{}", emulator.hub()))?;
    Ok(EntraApp::new(authority, "tenant", client)?)
}

fn hub(emulator: &Emulator, source: EntraSource) -> Result<Hub> {
    let credential = Credential::Entra(Entra::new(source, options(emulator)?)?);
    with_credential(emulator, credential)
}

fn with_secret(emulator: &Emulator, client: &str, secret: &str) -> Result<Hub> {
    let (app, secret) = (app(emulator, client)?, secret.into());
    hub(emulator, EntraSource::ClientSecret { app, secret })
}

fn owner(emulator: &Emulator) -> Result<Hub> {
    with_secret(emulator, "owner", "sesame")
}

/// The hub lets this client read a twin.
async fn works(hub: Result<Hub>) -> Result<()> {
    let twin = hub?.twin(&id("device")?).await?;
    ensure!(twin.device_id() == "device");
    Ok(())
}

async fn secrets(emulator: &Emulator, steps: &mut Steps, owner: &Hub) {
    let go = async |_: &Hub| {
        owner.create_device(&new("device")?).await?;
        works(Ok(owner.clone())).await?;
        let journal = emulator.journal().await?;
        let tokens = journal.iter().filter(|it| it.operation == "token").count();
        ensure!(tokens == 1, "{tokens} tokens for two requests");
        Ok(())
    };
    steps.step("call with a secret's token", go).await;
    let go = async |_: &Hub| {
        let wrong = with_secret(emulator, "owner", "wrong")?;
        refused(Kind::Unauthorized, wrong.device(&id("device")?).await)
    };
    steps.step("call with a wrong secret", go).await;
}

async fn roles(emulator: &Emulator, steps: &mut Steps, owner: &Hub) {
    let go = async |_: &Hub| {
        let registrar = with_secret(emulator, "registrar", "sesame")?;
        registrar.device(&id("device")?).await?;
        refused(Kind::Unauthorized, registrar.twin(&id("device")?).await)
    };
    steps.step("call without the role", go).await;
    let go = async |_: &Hub| {
        let (device, module) = (id("no-such-device")?, "module".parse()?);
        refused(Kind::NotFound, owner.module(&device, &module).await)
    };
    steps
        .step("modules of a device that does not exist", go)
        .await;
    let go = async |_: &Hub| {
        let outcome = owner.bulk(&[BulkItem::create(&new("another")?)?]).await?;
        ensure!(outcome.unassigned().is_empty(), "{outcome:?}");
        Ok(())
    };
    steps.step("change many at once", go).await;
    let go = async |_: &Hub| {
        // Refused whatever the roles say.
        let called = owner
            .call_command(&id("device")?, &Command::new("echo")?)
            .await;
        refused(Kind::Unauthorized, called)
    };
    steps.step("call a command of a digital twin", go).await;
}

async fn certificates(emulator: &Emulator, steps: &mut Steps) {
    for (name, algorithm) in [
        ("call with a certificate's token", SigningAlgorithm::Ps256),
        (
            "call with a certificate's token, signed in the older way",
            SigningAlgorithm::Rs256,
        ),
    ] {
        let go = async |_: &Hub| {
            let certificate =
                ClientCertificate::from_pem(CERTIFICATE.as_bytes(), KEY.as_bytes(), algorithm)?;
            let app = app(emulator, "owner")?;
            works(hub(
                emulator,
                EntraSource::ClientCertificate { app, certificate },
            ))
            .await
        };
        steps.step(name, go).await;
    }
}

async fn federated(scene: &Scene, steps: &mut Steps) {
    let go = async |_: &Hub| {
        let claims = json!({
            "issuer": "https://cluster.example",
            "subject": "system:worker",
            "audience": "api://AzureADTokenExchange",
        });
        let answer: Value = scene
            .emulator
            .control()
            .post("/entra/workload-token", &claims)
            .await?;
        let token_file = scene.dir.path().join("federated-token");
        fs::write(&token_file, answer["token"].as_str().context("a token")?)?;
        let app = app(&scene.emulator, "owner")?;
        let source = EntraSource::WorkloadIdentity { app, token_file };
        works(hub(&scene.emulator, source)).await
    };
    steps.step("call with a federated token", go).await;
}

async fn managed(emulator: &Emulator, steps: &mut Steps, overview: &Value) {
    let text = |name: &str| overview[name].as_str().unwrap_or_default();
    let source = |endpoint, which| {
        EntraSource::ManagedIdentity(ManagedIdentity {
            endpoint,
            which,
            ..ManagedIdentity::default()
        })
    };
    let go = async |_: &Hub| {
        for which in [
            WhichIdentity::System,
            WhichIdentity::ResourceId(RESOURCE_ID.to_owned()),
        ] {
            let endpoint = IdentityEndpoint::virtual_machine(text("imds"))?;
            works(hub(emulator, source(endpoint, which))).await?;
        }
        Ok(())
    };
    steps.step("call as a virtual machine's identity", go).await;
    let go = async |_: &Hub| {
        let endpoint = |header: &str| {
            IdentityEndpoint::app_service(text("identity_endpoint"), Secret::from(header))
        };
        let right = endpoint(text("identity_header"))?;
        works(hub(emulator, source(right, WhichIdentity::System))).await?;
        let stranger = hub(emulator, source(endpoint("wrong")?, WhichIdentity::System))?;
        refused(Kind::Unauthorized, stranger.twin(&id("device")?).await)
    };
    steps.step("call as an app service's identity", go).await;
}
