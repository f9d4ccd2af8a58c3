//! Writing families of metrics.

use std::fmt::Error;

use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeLabelSet, NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;
use prometheus_client::registry::Unit;
use reconciler::Delays;

type Written = Result<(), Error>;
const NO_EXEMPLAR: Option<&Exemplar<NoLabelSet, f64>> = None;

/// The page being written.
pub(super) struct Page<'p>(pub(super) DescriptorEncoder<'p>);

impl Page<'_> {
    /// A counter; its unit and `_total` are added to its name.
    pub(super) fn counter<V: EncodeCounterValue + Copy>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        value: V,
    ) -> Written {
        let mut encoder = self
            .0
            .encode_descriptor(name, help, unit, MetricType::Counter)?;
        encoder.encode_counter(&value, NO_EXEMPLAR)
    }

    /// A counter for each value of a label.
    pub(super) fn counters<'v, V: EncodeCounterValue>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        label: &str,
        values: impl IntoIterator<Item = (&'v str, V)>,
    ) -> Written {
        let mut family = self
            .0
            .encode_descriptor(name, help, unit, MetricType::Counter)?;
        for (value, count) in values {
            let labels = [(label, value)];
            family
                .encode_family(&labels)?
                .encode_counter(&count, NO_EXEMPLAR)?;
        }
        Ok(())
    }

    /// A gauge; its unit is added to its name.
    pub(super) fn gauge(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        value: f64,
    ) -> Written {
        let mut encoder = self
            .0
            .encode_descriptor(name, help, unit, MetricType::Gauge)?;
        encoder.encode_gauge(&value)
    }

    /// A gauge for each value of a label.
    pub(super) fn gauges<'v>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        label: &str,
        values: impl IntoIterator<Item = (&'v str, f64)>,
    ) -> Written {
        let mut family = self
            .0
            .encode_descriptor(name, help, unit, MetricType::Gauge)?;
        for (value, figure) in values {
            let labels = [(label, value)];
            family.encode_family(&labels)?.encode_gauge(&figure)?;
        }
        Ok(())
    }

    /// A histogram of seconds.
    pub(super) fn delays(&mut self, name: &str, help: &str, delays: &Delays) -> Written {
        let unit = Some(&Unit::Seconds);
        let mut encoder = self
            .0
            .encode_descriptor(name, help, unit, MetricType::Histogram)?;
        let counts = delays.counts();
        let bounds = Delays::BOUNDS.into_iter().chain([f64::INFINITY]);
        let buckets: Vec<_> = bounds.zip(counts).collect();
        let count = counts.iter().sum();
        encoder.encode_histogram::<NoLabelSet>(delays.sum().as_secs_f64(), count, &buckets, None)
    }

    /// What is told by labels alone.
    pub(super) fn info(&mut self, name: &str, help: &str, labels: &impl EncodeLabelSet) -> Written {
        let mut encoder = self
            .0
            .encode_descriptor(name, help, None, MetricType::Info)?;
        encoder.encode_info(labels)
    }
}

/// A count as a gauge has it. Exact up to 2^53, which nothing here reaches.
#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
pub(super) const fn figure(count: u64) -> f64 {
    count as f64
}
