//! A hub that is down while events pile up: the worker holds its memory, and works them off in order
//! when the hub is back. `cargo xtask chaos --profile backlog` plays it in any size.

use anyhow::Result;
use black_box::{TestDir, chaos::backlog};

use super::ALONE;

const EVENTS: usize = 20_000;
const MEMORY: u64 = 100 * 1024 * 1024;

#[tokio::test]
async fn a_backlog_for_a_dead_hub_takes_little_memory_and_is_worked_off_in_order() -> Result<()> {
    let _alone = ALONE.lock().await;
    let dir = TestDir::new("backlog")?;
    let backlog = Box::pin(backlog::play(EVENTS, dir.path())).await?;
    println!("{}", serde_json::to_string(&backlog)?);
    assert_eq!(backlog.violations, [""; 0]);
    assert!(backlog.rss_bytes.unwrap_or_default() < MEMORY);
    dir.passed();
    Ok(())
}
