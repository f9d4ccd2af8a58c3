//! Deadlines, full queues, and that lifecycle work does not notice.

use std::time::Instant;

use anyhow::Result;
use async_nats::HeaderMap;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use serde_json::json;

use super::{A_MOMENT, BackEnd, read};
use crate::stage::Stage;

#[tokio::test]
async fn a_requester_says_how_long_it_waits() -> Result<()> {
    let stage = Stage::with_devices("twin-deadline", &["d1"]).await?;
    let back_end = BackEnd::of(&stage).await?;
    let slow = json!({"rules": [{"name": "slow", "operation": "twin-read", "delay_ms": 30_000}]});
    stage.hub.faults(&slow).await?;
    let mut headers = HeaderMap::new();
    headers.insert("Iothub-Timeout-Ms", "300");
    let begun = Instant::now();
    let message = back_end.send("get.=.d1", "", headers).await?;
    assert_eq!(read(&message)?.unwrap_err().0, 504);
    assert!(begun.elapsed() < A_MOMENT, "{:?}", begun.elapsed());
    let mut odd = HeaderMap::new();
    odd.insert("Iothub-Timeout-Ms", "soon");
    let message = back_end.send("get.=.d1", "", odd).await?;
    assert_eq!(read(&message)?.unwrap_err().0, 400);
    stage.dir.passed();
    Ok(())
}

#[tokio::test]
async fn a_flood_of_twin_requests_is_refused_at_once_and_slows_no_event() -> Result<()> {
    let stage = Stage::with_devices("twin-flood", &["d1"]).await?;
    let back_end = BackEnd::of(&stage).await?;
    stage.tenant("t2").await?;
    stage.accept(&["t2.d2".to_owned()]).await?;
    // The hub holds every twin read of d1 until it is told not to.
    let hung = json!({"rules": [{"name": "hung", "operation": "twin-read", "device": "d1",
        "delay_ms": 600_000}]});
    stage.hub.faults(&hung).await?;
    let begun = Instant::now();
    let mut flood: FuturesUnordered<_> = (0..400)
        .map(|_| back_end.send("get.=.d1", "", HeaderMap::new()))
        .collect();
    let mut refused = 0;
    while refused < 272
        && let Some(message) = flood.next().await
    {
        assert_eq!(read(&message?)?.unwrap_err().0, 429);
        refused += 1;
    }
    // 128 places of the tenant are taken, everybody else was told at once.
    assert_eq!(refused, 272);
    assert!(begun.elapsed() < A_MOMENT, "{:?}", begun.elapsed());
    back_end.done("get.t2.d2", "").await?;
    let devices: Vec<_> = (0..50).map(|n| format!("=.e{n}")).collect();
    stage.accept(&devices).await?;
    assert!(
        begun.elapsed() < A_MOMENT,
        "events waited: {:?}",
        begun.elapsed()
    );
    drop(flood);
    stage.dir.passed();
    Ok(())
}
