//! The hub emulator, as the harness starts and steers it.

use std::fs;

use black_box::{Emulator, TestDir};
use reqwest::Certificate;
use serde_json::{Value, json};

/// Asks the hub for a device over TLS, without saying who asks.
async fn ask_as_nobody(hub: &Emulator, device: &str) -> anyhow::Result<u16> {
    let authority = Certificate::from_pem(&fs::read(hub.ca_file())?)?;
    let client = reqwest::Client::builder()
        .tls_certs_only([authority])
        .no_proxy()
        .build()?;
    let port = hub.listen().rsplit(':').next().unwrap();
    let url = format!("https://localhost:{port}/devices/{device}?api-version=2021-04-12");
    Ok(client.get(url).send().await?.status().as_u16())
}

#[tokio::test]
async fn a_stranger_is_refused_and_the_journal_knows() -> anyhow::Result<()> {
    let dir = TestDir::new("stranger")?;
    let hub = Emulator::start(dir.path(), &[]).await?;
    assert!(hub.connection_string().starts_with("HostName=localhost:"));
    assert_eq!(ask_as_nobody(&hub, "d1").await?, 401);
    let journal = hub.journal().await?;
    assert_eq!(journal.len(), 1);
    assert_eq!(
        (journal[0].status, journal[0].effective),
        (Some(401), false)
    );
    assert_eq!(journal[0].device.as_deref(), Some("d1"));
    assert_eq!(hub.journal_since(journal[0].seq).await?, []);
    dir.passed();
    Ok(())
}

#[tokio::test]
async fn an_identity_made_by_hand_is_there_until_it_is_removed() -> anyhow::Result<()> {
    let dir = TestDir::new("hand-edit")?;
    let hub = Emulator::start(dir.path(), &[]).await?;
    let odd = "odd#%25:id";
    hub.put_device(odd, &json!({"status": "disabled"})).await?;
    let devices = hub.devices().await?;
    assert_eq!(
        (&devices[0]["deviceId"], &devices[0]["status"]),
        (&json!(odd), &json!("disabled"))
    );
    let key = "/authentication/symmetricKey/primaryKey";
    let with_keys = hub.devices_with_keys().await?;
    assert_ne!(devices[0].pointer(key), with_keys[0].pointer(key));
    hub.delete_device(odd).await?;
    assert_eq!(hub.devices().await?, [Value::Null; 0]);
    dir.passed();
    Ok(())
}

#[tokio::test]
async fn a_fault_program_strikes_as_often_as_it_says() -> anyhow::Result<()> {
    let dir = TestDir::new("faults")?;
    let hub = Emulator::start(dir.path(), &[]).await?;
    let rule = json!({"name": "once", "path": "/devices/*", "times": 1, "status": 503});
    hub.faults(&json!({ "rules": [rule] })).await?;
    assert_eq!(ask_as_nobody(&hub, "d1").await?, 503);
    assert_eq!(ask_as_nobody(&hub, "d1").await?, 401);
    assert_eq!(hub.journal().await?[0].fault.as_deref(), Some("once"));
    dir.passed();
    Ok(())
}
