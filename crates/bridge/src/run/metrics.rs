//! The page of metrics, as OpenMetrics.
//!
//! Names are whole here, so that they can be searched for. No label has a device or a tenant in it: an
//! outcome, a class, an operation, a finding are one of a few; a hub is one of those that integrations
//! name, and of more than [`HUBS`] the rest is one.

mod events;
mod format;
mod hubs;
mod page;
mod process;
mod runtime;
mod streams;

use std::fmt;
use std::sync::Arc;

use prometheus_client::registry::Registry;

use super::Seen;
use crate::observe;
pub(crate) use events::Counted;
pub(super) use format::Format;

/// Hubs that have lines of their own.
const HUBS: usize = 100;

/// The registry of everything that is measured.
#[derive(Clone)]
pub(crate) struct Metrics(Arc<Registry>);

impl Metrics {
    /// To be called inside of the runtime that is measured.
    pub(super) fn new(seen: &Seen) -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(seen.counted.clone()));
        registry.register_collector(Box::new(hubs::Hubs(Arc::clone(&seen.told))));
        registry.register_collector(Box::new(seen.outlook.clone()));
        let readiness = seen.told.readiness().clone();
        let runtime = runtime::Runtime::new(readiness, seen.health.clone());
        registry.register_collector(Box::new(runtime));
        registry.register_collector(Box::new(process::Process));
        observe::requests().register(&mut registry);
        observe::served().register(&mut registry);
        Self(Arc::new(registry))
    }

    pub(super) fn encode(&self, format: Format) -> Result<String, fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.0)?;
        Ok(format.of(text))
    }
}
