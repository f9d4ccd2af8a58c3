//! What only the monitoring port of nats-server tells.

use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;

use super::finding::Finding;
use super::{Findings, Scene};

const CHECK: &str = "NATS monitoring";
/// Longest time between two writes to disk that loses little.
const SELDOM: Duration = Duration::from_secs(1);
/// The page is some ten kilobytes.
const MAX_BODY: usize = 1024 * 1024;

pub(super) async fn check(scene: &Scene<'_>) -> Findings {
    let Some(url) = &scene.args.nats_monitoring_url else {
        return Ok(vec![
            Finding::not_checked(CHECK, "how often nats-server writes to disk (`sync_interval`)").with_advice(
                "pass --nats-monitoring-url, for instance http://127.0.0.1:8222 on the machine of nats-server",
            ),
        ]);
    };
    let page = format!("{}/varz", url.trim_end_matches('/'));
    let varz = read(&page)
        .await
        .with_context(|| format!("{page} cannot be read"))?;
    Ok(of_server(&varz))
}

async fn read(url: &str) -> anyhow::Result<Value> {
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()?;
    let mut response = client.get(url).send().await?.error_for_status()?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        anyhow::ensure!(
            body.len() + chunk.len() <= MAX_BODY,
            "this is not nats-server"
        );
        body.extend_from_slice(&chunk);
    }
    serde_json::from_slice(&body).context("this is not nats-server")
}

fn of_server(varz: &Value) -> Vec<Finding> {
    let config = &varz["jetstream"]["config"];
    if !config.is_object() {
        return vec![
            Finding::problem(CHECK, "JetStream is not switched on")
                .with_advice("use deploy/nats/nats.conf, or add a `jetstream` section"),
        ];
    }
    let mut found = vec![of_sync(config)];
    let number = |value: &Value| value.as_u64().unwrap_or(0);
    let (used, most) = (
        number(&varz["jetstream"]["stats"]["storage"]),
        number(&config["max_storage"]),
    );
    if most > 0 && used.saturating_mul(100) >= most.saturating_mul(80) {
        found.push(
            Finding::problem(
                CHECK,
                format!("the server's storage is nearly full: {used} of {most} bytes"),
            )
            .with_advice("raise `max_file_store`, or give it a larger disk"),
        );
    }
    found
}

fn of_sync(config: &Value) -> Finding {
    if config["sync_always"].as_bool() == Some(true) {
        return Finding::ok(CHECK, "every write is synced to disk");
    }
    let interval = Duration::from_nanos(config["sync_interval"].as_u64().unwrap_or(0));
    let shown = crate::print::span(interval);
    if interval <= SELDOM && !interval.is_zero() {
        return Finding::advice(
            CHECK,
            "writes are synced to disk once a second: so much is lost by a power failure",
        )
        .with_advice("`sync_interval: always` in the `jetstream` section loses nothing");
    }
    Finding::problem(
        CHECK,
        format!("nats-server syncs to disk only every {shown}: a power failure loses what it has acknowledged since"),
    )
    .with_advice("set `sync_interval: always` in the `jetstream` section, as deploy/nats/nats.conf has it")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::finding::Severity;
    use super::*;

    fn severity(config: &Value, used: u64) -> Severity {
        let varz = json!({"jetstream": {"config": config, "stats": {"storage": used}}});
        of_server(&varz).iter().map(|it| it.severity).min().unwrap()
    }

    #[test]
    fn a_server_that_syncs_seldom_is_a_problem() {
        let two_minutes = json!({"sync_interval": 120_000_000_000_u64, "max_storage": 1_000});
        assert_eq!(severity(&two_minutes, 0), Severity::Problem);
        let always = json!({"sync_interval": 120_000_000_000_u64, "sync_always": true, "max_storage": 1_000});
        assert_eq!(severity(&always, 0), Severity::Ok);
        assert_eq!(severity(&always, 900), Severity::Problem, "nearly full");
        let second = json!({"sync_interval": 1_000_000_000_u64});
        assert_eq!(severity(&second, 0), Severity::Advice);
        assert_eq!(of_server(&json!({}))[0].severity, Severity::Problem);
    }
}
