//! Lines of the log that would be many during an outage: one a minute for each tenant.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lifecycle::TenantId;
use tokio::time::Instant;

/// Time between two lines about one tenant.
const EVERY: Duration = Duration::from_secs(60);

/// When the last line about each tenant was, and how many were left out since.
#[derive(Debug, Default)]
pub(crate) struct Seldom {
    last: Mutex<HashMap<TenantId, (Instant, u64)>>,
}

impl Seldom {
    /// Whether a line about this tenant is due; then, how many were left out since the last one.
    pub(crate) fn is_due(&self, tenant: &TenantId) -> Option<u64> {
        let now = Instant::now();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match last.get_mut(tenant) {
            Some((at, left_out)) if now - *at < EVERY => {
                *left_out += 1;
                None
            }
            Some((at, left_out)) => {
                *at = now;
                Some(std::mem::take(left_out))
            }
            None => {
                last.insert(tenant.clone(), (now, 0));
                Some(0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_outage_is_told_once_a_minute_for_each_tenant_with_what_was_left_out() {
        let seldom = Seldom::default();
        let (one, other) = ("one".parse().unwrap(), "other".parse().unwrap());
        assert_eq!(seldom.is_due(&one), Some(0));
        assert_eq!(seldom.is_due(&one), None);
        assert_eq!(seldom.is_due(&one), None);
        assert_eq!(seldom.is_due(&other), Some(0));
        tokio::time::advance(EVERY).await;
        assert_eq!(seldom.is_due(&one), Some(2));
        assert_eq!(seldom.is_due(&one), None);
    }
}
