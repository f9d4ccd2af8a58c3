//! How many records are in which state, without reading a million of them for it.

use std::time::{Duration, Instant};

use anyhow::ensure;
use indicatif::ProgressBar;
use reconciler::ports::DeviceStore as _;
use reconciler::{Census, CensusRow};
use serde::Serialize;

use crate::adapters::StorePort;

/// So many records are read whenever somebody looks.
pub(super) const READ_ALWAYS: u64 = 5_000;
/// Records read at once.
const PAGE: usize = 500;
/// While somebody watches, counting takes at most one part in so many of the time.
const SHARE: u32 = 20;

/// Records by state.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Records {
    /// When they were counted; null if they never were.
    pub(super) counted_at: Option<String>,
    /// Records by the last sweeps, since there are too many to read them now: records of tenants that
    /// were not swept are missing.
    pub(super) by_the_sweep: bool,
    /// Records of versions that this program does not know.
    pub(super) not_understood: u64,
    pub(super) by_state: Census,
}

impl Records {
    /// What is wanted first, then what the hub has.
    pub(super) fn rows(&self) -> Vec<CensusRow> {
        let mut rows = self.by_state.rows().to_vec();
        rows.sort_by_key(|row| (row.wanted as u8, row.hub, row.state));
        rows
    }
}

/// The last count, and what it has cost.
#[derive(Default)]
pub(super) struct Counter {
    last: Option<(Instant, Duration, Records)>,
}

impl Counter {
    /// The last count, if it is too early for another.
    pub(super) fn still_good(&self) -> Option<Records> {
        let (ended, cost, counted) = self.last.as_ref()?;
        (ended.elapsed() < *cost * SHARE).then(|| counted.clone())
    }

    /// Reads all records.
    pub(super) async fn count(
        &mut self,
        store: &StorePort,
        bar: &ProgressBar,
    ) -> anyhow::Result<Records> {
        let begun = Instant::now();
        let mut counted = Records {
            counted_at: Some(crate::print::time(crate::print::now())),
            ..Records::default()
        };
        let mut after: Option<String> = None;
        loop {
            let page = store.list(None, after.as_deref(), PAGE).await?;
            for (_, stored) in &page.records {
                counted.by_state.count(&stored.record);
            }
            counted.not_understood += page.unread.len() as u64;
            bar.inc(page.records.len() as u64);
            ensure!(
                page.next.is_none() || page.next > after,
                "the store lists the same records again"
            );
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        self.last = Some((Instant::now(), begun.elapsed(), counted.clone()));
        Ok(counted)
    }
}
