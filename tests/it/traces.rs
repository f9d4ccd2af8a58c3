//! Traces: what a collector is sent about an event.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use async_nats::HeaderMap;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap as HttpHeaders, StatusCode, Uri};
use black_box::{Installation, until};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::stage::{Parts, SOON, config};

const TRACE: u128 = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736;
const PARENT: u64 = 0x00f0_67aa_0ba9_02b7;

/// A request to the collector.
struct Request {
    path: String,
    authorization: String,
    body: Bytes,
}

/// Somebody's collector: it keeps all that it is sent.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Request>>>);

impl Collector {
    /// Listens; the address is the second part.
    async fn start() -> Result<(Self, String)> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (this, address) = (Self::default(), listener.local_addr()?.to_string());
        let routes = axum::Router::new().fallback(keep).with_state(this.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok((this, address))
    }

    fn look<T>(&self, at: impl FnOnce(&[Request]) -> T) -> T {
        at(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The spans of one trace, of all that came so far.
    fn spans(&self, trace: u128) -> Result<Vec<Span>> {
        self.look(|requests| {
            let mut spans = Vec::new();
            for request in requests {
                let batch = ExportTraceServiceRequest::decode(request.body.clone())?;
                let scopes = batch.resource_spans.into_iter();
                let scopes = scopes.flat_map(|resource| resource.scope_spans);
                spans.extend(scopes.flat_map(|scope| scope.spans));
            }
            spans.retain(|span| span.trace_id == trace.to_be_bytes());
            Ok(spans)
        })
    }

    fn holds(&self, text: &str) -> bool {
        let text = text.as_bytes();
        self.look(|requests| {
            let mut bodies = requests.iter().map(|request| &request.body);
            bodies.any(|body| body.windows(text.len()).any(|bytes| bytes == text))
        })
    }
}

async fn keep(
    State(this): State<Collector>,
    uri: Uri,
    headers: HttpHeaders,
    body: Bytes,
) -> StatusCode {
    let authorization = headers
        .get("authorization")
        .and_then(|value| value.to_str().ok());
    let request = Request {
        path: uri.path().to_owned(),
        authorization: authorization.unwrap_or_default().to_owned(),
        body,
    };
    this.0
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(request);
    StatusCode::OK
}

fn attribute<'s>(span: &'s Span, name: &str) -> Option<&'s str> {
    let found = span.attributes.iter().find(|it| it.key == name)?;
    match found.value.as_ref()?.value.as_ref()? {
        any_value::Value::StringValue(text) => Some(text),
        _ => None,
    }
}

#[tokio::test]
async fn the_trace_of_an_event_goes_from_its_nats_headers_through_hub_and_deviceconfig()
-> Result<()> {
    let (collector, address) = Collector::start().await?;
    let (parts, _) = Parts::start("traces").await?;
    let usual = config(parts.nats.url(), &parts.hub, parts.mender.listen());
    let more = format!(
        "[log]\nformat = \"json\"\n[telemetry]\notlp_endpoint = \"http://{address}\"\n\
         otlp_authorization = \"Bearer of-the-collector\"\n"
    );
    let installation = Installation::new(parts.dir.path(), &format!("{usual}\n{more}")).await?;
    for arguments in [
        &["setup"][..],
        &["integration", "set", "--tier", "unlimited"],
    ] {
        let done = installation
            .cli_with_input(arguments, parts.hub.connection_string())
            .await?;
        assert_eq!(done.code, Some(0), "{}", done.stderr);
    }
    let mut stage = parts.with(installation.start().await?);

    // As Mender publishes it, with the header of whoever traces Mender.
    let id = stage.device().await?;
    let body = json!({
        "event": "device-provisioned", "device_id": id, "status": "accepted", "tenant_id": "",
        "device": {"id": id, "revision": 3, "status": "accepted", "created_ts": "2026-08-20T10:11:12.345Z"},
    });
    let mut headers = HeaderMap::new();
    headers.insert("traceparent", format!("00-{TRACE:032x}-{PARENT:016x}-01"));
    let subject = "WORKFLOWS.lifecycle.device.provision";
    let context = stage.nats.jetstream().await?;
    let published = context.publish_with_headers(subject, headers, body.to_string().into());
    published.await?.await?;
    stage.hub_shows(&id, Some("enabled")).await?;
    stage.tally(1).await?;

    let requests = [
        "create_device",
        "PATCH deviceconfig",
        "POST deviceconfig",
        "update_twin",
    ];
    let spans = until(SOON, "the spans", async || {
        let spans = collector.spans(TRACE)?;
        let is_there = |name: &&str| spans.iter().any(|span| span.name == **name);
        Ok((requests.iter().all(is_there) && is_there(&"event")).then_some(spans))
    })
    .await?;
    let named = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    let event = named("event");
    assert_eq!(event.parent_span_id, PARENT.to_be_bytes());
    assert_eq!(attribute(event, "device"), Some(id.as_str()));
    for request in requests {
        assert_eq!(named(request).parent_span_id, event.span_id, "{request}");
    }
    let create = named("create_device");
    assert_eq!(attribute(create, "server.address"), Some(stage.hub.hub()));
    assert!(event.start_time_unix_nano <= create.start_time_unix_nano);
    assert!(create.end_time_unix_nano <= event.end_time_unix_nano);

    collector.look(|requests| {
        for request in requests {
            let said = (request.path.as_str(), request.authorization.as_str());
            assert_eq!(said, ("/v1/traces", "Bearer of-the-collector"));
        }
    });
    let (delivered, _) = stage.delivered(&id).await?;
    let of = |text: &str| Some(text.rsplit_once("SharedAccessKey=")?.1.to_owned());
    let key = delivered
        .as_deref()
        .and_then(of)
        .context("nothing was delivered")?;
    let policy = of(stage.hub.connection_string()).context("no key")?;
    for secret in [key.as_str(), &policy, "SharedAccess", "of-the-collector"] {
        assert!(
            !collector.holds(secret),
            "{secret} was sent to the collector"
        );
    }
    assert!(collector.holds(&id), "searched in the wrong places");

    // The log names the trace too, also that of an event that brings none.
    stage
        .publish("=.other", r#"{"status":"accepted","revision":1}"#)
        .await?;
    stage.tally(2).await?;
    stage.worker.sigterm().await?;
    let log = std::fs::read_to_string(stage.worker.process().log())?;
    let lines = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let ended: Vec<Value> = lines
        .filter(|line| line["message"] == "event ended")
        .collect();
    assert_eq!(ended.len(), 2, "{log}");
    assert_eq!(
        (&ended[0]["trace_id"], &ended[0]["device"]),
        (&json!(format!("{TRACE:032x}")), &json!(id))
    );
    let other = ended[1]["trace_id"].as_str().context("no trace")?;
    let other = u128::from_str_radix(other, 16)?;
    assert_ne!(other, TRACE);
    // Everything was sent before the worker ended.
    let spans = collector.spans(other)?;
    assert!(spans.iter().any(|span| span.name == "event"), "{spans:?}");
    stage.dir.passed();
    Ok(())
}
