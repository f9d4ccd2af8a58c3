//! A real Prometheus reads the page, the alerts and what the dashboard asks for.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use black_box::{
    Process,
    control::Control,
    skips::skip,
    tools::{self, PrometheusTool},
    until, workspace,
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::{ALERTS, play, read, values};
use crate::stage::SOON;

const ALERT_TESTS: &str = "deploy/prometheus/alerts.test.yaml";
const DASHBOARD: &str = "deploy/grafana/mender-iothub.json";

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
fn promtool_accepts_the_alerts_and_their_tests() -> Result<()> {
    let Ok(tool) = available("promtool_accepts_the_alerts_and_their_tests") else {
        return Ok(());
    };
    promtool(&tool, &["check", "rules", ALERTS], Stdio::null())?;
    promtool(&tool, &["test", "rules", ALERT_TESTS], Stdio::null())?;
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

/// Fails with what promtool says, if that is not all well.
fn promtool(tool: &PrometheusTool, arguments: &[&str], input: Stdio) -> Result<()> {
    let mut promtool = Command::new(&tool.promtool);
    let promtool = promtool.args(arguments).current_dir(workspace::root());
    let output = promtool.stdin(input).output()?;
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{arguments:?}: {said}");
    Ok(())
}

fn available(test: &str) -> Result<PrometheusTool> {
    tools::prometheus().inspect_err(|why| skip(test, &format!("{why:#}")))
}

#[tokio::test]
async fn every_expression_of_dashboard_and_alerts_finds_its_series() -> Result<()> {
    let Ok(tool) = available("every_expression_of_dashboard_and_alerts_finds_its_series") else {
        return Ok(());
    };
    let mut stage = play().await?;
    let dir = stage.dir.path().to_owned();
    let (mut process, prometheus) = start(&tool, &dir, stage.worker.http().base()).await?;
    older_format(&tool, &dir, stage.worker.http().base()).await?;
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
    // Prometheus has seen the series by now, so that it sees it increase. The hub is not asked again soon.
    stage
        .publish("=.full", r#"{"status":"accepted","revision":1}"#)
        .await?;
    until(SOON, "the alert on a full hub", async || {
        Ok(fires("MenderIothubHubFull").await?.then_some(()))
    })
    .await?;
    stage.worker.sigterm().await?;
    stage.dir.passed();
    Ok(())
}

/// Who knows no OpenMetrics gets the format from before it, and promtool finds nothing to complain of.
async fn older_format(tool: &PrometheusTool, dir: &Path, worker: &str) -> Result<()> {
    let page = reqwest::Client::new().get(format!("{worker}/metrics"));
    let page = page.header("accept", "text/plain;version=0.0.4").send();
    let page = page.await?.error_for_status()?;
    let kind = page.headers().get("content-type");
    ensure!(kind.is_some_and(|kind| kind == "text/plain; version=0.0.4; charset=utf-8"));
    let file = dir.join("metrics.txt");
    fs::write(&file, page.bytes().await?)?;
    promtool(tool, &["check", "metrics"], File::open(&file)?.into())
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
