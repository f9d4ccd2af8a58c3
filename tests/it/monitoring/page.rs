//! The page of metrics, by its own format and by the table that documents it.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use black_box::{skips::skip, tools::OpenMetrics, until};

use super::{play, read};
use crate::stage::SOON;

const METRICS: &str = "deploy/prometheus/README.md";

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
