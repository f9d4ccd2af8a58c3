//! The server's and the cluster's configuration in `deploy/nats`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use black_box::{
    Installation, NatsCluster, Proxy, TestDir,
    secured::{as_user, options, passwords},
    tools,
};

use super::{deploy, read};

/// Copies the files that `main` includes beside it, with passwords of their own.
fn beside(dir: &Path) -> Result<()> {
    fs::copy(deploy("nats/users.conf"), dir.join("users.conf"))?;
    fs::copy(deploy("nats/routes.conf.example"), dir.join("routes.conf"))?;
    passwords(dir)
}

#[test]
fn the_server_takes_each_configuration_as_it_is() -> Result<()> {
    let dir = TestDir::new("nats-conf")?;
    let server = tools::nats_server()?.path;
    beside(dir.path())?;
    for file in ["nats.conf", "cluster.conf"] {
        let text = read(&format!("nats/{file}"))?;
        let store = format!("store_dir: {}\n", dir.path().join("data").display());
        assert!(text.contains("store_dir: /data\n"), "{file}");
        assert!(text.contains("\n  sync_interval: always\n"), "{file}");
        let path = dir.path().join(file);
        fs::write(&path, text.replace("store_dir: /data\n", &store))?;
        let mut command = Command::new(&server);
        command
            .env("SERVER_NAME", "nats-0")
            .arg("-t")
            .arg("-c")
            .arg(&path);
        let output = command.output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{file}: {said}");
    }
    dir.passed();
    Ok(())
}

/// The cluster's files for one server, with addresses and a folder that the harness has chosen.
fn cluster_files(dir: &Path, index: usize, routes: &[Proxy]) -> Result<PathBuf> {
    beside(dir)?;
    let urls = routes
        .iter()
        .map(|it| format!("\"nats://route:secret@{}\"", it.address()));
    let urls: Vec<String> = urls.collect();
    let example = read("nats/routes.conf.example")?;
    let (head, _) = example.split_once("routes: [").context("routes")?;
    let head = head.replace("password: \"...\"", "password: secret");
    fs::write(
        dir.join("routes.conf"),
        format!("{head}routes: [{}]\n", urls.join(", ")),
    )?;
    let text = read("nats/cluster.conf")?;
    let text = text
        .replace("$SERVER_NAME", &format!("nats-{index}"))
        .replace("listen: 0.0.0.0:6222", "listen: \"127.0.0.1:-1\"")
        .replace("store_dir: /data\n", "\n");
    let file = dir.join("cluster.conf");
    fs::write(&file, text)?;
    Ok(file)
}

#[tokio::test]
async fn three_servers_become_a_cluster_that_keeps_three_copies() -> Result<()> {
    let dir = TestDir::new("nats-cluster")?;
    let cluster = NatsCluster::start_from(dir.path(), options("setup"), cluster_files).await?;
    let config = format!("[nats]\nurl = \"{}\"\nreplicas = 3\n", cluster.urls());
    let installation = Installation::new(dir.path(), &config).await?;
    let done = as_user(&installation, "setup").cli(&["setup"]).await?;
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let context = cluster.jetstream().await?;
    for stream in ["IOTHUB_EVENTS", "IOTHUB_DLQ", "KV_iothub_devices"] {
        let mut stream = context.get_stream(stream).await?;
        let info = stream.info().await?;
        let others = info.cluster.as_ref().map_or(0, |it| it.replicas.len());
        assert_eq!(others, 2, "{}", info.config.name);
    }
    dir.passed();
    Ok(())
}
