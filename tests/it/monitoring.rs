//! Metrics, dashboard, alerts and runbook hold together: what one of them names, the worker shows.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use black_box::{
    Installation, Process,
    control::Control,
    skips::skip,
    tools::{self, OpenMetrics, PrometheusTool},
    until, workspace,
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::stage::{Parts, SOON, Stage, config};
use crate::twins::BackEnd;

const ALERTS: &str = "deploy/prometheus/alerts.yaml";
const ALERT_TESTS: &str = "deploy/prometheus/alerts.test.yaml";
const METRICS: &str = "deploy/prometheus/README.md";
const DASHBOARD: &str = "deploy/grafana/mender-iothub.json";

fn read(path: &str) -> Result<String> {
    fs::read_to_string(workspace::root().join(path)).with_context(|| path.to_owned())
}

/// What stands behind `key: ` in a YAML file that has each value on its own line, or on the one below.
fn values(text: &str, key: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let found = lines.iter().enumerate().filter_map(|(at, line)| {
        let line = line.trim_start_matches("- ");
        let value = line.strip_prefix(key)?.strip_prefix(':')?.trim();
        Some(if value == ">-" {
            lines.get(at + 1)?.to_string()
        } else {
            value.to_owned()
        })
    });
    found.collect()
}

/// The expressions of the dashboard's panels, its variables filled in.
fn dashboard() -> Result<Vec<String>> {
    let dashboard: Value = serde_json::from_str(&read(DASHBOARD)?)?;
    let panels = dashboard["panels"].as_array().context("panels")?;
    let targets = panels
        .iter()
        .filter_map(|panel| panel["targets"].as_array())
        .flatten();
    let expressions = targets.filter_map(|target| target["expr"].as_str());
    Ok(expressions
        .map(|expression| {
            expression
                .replace("$job", ".+")
                .replace("$__rate_interval", "1m")
        })
        .collect())
}

/// The selectors of an expression: each metric with its matchers.
fn selectors(expression: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = BTreeSet::new();
    let mut rest = expression;
    while let Some(at) = rest.find(is_name) {
        let word = &rest[at..];
        let end = word.find(|c| !is_name(c)).unwrap_or(word.len());
        let (name, after) = word.split_at(end);
        let matchers = after.find('}').filter(|_| after.starts_with('{'));
        let matchers = matchers.map_or("", |end| &after[..=end]);
        if name == "up" || name.starts_with("mender_iothub_") || name.starts_with("process_") {
            found.insert(format!("{name}{matchers}"));
        }
        rest = &after[matchers.len()..];
    }
    found
}

#[test]
fn selectors_are_found_in_expressions() {
    let found =
        selectors(r#"sum by (le) (rate(mender_iothub_x_bucket{job="up"}[15m])) > 1 and up == 0"#);
    let expected = [r#"mender_iothub_x_bucket{job="up"}"#, "up"].map(str::to_owned);
    assert_eq!(found, expected.into());
}

#[test]
fn each_alert_has_its_paragraph_in_the_runbook() -> Result<()> {
    let alerts = read(ALERTS)?;
    let names = values(&alerts, "alert");
    let links = values(&alerts, "runbook_url");
    assert!(
        names.len() > 10 && names.len() == links.len(),
        "{names:?} {links:?}"
    );
    let mut paragraphs = BTreeSet::new();
    for (name, link) in names.iter().zip(&links) {
        let (page, anchor) = link.split_once('#').context("no anchor")?;
        assert_eq!(anchor, name.to_lowercase(), "{link}");
        let text = read(page)?;
        let heading = format!("\n## {name}\n");
        let (_, paragraph) = text
            .split_once(&heading)
            .with_context(|| format!("{page} has no {name}"))?;
        let paragraph = paragraph.split("\n## ").next().unwrap_or_default();
        assert!(
            paragraph.len() > 200,
            "{name}: what is to be done? {paragraph}"
        );
        paragraphs.insert(name.clone());
        if paragraphs.len() == names.len() {
            assert_eq!(
                text.matches("\n## ").count(),
                names.len(),
                "a paragraph without an alert"
            );
        }
    }
    Ok(())
}

#[test]
fn promtool_accepts_the_alerts_and_their_tests() -> Result<()> {
    let Ok(tool) = available("promtool_accepts_the_alerts_and_their_tests") else {
        return Ok(());
    };
    let check = |arguments: [&str; 3]| -> Result<String> {
        let mut promtool = Command::new(&tool.promtool);
        promtool
            .args(arguments)
            .current_dir(workspace::root())
            .stdin(Stdio::null());
        let output = promtool.output()?;
        let said =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{arguments:?}: {said}");
        Ok(said.into_owned())
    };
    check(["check", "rules", ALERTS])?;
    check(["test", "rules", ALERT_TESTS])?;
    // Each alert is shown to fire at least once.
    let (alerts, tests) = (read(ALERTS)?, read(ALERT_TESTS)?);
    let tested: BTreeSet<String> = values(&tests, "alertname").into_iter().collect();
    let names: BTreeSet<String> = values(&alerts, "alert").into_iter().collect();
    assert_eq!(tested, names);
    let firing = values(&tests, "runbook_url")
        .into_iter()
        .collect::<BTreeSet<_>>();
    assert_eq!(firing, values(&alerts, "runbook_url").into_iter().collect());
    Ok(())
}

fn available(test: &str) -> Result<PrometheusTool> {
    tools::prometheus().inspect_err(|why| skip(test, &format!("{why:#}")))
}

/// A fleet with some of every trouble that has series of its own.
async fn play() -> Result<Stage> {
    let (parts, _) = Parts::start("monitoring").await?;
    let usual = config(parts.nats.url(), &parts.hub, parts.mender.listen());
    let apis =
        "[iot_manager]\ninternal_listen = \"127.0.0.1:0\"\nmanagement_listen = \"127.0.0.1:0\"\n";
    let installation = Installation::new(parts.dir.path(), &format!("{usual}\n{apis}")).await?;
    let set = ["integration", "set", "--tier", "s1", "--units", "20"];
    for arguments in [&["setup"][..], &set, &["sweep"]] {
        let done = installation
            .cli_with_input(arguments, parts.hub.connection_string())
            .await?;
        ensure!(done.code == Some(0), "{arguments:?}: {}", done.stderr);
    }
    let stage = parts.with(installation.start().await?);
    let trouble = json!({"rules": [
        {"name": "busy", "operation": "create", "device": "busy", "times": 1, "status": 429},
        {"name": "down", "operation": "create", "device": "down", "times": 1, "status": 503},
        {"name": "full", "operation": "create", "path": "/devices/full*", "status": 403, "error": "IotHubQuotaExceeded"},
        {"name": "twin", "path": "/twins/ok", "skip": 2, "times": 20, "status": 503},
    ]});
    stage.hub.faults(&trouble).await?;
    for device in ["ok", "busy", "down", "full"] {
        stage
            .publish(
                &format!("=.{device}"),
                r#"{"status":"accepted","revision":1}"#,
            )
            .await?;
    }
    stage.publish("=.broken", "{").await?;
    stage.hub_shows("ok", Some("enabled")).await?;
    stage.outcomes(4).await?;
    let back_end = BackEnd::of(&stage).await?;
    let code = async |tail: &str| -> Result<u16> {
        Ok(back_end
            .ask(tail, "")
            .await?
            .map_or_else(|(code, _)| code, |_| 200))
    };
    until(SOON, "a twin request that fails", async || {
        Ok((code("get.=.ok").await? >= 500).then_some(()))
    })
    .await?;
    ensure!(code("get.=.nobody").await? == 404);
    let internal = stage.worker.internal()?;
    internal.text("/api/internal/v1/iot-manager/alive").await?;
    for nowhere in ["/", "/api/internal/v1/iot-manager/0123456789", "/metrics"] {
        ensure!(internal.ask(nowhere).await?.0 == StatusCode::NOT_FOUND);
    }
    Ok(stage)
}

#[tokio::test]
async fn the_page_of_metrics_is_openmetrics_and_each_metric_is_documented() -> Result<()> {
    let stage = play().await?;
    let page = until(SOON, "a look at the streams", async || {
        let page = stage.worker.http().text("/metrics").await?;
        let there = [
            "mender_iothub_dead_letters_kept 1",
            "mender_iothub_sweep_records",
        ];
        Ok(there.iter().all(|name| page.contains(name)).then_some(page))
    })
    .await?;
    assert!(page.ends_with("# EOF\n"), "{}", &page[page.len() - 20..]);
    assert!(
        page.contains("mender_iothub_events_total{outcome=\"dead\"} 1"),
        "{page}"
    );
    let hub = stage.hub.hub();
    for line in [
        "mender_iothub_hub_requests_total{operation=\"create_device\",class=\"throttled\"} 1"
            .to_owned(),
        "mender_iothub_dead_letters_total{class=\"malformed\"} 1".to_owned(),
        "mender_iothub_dead_letters_kept 1".to_owned(),
        format!("mender_iothub_hub_throttled_total{{hub=\"{hub}\"}} 1"),
        "mender_iothub_twin_requests_total{verb=\"get\",code=\"404\"} 1".to_owned(),
        "mender_iothub_event_duration_seconds_bucket{le=\"+Inf\"} 3".to_owned(),
        "mender_iothub_dependency_ready{dependency=\"nats\"} 1".to_owned(),
        "mender_iothub_webhook_attempts_total{result=\"given_up\"} 0".to_owned(),
        "mender_iothub_http_requests_total{method=\"GET\",route=\"alive\",status=\"2xx\"} 1"
            .to_owned(),
        "mender_iothub_http_requests_total{method=\"GET\",route=\"\",status=\"4xx\"} 3".to_owned(),
        "mender_iothub_http_requests_total{method=\"GET\",route=\"events\",status=\"5xx\"} 0"
            .to_owned(),
    ] {
        let found = page
            .lines()
            .any(|it| it.split('.').next() == Some(&line) || it == line);
        assert!(
            found || page.lines().any(|it| it == format!("{line}.0")),
            "{line} is missing in\n{page}"
        );
    }
    let parser = match OpenMetrics::installed() {
        Ok(parser) => parser,
        Err(why) => {
            skip(
                "the_page_of_metrics_is_openmetrics_and_each_metric_is_documented",
                &format!("{why:#}"),
            );
            return Ok(());
        }
    };
    let families = parser.parse(&page)?;
    let families = families.as_array().context("no list")?;
    let mut shown = BTreeMap::new();
    for family in families {
        let (name, kind) = (
            family["name"].as_str().context("name")?,
            family["type"].as_str().context("type")?,
        );
        let help = family["help"].as_str().unwrap_or_default();
        assert!(help.len() > 10 && help.ends_with('.'), "{name}: {help:?}");
        for label in family["labels"].as_array().into_iter().flatten() {
            let label = label.as_str().unwrap_or_default();
            assert!(
                !["tenant", "device", "event"].contains(&label),
                "{name} has the label {label}"
            );
        }
        shown.insert(name.to_owned(), kind.to_owned());
    }
    assert_eq!(
        shown,
        documented()?,
        "what the page shows, and what {METRICS} says"
    );
    // Half a page is not taken for a whole one.
    assert!(
        parser.parse(page.trim_end_matches("# EOF\n")).is_err(),
        "the parser is not strict"
    );
    stage.dir.passed();
    Ok(())
}

/// Metrics of the table, with their types.
fn documented() -> Result<BTreeMap<String, String>> {
    let text = read(METRICS)?;
    let rows = text.lines().filter_map(|line| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let ["", name, kind, _, _, ""] = cells[..] else {
            return None;
        };
        let name = name.strip_prefix('`')?.strip_suffix('`')?;
        Some((name.to_owned(), kind.to_owned()))
    });
    Ok(rows.collect())
}

#[tokio::test]
async fn every_expression_of_dashboard_and_alerts_finds_its_series() -> Result<()> {
    let Ok(tool) = available("every_expression_of_dashboard_and_alerts_finds_its_series") else {
        return Ok(());
    };
    let mut stage = play().await?;
    let dir = stage.dir.path().to_owned();
    let (mut process, prometheus) = start(&tool, &dir, stage.worker.http().base()).await?;
    let alerts = values(&read(ALERTS)?, "expr");
    let mut wanted: BTreeSet<String> = alerts.iter().flat_map(|it| selectors(it)).collect();
    wanted.extend(dashboard()?);
    assert!(wanted.len() > 60, "{wanted:?}");
    let mut missing = wanted.clone();
    let found = until(SOON, "every series", async || {
        process.must_run()?;
        for expression in missing.clone() {
            if !query(&prometheus, &expression).await?.is_empty() {
                missing.remove(&expression);
            }
        }
        Ok(missing.is_empty().then_some(()))
    });
    found
        .await
        .with_context(|| format!("not found: {missing:#?}"))?;
    let none = query(&prometheus, "mender_iothub_no_such_metric").await?;
    assert!(none.is_empty(), "everything is found");

    let rules: Value = prometheus.get("/api/v1/rules").await?;
    let rules = rules["data"]["groups"][0]["rules"]
        .as_array()
        .context("no rules")?
        .clone();
    assert_eq!(rules.len(), alerts.len());
    for rule in &rules {
        assert_ne!(rule["health"], json!("err"), "{rule}");
    }
    let fires = async |name: &str| -> Result<bool> {
        let alert = format!("ALERTS{{alertname=\"{name}\",alertstate=\"firing\"}}");
        Ok(!query(&prometheus, &alert).await?.is_empty())
    };
    // Prometheus has seen the series by now, so that it sees it increase.
    stage
        .publish("=.full2", r#"{"status":"accepted","revision":1}"#)
        .await?;
    until(SOON, "the alert on a full hub", async || {
        Ok(fires("MenderIothubHubFull").await?.then_some(()))
    })
    .await?;
    stage.worker.sigterm().await?;
    stage.dir.passed();
    Ok(())
}

/// Starts a Prometheus that scrapes the worker and evaluates our rules.
async fn start(tool: &PrometheusTool, dir: &Path, worker: &str) -> Result<(Process, Control)> {
    let worker = worker.trim_start_matches("http://");
    let rules = workspace::root().join(ALERTS);
    let config = json!({
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [rules],
        "scrape_configs": [{"job_name": "mender-iothub", "static_configs": [{"targets": [worker]}]}],
    });
    let file = dir.join("prometheus.yaml");
    // All JSON is YAML.
    fs::write(&file, config.to_string())?;
    // It cannot tell which port it has, so it is told one that was free just now.
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let mut command = Command::new(&tool.prometheus);
    command.arg(format!("--config.file={}", file.display()));
    command.arg(format!(
        "--storage.tsdb.path={}",
        dir.join("prometheus").display()
    ));
    command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
    let mut process = Process::start("prometheus", command, dir)?;
    let http = Control::new(&format!("127.0.0.1:{port}"))?;
    let ready = async || Ok(http.text("/-/ready").await.ok());
    process
        .while_running(Duration::from_secs(60), "/-/ready", ready)
        .await?;
    Ok((process, http))
}

async fn query(prometheus: &Control, expression: &str) -> Result<Vec<Value>> {
    let expression = utf8_percent_encode(expression, NON_ALPHANUMERIC);
    let answer: Value = prometheus
        .get(&format!("/api/v1/query?query={expression}"))
        .await?;
    ensure!(answer["status"] == "success", "{answer}");
    Ok(answer["data"]["result"]
        .as_array()
        .cloned()
        .unwrap_or_default())
}
