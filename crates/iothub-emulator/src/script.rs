//! Playing a script: the steps a device takes by itself, in their time.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tracing::debug;

use crate::behaviour::{Step, dated};
use crate::dates::Ticks;
use crate::hub::Hub;
use crate::registry::Target;

/// Starts to take the steps, as long as the device is the one of this generation.
pub(crate) fn play(hub: &Arc<Hub>, target: Target, generation: Ticks, mut steps: Vec<Step>) {
    if steps.is_empty() {
        return;
    }
    steps.sort_by_key(|step| step.after_ms);
    let hub = Arc::clone(hub);
    tokio::spawn(async move {
        let begun = Instant::now();
        for step in steps {
            sleep_until(begun + Duration::from_millis(step.after_ms)).await;
            if take(&hub, &target, generation, step).is_err() {
                return debug!(device = target.device, "its script ends early");
            }
        }
    });
}

fn take(
    hub: &Hub,
    target: &Target,
    generation: Ticks,
    step: Step,
) -> Result<(), crate::errors::ServiceError> {
    hub.with_registry(|registry, now| {
        if let Some(online) = step.online {
            registry.connect(target, generation, online)?;
        }
        if let Some(patch) = step.reported {
            registry.report(target, Some(generation), &dated(patch, now))?;
        }
        Ok(())
    })?;
    hub.connections.notify_waiters();
    Ok(())
}
