//! Traces by OpenTelemetry, off unless `telemetry.otlp_endpoint` is set.
//!
//! Only our own spans are sent, and no line of the log: neither a secret nor a body is in them. Traces hold
//! nothing up: what the collector does not take in time is dropped.

mod collector;

use std::cell::Cell;
use std::time::Duration;

use axum::http::HeaderValue;
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    IdGenerator, RandomIdGenerator, Sampler, SdkTracer, SdkTracerProvider,
};
use tracing::{Metadata, Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::registry::LookupSpan;

use crate::config::{self, ConfigError};
use collector::Collector;

/// How the service is called in traces.
const SERVICE: &str = "mender-iothub";
/// Spans of these crates are sent.
const OURS: [&str; 3] = ["mender_iothub", "iothub", "mender"];
/// How long the last spans may take to be sent when the worker stops.
const LAST: Duration = Duration::from_secs(2);

/// Traces on their way to a collector.
pub(crate) struct Traces {
    provider: SdkTracerProvider,
}

impl Traces {
    /// `None` if the configuration names no collector. To be called inside of the runtime.
    pub(crate) fn from_config(config: &config::Telemetry) -> Result<Option<Self>, ConfigError> {
        let Some(collector) = Collector::from_config(config)? else {
            return Ok(None);
        };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(collector.traces())
            .with_http_client(collector)
            .build()
            .map_err(|error| ConfigError(format!("`telemetry.otlp_endpoint`: {error}")))?;
        // Nothing from variables of the environment: all that is configured is in the configuration.
        let resource = Resource::builder_empty().with_attributes([
            KeyValue::new("service.name", SERVICE),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", uuid::Uuid::new_v4().to_string()),
        ]);
        let new_ones = Sampler::TraceIdRatioBased(config.sample_ratio);
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_sampler(Sampler::ParentBased(Box::new(new_ones)))
            .with_id_generator(Ids)
            .with_resource(resource.build())
            .build();
        Ok(Some(Self { provider }))
    }

    /// What hears of spans.
    pub(crate) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let tracer: SdkTracer = self.provider.tracer(SERVICE);
        tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(filter_fn(is_our_span).with_max_level_hint(LevelFilter::INFO))
    }

    /// Sends what is left.
    pub(crate) async fn stop(self) {
        let stopped =
            tokio::task::spawn_blocking(move || self.provider.shutdown_with_timeout(LAST));
        if let Ok(Err(error)) = stopped.await {
            tracing::warn!(%error, "the last spans were not sent");
        }
    }
}

/// Whether traces could be sent, as far as the configuration goes.
pub(crate) fn check(config: &config::Telemetry) -> Result<(), ConfigError> {
    Collector::from_config(config).map(drop)
}

/// No lines of the log, and nothing of other people's crates.
fn is_our_span(metadata: &Metadata<'_>) -> bool {
    let krate = metadata.target().split("::").next();
    metadata.is_span() && krate.is_some_and(|krate| OURS.contains(&krate))
}

thread_local! {
    /// The trace that the next span without a parent begins.
    static NEXT: Cell<Option<TraceId>> = const { Cell::new(None) };
}

/// Makes ids: at random, unless it was said what the next trace is.
#[derive(Debug)]
struct Ids;

impl IdGenerator for Ids {
    fn new_trace_id(&self) -> TraceId {
        let said = NEXT.take();
        said.unwrap_or_else(|| RandomIdGenerator::default().new_trace_id())
    }

    fn new_span_id(&self) -> SpanId {
        RandomIdGenerator::default().new_span_id()
    }
}

/// Makes a span that was not entered yet the first one of its trace.
pub(crate) fn begin(span: &Span, trace: TraceId) {
    NEXT.set(Some(trace));
    // Begins it, so that it takes the trace that was just named.
    drop(span.context());
    NEXT.set(None);
}

/// Makes a span that was not entered yet the child of somebody else's.
pub(crate) fn follow(span: &Span, parent: SpanContext) {
    // An error says that traces are off.
    let _ = span.set_parent(Context::new().with_remote_span_context(parent));
}

/// The header `traceparent` for what is sent from the present span; `None` where traces are off.
pub(crate) fn traceparent() -> Option<HeaderValue> {
    let context = Span::current().context();
    let span = context.span();
    let of = span.span_context();
    if !of.is_valid() {
        return None;
    }
    let flags = of.trace_flags() & TraceFlags::SAMPLED;
    let text = format!("00-{}-{}-{flags:02x}", of.trace_id(), of.span_id());
    HeaderValue::try_from(text).ok()
}
