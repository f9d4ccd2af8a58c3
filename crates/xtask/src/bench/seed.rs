//! Records by the hundred thousand, without the work that would make them.
//!
//! One device is accepted by the product; its record is the pattern of all others.

use anyhow::{Context as _, Result};
use async_nats::jetstream;
use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::{
    heap::{ACCEPTED, work_off_by_all},
    settled::Settled,
    stage::Stage,
    talk::Talk,
};

const AT_ONCE: usize = 256;
/// The device that is accepted; all others have names of the same length.
const PATTERN: &str = "seed-0000000";

/// Makes records in the bucket of a stage.
pub(super) struct Seed {
    context: jetstream::Context,
    pattern: String,
    made: u64,
}

/// The name of a seeded device.
pub(super) fn name(device: u64) -> String {
    format!("seed-{device:07}")
}

impl Seed {
    /// Lets the product accept the device that the others are like.
    pub(super) async fn sow(stage: &mut Stage, talk: &Talk) -> Result<Self> {
        let mut settled = Settled::open(&stage.context, "IOTHUB_OUTCOMES").await?;
        let subject = std::iter::once(format!("iothub.event.=.{PATTERN}"));
        work_off_by_all(stage, &mut settled, subject, ACCEPTED, talk).await?;
        let bucket = stage.context.get_key_value("iothub_devices").await?;
        let value = bucket.get(format!("=.{PATTERN}")).await?;
        let value = value.context("the pattern has no record")?;
        Ok(Self {
            context: stage.context.clone(),
            pattern: String::from_utf8(value.to_vec())?,
            made: 1,
        })
    }

    /// Makes records until there are so many, each of them changed by `change`.
    pub(super) async fn until(
        &mut self,
        count: u64,
        talk: &Talk,
        change: impl Fn(String, u64) -> String,
    ) -> Result<()> {
        let from = self.made;
        let one = |device: u64| {
            let name = name(device);
            let text = change(self.pattern.replace(PATTERN, &name), device);
            self.write(name, text)
        };
        let mut written = stream::iter((from..count).map(one)).buffer_unordered(AT_ONCE);
        let mut done = from;
        while written.try_next().await?.is_some() {
            done += 1;
            talk.waiting("records made", done, count);
        }
        drop(written);
        self.made = self.made.max(count);
        Ok(())
    }

    async fn write(&self, name: String, text: String) -> Result<()> {
        let subject = format!("$KV.iothub_devices.=.{name}");
        self.context.publish(subject, text.into()).await?.await?;
        Ok(())
    }
}
