//! The files that put the worker in iot-manager's place, and iot-manager's own way to be started.

use anyhow::{Context as _, Result};
use black_box::{Installation, TestDir, workspace};
use serde_json::{Value, json};

/// One of the files.
fn file(name: &str) -> Result<Value> {
    let text = std::fs::read_to_string(workspace::root().join("deploy/mender").join(name))?;
    serde_saphyr::from_str(&text).with_context(|| name.to_owned())
}

#[test]
fn compose_and_helm_start_the_worker_in_its_place_with_keys_that_exist() -> Result<()> {
    let compose = file("replace-iot-manager.compose.yaml")?;
    let values = file("replace-iot-manager.values.yaml")?;
    let service = &compose["services"]["iot-manager"];
    assert_eq!(service["command"], json!(["server"]));
    let environment = service["environment"].as_object().context("environment")?;
    let mut variables: Vec<(String, String)> = environment
        .iter()
        .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
        .collect();
    let custom = values["iot_manager"]["customEnvs"].as_array();
    for variable in custom.context("customEnvs")? {
        let text = |name: &str| variable[name].as_str().unwrap_or("x").to_owned();
        variables.push((text("name"), text("value")));
    }
    let reference = std::fs::read_to_string(workspace::root().join("deploy/configuration.md"))?;
    for (name, value) in &variables {
        let key = name
            .strip_prefix("MENDER_IOTHUB__")
            .with_context(|| name.clone())?;
        let key = key.replace("__", ".").to_lowercase();
        assert!(reference.contains(&format!("| `{key}` |")), "{key}");
        if key.ends_with("_listen") {
            assert_eq!(
                value, "0.0.0.0:8080",
                "the chart's probes and Mender's services look there"
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn its_variables_and_commands_are_understood_and_told() -> Result<()> {
    let dir = TestDir::new("http-aliases")?;
    let installation = Installation::new(dir.path(), "").await?;
    let done = installation.cli(&["version"]).await?;
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(done.stdout.starts_with("mender-iothub "), "{}", done.stdout);
    for (command, variables) in [
        (&["server"][..], &[][..]),
        (&[], &[("IOT_MANAGER_LISTEN", ":8080")]),
        (
            &["server", "--automigrate"],
            &[("IOT_MANAGER_LISTEN", ":8080")],
        ),
    ] {
        let mut installation = installation.clone();
        for (name, value) in variables {
            installation = installation.variable(name, value);
        }
        let done = installation.cli(command).await?;
        // Public, and nobody is said to verify tokens.
        assert_eq!(done.code, Some(2), "{command:?}: {}", done.stderr);
        assert!(
            done.stderr.contains("`iot_manager.management_trust`"),
            "{}",
            done.stderr
        );
    }
    let done = installation
        .clone()
        .variable("IOT_MANAGER_LISTEN", "127.0.0.1:0")
        .variable("IOT_MANAGER_MONGO_URL", "mongodb://user:hunter2@mongo")
        .variable("IOT_MANAGER_NEWER", "x")
        .cli(&["version"])
        .await?;
    for line in [
        "IOT_MANAGER_LISTEN is taken as `iot_manager.internal_listen` and `iot_manager.management_listen`",
        "IOT_MANAGER_MONGO_URL is not used: ",
        "IOT_MANAGER_NEWER is not known",
    ] {
        assert!(done.stderr.contains(line), "{line}: {}", done.stderr);
    }
    assert!(!done.stderr.contains("hunter2"), "{}", done.stderr);
    let done = installation.cli(&[]).await?;
    assert_eq!(
        done.code,
        Some(2),
        "no command is no wish to start a server: {}",
        done.stderr
    );
    dir.passed();
    Ok(())
}
